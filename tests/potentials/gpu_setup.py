"""Where the GPU engine's tests run: on a CUDA device if there is one, else in Triton's interpreter on the CPU."""

import os

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read by Triton when the kernels are defined

pytest.importorskip("triton", reason="Triton is not installed (CUDA builds of torch bring it; halion[gpu])")

from halion.potentials.chgnet_model import load_model
from halion.potentials.folded import FoldedWeights, fold

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# In float32 the interpreter says when exp(-x) is infinite, where the sigmoid is zero as it should be.
QUIET = pytest.mark.filterwarnings("ignore:overflow encountered in exp")


def chgnet_weights() -> FoldedWeights:
    return fold(load_model())


def small_batch() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, positions, cells, counts of two cells so small that atoms see their own images: hot rocksalt, far
    from the origin, and a sheared mixed halide."""
    random = np.random.default_rng(0)
    rocksalt = np.array([[0, 2.57, 2.57], [2.57, 0, 2.57], [2.57, 2.57, 0]])
    first = np.array([[0, 0, 0], [2.57, 2.57, 2.57]]) + random.normal(scale=0.15, size=(2, 3)) + [9.0, -4.0, 2.0]
    sheared = np.array([[4.1, 0, 0], [0.7, 4.4, 0], [-0.5, 0.6, 5.0]])
    second = np.array([[0.1, 0, 0], [0.5, 0.5, 0.1], [0.4, 0.1, 0.5]]) @ sheared
    numbers, counts = np.array([3, 17, 3, 39, 35]), np.array([2, 3])
    return numbers, np.concatenate([first, second]), np.stack([rocksalt, sheared]), counts

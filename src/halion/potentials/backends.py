"""Which engine computes CHGNet: by the name of a backend and the device.

"fast" is the compiled engine on a CPU and the Triton kernels on a CUDA device; "torch" runs on both, wherever torch
does; "float64" is that one in double precision, the oracle of the others.
"""

from __future__ import annotations

from typing import Literal

import torch

from halion.arrays import IntArray
from halion.errors import InputError, MissingDependency
from halion.potentials.cpu_engine import CpuEngine
from halion.potentials.engine_types import DeviceSteps, Engine
from halion.potentials.folded import FoldedWeights
from halion.potentials.torch_engine import TorchEngine

__all__ = ["Backend", "device_steps", "make_engine", "use_threads"]

Backend = Literal["fast", "torch", "float64"]


def make_engine(
    backend: Backend, weights: FoldedWeights, *, device: str = "cpu", threads: int | None = None
) -> tuple[Engine, str]:
    """The engine of this backend with these weights, and what it is in words.

    Args:
        backend: "fast" (the fastest one that the device has), "torch" (single precision), "float64".
        weights: as `fold` gives them.
        device: "cpu" or "cuda".
        threads: processor threads; None leaves it to the environment (OMP_NUM_THREADS, then all cores). The
            torch backends take it for the whole process.
    Raises:
        InputError: no thread at all.
        MissingDependency: a CUDA device that torch does not see.
    """
    is_cuda = device.startswith("cuda")
    if is_cuda and not torch.cuda.is_available():
        raise MissingDependency(
            f"device '{device}' was asked for, and torch {torch.__version__} sees no CUDA device",
            fix="set machine.device to cpu, or install a CUDA build of torch",
        )
    if backend == "fast" and is_cuda:
        return _triton(weights, device)
    if backend == "fast":
        _refuse_no_threads(threads)
        engine = CpuEngine(weights, threads=threads)
        return engine, f"compiled, {engine.kernels} kernels, {engine.threads} thread(s)"
    if threads is not None:
        use_threads(threads)
    dtype = torch.float64 if backend == "float64" else torch.float32
    precision = "double" if backend == "float64" else "single"
    return TorchEngine(weights, device=device, dtype=dtype), f"torch on {device}, network in {precision} precision"


def _triton(weights: FoldedWeights, device: str) -> tuple[Engine, str]:
    # Imported here: Triton comes with the CUDA builds of torch alone.
    from halion.potentials.gpu_engine import GpuEngine

    engine = GpuEngine(weights, device=device)
    return engine, f"Triton on {torch.cuda.get_device_name(device)}, {engine.precision} products"


def device_steps(engine: Engine, numbers: IntArray, counts: IntArray) -> DeviceSteps | None:
    """Whole time steps of these structures on the engine's device; None if it has none, or not the room."""
    if isinstance(engine, CpuEngine | TorchEngine):
        return None
    from halion.potentials.gpu.device_steps import GpuSteps
    from halion.potentials.gpu_engine import MOST_ATOMS

    return GpuSteps(engine, numbers, counts) if len(numbers) <= MOST_ATOMS else None


def use_threads(threads: int) -> None:
    """Let torch use this many processor threads, in the whole process.

    Raises:
        InputError: none at all.
    """
    _refuse_no_threads(threads)
    torch.set_num_threads(threads)


def _refuse_no_threads(threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise InputError(
            f"{threads} threads can evaluate nothing", fix="set machine.threads_per_worker to 1 or more"
        )

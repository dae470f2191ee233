"""Triton kernels of the CHGNet engine for CUDA devices; see `halion.potentials.gpu_engine`."""

from __future__ import annotations

import importlib.util

from halion.errors import MissingDependency

__all__: list[str] = []

if importlib.util.find_spec("triton") is None:
    raise MissingDependency(
        "the GPU engine needs Triton, which is not installed (CUDA builds of torch bring it)",
        fix='pip install "halion[gpu]"',
    )

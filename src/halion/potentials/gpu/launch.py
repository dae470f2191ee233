"""How every Triton kernel here is started: in one place, so that what is started can be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import triton

__all__ = ["WATCHERS", "Constant", "is_interpreted", "launch", "tiles"]

Constant = int | float | bool | str
# Who wants to know what is started (a test that compiles every kernel for a device that is not there) appends a
# function of (kernel, arguments, constants, warps).
WATCHERS: list[Callable[..., None]] = []


def is_interpreted() -> bool:
    """Whether Triton interprets kernels on the CPU (TRITON_INTERPRET=1)."""
    return bool(triton.knobs.runtime.interpret)


def tiles(rows: int, block: int) -> int:
    """Programs that cover so many rows; at least one."""
    return max(1, -(-rows // block))


def launch(
    kernel: object,
    grid: tuple[int, ...],
    arguments: tuple[torch.Tensor | int, ...],
    constants: Mapping[str, Constant],
    warps: int = 4,
) -> None:
    """Start a kernel: `arguments` in their order, then sizes and what it is compiled for by name.

    Sizes of buffers are ordinary arguments in the kernels, in capitals all the same: other batches compile nothing.
    Two stages of prefetching: the loops here are short, and shared memory is better spent on resident programs.
    """
    for watch in WATCHERS:
        watch(kernel, arguments, constants, warps)
    kernel[grid](*arguments, **constants, num_warps=warps, num_stages=2)

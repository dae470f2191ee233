"""Linear layers and sums over as many rows as the device has counted, as functions of tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from halion.potentials.gpu.launch import launch, tiles
from halion.potentials.gpu.row_kernels import linear_rows, sum_rows

__all__ = ["STEPS", "Gather", "Rows", "Segments", "linear", "sum_segments"]

_TILE = 64
# Columns of the input per turn of the loop. As compiled for compute capability 9.0, a product in float32 of 64
# columns at once keeps so much in registers that it spills kilobytes; one of 16 spills nothing.
STEPS = {"ieee": 16, "tf32x3": 64, "tf32": 64}


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows of a buffer are in use: `limit` (1,) on the device, `capacity` known to the host."""

    limit: torch.Tensor
    capacity: int


@dataclass(frozen=True, slots=True)
class Gather:
    """Rows of the input that belong to each row of the output: those of `index`; `and_own`: its own as well."""

    index: torch.Tensor
    and_own: bool = False


def linear(
    rows: Rows,
    x: torch.Tensor,
    weight: torch.Tensor,
    precision: str,
    extra: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
    gather: Gather | None = None,
) -> torch.Tensor:
    """residual + bias + x @ weight for the rows in use; the others are left as they come from memory.

    Args:
        x: (any, n_inputs), weight: (n_inputs, n_outputs).
        precision: of `tl.dot`.
        extra: bias (n_outputs,) and residual (capacity, n_outputs), where there are any.
        gather: rows of x to take, if not their own.
    """
    (inputs, outputs), (bias, residual) = weight.shape, extra
    if x.shape[1] != inputs or not x.is_contiguous() or not weight.is_contiguous():
        raise AssertionError(f"linear: input {tuple(x.shape)}, weight {tuple(weight.shape)}, rows must be dense")
    if residual is not None and (residual.shape[1] != outputs or not residual.is_contiguous()):
        raise AssertionError(f"linear: residual {tuple(residual.shape)} does not fit {outputs} outputs")
    out = torch.empty(rows.capacity, outputs, dtype=x.dtype, device=x.device)
    width = min(_TILE, outputs)
    launch(
        linear_rows,
        (tiles(rows.capacity, _TILE), outputs // width),
        (
            rows.limit,
            x,
            rows.limit if gather is None else gather.index,
            weight,
            x if bias is None else bias,
            x if residual is None else residual,
            out,
        ),
        {
            "CAPACITY": rows.capacity,
            "INPUTS": inputs,
            "OUTPUTS": outputs,
            "GATHER": 0 if gather is None else 1 + gather.and_own,
            "HAS_BIAS": bias is not None,
            "HAS_RESIDUAL": residual is not None,
            "PRECISION": precision,
            "BLOCK": _TILE,
            "WIDTH": width,
            "STEP": min(STEPS[precision] if x.is_cuda else _TILE, inputs),
        },
    )
    return out


@dataclass(frozen=True, slots=True)
class Segments:
    """Rows that belong to each segment: `starts` (n + 1,) of `segments`, over `n_values` rows."""

    segments: Rows
    starts: torch.Tensor
    n_values: int


def sum_segments(
    over: Segments, values: torch.Tensor, out: torch.Tensor, index: torch.Tensor | None = None, add: bool = False
) -> None:
    """out[s] = sum of values[r], or of values[index[r]], over the rows r of segment s; added to out if `add`.

    values and out: (any, 64 or 128), rows may lie apart.
    """
    width = values.shape[1]
    if width not in (64, 128) or out.shape[1] != width or values.stride(1) != 1 or out.stride(1) != 1:
        raise AssertionError(f"sum of rows {tuple(values.shape)} into {tuple(out.shape)}")
    launch(
        sum_rows,
        (over.segments.capacity,),
        (over.segments.limit, over.starts, over.starts if index is None else index, values, out),
        {
            "SEGMENTS": over.segments.capacity,
            "CAPACITY": over.n_values,
            "VALUE_STRIDE": values.stride(0),
            "OUT_STRIDE": out.stride(0),
            "WIDTH": width,
            "GATHER": index is not None,
            "ADD": add,
            "BLOCK": 16,
        },
    )

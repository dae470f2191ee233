"""Triton kernels that every layer needs: a linear layer over as many rows as there are, and sums over sorted rows.

Both have one order of summation, so the same input gives the same bits. Programs beyond the number of rows, which
is known on the device alone, have nothing to do. Checked by tests/potentials/test_potentials_gpu_kernels.py.
"""

import triton
import triton.language as tl

__all__ = ["linear_rows", "sum_rows"]


@triton.jit
def linear_rows(
    limit,
    x,
    index,
    weight,
    bias,
    residual,
    out,
    CAPACITY,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    GATHER: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDTH: tl.constexpr,
    STEP: tl.constexpr,
):
    """out = residual + bias + x @ weight; weight: (INPUTS, OUTPUTS).

    GATHER: 0 rows of x as they stand; 1 x[index]; 2 x + x[index].
    """
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    last = tl.minimum(tl.load(limit), CAPACITY)
    if tl.program_id(0) * BLOCK < last:
        inside = (rows < last)[:, None]
        total = tl.zeros([BLOCK, WIDTH], dtype=out.dtype.element_ty)
        source = rows
        if GATHER > 0:
            other = tl.load(index + rows, mask=rows < last, other=0)
            if GATHER == 1:
                source = other
        for base in range(0, INPUTS, STEP):
            k = base + tl.arange(0, STEP)
            part = tl.load(x + source[:, None] * INPUTS + k[None, :], mask=inside, other=0.0)
            if GATHER == 2:
                part += tl.load(x + other[:, None] * INPUTS + k[None, :], mask=inside, other=0.0)
            block = tl.load(weight + k[:, None] * OUTPUTS + columns[None, :])
            total += tl.dot(part, block, input_precision=PRECISION, out_dtype=out.dtype.element_ty)
        if HAS_BIAS:
            total += tl.load(bias + columns)[None, :]
        places = rows[:, None] * OUTPUTS + columns[None, :]
        if HAS_RESIDUAL:
            total += tl.load(residual + places, mask=inside, other=0.0)
        tl.store(out + places, total, mask=inside)


@triton.jit
def sum_rows(
    limit,
    starts,
    index,
    values,
    out,
    SEGMENTS,
    CAPACITY,
    VALUE_STRIDE,
    OUT_STRIDE,
    WIDTH: tl.constexpr,
    GATHER: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program per segment s: sum of values[r] (GATHER: values[index[r]]), starts[s] <= r < starts[s + 1]."""
    segment = tl.program_id(0)
    columns = tl.arange(0, WIDTH)
    if segment < tl.minimum(tl.load(limit), SEGMENTS):
        total = tl.zeros([WIDTH], dtype=out.dtype.element_ty)
        last = tl.minimum(tl.load(starts + segment + 1), CAPACITY)
        for base in range(tl.load(starts + segment), last, BLOCK):
            rows = base + tl.arange(0, BLOCK)
            inside = rows < last
            source = rows
            if GATHER:
                source = tl.load(index + rows, mask=inside, other=0)
            part = tl.load(
                values + source[:, None] * VALUE_STRIDE + columns[None, :], mask=inside[:, None], other=0.0
            )
            total += tl.sum(part, axis=0)
        if ADD:
            total += tl.load(out + segment * OUT_STRIDE + columns)
        tl.store(out + segment * OUT_STRIDE + columns, total)

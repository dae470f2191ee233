"""Triton functions of CHGNet's gated block on a tile of rows, forward and backward, for use inside kernels.

    gated = SiLU(norm(x_core)) * sigmoid(norm(x_gate)),   norm(x) = x / sqrt(mean(x^2) + eps) * scale + shift
Two-layer blocks (AtomConv, BondConv) have x = W2 SiLU(h) + b2, h the sum of what their neighbours bring; one-layer
blocks (AngleUpdate) have x = h. The mean of x is zero by folding. Nothing is kept from the forward pass: the way
back computes the tile anew. Packs of weights are described in weights.py.
"""

import triton
import triton.language as tl

__all__ = ["gate", "gate_backward", "hidden_backward", "hidden_forward", "matrix", "normalise"]

EPS = tl.constexpr(1e-5)
# Places in the pack of a two-layer block; a one-layer block has only scale and shift.
WEIGHT_CORE, WEIGHT_GATE = tl.constexpr(0), tl.constexpr(4096)
BACK_CORE, BACK_GATE = tl.constexpr(8192), tl.constexpr(12288)
BIAS, NORM = tl.constexpr(16384), tl.constexpr(16512)


@triton.jit
def matrix(address, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """A whole matrix stored row by row."""
    return tl.load(address + tl.arange(0, ROWS)[:, None] * COLUMNS + tl.arange(0, COLUMNS)[None, :])


@triton.jit
def sigmoid(x):
    """1 / (1 + exp(-x)), in the type of x."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def silu_slope(x):
    """d/dx of x sigmoid(x)."""
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


@triton.jit
def normalise(x):
    """x / sqrt(mean(x^2) + eps) and the factor, row by row."""
    factor = 1.0 / tl.sqrt(tl.sum(x * x, axis=1) / 64.0 + EPS)
    return x * factor[:, None], factor


@triton.jit
def normalise_backward(unit, factor, gradient):
    """Gradient at x from that at the normalised row."""
    return factor[:, None] * (gradient - unit * (tl.sum(unit * gradient, axis=1) / 64.0)[:, None])


@triton.jit
def gate(x_core, x_gate, norm):
    """gated, from the inputs of the normalisation. norm: scale core, scale gate, shift core, shift gate."""
    columns = tl.arange(0, 64)
    unit_core, _ = normalise(x_core)
    unit_gate, _ = normalise(x_gate)
    core = unit_core * tl.load(norm + columns)[None, :] + tl.load(norm + 128 + columns)[None, :]
    open_ = unit_gate * tl.load(norm + 64 + columns)[None, :] + tl.load(norm + 192 + columns)[None, :]
    return core * sigmoid(core) * sigmoid(open_)


@triton.jit
def gate_backward(x_core, x_gate, gradient, norm):
    """gated, and the gradients at x_core and x_gate from the gradient at gated."""
    columns = tl.arange(0, 64)
    scale_core, scale_gate = tl.load(norm + columns)[None, :], tl.load(norm + 64 + columns)[None, :]
    unit_core, factor_core = normalise(x_core)
    unit_gate, factor_gate = normalise(x_gate)
    core = unit_core * scale_core + tl.load(norm + 128 + columns)[None, :]
    opening = sigmoid(unit_gate * scale_gate + tl.load(norm + 192 + columns)[None, :])
    shut = sigmoid(core)
    value = core * shut
    of_core = gradient * opening * shut * (1.0 + core * (1.0 - shut)) * scale_core
    of_gate = gradient * value * opening * (1.0 - opening) * scale_gate
    of_core = normalise_backward(unit_core, factor_core, of_core)
    of_gate = normalise_backward(unit_gate, factor_gate, of_gate)
    return value * opening, of_core, of_gate


@triton.jit
def hidden_forward(core, gate_, pack, PRECISION: tl.constexpr):
    """x_core, x_gate of a two-layer block from its first layer's outputs."""
    columns = tl.arange(0, 64)
    x_core = tl.dot(
        core * sigmoid(core), matrix(pack + WEIGHT_CORE, 64, 64), input_precision=PRECISION, out_dtype=core.dtype
    )
    x_gate = tl.dot(
        gate_ * sigmoid(gate_), matrix(pack + WEIGHT_GATE, 64, 64), input_precision=PRECISION, out_dtype=core.dtype
    )
    x_core += tl.load(pack + BIAS + columns)[None, :]
    x_gate += tl.load(pack + BIAS + 64 + columns)[None, :]
    return x_core, x_gate


@triton.jit
def hidden_backward(core, gate_, of_x_core, of_x_gate, pack, PRECISION: tl.constexpr):
    """Gradients at the first layer's outputs."""
    of_core = tl.dot(of_x_core, matrix(pack + BACK_CORE, 64, 64), input_precision=PRECISION, out_dtype=core.dtype)
    of_gate = tl.dot(of_x_gate, matrix(pack + BACK_GATE, 64, 64), input_precision=PRECISION, out_dtype=core.dtype)
    return of_core * silu_slope(core), of_gate * silu_slope(gate_)

"""Triton kernel of the readout: energy of each atom and its gradient at the atom's feature, in one pass.

E_i = w4 SiLU(W3 SiLU(W2 SiLU(W1 LN(v) + b1) + b2) + b3) + b4.
Checked by tests/potentials/test_potentials_gpu_kernels.py.
"""

import triton
import triton.language as tl

from halion.potentials.gpu.gate_kernels import matrix, normalise, normalise_backward, sigmoid, silu_slope

__all__ = ["readout"]

# Places in the pack: three layers of (weight, transposed weight, bias), then w4, scale, shift, b4.
LAYER = tl.constexpr(8256)
LAST = tl.constexpr(24768)


@triton.jit
def forward_layer(x, layer, PRECISION: tl.constexpr):
    """W x + b."""
    out = tl.dot(x, matrix(layer, 64, 64), input_precision=PRECISION, out_dtype=x.dtype)
    return out + tl.load(layer + 8192 + tl.arange(0, 64))[None, :]


@triton.jit
def backward_layer(gradient, layer, PRECISION: tl.constexpr):
    """Gradient at x from that at W x + b."""
    return tl.dot(gradient, matrix(layer + 4096, 64, 64), input_precision=PRECISION, out_dtype=gradient.dtype)


@triton.jit
def readout(features, pack, sites, of_features, n_atoms, PRECISION: tl.constexpr, BLOCK: tl.constexpr):
    """sites: (n_atoms,) energies; of_features: (n_atoms, 64) their gradients."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.arange(0, 64)
    inside = rows < n_atoms
    places = rows[:, None] * 64 + columns[None, :]
    x = tl.load(features + places, mask=inside[:, None], other=0.0)
    unit, factor = normalise(x - (tl.sum(x, axis=1) / 64.0)[:, None])
    scale = tl.load(pack + LAST + 64 + columns)[None, :]
    last = tl.load(pack + LAST + columns)[None, :]
    h1 = forward_layer(unit * scale + tl.load(pack + LAST + 128 + columns)[None, :], pack, PRECISION)
    h2 = forward_layer(h1 * sigmoid(h1), pack + LAYER, PRECISION)
    h3 = forward_layer(h2 * sigmoid(h2), pack + 2 * LAYER, PRECISION)
    energy = tl.sum(h3 * sigmoid(h3) * last, axis=1) + tl.load(pack + LAST + 192)
    tl.store(sites + rows, energy, mask=inside)
    of_h2 = backward_layer(last * silu_slope(h3), pack + 2 * LAYER, PRECISION) * silu_slope(h2)
    of_h1 = backward_layer(of_h2, pack + LAYER, PRECISION) * silu_slope(h1)
    of_x = normalise_backward(unit, factor, backward_layer(of_h1, pack, PRECISION) * scale)
    of_x -= (tl.sum(of_x, axis=1) / 64.0)[:, None]
    tl.store(of_features + places, of_x, mask=inside[:, None])

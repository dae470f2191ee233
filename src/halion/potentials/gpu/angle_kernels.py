"""Triton kernels of BondConv and AngleUpdate: one tile of angles per program, all steps fused.

As in atom_kernels.py; an angle's own part is the product of its feature, and messages go to its first bond. What
falls on its second bond is the sum over the angles with the two bonds exchanged.
Checked by tests/potentials/test_potentials_gpu_kernels.py.
"""

import triton
import triton.language as tl

from halion.potentials.gpu.atom_kernels import gathered
from halion.potentials.gpu.gate_kernels import (
    NORM,
    gate,
    gate_backward,
    hidden_backward,
    hidden_forward,
    matrix,
)

__all__ = ["angle_messages", "angle_messages_backward", "bond_messages", "bond_messages_backward"]


@triton.jit
def angle_first_layer(
    rows,
    inside,
    angles,
    features,
    bonds,
    nodes,
    weights,
    ANGLES,
    BOND_STRIDE,
    NODE_STRIDE,
    PRECISION: tl.constexpr,
):
    """First layer's outputs of a tile of angles, and their two bonds."""
    first = tl.load(angles + rows, mask=inside, other=0)
    second = tl.load(angles + ANGLES + rows, mask=inside, other=0)
    centre = tl.load(angles + 2 * ANGLES + rows, mask=inside, other=0)
    own = tl.load(features + rows[:, None] * 64 + tl.arange(0, 64)[None, :], mask=inside[:, None], other=0.0)
    core = tl.dot(own, matrix(weights, 64, 64), input_precision=PRECISION, out_dtype=own.dtype)
    gate_ = tl.dot(own, matrix(weights + 4096, 64, 64), input_precision=PRECISION, out_dtype=own.dtype)
    core_1, gate_1 = gathered(bonds, first, inside, BOND_STRIDE)
    core_2, gate_2 = gathered(bonds + 128, second, inside, BOND_STRIDE)
    core_c, gate_c = gathered(nodes, centre, inside, NODE_STRIDE)
    return core + core_1 + core_2 + core_c, gate_ + gate_1 + gate_2 + gate_c, first, second


@triton.jit
def bond_messages(
    n_angles,
    angles,
    features,
    bonds,
    nodes,
    bond_weights,
    weights,
    pack,
    messages,
    ANGLES,
    BOND_STRIDE,
    NODE_STRIDE,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """BondConv: message of each angle to its first bond. messages: (ANGLES, 64)."""
    last = tl.minimum(tl.load(n_angles), ANGLES)
    if tl.program_id(0) * BLOCK < last:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        columns = tl.arange(0, 64)
        inside = rows < last
        core, gate_, first, second = angle_first_layer(
            rows, inside, angles, features, bonds, nodes, weights, ANGLES, BOND_STRIDE, NODE_STRIDE, PRECISION
        )
        x_core, x_gate = hidden_forward(core, gate_, pack, PRECISION)
        weight = tl.load(bond_weights + first[:, None] * 64 + columns[None, :])
        weight *= tl.load(bond_weights + second[:, None] * 64 + columns[None, :])
        message = gate(x_core, x_gate, pack + NORM) * weight
        tl.store(messages + rows[:, None] * 64 + columns[None, :], message, mask=inside[:, None])


@triton.jit
def angle_gradient(of_core, of_gate, weights, rows, inside, of_first, PRECISION: tl.constexpr):
    """Write the gradient at the first layer of a tile of angles; give that at the angles' features."""
    places = of_first + rows[:, None] * 128 + tl.arange(0, 64)[None, :]
    tl.store(places, of_core, mask=inside[:, None])
    tl.store(places + 64, of_gate, mask=inside[:, None])
    total = tl.dot(of_core, matrix(weights + 8192, 64, 64), input_precision=PRECISION, out_dtype=of_core.dtype)
    total += tl.dot(of_gate, matrix(weights + 12288, 64, 64), input_precision=PRECISION, out_dtype=of_core.dtype)
    return total


@triton.jit
def bond_messages_backward(
    n_angles,
    angles,
    features,
    bonds,
    nodes,
    bond_weights,
    weights,
    pack,
    of_sums,
    of_first,
    of_weights,
    of_features,
    ANGLES,
    BOND_STRIDE,
    NODE_STRIDE,
    ADD: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """From the gradient at the sums (n_bonds, 64): at the first layer (ANGLES, 128), at the weight of the first and
    of the second bond (ANGLES, 128), and at the angles' features (ANGLES, 64; added to what is there if ADD)."""
    last = tl.minimum(tl.load(n_angles), ANGLES)
    if tl.program_id(0) * BLOCK < last:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        columns = tl.arange(0, 64)
        inside = rows < last
        core, gate_, first, second = angle_first_layer(
            rows, inside, angles, features, bonds, nodes, weights, ANGLES, BOND_STRIDE, NODE_STRIDE, PRECISION
        )
        x_core, x_gate = hidden_forward(core, gate_, pack, PRECISION)
        weight_1 = tl.load(bond_weights + first[:, None] * 64 + columns[None, :])
        weight_2 = tl.load(bond_weights + second[:, None] * 64 + columns[None, :])
        upstream = tl.load(of_sums + first[:, None] * 64 + columns[None, :])
        value, of_x_core, of_x_gate = gate_backward(x_core, x_gate, upstream * weight_1 * weight_2, pack + NORM)
        of_core, of_gate = hidden_backward(core, gate_, of_x_core, of_x_gate, pack, PRECISION)
        places = of_weights + rows[:, None] * 128 + columns[None, :]
        tl.store(places, upstream * value * weight_2, mask=inside[:, None])
        tl.store(places + 64, upstream * value * weight_1, mask=inside[:, None])
        total = angle_gradient(of_core, of_gate, weights, rows, inside, of_first, PRECISION)
        places = of_features + rows[:, None] * 64 + columns[None, :]
        if ADD:
            total += tl.load(places, mask=inside[:, None], other=0.0)
        tl.store(places, total, mask=inside[:, None])


@triton.jit
def angle_messages(
    n_angles,
    angles,
    features,
    bonds,
    nodes,
    weights,
    norm,
    out,
    ANGLES,
    BOND_STRIDE,
    NODE_STRIDE,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """AngleUpdate: out = features + gated. (ANGLES, 64)."""
    last = tl.minimum(tl.load(n_angles), ANGLES)
    if tl.program_id(0) * BLOCK < last:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        places = rows[:, None] * 64 + tl.arange(0, 64)[None, :]
        inside = rows < last
        core, gate_, _, _ = angle_first_layer(
            rows, inside, angles, features, bonds, nodes, weights, ANGLES, BOND_STRIDE, NODE_STRIDE, PRECISION
        )
        before = tl.load(features + places, mask=inside[:, None], other=0.0)
        tl.store(out + places, before + gate(core, gate_, norm), mask=inside[:, None])


@triton.jit
def angle_messages_backward(
    n_angles,
    angles,
    features,
    bonds,
    nodes,
    weights,
    norm,
    of_features,
    of_first,
    ANGLES,
    BOND_STRIDE,
    NODE_STRIDE,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """From the gradient at the new features: at the first layer (ANGLES, 128), and, in place, at the old ones."""
    last = tl.minimum(tl.load(n_angles), ANGLES)
    if tl.program_id(0) * BLOCK < last:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        places = of_features + rows[:, None] * 64 + tl.arange(0, 64)[None, :]
        inside = rows < last
        core, gate_, _, _ = angle_first_layer(
            rows, inside, angles, features, bonds, nodes, weights, ANGLES, BOND_STRIDE, NODE_STRIDE, PRECISION
        )
        upstream = tl.load(places, mask=inside[:, None], other=0.0)
        _, of_core, of_gate = gate_backward(core, gate_, upstream, norm)
        total = upstream + angle_gradient(of_core, of_gate, weights, rows, inside, of_first, PRECISION)
        tl.store(places, total, mask=inside[:, None])

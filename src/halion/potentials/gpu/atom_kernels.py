"""Triton kernels of AtomConv: one tile of edges per program, all steps fused.

Forward, a program gathers what centre, neighbour and bond bring to the first layer, adds the edge's own part from
its radial basis, runs the gated block and weights the message. The message goes
to memory and `sum_rows` adds the rows of each centre: edges are sorted by centre, so no atomic is needed, tiles are
always full, and the order of summation is fixed. Backward, the tile is computed anew and the gradient at the first
layer's output is written; what falls on a centre is the sum of its rows, what falls on a neighbour is the sum
of its reverse rows. Checked by tests/potentials/test_potentials_gpu_kernels.py.

Tables hold, per atom or bond, the products of its feature with blocks of first layers: core 64, gate 64 columns.
"""

import triton
import triton.language as tl

from halion.potentials.gpu.gate_kernels import (
    NORM,
    gate,
    gate_backward,
    hidden_backward,
    hidden_forward,
    matrix,
)

__all__ = ["atom_messages", "atom_messages_backward", "gathered"]


@triton.jit
def gathered(table, rows, inside, STRIDE: tl.constexpr):
    """Core and gate columns of rows of a table."""
    places = table + rows[:, None] * STRIDE + tl.arange(0, 64)[None, :]
    return tl.load(places, mask=inside[:, None], other=0.0), tl.load(places + 64, mask=inside[:, None], other=0.0)


@triton.jit
def edge_first_layer(
    rows,
    inside,
    edges,
    basis,
    nodes,
    bond_part,
    weights,
    EDGES,
    NODE_STRIDE,
    HAS_BONDS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """First layer's outputs and message weights of a tile of edges, and its bases."""
    centre = tl.load(edges + rows, mask=inside, other=0)
    neighbour = tl.load(edges + EDGES + rows, mask=inside, other=0)
    radial = tl.load(basis + rows[:, None] * 32 + tl.arange(0, 32)[None, :], mask=inside[:, None], other=0.0)
    core = tl.dot(radial, matrix(weights, 32, 64), input_precision=PRECISION, out_dtype=radial.dtype)
    gate_ = tl.dot(radial, matrix(weights + 2048, 32, 64), input_precision=PRECISION, out_dtype=radial.dtype)
    weight = tl.dot(radial, matrix(weights + 4096, 32, 64), input_precision=PRECISION, out_dtype=radial.dtype)
    core_i, gate_i = gathered(nodes, centre, inside, NODE_STRIDE)
    core_j, gate_j = gathered(nodes + 128, neighbour, inside, NODE_STRIDE)
    core += core_i + core_j
    gate_ += gate_i + gate_j
    if HAS_BONDS:
        bond = tl.load(edges + 3 * EDGES + rows, mask=inside, other=-1)
        core_b, gate_b = gathered(bond_part, tl.maximum(bond, 0), bond >= 0, 128)
        core += core_b
        gate_ += gate_b
    return core, gate_, weight, centre


@triton.jit
def atom_messages(
    n_edges,
    edges,
    basis,
    nodes,
    bond_part,
    weights,
    pack,
    messages,
    EDGES,
    NODE_STRIDE,
    HAS_BONDS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """AtomConv: message of each edge to its centre. messages: (EDGES, 64)."""
    last = tl.minimum(tl.load(n_edges), EDGES)
    if tl.program_id(0) * BLOCK < last:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = rows < last
        core, gate_, weight, _ = edge_first_layer(
            rows, inside, edges, basis, nodes, bond_part, weights, EDGES, NODE_STRIDE, HAS_BONDS, PRECISION
        )
        x_core, x_gate = hidden_forward(core, gate_, pack, PRECISION)
        message = gate(x_core, x_gate, pack + NORM) * weight
        tl.store(messages + rows[:, None] * 64 + tl.arange(0, 64)[None, :], message, mask=inside[:, None])


@triton.jit
def atom_messages_backward(
    n_edges,
    edges,
    basis,
    nodes,
    bond_part,
    weights,
    pack,
    of_sums,
    of_first,
    of_basis,
    EDGES,
    NODE_STRIDE,
    HAS_BONDS: tl.constexpr,
    ADD: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """From the gradient at the sums (n_atoms, 64): at the first layer (EDGES, 128) and at the bases (EDGES, 32).

    ADD: the bases have gradients from another layer already.
    """
    last = tl.minimum(tl.load(n_edges), EDGES)
    if tl.program_id(0) * BLOCK < last:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        columns = tl.arange(0, 64)
        inside = rows < last
        core, gate_, weight, centre = edge_first_layer(
            rows, inside, edges, basis, nodes, bond_part, weights, EDGES, NODE_STRIDE, HAS_BONDS, PRECISION
        )
        x_core, x_gate = hidden_forward(core, gate_, pack, PRECISION)
        upstream = tl.load(of_sums + centre[:, None] * 64 + columns[None, :], mask=inside[:, None], other=0.0)
        value, of_x_core, of_x_gate = gate_backward(x_core, x_gate, upstream * weight, pack + NORM)
        of_core, of_gate = hidden_backward(core, gate_, of_x_core, of_x_gate, pack, PRECISION)
        places = of_first + rows[:, None] * 128 + columns[None, :]
        tl.store(places, of_core, mask=inside[:, None])
        tl.store(places + 64, of_gate, mask=inside[:, None])
        total = tl.dot(of_core, matrix(weights + 6144, 64, 32), input_precision=PRECISION, out_dtype=core.dtype)
        total += tl.dot(of_gate, matrix(weights + 8192, 64, 32), input_precision=PRECISION, out_dtype=core.dtype)
        total += tl.dot(
            upstream * value, matrix(weights + 10240, 64, 32), input_precision=PRECISION, out_dtype=core.dtype
        )
        places = of_basis + rows[:, None] * 32 + tl.arange(0, 32)[None, :]
        if ADD:
            total += tl.load(places, mask=inside[:, None], other=0.0)
        tl.store(places, total, mask=inside[:, None])

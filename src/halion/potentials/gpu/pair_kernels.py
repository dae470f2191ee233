"""Triton kernels that turn the list with its skin into this step's graph: pairs < 6 Angstrom, bonds < 3, angles.

An edge is a directed pair within 6 Angstrom, a bond here a directed pair within 3 Angstrom, an angle an ordered
pair of different bonds of one centre. All three are sorted by what they are summed over (edges and bonds by centre,
angles by first bond), and each knows its partner: the reverse edge, the reverse bond, the angle with its two bonds
exchanged.
Numbers beyond a capacity are not written, and what is written never points outside, so a graph that does not
fit gives wrong numbers (and says so in its counts) but touches no foreign memory.

Geometry in float64. Checked by tests/potentials/test_potentials_gpu_lists.py.
"""

import triton
import triton.language as tl

from halion.potentials.gpu.list_kernels import matrix3, rotate, store3, vector3

__all__ = ["count_pairs", "fill_angles", "fill_bonds", "fill_pairs", "reverse_edges"]


@triton.jit
def pair_vectors(atom, k, inside, positions, cells, structure_of, neighbours, shifts, SLOTS):
    """Vectors from the neighbours in slots k of an atom to it, and the neighbours."""
    structure = tl.load(structure_of + atom)
    l0, l1, l2, l3, l4, l5, l6, l7, l8 = matrix3(cells + structure * 9)
    slots = atom * SLOTS + k
    other = tl.load(neighbours + slots, mask=inside, other=0)
    p, q, r = vector3(shifts, slots, inside)
    ox, oy, oz = vector3(positions, other, inside)
    sx, sy, sz = rotate(p, q, r, l0, l1, l2, l3, l4, l5, l6, l7, l8)
    x = tl.load(positions + atom * 3) - ox - sx
    y = tl.load(positions + atom * 3 + 1) - oy - sy
    z = tl.load(positions + atom * 3 + 2) - oz - sz
    return x, y, z, other


@triton.jit
def count_pairs(
    positions,
    cells,
    structure_of,
    row_counts,
    neighbours,
    shifts,
    counts,
    n_atoms,
    SLOTS,
    BLOCK: tl.constexpr,
):
    """One program per atom: how many edges, bonds and angles it is the centre of. counts: (3, n_atoms)."""
    atom = tl.program_id(0)
    edges, bonds = 0, 0
    last = tl.minimum(tl.load(row_counts + atom), SLOTS)
    for base in range(0, last, BLOCK):
        k = base + tl.arange(0, BLOCK)
        inside = k < last
        x, y, z, _ = pair_vectors(atom, k, inside, positions, cells, structure_of, neighbours, shifts, SLOTS)
        distance2 = x * x + y * y + z * z
        edges += tl.sum((inside & (distance2 < 36.0)).to(tl.int32), axis=0)
        bonds += tl.sum((inside & (distance2 < 9.0)).to(tl.int32), axis=0)
    tl.store(counts + atom, edges)
    tl.store(counts + n_atoms + atom, bonds)
    tl.store(counts + 2 * n_atoms + atom, bonds * (bonds - 1))


@triton.jit
def fill_pairs(
    positions,
    cells,
    structure_of,
    row_counts,
    neighbours,
    shifts,
    edge_starts,
    bond_starts,
    slot_edges,
    edges,
    vectors,
    lengths,
    bonds,
    EDGES,
    BONDS,
    SLOTS,
    BLOCK: tl.constexpr,
):
    """One program per atom: its edges and bonds at their places.

    edges: (4, EDGES) centre, neighbour, slot (replaced by the reverse edge later), bond or -1.
    bonds: (3, BONDS) centre, edge, reverse bond (written later). slot_edges: edge of each slot.
    """
    atom = tl.program_id(0)
    edge, bond = tl.load(edge_starts + atom), tl.load(bond_starts + atom)
    last = tl.minimum(tl.load(row_counts + atom), SLOTS)
    for base in range(0, last, BLOCK):
        k = base + tl.arange(0, BLOCK)
        inside = k < last
        x, y, z, other = pair_vectors(atom, k, inside, positions, cells, structure_of, neighbours, shifts, SLOTS)
        distance2 = x * x + y * y + z * z
        near, close = inside & (distance2 < 36.0), inside & (distance2 < 9.0)
        is_edge, is_bond = near.to(tl.int32), close.to(tl.int32)
        e = edge + tl.cumsum(is_edge, axis=0) - is_edge
        b = bond + tl.cumsum(is_bond, axis=0) - is_bond
        edge += tl.sum(is_edge, axis=0)
        bond += tl.sum(is_bond, axis=0)
        near = near & (e < EDGES)
        close = close & (b < BONDS) & near
        tl.store(slot_edges + atom * SLOTS + k, tl.where(near, e, 0), mask=inside)
        tl.store(edges + e, tl.zeros([BLOCK], dtype=tl.int32) + atom, mask=near)
        tl.store(edges + EDGES + e, other, mask=near)
        tl.store(edges + 2 * EDGES + e, atom * SLOTS + k, mask=near)
        tl.store(edges + 3 * EDGES + e, tl.where(close, b, -1), mask=near)
        store3(vectors, e, x, y, z, near)
        tl.store(lengths + e, tl.sqrt(distance2), mask=near)
        tl.store(bonds + b, tl.zeros([BLOCK], dtype=tl.int32) + atom, mask=close)
        tl.store(bonds + BONDS + b, e, mask=close)


@triton.jit
def reverse_edges(n_edges, edges, slot_edges, reverse_slots, EDGES, BLOCK: tl.constexpr):
    """Replace the slot of each edge by its reverse edge. Programs beyond the number of edges have nothing to do."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < tl.minimum(tl.load(n_edges), EDGES)
    slot = tl.load(edges + 2 * EDGES + rows, mask=inside, other=0)
    back = tl.load(reverse_slots + slot, mask=inside, other=0)
    tl.store(edges + 2 * EDGES + rows, tl.load(slot_edges + back, mask=inside, other=0), mask=inside)


@triton.jit
def fill_bonds(
    n_bonds,
    edges,
    bonds,
    vectors,
    lengths,
    units,
    bond_lengths,
    EDGES,
    BONDS,
    BLOCK: tl.constexpr,
):
    """Reverse bond, unit vector (neighbour to centre) and length of each bond."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < tl.minimum(tl.load(n_bonds), BONDS)
    edge = tl.load(bonds + BONDS + rows, mask=inside, other=0)
    back = tl.load(edges + 2 * EDGES + edge, mask=inside, other=0)
    reverse = tl.load(edges + 3 * EDGES + back, mask=inside, other=0)
    tl.store(bonds + 2 * BONDS + rows, tl.maximum(reverse, 0), mask=inside)
    x, y, z = vector3(vectors, edge, inside)
    length = tl.load(lengths + edge, mask=inside, other=1.0)
    store3(units, rows, x / length, y / length, z / length, inside)
    tl.store(bond_lengths + rows, length, mask=inside)


@triton.jit
def fill_angles(
    n_bonds,
    bonds,
    bond_starts,
    angle_starts,
    first_angles,
    angles,
    ANGLES,
    BONDS,
    BLOCK: tl.constexpr,
):
    """One lane per bond: its angles with the other bonds of its centre.

    angles: (4, ANGLES) first bond, second bond, centre, the angle with the two exchanged.
    first_angles: (BONDS + 1,) where the angles of each bond begin.
    """
    b = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = b < tl.minimum(tl.load(n_bonds), BONDS)
    centre = tl.load(bonds + b, mask=inside, other=0)
    base = tl.load(bond_starts + centre, mask=inside, other=0)
    start = tl.load(angle_starts + centre, mask=inside, other=0)
    others = tl.load(bond_starts + centre + 1, mask=inside, other=1) - base - 1
    own = b - base
    row = start + own * others
    tl.store(first_angles + b, tl.minimum(row, ANGLES), mask=inside)
    tl.store(first_angles + b + 1, tl.minimum(row + others, ANGLES), mask=inside)
    for k in range(tl.max(tl.where(inside, others, 0), axis=0)):
        a = row + k
        fits = inside & (k < others) & (a < ANGLES)
        place = k + (own <= k).to(tl.int32)
        exchanged = start + place * others + own - (own > place).to(tl.int32)
        tl.store(angles + a, b, mask=fits)
        tl.store(angles + ANGLES + a, tl.minimum(base + place, BONDS - 1), mask=fits)
        tl.store(angles + 2 * ANGLES + a, centre, mask=fits)
        tl.store(angles + 3 * ANGLES + a, tl.minimum(exchanged, ANGLES - 1), mask=fits)

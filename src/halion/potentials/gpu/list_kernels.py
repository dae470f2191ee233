"""Triton kernels of the neighbour list on the device: pairs within cutoff and skin, and when to look anew.

A list row holds the neighbours of one atom in the canonical order (neighbour, shift), in `SLOTS` places at most; a
program that needs more writes none beyond and says how many it needed, so that nothing is written outside. All
programs of a structure whose list is still good end at once, so the whole update can stand in a CUDA graph.

vec = r_centre - r_neighbour - shift @ cell, always summed in this order: the reverse pair gives its exact negative.
Positions are as given, wrapped or not: shift counts from them.
Checked by tests/potentials/test_potentials_gpu_lists.py.
"""

import triton
import triton.language as tl

__all__ = ["build_rows", "check_structures", "match_reverse", "remember", "wrap_atoms"]

# No cell that means anything is so thin that a cutoff of 6.5 Angstrom crosses it more often.
MOST_IMAGES = tl.constexpr(12)


@triton.jit
def cross(ax, ay, az, bx, by, bz):
    """a x b."""
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@triton.jit
def matrix3(address):
    """The nine elements of a 3 x 3 matrix, row by row."""
    return (
        tl.load(address),
        tl.load(address + 1),
        tl.load(address + 2),
        tl.load(address + 3),
        tl.load(address + 4),
        tl.load(address + 5),
        tl.load(address + 6),
        tl.load(address + 7),
        tl.load(address + 8),
    )


@triton.jit
def vector3(address, rows, inside):
    """Three columns of rows of an (n, 3) array, zero where not inside."""
    x = tl.load(address + rows * 3, mask=inside, other=0.0)
    y = tl.load(address + rows * 3 + 1, mask=inside, other=0.0)
    z = tl.load(address + rows * 3 + 2, mask=inside, other=0.0)
    return x, y, z


@triton.jit
def store3(address, rows, x, y, z, inside):
    """Write three columns of rows of an (n, 3) array."""
    tl.store(address + rows * 3, x, mask=inside)
    tl.store(address + rows * 3 + 1, y, mask=inside)
    tl.store(address + rows * 3 + 2, z, mask=inside)


@triton.jit
def rotate(x, y, z, m0, m1, m2, m3, m4, m5, m6, m7, m8):
    """Row vector times matrix."""
    return x * m0 + y * m3 + z * m6, x * m1 + y * m4 + z * m7, x * m2 + y * m5 + z * m8


@triton.jit
def inverse3(a0, a1, a2, b0, b1, b2, c0, c1, c2):
    """Inverse of the matrix with rows a, b, c."""
    u0, u1, u2 = cross(b0, b1, b2, c0, c1, c2)
    v0, v1, v2 = cross(c0, c1, c2, a0, a1, a2)
    w0, w1, w2 = cross(a0, a1, a2, b0, b1, b2)
    volume = a0 * u0 + a1 * u1 + a2 * u2
    return (
        u0 / volume,
        v0 / volume,
        w0 / volume,
        u1 / volume,
        v1 / volume,
        w1 / volume,
        u2 / volume,
        v2 / volume,
        w2 / volume,
    )


@triton.jit
def images_across(m0, m3, m6, REACH: tl.constexpr):
    """How many images along one axis a pair of wrapped atoms can need: a column of the inverse is 1 / height."""
    needed = (tl.floor(tl.sqrt(m0 * m0 + m3 * m3 + m6 * m6) * REACH) + 1.0).to(tl.int32)
    return tl.minimum(tl.maximum(needed, 1), MOST_IMAGES), needed


@triton.jit
def check_structures(
    positions,
    cells,
    old_positions,
    old_cells,
    starts,
    stale,
    images,
    needs,
    REACH: tl.constexpr,
    CUTOFF: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program per structure: stale = 1 where a pair may have come within the cutoff unseen.

    With F = old^-1 new, u = r - r_old F: a pair that was farther than reach is now at least
    reach (1 - |F - 1|) - 2 max |u| apart. Comparisons with NaN (nothing built yet, an exploded run) count as stale.
    """
    structure = tl.program_id(0)
    l0, l1, l2, l3, l4, l5, l6, l7, l8 = matrix3(cells + structure * 9)
    o0, o1, o2, o3, o4, o5, o6, o7, o8 = matrix3(old_cells + structure * 9)
    i0, i1, i2, i3, i4, i5, i6, i7, i8 = inverse3(o0, o1, o2, o3, o4, o5, o6, o7, o8)
    f0, f1, f2 = rotate(i0, i1, i2, l0, l1, l2, l3, l4, l5, l6, l7, l8)
    f3, f4, f5 = rotate(i3, i4, i5, l0, l1, l2, l3, l4, l5, l6, l7, l8)
    f6, f7, f8 = rotate(i6, i7, i8, l0, l1, l2, l3, l4, l5, l6, l7, l8)
    diagonal = (f0 - 1.0) * (f0 - 1.0) + (f4 - 1.0) * (f4 - 1.0) + (f8 - 1.0) * (f8 - 1.0)
    strain = tl.sqrt(diagonal + f1 * f1 + f2 * f2 + f3 * f3 + f5 * f5 + f6 * f6 + f7 * f7)
    room = 0.5 * (REACH * (1.0 - strain) - CUTOFF)
    limit = tl.where(room > 0.0, room * room, -1.0)
    moved = 0
    first, last = tl.load(starts + structure), tl.load(starts + structure + 1)
    for base in range(first, last, BLOCK):
        rows = base + tl.arange(0, BLOCK)
        inside = rows < last
        x, y, z = vector3(positions, rows, inside)
        ox, oy, oz = vector3(old_positions, rows, inside)
        fx, fy, fz = rotate(ox, oy, oz, f0, f1, f2, f3, f4, f5, f6, f7, f8)
        distance2 = (x - fx) * (x - fx) + (y - fy) * (y - fy) + (z - fz) * (z - fz)
        good = distance2 <= limit
        moved += tl.sum((inside & (good == 0)).to(tl.int32), axis=0)
    tl.store(stale + structure, (moved > 0).to(tl.int32))
    i0, i1, i2, i3, i4, i5, i6, i7, i8 = inverse3(l0, l1, l2, l3, l4, l5, l6, l7, l8)
    na, most_a = images_across(i0, i3, i6, REACH)
    nb, most_b = images_across(i1, i4, i7, REACH)
    nc, most_c = images_across(i2, i5, i8, REACH)
    tl.store(images + structure * 3, na)
    tl.store(images + structure * 3 + 1, nb)
    tl.store(images + structure * 3 + 2, nc)
    tl.store(needs + structure, tl.maximum(most_a, tl.maximum(most_b, most_c)))


@triton.jit
def wrap_atoms(positions, cells, structure_of, stale, wrapped, wraps, n_atoms, BLOCK: tl.constexpr):
    """Positions moved into the cell and by how many cells, where the list is to be built."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < n_atoms
    structure = tl.load(structure_of + rows, mask=inside, other=0)
    inside = inside & (tl.load(stale + structure, mask=inside, other=0) != 0)
    address = cells + structure * 9
    l0, l1, l2, l3, l4, l5, l6, l7, l8 = matrix3(address)
    i0, i1, i2, i3, i4, i5, i6, i7, i8 = inverse3(l0, l1, l2, l3, l4, l5, l6, l7, l8)
    x, y, z = vector3(positions, rows, inside)
    a, b, c = rotate(x, y, z, i0, i1, i2, i3, i4, i5, i6, i7, i8)
    na, nb, nc = tl.floor(a), tl.floor(b), tl.floor(c)
    dx, dy, dz = rotate(na, nb, nc, l0, l1, l2, l3, l4, l5, l6, l7, l8)
    store3(wrapped, rows, x - dx, y - dy, z - dz, inside)
    store3(wraps, rows, na.to(tl.int32), nb.to(tl.int32), nc.to(tl.int32), inside)


@triton.jit
def build_rows(
    wrapped,
    wraps,
    cells,
    structure_of,
    starts,
    stale,
    images,
    row_counts,
    neighbours,
    shifts,
    SLOTS,
    REACH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program per atom: all its neighbours within reach. Candidates are all atoms at all images, in order."""
    atom = tl.program_id(0)
    structure = tl.load(structure_of + atom)
    if tl.load(stale + structure) != 0:
        l0, l1, l2, l3, l4, l5, l6, l7, l8 = matrix3(cells + structure * 9)
        na = tl.load(images + structure * 3)
        nb = tl.load(images + structure * 3 + 1)
        nc = tl.load(images + structure * 3 + 2)
        x, y, z = tl.load(wrapped + atom * 3), tl.load(wrapped + atom * 3 + 1), tl.load(wrapped + atom * 3 + 2)
        wx, wy, wz = tl.load(wraps + atom * 3), tl.load(wraps + atom * 3 + 1), tl.load(wraps + atom * 3 + 2)
        first = tl.load(starts + structure)
        images_each = (2 * na + 1) * (2 * nb + 1) * (2 * nc + 1)
        candidates = (tl.load(starts + structure + 1) - first) * images_each
        written = 0
        for base in range(0, candidates, BLOCK):
            candidate = base + tl.arange(0, BLOCK)
            inside = candidate < candidates
            other, image = first + candidate // images_each, candidate % images_each
            p = image // ((2 * nb + 1) * (2 * nc + 1)) - na
            q = image // (2 * nc + 1) % (2 * nb + 1) - nb
            r = image % (2 * nc + 1) - nc
            ox, oy, oz = vector3(wrapped, other, inside)
            sx, sy, sz = rotate(p, q, r, l0, l1, l2, l3, l4, l5, l6, l7, l8)
            dx, dy, dz = x - ox - sx, y - oy - sy, z - oz - sz
            itself = (other == atom) & (p == 0) & (q == 0) & (r == 0)
            near = inside & (itself == 0) & (dx * dx + dy * dy + dz * dz < REACH * REACH)
            count = near.to(tl.int32)
            place = written + tl.cumsum(count, axis=0) - count
            written += tl.sum(count, axis=0)
            fits = near & (place < SLOTS)
            ux, uy, uz = vector3(wraps, other, fits)
            tl.store(neighbours + atom * SLOTS + place, other, mask=fits)
            store3(shifts, atom * SLOTS + place, p + wx - ux, q + wy - uy, r + wz - uz, fits)
        tl.store(row_counts + atom, written)


@triton.jit
def match_reverse(
    structure_of,
    stale,
    row_counts,
    neighbours,
    shifts,
    reverse_slots,
    SLOTS,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program per atom: for each of its slots (i, j, S) the slot of (j, i, -S), by bisection of the row of j.

    2^STEPS > SLOTS.
    """
    atom = tl.program_id(0)
    if tl.load(stale + tl.load(structure_of + atom)) != 0:
        last = tl.minimum(tl.load(row_counts + atom), SLOTS)
        for base in range(0, last, BLOCK):
            k = base + tl.arange(0, BLOCK)
            inside = k < last
            slots = atom * SLOTS + k
            other = tl.load(neighbours + slots, mask=inside, other=0)
            p, q, r = vector3(shifts, slots, inside)
            length = tl.minimum(tl.load(row_counts + other, mask=inside, other=0), SLOTS)
            low, high = length * 0, length
            for _ in range(STEPS):
                middle = (low + high) // 2
                searching = inside & (low < high)
                back = tl.load(neighbours + other * SLOTS + middle, mask=searching, other=0)
                bp, bq, br = vector3(shifts, other * SLOTS + middle, searching)
                later = (bq < -q) | ((bq == -q) & (br < -r))
                is_before = (back < atom) | ((back == atom) & ((bp < -p) | ((bp == -p) & later)))
                low = tl.where(searching & is_before, middle + 1, low)
                high = tl.where(searching & (is_before == 0), middle, high)
            # Where rows were cut short the reverse may be missing; any place inside will do then.
            found = other * SLOTS + tl.minimum(low, SLOTS - 1)
            tl.store(reverse_slots + slots, found, mask=inside)


@triton.jit
def remember(positions, old_positions, structure_of, stale, n_atoms, BLOCK: tl.constexpr):
    """Keep the positions that the list was built from."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < n_atoms
    structure = tl.load(structure_of + rows, mask=inside, other=0)
    inside = inside & (tl.load(stale + structure, mask=inside, other=0) != 0)
    x, y, z = vector3(positions, rows, inside)
    store3(old_positions, rows, x, y, z, inside)

"""Triton kernels of the radial and angular bases and of the way back from their gradients to forces and virials.

Radial basis of length d with the cutoff polynomial of power 8, x = d / rc:
    R_n = sqrt(2 / rc) u(x) sin(f_n x) / d,   u = 1 - 45 x^8 + 80 x^9 - 36 x^10
Angular: a_k sin(g_k theta + phase_k): the constant, 15 sines, 15 cosines. Both are padded with zeros to 32 columns.
All in float64, rounded to the network's type where a row is stored. With g_e = dE/dvec_e of edge e:
    F_i = sum_{e of centre i} (g_{reverse e} - g_e),   virial_i = sum_{e of centre i} vec_e (outer) g_e
Checked by tests/potentials/test_potentials_gpu_kernels.py.
"""

import triton
import triton.language as tl

from halion.potentials.gpu.list_kernels import store3, vector3

__all__ = [
    "angle_rows",
    "angle_slopes",
    "bond_gradients",
    "forces_and_virials",
    "radial_rows",
    "radial_slopes",
    "sum_structures",
]

COLUMNS = tl.constexpr(32)


@triton.jit
def envelope(x):
    """The cutoff polynomial u(x) and du/dx, 0 beyond 1."""
    x2 = x * x
    x7 = x2 * x2 * x2 * x
    value = 1.0 + x7 * x * (-45.0 + x * (80.0 - 36.0 * x))
    slope = x7 * (-360.0 + x * (720.0 - 360.0 * x))
    return tl.where(x < 1.0, value, 0.0), tl.where(x < 1.0, slope, 0.0)


@triton.jit
def radial_rows(limit, lengths, frequencies, basis, CAPACITY, RADIUS: tl.constexpr, BLOCK: tl.constexpr):
    """Radial basis of each length. basis: (CAPACITY, 32)."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.arange(0, COLUMNS)
    inside = rows < tl.minimum(tl.load(limit), CAPACITY)
    d = tl.load(lengths + rows, mask=inside, other=1.0)
    x = d / RADIUS
    value, _ = envelope(x)
    norm: tl.constexpr = (2.0 / RADIUS) ** 0.5
    waves = tl.sin(tl.load(frequencies + columns)[None, :] * x[:, None])
    row = waves * (norm * value / d)[:, None]
    tl.store(basis + rows[:, None] * COLUMNS + columns[None, :], row, mask=inside[:, None])


@triton.jit
def radial_slopes(
    limit,
    lengths,
    frequencies,
    gradients,
    slopes,
    CAPACITY,
    RADIUS: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """dE/dd of each length from dE/dR (CAPACITY, 32); added to what is there if ADD."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.arange(0, COLUMNS)
    inside = rows < tl.minimum(tl.load(limit), CAPACITY)
    d = tl.load(lengths + rows, mask=inside, other=1.0)
    x = d / RADIUS
    value, slope = envelope(x)
    norm: tl.constexpr = (2.0 / RADIUS) ** 0.5
    f = tl.load(frequencies + columns)[None, :]
    gradient = tl.load(gradients + rows[:, None] * COLUMNS + columns[None, :], mask=inside[:, None], other=0.0).to(
        tl.float64
    )
    of_wave = tl.sum(gradient * tl.sin(f * x[:, None]), axis=1)
    of_slope = tl.sum(gradient * f * tl.cos(f * x[:, None]), axis=1)
    total = norm / d * (of_wave * (slope / RADIUS - value / d) + of_slope * value / RADIUS)
    if ADD:
        total += tl.load(slopes + rows, mask=inside, other=0.0)
    tl.store(slopes + rows, total, mask=inside)


@triton.jit
def angle_rows(limit, thetas, waves, basis, CAPACITY, BLOCK: tl.constexpr):
    """Angular basis of each angle. waves: (3, 32) frequency, phase, amplitude."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.arange(0, COLUMNS)
    inside = rows < tl.minimum(tl.load(limit), CAPACITY)
    theta = tl.load(thetas + rows, mask=inside, other=0.0)[:, None]
    phase = tl.load(waves + columns)[None, :] * theta + tl.load(waves + COLUMNS + columns)[None, :]
    row = tl.sin(phase) * tl.load(waves + 2 * COLUMNS + columns)[None, :]
    tl.store(basis + rows[:, None] * COLUMNS + columns[None, :], row, mask=inside[:, None])


@triton.jit
def angle_slopes(limit, thetas, waves, gradients, slopes, CAPACITY, BLOCK: tl.constexpr):
    """dE/dcos of each angle from dE/dbasis; cos is scaled by 1 - 1e-6 before the arc cosine, as CHGNet does."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.arange(0, COLUMNS)
    inside = rows < tl.minimum(tl.load(limit), CAPACITY)
    theta = tl.load(thetas + rows, mask=inside, other=1.0)
    frequency = tl.load(waves + columns)[None, :]
    phase = frequency * theta[:, None] + tl.load(waves + COLUMNS + columns)[None, :]
    slope = tl.cos(phase) * frequency * tl.load(waves + 2 * COLUMNS + columns)[None, :]
    gradient = tl.load(gradients + rows[:, None] * COLUMNS + columns[None, :], mask=inside[:, None], other=0.0)
    of_theta = tl.sum(gradient.to(tl.float64) * slope, axis=1)
    tl.store(slopes + rows, of_theta * (1e-6 - 1.0) / tl.sin(theta), mask=inside)


@triton.jit
def bond_gradients(
    n_bonds,
    first_angles,
    angles,
    units,
    lengths,
    length_slopes,
    angle_slopes_of,
    gradients,
    BONDS,
    ANGLES,
    BLOCK: tl.constexpr,
):
    """dE/dvec of each bond beyond what it has as an edge: from its length and from its angles, as first and second.

    d cos / d vec = (u' - (u . u') u) / d.
    """
    b = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = b < tl.minimum(tl.load(n_bonds), BONDS)
    ux, uy, uz = vector3(units, b, inside)
    first = tl.load(first_angles + b, mask=inside, other=0)
    count = tl.load(first_angles + b + 1, mask=inside, other=0) - first
    vx, vy, vz = ux * 0.0, ux * 0.0, ux * 0.0
    for k in range(tl.max(tl.where(inside, count, 0), axis=0)):
        within = inside & (k < count)
        second = tl.load(angles + ANGLES + first + k, mask=within, other=0)
        exchanged = tl.load(angles + 3 * ANGLES + first + k, mask=within, other=0)
        slope = tl.load(angle_slopes_of + first + k, mask=within, other=0.0)
        slope += tl.load(angle_slopes_of + exchanged, mask=within, other=0.0)
        sx, sy, sz = vector3(units, second, within)
        vx += slope * sx
        vy += slope * sy
        vz += slope * sz
    d = tl.load(lengths + b, mask=inside, other=1.0)
    along = tl.load(length_slopes + b, mask=inside, other=0.0) - (vx * ux + vy * uy + vz * uz) / d
    store3(gradients, b, vx / d + along * ux, vy / d + along * uy, vz / d + along * uz, inside)


@triton.jit
def edge_gradient(e, inside, edges, vectors, lengths, slopes, of_bonds, EDGES):
    """dE/dvec of edges: along the vector, and what its bond adds where it is one."""
    x, y, z = vector3(vectors, e, inside)
    pull = tl.load(slopes + e, mask=inside, other=0.0) / tl.load(lengths + e, mask=inside, other=1.0)
    bond = tl.load(edges + 3 * EDGES + e, mask=inside, other=-1)
    bx, by, bz = vector3(of_bonds, bond, inside & (bond >= 0))
    return pull * x + bx, pull * y + by, pull * z + bz


@triton.jit
def forces_and_virials(
    edge_starts,
    edges,
    vectors,
    lengths,
    slopes,
    of_bonds,
    sites,
    references,
    forces,
    totals,
    EDGES,
    BLOCK: tl.constexpr,
):
    """One program per atom: its force, its part of the virial (columns 0-8 of totals) and its energy (column 9)."""
    atom = tl.program_id(0)
    columns = tl.arange(0, 16)
    lanes = tl.arange(0, BLOCK)
    fx, fy, fz = lanes * 0.0, lanes * 0.0, lanes * 0.0
    fx, fy, fz = fx.to(tl.float64), fy.to(tl.float64), fz.to(tl.float64)
    energy = tl.load(sites + atom).to(tl.float64) + tl.load(references + atom)
    total = tl.where(columns == 9, energy, 0.0)
    last = tl.minimum(tl.load(edge_starts + atom + 1), EDGES)
    for base in range(tl.load(edge_starts + atom), last, BLOCK):
        e = base + lanes
        inside = e < last
        gx, gy, gz = edge_gradient(e, inside, edges, vectors, lengths, slopes, of_bonds, EDGES)
        back = tl.load(edges + 2 * EDGES + e, mask=inside, other=0)
        rx, ry, rz = edge_gradient(back, inside, edges, vectors, lengths, slopes, of_bonds, EDGES)
        fx += rx - gx
        fy += ry - gy
        fz += rz - gz
        x, y, z = vector3(vectors, e, inside)
        row, column = columns // 3, columns % 3
        left = tl.where(row[None, :] == 0, x[:, None], tl.where(row[None, :] == 1, y[:, None], z[:, None]))
        right = tl.where(
            column[None, :] == 0, gx[:, None], tl.where(column[None, :] == 1, gy[:, None], gz[:, None])
        )
        total += tl.sum(tl.where(columns[None, :] < 9, left * right, 0.0), axis=0)
    tl.store(forces + atom * 3, tl.sum(fx, axis=0))
    tl.store(forces + atom * 3 + 1, tl.sum(fy, axis=0))
    tl.store(forces + atom * 3 + 2, tl.sum(fz, axis=0))
    tl.store(totals + atom * 16 + columns, total)


@triton.jit
def sum_structures(totals, starts, sums, BLOCK: tl.constexpr):
    """One program per structure: sums of its atoms' rows (n_atoms, 16), always in the same order."""
    structure = tl.program_id(0)
    columns = tl.arange(0, 16)
    first, last = tl.load(starts + structure), tl.load(starts + structure + 1)
    total = tl.zeros([16], dtype=tl.float64)
    for base in range(first, last, BLOCK):
        rows = base + tl.arange(0, BLOCK)
        part = tl.load(totals + rows[:, None] * 16 + columns[None, :], mask=(rows < last)[:, None], other=0.0)
        total += tl.sum(part, axis=0)
    tl.store(sums + structure * 16 + columns, total)

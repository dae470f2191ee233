"""NVE, Nose-Hoover chain NVT and Martyna-Tobias-Klein NPT for many runs at once, on arrays.

Equations of motion of one run, atoms as rows, Nf = 3N - 3, w the strain rate of the cell, u and s the rates of the
chains of atoms and cell (M = 3 links each):

    dq/dt = p/m + q w        dp/dt = F - p w - (tr w / Nf) p - u_1 p        dh/dt = h w
    W dw/dt = sum p p / m - dE/dstrain - P V + sum(p^2/m) / Nf - s_1 W w,   W = N kT tau_p^2
    Q_1 = Nf kT tau^2, Q_k = kT tau^2        R_1 = Nc kT tau_p^2, R_k = kT tau_p^2

w stays symmetric, so the cell does not rotate and has Nc = 6 degrees of freedom; isotropic cells keep the trace
alone, Nc = 1. W is (Nf + 3) kT tau_p^2 / 3 of MTK, and Q, R are the masses of LAMMPS. The chains are kept as rates,
p / Q: while the target moves (heating), masses and momenta follow it and the rates stay. A chain or a barostat
that is absent has the frequency 0 and its rates stay 0: one code path for all ensembles.

One step is the symmetric product of exact parts chains(dt/2) cell(dt/2) momenta(dt/2) positions(dt) and back: time-
reversible, error dt^2. Sources: Martyna et al., Mol. Phys. 87, 1117 (1996); Tuckerman et al., J. Phys. A 39, 5629
(2006), doi:10.1088/0305-4470/39/19/S18. ASE 3.29 has the same splitting, with a Suzuki-Yoshida product of three in
the chains; at tau = 100 dt a single one is as good as the rest of the step.

Nothing here asks an array for its value, so that arrays of a device can take the place of numpy's: `Conditions.xp`
is their namespace, `Conditions.sum_over_runs` the one function that namespaces do not share.
Checked by tests/dynamics/test_dynamics_integrators.py and test_dynamics_ensembles.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from halion.arrays import FloatArray, IntArray
from halion.dynamics.chains import CHAIN_LENGTH, Chain, ChainTurn, chain_energies, turn_chains

__all__ = [
    "CHAIN_LENGTH",
    "Conditions",
    "Motion",
    "after_forces",
    "before_forces",
    "conserved_energies",
    "kinetic_tensors",
    "twice_kinetic_energies",
    "volumes_of",
]

# exp(a) = 1 + a phi(a) of 3 x 3 matrices: Taylor of this order for a/4, doubled twice. |a| is a strain in one step,
# 1e-3; at 0.1 the remainder is 1e-15.
_TAYLOR_ORDER, _DOUBLINGS = 6, 2


@dataclass(slots=True, kw_only=True)
class Motion:
    """What moves.

    Attributes:
        positions: (n_atoms, 3) Angstrom, unwrapped; the runs one after another.
        momenta: (n_atoms, 3) sqrt(eV amu).
        cells: (n_runs, 3, 3) rows, Angstrom.
        strain_rates: (n_runs, 3, 3) symmetric, 1 / ASE time.
        chain: one array (2, n_runs) per link, positions of the chains of atoms (0) and cell (1).
        chain_rates: likewise their velocities, 1 / ASE time.
    """

    positions: FloatArray
    momenta: FloatArray
    cells: FloatArray
    strain_rates: FloatArray
    chain: Chain
    chain_rates: Chain


@dataclass(slots=True, kw_only=True)
class Conditions:
    """What the runs move under; `thermal_energy` follows the ramp of heating runs, the rest stays.

    Attributes:
        xp: namespace of the arrays.
        sum_over_runs: sums (n_atoms, ...) over the atoms of each run to (n_runs, ...).
        run_of_atom: (n_atoms,) index of the run.
        masses: (n_atoms, 1) amu.
        n_atoms: (n_runs,) as floats.
        degrees_of_freedom: (2, n_runs) of atoms, 3N - 3, and cell, 6 or 1.
        timestep: (n_runs,) ASE time.
        timestep_of_atom: (n_atoms, 1) that of the atom's run.
        thermal_energy: (n_runs,) kT, eV.
        frequencies: (2, n_runs) 1 / tau of thermostat and barostat, 1 / ASE time; 0 where there is none.
        pressure: (n_runs,) target, eV/Angstrom^3.
        is_isotropic: (n_runs, 1, 1) whether the cell keeps its shape.
        has_cell: whether any run has a barostat.
        identity: (3, 3).
    """

    xp: ModuleType
    sum_over_runs: Callable[[FloatArray], FloatArray]
    run_of_atom: IntArray
    masses: FloatArray
    n_atoms: FloatArray
    degrees_of_freedom: FloatArray
    timestep: FloatArray
    timestep_of_atom: FloatArray
    thermal_energy: FloatArray
    frequencies: FloatArray
    pressure: FloatArray
    is_isotropic: FloatArray
    has_cell: bool
    identity: FloatArray


def before_forces(motion: Motion, conditions: Conditions, forces: FloatArray, virials: FloatArray) -> None:
    """The part of a step up to its new positions and cells; `motion` is changed.

    Args:
        forces: (n_atoms, 3) eV/Angstrom, at the positions as they are.
        virials: (n_runs, 3, 3) dE/dstrain, eV.
    """
    _turn(motion, conditions)
    step, half = conditions.timestep, conditions.timestep / 2
    if not conditions.has_cell:
        motion.momenta = motion.momenta + (conditions.timestep_of_atom / 2) * forces
        velocities = motion.momenta / conditions.masses
        motion.positions = motion.positions + conditions.timestep_of_atom * velocities
        return
    _kick_cells(motion, conditions, virials)
    drags = _drags(motion, conditions) * half[:, None, None]
    strains = motion.strain_rates * step[:, None, None]
    grown, slopes = _exponentials(conditions.xp.concat([drags[None], strains[None]]), conditions)
    _kick(motion, conditions, forces, grown[0], slopes[0])
    velocities = _turned(motion.momenta / conditions.masses, slopes[1], conditions)
    motion.positions = _turned(motion.positions, grown[1], conditions) + conditions.timestep_of_atom * velocities
    motion.cells = motion.cells @ grown[1]


def after_forces(motion: Motion, conditions: Conditions, forces: FloatArray, virials: FloatArray) -> None:
    """The rest of the step, with forces and virials at the new positions; `motion` is changed."""
    half = conditions.timestep / 2
    if conditions.has_cell:
        drags = _drags(motion, conditions) * half[:, None, None]
        _kick(motion, conditions, forces, *_exponentials(drags, conditions))
        _kick_cells(motion, conditions, virials)
    else:
        motion.momenta = motion.momenta + (conditions.timestep_of_atom / 2) * forces
    _turn(motion, conditions)


def twice_kinetic_energies(motion: Motion, conditions: Conditions) -> FloatArray:
    """sum p^2 / m of each run, (n_runs,), eV."""
    squares = conditions.sum_over_runs(motion.momenta * motion.momenta / conditions.masses)
    return squares[:, 0] + squares[:, 1] + squares[:, 2]


def kinetic_tensors(motion: Motion, conditions: Conditions) -> FloatArray:
    """sum p p / m of each run, (n_runs, 3, 3), eV: the ideal-gas part of pressure times volume."""
    velocities = motion.momenta / conditions.masses
    return conditions.sum_over_runs(motion.momenta[:, :, None] * velocities[:, None, :])


def volumes_of(cells: FloatArray) -> FloatArray:
    """Volumes of cells (..., 3, 3), positive also for left-handed ones."""
    a, b, c = cells[..., 0, :], cells[..., 1, :], cells[..., 2, :]
    return abs(
        a[..., 0] * (b[..., 1] * c[..., 2] - b[..., 2] * c[..., 1])
        + a[..., 1] * (b[..., 2] * c[..., 0] - b[..., 0] * c[..., 2])
        + a[..., 2] * (b[..., 0] * c[..., 1] - b[..., 1] * c[..., 0])
    )


def conserved_energies(motion: Motion, conditions: Conditions, energies: FloatArray) -> FloatArray:
    """Energy of the extended system of each run, (n_runs,), eV; constant under a constant target.

    E + sum p^2 / 2m + chains + W tr(w^2) / 2 + P V, the last three only where there is a thermostat or barostat.
    """
    chains = chain_energies(
        motion.chain,
        motion.chain_rates,
        conditions.degrees_of_freedom,
        conditions.thermal_energy,
        conditions.frequencies,
    )
    moving = energies + twice_kinetic_energies(motion, conditions) / 2 + chains
    if not conditions.has_cell:
        return moving
    rate = conditions.frequencies[1]
    is_flexible = rate > 0
    # A barostat's mass, or 0 without one.
    mass = conditions.n_atoms * conditions.thermal_energy * is_flexible / (rate * rate + ~is_flexible)
    cell = mass * _squared(motion.strain_rates) / 2
    return moving + cell + is_flexible * conditions.pressure * volumes_of(motion.cells)


def _turn(motion: Motion, conditions: Conditions) -> None:
    """Half a step of the chains of atoms and cells, and of what they rub on."""
    xp, freedom = conditions.xp, conditions.degrees_of_freedom
    atoms = twice_kinetic_energies(motion, conditions) / (freedom[0] * conditions.thermal_energy)
    atoms = atoms * (conditions.frequencies[0] * conditions.frequencies[0])
    cells = conditions.n_atoms * _squared(motion.strain_rates) / freedom[1] if conditions.has_cell else 0 * atoms
    turn = ChainTurn(freedom, conditions.frequencies * conditions.frequencies, conditions.timestep / 2)
    scales, motion.chain, motion.chain_rates = turn_chains(
        xp, xp.concat([atoms[None], cells[None]]), motion.chain, motion.chain_rates, turn
    )
    motion.momenta = motion.momenta * scales[0][conditions.run_of_atom][:, None]
    if conditions.has_cell:
        motion.strain_rates = motion.strain_rates * scales[1][:, None, None]


def _kick_cells(motion: Motion, conditions: Conditions, virials: FloatArray) -> None:
    """Half a step of the strain rates under the difference of inner and outer pressure."""
    identity = conditions.identity
    kinetic = kinetic_tensors(motion, conditions)
    mean = _trace(kinetic) / conditions.degrees_of_freedom[0] - conditions.pressure * volumes_of(motion.cells)
    # Forces on cells come out symmetric: a rotation of the cell is none of its degrees of freedom.
    pull = kinetic - (virials + virials.swapaxes(-1, -2)) / 2 + mean[:, None, None] * identity
    isotropic = (_trace(pull) / 3)[:, None, None] * identity
    pull = conditions.xp.where(conditions.is_isotropic, isotropic, pull)
    rate = conditions.frequencies[1]
    per_mass = rate * rate / (conditions.n_atoms * conditions.thermal_energy)
    motion.strain_rates = motion.strain_rates + (conditions.timestep / 2 * per_mass)[:, None, None] * pull


def _drags(motion: Motion, conditions: Conditions) -> FloatArray:
    """-(w + tr w / Nf), what the cell's motion does to momenta, (n_runs, 3, 3)."""
    trace = _trace(motion.strain_rates) / conditions.degrees_of_freedom[0]
    return -(motion.strain_rates + trace[:, None, None] * conditions.identity)


def _kick(
    motion: Motion, conditions: Conditions, forces: FloatArray, grown: FloatArray, slopes: FloatArray
) -> None:
    """Half a step of the momenta under forces and the cell's drag, exact for constant forces and strain rates."""
    pushed = (conditions.timestep_of_atom / 2) * _turned(forces, slopes, conditions)
    motion.momenta = _turned(motion.momenta, grown, conditions) + pushed


def _exponentials(matrices: FloatArray, conditions: Conditions) -> tuple[FloatArray, FloatArray]:
    """exp(a) and phi(a) = (exp(a) - 1) / a of matrices (..., 3, 3), without their eigenvalues."""
    identity, a = conditions.identity, matrices / 2**_DOUBLINGS
    slope = identity + a / (_TAYLOR_ORDER + 1)
    for k in range(_TAYLOR_ORDER, 1, -1):
        slope = identity + (a / k) @ slope
    grown = identity + a @ slope
    for _ in range(_DOUBLINGS):
        slope = (slope + slope @ grown) / 2
        grown = grown @ grown
    return grown, slope


def _turned(vectors: FloatArray, matrices: FloatArray, conditions: Conditions) -> FloatArray:
    """Row vectors (n_atoms, 3) times the matrix of their run, each by itself: no other run has a say."""
    return (vectors[:, None, :] @ matrices[conditions.run_of_atom])[:, 0, :]


def _squared(matrices: FloatArray) -> FloatArray:
    return _trace(matrices @ matrices.swapaxes(-1, -2))


def _trace(matrices: FloatArray) -> FloatArray:
    return matrices[..., 0, 0] + matrices[..., 1, 1] + matrices[..., 2, 2]

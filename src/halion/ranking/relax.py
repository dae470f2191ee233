"""One ordered cell to its nearest minimum: positions and cell together, FIRE as ASE has it.

Method: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006) (FIRE), on the atoms and the logarithm of the
deformation gradient (ASE's FrechetCellFilter). The symmetry of the start is not enforced and not broken.
"""

from __future__ import annotations

import warnings

import numpy as np
import spglib
from ase import Atoms
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import FIRE

from halion.arrays import FloatArray
from halion.errors import Interrupted, PhysicsRefusal
from halion.potentials import Potential, PotentialCalculator
from halion.progress import Progress, Stop, never, silent
from halion.ranking.types import Relaxation
from halion.settings import RankingSettings

__all__ = ["relax"]

# A refined cell is within a few percent of its relaxed one; at twice or half its volume it is another matter.
_LARGEST_VOLUME_FACTOR = 2.0
# Bonded atoms sit at about the sum of their covalent radii (O-H at 0.99, P-S at 0.97, Y-Cl at 0.89 of it);
# universal potentials lack the core repulsion that would keep atoms from fusing.
_CLOSEST_OF_COVALENT = 0.6
_SYMPREC_BEFORE, _SYMPREC_AFTER = 0.01, 0.1


def relax(
    atoms: Atoms,
    potential: Potential,
    settings: RankingSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Relaxation:
    """Relax positions and cell until every force and the cell's gradient per atom are below the tolerance.

    Args:
        atoms: the start, periodic; not changed.
        potential: gives energy, forces and stress.
        settings: `force_tolerance_ev_per_angstrom` and `max_steps` are used.
        progress: told the FIRE steps done.
        stop: asked between steps.
    Returns:
        the end state, as it is; `is_converged` says whether the tolerance was reached within `max_steps`.
    Raises:
        PhysicsRefusal: the cell grew or shrank by more than a factor of two, forces that are not finite, or
            atoms that fused.
        Interrupted: `stop` said so; a relaxation is short and starts anew.
    Checked by tests/ranking/test_ranking_relax.py.
    """
    relaxed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    relaxed.calc = PotentialCalculator(potential)
    filtered = FrechetCellFilter(relaxed)
    with FIRE(filtered, logfile=None) as optimizer, warnings.catch_warnings():
        # scipy estimates 3e-13 for the error of a logarithm that the filter takes at every step.
        warnings.filterwarnings("ignore", message="logm result may be inaccurate")
        tolerance, most = settings.force_tolerance_ev_per_angstrom, settings.max_steps
        for is_converged in optimizer.irun(fmax=tolerance, steps=most):
            gradient = _largest(filtered.get_forces())
            _refuse_explosion(atoms, relaxed, gradient, optimizer.nsteps)
            progress(optimizer.nsteps, most, f"largest force {gradient:.3f} eV/Angstrom")
            if stop() and not is_converged:
                raise Interrupted(
                    f"the relaxation of {atoms.get_chemical_formula()} was stopped after {optimizer.nsteps} steps",
                    fix="type the same command again: this relaxation starts anew, finished ones are kept",
                )
        n_steps = optimizer.nsteps
    _refuse_fusion(relaxed)
    progress(most, most, f"{'converged' if gradient < tolerance else 'not converged'} after {n_steps} steps")
    return _describe(atoms, relaxed, is_converged=bool(gradient < tolerance), n_steps=n_steps)


def _describe(start: Atoms, end: Atoms, *, is_converged: bool, n_steps: int) -> Relaxation:
    return Relaxation(
        atoms=Atoms(end.numbers, positions=end.positions, cell=end.cell, pbc=True),
        energy=float(end.get_potential_energy() / len(end)),
        is_converged=is_converged,
        n_steps=n_steps,
        max_force=_largest(end.get_forces()),
        max_stress=float(np.abs(end.get_stress()).max()),
        volume_change=float(end.get_volume() / start.get_volume() - 1),
        max_displacement=_max_displacement(start, end),
        space_group_before=_space_group(start, _SYMPREC_BEFORE),
        space_group_after=_space_group(end, _SYMPREC_AFTER),
    )


def _largest(forces: FloatArray) -> float:
    return float(np.linalg.norm(forces, axis=1).max())


def _max_displacement(start: Atoms, end: Atoms) -> float:
    """FIRE never wraps an atom, so fractional coordinates of start and end differ by the true displacement."""
    moved = np.linalg.solve(end.cell.array.T, end.positions.T).T
    moved -= np.linalg.solve(start.cell.array.T, start.positions.T).T
    return _largest((moved - moved.mean(axis=0)) @ end.cell.array)


def _space_group(atoms: Atoms, symprec: float) -> str:
    structure = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():
        # spglib 2.8 announces a change from returning None to raising; both are met here.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            found = spglib.get_symmetry_dataset(structure, symprec=symprec)
        except spglib.error.SpglibError:
            found = None
    return "not found" if found is None else found.international


def _refuse_explosion(start: Atoms, now: Atoms, gradient: float, n_steps: int) -> None:
    factor = now.get_volume() / start.get_volume()
    if not np.isfinite(gradient) or not 1 / _LARGEST_VOLUME_FACTOR < factor < _LARGEST_VOLUME_FACTOR:
        raise PhysicsRefusal(
            f"the relaxation of {start.get_chemical_formula()} exploded: after {n_steps} steps the volume is "
            f"{factor:.2f} times that of the start, the largest force {gradient:.3g} eV/Angstrom",
            fix="check the sites of the starting structure, or choose another potential",
        )


def _refuse_fusion(atoms: Atoms) -> None:
    first, second, distance = neighbor_list(
        "ijd", atoms, list(_CLOSEST_OF_COVALENT * covalent_radii[atoms.numbers])
    )
    if len(distance):
        k = int(distance.argmin())
        i, j = int(first[k]), int(second[k])
        raise PhysicsRefusal(
            f"atoms fused: {atoms.symbols[i]}{i} and {atoms.symbols[j]}{j} relaxed to {distance[k]:.2f} Angstrom "
            f"of each other, less than {_CLOSEST_OF_COVALENT:g} of the sum of their covalent radii",
            where=atoms.get_chemical_formula(),
            fix="exclude orderings with sites this close (orderings.closest_cations_angstrom), or choose "
            "another potential",
        )

"""What came of a relaxation: the end state described, or the refusal of what physics forbids."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from halion.arrays import FloatArray
from halion.errors import PhysicsRefusal
from halion.ranking.types import Relaxation

__all__ = ["EndState", "describe", "explosion", "is_intact"]

# A refined cell is within a few percent of its relaxed one; at twice or half its volume it is another matter.
_LARGEST_VOLUME_FACTOR = 2.0
# Bonded atoms sit at about the sum of their covalent radii (O-H at 0.99, P-S at 0.97, Y-Cl at 0.89 of it);
# universal potentials lack the core repulsion that would keep atoms from fusing.
_CLOSEST_OF_COVALENT = 0.6
_SYMPREC_BEFORE, _SYMPREC_AFTER = 0.01, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class EndState:
    """Where a relaxation ended.

    Attributes:
        atoms: the end cell.
        energy: of the cell, eV.
        forces: (n_atoms, 3) eV/Angstrom.
        stress: (3, 3) eV/Angstrom^3, tension positive.
        is_converged: whether the tolerance was reached.
        n_steps: steps made.
        static_energy: of the start cell, eV.
    """

    atoms: Atoms
    energy: float
    forces: FloatArray
    stress: FloatArray
    is_converged: bool
    n_steps: int
    static_energy: float


def describe(start: Atoms, end: EndState) -> Relaxation | PhysicsRefusal:
    """The relaxation from start to end; a refusal where two atoms fused."""
    return _fusion(end.atoms) or Relaxation(
        atoms=end.atoms,
        energy=end.energy / len(start),
        is_converged=end.is_converged,
        n_steps=end.n_steps,
        max_force=_largest(end.forces),
        max_stress=float(np.abs(end.stress).max()),
        volume_change=float(end.atoms.get_volume() / start.get_volume() - 1),
        max_displacement=_max_displacement(start, end.atoms),
        space_group_before=_space_group(start, _SYMPREC_BEFORE),
        space_group_after=_space_group(end.atoms, _SYMPREC_AFTER),
        static_energy=end.static_energy / len(start),
    )


def is_intact(volume_factor: FloatArray, largest_force: FloatArray) -> FloatArray:
    """Whether structures are still what they were: volumes within a factor of two, forces finite."""
    within = (volume_factor > 1 / _LARGEST_VOLUME_FACTOR) & (volume_factor < _LARGEST_VOLUME_FACTOR)
    return within & np.isfinite(largest_force)


def explosion(start: Atoms, volume_factor: float, largest_force: float, n_steps: int) -> PhysicsRefusal:
    """The refusal of a structure that is not intact."""
    return PhysicsRefusal(
        f"the relaxation of {start.get_chemical_formula()} exploded: after {n_steps} steps the volume is "
        f"{volume_factor:.2f} times that of the start, the largest force {largest_force:.3g} eV/Angstrom",
        fix="check the sites of the starting structure, or choose another potential",
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


def _fusion(atoms: Atoms) -> PhysicsRefusal | None:
    first, second, distance = neighbor_list(
        "ijd", atoms, list(_CLOSEST_OF_COVALENT * covalent_radii[atoms.numbers])
    )
    if not len(distance):
        return None
    k = int(distance.argmin())
    i, j = int(first[k]), int(second[k])
    return PhysicsRefusal(
        f"atoms fused: {atoms.symbols[i]}{i} and {atoms.symbols[j]}{j} relaxed to {distance[k]:.2f} Angstrom "
        f"of each other, less than {_CLOSEST_OF_COVALENT:g} of the sum of their covalent radii",
        where=atoms.get_chemical_formula(),
        fix="exclude orderings with sites this close (orderings.closest_cations_angstrom), or choose "
        "another potential",
    )

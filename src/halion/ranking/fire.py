"""FIRE with free cell for many structures at once, each with a time step, mixing and velocity of its own.

A structure is described by the positions x that its atoms would have in its first cell, and by the logarithm A of
the deformation gradient: F = exp(A), cell = cell_0 F^T, positions = x F^T (ASE's FrechetCellFilter). The nine
components of A are scaled by the number of atoms n, so that cell and atoms are equally stiff. Downhill forces:

    g_x = f F                      g_A = L(A^T, -virial F^-T) / n

with L(A, E) the Frechet derivative of the exponential, the upper right block of exp([[A, E], [0, A]]).
Sums run over one structure at a time, and products are written out: what a structure does is the same to the last
bit whoever is in the batch with it.

Method: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), with the parameters and the bound on a step of ASE's
FIRE; the derivative: Al-Mohy and Higham, SIAM J. Matrix Anal. Appl. 30, 1639 (2009), eq. 1.3.
Checked by tests/ranking/test_ranking_fire.py against ASE, step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import expm

from halion.arrays import FloatArray, IntArray
from halion.potentials import EngineResult

__all__ = ["FireBatch"]

_FIRST_TIME_STEP, _LARGEST_TIME_STEP = 0.1, 1.0
_PATIENCE = 5  # steps downhill before the time step may grow
_GROWTH, _SHRINKING = 1.1, 0.5
_MIXING, _MIXING_DECAY = 0.1, 0.99
_LONGEST_STEP = 0.2  # norm over all atoms and the cell, Angstrom


@dataclass(slots=True, kw_only=True)
class _Members:
    """One row per structure; `keep` and `add` treat all fields alike."""

    key: IntArray  # the caller's number of the structure
    counts: IntArray  # its atoms
    n_steps: IntArray
    n_downhill: IntArray  # steps since the time step shrank
    time_step: FloatArray
    mixing: FloatArray
    first_energy: FloatArray  # before the first step, eV
    first_cell: FloatArray  # (n, 3, 3)
    log_deformation: FloatArray  # (n, 3, 3) A
    deformation: FloatArray  # (n, 3, 3) F
    velocity: FloatArray  # (n, 3, 3) of n A
    force: FloatArray  # (n, 3, 3) on n A, eV/Angstrom


@dataclass(slots=True, kw_only=True)
class _AtomRows:
    """One row per atom, structures one after another."""

    numbers: IntArray
    coordinates: FloatArray  # x
    velocity: FloatArray
    force: FloatArray


class FireBatch:
    """Structures that move downhill together."""

    def __init__(self) -> None:
        self._members = _Members(
            **{name: np.empty(0, dtype=np.int64) for name in ("key", "counts", "n_steps", "n_downhill")},
            **{name: np.empty(0) for name in ("time_step", "mixing", "first_energy")},
            **{name: np.empty((0, 3, 3)) for name in ("first_cell", "log_deformation", "deformation")},
            **{name: np.empty((0, 3, 3)) for name in ("velocity", "force")},
        )
        empty = np.empty((0, 3))
        self._atoms = _AtomRows(numbers=np.empty(0, dtype=np.int64), coordinates=empty, velocity=empty, force=empty)

    def __len__(self) -> int:
        return len(self._members.key)

    @property
    def n_atoms(self) -> int:
        """Atoms of all structures."""
        return len(self._atoms.numbers)

    @property
    def keys(self) -> IntArray:
        """(n_structures,) the numbers under which they came."""
        return self._members.key

    @property
    def n_steps(self) -> IntArray:
        """(n_structures,) steps that each has made."""
        return self._members.n_steps

    @property
    def first_energies(self) -> FloatArray:
        """(n_structures,) energy of each where it started, eV; NaN before its first `pull`."""
        return self._members.first_energy

    @property
    def starts(self) -> IntArray:
        """(n_structures + 1,) where the atoms of each begin, and the end."""
        return np.concatenate([[0], np.cumsum(self._members.counts)])

    def arrays(self) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
        """Numbers, positions, cells and counts, as `Potential.evaluate_arrays` takes them."""
        members, turned = self._members, _transposed(self._members.deformation)
        positions = _times(self._atoms.coordinates, turned[self._owner()])
        return self._atoms.numbers, positions, _product(members.first_cell, turned), members.counts

    def add(self, key: int, atoms: Atoms) -> None:
        """A structure at rest, the last of the batch from now on."""
        joined = _Members(
            key=np.array([key]),
            counts=np.array([len(atoms)]),
            n_steps=np.array([0]),
            n_downhill=np.array([0]),
            time_step=np.array([_FIRST_TIME_STEP]),
            mixing=np.array([_MIXING]),
            first_energy=np.array([np.nan]),
            first_cell=np.array([atoms.cell.array]),
            log_deformation=np.zeros((1, 3, 3)),
            deformation=np.eye(3)[None],
            velocity=np.zeros((1, 3, 3)),
            force=np.zeros((1, 3, 3)),
        )
        rows = _AtomRows(
            numbers=np.array(atoms.numbers, dtype=np.int64),
            coordinates=np.array(atoms.positions),
            velocity=np.zeros((len(atoms), 3)),
            force=np.zeros((len(atoms), 3)),
        )
        self._members, self._atoms = _joined(self._members, joined), _joined(self._atoms, rows)

    def keep(self, chosen: Sequence[bool]) -> None:
        """Let the structures that are not chosen leave."""
        members = np.asarray(chosen, dtype=bool)
        self._atoms = _selected(self._atoms, members[self._owner()])
        self._members = _selected(self._members, members)

    def pull(self, result: EngineResult) -> FloatArray:
        """Take the forces at the present positions.

        Returns:
            (n_structures,) largest norm of an atom's or a cell row's force, eV/Angstrom; convergence is judged by
            it.
        """
        members, atoms = self._members, self._atoms
        members.first_energy = np.where(members.n_steps == 0, result.energies, members.first_energy)
        atoms.force = _times(result.forces, members.deformation[self._owner()])
        # A potential's virial is symmetric up to rounding; a torque left in it would turn the cell.
        virial = (result.virials + _transposed(result.virials)) / 2
        gradient = -_product(virial, np.linalg.inv(_transposed(members.deformation)))
        along = _frechet_derivative(_transposed(members.log_deformation), gradient)
        members.force = along / members.counts[:, None, None]
        of_atoms = np.maximum.reduceat(np.linalg.norm(atoms.force, axis=1), self.starts[:-1])
        return np.maximum(of_atoms, np.linalg.norm(members.force, axis=2).max(axis=1))

    def move(self) -> None:
        """One step of each structure along the forces last taken."""
        members, atoms, owner = self._members, self._atoms, self._owner()
        self._turn()
        step = members.time_step[owner, None]
        cell_step = members.time_step[:, None, None]
        atoms.velocity = atoms.velocity + step * atoms.force
        members.velocity = members.velocity + cell_step * members.force
        moved, cell_moved = step * atoms.velocity, cell_step * members.velocity
        length = np.sqrt(self._dot(moved, moved, cell_moved, cell_moved))
        shortening = _LONGEST_STEP / np.maximum(length, _LONGEST_STEP)
        atoms.coordinates = atoms.coordinates + shortening[owner, None] * moved
        scaled = (shortening / members.counts)[:, None, None] * cell_moved
        members.log_deformation = members.log_deformation + scaled
        members.deformation = expm(members.log_deformation)
        members.n_steps = members.n_steps + 1

    def _turn(self) -> None:
        """Turn velocities towards the forces where they go downhill; stop where they do not."""
        members, atoms, owner = self._members, self._atoms, self._owner()
        power = self._dot(atoms.force, atoms.velocity, members.force, members.velocity)
        squared_force = self._dot(atoms.force, atoms.force, members.force, members.force)
        speed = np.sqrt(self._dot(atoms.velocity, atoms.velocity, members.velocity, members.velocity))
        goes_down = power > 0
        along = members.mixing * speed / np.sqrt(np.where(squared_force > 0, squared_force, 1.0))
        kept, along = np.where(goes_down, 1 - members.mixing, 0.0), np.where(goes_down, along, 0.0)
        atoms.velocity = kept[owner, None] * atoms.velocity + along[owner, None] * atoms.force
        members.velocity = kept[:, None, None] * members.velocity + along[:, None, None] * members.force
        grows = goes_down & (members.n_downhill > _PATIENCE)
        stops = ~goes_down & (members.n_steps > 0)  # before its first step a structure is at rest
        longer = np.minimum(members.time_step * _GROWTH, _LARGEST_TIME_STEP)
        kept_or_longer = np.where(grows, longer, members.time_step)
        members.time_step = np.where(stops, members.time_step * _SHRINKING, kept_or_longer)
        members.mixing = np.where(grows, members.mixing * _MIXING_DECAY, members.mixing)
        members.mixing = np.where(stops, _MIXING, members.mixing)
        members.n_downhill = np.where(goes_down, members.n_downhill + 1, 0)

    def _owner(self) -> IntArray:
        """(n_atoms_total,) the structure of each atom."""
        return np.repeat(np.arange(len(self)), self._members.counts)

    def _dot(self, one: FloatArray, other: FloatArray, cell: FloatArray, other_cell: FloatArray) -> FloatArray:
        """(n_structures,) scalar products over all coordinates of each."""
        per_atom = (one * other).sum(axis=1)
        return np.add.reduceat(per_atom, self.starts[:-1]) + (cell * other_cell).reshape(-1, 9).sum(axis=1)


def _transposed(matrices: FloatArray) -> FloatArray:
    return matrices.transpose(0, 2, 1)


def _times(vectors: FloatArray, matrices: FloatArray) -> FloatArray:
    """Row vector times matrix, one matrix per vector."""
    return sum(vectors[:, k, None] * matrices[:, k, :] for k in range(3))


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    return sum(left[:, :, k, None] * right[:, None, k, :] for k in range(3))


def _frechet_derivative(at: FloatArray, along: FloatArray) -> FloatArray:
    """Derivative of the matrix exponential, (n, 3, 3) each."""
    blocks = np.zeros((len(at), 6, 6))
    blocks[:, :3, :3] = blocks[:, 3:, 3:] = at
    blocks[:, :3, 3:] = along
    return expm(blocks)[:, :3, 3:]


def _joined(one: _Members | _AtomRows, other: _Members | _AtomRows) -> _Members | _AtomRows:
    pairs = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(one)}
    return type(one)(**{name: np.concatenate(pair) for name, pair in pairs.items()})


def _selected(rows: _Members | _AtomRows, chosen: NDArray[np.bool_]) -> _Members | _AtomRows:
    return type(rows)(**{field.name: getattr(rows, field.name)[chosen] for field in fields(rows)})

"""What the labels room takes and gives: structures to label, labels, and the one interface of all codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray
from halion.files import digest

__all__ = ["Frame", "Label", "LabelledFrame", "Labeller", "Provenance", "Relaxed", "largest_gradient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One structure to label.

    Attributes:
        atoms: periodic in three dimensions; positions in any image.
        group: trajectory or search that it comes from. Training and validation are split by group.
        temperature_k: of that trajectory; None for structures at rest.
    """

    atoms: Atoms
    group: str
    temperature_k: float | None = None

    @property
    def key(self) -> str:
        """Digest of elements, positions and cell: the same structure is labelled once.

        Of the eight decimals that extended XYZ keeps: a frame read back has the key that it was written under.
        """
        return digest(
            {
                "numbers": self.atoms.numbers.tolist(),
                "positions": _decimals(self.atoms.positions),
                "cell": _decimals(self.atoms.cell.array),
            }
        )[:16]


def _decimals(values: FloatArray) -> list[str]:
    # Text, not `round`: what is read from eight decimals gives the same eight decimals. The sum removes minus zero.
    return [f"{float(f'{value:.8f}') + 0.0:.8f}" for value in values.ravel()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a label comes from.

    Attributes:
        method: everything that decides the numbers: code, functional, cutoff, k-points, data sets of the elements.
            Labels of different methods are never mixed.
        code: code and version.
        attempt: which rung of the retry ladder converged, 0 the first.
        n_iterations: of self-consistency; 0 where there are none.
        wall_s: seconds that it took.
        processes: of the code.
        details: k-points of this cell, band count, and what else the code says.
    """

    method: str
    code: str
    attempt: int = 0
    n_iterations: int = 0
    wall_s: float = 0.0
    processes: int = 1
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Energy, forces and stress of one structure.

    Attributes:
        energy: eV, extrapolated to zero smearing, as the code gives it.
        forces: (n_atoms, 3) eV/Angstrom.
        stress: (3, 3) symmetric, eV/Angstrom^3, tension positive.
        provenance: where it comes from.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrame:
    """A structure with its label."""

    frame: Frame
    label: Label

    @property
    def key(self) -> str:
        """Digest of structure, method and label: the same frame labelled anew is another one.

        Of eight decimals, as `Frame.key`: forces keep no more in a file.
        """
        values = [np.array([self.label.energy]), self.label.forces, self.label.stress]
        return digest(
            [self.frame.key, self.label.provenance.method, [_decimals(np.asarray(one, float)) for one in values]]
        )[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """A structure relaxed by a code.

    Attributes:
        atoms: relaxed, without a calculator.
        label: of the relaxed structure.
        n_steps: steps taken.
        largest_force: eV/Angstrom, of atoms and cell, see `largest_gradient`.
        converged: whether it is below the tolerance.
        start_energy: of the structure that it began from, by the same method, eV.
    """

    atoms: Atoms
    label: Label
    n_steps: int
    largest_force: float
    converged: bool
    start_energy: float


def largest_gradient(atoms: Atoms, label: Label) -> float:
    """The larger of the largest force and the cell's gradient per atom, eV/Angstrom.

    The cell's is the largest row of V sigma / n_atoms (eV), what ASE's cell filters compare with forces: at 30
    Angstrom^3 per atom 0.01 eV/Angstrom is a stress of 0.05 GPa. Checked by tests/labels/test_labels_relaxing.py.
    """
    cell = atoms.get_volume() * label.stress / len(atoms)
    return float(max(np.linalg.norm(label.forces, axis=1).max(), np.linalg.norm(cell, axis=1).max()))


class Labeller(Protocol):
    """A code that labels structures.

    Attributes:
        method: see `Provenance.method`.
        relaxation_method: the same of relaxations, whose cutoff is higher: a changing cell needs a finer basis.
    """

    method: str
    relaxation_method: str

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress.

        Args:
            atoms: one structure.
            folder: for the code's own files; what is in it may be lost.
        Raises:
            LabelError: the code failed or did not converge, after every retry.
            MissingDependency: the code is not there.
        """
        ...

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """Positions and cell relaxed together.

        Args:
            atoms: the start.
            folder: for the code's own files; a relaxation that was stopped goes on from what is in it, where the
                code can (GPAW and potentials: steps.extxyz, every step; the others start anew).
            force_tolerance: eV/Angstrom, for every force and for the cell's gradient per atom (`largest_gradient`),
                which at 30 Angstrom^3 per atom makes 0.01 eV/Angstrom a stress of 0.05 GPa.
            max_steps: of the optimiser, those before a stop too; `Relaxed.converged` says whether they were enough.
        Raises:
            LabelError: the code failed or did not converge its electrons, after every retry.
            MissingDependency: the code is not there.
        """
        ...

"""Any ASE calculator as a `Potential`, and any `Potential` as an ASE calculator.

The first lets the rooms use SevenNet, MatGL or a classical model; the second lets users of ASE use halion's
potentials in their own scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError
from halion.potentials.engine_types import EngineResult
from halion.potentials.types import Evaluation, Potential

__all__ = [
    "PotentialCalculator",
    "PotentialFromAse",
    "join_arrays",
    "refuse_mismatched_arrays",
    "refuse_unknown_elements",
    "split_arrays",
    "stack_evaluations",
]


def refuse_unknown_elements(atoms: Atoms, elements: frozenset[str], name: str) -> None:
    """Refuse a structure with elements that a potential was not made for."""
    outside = sorted(set(atoms.get_chemical_symbols()) - elements)
    if outside:
        raise InputError(
            f"{name} was not trained for {', '.join(outside)}; its energies there mean nothing",
            where=atoms.get_chemical_formula(),
            fix="choose a potential trained for all of them: ranking.potential and dynamics.potential",
        )


def split_arrays(numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray) -> list[Atoms]:
    """The structures of a batch of arrays (as `Potential.evaluate_arrays` takes them), one `Atoms` each.

    Raises:
        InputError: shapes that do not belong together.
    """
    refuse_mismatched_arrays(numbers, positions, cells, counts)
    ends = np.cumsum(counts)
    return [
        Atoms(numbers[end - count : end], positions=positions[end - count : end], cell=cell, pbc=True)
        for cell, count, end in zip(cells, counts, ends, strict=True)
    ]


def refuse_mismatched_arrays(numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray) -> None:
    """Refuse arrays whose shapes do not describe one batch of structures."""
    n_atoms = int(np.sum(counts))
    wanted = {"numbers": (n_atoms,), "positions": (n_atoms, 3), "cells": (len(counts), 3, 3)}
    given = {"numbers": np.shape(numbers), "positions": np.shape(positions), "cells": np.shape(cells)}
    if given != wanted or np.ndim(counts) != 1 or np.any(np.asarray(counts) < 0):
        raise InputError(
            f"arrays of shapes {given} are no batch of {len(counts)} structures with {n_atoms} atoms: {wanted}",
            fix="pass the structures one after another, and the number of atoms of each as counts",
        )


def join_arrays(structures: Sequence[Atoms]) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    """Numbers, positions, cells and counts of structures one after another: what `split_arrays` takes apart."""
    return (
        np.concatenate([np.empty(0, dtype=np.int64), *(atoms.numbers for atoms in structures)]),
        np.concatenate([np.empty((0, 3)), *(atoms.positions for atoms in structures)]),
        np.reshape([atoms.cell.array for atoms in structures], (-1, 3, 3)),
        np.array([len(atoms) for atoms in structures], dtype=np.int64),
    )


def stack_evaluations(evaluations: Sequence[Evaluation], cells: FloatArray) -> EngineResult:
    """Evaluations of structures with these cells as arrays; virial = stress * volume."""
    volumes = np.abs(np.linalg.det(cells))[:, None, None]
    return EngineResult(
        energies=np.array([evaluation.energy for evaluation in evaluations]),
        forces=np.concatenate([np.empty((0, 3)), *(evaluation.forces for evaluation in evaluations)]),
        virials=np.reshape([evaluation.stress for evaluation in evaluations], (-1, 3, 3)) * volumes,
    )


class PotentialFromAse:
    """An ASE calculator with energy, forces and stress, behind the interface of all potentials."""

    def __init__(self, calculator: Calculator, *, name: str, elements: Sequence[str], weights_sha256: str = ""):
        self.name, self.weights_sha256, self.elements = name, weights_sha256, frozenset(elements)
        self._calculator = calculator

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Energy, forces and stress of one structure.

        Raises:
            InputError: an element that the calculator does not know.
        """
        refuse_unknown_elements(atoms, self.elements, self.name)
        copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        # ASE keeps the last structure's results; an evaluation shall cost and give the same whatever came before.
        self._calculator.reset()
        copy.calc = self._calculator
        return Evaluation(
            energy=float(copy.get_potential_energy()),
            forces=np.array(copy.get_forces(), dtype=float),
            stress=np.array(copy.get_stress(voigt=False), dtype=float),
        )

    def evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """The same for many structures, one after another."""
        return [self.evaluate(atoms) for atoms in structures]

    def evaluate_arrays(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """The same for many structures given as arrays, see `Potential`."""
        structures = split_arrays(numbers, positions, cells, counts)
        return stack_evaluations(self.evaluate_batch(structures), cells)


class PotentialCalculator(Calculator):
    """A potential as an ASE calculator: energy (eV), forces (eV/Angstrom), stress (eV/Angstrom^3)."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        """Fill `results` for these atoms (called by ASE)."""
        super().calculate(atoms, properties, system_changes)
        evaluation = self.potential.evaluate(self.atoms)
        self.results = {
            "energy": evaluation.energy,
            "free_energy": evaluation.energy,
            "forces": evaluation.forces,
            "stress": full_3x3_to_voigt_6_stress(evaluation.stress),
        }

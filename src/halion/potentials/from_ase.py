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

from halion.errors import InputError
from halion.potentials.types import Evaluation, Potential

__all__ = ["PotentialCalculator", "PotentialFromAse", "refuse_unknown_elements"]


def refuse_unknown_elements(atoms: Atoms, elements: frozenset[str], name: str) -> None:
    """Refuse a structure with elements that a potential was not made for."""
    outside = sorted(set(atoms.get_chemical_symbols()) - elements)
    if outside:
        raise InputError(
            f"{name} was not trained for {', '.join(outside)}; its energies there mean nothing",
            where=atoms.get_chemical_formula(),
            fix="choose a potential trained for all of them: ranking.potential and dynamics.potential",
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

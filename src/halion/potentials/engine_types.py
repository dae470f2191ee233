"""What every fast CHGNet backend takes and gives: plain arrays of a batch of periodic cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from halion.arrays import FloatArray, IntArray

__all__ = ["Engine", "EngineResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """Energy, forces and virial of every structure of a batch.

    Attributes:
        energies: (n_structures,) total energy with the composition reference, eV.
        forces: (n_atoms_total, 3) -dE/dr, eV/Angstrom.
        virials: (n_structures, 3, 3) dE/dstrain at fixed fractional coordinates, cell' = cell (1 + strain), eV;
            symmetric up to rounding. Divided by the volume it is the stress, tension positive.
    """

    energies: FloatArray
    forces: FloatArray
    virials: FloatArray


class Engine(Protocol):
    """A backend that evaluates a batch of structures."""

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Evaluate structures whose atoms follow each other.

        Args:
            numbers: (n_atoms_total,) atomic numbers.
            positions: (n_atoms_total, 3) Angstrom; any image of an atom, wrapped or not.
            cells: (n_structures, 3, 3) row vectors, Angstrom; any lattice, small and skewed ones included.
            counts: (n_structures,) atoms of each structure.
        """
        ...

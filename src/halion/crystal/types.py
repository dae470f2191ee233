"""What the crystal room gives: a disordered crystal whose every repair and assumption is written on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray

__all__ = ["ClosePair", "DisorderedCrystal", "Orbit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """Symmetry-equivalent sites that share one set of occupancies.

    Attributes:
        labels: labels of the CIF rows merged into this orbit.
        wyckoff: multiplicity and letter in the standard setting, e.g. "4h".
        fractional: (n_sites, 3) fractional coordinates in the crystal's cell, in [0, 1).
        occupancy: element -> occupancy; the rest, up to one, is vacancy.
    """

    labels: tuple[str, ...]
    wyckoff: str
    fractional: FloatArray
    occupancy: Mapping[str, float]

    @property
    def n_sites(self) -> int:
        """Sites of this orbit in the crystal's cell."""
        return len(self.fractional)

    @property
    def vacancy(self) -> float:
        """1 - sum of the occupancies, never negative."""
        return max(0.0, 1.0 - sum(self.occupancy.values()))

    @property
    def is_ordered(self) -> bool:
        """One element, always there (occupancy 1 within 1e-3, the precision of refinements)."""
        return len(self.occupancy) == 1 and self.vacancy < 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePair:
    """Two orbits with sites closer than atoms can be: their neighbours exclude each other.

    Attributes:
        orbits: indices of the two orbits (equal for one orbit with itself).
        distance: shortest distance, Angstrom.
        occupancy_sum: sum of the two total occupancies; above one the refinement contradicts itself.
    """

    orbits: tuple[int, int]
    distance: float
    occupancy_sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DisorderedCrystal:
    """A refined crystal with partial occupancies.

    Attributes:
        name: short name, e.g. "Li3YBr6".
        source: file or literature source, with its caveat for built-in materials.
        cell: (3, 3) Angstrom, rows are a, b, c.
        orbits: all orbits, ordered ones included, in the order of the file.
        charges: element -> formal charge, e.
        charge_origin: "given" by the CIF or "assigned" from common oxidation states.
        space_group: Hermann-Mauguin symbol found by spglib with the occupancies told apart.
        space_group_number: its number.
        rotations: (n_operations, 3, 3) integer rotations on fractional coordinates of `cell`, centrings included.
        translations: (n_operations, 3) fractional translations, one per rotation.
        close_pairs: pairs of orbits with sites closer than atoms can be.
        notes: every repair, assumption and caveat, one sentence each, for the reader.
    """

    name: str
    source: str
    cell: FloatArray
    orbits: tuple[Orbit, ...]
    charges: Mapping[str, float]
    charge_origin: str
    space_group: str
    space_group_number: int
    rotations: IntArray
    translations: FloatArray
    close_pairs: tuple[ClosePair, ...]
    notes: tuple[str, ...]

    @property
    def fractional(self) -> FloatArray:
        """(n_sites, 3) fractional coordinates of all sites, orbit after orbit."""
        return np.concatenate([orbit.fractional for orbit in self.orbits])

    @property
    def site_orbit(self) -> IntArray:
        """(n_sites,) index of the orbit of each site."""
        return np.repeat(np.arange(len(self.orbits)), [orbit.n_sites for orbit in self.orbits])

    @property
    def composition(self) -> dict[str, float]:
        """Element -> mean number of atoms in the cell."""
        amounts: dict[str, float] = {}
        for orbit in self.orbits:
            for element, occupancy in orbit.occupancy.items():
                amounts[element] = amounts.get(element, 0.0) + occupancy * orbit.n_sites
        return amounts

    @property
    def n_atoms(self) -> float:
        """Mean number of atoms in the cell."""
        return sum(self.composition.values())

    @property
    def volume(self) -> float:
        """Volume of the cell, Angstrom^3."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def charge(self) -> float:
        """Mean charge of the cell, e."""
        return sum(self.charges[element] * amount for element, amount in self.composition.items())

    @property
    def formula(self) -> str:
        """Elements with their mean amounts in the cell, cations first, by rising charge, e.g. "Li6 Y2 Br12"."""
        amounts = sorted(
            self.composition.items(), key=lambda item: (self.charges[item[0]] < 0, self.charges[item[0]])
        )
        return " ".join(f"{element}{round(amount, 3):g}" for element, amount in amounts)

"""What the orderings room gives: integer compositions, exact counts, and the distinct orderings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Composition", "OrbitComposition", "OrderingCount", "OrderingSet", "PairExclusion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitComposition:
    """Whole atoms on one orbit of a supercell, and how far that is from the refinement.

    Attributes:
        orbit: index of the orbit in the crystal.
        wyckoff: its multiplicity and letter.
        n_sites: its sites in the supercell.
        counts: element -> atoms; the rest of the sites is vacant.
        refined: element -> refined occupancy.
        deviation: largest |counts / n_sites - refined| over elements.
    """

    orbit: int
    wyckoff: str
    n_sites: int
    counts: Mapping[str, int]
    refined: Mapping[str, float]
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Whole atoms on every orbit of a supercell: neutral, nearest to the refinement.

    Attributes:
        supercell: repeats of the crystal's cell along a, b, c.
        orbits: one entry per orbit of the crystal.
        formula: e.g. "Li12 Y4 Br24".
        charge: total charge, e (zero).
        deviation: largest deviation of any orbit.
        ties: how many other neutral compositions lie equally near (within 1e-6 in the weighted distance).
    """

    supercell: tuple[int, int, int]
    orbits: tuple[OrbitComposition, ...]
    formula: str
    charge: float
    deviation: float
    ties: int

    @property
    def n_atoms(self) -> int:
        """Atoms in the supercell."""
        return sum(sum(orbit.counts.values()) for orbit in self.orbits)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderingCount:
    """Exact numbers of orderings at fixed composition per orbit (Burnside's lemma).

    Attributes:
        total: all orderings, before symmetry.
        distinct: orbits of orderings under the supercell's symmetry group.
        group_order: different permutations of the disordered sites in that group.
    """

    total: int
    distinct: int
    group_order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairExclusion:
    """Two kinds of cations that are never filled together where their sites are too close.

    Attributes:
        orbits: indices of the two orbits in the crystal, the smaller first (equal for one orbit with itself).
        elements: the cation on each.
        distance: shortest distance between sites of the two orbits, Angstrom.
        below: pairs of sites closer than this are excluded, Angstrom.
        reason: "closest cations" (the distance set by the user) or "shared face" (two multivalent cations).
    """

    orbits: tuple[int, int]
    elements: tuple[str, str]
    distance: float
    below: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderingSet:
    """The symmetry-distinct orderings of a composition, with their multiplicities.

    Attributes:
        crystal_name: name of the disordered crystal.
        composition: whole atoms per orbit.
        count: exact numbers before pair exclusions.
        excluded_below: cation sites closer than this (Angstrom) are never filled together; 0: no exclusion.
        total_allowed: sum of multiplicities after exclusions (equals count.total without exclusions).
        cell: (3, 3) Angstrom, the supercell.
        fractional: (n_sites, 3) fractional coordinates of all sites in the supercell, vacant ones included.
        site_orbit: (n_sites,) index of each site's orbit in the crystal.
        species: names; index 0 is the vacancy "", others are elements.
        charges: (n_species,) formal charge of each, e.
        occupation: (n_orderings, n_sites) index into `species`.
        multiplicity: (n_orderings,) orderings equivalent to each.
    """

    crystal_name: str
    composition: Composition
    count: OrderingCount
    excluded_below: float
    total_allowed: int
    cell: FloatArray
    fractional: FloatArray
    site_orbit: IntArray
    species: tuple[str, ...]
    charges: FloatArray
    occupation: NDArray[np.uint8]
    multiplicity: IntArray

    @property
    def n_orderings(self) -> int:
        """Distinct orderings after exclusions."""
        return len(self.occupation)

    def structure(self, index: int) -> Atoms:
        """The ordered cell with this index: sites in their order, vacancies left out, periodic."""
        from ase import Atoms

        occupation = self.occupation[index]
        filled = occupation > 0
        return Atoms(
            [self.species[k] for k in occupation[filled]],
            scaled_positions=self.fractional[filled],
            cell=self.cell,
            pbc=True,
        )

"""What the orderings room gives: integer compositions, exact counts, and the distinct orderings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.errors import OrderingError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "CandidateSupercell",
    "Composition",
    "Measure",
    "OrbitComposition",
    "OrderingCount",
    "OrderingSet",
    "PairExclusion",
    "Sample",
    "Supercell",
    "as_supercell",
    "supercell_name",
]

Measure = Literal["colourings", "orderings", "low-energy"]
# Rows are the supercell's vectors in units of the crystal's cell vectors.
Supercell = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


def as_supercell(given: Supercell | Sequence[int]) -> Supercell:
    """A supercell from repeats along a, b, c or from a matrix of whole numbers.

    Args:
        given: three whole numbers of at least one, or three rows of three whole numbers with a determinant:
            the supercell's vectors in units of the crystal's. A negative determinant is a left-handed cell.
    Raises:
        OrderingError: anything else, singular matrices among them.

    Checked by tests/orderings/test_orderings_lattice.py.
    """
    try:
        matrix = np.array(given, dtype=float)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    is_repeats = matrix.shape == (3,) and bool(np.all(matrix >= 1))
    if is_repeats:
        matrix = np.diag(matrix)
    if matrix.shape != (3, 3) or not np.all(np.isfinite(matrix)) or np.any(matrix != np.rint(matrix)):
        raise _no_supercell(given, "")
    rows = [[int(n) for n in row] for row in matrix]
    if _determinant(rows) == 0:
        raise _no_supercell(given, ": its determinant is zero")
    return tuple(tuple(row) for row in rows)


def _determinant(m: list[list[int]]) -> int:
    """Of a 3x3 matrix of whole numbers, exact."""
    return sum(
        m[0][k] * (m[1][(k + 1) % 3] * m[2][(k + 2) % 3] - m[1][(k + 2) % 3] * m[2][(k + 1) % 3]) for k in range(3)
    )


def _no_supercell(given: object, why: str) -> OrderingError:
    return OrderingError(
        "a supercell is three whole numbers of at least one, or a 3x3 matrix of whole numbers with a determinant, "
        f"not {given}{why}",
        fix="orderings: {supercell: [1, 1, 2]}   (repeats along a, b, c; or [[1, 0, 0], [0, 1, 0], [1, 0, 2]])",
    )


def supercell_name(supercell: Supercell | Sequence[int]) -> str:
    """ "1x1x2" for repeats along a, b, c; otherwise the matrix, "[[1,0,0],[0,1,0],[1,0,2]]"."""
    rows = as_supercell(supercell)
    if all((rows[i][j] > 0) if i == j else (rows[i][j] == 0) for i in range(3) for j in range(3)):
        return "x".join(str(rows[k][k]) for k in range(3))
    return "[" + ",".join("[" + ",".join(map(str, row)) + "]" for row in rows) + "]"


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
        supercell: its vectors, as rows, in units of the crystal's cell vectors.
        orbits: one entry per orbit of the crystal.
        formula: e.g. "Li12 Y4 Br24".
        charge: total charge, e (zero).
        deviation: largest deviation of any orbit.
        ties: how many other neutral compositions lie equally near (within 1e-6 in the weighted distance).
    """

    supercell: Supercell
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
class CandidateSupercell:
    """A supercell that could be taken, with what listing its orderings would cost.

    Attributes:
        supercell: its vectors, as rows, in units of the crystal's cell vectors.
        composition: whole atoms per orbit, the nearest to the refinement in it.
        image_distance: shortest distance between periodic images, Angstrom.
        refined: exact numbers of orderings with these atoms per orbit, before exclusions.
        pooled: the same with elements pooled over their orbits.
        pooled_elements: which elements.
        n_bytes: memory of the orderings that the settings ask for: a byte per site and eight per multiplicity.
        seconds: predicted time to list them.
        is_exhaustive: whether all can be listed within the limit; otherwise a sample is drawn.
    """

    supercell: Supercell
    composition: Composition
    image_distance: float
    refined: OrderingCount
    pooled: OrderingCount
    pooled_elements: tuple[str, ...]
    n_bytes: int
    seconds: float
    is_exhaustive: bool

    @property
    def n_atoms(self) -> int:
        """Atoms in the supercell."""
        return self.composition.n_atoms

    @property
    def deviation(self) -> float:
        """Largest deviation of any occupancy from the refinement."""
        return self.composition.deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class PairExclusion:
    """Two elements that are never filled together where their sites are too close.

    Attributes:
        orbits: indices of the two orbits in the crystal, the smaller first (equal for one orbit with itself).
        elements: the element on each.
        distance: shortest distance between sites of the two orbits, Angstrom.
        below: pairs of sites closer than this are excluded, Angstrom.
        reason: "closest cations" (the distance set by the user), "shared face" (two multivalent cations) or
            "excluded pair" (a distance set by the user for this pair of elements).
    """

    orbits: tuple[int, int]
    elements: tuple[str, str]
    distance: float
    below: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How distinct orderings were drawn when there are too many to list.

    Attributes:
        measure: "colourings" (every ordering equally likely: weight proportional to multiplicity), "orderings"
            (every symmetry-distinct ordering equally likely) or "low-energy" (biased to low electrostatic energy:
            no measure at all, never to be averaged over).
        n_draws: draws made, repeats included; of "low-energy" the allowed orderings met.
        n_once: distinct orderings drawn exactly once; 0 for "low-energy".
        seed: of the random numbers; the same seed and more draws give this sample and more.
        coverage: distinct orderings found / `n_distinct`; where None, / those before exclusions, a lower bound.
        unseen_mass: Good-Turing estimate n_once / n_draws of the probability that the next draw is new; NaN for
            "low-energy".
        n_distinct: exact number of distinct orderings allowed; None: exclusions too wide to count under.
        n_starts, n_starts_lowest: independent starts of "low-energy"; those that met one as low as the lowest.
        is_settled: no start found a lower one in the second half of the rounds; False: their number ended it.
    """

    measure: Measure
    n_draws: int
    n_once: int
    seed: int
    coverage: float
    unseen_mass: float
    n_distinct: int | None = None
    n_starts: int = 0
    n_starts_lowest: int = 0
    is_settled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderingSet:
    """Symmetry-distinct orderings with their multiplicities: all of them, or a sample.

    Attributes:
        crystal_name: name of the disordered crystal.
        compositions: whole atoms per orbit, nearest to the refinement first; several of one formula where atoms
            are pooled over orbits.
        count: exact numbers before pair exclusions, over all compositions.
        exclusions: pairs of sites that are never filled together.
        total_allowed: orderings after exclusions (equals count.total without exclusions); of a sample, the sum of
            its multiplicities.
        cell: (3, 3) Angstrom, the supercell.
        fractional: (n_sites, 3) fractional coordinates of all sites in the supercell, vacant ones included.
        site_orbit: (n_sites,) index of each site's orbit in the crystal.
        species: names; index 0 is the vacancy "", others are elements.
        charges: (n_species,) formal charge of each, e.
        occupation: (n_orderings, n_sites) index into `species`; of a loaded set a read-only map of the file.
        multiplicity: (n_orderings,) orderings equivalent to each; mapped too.
        sample: how they were drawn; None: these are all.
        shard: (k, n): the k-th of n parts of them, counted from zero; (0, 1): no part.
    """

    crystal_name: str
    compositions: tuple[Composition, ...]
    count: OrderingCount
    exclusions: tuple[PairExclusion, ...]
    total_allowed: int
    cell: FloatArray
    fractional: FloatArray
    site_orbit: IntArray
    species: tuple[str, ...]
    charges: FloatArray
    occupation: NDArray[np.uint8]
    multiplicity: IntArray
    sample: Sample | None = None
    shard: tuple[int, int] = (0, 1)

    @property
    def composition(self) -> Composition:
        """The composition nearest to the refinement."""
        return self.compositions[0]

    @property
    def excluded_below(self) -> float:
        """Largest distance of any exclusion, Angstrom; 0: there is none."""
        return max((each.below for each in self.exclusions), default=0.0)

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

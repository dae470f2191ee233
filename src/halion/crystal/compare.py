"""Whether two disordered crystals are one structure, whatever their origin, setting and Wyckoff letters.

Both are reduced to primitive cells of their average structures. Every lattice basis of the second that matches the
first, with every origin shift that puts one of its sites on a chosen site of the first, pairs the sites one to one
with the least sum of squared distances plus squared occupancy differences (1 Angstrom for a full atom). The last
term tells apart shifts that map the anion frame onto itself but a full orbit onto an empty one: in C2/m halides
(0,0,1/2) exchanges 4g with 4h, and structures that differ by it are one only if the occupancies move along.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import spglib
from scipy.optimize import linear_sum_assignment

from halion.arrays import FloatArray, IntArray
from halion.crystal.symmetry import TOLERANCE, by_spglib, site_types
from halion.crystal.types import DisorderedCrystal
from halion.errors import CrystalError

__all__ = ["CrystalComparison", "compare_crystals"]

# Refinements of one compound differ by a few hundredths of an Angstrom, models with idealised coordinates by 0.3;
# other voids of the anion frame are farther off than 1 Angstrom.
SAME_RMS = 0.4  # Angstrom
SAME_DISTANCE = 0.8  # Angstrom, the farthest pair
_REACH = 2.0  # Angstrom, before the best shift is known
# Preparations of one compound differ by several hundredths; an orbit emptied into another by tenths.
SAME_OCCUPANCY = 0.1
_LENGTH_TOLERANCE, _ANGLE_TOLERANCE = 0.05, 4.0  # relative, at equal volume; degrees
_OCCUPANCY_WEIGHT = 1.0  # Angstrom per unit of occupancy
_FAR = 1e4  # Angstrom^2, for pairs that no match may use


@dataclass(frozen=True, slots=True, kw_only=True)
class CrystalComparison:
    """How alike two crystals are.

    Attributes:
        is_same: one structure: sites coincide and occupancies agree within the tolerances.
        has_same_sites: the sites coincide, whatever is on them.
        rms_distance: over paired sites after the best shift, in the mean cell, Angstrom; NaN if none pair.
        largest_distance: of any pair, Angstrom; NaN if none pair.
        occupancy_difference: largest |difference| of any element's occupancy over paired sites; NaN if none pair.
        volume_ratio: volume per site of the second over that of the first.
        verdict: one sentence.
    """

    is_same: bool
    has_same_sites: bool
    rms_distance: float
    largest_distance: float
    occupancy_difference: float
    volume_ratio: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Primitive:
    cell: FloatArray
    fractional: FloatArray
    occupancy: FloatArray  # (n_sites, n_elements)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    cost: float
    rms: float
    largest: float
    occupancy: float


def compare_crystals(first: DisorderedCrystal, second: DisorderedCrystal) -> CrystalComparison:
    """Compare two crystals by structure.

    Distances are measured in the mean of both cells after scaling them to one volume; mirror images count as equal.

    Args:
        first, second: the crystals.
    Returns:
        the comparison; is_same for rms <= 0.4 Angstrom, no pair beyond 0.8, and occupancies within 0.1.
    Raises:
        CrystalError: spglib finds no primitive cell.

    Checked by tests/crystal/test_crystal_compare.py: shifted origins, other cells, supercells, swapped orbits, and
    pymatgen's StructureMatcher as an independent judge.
    """
    elements = sorted({*first.composition, *second.composition})
    one, other = _primitive(first, elements), _primitive(second, elements)
    ratio = (second.volume / len(second.fractional)) / (first.volume / len(first.fractional))
    if len(one.fractional) != len(other.fractional):
        return _different(
            ratio, f"different: {len(one.fractional)} and {len(other.fractional)} sites in the primitive cells"
        )
    match = _best_match(one, other)
    if match is None:
        return _different(ratio, "different: the lattices or the sites do not match")
    same_sites = match.rms <= SAME_RMS and match.largest <= SAME_DISTANCE
    same = same_sites and match.occupancy <= SAME_OCCUPANCY
    kind = "the same structure" if same else "the same sites, occupied differently" if same_sites else "different"
    return CrystalComparison(
        is_same=same,
        has_same_sites=same_sites,
        rms_distance=match.rms,
        largest_distance=match.largest,
        occupancy_difference=match.occupancy,
        volume_ratio=ratio,
        verdict=f"{kind}: sites {match.rms:.3f} Angstrom apart (rms; at most {match.largest:.3f}), occupancies "
        f"within {match.occupancy:.3f}, volume ratio {ratio:.3f}",
    )


def _different(ratio: float, verdict: str) -> CrystalComparison:
    return CrystalComparison(
        is_same=False,
        has_same_sites=False,
        rms_distance=np.nan,
        largest_distance=np.nan,
        occupancy_difference=np.nan,
        volume_ratio=ratio,
        verdict=verdict,
    )


def _primitive(crystal: DisorderedCrystal, elements: list[str]) -> _Primitive:
    """The crystal's own sites in the Niggli form of its primitive lattice, one of each set of translates.

    spglib gives the lattice alone, in the crystal's orientation: the sites that it returns are moved by up to the
    tolerance, onto the special positions of the nearest standard origin.
    """
    occupancies = [dict(orbit.occupancy) for orbit in crystal.orbits]
    types = site_types(occupancies)[crystal.site_orbit]
    average = (crystal.cell, crystal.fractional, types)
    found = by_spglib(
        lambda: spglib.standardize_cell(average, to_primitive=True, no_idealize=True, symprec=TOLERANCE)
    )
    cell = None if found is None else by_spglib(lambda: spglib.niggli_reduce(found[0]))
    if cell is None:
        raise CrystalError(
            "spglib finds no primitive cell",
            where=crystal.name,
            fix="check the crystal with halion.crystal.describe",
        )
    fractional = crystal.fractional @ crystal.cell @ np.linalg.inv(cell) % 1.0
    steps = fractional[:, None, :] - fractional[None, :, :]
    distances = np.linalg.norm((steps - np.round(steps)) @ cell, axis=2)
    translates = (distances <= 2 * TOLERANCE) & (types[:, None] == types[None, :])
    first = np.flatnonzero(translates.argmax(axis=1) == np.arange(len(types)))
    table = np.array([[occupancy.get(e, 0.0) for e in elements] for occupancy in occupancies])
    return _Primitive(cell=cell, fractional=fractional[first], occupancy=table[crystal.site_orbit[first]])


def _best_match(one: _Primitive, other: _Primitive) -> _Match | None:
    """The match of least cost over all lattice bases and origin shifts."""
    volumes = [abs(np.linalg.det(each.cell)) for each in (one, other)]
    scales = [(volumes[1] / volumes[0]) ** (1 / 6), (volumes[0] / volumes[1]) ** (1 / 6)]
    cell, target = other.cell * scales[1], one.cell * scales[0]
    differences = np.abs(one.occupancy[:, None, :] - other.occupancy[None, :, :]).max(axis=2)
    pivots = _pivot(differences)
    best: _Match | None = None
    for basis in _bases(target, cell):
        mean = _mean_cell(target, basis @ cell)
        moved = other.fractional @ np.linalg.inv(basis)
        for pivot, partner in pivots:
            match = _pair(one.fractional, moved + one.fractional[pivot] - moved[partner], mean, differences)
            if match is not None and (best is None or match.cost < best.cost):
                best = match
    return best


def _pivot(differences: FloatArray) -> list[tuple[int, int]]:
    """One site of the first crystal with the fewest likely partners, and those partners."""
    likely = differences <= np.maximum(differences.min(axis=1, keepdims=True) + SAME_OCCUPANCY, 2 * SAME_OCCUPANCY)
    pivot = int(np.argmin(likely.sum(axis=1)))
    return [(pivot, int(partner)) for partner in np.flatnonzero(likely[pivot])]


def _bases(target: FloatArray, cell: FloatArray) -> list[IntArray]:
    """Integer matrices B of determinant +-1 with B @ cell like `target` in its lengths and angles."""
    lengths, directions = np.linalg.norm(target, axis=1), target / np.linalg.norm(target, axis=1)[:, None]
    steps = np.array([s for s in itertools.product(range(-2, 3), repeat=3) if any(s)])
    vectors = steps @ cell
    norms = np.linalg.norm(vectors, axis=1)
    near = [np.flatnonzero(np.abs(norms / length - 1) <= _LENGTH_TOLERANCE) for length in lengths]
    units = vectors / norms[:, None]
    angles = np.degrees(np.arccos(np.clip(units @ units.T, -1, 1)))
    wanted = np.degrees(np.arccos(np.clip(directions @ directions.T, -1, 1)))
    found = []
    for i, j in itertools.product(near[0], near[1]):
        if abs(angles[i, j] - wanted[0, 1]) > _ANGLE_TOLERANCE:
            continue
        for k in near[2]:
            fits = max(abs(angles[i, k] - wanted[0, 2]), abs(angles[j, k] - wanted[1, 2])) <= _ANGLE_TOLERANCE
            if fits and abs(round(np.linalg.det(steps[[i, j, k]]))) == 1:
                found.append(steps[[i, j, k]])
    return found


def _mean_cell(target: FloatArray, cell: FloatArray) -> FloatArray:
    """A cell whose metric is the mean of both: orientation does not matter for distances."""
    return np.linalg.cholesky((target @ target.T + cell @ cell.T) / 2)


def _pair(first: FloatArray, second: FloatArray, cell: FloatArray, differences: FloatArray) -> _Match | None:
    """Sites paired one to one, the mean displacement removed; None if some site has no partner in reach."""
    # The pivot's own displacement spoils the first shift; the second round pairs after removing the mean.
    for _ in range(2):
        steps = second[None, :, :] - first[:, None, :]
        steps -= np.round(steps)
        vectors = steps @ cell
        squares = (vectors**2).sum(axis=2)
        costs = np.where(squares > _REACH**2, _FAR, squares + (_OCCUPANCY_WEIGHT * differences) ** 2)
        rows, columns = linear_sum_assignment(costs)
        if costs[rows, columns].max() >= _FAR:
            return None
        second = second - steps[rows, columns].mean(axis=0)
    displacements = vectors[rows, columns] - vectors[rows, columns].mean(axis=0)
    distances = np.linalg.norm(displacements, axis=1)
    occupancy = differences[rows, columns]
    return _Match(
        cost=float((distances**2).sum() + ((_OCCUPANCY_WEIGHT * occupancy) ** 2).sum()),
        rms=float(np.sqrt((distances**2).mean())),
        largest=float(distances.max()),
        occupancy=float(occupancy.max()),
    )

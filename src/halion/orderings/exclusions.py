"""Which pairs of sites are never filled together, and why.

Two rules for cations, and whatever the user says of a pair of elements. The first rule is the user's too: no two
cations closer than `closest_cations`. The second is Pauling's third rule (J. Am. Chem. Soc. 51, 1010, 1929):
polyhedra of multivalent cations do not share faces. Two octahedra with the cation-anion distance R have their
centres 2/sqrt(3) R = 1.155 R apart across a shared face and sqrt(2) R = 1.414 R across a shared edge; the geometric
mean, 1.278 R, tells the two apart without radii or fitted numbers. A refinement that fills two such sites by more
than one atom together does have face-sharing pairs: there the rule does not hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError, nearest
from halion.orderings.sites import SupercellSites
from halion.orderings.types import PairExclusion
from halion.settings import OrderingSettings

__all__ = ["SitePairs", "conflicting_pairs", "exclusion_distances", "exclusions_for"]

Pair = tuple[str, str]

_SHARED_FACE = (2 / np.sqrt(3) * np.sqrt(2)) ** 0.5  # in cation-anion distances, see above
_MULTIVALENT = 2.0  # e
_FIRST_SHELL = 1.25  # anions within this times the nearest distance; the second shell of an octahedron is at 1.7
_OVERFULL = 0.02  # occupancies are refined to 0.01 each
_NONE: Mapping[Pair, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePairs:
    """Pairs of supercell sites too close for two elements.

    Attributes:
        exclusion: the rule they fall under.
        sites: (n_pairs, 2) site indices, first on the first orbit of the rule, second on the second; a site that
            is too close to its own periodic image is a pair with itself.
    """

    exclusion: PairExclusion
    sites: IntArray


def exclusions_for(crystal: DisorderedCrystal, settings: OrderingSettings) -> tuple[PairExclusion, ...]:
    """Every kind of pair that the settings exclude, nearest first: both rules above, and distances given per pair.

    `exclude` maps a pair of elements, "Y-Y", to the distance (Angstrom) below which their sites are never filled
    together. It stands in the place of both rules for that pair: a larger distance excludes more, a smaller one
    less, 0 nothing.

    Raises:
        OrderingError: a key of `exclude` is no pair of elements of the crystal, or one pair is named twice.

    Checked by tests/orderings/test_orderings_exclusions.py.
    """
    given = _given_pairs(crystal, settings.exclude)
    return exclusion_distances(crystal, settings.closest_cations_angstrom, exclude=given)


def _given_pairs(crystal: DisorderedCrystal, exclude: Mapping[str, float]) -> dict[Pair, float]:
    """Sorted pairs of elements from keys such as "Li-Y"."""
    given: dict[Pair, float] = {}
    known = ["-".join(pair) for pair in itertools.combinations_with_replacement(sorted(crystal.charges), 2)]
    for key, distance in exclude.items():
        elements = tuple(sorted(word.strip() for word in key.split("-")))
        if len(elements) != 2 or not set(elements) <= set(crystal.charges):
            raise OrderingError(
                f"orderings.exclude: '{key}' is no pair of elements of this crystal: {nearest(key, known)}",
                where=crystal.name,
                fix=f"orderings: {{exclude: {{{known[0]}: 3.5}}}}   (two elements, and Angstrom)",
            )
        if elements in given:
            raise OrderingError(
                f"orderings.exclude names the pair {'-'.join(elements)} twice",
                where=crystal.name,
                fix="leave one of the two out",
            )
        given[elements] = float(distance)
    return given


def exclusion_distances(
    crystal: DisorderedCrystal, closest_cations: float, *, exclude: Mapping[Pair, float] = _NONE
) -> tuple[PairExclusion, ...]:
    """Every kind of pair that is excluded, nearest first.

    Args:
        crystal: the disordered crystal.
        closest_cations: two cation sites closer than this are never filled together, Angstrom; 0: neither of the
            two rules holds, shared faces of multivalent cations included.
        exclude: distances, Angstrom, that stand in the place of these rules for sorted pairs of elements.

    Checked by tests/orderings/test_orderings_exclusions.py on Li3YCl6 (Y2-Y3 2.99 Angstrom, one column) and
    Li3YBr6.
    """
    if closest_cations <= 0 and not exclude:
        return ()
    shells = [_anion_distance(crystal, index) for index in range(len(crystal.orbits))]
    found = []
    for first, second in itertools.combinations_with_replacement(range(len(crystal.orbits)), 2):
        face = max(closest_cations, _SHARED_FACE * (shells[first] + shells[second]) / 2)
        rules = {}
        for pair in _element_pairs(crystal, first, second):
            below, reason = exclude.get(tuple(sorted(pair)), None), "excluded pair"
            if below is None:
                below, reason = _rule(crystal, (first, second), pair, closest_cations, face)
            rules[pair] = (below, reason)
        farthest = max(below for below, _ in rules.values())
        near = _distances(crystal, first, second, farthest) if farthest > 0 else ()
        shortest = float(min(near, default=np.inf))
        for pair, (below, reason) in rules.items():
            if shortest < below:
                if reason == "shared face" and shortest < closest_cations:
                    reason = "closest cations"
                found.append(
                    PairExclusion(
                        orbits=(first, second), elements=pair, distance=shortest, below=float(below), reason=reason
                    )
                )
    return tuple(sorted(found, key=lambda each: (each.distance, each.orbits, each.elements)))


def _rule(
    crystal: DisorderedCrystal, orbits: tuple[int, int], pair: Pair, closest_cations: float, face: float
) -> tuple[float, str]:
    """(distance below which two elements on two orbits are excluded, why) without being told."""
    if closest_cations <= 0 or any(crystal.charges[element] <= 0 for element in pair):
        return 0.0, ""
    if face > closest_cations and _may_not_share_faces(crystal, orbits, pair):
        return face, "shared face"
    return closest_cations, "closest cations"


def _element_pairs(crystal: DisorderedCrystal, first: int, second: int) -> list[Pair]:
    elements = [list(crystal.orbits[index].occupancy) for index in (first, second)]
    if first == second:
        return list(itertools.combinations_with_replacement(elements[0], 2))
    return list(itertools.product(*elements))


def _may_not_share_faces(crystal: DisorderedCrystal, orbits: tuple[int, int], elements: tuple[str, str]) -> bool:
    if any(crystal.charges[element] < _MULTIVALENT for element in elements):
        return False
    together = sum(crystal.orbits[index].occupancy[element] for index, element in zip(orbits, elements))
    return together <= 1.0 + _OVERFULL


def _anion_distance(crystal: DisorderedCrystal, index: int) -> float:
    """Mean distance of the anions around a site of this orbit, Angstrom; 0 without anions."""
    anions = [
        k
        for k, orbit in enumerate(crystal.orbits)
        if any(crystal.charges[element] < 0 for element in orbit.occupancy)
    ]
    if not anions or not any(crystal.charges[element] > 0 for element in crystal.orbits[index].occupancy):
        return 0.0
    radius = 3.0
    while True:
        distances = np.concatenate([_distances(crystal, index, k, radius) for k in anions])
        if len(distances) and distances.min() * _FIRST_SHELL <= radius:
            return float(distances[distances <= distances.min() * _FIRST_SHELL].mean())
        radius *= 1.5


def _distances(crystal: DisorderedCrystal, first: int, second: int, radius: float) -> FloatArray:
    """Distances below `radius` from one site of the first orbit to all of the second, itself left out."""
    reference = crystal.orbits[first].fractional[:1]
    _, _, distances = _neighbours(crystal.cell, reference, crystal.orbits[second].fractional, radius)
    return distances


def _neighbours(
    cell: FloatArray, here: FloatArray, there: FloatArray, radius: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """(i, j, distance) of all pairs closer than `radius`, periodic images included, a site with itself left out."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = [range(-n, n + 1) for n in np.ceil(radius / heights).astype(int) + 1]
    pieces = []
    for image in itertools.product(*reach):
        distance = np.linalg.norm((there[None] + np.array(image) - here[:, None]) @ cell, axis=-1)
        i, j = np.nonzero((distance < radius) & (distance > 1e-3))
        pieces.append((i, j, distance[i, j]))
    return tuple(np.concatenate(parts) for parts in zip(*pieces))


def conflicting_pairs(
    sites: SupercellSites, exclusions: tuple[PairExclusion, ...], symmetry: IntArray
) -> tuple[SitePairs, ...]:
    """Pairs of supercell sites under each exclusion, closed under the symmetry group.

    Args:
        sites: all sites of the supercell.
        exclusions: the rules, as `exclusion_distances` gives them.
        symmetry: (group_order, n_sites) permutations of all sites. Refined coordinates leave equivalent distances
            equal to some 0.001 Angstrom only; a pair just below a limit takes its equivalents along.
    """
    found = []
    for exclusion in exclusions:
        first, second = (np.flatnonzero(sites.site_orbit == orbit) for orbit in exclusion.orbits)
        i, j, _ = _neighbours(sites.cell, sites.fractional[first], sites.fractional[second], exclusion.below)
        pairs = np.unique(np.stack([first[i], second[j]], axis=1), axis=0)
        closed = symmetry[:, pairs].reshape(-1, 2).astype(np.int64)
        found.append(SitePairs(exclusion=exclusion, sites=np.unique(closed, axis=0)))
    return tuple(found)

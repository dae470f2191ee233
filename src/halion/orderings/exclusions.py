"""Which pairs of cation sites are never filled together, and why.

Two rules. The first is the user's: no two cations closer than `closest_cations`. The second is Pauling's third rule
(J. Am. Chem. Soc. 51, 1010, 1929): polyhedra of multivalent cations do not share faces. Two octahedra with the
cation-anion distance R have their centres 2/sqrt(3) R = 1.155 R apart across a shared face and sqrt(2) R = 1.414 R
across a shared edge; the geometric mean, 1.278 R, tells the two apart without radii or fitted numbers. A refinement
that fills two such sites by more than one atom together does have face-sharing pairs: there the rule does not hold.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.crystal.types import DisorderedCrystal
from halion.orderings.sites import SupercellSites
from halion.orderings.types import PairExclusion

__all__ = ["SitePairs", "conflicting_pairs", "exclusion_distances"]

_SHARED_FACE = (2 / np.sqrt(3) * np.sqrt(2)) ** 0.5  # in cation-anion distances, see above
_MULTIVALENT = 2.0  # e
_FIRST_SHELL = 1.25  # anions within this times the nearest distance; the second shell of an octahedron is at 1.7
_OVERFULL = 0.02  # occupancies are refined to 0.01 each


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


def exclusion_distances(crystal: DisorderedCrystal, closest_cations: float) -> tuple[PairExclusion, ...]:
    """Every kind of cation pair that is excluded, nearest first.

    Args:
        crystal: the disordered crystal.
        closest_cations: two cation sites closer than this are never filled together, Angstrom; 0: no exclusions,
            shared faces of multivalent cations included.

    Checked by tests/orderings/test_orderings_exclusions.py on Li3YCl6 (Y2-Y3 2.99 Angstrom, one column) and
    Li3YBr6.
    """
    if closest_cations <= 0:
        return ()
    shells = [_anion_distance(crystal, index) for index in range(len(crystal.orbits))]
    found = []
    for first, second in itertools.combinations_with_replacement(range(len(crystal.orbits)), 2):
        radius = max(closest_cations, _SHARED_FACE * (shells[first] + shells[second]) / 2)
        near = _distances(crystal, first, second, radius)
        if not len(near):
            continue
        for pair in _cation_pairs(crystal, first, second):
            below, reason = closest_cations, "closest cations"
            if radius > closest_cations and _may_not_share_faces(crystal, (first, second), pair):
                below, reason = radius, "shared face"
            if near.min() < below:
                reason = "closest cations" if near.min() < closest_cations else reason
                found.append(
                    PairExclusion(
                        orbits=(first, second),
                        elements=pair,
                        distance=float(near.min()),
                        below=float(below),
                        reason=reason,
                    )
                )
    return tuple(sorted(found, key=lambda each: (each.distance, each.orbits, each.elements)))


def _cation_pairs(crystal: DisorderedCrystal, first: int, second: int) -> list[tuple[str, str]]:
    cations = [[e for e in crystal.orbits[index].occupancy if crystal.charges[e] > 0] for index in (first, second)]
    if first == second:
        return list(itertools.combinations_with_replacement(cations[0], 2))
    return list(itertools.product(*cations))


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

"""Sites closer than atoms can be: exclusive neighbours of disorder, contradictions, and impossible crystals.

Two limits, both in sums of covalent radii (Cordero et al., Dalton Trans. 2008, 2832, as carried by gemmi).
Two ions of like charge do not come within the bond length of their neutral atoms, r1 + r2: partially occupied
sites that are nearer exclude each other (Li-Li 2.56, Li-Y 3.18, Y-Y 3.80 Angstrom). No two atoms at all come
within 0.65 (r1 + r2): Li-S 1.51 against bonds of 2.4; P-S 1.40 against 2.04; O-H 0.63 against 0.96.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import gemmi
import numpy as np

from halion.arrays import FloatArray
from halion.crystal.types import ClosePair, Orbit
from halion.errors import CrystalError

__all__ = ["find_close_pairs", "shortest_distance"]

_NO_BOND = 0.65
_FULL = 0.999
# Refined occupancies carry errors of about 0.01 each.
_OVERFULL = 0.02


def find_close_pairs(
    orbits: Sequence[Orbit], cell: FloatArray, charges: Mapping[str, float], where: str
) -> tuple[tuple[ClosePair, ...], tuple[str, ...]]:
    """Pairs of orbits with sites closer than atoms can be, nearest first, and notes on contradictions.

    Args:
        orbits: all orbits.
        cell: (3, 3) Angstrom.
        charges: element -> charge, e.
        where: for the error.
    Raises:
        CrystalError: two sites that are always occupied stand closer than any two atoms.

    Checked by tests/crystal/test_crystal_contacts.py against a naive search and known pairs.
    """
    pairs, notes, refused = [], [], []
    for first, second, distance in _near_orbits(orbits, cell):
        one, other = orbits[first], orbits[second]
        exclusive, impossible = _limits(one, other, charges)
        together = 2 - one.vacancy - other.vacancy
        if distance < impossible:
            if together > 2 * _FULL:
                refused.append((distance, _impossible(one, other, distance, where)))
            elif together > 1 + _OVERFULL:
                notes.append(
                    f"{_name(one)} and {_name(other)} stand {distance:.2f} Angstrom apart, closer than atoms can "
                    f"be, with occupancies that sum to {together:.3g}: the refinement contradicts itself there."
                )
        elif not (distance < exclusive and together <= 1 + _OVERFULL):
            continue
        pairs.append(ClosePair(orbits=(first, second), distance=distance, occupancy_sum=together))
    if refused:
        raise min(refused, key=lambda item: item[0])[1]
    return tuple(sorted(pairs, key=lambda pair: (pair.distance, pair.orbits))), tuple(notes)


def _limits(one: Orbit, other: Orbit, charges: Mapping[str, float]) -> tuple[float, float]:
    """Distance below which like charges exclude each other (0: none alike), and below which nothing bonds."""
    exclusive, impossible = 0.0, np.inf
    for first, second in itertools.product(one.occupancy, other.occupancy):
        radii = gemmi.Element(first).covalent_r + gemmi.Element(second).covalent_r
        impossible = min(impossible, _NO_BOND * radii)
        if charges[first] * charges[second] > 0:
            exclusive = max(exclusive, radii)
    return exclusive, impossible


def _near_orbits(orbits: Sequence[Orbit], cell: FloatArray) -> Iterator[tuple[int, int, float]]:
    """Pairs of orbits nearer than any limit, with their shortest distance; one site stands for its orbit."""
    radius = 2 * max(gemmi.Element(element).covalent_r for orbit in orbits for element in orbit.occupancy)
    everything = np.concatenate([orbit.fractional for orbit in orbits])
    starts = np.concatenate([[0], np.cumsum([orbit.n_sites for orbit in orbits])[:-1]])
    for first, orbit in enumerate(orbits):
        distances = np.minimum.reduceat(_distances(orbit.fractional[0], everything, cell, radius), starts)
        for second in np.flatnonzero(distances <= radius):
            if second >= first:
                yield first, int(second), float(distances[second])


def shortest_distance(point: FloatArray, others: FloatArray, cell: FloatArray, radius: float) -> float:
    """Shortest distance from a site to others and their periodic images, itself left out; inf beyond `radius`.

    Args:
        point: (3,) fractional.
        others: (n, 3) fractional.
        cell: (3, 3) Angstrom.
        radius: images up to this distance are looked at, Angstrom.
    """
    return float(_distances(point, others, cell, radius).min())


def _distances(point: FloatArray, others: FloatArray, cell: FloatArray, radius: float) -> FloatArray:
    """(n,) distance to the nearest image of each site, inf beyond `radius`; the site itself is left out."""
    # Lattice planes are 1 / |reciprocal vector| apart: so many cells reach `radius` from steps in [-1/2, 1/2].
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int)
    shifts = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach)))) @ cell
    steps = others - point
    steps = (steps - np.round(steps)) @ cell
    nearest = np.full(len(others), np.inf)
    for shift in shifts:
        distances = np.linalg.norm(steps + shift, axis=1)
        # The site itself is at zero to rounding; two sites nearer than this were merged before.
        nearest = np.minimum(nearest, np.where(distances > 1e-6, distances, np.inf))
    return np.where(nearest <= radius, nearest, np.inf)


def _name(orbit: Orbit) -> str:
    return "/".join(orbit.labels)


def _impossible(one: Orbit, other: Orbit, distance: float, where: str) -> CrystalError:
    return CrystalError(
        f"{_name(one)} ({', '.join(one.occupancy)}) and {_name(other)} ({', '.join(other.occupancy)}) are always "
        f"there and stand {distance:.2f} Angstrom apart, closer than atoms can be",
        where=where,
        fix="check their coordinates, the cell, the symmetry operations, and whether occupancies are missing",
    )

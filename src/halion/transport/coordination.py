"""Anions around a site: how many, in what shape, and how many two sites share."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.transport.density import IonDensity

__all__ = ["ANIONS", "Surroundings", "shared_anions", "sharing", "surroundings"]

ANIONS = frozenset({"N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I"})
# A shell of anions ends where the next one is this much farther than the last: in close packings the ratio is 1.7
# around an octahedral site and 1.9 around a tetrahedral one; vibration and strain leave more than this of it.
_GAP = 1.15
_SHELLS = {4: "tetrahedral", 6: "octahedral"}
_NEAREST = 12
_SHARING = {0: "no", 1: "corner", 2: "edge"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Anions around one site.

    Attributes:
        kind: octahedral, tetrahedral or other.
        anions: index in the framework and cell of each anion of the shell, nearest first.
        distances: (n_anions,) Angstrom.
    """

    kind: str
    anions: tuple[tuple[int, tuple[int, int, int]], ...]
    distances: FloatArray


def surroundings(density: IonDensity, fractional: FloatArray) -> Surroundings:
    """The shell of four or six anions, whichever stands out more; without one, those within 1.3 of the nearest.

    Args:
        density: whose framework is looked at.
        fractional: (3,) the site.
    Checked by tests/transport/test_transport_sites.py on close packings.
    """
    names = [k for k, symbol in enumerate(density.framework_symbols) if symbol in ANIONS]
    if not names:
        return Surroundings(kind="other", anions=(), distances=np.empty(0))
    atoms, cells, distances = _nearest(density.framework_fractional[names], fractional, density.cell)
    gaps = {n: distances[n] / distances[n - 1] for n in _SHELLS if len(distances) > n}
    best = max(gaps, key=gaps.__getitem__, default=0)
    if best and gaps[best] >= _GAP:
        kind, size = _SHELLS[best], best
    else:
        kind, size = "other", int(np.sum(distances <= 1.3 * distances[0]))
    anions = tuple((names[a], tuple(int(k) for k in cell)) for a, cell in zip(atoms[:size], cells[:size]))
    return Surroundings(kind=kind, anions=anions, distances=distances[:size])


def _nearest(anions: FloatArray, point: FloatArray, cell: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Index, cell and distance of the nearest anions, images counted; enough images for a dozen in any cell."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    # A ball of the volume of 24 anions holds two dozen of them.
    radius = (3 * 2 * _NEAREST * abs(np.linalg.det(cell)) / len(anions) / (4 * math.pi)) ** (1 / 3)
    reach = np.ceil(radius / heights + 0.5).astype(int)
    cells = np.array(list(itertools.product(*[range(-n, n + 1) for n in reach])))
    nearest = np.rint(point - anions).astype(int)
    apart = (anions - point + nearest)[:, None] + cells
    distances = np.linalg.norm(apart @ cell, axis=-1).ravel()
    order = np.argsort(distances, kind="stable")[:_NEAREST]
    atom = order // len(cells)
    return atom, nearest[atom] + cells[order % len(cells)], distances[order]


def shared_anions(first: Surroundings, second: Surroundings, image: tuple[int, int, int]) -> int:
    """Anions that belong to both shells, the second in another cell: 3 for a shared face, 2 edge, 1 corner.

    Checked by tests/transport/test_transport_sites.py on close packings.
    """
    moved = {(atom, tuple(int(a + b) for a, b in zip(cell, image))) for atom, cell in second.anions}
    return len(moved & set(first.anions))


def sharing(n_shared: int) -> str:
    """Face, edge, corner or no: what polyhedra with so many anions in common share."""
    return _SHARING.get(n_shared, "face")

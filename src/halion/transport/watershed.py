"""Regions of a periodic grid, one around each peak, and the ridges between them.

Every grid point is led from neighbour to neighbour (26 of them), each time along the steepest rise, until a peak is
reached; on the way it is noted which borders of the cell are crossed, so that a point knows in which image of the
cell its peak lies. Regions are then joined, at each ridge from the highest on, where a rule says that both are one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray

__all__ = ["Link", "PeriodicGroups", "Regions", "climb", "join"]

_STEPS = np.array([step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)])
# One of each pair of opposite neighbours.
_FORWARD = _STEPS[len(_STEPS) // 2 :]

Link = tuple[int, int, tuple[int, int, int]]
"""Two nodes of a periodic network, and the cell in which the second lies as seen from the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Regions of a grid.

    Attributes:
        peaks: (n_regions,) flat index of the highest point of each.
        labels: (n_points,) region of each grid point; -1 outside of all.
        images: (n_points, 3) cell of that peak as seen from the point.
        ridges: highest value at which two regions touch (a region may touch its own image).
    """

    peaks: IntArray
    labels: IntArray
    images: IntArray
    ridges: dict[Link, float]


def canonical(first: int, second: int, image: IntArray | tuple[int, int, int]) -> Link:
    """A link the same way round whichever end it is seen from."""
    image = tuple(int(k) for k in image)
    turned = tuple(-k for k in image)
    return (first, second, image) if (first, image) <= (second, turned) else (second, first, turned)


def _neighbour(shape: tuple[int, int, int], step: IntArray) -> tuple[IntArray, IntArray]:
    """Flat index of the neighbour of each point and (n_points, 3) borders crossed on the way to it."""
    places = [np.arange(n) + k for n, k in zip(shape, step)]
    wrapped = np.meshgrid(*[place % n for place, n in zip(places, shape)], indexing="ij")
    crossed = np.meshgrid(*[place // n for place, n in zip(places, shape)], indexing="ij")
    return np.ravel_multi_index(wrapped, shape).ravel(), np.stack(crossed, axis=-1).reshape(-1, 3)


def climb(values: FloatArray, cell: FloatArray, floor: float) -> Regions:
    """Regions of all peaks of a periodic grid.

    Args:
        values: (n_a, n_b, n_c) at fractions i / n of the cell vectors.
        cell: (3, 3) rows, Angstrom; distances in it make a rise steep.
        floor: points not above it belong to no region.
    Checked by tests/transport/test_transport_watershed.py against climbing from every point by hand.
    """
    shape, flat = values.shape, values.ravel()
    parent, image = np.arange(flat.size), np.zeros((flat.size, 3), dtype=np.int32)
    steepest = np.zeros(flat.size)
    for step in _STEPS:
        there, crossed = _neighbour(shape, step)
        rise = (flat[there] - flat) / np.linalg.norm((step / shape) @ cell)
        better = rise > steepest
        steepest[better], parent[better], image[better] = rise[better], there[better], crossed[better]
    while True:
        further = parent[parent]
        if np.array_equal(further, parent):
            break
        image, parent = image + image[parent], further
    inside = flat > floor
    peaks = np.unique(parent[inside])
    labels = np.where(inside, np.searchsorted(peaks, parent).clip(max=max(0, len(peaks) - 1)), -1)
    return Regions(peaks=peaks, labels=labels, images=image, ridges=_ridges(flat, shape, labels, image))


def _ridges(flat: FloatArray, shape: tuple[int, int, int], labels: IntArray, images: IntArray) -> dict[Link, float]:
    ridges: dict[Link, float] = {}
    for step in _FORWARD:
        there, crossed = _neighbour(shape, step)
        relative = images[there] + crossed - images
        apart = (labels >= 0) & (labels[there] >= 0) & ((labels != labels[there]) | relative.any(axis=1))
        here = np.flatnonzero(apart)
        keys = np.column_stack([labels[here], labels[there[here]], relative[here]])
        heights = np.minimum(flat[here], flat[there[here]])
        unique, which = np.unique(keys, axis=0, return_inverse=True)
        highest = np.zeros(len(unique))
        np.maximum.at(highest, which.ravel(), heights)
        for (first, second, *cell_of), height in zip(unique.tolist(), highest.tolist()):
            link = canonical(first, second, cell_of)
            ridges[link] = max(ridges.get(link, 0.0), height)
    return ridges


class PeriodicGroups:
    """Nodes of a periodic network in groups: which one a node is in, and in which cell, as seen from the node.

    A link between two nodes of one group closes a loop; where it ends in another cell it leads across the crystal.
    """

    def __init__(self, n_nodes: int) -> None:
        self._parent = list(range(n_nodes))
        self._cell = [np.zeros(3, dtype=int) for _ in range(n_nodes)]

    def find(self, node: int) -> tuple[int, IntArray]:
        """The group's first node, and its cell as seen from this one."""
        cell = np.zeros(3, dtype=int)
        while self._parent[node] != node:
            cell = cell + self._cell[node]
            node = self._parent[node]
        return node, cell

    def unite(self, keep: int, give_up: int, image: IntArray) -> None:
        """Two first nodes become one group; `image`: cell of `keep` as seen from `give_up`."""
        self._parent[give_up], self._cell[give_up] = keep, image


def join(regions: Regions, heights: FloatArray, are_one: Callable[[int, int, IntArray, float], bool]) -> Regions:
    """Regions that are one, joined; the highest peak stands for all of them.

    Args:
        regions: as climbed.
        heights: (n_regions,) of their peaks.
        are_one: asked with the lower peak, the higher one, the cell of the higher as seen from the lower, and the
            height of the ridge between them; from the highest ridge to the lowest.
    Checked by tests/transport/test_transport_watershed.py.
    """
    groups = PeriodicGroups(len(regions.peaks))
    for (first, second, image), ridge in sorted(regions.ridges.items(), key=lambda item: -item[1]):
        one, from_first = groups.find(first)
        other, from_second = groups.find(second)
        if one == other:
            continue
        relative = np.array(image) + from_second - from_first  # of `other` as seen from `one`
        if heights[one] > heights[other]:
            one, other, relative = other, one, -relative
        if are_one(one, other, relative, ridge):
            groups.unite(other, one, relative)
    return regrouped(regions, groups)


def regrouped(regions: Regions, groups: PeriodicGroups) -> Regions:
    """Regions renumbered by their groups; ridges within a group vanish."""
    found = [groups.find(k) for k in range(len(regions.peaks))]
    roots = np.array([root for root, _ in found], dtype=int)
    cells = np.array([cell for _, cell in found], dtype=int).reshape(-1, 3)
    kept, number = np.unique(roots, return_inverse=True)
    inside = regions.labels >= 0
    labels = np.where(inside, number[regions.labels] if len(number) else -1, -1)
    images = regions.images + np.where(inside[:, None], cells[regions.labels] if len(cells) else 0, 0)
    ridges: dict[Link, float] = {}
    for (first, second, image), height in regions.ridges.items():
        relative = np.array(image) + cells[second] - cells[first]
        if number[first] != number[second] or relative.any():
            link = canonical(int(number[first]), int(number[second]), relative)
            ridges[link] = max(ridges.get(link, 0.0), height)
    return Regions(peaks=regions.peaks[kept], labels=labels, images=images, ridges=ridges)

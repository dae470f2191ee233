"""The way of least resistance between two sites, and the free energy along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from halion.arrays import FloatArray, IntArray
from halion.transport.sites import Ridge, Sites
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["FreeEnergyPath", "free_energy_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEnergyPath:
    """Free energy along the way from one site to another.

    Attributes:
        fractional: (n_points, 3) unwrapped, from the first site, in its cell, to the second in its image.
        lengths: (n_points,) length along it, Angstrom.
        free_energy: (n_points,) -kT ln(P / P at the first site), eV.
    """

    fractional: FloatArray
    lengths: FloatArray
    free_energy: FloatArray


def free_energy_path(sites: Sites, ridge: Ridge) -> FreeEnergyPath:
    """The way of least resistance between two sites: that with the least integral of length / P, on the grid.

    An ion that creeps through -kT ln P meets this resistance; its highest point is the barrier along it, which is
    that of the ridge or a little more.

    Args:
        sites: of one density.
        ridge: one of theirs.
    Checked by tests/transport/test_transport_sites.py on an analytic density.
    """
    density = sites.density
    shape = np.array(density.values.shape)
    points, values = _both_regions(sites, ridge, shape)
    keys = {tuple(point): k for k, point in enumerate(points.tolist())}
    start = keys[tuple(np.rint(sites.fractional[ridge.first] * shape).astype(int))]
    end = keys[tuple((np.rint(sites.fractional[ridge.second] * shape) + ridge.image * shape).astype(int))]
    graph = _resistances(points, values, shape, density.cell)
    before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)[1]
    order = [end]
    while order[-1] != start:
        order.append(int(before[order[-1]]))
    chosen = np.array(order[::-1])
    fractional = points[chosen] / shape
    steps = np.linalg.norm(np.diff(fractional @ density.cell, axis=0), axis=1)
    kt = BOLTZMANN_EV_PER_K * density.temperature_k
    return FreeEnergyPath(
        fractional=fractional,
        lengths=np.concatenate([[0.0], np.cumsum(steps)]),
        free_energy=-kt * np.log(values[chosen] / values[start]),
    )


def _both_regions(sites: Sites, ridge: Ridge, shape: IntArray) -> tuple[IntArray, FloatArray]:
    """Unwrapped grid points of the first site and of the second in its image, and their densities."""
    points, values = [], []
    for site, cell in ((ridge.first, np.zeros(3, dtype=int)), (ridge.second, np.array(ridge.image))):
        inside = np.flatnonzero(sites.labels == site)
        places = np.stack(np.unravel_index(inside, tuple(shape)), axis=-1)
        points.append(places + (cell - sites.images[inside]) * shape)
        values.append(sites.density.values.ravel()[inside])
    return np.concatenate(points), np.concatenate(values)


def _resistances(points: IntArray, values: FloatArray, shape: IntArray, cell: FloatArray) -> csr_matrix:
    """Length over density between neighbouring points."""
    low = points.min(axis=0) - 1
    extent = points.max(axis=0) - low + 2
    flat = np.ravel_multi_index((points - low).T, extent)
    order = np.argsort(flat)
    rows, columns, weights = [], [], []
    for step in np.array([k for k in np.ndindex(3, 3, 3) if k > (1, 1, 1)]) - 1:
        wanted = flat + np.ravel_multi_index(step + 1, extent) - np.ravel_multi_index((1, 1, 1), extent)
        place = np.searchsorted(flat, wanted, sorter=order).clip(max=len(flat) - 1)
        there = order[place]
        both = np.flatnonzero(flat[there] == wanted)
        length = np.linalg.norm((step / shape) @ cell)
        rows.append(both)
        columns.append(there[both])
        weights.append(0.5 * length * (1 / values[both] + 1 / values[there[both]]))
    size = (len(points), len(points))
    return coo_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=size
    ).tocsr()

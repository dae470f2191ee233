"""Cluster functions of two elements on a sublattice: what an arrangement looks like to an energy model.

A row of zeros (host) and ones (guest) becomes spins s = -1, +1. With the symmetry group of the ordered cell,

    point   sum over the sites of one orbit                    s_i
    pair    sum over the pairs of one orbit of pairs           s_i s_j
    triplet sum over the triples of one orbit of near triples  s_i s_j s_k

are invariant under the group, and points and pairs are complete up to second order: every energy of the cell that
is a sum of terms of one and two sites, periodic images included, is a linear function of them. Two more kinds
carry what crystals have in common, so that few energies teach much:

    environment  sum_i s_i v_e(i), v_e(i) = sum over atoms of element e around site i of exp(-d / 0.37 Angstrom)
    shells       sums of s_i s_j over pairs with the weights of a smooth function of their distance

(0.37 Angstrom: the bond valence's decay, Brown and Altermatt, Acta Cryst. B 41, 244 (1985)).
Source: Sanchez, Ducastelle, Gratias, Physica A 128, 334 (1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.ranking.sublattice import Sublattice

__all__ = ["Block", "cluster_blocks", "spins", "values"]

_BOND_VALENCE_DECAY = 0.37  # Angstrom
_VALENCE_REACH = 6.0  # Angstrom, where the bond valence has fallen by 1e-4 from that of a bond
# Bounds between neighbour shells of close-packed sites at 1, sqrt 2, sqrt 3 nearest distances: their midpoints.
_NEAR, _MIDDLE = (1 + 2**0.5) / 2, (2**0.5 + 3**0.5) / 2
# Distances over which interactions of a pair keep their size: a tenth of the spread between two shells of anions.
_SHELL_WIDTH = 0.3  # Angstrom


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Cluster functions of one kind.

    Attributes:
        name: e.g. "near pairs".
        members: (n_members, order) sites of each cluster.
        weights: (n_members, n_functions) share of each cluster in each function.
    """

    name: str
    members: IntArray
    weights: FloatArray


def spins(rows: NDArray[np.uint8]) -> FloatArray:
    """-1 for the host, +1 for the guest."""
    return 2.0 * rows - 1.0


def values(block: Block, rows: NDArray[np.uint8]) -> FloatArray:
    """(n_rows, n_functions) values of a block's functions."""
    return spins(rows)[:, block.members].prod(axis=2) @ block.weights


def cluster_blocks(sublattice: Sublattice) -> tuple[Block, ...]:
    """All functions of a sublattice: points, environment, pairs near, middle and far, shells, near triplets.

    Checked by tests/ranking/test_ranking_clusters.py: invariance under the group, and completeness for pairs.
    """
    n = sublattice.n_sites
    first, second = np.triu_indices(n, 1)
    pairs = np.stack([first, second], axis=1)
    distance = _distances(sublattice)
    nearest = np.median((distance + np.diag(np.full(n, np.inf))).min(axis=1)) if n > 1 else np.inf
    labels = _orbits(sublattice.permutations, pairs, n)
    lengths = _means(labels, distance[first, second])[labels] if len(pairs) else np.empty(0)
    ranges = {
        "near pairs": lengths < _NEAR * nearest,
        "middle pairs": (lengths >= _NEAR * nearest) & (lengths < _MIDDLE * nearest),
        "far pairs": lengths >= _MIDDLE * nearest,
    }
    triples = _near_triples(distance < _NEAR * nearest)
    sites = np.arange(n)[:, None]
    blocks = [
        Block(name="points", members=sites, weights=_indicator(sublattice.site_orbit)),
        Block(name="environment", members=sites, weights=_environment(sublattice)),
        *(_of_orbits(name, pairs[inside], labels[inside]) for name, inside in ranges.items()),
        Block(name="shells", members=pairs, weights=_shells(lengths)),
        _of_orbits("near triplets", triples, _orbits(sublattice.permutations, triples, n)),
    ]
    return tuple(block for block in blocks if block.weights.size)


def _of_orbits(name: str, members: IntArray, labels: IntArray) -> Block:
    return Block(name=name, members=members, weights=_indicator(labels))


def _indicator(labels: IntArray) -> FloatArray:
    _, place = np.unique(labels, return_inverse=True)
    return np.eye(place.max() + 1)[place] if len(place) else np.empty((0, 0))


def _distances(sublattice: Sublattice) -> FloatArray:
    """(n, n) distance of each site to the nearest image of each other."""
    positions = sublattice.positions
    return get_distances(positions, positions, cell=sublattice.atoms.cell, pbc=True)[1]


def _orbits(permutations: NDArray[np.int32], members: IntArray, n_sites: int) -> IntArray:
    """A number for each cluster, equal for equivalent ones: the least code of its images."""
    least = np.full(len(members), np.iinfo(np.int64).max)
    powers = n_sites ** np.arange(members.shape[1], dtype=np.int64)[::-1]
    for permutation in permutations:
        images = np.sort(permutation[members], axis=1)
        np.minimum(least, images @ powers, out=least)
    return np.unique(least, return_inverse=True)[1]


def _means(labels: IntArray, lengths: FloatArray) -> FloatArray:
    """Equivalent pairs of averaged sites differ by rounding and by the tolerance of the cell's metric."""
    return np.bincount(labels, weights=lengths) / np.bincount(labels)


def _near_triples(near: NDArray[np.bool_]) -> IntArray:
    near = near & ~np.eye(len(near), dtype=bool)
    return np.array(
        [
            (i, j, k)
            for i in range(len(near))
            for j in np.flatnonzero(near[i])
            if j > i
            for k in np.flatnonzero(near[i] & near[j])
            if k > j
        ],
        dtype=np.int64,
    ).reshape(-1, 3)


def _environment(sublattice: Sublattice) -> FloatArray:
    """(n_sites, n_elements) bond-valence sum of each other element, as its difference from the mean in its spread.

    Elements of whose atoms all sites have equally many near are left out.
    """
    atoms = Atoms(
        sublattice.atoms.symbols, scaled_positions=sublattice.symmetric, cell=sublattice.atoms.cell, pbc=True
    )
    n_other = len(atoms) - sublattice.n_sites
    i, j, d = neighbor_list("ijd", atoms, _VALENCE_REACH)
    columns = []
    for number in np.unique(atoms.numbers[:n_other]):
        chosen = (i >= n_other) & (j < n_other) & (atoms.numbers[j] == number)
        terms = np.exp(-d[chosen] / _BOND_VALENCE_DECAY)
        valence = np.bincount(i[chosen] - n_other, weights=terms, minlength=sublattice.n_sites)
        valence = _means(sublattice.site_orbit, valence)[sublattice.site_orbit]
        if np.ptp(valence) > 1e-6 * valence.max():
            columns.append((valence - valence.mean()) / valence.std())
    return np.stack(columns, axis=1) if columns else np.empty((sublattice.n_sites, 0))


def _shells(lengths: FloatArray) -> FloatArray:
    """Square root of the covariance exp(-(d - d')^2 / 2 w^2) between interactions of pairs of lengths d and d'.

    Functions whose coefficients are independent then have a sum that is smooth in the distance.
    """
    if not len(lengths):
        return np.empty((0, 0))
    centres = np.arange(lengths.min(), lengths.max() + 2 * _SHELL_WIDTH, _SHELL_WIDTH)
    return np.exp(-(((lengths[:, None] - centres) / _SHELL_WIDTH) ** 2))

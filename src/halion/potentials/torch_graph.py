"""CHGNet's graph of a periodic cell, in numpy: bonds within 6 Angstrom, and pairs of those shorter than 3.

A bond is kept once, in one direction; its other direction is the same vector with the other sign, exactly. So both
ends agree on its length to the last bit, and bonds of an atom with its own images need no special case. No minimum
image convention: of any lattice, however small or skewed, all images within the cutoff are met.

Checked by tests/potentials/test_potentials_torch_graph.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from halion.arrays import FloatArray, IntArray

__all__ = ["ATOM_CUTOFF", "BOND_CUTOFF", "CrystalGraph", "build_graph", "join_graphs", "list_bonds"]

ATOM_CUTOFF = 6.0
BOND_CUTOFF = 3.0
# Added to search radii and to margins in fractional coordinates: far more than their rounding, and what it lets in
# is filtered out by the distance itself.
_MARGIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CrystalGraph:
    """The graph of one structure, or of several that share no bond.

    A short bond k of n has two ends: end k leaves the atom `centres[short[k]]` along -vectors[short[k]], end n + k
    leaves the atom `neighbours[short[k]]` along +vectors[short[k]].

    Attributes:
        structures: (n_atoms,) which structure an atom belongs to.
        numbers: (n_atoms,) atomic numbers.
        centres, neighbours: (n_bonds,) atoms of a bond shorter than 6 Angstrom.
        vectors: (n_bonds, 3) centre minus neighbour, Angstrom.
        short: (n_short,) the bonds shorter than 3 Angstrom.
        first, second: (n_angles,) every ordered pair of different ends that leave one atom.
    """

    structures: IntArray
    numbers: IntArray
    centres: IntArray
    neighbours: IntArray
    vectors: FloatArray
    short: IntArray
    first: IntArray
    second: IntArray


def list_bonds(
    positions: FloatArray, cell: FloatArray, cutoff: float = ATOM_CUTOFF
) -> tuple[IntArray, IntArray, FloatArray]:
    """Every bond shorter than the cutoff, once: centres, neighbours, and vectors centre minus neighbour.

    Args:
        positions: (n_atoms, 3) Angstrom, any images.
        cell: (3, 3) row vectors, Angstrom, not singular.
        cutoff: Angstrom.
    Returns:
        (n_bonds,), (n_bonds,), (n_bonds, 3); ordered by centre, neighbour, image.
    """
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse
    fractional -= np.floor(fractional)
    wrapped = fractional @ cell
    neighbour_of, shifts = _images(fractional, cutoff * np.linalg.norm(inverse, axis=0) + _MARGIN)
    ghosts = wrapped[neighbour_of] + shifts @ cell
    pairs = cKDTree(wrapped).sparse_distance_matrix(cKDTree(ghosts), cutoff + _MARGIN, output_type="ndarray")
    centres, neighbours, images = pairs["i"], neighbour_of[pairs["j"]], shifts[pairs["j"]]
    a, b, c = images.T
    ahead = (a > 0) | ((a == 0) & ((b > 0) | ((b == 0) & (c > 0))))
    once = (centres < neighbours) | ((centres == neighbours) & ahead)
    centres, neighbours, images = centres[once], neighbours[once], images[once]
    vectors = wrapped[centres] - (wrapped[neighbours] + images @ cell)
    near = np.linalg.norm(vectors, axis=1) < cutoff
    order = np.flatnonzero(near)
    order = order[np.lexsort((*images[order].T[::-1], neighbours[order], centres[order]))]
    return centres[order], neighbours[order], vectors[order]


def build_graph(numbers: IntArray, positions: FloatArray, cell: FloatArray) -> CrystalGraph:
    """The graph of one periodic structure."""
    centres, neighbours, vectors = list_bonds(positions, cell)
    # At 3 Angstrom exactly all that such a bond adds is multiplied by zero; chgnet's mixed <= and < do not matter.
    short = np.flatnonzero(np.linalg.norm(vectors, axis=1) < BOND_CUTOFF)
    first, second = _pairs_of_ends(np.concatenate([centres[short], neighbours[short]]), len(numbers))
    return CrystalGraph(
        structures=np.zeros(len(numbers), dtype=np.int64),
        numbers=np.asarray(numbers, dtype=np.int64),
        centres=centres,
        neighbours=neighbours,
        vectors=vectors,
        short=short,
        first=first,
        second=second,
    )


def join_graphs(graphs: Sequence[CrystalGraph]) -> CrystalGraph:
    """Graphs of single structures as one graph without bonds between them."""
    atoms = _starts([len(graph.numbers) for graph in graphs])
    bonds = _starts([len(graph.centres) for graph in graphs])
    shorts = _starts([len(graph.short) for graph in graphs])
    n_short = int(shorts[-1])

    def ends(of: str) -> IntArray:
        """Forward ends of all graphs come first, backward ends after them."""
        renumbered = []
        for graph, start in zip(graphs, shorts, strict=False):
            index, n = getattr(graph, of), len(graph.short)
            renumbered.append(np.where(index < n, index + start, index - n + start + n_short))
        return np.concatenate(renumbered)

    return CrystalGraph(
        structures=np.repeat(np.arange(len(graphs)), np.diff(atoms)),
        numbers=np.concatenate([graph.numbers for graph in graphs]),
        centres=np.concatenate([graph.centres + start for graph, start in zip(graphs, atoms, strict=False)]),
        neighbours=np.concatenate([graph.neighbours + start for graph, start in zip(graphs, atoms, strict=False)]),
        vectors=np.concatenate([graph.vectors for graph in graphs]),
        short=np.concatenate([graph.short + start for graph, start in zip(graphs, bonds, strict=False)]),
        first=ends("first"),
        second=ends("second"),
    )


def _starts(counts: list[int]) -> IntArray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _images(fractional: FloatArray, margin: FloatArray) -> tuple[IntArray, IntArray]:
    """Atoms and lattice shifts of all images within `margin` (fractional) of the cell, itself included."""
    most = np.ceil(margin).astype(int)
    steps = [np.arange(-n, n + 1) for n in most]
    shifts = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    moved = fractional[None] + shifts[:, None]
    shift, atom = np.nonzero(((moved >= -margin) & (moved < 1 + margin)).all(axis=2))
    return atom, shifts[shift]


def _pairs_of_ends(atom_of_end: IntArray, n_atoms: int) -> tuple[IntArray, IntArray]:
    """Every ordered pair of different ends that leave the same atom, sorted by atom, first and second."""
    by_atom = np.argsort(atom_of_end, kind="stable")
    n_ends = np.bincount(atom_of_end, minlength=n_atoms)
    partners = n_ends[atom_of_end[by_atom]]
    first = np.repeat(np.arange(len(by_atom)), partners)
    starts = np.repeat(np.cumsum(n_ends) - n_ends, n_ends)
    within = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    second = np.repeat(starts, partners) + within
    different = first != second
    return by_atom[first[different]], by_atom[second[different]]

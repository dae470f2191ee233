"""All shapes of a supercell: one of each class of lattices that the crystal's point group takes to each other.

Every lattice of n cells has one Hermite form, so listing these lists all lattices. Two of them that an operation of
the point group takes to each other have the same orderings, turned.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from ase.geometry import minkowski_reduce

from halion.arrays import FloatArray, IntArray
from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.lattice import image_distances, is_diagonal
from halion.orderings.types import Supercell, as_supercell

__all__ = ["distinct_supercells", "hermite_forms", "near_cubic_supercell", "reduced_supercell"]

_SAME_LENGTH = 1e-6  # relative; lengths of equivalent vectors differ by rounding alone


@lru_cache(maxsize=256)
def hermite_forms(n_cells: int) -> tuple[Supercell, ...]:
    """All lattices of n cells, each as its Hermite form: sum over a d f = n of d f^2 of them."""
    found = []
    for a, d in itertools.product(range(1, n_cells + 1), repeat=2):
        if n_cells % (a * d) == 0:
            f = n_cells // (a * d)
            found += [
                ((a, b, c), (0, d, e), (0, 0, f))
                for b in range(d)
                for c, e in itertools.product(range(f), repeat=2)
            ]
    return tuple(found)


def distinct_supercells(crystal: DisorderedCrystal, n_cells: int) -> tuple[Supercell, ...]:
    """The supercells of n cells that differ, one of each class under the crystal's point group.

    A class that holds repeats along a, b, c is given as these (the fewest along a, then along b); every other as a
    Minkowski-reduced matrix, its vectors as short as the lattice has them.

    Args:
        crystal: its operations tell which lattices are alike.
        n_cells: cells of the crystal in the supercell.
    Raises:
        OrderingError: fewer than one cell.

    Source: Hart, Forcade, Phys. Rev. B 77, 224115 (2008), whose table 4 has the numbers. Checked by
    tests/orderings/test_orderings_shapes.py against it, and against turning every lattice.
    """
    if int(n_cells) != n_cells or n_cells < 1:
        raise OrderingError(
            f"a supercell holds a whole number of cells, at least one, not {n_cells}",
            fix="ask for 1, 2, 3, ... cells",
        )
    forms = hermite_forms(int(n_cells))
    classes = _classes(np.array(forms), np.unique(crystal.rotations, axis=0))
    chosen = []
    for members in classes:
        diagonal = [forms[k] for k in members if is_diagonal(forms[k])]
        # Compared as (a, b, c): the diagonals of the matrices.
        chosen.append(min(diagonal) if diagonal else reduced_supercell(crystal.cell, forms[members[0]]))
    return tuple(chosen)


def _classes(forms: IntArray, rotations: IntArray) -> list[list[int]]:
    """Indices of lattices that rotations, on coordinates of the crystal, take to each other.

    R takes the lattice of A to that of B when the rows of A R^T are whole combinations of those of B.
    """
    n_cells = round(float(abs(np.linalg.det(forms[0]))))
    adjugates = np.rint(np.linalg.inv(forms) * n_cells).astype(np.int64)
    left = np.arange(len(forms))
    classes = []
    while len(left):
        turned = forms[left[0]] @ np.swapaxes(rotations, -1, -2)
        whole = (turned[:, None] @ adjugates[left][None]) % n_cells == 0
        same = whole.all(axis=(-2, -1)).any(axis=0)
        classes.append(left[same].tolist())
        left = left[~same]
    return classes


def reduced_supercell(cell: FloatArray, supercell: Supercell) -> Supercell:
    """The same lattice on its shortest vectors (Minkowski-reduced), right-handed where the crystal's cell is.

    Among bases of equal lengths the one with the most zeros, then the fewest negative numbers, then nearest to a
    diagonal: a choice that rounding errors of lengths do not sway.
    """
    _, operation = minkowski_reduce(np.array(supercell) @ cell)
    basis = np.rint(operation).astype(np.int64) @ np.array(supercell)
    steps = np.array([step for step in itertools.product((0, 1, -1), repeat=3) if _leads_with_one(step)])
    lengths = np.linalg.norm(steps @ basis @ cell, axis=1)
    wanted = np.sort(np.linalg.norm(basis @ cell, axis=1))
    short = np.flatnonzero(lengths <= wanted[-1] * (1 + _SAME_LENGTH))
    best: tuple | None = None
    for three in itertools.combinations(short, 3):
        same = np.allclose(np.sort(lengths[list(three)]), wanted, rtol=_SAME_LENGTH, atol=0)
        if not same or abs(round(np.linalg.det(steps[list(three)]))) != 1:
            continue
        for rows in itertools.permutations((steps[list(three)] @ basis).tolist()):
            for signs in itertools.product((1, -1), repeat=3):
                matrix = tuple(tuple(sign * n for n in row) for sign, row in zip(signs, rows))
                key = _plainness(matrix)
                if (best is None or key < best) and np.linalg.det(matrix) > 0:
                    best = key
    return as_supercell(best[-1])


def _leads_with_one(step: tuple[int, ...]) -> bool:
    """One of each pair of opposite vectors, zero left out."""
    return next((n for n in step if n), 0) == 1


def _plainness(matrix: Supercell) -> tuple:
    numbers = [n for row in matrix for n in row]
    trace = sum(matrix[k][k] for k in range(3))
    return sum(n != 0 for n in numbers), sum(n < 0 for n in numbers), -trace, [-n for n in numbers], matrix


def near_cubic_supercell(cell: FloatArray, *, max_cells: int, min_image_angstrom: float | None = None) -> Supercell:
    """The smallest supercell whose periodic images are far enough apart, or the one that has them farthest apart.

    For dynamics: what a moving ion meets again is its own image, so the shortest distance between images, and not
    the number of repeats, is the size of a cell. All lattices of a size are looked at, so a flat or a long cell
    becomes nearly a cube (or a rhombohedron, whose images are farther apart still at the same volume).

    Args:
        cell: (3, 3) Angstrom, rows are the vectors of an ordered cell.
        max_cells: most repeats of the ordered cell.
        min_image_angstrom: distance to reach with as few cells as possible; None: the farthest within `max_cells`,
            the smallest such.
    Returns:
        Minkowski-reduced whole-number matrix. Among lattices of one size the largest image distance wins, then the
        smallest longest edge; where `max_cells` does not reach `min_image_angstrom`, the best there is.
    Raises:
        OrderingError: fewer than one cell, or a cell without volume.

    Checked by tests/orderings/test_orderings_shapes.py against looking at all, and known lattices.
    """
    cell = np.asarray(cell, dtype=float)
    if max_cells < 1 or not abs(np.linalg.det(cell)) > 0:
        raise OrderingError(
            f"a supercell of at most {max_cells} cells of volume {abs(np.linalg.det(cell)):.3g} cubic Angstrom "
            "is none",
            fix="give a cell with a volume, and at least one repeat",
        )
    best: tuple[float, Supercell] | None = None
    for n_cells in range(1, int(max_cells) + 1):
        forms = hermite_forms(n_cells)
        distances = image_distances(np.array(forms) @ cell)
        farthest = float(distances.max())
        if best is None or farthest > best[0] * (1 + _SAME_LENGTH):
            best = farthest, _shortest_edges(cell, [forms[k] for k in np.flatnonzero(_equal(distances, farthest))])
        if min_image_angstrom is not None and best[0] >= min_image_angstrom * (1 - _SAME_LENGTH):
            break
    return best[1]


def _equal(distances: FloatArray, value: float) -> FloatArray:
    return distances >= value * (1 - _SAME_LENGTH)


def _shortest_edges(cell: FloatArray, forms: list[Supercell]) -> Supercell:
    """Of lattices with equal image distances the one whose longest reduced edge is shortest."""
    reduced = [reduced_supercell(cell, form) for form in forms]
    longest = [round(float(np.linalg.norm(np.array(one) @ cell, axis=1).max()), 6) for one in reduced]
    return min(zip(longest, map(_plainness, reduced)))[1][-1]

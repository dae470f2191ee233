"""Whole-number lattices: the cells of a supercell, one by one, for any matrix; and how near its images are.

The vectors of a supercell are whole combinations of the crystal's, the rows of a matrix P. Row operations that keep
the lattice bring P to its Hermite form: upper triangular, positive on the diagonal. With it every lattice point is
reduced to one of the box d1 x d2 x d3 of its diagonal, one per cell of the crystal inside the supercell. A diagonal
P is its own Hermite form.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.orderings.types import Supercell

__all__ = [
    "cell_count",
    "cell_numbers",
    "cell_offsets",
    "hermite_form",
    "image_distances",
    "is_diagonal",
    "keeps_lattice",
]

_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_ROUNDING = 1e-12  # of the sum of squares: a product that small is a right angle


def cell_count(supercell: Supercell) -> int:
    """Cells of the crystal in the supercell: |det P|, exact."""
    form = hermite_form(supercell)
    return form[0][0] * form[1][1] * form[2][2]


def is_diagonal(supercell: Supercell) -> bool:
    """Whether it repeats the crystal's cell along a, b, c."""
    return all((supercell[i][j] == 0) != (i == j) and supercell[i][i] > 0 for i in range(3) for j in range(3))


@lru_cache(maxsize=100_000)
def hermite_form(supercell: Supercell) -> Supercell:
    """The upper triangular matrix of the same lattice: positive diagonal, 0 <= entries above it < the diagonal.

    Two matrices span one lattice when their Hermite forms are equal. Euclid's algorithm on the rows, exact.

    Checked by tests/orderings/test_orderings_lattice.py: same lattice, same form.
    """
    rows = [list(row) for row in supercell]
    for k in range(3):
        while any(rows[i][k] for i in range(k + 1, 3)):
            pivot = min((i for i in range(k, 3) if rows[i][k]), key=lambda i: abs(rows[i][k]))
            rows[k], rows[pivot] = rows[pivot], rows[k]
            for i in range(k + 1, 3):
                _subtract(rows, i, k, rows[i][k] // rows[k][k])
        if rows[k][k] < 0:
            rows[k] = [-n for n in rows[k]]
        for i in range(k):
            _subtract(rows, i, k, rows[i][k] // rows[k][k])
    return tuple(tuple(row) for row in rows)


def _subtract(rows: list[list[int]], i: int, k: int, times: int) -> None:
    rows[i] = [a - times * b for a, b in zip(rows[i], rows[k])]


def cell_offsets(supercell: Supercell) -> IntArray:
    """(n_cells, 3) whole-number offsets of the crystal's cells in a supercell, the last index fastest."""
    form = hermite_form(supercell)
    return np.stack(np.meshgrid(*[np.arange(form[k][k]) for k in range(3)], indexing="ij"), axis=-1).reshape(-1, 3)


def cell_numbers(supercell: Supercell, points: IntArray) -> IntArray:
    """Index in `cell_offsets` of the cell that each lattice point, (..., 3), is a periodic image of."""
    form = np.array(hermite_form(supercell))
    left = np.array(points, dtype=np.int64)
    for k in range(3):
        left = left - (left[..., k] // form[k, k])[..., None] * form[k]
    return (left[..., 0] * form[1, 1] + left[..., 1]) * form[2, 2] + left[..., 2]


def keeps_lattice(rotations: IntArray, supercell: Supercell) -> NDArray[np.bool_]:
    """(n,) whether each rotation, (n, 3, 3) on coordinates of the crystal, maps the supercell's lattice to itself.

    R P_i must be a whole combination of the rows of P: P R^T adj(P) divisible by det P.
    """
    matrix = np.array(supercell, dtype=np.int64)
    determinant = round(float(np.linalg.det(matrix)))
    adjugate = np.rint(np.linalg.inv(matrix) * determinant).astype(np.int64)
    turned = matrix @ np.swapaxes(rotations, -1, -2) @ adjugate
    return np.all(turned % determinant == 0, axis=(-2, -1))


def image_distances(cells: FloatArray) -> FloatArray:
    """Shortest distance between a point and its periodic images in each of many cells, Angstrom.

    That is the shortest lattice vector, in a skewed cell none of the edges. Selling's reduction makes four vectors
    of sum zero that include angles of at least 90 degrees; the shortest vector of the lattice is one of them
    or a sum of two (Delaunay 1932; Conway, Sloane, Proc. R. Soc. A 436, 55 (1992)).

    Args:
        cells: (n, 3, 3) Angstrom, rows are the vectors of each cell.
    Returns:
        (n,) Angstrom.

    Checked by tests/orderings/test_orderings_lattice.py against all combinations up to a bound, and ASE.
    """
    cells = np.asarray(cells, dtype=float)
    four = np.concatenate([cells, -cells.sum(axis=1, keepdims=True)], axis=1)
    sizes = np.einsum("nij,nij->n", four, four)
    while True:
        products = np.einsum("nik,njk->nij", four, four)
        acute = np.array([products[:, i, j] for i, j in _PAIRS]).T
        worst = acute.argmax(axis=1)
        turn = np.flatnonzero(acute.max(axis=1) > _ROUNDING * sizes)
        if not len(turn):
            break
        for k, (i, j) in enumerate(_PAIRS):
            here = turn[worst[turn] == k]
            p, q = (each for each in range(4) if each not in (i, j))
            # v_i is turned round and added to the two others: the sum stays zero, the sum of squares shrinks.
            step = four[here, i].copy()
            four[here, p] += step
            four[here, q] += step
            four[here, i] = -step
    pairs = [four[:, 0] + four[:, k] for k in (1, 2, 3)]
    vectors = np.concatenate([four, np.stack(pairs, axis=1)], axis=1)
    return np.linalg.norm(vectors, axis=-1).min(axis=-1)

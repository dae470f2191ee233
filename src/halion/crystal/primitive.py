"""The primitive cell of a centred crystal: the same crystal with the fewest sites per cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from ase.geometry.minkowski_reduction import minkowski_reduce

from halion.arrays import FloatArray, IntArray
from halion.crystal.types import DisorderedCrystal, Orbit

__all__ = ["centrings", "primitive_crystal"]

# Fractional translations of centrings are halves, thirds and quarters: far apart on this scale.
_SAME = 1e-4
_HOLDS = 48  # largest denominator looked for


def primitive_crystal(crystal: DisorderedCrystal) -> DisorderedCrystal:
    """The crystal in its primitive cell, Minkowski-reduced and right-handed; itself if it is not centred.

    Cell A of the crystal and cell B A of its lattice, centrings included: fractional coordinates f (rows) become
    f B^-1, an operation (R, t) on columns becomes (B^-T R B^T, B^-T t). Wyckoff letters keep the multiplicity of
    the centred cell, as tables print them.

    Returns:
        a crystal with 1/n of the sites, n the number of centrings, in the same orbits.
    Source: Hahn, International Tables for Crystallography A, section 5.1 (changes of the coordinate system).
    Checked by tests/crystal/test_crystal_primitive.py: neighbours, groups, counts of orderings.
    """
    shifts = centrings(crystal)
    if len(shifts) == 1:
        return crystal
    basis = _lattice_basis(shifts)
    cell, change = minkowski_reduce(basis @ crystal.cell)
    basis = np.asarray(change) @ basis
    if np.linalg.det(cell) < 0:
        basis, cell = -basis, -cell
    to_new = np.linalg.inv(basis)
    rotations, translations = _operations(crystal, to_new)
    share = f"1/{len(shifts)}"
    return replace(
        crystal,
        cell=np.asarray(cell, dtype=float),
        orbits=tuple(_orbit(orbit, to_new) for orbit in crystal.orbits),
        rotations=rotations,
        translations=translations,
        notes=(*crystal.notes, f"Supercells are counted in the primitive cell, {share} of the refined one."),
    )


def centrings(crystal: DisorderedCrystal) -> FloatArray:
    """(n, 3) translations of the crystal within its cell, the null one first."""
    is_one = (crystal.rotations == np.eye(3, dtype=int)).all(axis=(1, 2))
    shifts = crystal.translations[is_one] % 1.0
    shifts[np.abs(shifts - 1.0) < _SAME] = 0.0
    return shifts[np.lexsort(shifts.T[::-1])]


def _lattice_basis(shifts: FloatArray) -> FloatArray:
    """(3, 3) rows that span the whole-number vectors and the centrings, fractional in the old cell."""
    scale = next(n for n in range(1, _HOLDS + 1) if np.abs(shifts * n - np.round(shifts * n)).max() < _SAME * n)
    rows = [*(scale * np.eye(3, dtype=int)).tolist(), *np.round(shifts * scale).astype(int).tolist()]
    return np.array(list(_staircase([[int(x) for x in row] for row in rows])), dtype=float) / scale


def _staircase(rows: list[list[int]]) -> Iterator[list[int]]:
    """Rows of an upper triangular basis of the lattice that whole-number rows span, by Euclid's algorithm."""
    for column in range(3):
        while len(filled := [row for row in rows if row[column]]) > 1:
            least = min(filled, key=lambda row: abs(row[column]))
            for row in filled:
                if row is not least:
                    times = row[column] // least[column]
                    row[:] = [x - times * y for x, y in zip(row, least, strict=True)]
        yield filled[0]
        rows = [row for row in rows if row is not filled[0]]


def _orbit(orbit: Orbit, to_new: FloatArray) -> Orbit:
    """The orbit's sites in the new cell, each once, in the order of the old ones."""
    kept: list[FloatArray] = []
    for site in orbit.fractional @ to_new:
        apart = [np.abs(site - other - np.round(site - other)).max() for other in kept]
        if not apart or min(apart) > _SAME * 10:
            kept.append(site)
    return replace(orbit, fractional=np.array(kept) % 1.0)


def _operations(crystal: DisorderedCrystal, to_new: FloatArray) -> tuple[IntArray, FloatArray]:
    """Operations in the new cell, one of those that differ by a centring."""
    turn = to_new.T
    rotations = np.round(turn @ crystal.rotations @ np.linalg.inv(turn)).astype(np.int64)
    translations = crystal.translations @ to_new
    first: dict[bytes, int] = {}
    for k, rotation in enumerate(rotations):
        first.setdefault(rotation.tobytes(), k)
    kept = list(first.values())
    moved = translations[kept] % 1.0
    moved[np.abs(moved - 1.0) < _SAME] = 0.0
    return rotations[kept], moved

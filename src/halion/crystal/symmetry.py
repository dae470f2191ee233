"""Space group, Wyckoff letters and orbits of a disordered crystal, by spglib with occupancies told apart as types.

Two sites are of one type if they hold the same elements with the same occupancies (to 1e-4, a digit more than
refinements print). Orbits are those of the group found, so that a crystal listed in P1 has the orbits of its
symmetry, and a file whose list is short does not count one site twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import spglib

from halion.arrays import FloatArray, IntArray
from halion.crystal.cif_symmetry import Operations
from halion.crystal.expand import Group
from halion.crystal.types import Orbit
from halion.errors import CrystalError

__all__ = ["Symmetry", "by_spglib", "find_symmetry", "site_types"]

# Positions are exact under the file's operations; this leaves room for coordinates listed in P1 with four digits.
TOLERANCE = 0.01  # Angstrom


Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetry:
    """What spglib finds.

    Attributes:
        orbits: in the order of the file.
        space_group: Hermann-Mauguin symbol.
        number: its number.
        rotations: (n, 3, 3) on fractional coordinates of the cell, centrings included.
        translations: (n, 3).
        notes: differences from the file's operations.
    """

    orbits: tuple[Orbit, ...]
    space_group: str
    number: int
    rotations: IntArray
    translations: FloatArray
    notes: tuple[str, ...]


def site_types(occupancies: Sequence[dict[str, float]]) -> IntArray:
    """One number per set of occupancies: equal numbers for equal sets (to 1e-4), from 1 up."""
    known: dict[tuple, int] = {}
    keys = [tuple(sorted((e, round(x, 4)) for e, x in occupancy.items())) for occupancy in occupancies]
    return np.array([known.setdefault(key, len(known) + 1) for key in keys], dtype=np.int64)


def by_spglib(question: Callable[[], Found]) -> Found | None:
    """What spglib answers; None if it finds nothing."""
    with warnings.catch_warnings():
        # spglib 2.8 announces a change from returning None to raising; both are met here.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return question()
        except spglib.error.SpglibError:
            return None


def find_symmetry(groups: Sequence[Group], cell: FloatArray, operations: Operations, where: str) -> Symmetry:
    """Space group, operations and orbits of a crystal.

    Raises:
        CrystalError: spglib finds no symmetry (sites on top of each other, or a cell that is none).
    """
    fractional = np.concatenate([group.fractional for group in groups])
    home = np.repeat(np.arange(len(groups)), [len(group.fractional) for group in groups])
    types = site_types([group.occupancy for group in groups])[home]
    found = by_spglib(lambda: spglib.get_symmetry_dataset((cell, fractional, types), symprec=TOLERANCE))
    if found is None:
        raise CrystalError(
            "no space group can be found: sites may stand on top of each other, or the cell is none",
            where=where,
            fix="check the cell and the coordinates",
        )
    rotations, translations = np.array(found.rotations, dtype=np.int64), np.array(found.translations)
    standard = len(fractional) / len(found.std_types)
    orbits = []
    for root in _in_order(found.crystallographic_orbits):
        members = np.flatnonzero(found.crystallographic_orbits == root)
        rows = sorted(set(home[members].tolist()))
        orbits.append(
            Orbit(
                labels=tuple(label for row in rows for label in groups[row].labels),
                wyckoff=f"{round(len(members) / standard)}{found.wyckoffs[members[0]]}",
                fractional=fractional[members],
                occupancy=dict(groups[rows[0]].occupancy),
            )
        )
    return Symmetry(
        orbits=tuple(orbits),
        space_group=str(found.international),
        number=int(found.number),
        rotations=rotations,
        translations=translations % 1.0,
        notes=_differences(str(found.international), len(rotations), len(operations.rotations)),
    )


def _in_order(roots: IntArray) -> list[int]:
    return list(dict.fromkeys(roots.tolist()))


def _differences(symbol: str, n_found: int, n_file: int) -> tuple[str, ...]:
    if n_found == n_file:
        return ()
    relation = "more" if n_found > n_file else "fewer"
    return (
        f"spglib finds {symbol} with {n_found} operations in this cell, {relation} than the file's {n_file}; "
        "orbits are those of spglib's group.",
    )

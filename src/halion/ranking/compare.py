"""When two relaxed cells are one structure: rotations, translations, other axes and atom orders aside."""

from __future__ import annotations

import warnings

from ase import Atoms
from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher
from pymatgen.core import Structure

__all__ = ["is_same_structure"]

# Two runs into one minimum end within the force tolerance of it: 0.01 eV/Angstrom over the softest Li modes,
# 0.1 eV/Angstrom^2, is 0.1 Angstrom. Neighbouring Li sites in these halides lie 2 Angstrom or more apart.
_LARGEST_SITE_DISTANCE = 0.3
# Cell lengths within 3 %, angles within 2 degrees: relaxed cells of one minimum agree to a tenth of that.
_LENGTH_TOLERANCE, _ANGLE_TOLERANCE = 0.03, 2.0


def is_same_structure(one: Atoms, other: Atoms) -> bool:
    """Whether two cells hold the same crystal structure, mirror images included.

    Cells of the same number of atoms are mapped onto each other (Niggli cells, all lattice mappings within
    tolerance, same elements matched by least total displacement); the largest distance between mapped sites
    must stay below 0.3 Angstrom. Checked by tests/ranking/test_ranking_rank.py.
    """
    if sorted(one.numbers) != sorted(other.numbers):
        return False
    spacing = (one.get_volume() / len(one)) ** (1 / 3)
    matcher = StructureMatcher(
        ltol=_LENGTH_TOLERANCE,
        stol=_LARGEST_SITE_DISTANCE / spacing,
        angle_tol=_ANGLE_TOLERANCE,
        primitive_cell=False,
        scale=False,
        comparator=ElementComparator(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # In a large cell the root-mean-square distance does not see one Li on another site; the largest one does.
        distances = matcher.get_rms_dist(_structure(one), _structure(other))
    return distances is not None and distances[1] * spacing < _LARGEST_SITE_DISTANCE


def _structure(atoms: Atoms) -> Structure:
    return Structure(
        atoms.cell.array,
        atoms.get_chemical_symbols(),
        atoms.positions,
        coords_are_cartesian=True,
        to_unit_cell=True,
    )

"""The symmetry operations of a CIF: its own list first, then Hall symbol, Hermann-Mauguin symbol, number.

A list is complete and says which setting and origin it means; symbols are looked up in gemmi's table of 564
settings. Where a symbol alone leaves two origins open, the file is refused: the wrong one gives another crystal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import gemmi
import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.crystal.cif_file import CifBlock
from halion.errors import CrystalError

__all__ = ["HERMANN_MAUGUIN_TAGS", "NUMBER_TAGS", "Operations", "read_operations"]

_LIST_TAGS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_as_xyz",
    "_symmetry_equiv.pos_as_xyz",
)
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall", "_symmetry.space_group_name_Hall")
HERMANN_MAUGUIN_TAGS = (
    "_space_group_name_H-M_alt",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_H-M",
    "_space_group_name_H-M_full",
    "_space_group_name_H-M_ref",
    "_symmetry_space_group_name_H-M_alt",
    "_symmetry.space_group_name_H-M",
)
NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number", "_symmetry.Int_Tables_number")
# 48 rotations times the 4 centrings of F: no conventional cell has more.
_MOST_OPERATIONS = 192
# Refined cells obey their metric to the precision of their numbers; one percent is a wrong group or cell.
_METRIC_TOLERANCE = 0.01
_FIX = "add the list of operations (_space_group_symop_operation_xyz), as any CIF writer exports it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Operations on fractional coordinates, x' = rotation x + translation.

    Attributes:
        rotations: (n, 3, 3) integers.
        translations: (n, 3) fractions.
        notes: repairs and assumptions.
    """

    rotations: IntArray
    translations: FloatArray
    notes: tuple[str, ...]


def read_operations(cif: CifBlock, cell: FloatArray) -> Operations:
    """The file's symmetry as a whole group of operations, centrings included.

    Args:
        cif: the data block.
        cell: (3, 3) Angstrom, which the operations have to fit.
    Raises:
        CrystalError: no symmetry at all, an unreadable operation, an unknown or ambiguous symbol, operations that
            are no group or do not fit the cell.
    """
    listed = next((column for tag in _LIST_TAGS if (column := [x for x in cif.column(tag) if x])), [])
    if listed:
        operations, notes = _from_list(listed, cif)
    else:
        operations, notes = _from_symbols(cif, cell)
    rotations = np.array([operation.rot for operation in operations], dtype=np.int64) // gemmi.Op.DEN
    translations = np.array([operation.tran for operation in operations], dtype=np.float64) / gemmi.Op.DEN
    _refuse_misfit(rotations, cell, cif)
    return Operations(rotations=rotations, translations=translations % 1.0, notes=notes)


def _from_list(listed: list[str], cif: CifBlock) -> tuple[list[gemmi.Op], tuple[str, ...]]:
    if len(listed) > _MOST_OPERATIONS:
        raise CrystalError(
            f"the file lists {len(listed)} symmetry operations; no space group has more than {_MOST_OPERATIONS}",
            where=cif.where(),
            fix="describe the crystal in its own unit cell, not in a supercell",
        )
    parsed = [_operation(text, cif) for text in listed]
    distinct = {operation.wrap().triplet() for operation in parsed}
    group = _closed(parsed, cif)
    size = len(group)
    if size == len(distinct):
        return group, ()
    return group, (
        f"The file lists {len(distinct)} distinct symmetry operations, which generate {size}; all {size} are used.",
    )


def _operation(text: str, cif: CifBlock) -> gemmi.Op:
    # Some files number the operations inside the quotes: '1 x,y,z'.
    cleaned = re.sub(r"^\s*\d+\s+", "", text)
    try:
        operation = gemmi.Op(cleaned)
    except (RuntimeError, ValueError) as error:
        raise CrystalError(
            f"'{text}' is not a symmetry operation ({error})", where=cif.where(), fix="write it as 'x+1/2, -y, z'"
        ) from error
    rotation = np.array(operation.rot) / gemmi.Op.DEN
    if not np.allclose(abs(np.linalg.det(rotation)), 1) or not np.allclose(rotation, np.round(rotation)):
        raise CrystalError(
            f"'{text}' is no symmetry operation: it does not map the cell onto itself",
            where=cif.where(),
            fix="write it as 'x+1/2, -y, z', with x, y and z each used",
        )
    return operation


def _closed(parsed: list[gemmi.Op], cif: CifBlock) -> list[gemmi.Op]:
    """The group that a list of operations generates; products are taken until nothing new comes."""
    known = {gemmi.Op("x,y,z").triplet(): gemmi.Op("x,y,z")}
    generators = {operation.wrap().triplet(): operation.wrap() for operation in parsed}
    fresh = list(known.values())
    while fresh:
        products = [(left * right).wrap() for left in fresh for right in generators.values()]
        fresh = []
        for product in products:
            if product.triplet() not in known:
                known[product.triplet()] = product
                fresh.append(product)
        if len(known) > _MOST_OPERATIONS:
            raise CrystalError(
                f"the listed symmetry operations are no space group: they generate more than {_MOST_OPERATIONS}",
                where=cif.where(),
                fix="compare the list with the space group's; one operation is probably mistyped",
            )
    return list(known.values())


def _from_symbols(cif: CifBlock, cell: FloatArray) -> tuple[list[gemmi.Op], tuple[str, ...]]:
    hall = cif.text(*_HALL_TAGS)
    if hall:
        try:
            return list(gemmi.symops_from_hall(hall.replace("_", " "))), (
                f"The file lists no symmetry operations; those of its Hall symbol {hall} are used.",
            )
        except (RuntimeError, ValueError):
            pass  # a mistyped Hall symbol: the Hermann-Mauguin symbol may still tell
    symbol, number = cif.text(*HERMANN_MAUGUIN_TAGS), cif.text(*NUMBER_TAGS)
    group = _by_name(symbol, cell) if symbol else None
    told = f"space group {symbol}"
    if group is None and re.fullmatch(r"\d{1,3}", number) and 1 <= int(number) <= 230:
        group = gemmi.find_spacegroup_by_number(int(number))
        told = f"space group number {number} ({group.xhm()}, standard setting)"
    if group is None:
        known = (
            f"'{symbol or number}' is no known symbol or number" if symbol or number else "it names no space group"
        )
        raise CrystalError(f"the file lists no symmetry operations, and {known}", where=cif.where(), fix=_FIX)
    _refuse_two_origins(group, symbol or number, cif)
    return list(group.operations()), (f"The file lists no symmetry operations; those of {told} are used.",)


def _by_name(symbol: str, cell: FloatArray) -> gemmi.SpaceGroup | None:
    """A space group by symbol in the spellings met in files: P2_1/c, P6(3)/mmc, Fd-3mZ, R-3m :H."""
    lengths = np.linalg.norm(cell, axis=1)
    cosines = [cell[1] @ cell[2] / lengths[1] / lengths[2], cell[0] @ cell[1] / lengths[0] / lengths[1]]
    alpha, gamma = (float(np.degrees(np.arccos(cosine))) for cosine in cosines)
    plain = re.sub(r"\((\d)\)", r"\1", symbol.replace("_", "")).strip()
    # The ICSD ends symbols with Z or S for the second or first origin, H or R for the axes of R groups.
    ended = re.sub(r"\s*:?\s*([ZSHR12])$", lambda m: ":" + {"Z": "2", "S": "1"}.get(m[1], m[1]), plain)
    for name in (plain, ended):
        group = gemmi.find_spacegroup_by_name(name, alpha, gamma)
        if group is not None:
            return group
    return None


def _refuse_two_origins(group: gemmi.SpaceGroup, symbol: str, cif: CifBlock) -> None:
    if group.ext not in "12" or re.search(r"(:\s*[12]|[ZS])\s*$", symbol):
        return
    raise CrystalError(
        f"space group {symbol} has two customary origins and the file does not say which; they give other crystals",
        where=cif.where(),
        fix=f"write '{group.hm}:1' or '{group.hm}:2' as _space_group_name_H-M_alt, or add the list of operations",
    )


def _refuse_misfit(rotations: IntArray, cell: FloatArray, cif: CifBlock) -> None:
    metric = cell @ cell.T
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    # x' = R x keeps lengths if R^T G R = G.
    misfit = np.max(np.abs(np.swapaxes(rotations, 1, 2) @ metric @ rotations - metric) / scale)
    if misfit > _METRIC_TOLERANCE:
        raise CrystalError(
            f"the symmetry operations do not fit the cell: they change its metric by {100 * misfit:.2g} %",
            where=cif.where(),
            fix="check the cell against the space group (a = b? angles of 90 or 120 degrees?), and its setting",
        )

"""A CIF read into a `DisorderedCrystal`: cell, symmetry, rows, sites, charges, contacts, in this order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import gemmi

from halion.crystal.charges import amounts_of, decide_charges
from halion.crystal.cif_cell import read_cell
from halion.crystal.cif_file import CifBlock, read_block
from halion.crystal.cif_sites import SiteRow, read_sites
from halion.crystal.cif_symmetry import HERMANN_MAUGUIN_TAGS, NUMBER_TAGS, read_operations
from halion.crystal.contacts import find_close_pairs
from halion.crystal.expand import expand_rows
from halion.crystal.symmetry import find_symmetry
from halion.crystal.types import DisorderedCrystal, Orbit

__all__ = ["crystal_from_block", "read_crystal"]

# A formula sum is often printed with two digits; more than this is another composition.
_FORMULA_TOLERANCE = 0.02


def read_crystal(path: Path | str) -> DisorderedCrystal:
    """A disordered crystal from a CIF with partial occupancies.

    The file's operations expand its rows; rows within 0.05 Angstrom are one site; the space group, the operations
    and the orbits are spglib's (Togo et al., Sci. Technol. Adv. Mater.: Methods 4, 2384822, 2024) with occupancies
    told apart. Charges are the file's, or common oxidation states that leave the cell neutral. Every repair and
    assumption is one sentence in `notes`.

    Args:
        path: the CIF; exactly one of its data blocks holds atoms.
    Returns:
        the crystal; cells in Angstrom, coordinates fractional, charges in e.
    Raises:
        CrystalError: the file is missing, is no whole CIF, or describes no crystal that halion can use: a charged
            cell, a metal, full sites closer than atoms can be, impossible occupancies, unknown elements or
            symmetry.

    Checked by tests/crystal/test_crystal_reference.py on eleven refined crystals, by test_crystal_dirty.py on what
    experimenters write, and by test_crystal_mutations.py on damaged files.
    """
    cif = read_block(path)
    return crystal_from_block(cif, name=Path(path).stem, source=_source(cif))


def crystal_from_block(cif: CifBlock, *, name: str, source: str) -> DisorderedCrystal:
    """The crystal of a data block.

    Raises:
        CrystalError: see `read_crystal`.
    """
    cell = read_cell(cif)
    operations = read_operations(cif, cell)
    rows, row_notes = read_sites(cif)
    groups, group_notes = expand_rows(rows, operations, cell, cif.where())
    charges = decide_charges(cif, rows, groups)
    symmetry = find_symmetry(groups, cell, operations, cif.where())
    close_pairs, contact_notes = find_close_pairs(symmetry.orbits, cell, charges.charges, cif.where())
    return DisorderedCrystal(
        name=name,
        source=source,
        cell=cell,
        orbits=symmetry.orbits,
        charges=charges.charges,
        charge_origin=charges.origin,
        space_group=symmetry.space_group,
        space_group_number=symmetry.number,
        rotations=symmetry.rotations,
        translations=symmetry.translations,
        close_pairs=close_pairs,
        notes=(
            *cif.notes,
            *operations.notes,
            *row_notes,
            *group_notes,
            *symmetry.notes,
            *_stated_group_note(cif, symmetry.number),
            *_wyckoff_notes(rows, symmetry.orbits),
            *charges.notes,
            *_formula_note(cif, amounts_of(groups)),
            *contact_notes,
        ),
    )


def _source(cif: CifBlock) -> str:
    """The file's name and the reference that it cites; not its folder, which says nothing elsewhere."""
    cited = [
        cif.prose(*tags)
        for tags in (
            ("_publ_section_title", "_citation_title", "_citation.title"),
            ("_journal_name_full", "_citation_journal_full", "_citation_journal_abbrev"),
            ("_journal_year", "_citation_year"),
            ("_journal_paper_doi", "_citation_DOI", "_citation_doi"),
        )
    ]
    return ", ".join([cif.path.name, *(text for text in cited if text)])


def _stated_group_note(cif: CifBlock, number: int) -> tuple[str, ...]:
    stated = cif.text(*NUMBER_TAGS)
    if not re.fullmatch(r"\d{1,3}", stated):
        named = gemmi.find_spacegroup_by_name(cif.text(*HERMANN_MAUGUIN_TAGS))
        stated = str(named.number) if named is not None else ""
    if not stated or int(stated) == number:
        return ()
    return (f"The file states space group number {int(stated)}; its atoms have number {number}.",)


def _wyckoff_notes(rows: Sequence[SiteRow], orbits: Sequence[Orbit]) -> tuple[str, ...]:
    found = {label: orbit.wyckoff for orbit in orbits for label in orbit.labels}
    other = [
        f"{row.label} {row.wyckoff} (here {found[row.label]})"
        for row in rows
        if row.wyckoff and not found[row.label].endswith(row.wyckoff)
    ]
    if not other:
        return ()
    return (
        f"The file's Wyckoff letters differ from spglib's: {', '.join(other)}; the letters depend on the choice of "
        "origin, the sites do not.",
    )


def _formula_note(cif: CifBlock, amounts: dict[str, float]) -> tuple[str, ...]:
    """A note if the file's formula sum is not in proportion to its atoms: a row may be missing."""
    text = cif.text("_chemical_formula_sum")
    parts = re.findall(r"([A-Z][a-z]?)\s*(\d+\.?\d*|\.\d+)?", text)
    stated: dict[str, float] = {}
    for element, amount in parts:
        symbol = "H" if element in {"D", "T"} else element
        stated[symbol] = stated.get(symbol, 0.0) + float(amount or 1)
    if not stated or min(stated.values()) <= 0:
        return ()
    ratios = [amounts.get(element, 0.0) / amount for element, amount in stated.items()]
    same = set(stated) == set(amounts) and max(ratios) <= (1 + _FORMULA_TOLERANCE) * min(ratios)
    if same:
        return ()
    told = " ".join(f"{element}{amount:.4g}" for element, amount in amounts.items())
    return (f"The file states the formula {text}, its sites hold {told} per cell: a row may be missing.",)

"""The rows of a CIF's atom loop: label, element, oxidation state, coordinates, occupancy, each repair noted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import gemmi
import numpy as np

from halion.arrays import FloatArray
from halion.crystal.cif_file import CifBlock
from halion.crystal.cif_values import is_unknown, read_number
from halion.errors import CrystalError

__all__ = ["SiteRow", "read_element", "read_sites"]

# Rows beyond this are a glass or a protein, not a refined unit cell.
_MOST_ROWS = 1000
# Refinements state occupancies to three or four digits; 1 % above one is rounding or a free scale factor.
OCCUPANCY_TOLERANCE = 0.01
# An occupancy below the precision of any refinement is an empty site.
_EMPTY = 1e-6
# Type symbols: Li, Li+, Li1+, LI+1, Cl-, O2-, Y3+. An atom's charge follows its element.
_TYPE = re.compile(r"([A-Za-z]{1,2})(?:(\d*\.?\d*)([+-])(\d*\.?\d*)|0)?")
_DUMMIES = {"X", "DU", "DUM", "VA", "VAC", "Q", "M", "A", "L", "R", "BQ", "XX", "WAT", "OW", "OH"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """One row of the atom loop.

    Attributes:
        label: as in the file, made different where the file repeats it.
        element: chemical symbol.
        oxidation: oxidation state in the row's type symbol; None if it has none.
        fractional: (3,) coordinates.
        occupancy: in (0, 1].
        multiplicity: sites that the file says the row stands for; 0 if it does not say.
        wyckoff: Wyckoff letter that the file states; "" if none.
    """

    label: str
    element: str
    oxidation: float | None
    fractional: FloatArray
    occupancy: float
    multiplicity: int
    wyckoff: str


def read_sites(cif: CifBlock) -> tuple[tuple[SiteRow, ...], tuple[str, ...]]:
    """All rows with atoms, and notes on what was assumed or left out.

    Raises:
        CrystalError: coordinates that are no numbers, an unknown element, an occupancy that is impossible, too
            many rows, or none left.
    """
    n_rows = len(cif.column("_atom_site_fract_x"))
    if n_rows > _MOST_ROWS:
        raise CrystalError(
            f"the file lists {n_rows} atoms; halion reads refined unit cells with at most {_MOST_ROWS} rows",
            where=cif.where(),
            fix="use the CIF of the refinement, with its symmetry, not of a simulation cell",
        )
    columns = {
        name: _column(cif, f"_atom_site_{name}", n_rows)
        for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "calc_flag")
    }
    columns["multiplicity"] = _first_column(
        cif, ("_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity"), n_rows
    )
    columns["wyckoff"] = _first_column(cif, ("_atom_site_Wyckoff_symbol", "_atom_site_Wyckoff_label"), n_rows)
    labels, label_notes = _labels(columns["label"], columns["type_symbol"])
    notes = [*label_notes, *_column_notes(columns, n_rows)]
    rows = []
    for index, label in enumerate(labels):
        row, note = _row({name: column[index] for name, column in columns.items()}, label, cif)
        notes += [note] if note else []
        if row is not None:
            rows.append(row)
    if not rows:
        raise CrystalError(
            "no atom is left: all occupancies are zero", where=cif.where(), fix="check _atom_site_occupancy"
        )
    return tuple(rows), tuple(notes)


def _column(cif: CifBlock, tag: str, n_rows: int) -> list[str]:
    values = cif.column(tag)
    if values and len(values) != n_rows:
        raise CrystalError(
            f"{tag} has {len(values)} values for {n_rows} atoms",
            where=cif.where(),
            fix="keep all columns in one loop",
        )
    return values or [""] * n_rows


def _first_column(cif: CifBlock, tags: tuple[str, ...], n_rows: int) -> list[str]:
    return next((column for tag in tags if any(column := _column(cif, tag, n_rows))), [""] * n_rows)


def _labels(labels: list[str], types: list[str]) -> tuple[list[str], list[str]]:
    plain = [
        label if not is_unknown(label) else f"{kind}{k + 1}" for k, (label, kind) in enumerate(zip(labels, types))
    ]
    repeated = sorted(label for label, count in Counter(plain).items() if count > 1)
    if not repeated:
        return plain, []
    taken, seen, unique = set(plain), Counter(), []
    for label in plain:
        seen[label] += 1
        name = label
        while seen[label] > 1 and name in taken:
            name = f"{label}_{seen[label]}" if name == label else name + "'"
        taken.add(name)
        unique.append(name)
    return unique, [f"The label {', '.join(repeated)} stands for several rows, told apart here by a number."]


def _column_notes(columns: dict[str, list[str]], n_rows: int) -> list[str]:
    notes = []
    unknown_types = [is_unknown(value) for value in columns["type_symbol"]]
    if any(unknown_types):
        notes.append("Elements were read from the labels where the file gives no type symbol.")
    unknown_occupancies = sum(is_unknown(value) for value in columns["occupancy"])
    if unknown_occupancies == n_rows:
        notes.append("The file has no occupancies: all sites are taken as full.")
    elif unknown_occupancies:
        notes.append(f"{unknown_occupancies} of {n_rows} occupancies are not given and taken as one.")
    if any(re.fullmatch(r"[DT]\d*[+-]?\d*", value) for value in columns["type_symbol"]):
        notes.append("Deuterium or tritium is treated as hydrogen.")
    return notes


def _row(values: dict[str, str], label: str, cif: CifBlock) -> tuple[SiteRow | None, str]:
    where = cif.where(f"site {label}")
    symbol = values["type_symbol"]
    occupancy_text = values["occupancy"]
    occupancy = (
        1.0 if is_unknown(occupancy_text) else read_number(occupancy_text, f"the occupancy of {label}", where)
    )
    _refuse_occupancy(occupancy, label, where)
    note = ""
    if occupancy < _EMPTY:
        return None, f"{label} has occupancy 0 and was left out."
    if occupancy > 1:
        note = f"The occupancy of {label} is {occupancy:g}; it was set to one."
        occupancy = 1.0
    if values["calc_flag"] == "dum":
        raise CrystalError(f"{label} is a dummy site (calc_flag dum)", where=where, fix="delete that row")
    if is_unknown(symbol):
        element, oxidation = read_element(_from_label(label), label, where)[0], None
    else:
        element, oxidation = read_element(symbol, label, where)
    fractional = np.array(
        [_coordinate(values[f"fract_{axis}"], f"fract_{axis} of {label}", where) for axis in "xyz"]
    )
    multiplicity = values["multiplicity"]
    return SiteRow(
        label=label,
        element=element,
        oxidation=oxidation,
        fractional=fractional,
        occupancy=occupancy,
        multiplicity=int(multiplicity) if re.fullmatch(r"\d{1,3}", multiplicity) else 0,
        wyckoff=values["wyckoff"].lstrip("0123456789") if not is_unknown(values["wyckoff"]) else "",
    ), note


def _refuse_occupancy(occupancy: float, label: str, where: str) -> None:
    if occupancy < 0 or occupancy > 1 + OCCUPANCY_TOLERANCE:
        kind = "negative" if occupancy < 0 else "above one"
        raise CrystalError(
            f"the occupancy of {label} is {occupancy:g}: {kind}",
            where=where,
            fix="occupancies are fractions of the site, from 0 to 1; not numbers of atoms, not per cent, "
            "not multiplied by the site's multiplicity",
        )


def _coordinate(value: str, quantity: str, where: str) -> float:
    number = read_number(value, quantity, where)
    if abs(number) > 100:
        raise CrystalError(
            f"{quantity} is {number:g}: no fractional coordinate",
            where=where,
            fix="write fractions of the cell, 0 to 1",
        )
    return number


def _from_label(label: str) -> str:
    # Li1, LI1A, Cl(2), Y_3, CL2-: the letters before the first other character, two of them if they are an element.
    letters = re.match(r"[A-Za-z]{0,2}", label).group()
    return letters if _known(letters) else letters[:1]


def _known(letters: str) -> bool:
    return bool(letters) and gemmi.Element(letters.capitalize()).atomic_number > 0


def read_element(symbol: str, label: str, where: str) -> tuple[str, float | None]:
    """Element and oxidation state (None if there is none) of a type symbol such as "Li+", "Cl1-", "Y3+", "D".

    Raises:
        CrystalError: no chemical element.
    """
    match = _TYPE.fullmatch(symbol)
    letters = match.group(1) if match else symbol
    if letters.upper() in {"D", "T"}:
        letters = "H"
    if match is None or letters.upper() in _DUMMIES or not _known(letters):
        raise CrystalError(
            f"'{symbol}' of site {label} is no chemical element",
            where=where,
            fix="name the element in _atom_site_type_symbol (Li, Cl-, Y3+); delete dummy atoms and vacancies",
        )
    element = gemmi.Element(letters.capitalize()).name
    if match.group(3) is None:
        return element, None
    size = match.group(2) or match.group(4) or "1"
    return element, float(size if size != "." else 1) * (1 if match.group(3) == "+" else -1)

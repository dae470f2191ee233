"""From a path to the one CIF data block that holds atoms.

The syntax is gemmi's (see docs/decisions/0002): an error names the line. What this file adds is the answer to
files that are no CIF at all, that hold several crystals, or that were cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gemmi

from halion.errors import CrystalError

__all__ = ["CifBlock", "read_block"]

# A refinement with reflections and powder profile embedded reaches some tens of MB; beyond that it is no CIF.
_LARGEST_FILE = 64 * 2**20
_FIX_FILE = "halion run CRYSTAL.cif   (a CIF with partial occupancies; built-in materials go by name: Li3YBr6)"
_SCALAR_MARKS = {"?", ".", ""}
# No label, number, symbol or operation is as long; what the reader does with a value may take time that grows as
# the square of its length. Titles are cut instead.
_LONGEST_VALUE, _LONGEST_TITLE = 1000, 300

# gemmi compares the name of each block with all before it: 200,000 take nine seconds.
_MOST_BLOCKS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CifBlock:
    """The data block with atoms, and where it came from.

    Attributes:
        path: the file.
        block: gemmi's block.
        notes: what the reader of the crystal has to know about the file itself.
    """

    path: Path
    block: gemmi.cif.Block
    notes: tuple[str, ...]

    def text(self, *tags: str) -> str:
        """The value of the first of these tags that says something, unquoted; "" if none does."""
        for tag in tags:
            column = self.column(tag)
            if column and column[0] not in _SCALAR_MARKS:
                return column[0]
        return ""

    def column(self, tag: str) -> list[str]:
        """All values of a tag, as a scalar or in a loop, unquoted; tags match whatever their case.

        A DDLm dictionary writes `_atom_site.label` for `_atom_site_label`: both are found.

        Raises:
            CrystalError: a value longer than any label, number or symbol.
        """
        values = self._values(tag)
        longest = max(map(len, values), default=0)
        if longest > _LONGEST_VALUE:
            raise CrystalError(
                f"a value of {tag} has {longest} characters; {_LONGEST_VALUE} are read at most",
                where=self.where(),
                fix="look at that value: a quote or a semicolon that does not close takes in what follows",
            )
        return values

    def prose(self, *tags: str) -> str:
        """The beginning of the first of these tags that says something, on one line; "" if none does."""
        for tag in tags:
            words = " ".join("".join(self._values(tag)[:1]).split())
            if words not in _SCALAR_MARKS:
                return words[:_LONGEST_TITLE]
        return ""

    def _values(self, tag: str) -> list[str]:
        found = self.block.find_values(tag) or self.block.find_values(_dotted(tag))
        return [gemmi.cif.as_string(value).strip() for value in found]

    def where(self, place: str = "") -> str:
        """File, block and place, for an error."""
        return f"{self.path}, data block '{self.block.name.strip()}'" + (f", {place}" if place else "")


def _dotted(tag: str) -> str:
    for category in ("_space_group_symop", "_space_group", "_atom_site", "_atom_type", "_cell"):
        if tag.startswith(category + "_"):
            return f"{category}.{tag[len(category) + 1 :]}"
    return tag


def read_block(path: Path | str) -> CifBlock:
    """The data block with atoms of a CIF.

    Raises:
        CrystalError: no such file, a folder, not text, not a CIF (with the line), no atoms, or several crystals.
    """
    path = Path(path)
    text = _read_text(path)
    n_blocks = len(re.findall(r"(?<!\S)(?:data|save)_", text, re.IGNORECASE))
    if n_blocks > _MOST_BLOCKS:
        raise CrystalError(
            f"the file has {n_blocks} data blocks and save frames; {_MOST_BLOCKS} are read at most",
            where=str(path),
            fix="copy the block of one crystal into a file of its own",
        )
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise CrystalError(
            f"this is not a whole CIF: {_in_words(error)}",
            where=str(path),
            fix="look at that line: CIFs are most often damaged by a cut download or by editing a loop by hand",
        ) from error
    with_atoms = [block for block in document if _has_atoms(CifBlock(path=path, block=block, notes=()))]
    if not with_atoms:
        blocks = ", ".join(f"'{block.name.strip()}'" for block in document) or "none"
        raise CrystalError(
            f"the file lists no atoms: no data block (there: {blocks}) has _atom_site_fract_x with values",
            where=str(path),
            fix="export a CIF with fractional coordinates; Cartesian or magnetic CIFs are not read",
        )
    if len(with_atoms) > 1:
        names = ", ".join(f"data_{block.name}" for block in with_atoms)
        raise CrystalError(
            f"the file holds {len(with_atoms)} crystals ({names}); halion does not choose one of them for you",
            where=str(path),
            fix=f"copy the lines from data_{with_atoms[0].name} to the next data_ into a file of their own",
        )
    return CifBlock(path=path, block=with_atoms[0], notes=_end_note(text))


def _has_atoms(block: CifBlock) -> bool:
    return bool(block.column("_atom_site_fract_x"))


def _end_note(text: str) -> tuple[str, ...]:
    if text.endswith(("\n", "\r")):
        return ()
    return ("The file ends in the middle of a line; if it was cut there, its last value is not what was refined.",)


def _in_words(error: Exception) -> str:
    # gemmi: "string:12:0(345): expected block header" or "string:12 in data_a: duplicate tag _x".
    match = re.match(r"string(?::(\d+))?(?::\d+\(\d+\))?(?: in (\S+))?: (.*)", str(error), re.DOTALL)
    if match is None:
        return str(error)
    line, block, text = match.groups()
    return (f"line {line}" if line else "the file") + (f" ({block})" if block else "") + f": {text}"


def _read_text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise CrystalError("this is a folder, not a CIF", where=str(path), fix=f"halion run {path}/CRYSTAL.cif")
        if not path.is_file() or size > _LARGEST_FILE:
            raise CrystalError(
                f"this is no CIF: {size / 2**20:.0f} MiB, or not a regular file", where=str(path), fix=_FIX_FILE
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, CrystalError):
            raise
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read ({error})"
        raise CrystalError(reason, where=str(path), fix=_FIX_FILE) from error
    if b"\0" in data:
        raise CrystalError("this is a binary file, not a CIF", where=str(path), fix=_FIX_FILE)
    if not data.strip():
        raise CrystalError("the file is empty", where=str(path), fix=_FIX_FILE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old programs write names in Latin-1; every byte is a character there, and gemmi judges the rest.
        return data.decode("latin-1")

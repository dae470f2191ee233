"""A guard for extended XYZ: a frame that claims more atoms than the file has bytes is damage.

Each frame states its number of atoms ahead of them, and ASE's reader counts up to that number, past the end of the
file too: a number of twelve digits, from a torn header or a hostile file, would keep it busy for days.
"""

from __future__ import annotations

from pathlib import Path

from ase.io.formats import open_with_compression

from halion.errors import TornFile

__all__ = ["refuse_missing_atoms"]

# A number alone in its line is a claim; lines of atoms are longer than this or hold more than one word.
_LONGEST_NUMBER = 40
# "H", a blank or more, and the end of the line.
_LEAST_BYTES_OF_AN_ATOM = 2


def refuse_missing_atoms(path: Path) -> None:
    """Look for claims of atoms that the file, plain or compressed, has no room for.

    Raises:
        TornFile: there is one.
        OSError, EOFError: as Python's own reading.

    Checked by tests/test_extxyz.py.
    """
    largest, where, size = 0, 0, 0
    with open_with_compression(str(path), "rb") as file:
        for number, line in enumerate(file, 1):
            size += len(line)
            word = line.strip() if len(line) <= _LONGEST_NUMBER else b""
            if word.replace(b"_", b"").lstrip(b"+").isdigit() and int(word.replace(b"_", b"")) > largest:
                largest, where = int(word.replace(b"_", b"")), number
    if largest * _LEAST_BYTES_OF_AN_ATOM > size:
        raise TornFile(
            f"line {where} of this extended XYZ file claims {largest} atoms, and the whole file has {size} bytes",
            where=str(path),
            fix="cut the damaged frame and those after it off, or write the file again",
        )

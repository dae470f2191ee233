"""The crystals that come with halion, and how a name or a path becomes a crystal.

Their CIFs are our own, written by scripts/make_builtin_crystals.py; each carries its source and its caveat.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from halion.crystal.cif_file import read_block
from halion.crystal.primitive import primitive_crystal
from halion.crystal.read import crystal_from_block, read_crystal
from halion.crystal.types import DisorderedCrystal
from halion.errors import CrystalError, nearest

__all__ = ["builtin_crystal", "builtin_names", "load_crystal"]


@cache
def builtin_names() -> tuple[str, ...]:
    """Names of the built-in crystals, sorted."""
    entries = files("halion.crystal").joinpath("data").iterdir()
    return tuple(sorted(entry.name.removesuffix(".cif") for entry in entries if entry.name.endswith(".cif")))


def builtin_crystal(name: str) -> DisorderedCrystal:
    """A built-in crystal: Li3YCl6, Li3YBr6 or Li3YCl3Br3.

    Raises:
        CrystalError: there is none of this name; the nearest is named.

    Checked by tests/crystal/test_crystal_builtin.py: formula, charge, space group, Wyckoff letters, bond lengths.
    """
    if name not in builtin_names():
        raise CrystalError(
            f"there is no built-in crystal '{name}': {nearest(name, builtin_names())}",
            fix=f"halion run {nearest_name(name)}   (or the path of a CIF: halion run ./CRYSTAL.cif)",
        )
    with as_file(files("halion.crystal").joinpath("data", f"{name}.cif")) as path:
        cif = read_block(path)
    source = " ".join(cif.text("_publ_section_references").split())
    crystal = crystal_from_block(cif, name=name, source=source)
    caveat = " ".join(cif.text("_publ_section_comment").split())
    return replace(crystal, notes=(caveat, *crystal.notes))


def nearest_name(name: str) -> str:
    """The built-in name that a misspelt one most likely means."""
    hint = nearest(name, builtin_names())
    return hint.split("'")[1] if "'" in hint else "Li3YBr6"


def load_crystal(name_or_path: Path | str, *, primitive: bool = False) -> DisorderedCrystal:
    """A built-in crystal by name, or a CIF by path; a name wins over a file of the same name.

    Args:
        name_or_path: either.
        primitive: in its primitive cell, where the refined one is centred.
    Raises:
        CrystalError: neither; or the file cannot be used (see `read_crystal`).
    """
    found = _named(str(name_or_path))
    return primitive_crystal(found) if primitive else found


def _named(name: str) -> DisorderedCrystal:
    if name in builtin_names():
        return builtin_crystal(name)
    looks_like_path = "/" in name or "\\" in name or Path(name).suffix.lower() in {".cif", ".mcif", ".txt"}
    if looks_like_path or _exists(name):
        return read_crystal(name)
    return builtin_crystal(name)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name too long or with a NUL is no file
        return False

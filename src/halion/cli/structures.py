"""Ordered structures from files: what `halion relax` and `halion md` start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from halion.cli.options import existing_file
from halion.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["read_ordered"]


def read_ordered(path: Path) -> Atoms:
    """The last structure of a file in any format that ASE reads; periodic, with whole atoms.

    Raises:
        InputError: no such file, no structure in it, partial occupancies, or no cell.
    """
    existing_file(path)
    import ase.io

    try:
        atoms = ase.io.read(path)
    except Exception as error:  # ASE's readers raise whatever their parsers do
        raise InputError(
            f"no structure can be read from this file ({type(error).__name__}: {error})",
            where=str(path),
            fix="give a CIF, POSCAR, extended XYZ or another format that ASE reads",
        ) from error
    if any(abs(amount - 1) > 1e-3 for amount in _occupancies(atoms)):
        raise InputError(
            "this structure has partial occupancies, and a simulation needs whole atoms",
            where=str(path),
            fix=f"halion rank {path}   (makes ordered cells from it and ranks them)",
        )
    if abs(atoms.cell.volume) < 1e-6:
        raise InputError("this structure has no periodic cell", where=str(path), fix="give a crystal")
    atoms.pbc = True
    return atoms


def _occupancies(atoms: Atoms) -> list[float]:
    """Total occupancy of each site and of each species on it, where ASE found them in the file."""
    kinds = atoms.info.get("occupancy") or {}
    return [amount for species in kinds.values() for amount in species.values()]

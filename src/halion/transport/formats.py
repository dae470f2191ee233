"""Files of other codes as frames: what ASE reads, LAMMPS dumps with a map of types, XDATCAR, and H5MD."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io.formats import filetype

from halion.arrays import FloatArray
from halion.errors import HalionError, TornFile, TrajectoryError
from halion.extxyz import refuse_missing_atoms

__all__ = ["dump_steps", "is_h5md", "is_lammps_dump", "read_frames", "read_h5md"]

_DUMP_BEGINS = b"ITEM: TIMESTEP"
# What h5py and NumPy raise for a file whose bytes or whose layout are not what they should be.
_DAMAGE = (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError)
# Deflate makes data at most 1032 times smaller: an array that claims more was never written.
_LARGEST_RATIO = 1100


def read_frames(path: Path, types: Sequence[str] = ()) -> list[Atoms]:
    """All frames of a file that ASE knows.

    Args:
        path: extxyz, .traj, XDATCAR, a LAMMPS dump, ...
        types: element of each LAMMPS type, in their order.
    Raises:
        TornFile: it cannot be read to its end.
        TrajectoryError: a LAMMPS dump without its elements.
    """
    more: dict[str, Any] = {}
    if is_lammps_dump(path):
        more = {"format": "lammps-dump-text", "specorder": _elements(path, types)}
    elif path.name.upper().startswith("XDATCAR") or path.suffix.lower() == ".xdatcar":
        more = {"format": "vasp-xdatcar"}
    try:
        if more.get("format") == "vasp-xdatcar":
            _refuse_counts(path)
        if more.get("format") == "lammps-dump-text":
            _refuse_missing_atoms_of_dump(path)
        if not more and filetype(str(path)) in ("extxyz", "xyz"):
            refuse_missing_atoms(path)
        return ase.io.read(path, index=":", **more)
    except HalionError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsers do
        raise TornFile(
            f"this trajectory cannot be read to its end ({' '.join(str(error).split())[:150]})",
            where=str(path),
            fix="cut the damaged last frame off, or name a file in extxyz, ASE .traj, XDATCAR, LAMMPS dump, H5MD "
            "or halion's HDF5",
        ) from error


def _refuse_counts(path: Path) -> None:
    """XDATCAR states numbers of atoms, from which ASE makes lists before it has seen a single one."""
    with open(path, "rb") as file:
        lines = [file.readline(4096) for _ in range(7)]
    counts = [int(word) for word in lines[-1].split()]
    if not counts or min(counts) < 0 or 6 * sum(counts) > path.stat().st_size:
        raise ValueError(f"it states {sum(counts)} atoms, and has no room for them")


def _refuse_missing_atoms_of_dump(path: Path) -> None:
    """ASE's reader takes as many lines as a dump claims atoms, past the end of the file too."""
    is_next = False
    with open(path, "rb") as file:
        for line in file:
            if is_next and 2 * _whole_number(line, path) > path.stat().st_size:
                raise ValueError(f"a frame claims {line.decode(errors='replace').strip()[:40]} atoms")
            is_next = line.startswith(b"ITEM: NUMBER OF ATOMS")


def is_lammps_dump(path: Path) -> bool:
    """Whether a file begins as LAMMPS's text dumps do."""
    with open(path, "rb") as file:
        return file.read(len(_DUMP_BEGINS)) == _DUMP_BEGINS


def dump_steps(path: Path) -> list[int]:
    """The time step of each frame of a LAMMPS dump.

    Raises:
        TornFile: a time step is no number.
    """
    steps, is_next = [], False
    with open(path, "rb") as file:
        for line in file:
            if is_next:
                steps.append(_whole_number(line, path))
            is_next = line.startswith(_DUMP_BEGINS)
    return steps


def _elements(path: Path, types: Sequence[str]) -> list[str] | None:
    """The elements of LAMMPS's types; None where the dump names elements itself.

    Raises:
        TrajectoryError: neither names them, or fewer are named than the dump has.
    """
    columns: list[bytes] = []
    largest = 0
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(b"ITEM: ATOMS"):
                if columns:
                    break  # one frame is enough: types do not change
                columns = line.split()[2:]
                if b"element" in columns:
                    return None
            elif columns and not line.startswith(b"ITEM:") and b"type" in columns:
                words = line.split() + [b""] * len(columns)
                largest = max(largest, _whole_number(words[columns.index(b"type")], path))
            elif columns:
                break
    unknown = [name for name in types if name not in chemical_symbols]
    if unknown or len(types) < largest:
        raise TrajectoryError(
            f"this LAMMPS dump numbers {largest} types of atoms and does not say which elements they are"
            + (f"; {', '.join(unknown)} is no element" if unknown else ""),
            where=str(path),
            fix="give them in their order: --types Li,Y,Cl   (or dump the column element)",
        )
    return list(types)


def _whole_number(word: bytes, path: Path) -> int:
    if re.fullmatch(rb"\s*\d{1,18}\s*", word):
        return int(word)
    raise TornFile(
        f"'{word[:40].decode(errors='replace').strip()}' stands where this LAMMPS dump should have a whole number",
        where=str(path),
        fix="cut the damaged frame and those after it off",
    )


def is_h5md(path: Path) -> bool:
    """Whether an HDF5 file follows H5MD."""
    try:
        with h5py.File(path, "r") as file:
            return "h5md" in file
    except _DAMAGE:
        return False


def read_h5md(path: Path) -> tuple[list[Atoms], FloatArray, bool]:
    """Frames, times and whether positions are unwrapped, of the first group of particles in an H5MD file.

    Positions in Angstrom or nm and times in ps, fs or ns where the file names units (Angstrom and ps where it does
    not); species as atomic numbers, or as an enumeration of element symbols; `image`, where there is one, unwraps.

    Raises:
        TrajectoryError: no particles, positions, box, times or elements.
        TornFile: the file is damaged.

    Source: H5MD 1.1, https://www.nongnu.org/h5md/h5md.html. Checked by tests/transport/test_transport_formats.py.
    """
    try:
        with h5py.File(path, "r") as file:
            groups = list(file["particles"]) if "particles" in file else []
            if not groups:
                raise TrajectoryError("this H5MD file holds no particles", where=str(path), fix="check the file")
            return _particles(file[f"particles/{groups[0]}"], path)
    except HalionError:
        raise
    except _DAMAGE as error:
        raise TornFile(
            f"this H5MD file cannot be read ({' '.join(str(error).split())[:150]})",
            where=str(path),
            fix="it needs position, box/edges and species with time in one group of particles",
        ) from error


def _particles(group: h5py.Group, path: Path) -> tuple[list[Atoms], FloatArray, bool]:
    position = group["position"]
    values = _read(position["value"]) * _scale(position["value"], {"nm": 10.0, "pm": 0.01})
    n_frames = len(values)
    edges = group["box/edges"]
    cells = _cells(edges["value"] if isinstance(edges, h5py.Group) else edges, n_frames)
    if "image" in group:
        values = values + np.einsum("tni,tij->tnj", _read(group["image/value"]).astype(float), cells)
    symbols = _symbols(group["species"], path)
    times = _times_of(position, n_frames, path)
    frames = [
        Atoms(symbols, positions=place, cell=cell, pbc=True) for place, cell in zip(values, cells, strict=True)
    ]
    return frames, times, "image" in group


def _read(dataset: h5py.Dataset) -> FloatArray:
    """An array as it is stored; one that claims sizes that were never written is damage, not a reason to try."""
    if dataset.nbytes > _LARGEST_RATIO * dataset.id.get_storage_size() + 2**20:
        raise ValueError(f"{dataset.name} claims {dataset.nbytes} bytes and holds {dataset.id.get_storage_size()}")
    return dataset[...]


def _scale(dataset: h5py.Dataset, factors: dict[str, float]) -> float:
    unit = dataset.attrs.get("unit", "")
    return factors.get(unit.decode() if isinstance(unit, bytes) else str(unit), 1.0)


def _cells(edges: h5py.Dataset, n_frames: int) -> FloatArray:
    values = _read(edges) * _scale(edges, {"nm": 10.0, "pm": 0.01})
    if values.shape[-2:] != (3, 3):  # a cuboid has three edge lengths
        values = values[..., None] * np.eye(3)
    return np.broadcast_to(values, (n_frames, 3, 3)).astype(float)


def _symbols(species: h5py.Dataset | h5py.Group, path: Path) -> list[str]:
    dataset = species["value"] if isinstance(species, h5py.Group) else species
    numbers = np.asarray(dataset[0] if isinstance(species, h5py.Group) else dataset[...])
    names = h5py.check_enum_dtype(dataset.dtype)
    symbols = {number: name for name, number in names.items()} if names else dict(enumerate(chemical_symbols))
    found = [symbols.get(int(number), "") for number in numbers]
    if any(symbol not in chemical_symbols[1:] for symbol in found):
        raise TrajectoryError(
            "the species of this H5MD file are neither atomic numbers nor an enumeration of elements",
            where=str(path),
            fix="write species as atomic numbers",
        )
    return found


def _times_of(position: h5py.Group, n_frames: int, path: Path) -> FloatArray:
    if "time" not in position:
        raise TrajectoryError(
            "this H5MD file holds no times",
            where=str(path),
            fix="give the time between frames: --frame-interval-ps",
        )
    time = position["time"]
    scale = _scale(time, {"fs": 1e-3, "ns": 1e3, "s": 1e12})
    if time.shape == ():  # a fixed spacing
        return (float(time.attrs.get("offset", 0.0)) + float(time[()]) * np.arange(n_frames)) * scale
    return np.asarray(time[...], dtype=float) * scale

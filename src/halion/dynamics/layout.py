"""The HDF5 layout of trajectories and of the segments they are merged from; units stand in the names.

    attributes   schema, inputs_digest, symbols, timestep_fs, target_temperature_k, ... (see `Header`), start_step
    step, time_ps, temperature_k, potential_energy_ev, pressure_gpa, conserved_energy_ev     (n_frames,)
    cell_angstrom (n_frames, 3, 3), positions_angstrom (n_frames, n_atoms, 3) float32, unwrapped
    state/       everything that the next step depends on, float64, momenta and chains in ASE units

Files are made in memory and written as bytes, because HDF5 loses its footing, up to a crash of the process, when
the disk fills under it. Data and metadata carry checksums.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray
from halion.errors import RunFolderError, TornFile
from halion.files import digest

__all__ = [
    "FIELDS",
    "SCHEMA",
    "Frame",
    "Frames",
    "Header",
    "State",
    "encode",
    "read_frames",
    "read_header",
    "read_state",
]

SCHEMA = 1

State = dict[str, FloatArray]
Frames = dict[str, NDArray]

# Positions as float32: 4e-6 Angstrom at 50 Angstrom from the origin, far below any thermal motion.
FIELDS: dict[str, str] = {
    "step": "i8",
    "time_ps": "f8",
    "temperature_k": "f8",
    "potential_energy_ev": "f8",
    "pressure_gpa": "f8",
    "conserved_energy_ev": "f8",
    "cell_angstrom": "f8",
    "positions_angstrom": "f4",
}
# Long in time and short in atoms: the transport room reads one species over all times.
_CHUNK_FRAMES, _CHUNK_ATOMS = 128, 32
# What h5py raises for a file that is cut, overwritten or not HDF5.
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One stored moment; the names are those of the file. `conserved_energy_ev` is NaN while the target moves."""

    step: int
    time_ps: float
    temperature_k: float
    potential_energy_ev: float
    pressure_gpa: float
    conserved_energy_ev: float
    cell_angstrom: FloatArray
    positions_angstrom: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file is: the run's inputs in short, and the digest of all of them."""

    inputs_digest: str
    symbols: tuple[str, ...]
    ensemble: str
    n_steps: int
    timestep_fs: float
    target_temperature_k: float
    target_pressure_gpa: float
    store_every_steps: int
    potential: str
    weights_sha256: str
    written_by: str


def stack(frames: Iterable[Frame], n_atoms: int) -> Frames:
    """Arrays of many frames, also of none."""
    frames = list(frames)
    shapes = {"cell_angstrom": (3, 3), "positions_angstrom": (n_atoms, 3)}
    return {
        name: np.array([getattr(frame, name) for frame in frames], dtype=dtype).reshape(-1, *shapes.get(name, ()))
        for name, dtype in FIELDS.items()
    }


def encode(header: Header, blocks: Iterable[Frames], state: State, start_step: int = 0) -> memoryview:
    """The bytes of a file with the frames of all blocks, one after another, and the state at their end."""
    buffer = io.BytesIO()
    n_atoms = len(header.symbols)
    with h5py.File(buffer, "w", libver=("v110", "v110"), rdcc_nbytes=2**24) as file:
        file.attrs.update(schema=SCHEMA, start_step=start_step, header_sha256=_header_sha256(header, start_step))
        for name, value in dataclasses.asdict(header).items():
            file.attrs[name] = " ".join(value) if name == "symbols" else value
        tails = {"cell_angstrom": (3, 3), "positions_angstrom": (n_atoms, 3)}
        chunks = {"positions_angstrom": (min(n_atoms, _CHUNK_ATOMS), 3)}
        for name, dtype in FIELDS.items():
            tail = tails.get(name, ())
            file.create_dataset(
                name,
                shape=(0, *tail),
                maxshape=(None, *tail),
                dtype=dtype,
                chunks=(_CHUNK_FRAMES, *chunks.get(name, tail)),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
                fletcher32=True,
            )
        for block in blocks:
            for name in FIELDS:
                old = len(file[name])
                file[name].resize(old + len(block[name]), axis=0)
                file[name][old:] = block[name]
        for name, value in state.items():
            file.create_dataset(f"state/{name}", data=value, dtype="f8", chunks=value.shape, fletcher32=True)
    return buffer.getbuffer()


def open_file(path: Path) -> h5py.File:
    """The file, for reading. Files are renamed into place whole, so HDF5's locks are not needed (nor on NFS)."""
    return h5py.File(path, "r", locking=False)


def read_header(file: h5py.File, path: Path) -> Header:
    """The header of an open file.

    Raises:
        RunFolderError: a newer halion wrote it.
        TornFile: there is no schema number, so that it is not halion's, or not whole.
        ValueError: the attributes are damaged.
    """
    schema = file.attrs.get("schema")
    if schema is None:
        raise TornFile(
            "this HDF5 file has no schema number: halion did not write it, or it is damaged",
            where=str(path),
            fix="pass a trajectory.h5 of halion, extended XYZ, or an ASE trajectory",
        )
    if int(schema) > SCHEMA:
        raise RunFolderError(
            f"a newer halion wrote this file (schema {int(schema)}; this one reads up to {SCHEMA})",
            where=str(path),
            fix="pip install --upgrade halion   or use a new folder",
        )
    values = {}
    for field in dataclasses.fields(Header):
        value = file.attrs[field.name]
        kind = {"int": int, "float": float}.get(str(field.type), str)
        values[field.name] = tuple(str(value).split()) if field.name == "symbols" else kind(value)
    header = Header(**values)
    if _header_sha256(header, int(file.attrs["start_step"])) != file.attrs["header_sha256"]:
        raise ValueError("its attributes do not match their checksum")
    return header


def _header_sha256(header: Header, start_step: int) -> str:
    # HDF5 checks data and metadata, but not the heap where attributes that are texts lie. As text: NaN is no JSON.
    return digest(f"{header} {start_step}")


def read_frames(file: h5py.File, leave: Collection[str] = ()) -> Frames:
    """All frames of an open file, without the fields to leave; a checksum that fails is an OSError."""
    frames = {name: file[name][:] for name in FIELDS if name not in leave}
    if len({len(array) for array in frames.values()}) != 1 or np.any(np.diff(frames["step"]) <= 0):
        raise ValueError("the frames of this file do not belong together")
    return frames


def read_state(file: h5py.File) -> State:
    """The state at the end of an open file."""
    return {name: dataset[:] for name, dataset in file["state"].items()}

"""Orderings on disk: one HDF5 file, one byte per site, written whole or not at all, mapped and not read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from halion.arrays import IntArray
from halion.errors import InputError, RunFolderError, TornFile
from halion.files import atomic_path
from halion.orderings.types import Composition, OrderingCount, OrderingSet, PairExclusion, Sample
from halion.records import decode, from_record, to_record

__all__ = ["SCHEMA", "Rows", "load_orderings", "read_facts", "save_orderings", "write_orderings"]

SCHEMA = 3  # 2 had compressed occupations and one distance in the place of the exclusions
_AT_ONCE = 1 << 20  # multiplicities added up at once
_FACTS = ("compositions", "count", "exclusions", "total_allowed", "sample", "shard")
_ARRAYS = ("cell", "fractional", "site_orbit", "charges")

# Batches of (rows, multiplicities).
Rows = Iterable[tuple[NDArray[np.uint8], IntArray]]


def save_orderings(orderings: OrderingSet, path: Path | str) -> Path:
    """Write orderings to an HDF5 file.

    Datasets: occupation (n_orderings, n_sites) uint8 and multiplicity int64, both uncompressed and in one piece, so
    that they can be mapped; cell (Angstrom), fractional, site_orbit, charges (e). Attributes: schema, crystal_name,
    species, and as JSON, whose whole numbers have no largest value, compositions, count, exclusions (Angstrom),
    total_allowed, sample and shard.

    Raises:
        DiskFull: nothing was written.
    """
    return write_orderings(orderings, orderings.n_orderings, [(orderings.occupation, orderings.multiplicity)], path)


def write_orderings(
    about: OrderingSet, n_orderings: int, rows: Rows, path: Path | str, more: Mapping[str, Any] | None = None
) -> Path:
    """Write a file of orderings whose rows come in batches: memory does not grow with their number.

    Args:
        about: everything but the rows; its own are not looked at.
        n_orderings: rows that will come.
        rows: the batches, in order.
        path: the file.
        more: further attributes, written as JSON.
    Raises:
        DiskFull: nothing was written.
    """
    with atomic_path(path) as part, h5py.File(part, "w") as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["crystal_name"] = about.crystal_name
        file.attrs["species"] = json.dumps(about.species)
        for name in _FACTS:
            file.attrs[name] = json.dumps(to_record(getattr(about, name)))
        for name, value in (more or {}).items():
            file.attrs[name] = json.dumps(value)
        for name in _ARRAYS:
            file[name] = getattr(about, name)
        occupation = file.create_dataset("occupation", (n_orderings, len(about.site_orbit)), dtype=np.uint8)
        multiplicity = file.create_dataset("multiplicity", (n_orderings,), dtype=np.int64)
        begin = 0
        for some, numbers in rows:
            end = begin + len(numbers)
            occupation[begin:end], multiplicity[begin:end] = some, numbers
            begin = end
        if begin != n_orderings:
            raise AssertionError(f"{begin} rows came for a file of {n_orderings}")
    return Path(path)


def load_orderings(path: Path | str) -> OrderingSet:
    """Open orderings that `save_orderings` or `store_orderings` wrote.

    Occupations and multiplicities are read-only maps of the file: nothing of them is in memory before it is used,
    and as much as the system likes after.

    Raises:
        InputError: there is no such file.
        TornFile: the file is damaged or is none of orderings.
        RunFolderError: a newer halion wrote it.

    Checked by tests/orderings/test_orderings_store.py: round trip, and files cut at any place.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("there is no such file of orderings", where=str(path), fix="halion enumerate CRYSTAL")
    try:
        with h5py.File(path, "r") as file:
            _check_schema(file, path)
            return _read(file, path)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise TornFile(
            f"this file of orderings is damaged or is none ({error})",
            where=str(path),
            fix=f"rm {path}   then type the same command again: only this step is repeated",
        ) from error


def read_facts(path: Path, name: str) -> Any:
    """A JSON attribute of a file of orderings; None where it has none."""
    with h5py.File(path, "r") as file:
        return json.loads(file.attrs[name]) if name in file.attrs else None


def _check_schema(file: h5py.File, path: Path) -> None:
    schema = int(file.attrs["schema"])
    if schema > SCHEMA:
        raise RunFolderError(
            f"these orderings have schema {schema}; this halion reads up to {SCHEMA}",
            where=str(path),
            fix="pip install --upgrade halion",
        )
    if schema < SCHEMA:
        raise RunFolderError(
            f"these orderings have schema {schema}, of an earlier halion; this one reads {SCHEMA}",
            where=str(path),
            fix=f"rm {path}   then type the command that made it again",
        )


def _read(file: h5py.File, path: Path) -> OrderingSet:
    found = OrderingSet(
        crystal_name=str(file.attrs["crystal_name"]),
        compositions=decode(tuple[Composition, ...], json.loads(file.attrs["compositions"])),
        count=from_record(OrderingCount, json.loads(file.attrs["count"])),
        exclusions=decode(tuple[PairExclusion, ...], json.loads(file.attrs["exclusions"])),
        total_allowed=int(json.loads(file.attrs["total_allowed"])),
        cell=file["cell"][:],
        fractional=file["fractional"][:],
        site_orbit=file["site_orbit"][:].astype(np.int64),
        species=tuple(json.loads(file.attrs["species"])),
        charges=file["charges"][:],
        occupation=_mapped(file["occupation"], path),
        multiplicity=_mapped(file["multiplicity"], path),
        sample=decode(Sample | None, json.loads(file.attrs["sample"])),
        shard=decode(tuple[int, int], json.loads(file.attrs["shard"])),
    )
    # Read, not mapped: what has been read through a map counts as memory of this process.
    numbers = file["multiplicity"]
    stands_for = sum(int(numbers[k : k + _AT_ONCE].sum()) for k in range(0, len(numbers), _AT_ONCE))
    if stands_for != found.total_allowed or len(numbers) != len(found.occupation):
        raise ValueError("the multiplicities do not add up to the number of orderings stored beside them")
    return found


def _mapped(dataset: h5py.Dataset, path: Path) -> NDArray[Any]:
    offset = dataset.id.get_offset()
    if offset is None:  # no row, no place in the file
        return np.zeros(dataset.shape, dtype=dataset.dtype)
    return np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape)

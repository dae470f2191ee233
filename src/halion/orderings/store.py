"""Orderings on disk: one HDF5 file, one byte per site, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from halion.errors import InputError, RunFolderError, TornFile
from halion.files import atomic_path
from halion.orderings.types import Composition, OrderingCount, OrderingSet, Sample
from halion.records import decode, from_record, to_record

__all__ = ["SCHEMA", "load_orderings", "save_orderings"]

SCHEMA = 2
_ROWS_PER_CHUNK = 4096


def save_orderings(orderings: OrderingSet, path: Path | str) -> Path:
    """Write orderings to an HDF5 file.

    Datasets: occupation (n_orderings, n_sites) uint8, multiplicity, cell (Angstrom), fractional, site_orbit,
    charges (e). Attributes: schema, crystal_name, species, and as JSON, whose whole numbers have no largest value,
    compositions, count, excluded_below (Angstrom), total_allowed and sample.

    Raises:
        DiskFull: nothing was written.
    """
    with atomic_path(path) as part, h5py.File(part, "w") as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["crystal_name"] = orderings.crystal_name
        file.attrs["species"] = json.dumps(orderings.species)
        for name in ("compositions", "count", "excluded_below", "total_allowed", "sample"):
            file.attrs[name] = json.dumps(to_record(getattr(orderings, name)))
        for name in ("cell", "fractional", "site_orbit", "charges", "multiplicity"):
            file[name] = getattr(orderings, name)
        rows, sites = orderings.occupation.shape
        file.create_dataset(
            "occupation",
            data=orderings.occupation,
            chunks=(max(1, min(rows, _ROWS_PER_CHUNK)), sites),
            compression="gzip",
            compression_opts=1,
        )
    return Path(path)


def load_orderings(path: Path | str) -> OrderingSet:
    """Read orderings that `save_orderings` wrote.

    Raises:
        InputError: there is no such file.
        TornFile: the file is damaged or is none of orderings.
        RunFolderError: a newer halion wrote it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("there is no such file of orderings", where=str(path), fix="halion enumerate CRYSTAL")
    try:
        with h5py.File(path, "r") as file:
            schema = int(file.attrs["schema"])
            if schema > SCHEMA:
                raise RunFolderError(
                    f"these orderings have schema {schema}; this halion reads up to {SCHEMA}",
                    where=str(path),
                    fix="pip install --upgrade halion",
                )
            return _read(file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise TornFile(
            f"this file of orderings is damaged or is none ({error})",
            where=str(path),
            fix=f"rm {path}   then type the same command again: only this step is repeated",
        ) from error


def _read(file: h5py.File) -> OrderingSet:
    found = OrderingSet(
        crystal_name=str(file.attrs["crystal_name"]),
        compositions=decode(tuple[Composition, ...], json.loads(file.attrs["compositions"])),
        count=from_record(OrderingCount, json.loads(file.attrs["count"])),
        excluded_below=float(json.loads(file.attrs["excluded_below"])),
        total_allowed=int(json.loads(file.attrs["total_allowed"])),
        cell=file["cell"][:],
        fractional=file["fractional"][:],
        site_orbit=file["site_orbit"][:].astype(np.int64),
        species=tuple(json.loads(file.attrs["species"])),
        charges=file["charges"][:],
        occupation=file["occupation"][:],
        multiplicity=file["multiplicity"][:].astype(np.int64),
        sample=decode(Sample | None, json.loads(file.attrs["sample"])),
    )
    if sum(found.multiplicity.tolist()) != found.total_allowed or len(found.multiplicity) != len(found.occupation):
        raise ValueError("the multiplicities do not add up to the number of orderings stored beside them")
    return found

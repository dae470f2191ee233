"""From the settings to the orderings: listed in memory or on disk, or drawn where there are too many to list."""

from __future__ import annotations

from pathlib import Path

from halion.crystal.types import DisorderedCrystal
from halion.errors import InputError
from halion.orderings import (
    Composition,
    OrderingSet,
    compositions_for,
    enumerate_orderings,
    exclusions_for,
    load_orderings,
    merge_shards,
    sample_orderings,
    save_orderings,
    store_orderings,
    supercell_sites,
)
from halion.progress import Progress, Stop, never, silent
from halion.ranking import ewald_matrix
from halion.settings import OrderingSettings

__all__ = ["make_orderings", "shard_path"]


def make_orderings(
    crystal: DisorderedCrystal,
    settings: OrderingSettings,
    path: Path | None = None,
    *,
    shard: tuple[int, int] | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> OrderingSet:
    """The symmetry-distinct orderings that the settings ask for.

    Args:
        crystal: the disordered crystal.
        settings: supercell, pools, exclusions, limit, and whether to list or to draw.
        path: HDF5 file to store them in; a listing that is killed goes on there, and is read as it is needed
            instead of being held. None: in memory.
        shard: (k, n) the k-th of n parts alone, counted from zero, stored beside `path` by the name of
            `shard_path`; whoever completes the last of them puts all together at `path`.
    Returns:
        all orderings, or those of the shard while others are missing.
    Raises:
        OrderingError: none, too many, or a composition that cannot be.
        InputError: a shard without a path, or of a sample.
        Interrupted: `stop` said so.
    Checked by tests/study/test_study_orderings.py.
    """
    if shard is not None and (path is None or settings.sample is not None):
        raise InputError(
            "a shard is a part of a listing that is stored", fix="name a file (--output), and do not sample"
        )
    compositions = compositions_for(crystal, settings)
    if settings.sample is not None:
        found = _drawn(crystal, compositions, settings, progress, stop)
        if path is not None:
            save_orderings(found, path)
        return found
    question = {"exclusions": exclusions_for(crystal, settings), "limit": settings.limit}
    if path is None:
        return enumerate_orderings(crystal, compositions, **question, progress=progress, stop=stop)
    if shard is None:
        store_orderings(crystal, compositions, path, **question, progress=progress, stop=stop)
        return load_orderings(path)
    mine = shard_path(path, shard)
    store_orderings(crystal, compositions, mine, **question, shard=shard, progress=progress, stop=stop)
    parts = [shard_path(path, (k, shard[1])) for k in range(shard[1])]
    if not all(part.exists() for part in parts):
        return load_orderings(mine)
    return load_orderings(path if path.exists() else merge_shards(parts, path))


def shard_path(path: Path, shard: tuple[int, int]) -> Path:
    """Where a shard of these orderings is stored: `lyc.h5` has `lyc.0-of-4.h5` and three more."""
    return path.with_name(f"{path.stem}.{shard[0]}-of-{shard[1]}{path.suffix}")


def _drawn(
    crystal: DisorderedCrystal,
    compositions: tuple[Composition, ...],
    settings: OrderingSettings,
    progress: Progress,
    stop: Stop,
) -> OrderingSet:
    sites = supercell_sites(crystal, compositions[0].supercell)
    matrix = ewald_matrix(sites.cell, sites.fractional) if settings.sample == "low-energy" else None
    return sample_orderings(
        crystal,
        compositions,
        exclusions=exclusions_for(crystal, settings),
        settings=settings,
        matrix=matrix,
        progress=progress,
        stop=stop,
    )

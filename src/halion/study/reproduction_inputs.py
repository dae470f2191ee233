"""What was computed, read from folders and files that halion made: which is which, and what each is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from halion.errors import HalionError, InputError
from halion.files import distinct_names, read_json
from halion.progress import Progress, silent
from halion.report.reproduction import Benchmark, ComputedRun, ComputedSeries, Evaluation, ReproductionInputs
from halion.study.reproduction_records import read_benchmark, read_evaluations, read_series_folder, read_stability
from halion.study.reproduction_runs import read_ranking, read_report, read_study

__all__ = ["read_reproduction_inputs"]

_Found = ComputedRun | ComputedSeries | Evaluation | Benchmark
# What a folder holds -> how it is read, by file; the first that fits counts. A run folder has a report too.
_READERS: dict[str, Callable[[Path, str], Sequence[_Found]]] = {
    "study.json": read_study,
    "results.json": read_report,
    "stability.json": read_stability,
    "series.json": read_series_folder,
    "errors.json": read_evaluations,
    "ranking.json": read_ranking,
}
_NOT_AS_WRITTEN = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError, OSError),
)
# Folders of folders are looked into so far: a place of runs, a campaign of places.
_DEEPEST = 3
_INNER = ("steps", "report", "crystal", "parents", "figures", "tables", "density")
_FIX = (
    "give folders of halion run, halion series, halion stability --folder, halion evaluate --folder or halion rank "
    "--folder, or a folder of these"
)


def read_reproduction_inputs(
    paths: Sequence[Path | str], progress: Progress = silent
) -> tuple[ReproductionInputs, tuple[str, ...]]:
    """Read everything that halion made in these places.

    Known are run folders (finished or not) and their reports, rankings, series, stability folders, folders of
    `halion evaluate`, and tables of `benchmarks/` with costs. A folder stands for all of these in it too, up to
    three folders deep.

    Args:
        paths: folders and files; one given twice counts once.
        progress: told how many were read.
    Returns:
        what was read, and why something inside a folder of folders was not.
    Raises:
        InputError: no such place, or halion did not make it.
        TornFile: a record is damaged.
        RunFolderError: a run folder of a newer schema.
    Checked by tests/study/test_reproduction_inputs.py.
    """
    places: dict[Path, bool] = {}  # marker file -> whether it is all that is in a place that was given
    for path in map(Path, paths):
        found = list(_places(path))
        if not found:
            what = "there is nothing here" if not path.exists() else "halion did not make this, nor anything in it"
            raise InputError(what, where=str(path), fix=_FIX)
        places |= {one: places.get(one, False) or (len(found) == 1 and _marker(path) == one) for one in found}
    names = distinct_names([_named_after(marker) for marker in places])
    every: list[_Found] = []
    notes: list[str] = []
    for k, (marker, is_given) in enumerate(places.items()):
        name = names[str(_named_after(marker))].lstrip("/")
        progress(k, len(places), name)
        try:
            every += _read(marker, name)
        except HalionError as error:
            if is_given:
                raise
            notes.append(f"{name} was not used: {error.what}")
    progress(len(places), len(places))
    kept, copies = _without_copies(every)
    return _sorted(kept), tuple(notes + copies)


def _marker(path: Path) -> Path | None:
    """The file that says what is here; None where nothing known is."""
    path = path.resolve()
    is_file = path.is_file()
    folder = path.parent if is_file else path
    if folder.name == "report" and path.name in ("report", "results.json"):
        study = folder.parent / "study.json"
        if study.is_file():
            return study
    if is_file:
        return path if path.name in _READERS or path.suffix in (".md", ".json") else None
    records = (*_READERS, "report/results.json")
    return next((folder / name for name in records if (folder / name).is_file()), None)


def _places(path: Path, depth: int = _DEEPEST) -> Iterator[Path]:
    """What is here, and what is in the folders in it; the inner folders of a run or a series are its own."""
    marker = _marker(path)
    if marker is not None:
        yield marker
    if depth == 0 or not path.is_dir():
        return
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink() and child.name not in _INNER:
            yield from _places(child, depth - 1)


def _named_after(marker: Path) -> Path:
    """The folder of a record, without "report", or the file that is no record of a folder."""
    if marker.name not in _READERS:
        return marker
    return marker.parent.parent if marker.parent.name == "report" else marker.parent


def _read(marker: Path, name: str) -> Sequence[_Found]:
    reader = _READERS.get(marker.name)
    try:
        if reader is not None:
            return reader(marker.parent, name)
        if marker.suffix == ".md":
            return read_benchmark(marker, name)
        return _by_content(marker, name)
    except _NOT_AS_WRITTEN as error:
        if isinstance(error, HalionError):
            raise
        raise InputError(
            f"this record is not as halion writes it ({type(error).__name__}: {error})", where=str(marker), fix=_FIX
        ) from error


def _without_copies(every: list[_Found]) -> tuple[list[_Found], list[str]]:
    """A run and a copy of its report are one run: its first session began at one moment."""
    first: dict[tuple[str, str, float], str] = {}
    kept, told = [], []
    for one in every:
        origin = one.origin
        key = (origin.started, origin.command, origin.wall_s)
        name = first.setdefault(key, origin.name) if origin.started else origin.name
        if name == origin.name:
            kept.append(one)
        else:
            told.append(f"{origin.name} is a copy of {name} and counts once.")
    return kept, told


def _by_content(path: Path, name: str) -> Sequence[_Found]:
    """A JSON file under another name: what `halion evaluate --json` printed."""
    record: Any = read_json(path)
    if isinstance(record, dict) and isinstance(record.get("errors"), list):
        return read_evaluations(path, name)
    keys = json.dumps(sorted(record)[:4]) if isinstance(record, dict) else type(record).__name__
    raise InputError(f"halion did not make this (it holds {keys})", where=str(path), fix=_FIX)


def _sorted(every: list[_Found]) -> ReproductionInputs:
    def of(kind: type) -> tuple[Any, ...]:
        return tuple(one for one in every if isinstance(one, kind))

    return ReproductionInputs(
        runs=of(ComputedRun), series=of(ComputedSeries), evaluations=of(Evaluation), benchmarks=of(Benchmark)
    )

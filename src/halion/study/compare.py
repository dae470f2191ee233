"""Read many run folders for a comparison; one that cannot be read is a row that says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from halion.errors import HalionError, InputError
from halion.files import distinct_names
from halion.report import ComparedStudy
from halion.study.run import collect_results
from halion.study.run_folder import RunFolder

__all__ = ["read_studies"]


def read_studies(folders: Sequence[Path | str]) -> list[ComparedStudy]:
    """The studies of these folders: run folders, and series of studies with all of their members.

    Raises:
        InputError: a folder does not exist, or fewer than two studies are named.
    Checked by tests/study/test_study_compare.py.
    """
    places = [place for folder in folders for place in _studies_of(Path(folder))]
    if len(places) < 2:
        raise InputError(
            f"{len(places)} study to compare",
            where=", ".join(map(str, folders)),
            fix="name two run folders or more, or the folder of a series",
        )
    names = distinct_names(places)
    return [_read(place, names[str(place)]) for place in places]


def _studies_of(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise InputError(
            "there is no such folder", where=str(folder), fix="check the name; `ls` shows what is there"
        )
    if (folder / "campaign.json").exists():
        yield from sorted(place for place in (folder / "studies").iterdir() if place.is_dir())
    else:
        yield folder


def _read(place: Path, name: str) -> ComparedStudy:
    try:
        folder = RunFolder(place)
        state = folder.status()["state"]
        results = collect_results(folder)
    except HalionError as error:
        return ComparedStudy(name=name, folder=str(place), results=None, state=error.what)
    return ComparedStudy(name=name, folder=str(place), results=results, state=state)

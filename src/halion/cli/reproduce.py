"""halion reproduce: the tables and figures of the study beside what was computed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson
from halion.cli.terminal import Shown, Table, Watcher

if TYPE_CHECKING:
    from halion.report.reproduction import Reproduction

__all__ = ["command"]

_STATES = ("computed here", "bounded here", "by others", "not reached")


def command(
    given: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="Folders of run, series, stability, evaluate, rank; tables of benchmarks; folders of these.",
        ),
    ],
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the page is written; one of an earlier call is replaced.")
    ],
    as_json: AsJson = False,
) -> Shown:
    """Set the study of Li3YCl6-xBrx (arXiv:2510.09861) beside what was computed here, number by number."""
    from halion.report.reproduction import write_reproduction
    from halion.study import read_reproduction_inputs

    with Watcher() as watcher:
        inputs, notes = read_reproduction_inputs(given, watcher.stage("reading"))
    found, page = write_reproduction(inputs, folder, notes=notes)
    told = (*found.notes, *notes)
    return Shown(record=_record(found, told, page), text=_text(found, told, page), as_json=as_json)


def _record(found: Reproduction, notes: tuple[str, ...], page: Path) -> dict[str, Any]:
    return {
        "page": str(page),
        "exhibits": [
            {"name": one.name, "title": one.title} | {state: one.count(state) for state in _STATES}
            for one in found.exhibits
        ],
        "notes": list(notes),
    }


def _text(found: Reproduction, notes: tuple[str, ...], page: Path) -> list[str | Table]:
    rows = tuple((one.name, *(str(one.count(state)) for state in _STATES)) for one in found.exhibits)
    return [Table(headings=("in the study", *_STATES), rows=rows), *notes, f"page: {page}"]

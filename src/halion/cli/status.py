"""halion status: how far the work in a folder is, read from its files alone."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson
from halion.cli.terminal import Shown, Table, duration, write

if TYPE_CHECKING:
    from halion.study import WorkStatus

__all__ = ["command"]

_LOOK_EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a study, a series, a loop, or labels.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds until the work ends.")
    ] = False,
    answer: Annotated[
        bool, typer.Option("--answer", help="Analyse the runs as long as they are now. Takes seconds.")
    ] = False,
    as_json: AsJson = False,
) -> Shown:
    """Show how far a study, a series of studies, a loop or labels are."""
    from halion.study import work_status

    status = work_status(folder)
    while watch and status.state == "running" and not as_json:
        if sys.stdout.isatty():
            sys.stdout.write(_CLEAR)
        write(Shown(record={}, text=_text(status), as_json=False), sys.stdout)
        time.sleep(_LOOK_EVERY_S)
        status = work_status(folder)
    record, text = _record(status), _text(status)
    if answer:
        found, words = _answer(folder, status.kind)
        record["answer"] = found
        text.append(words)
    return Shown(record=record, text=text, as_json=as_json)


def _answer(folder: Path, kind: str) -> tuple[dict[str, Any] | None, str]:
    if kind != "study":
        return None, "--answer is for the folder of one study"
    from halion.records import to_record
    from halion.study import current_answer

    summary = current_answer(folder)
    found = summary.conductivity if summary else None
    if summary is None or found is None:
        return None, "the runs say nothing about the conductivity yet"
    line = summary.arrhenius
    known = line is not None and math.isfinite(line.activation_energy)
    energy = f", Ea {line.activation_energy:.2f} ± {line.activation_energy_std:.2f} eV" if known else ""
    if math.isfinite(found.conductivity_ms_per_cm):
        value = (
            f"σ({found.temperature_k:g} K) {found.conductivity_ms_per_cm:.2g} mS/cm "
            f"(68 %: {found.low_ms_per_cm:.2g} to {found.high_ms_per_cm:.2g}){energy}"
        )
    elif math.isfinite(found.upper_bound_ms_per_cm):
        value = f"σ({found.temperature_k:g} K) below {found.upper_bound_ms_per_cm:.2g} mS/cm"
    else:
        value = "no value and no bound"
    return to_record(found), f"as the runs are now: {value}. {found.verdict}"


def _record(status: WorkStatus) -> dict[str, Any]:
    from halion.records import to_record

    return dict(to_record(status))


def _text(status: WorkStatus) -> list[str | Table]:
    timed = any(math.isfinite(part.left_s) for part in status.parts)
    rows = tuple(
        (
            part.name,
            "" if math.isnan(part.share) else f"{100 * part.share:.0f} %",
            *(("" if math.isnan(part.left_s) else duration(part.left_s / 3600),) if timed else ()),
            part.state,
        )
        for part in status.parts
    )
    headings = ("part", "done", *(("to go at this pace",) if timed else ()), "")
    text: list[str | Table] = [f"{status.folder}: {status.kind}, {status.state}"]
    if rows:
        text.append(Table(headings=headings, rows=rows))
    if status.then:
        text.append(f"next: {status.then}")
    if status.updated:
        text.append(f"updated {status.updated}")
    return [*text, status.message] if status.message else text

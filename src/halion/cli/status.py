"""halion status: how far a study is, read from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from halion.cli.options import AsJson
from halion.cli.terminal import Shown, Table

__all__ = ["command"]


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.")], as_json: AsJson = False
) -> Shown:
    """Show how far a study is."""
    from halion.study import study_status

    status = study_status(folder)
    return Shown(record=status, text=_text(status), as_json=as_json)


def _text(status: dict[str, Any]) -> list[str | Table]:
    rows = tuple(
        (name, f"{100 * stage['done'] / max(stage['total'], 1e-9):.0f} %", stage["state"])
        for name, stage in status["stages"].items()
    )
    text: list[str | Table] = [f"{status['folder']}: {status['state']}"]
    if rows:
        text.append(Table(headings=("stage", "done", ""), rows=rows))
    if status.get("updated"):
        text.append(f"updated {status['updated']}")
    return [*text, status["message"]] if status.get("message") else text

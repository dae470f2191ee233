"""halion report: the page of a study, finished or not, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halion.cli.options import AsJson
from halion.cli.terminal import Shown

__all__ = ["command"]


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder.")], as_json: AsJson = False
) -> Shown:
    """Write the report of a run folder again, from what it holds so far."""
    from halion.study import report_study

    page = report_study(folder)
    return Shown(record={"folder": str(folder), "report": str(page)}, text=[f"report: {page}"], as_json=as_json)

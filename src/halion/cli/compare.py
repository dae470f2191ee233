"""halion compare: many studies on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from halion.cli.options import AsJson
from halion.cli.terminal import Shown

__all__ = ["command"]


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, and folders of series.")],
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For the page and its tables. (default: comparison)")
    ] = Path("comparison"),
    as_json: AsJson = False,
) -> Shown:
    """Set studies side by side: answers, errors, methods, cost; finished or not."""
    from halion.files import read_json
    from halion.report import comparison_text, write_comparison
    from halion.study import read_studies

    studies = read_studies(runs)
    page = write_comparison(studies, folder)
    record = read_json(folder / "comparison.json") | {"page": str(page)}
    return Shown(record=record, text=[comparison_text(studies), f"page: {page}"], as_json=as_json)

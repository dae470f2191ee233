"""Measured errors of the fine-tuned potential that comes with halion, where a study ran with it.

`data/shipped_errors.json` is what its own `command` prints of the committed test sets; nothing is typed in.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from halion.report.page import Material, paragraphs, table_block
from halion.report.table import Cell, Table, number, word
from halion.report.text import fixed
from halion.report.types import StudyResults

__all__ = ["shipped_errors_block", "shipped_errors_table"]

_NAME = "potential-errors"
_PRETRAINED = "chgnet-0.3.0"
_SETS = {
    "LYCB-PBE/test-mixed": "mixed halides, x = 1.5, 3, 4.5; 300 to 700 K",
    "LYCB-PBE/test-ends": "end members, other orderings; 300 to 700 K",
    "LYCB-PBE/test-equilibrium": "relaxed cells, x = 0 to 6, both phases",
}
_COLUMNS = (
    ("energy_shifted_mae", "Energy, shifted (meV/atom)", 1),
    ("energy_mae", "Energy (meV/atom)", 1),
    ("force_mae", "Forces (meV/Å)", 0),
    ("force_rmse", "Forces, RMS (meV/Å)", 0),
    ("stress_mae", "Stress (MPa)", 0),
    ("force_slope", "Force slope", 2),
)


def shipped_errors_table(results: StudyResults) -> Table:
    """The study's potential and the pretrained one it came from, a row for each test set; no rows for others."""
    columns = ("Potential", "Frames that no model has seen", "Frames", *(title for _, title, _ in _COLUMNS))
    name = _potential(results)
    rows = tuple(_row(one) for one in _measured()["errors"] if name and one["potential"] in (name, _PRETRAINED))
    return Table(name=_NAME, columns=columns, rows=rows)


def shipped_errors_block(results: StudyResults, material: Material) -> str:
    """Heading, table, and where the numbers come from; empty where another potential ran."""
    name = _potential(results)
    if not name:
        return ""
    measured = _measured()
    said = (
        f"Mean absolute errors of {name} against {measured['method']}, beside CHGNet as it was before. Energy, "
        "shifted: without a constant per composition, which no force feels. A force slope below 1: too soft. "
        "What the functional itself gets wrong is no part of them."
    )
    return (
        "<h3>The potential, on frames that it never saw</h3>"
        + paragraphs(said)
        + table_block(material, _NAME, f"Made by: {measured['command']}")
    )


def _potential(results: StudyResults) -> str:
    """The shipped potential that moved the atoms, as it is written; "" for any other."""
    wanted = str(results.settings.get("dynamics", {}).get("potential", "")).lower()
    names = {one["potential"] for one in _measured()["errors"]} - {_PRETRAINED}
    return next((name for name in names if name.lower() == wanted), "")


@cache
def _measured() -> dict[str, Any]:
    path = resources.files("halion.report") / "data" / "shipped_errors.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _row(one: dict[str, Any]) -> tuple[Cell, ...]:
    values = (number(one[key], fixed(one[key], decimals)) for key, _, decimals in _COLUMNS)
    return (word(one["potential"]), word(_SETS[one["set"]]), number(one["n_frames"], str(one["n_frames"])), *values)

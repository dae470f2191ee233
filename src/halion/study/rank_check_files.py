"""A checked ranking as files: a table (CSV), everything (JSON), and a figure of potential against code (SVG)."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from halion.files import write_json, write_text
from halion.records import to_record
from halion.report.draw_matplotlib import figure_svg
from halion.report.figure import BLUE, GREY, VERMILION, Axis, Figure, Note, Series
from halion.study.rank_check import CheckedOrdering, RankingCheck

__all__ = ["check_figure", "check_table", "write_check"]


def check_table(check: RankingCheck) -> list[dict[str, int | float | str | bool]]:
    """One row per ordering, for CSV: energies in eV/atom, lengths in Angstrom, pressure in GPa."""
    return [
        {
            "rank": row.rank,
            "code_rank": row.code_rank,
            "ordering": row.ordering,
            "potential_ev_per_atom": row.potential_energy,
            "potential_above_best_ev_per_atom": row.potential_above_best,
            "code_ev_per_atom": row.energy,
            "code_above_best_ev_per_atom": row.above_best,
            "code_before_relaxation_ev_per_atom": row.start_energy,
            "max_force_before_ev_per_angstrom": row.start_force,
            "pressure_before_gpa": row.start_pressure_gpa,
            "n_steps": row.n_steps,
            "volume_change": row.volume_change,
            "max_displacement_angstrom": row.max_displacement,
            "space_group_before": row.space_group_before,
            "space_group_after": row.space_group_after,
            "is_transformed": row.is_transformed,
            "coordination_change": row.coordination_change,
            "failure": row.failure,
        }
        for row in check.rows
    ]


def check_figure(check: RankingCheck) -> Figure:
    """Energies above the best, meV/atom: potential over code, with the line of agreement."""
    known = [row for row in check.rows if math.isfinite(row.energy)]
    most = max(1000 * max(row.above_best, row.potential_above_best) for row in known)
    ends = np.array([0.0, 1.05 * most if most > 0 else 1.0])
    line = Series(label="agreement", x=ends, y=ends, style="dashed", colour=GREY, width=1.5)
    kept = _points(f"{check.potential}", [row for row in known if not row.is_transformed], BLUE)
    gone = _points("left its structure on relaxation", [row for row in known if row.is_transformed], VERMILION)
    how = "after relaxation by the code" if check.is_relaxed else "of the structures that the potential relaxed"
    return Figure(
        name="validation",
        title=f"{check.potential} against {check.method}",
        caption=f"Energy above the best {how}; numbers are ranks by the potential. {check.order.verdict}",
        x=Axis(title="Energy above the best, code", unit="meV/atom"),
        y=Axis(title="Energy above the best, potential", unit="meV/atom"),
        series=(line, *kept, *gone),
        notes=tuple(
            Note(x=1000 * row.above_best, y=1000 * row.potential_above_best, text=str(row.rank)) for row in known
        ),
    )


def write_check(check: RankingCheck, folder: Path | str) -> list[Path]:
    """`validation.csv`, `validation.json` and `validation.svg` (`-static` where nothing was relaxed).

    Raises:
        DiskFull: what was written before is whole.
    Checked by tests/study/test_study_rank_check.py.
    """
    stem = Path(folder) / ("validation" if check.is_relaxed else "validation-static")
    rows = check_table(check)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return [
        write_text(stem.with_suffix(".csv"), text.getvalue()),
        write_json(stem.with_suffix(".json"), to_record(check)),
        write_text(stem.with_suffix(".svg"), figure_svg(check_figure(check))),
    ]


def _points(label: str, rows: list[CheckedOrdering], colour: str) -> list[Series]:
    if not rows:
        return []
    x, y = np.array([[1000 * row.above_best, 1000 * row.potential_above_best] for row in rows]).T
    return [Series(label=label, x=x, y=y, style="points", colour=colour, marker="circle")]

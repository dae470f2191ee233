"""halion transport --gathered: diffusivity from displacements that a run gathered while it moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from halion.cli.options import csv_text
from halion.cli.terminal import Shown, Table

if TYPE_CHECKING:
    from halion.settings import TransportSettings
    from halion.transport import CorrelatedTransport

__all__ = ["gathered_transport"]


def gathered_transport(
    paths: Sequence[Path], settings: TransportSettings, folder: Path | None, *, as_json: bool
) -> Shown:
    """The answer of the verb: one row per run, and each run's displacements as a table where a folder is given."""
    from halion.files import write_text
    from halion.records import to_record
    from halion.transport import analyse_correlated

    runs = [analyse_correlated(path, settings) for path in paths]
    tables = (
        {f"msd-{k}-{Path(run.source).stem}.csv": _curve(run) for k, run in enumerate(runs, 1)} if folder else {}
    )
    files = [write_text(folder / name, csv_text(rows)) for name, rows in tables.items()] if folder else []
    curves = ("lag_time_ps", "n_origins", "msd", "msd_components", "charge_msd", "framework_msd")
    short = [{name: value for name, value in to_record(run).items() if name not in curves} for run in runs]
    record = {"runs": short, "files": [str(path) for path in files]}
    return Shown(record=record, text=_text(runs), as_json=as_json)


def _curve(run: CorrelatedTransport) -> list[dict[str, float]]:
    columns = {"lag_time_ps": run.lag_time_ps, "n_origins": run.n_origins, f"msd_{run.species}": run.msd}
    columns |= {"msd_of_the_sum": run.charge_msd}
    columns |= {f"msd_{element}": curve for element, curve in run.framework_msd.items()}
    return [dict(zip(columns, (float(v) for v in row), strict=True)) for row in zip(*columns.values(), strict=True)]


def _text(runs: Sequence[CorrelatedTransport]) -> list[str | Table]:
    from halion.files import distinct_names
    from halion.units import diffusivity_to_cm2_per_s as in_cm2

    names = distinct_names([run.source for run in runs])
    rows = tuple(
        (
            names[run.source],
            f"{run.temperature_k:.0f}",
            f"{run.fit_window_ps[0]:.3g} to {run.fit_window_ps[1]:.3g}",
            f"{in_cm2(run.diffusivity):.2e} +- {in_cm2(run.diffusivity_std):.1e}"
            if run.diffuses
            else "not reached",
            f"{in_cm2(run.charge_diffusivity):.2e} +- {in_cm2(run.charge_diffusivity_std):.1e}",
            f"{run.n_eff:.0f}",
        )
        for run in runs
    )
    headings = ("trajectory", "K", "fit (ps)", "D (cm^2/s)", "D of the sum (cm^2/s)", "hops")
    words = (
        "D by generalised least squares on the gathered lags, ions taken to move independently; verdicts and block "
        "errors of `halion transport` need the frames."
    )
    return [Table(headings=headings, rows=rows), words]

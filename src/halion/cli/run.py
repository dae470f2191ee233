"""halion run: a whole study; the same command again goes on where it stopped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli import campaign
from halion.cli import study_options as options
from halion.cli.options import AsJson, Device, Site
from halion.cli.terminal import Shown, Watcher, stop_on_signal
from halion.errors import EXIT_DONE, EXIT_PHYSICS

if TYPE_CHECKING:
    from halion.report import StudyResults

__all__ = ["command"]


def command(
    source: options.Source,
    folder: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Run folder. (default: runs/NAME)")] = None,
    preset: options.Preset = None,
    supercell: options.RunSupercell = None,
    max_atoms: options.RunMaxAtoms = None,
    potential: options.RunPotential = None,
    temperatures: options.Temperatures = None,
    production_ps: options.ProductionPs = None,
    target: options.Target = None,
    budget_ps: options.BudgetPs = None,
    seed: options.Seed = None,
    workers: options.Workers = None,
    site: Site = None,
    device: Device = None,
    keys: options.SetKeys = None,
    as_json: AsJson = False,
) -> Shown:
    """Run a study from the disordered crystal to its report, or go on with it where it stopped."""
    overrides = options.StudyOverrides(
        preset=preset,
        supercell=supercell,
        max_atoms=max_atoms,
        potential=potential,
        temperatures=temperatures,
        production_ps=production_ps,
        target=target,
        budget_ps=budget_ps,
        seed=seed,
        workers=workers,
        device=device,
        keys=tuple(keys or ()),
    )
    if campaign.is_campaign_source(source):
        return campaign.run_shown(source, overrides, folder, site=site, as_json=as_json)
    settings = options.study_settings(source, overrides)
    folder = folder or options.default_folder(source)

    from halion.report import report_text
    from halion.study import engine_of_site, run_study

    engine = engine_of_site(site)
    with Watcher() as watcher, stop_on_signal() as stop:
        results = run_study(settings, folder, observe=watcher, stop=stop, engine=engine)
    page = folder / "report" / "report.html"
    return Shown(
        record=_record(results, folder, page),
        text=[report_text(results), f"report: {page}"],
        as_json=as_json,
        exit_code=EXIT_DONE if _is_answered(results) else EXIT_PHYSICS,
    )


def _is_answered(results: StudyResults) -> bool:
    """Whether there is a value or at least a bound; otherwise physics refused the question."""
    sigma = results.conductivity
    values = (sigma.conductivity_ms_per_cm, sigma.upper_bound_ms_per_cm) if sigma else ()
    return any(math.isfinite(value) for value in values)


def _record(results: StudyResults, folder: Path, page: Path) -> dict[str, Any]:
    from halion.records import to_record
    from halion.transport import summary_rows

    return {
        "title": results.title,
        "folder": str(folder),
        "report": str(page),
        "conductivity": to_record(results.conductivity),
        "arrhenius": to_record(results.arrhenius),
        "runs": to_record(summary_rows(results.runs)),
        "failures": to_record(results.failures),
        "caveats": list(results.caveats),
    }

"""halion run: a whole study; the same command again goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli import study_options as options
from halion.cli.options import AsJson, Device
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
    seed: options.Seed = None,
    workers: options.Workers = None,
    device: Device = None,
    keys: options.SetKeys = None,
    as_json: AsJson = False,
) -> Shown:
    """Run a study from the disordered crystal to its report, or go on with it where it stopped."""
    settings = options.study_settings(
        source,
        options.StudyOverrides(
            preset=preset,
            supercell=supercell,
            max_atoms=max_atoms,
            potential=potential,
            temperatures=temperatures,
            production_ps=production_ps,
            seed=seed,
            workers=workers,
            device=device,
            keys=tuple(keys or ()),
        ),
    )
    folder = folder or options.default_folder(source)

    from halion.report import report_text
    from halion.study import run_study

    with Watcher() as watcher, stop_on_signal() as stop:
        results = run_study(settings, folder, observe=watcher, stop=stop)
    page = folder / "report" / "report.html"
    answered = results.conductivity is not None
    return Shown(
        record=_record(results, folder, page),
        text=[report_text(results), f"report: {page}"],
        as_json=as_json,
        # No temperature gave as much as a bound: physics refused the question.
        exit_code=EXIT_DONE if answered else EXIT_PHYSICS,
    )


def _record(results: StudyResults, folder: Path, page: Path) -> dict[str, Any]:
    from halion.records import to_record

    return {
        "title": results.title,
        "folder": str(folder),
        "report": str(page),
        "conductivity": to_record(results.conductivity),
        "arrhenius": to_record(results.arrhenius),
        "runs": [
            to_record(
                {
                    "temperature_k": run.target_temperature_k,
                    "diffusivity": run.diffusivity,
                    "diffusivity_std": run.diffusivity_std,
                    "verdict": run.verdict,
                }
            )
            for run in results.runs
        ],
        "failures": to_record(results.failures),
        "caveats": list(results.caveats),
    }

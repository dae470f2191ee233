"""From the best ordering to the transport at every temperature: dynamics, then analysis, read back when done."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from halion.dynamics import Equilibration, Trajectory, open_trajectory
from halion.errors import PhysicsRefusal
from halion.files import read_json
from halion.progress import Progress, silent
from halion.ranking import Ranking
from halion.records import from_record, to_record
from halion.settings import StudySettings, TransportSettings
from halion.study.context import Context, refusal_of, run_steps
from halion.study.engine import Engine
from halion.study.inputs import dynamics_inputs
from halion.study.jobs import dynamics_job, read_progress
from halion.study.run_folder import RunFolder
from halion.study.step import Step
from halion.transport import (
    HavenRatio,
    IonDensity,
    MechanismSummary,
    RunTransport,
    analyse_mechanism,
    analyse_run,
    haven_ratio,
    ion_density,
)

__all__ = [
    "densities",
    "dynamics",
    "dynamics_steps",
    "haven",
    "mechanisms",
    "read_equilibration",
    "trajectory_of",
    "transport",
]


def dynamics_steps(folder: RunFolder, settings: StudySettings, table: Ranking) -> dict[float, Step]:
    """One step per temperature, from the best ordering."""
    wanted = dynamics_inputs(settings.dynamics)
    return {
        temperature_k: Step(
            folder.step_folder("5-dynamics", f"{temperature_k:g}K"),
            {
                "atoms": to_record(table.best.relaxation.atoms),
                "settings": wanted,
                "temperature_k": temperature_k,
                "device": settings.machine.device,
            },
        )
        for temperature_k in settings.dynamics.temperatures_k
    }


def dynamics(context: Context, engine: Engine, table: Ranking) -> dict[float, Step]:
    """Equilibrate and run every temperature; the steps hold the trajectories."""
    steps = dynamics_steps(context.folder, context.settings, table)
    wanted = context.settings.dynamics
    phases = {
        "equilibration": wanted.heating_ps + wanted.nvt_ps + wanted.npt_ps,
        "production": wanted.production_ps,
    }
    length = sum(phases.values())

    def watch() -> None:
        done, texts = 0.0, []
        for temperature_k, step in steps.items():
            if step.is_done:
                done += length
                continue
            progress = read_progress(step.folder)
            if not progress:
                continue
            before = phases["equilibration"] if progress["phase"] == "production" else 0.0
            ps = before + phases[progress["phase"]] * progress["done"] / max(progress["total"], 1)
            done += ps
            texts.append(f"{temperature_k:g} K {progress['phase']} {ps:.1f}/{length:g} ps")
        context.board.tell("dynamics", done, length * len(steps), ", ".join(texts))

    run_steps(context, engine, dynamics_job, list(steps.values()), watch)
    return steps


def transport(
    folder: RunFolder, settings: StudySettings, steps: dict[float, Step], progress: Progress = silent
) -> tuple[RunTransport, ...]:
    """Diffusivity with error and verdict of every temperature whose run ended well."""
    return _analysed(folder, settings, steps, (RunTransport, analyse_run, ""), progress)


def haven(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> tuple[HavenRatio, ...]:
    """Haven ratio of every temperature whose run ended well."""
    return _analysed(folder, settings, steps, (HavenRatio, haven_ratio, "-haven"), silent)


def densities(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> tuple[IonDensity, ...]:
    """Density of the mobile ions of every temperature whose run ended well."""
    return _analysed(folder, settings, steps, (IonDensity, _density, "-density"), silent)


def mechanisms(
    folder: RunFolder, settings: StudySettings, steps: dict[float, Step]
) -> tuple[MechanismSummary, ...]:
    """Sites, hops and ways through the crystal of every run that ended well and whose ions have sites."""
    return _analysed(folder, settings, steps, (MechanismSummary, _mechanism, "-mechanism"), silent)


def _mechanism(trajectory: Trajectory, settings: TransportSettings) -> MechanismSummary:
    return analyse_mechanism(trajectory, settings.mobile_species).summary(trajectory.source)


def _density(trajectory: Trajectory, settings: TransportSettings) -> IonDensity:
    # Ions swing by some 0.3 Angstrom about a site: finer grids show noise, and make pages large.
    return ion_density(trajectory, settings.mobile_species, spacing=0.4, smoothing=0.3)


def _analysed(
    folder: RunFolder,
    settings: StudySettings,
    steps: dict[float, Step],
    analysis: tuple[type[Any], Callable[[Trajectory, TransportSettings], Any], str],
    progress: Progress,
) -> tuple[Any, ...]:
    """One analysis of all runs: its kind of result, its function, and what its step's name ends in."""
    kind, analyse, ending = analysis
    found = []
    ended_well = [step for step in steps.values() if not refusal_of(step)]
    for k, earlier in enumerate(ended_well):
        # 6-transport/400K, and 6-transport/round-1-400K of a run that was made longer
        name = "-".join(earlier.folder.relative_to(folder.step_folder()).parts[1:]) + ending
        step = Step(
            folder.step_folder("6-transport", name),
            {"dynamics": earlier.inputs_digest, "settings": settings.transport.model_dump(mode="json")},
        )
        if not step.is_done:
            try:
                step.begin().commit(to_record(analyse(trajectory_of(folder, earlier), settings.transport)))
            except PhysicsRefusal as refusal:
                step.commit_refusal(refusal)
        if not refusal_of(step):
            found.append(from_record(kind, step.value()))
        progress(k + 1, len(ended_well))
    return tuple(found)


def trajectory_of(folder: RunFolder, step: Step) -> Trajectory:
    """The production of a finished step."""
    path = Path(os.path.normpath(step.folder / step.value()["trajectory"]))
    # Where the folder lies is no part of a result.
    return replace(open_trajectory(path, in_memory=False), source=str(path.relative_to(folder.path)))


def read_equilibration(step: Step) -> Equilibration | None:
    """The equilibration of a dynamics step, as soon as it is there."""
    path = step.folder / "equilibration.json"
    return from_record(Equilibration, read_json(path)) if path.exists() else None

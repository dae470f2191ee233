"""The stages of a study, each a function from earlier results to its own; finished ones are read back.

A stage is one step folder, or one per ordering or temperature. What a step depends on stands in its inputs;
the digest of an earlier step stands there for all of that step's content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from halion.crystal import DisorderedCrystal
from halion.dynamics import Equilibration, open_trajectory
from halion.errors import PhysicsRefusal
from halion.files import read_json
from halion.orderings import (
    OrderingSet,
    compositions_for,
    enumerate_orderings,
    exclusions_for,
    load_orderings,
    save_orderings,
)
from halion.progress import Progress, Stop, silent
from halion.ranking import Candidate, Ranking, RefusedOrdering, Relaxation, Selection, rank, select_candidates
from halion.records import from_record, to_record
from halion.settings import StudySettings
from halion.study.engine import LocalEngine
from halion.study.jobs import dynamics_job, read_progress, relax_job
from halion.study.observe import StatusBoard
from halion.study.run_folder import RunFolder
from halion.study.step import Step
from halion.transport import RunTransport, analyse_run

__all__ = [
    "Context",
    "dynamics",
    "dynamics_steps",
    "orderings",
    "ranking",
    "read_equilibration",
    "refusal_of",
    "relaxation_steps",
    "relaxations",
    "selection",
    "transport",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every stage needs to know."""

    folder: RunFolder
    settings: StudySettings
    crystal: DisorderedCrystal
    board: StatusBoard
    stop: Stop


def orderings_step(folder: RunFolder, settings: StudySettings, crystal: DisorderedCrystal) -> Step:
    """The step that holds the distinct orderings."""
    same_anywhere = replace(crystal, source="")  # where the file lies is no part of a result
    inputs = {"crystal": to_record(same_anywhere), "settings": settings.orderings.model_dump(mode="json")}
    return Step(folder.step_folder("1-orderings"), inputs)


def orderings(context: Context) -> OrderingSet:
    """Integer composition, exact counts, and every symmetry-distinct ordering."""
    settings, crystal = context.settings.orderings, context.crystal
    step = orderings_step(context.folder, context.settings, crystal)
    stored = step.folder / "orderings.h5"
    if step.is_done:
        return load_orderings(stored)
    step.begin()
    found = enumerate_orderings(
        crystal,
        compositions_for(crystal, settings),
        exclusions=exclusions_for(crystal, settings),
        limit=settings.limit,
        progress=context.board.progress("orderings"),
        stop=context.stop,
    )
    save_orderings(found, stored)
    step.commit({"composition": to_record(found.composition), "count": to_record(found.count)})
    context.board.tell("orderings", 1, 1, f"{found.n_orderings} distinct of {found.count.total}")
    return found


def selection_step(folder: RunFolder, settings: StudySettings, earlier: Step) -> Step:
    """The step that holds the orderings chosen for relaxation."""
    return Step(
        folder.step_folder("2-selection"),
        {"orderings": earlier.inputs_digest, "relax_best": settings.ranking.relax_best},
    )


def selection(context: Context, found: OrderingSet) -> tuple[Step, Selection]:
    """The orderings lowest in electrostatic energy."""
    step = selection_step(
        context.folder, context.settings, orderings_step(context.folder, context.settings, context.crystal)
    )
    if not step.is_done:
        chosen = select_candidates(found, context.settings.ranking, context.board.progress("electrostatics"))
        step.begin().commit(to_record(chosen))
    return step, from_record(Selection, step.value())


def relaxation_steps(folder: RunFolder, settings: StudySettings, chosen: Sequence[Candidate]) -> list[Step]:
    """One step per ordering to relax."""
    wanted = settings.ranking.model_dump(mode="json")
    return [
        Step(
            folder.step_folder("3-relaxation", f"ordering-{candidate.ordering:06d}"),
            {"atoms": to_record(candidate.atoms), "settings": wanted, "device": settings.machine.device},
        )
        for candidate in chosen
    ]


def relaxations(context: Context, engine: LocalEngine, chosen: Sequence[Candidate]) -> list[Step]:
    """Relax every chosen ordering; the steps hold the results."""
    steps = relaxation_steps(context.folder, context.settings, chosen)

    def watch() -> None:
        running = [_fraction(step.folder) for step in steps if not step.is_done]
        done = sum(step.is_done for step in steps)
        context.board.tell("relaxation", done + sum(running), len(steps), f"{done} of {len(steps)} relaxed")

    _run_steps(context, engine, relax_job, steps, watch)
    return steps


def ranking(context: Context, chosen: Selection, steps: Sequence[Step], n_orderings: int) -> Ranking:
    """The ranked table of the relaxed orderings."""
    step = Step(
        context.folder.step_folder("4-ranking"),
        {"relaxations": [relaxed.inputs_digest for relaxed in steps], "n_orderings": n_orderings},
    )
    if not step.is_done:
        pairs = list(_relaxed(chosen.candidates, steps))
        if not pairs:
            raise PhysicsRefusal(
                f"none of the {len(steps)} orderings could be relaxed; the first said: {refusal_of(steps[0])}",
                where=str(steps[0].folder.parent),
                fix="choose another potential (--potential), or check the crystal's sites (halion enumerate)",
            )
        name = next(step.value()["potential"]["name"] for step in steps if not refusal_of(step))
        table = rank(
            pairs,
            potential=name,
            n_orderings=n_orderings,
            temperature_k=context.settings.ranking.temperature_k,
            refused=_refused(chosen.candidates, steps),
        )
        step.begin().commit(to_record(table))
    context.board.tell("ranking", 1, 1)
    return from_record(Ranking, step.value())


def _relaxed(chosen: Sequence[Candidate], steps: Sequence[Step]) -> list[tuple[Candidate, Relaxation]]:
    return [
        (candidate, from_record(Relaxation, step.value()["relaxation"]))
        for candidate, step in zip(chosen, steps, strict=True)
        if not refusal_of(step)
    ]


def _refused(chosen: Sequence[Candidate], steps: Sequence[Step]) -> list[RefusedOrdering]:
    return [
        RefusedOrdering(
            ordering=candidate.ordering,
            multiplicity=candidate.multiplicity,
            electrostatic_energy=candidate.electrostatic_energy,
            reason=reason,
        )
        for candidate, step in zip(chosen, steps, strict=True)
        if (reason := refusal_of(step))
    ]


def refusal_of(step: Step) -> str:
    """What physics said against a finished step; empty when it ended well."""
    try:
        step.value()
    except PhysicsRefusal as refusal:
        return refusal.what
    return ""


def dynamics_steps(folder: RunFolder, settings: StudySettings, table: Ranking) -> dict[float, Step]:
    """One step per temperature, from the best ordering."""
    wanted = settings.dynamics.model_dump(mode="json")
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


def dynamics(context: Context, engine: LocalEngine, table: Ranking) -> dict[float, Step]:
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

    _run_steps(context, engine, dynamics_job, list(steps.values()), watch)
    return steps


def transport(
    folder: RunFolder, settings: StudySettings, steps: dict[float, Step], progress: Progress = silent
) -> tuple[RunTransport, ...]:
    """Diffusivity with error and verdict of every temperature whose run ended well."""
    runs = []
    wanted = settings.transport
    ended_well = {temperature_k: step for temperature_k, step in steps.items() if not refusal_of(step)}
    for k, (temperature_k, earlier) in enumerate(ended_well.items()):
        step = Step(
            folder.step_folder("6-transport", f"{temperature_k:g}K"),
            {"dynamics": earlier.inputs_digest, "settings": wanted.model_dump(mode="json")},
        )
        if not step.is_done:
            path = earlier.folder / earlier.value()["trajectory"]
            # Where the folder lies is no part of a result.
            trajectory = replace(open_trajectory(path), source=str(path.relative_to(folder.path)))
            step.begin().commit(to_record(analyse_run(trajectory, wanted)))
        runs.append(from_record(RunTransport, step.value()))
        progress(k + 1, len(ended_well))
    return tuple(runs)


def read_equilibration(step: Step) -> Equilibration | None:
    """The equilibration of a dynamics step, as soon as it is there."""
    path = step.folder / "equilibration.json"
    return from_record(Equilibration, read_json(path)) if path.exists() else None


def _fraction(folder: Path) -> float:
    progress: dict[str, Any] = read_progress(folder)
    return min(1.0, progress["done"] / max(progress["total"], 1)) if progress else 0.0


def _run_steps(
    context: Context,
    engine: LocalEngine,
    job: Callable[..., None],
    steps: Sequence[Step],
    watch: Callable[[], None],
) -> None:
    """One job per step on processors; on a GPU one job for all, whose batch fills it."""
    waiting = [step.begin().folder for step in steps if not step.is_done]
    watch()
    if waiting:
        is_one_batch = context.settings.machine.device == "cuda"
        groups = [waiting] if is_one_batch else [[folder] for folder in waiting]
        engine.run(job, groups, watch=watch, stop=context.stop)
    watch()

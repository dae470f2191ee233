"""Productions made longer in rounds, until the conductivity is known well enough or the budget is spent.

A round is a plan (`7-extension/round-1/plan`), then one step per temperature that it makes longer. Plans are kept:
a study that is gone on with, or asked for more, repeats none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from halion.settings import StudySettings
from halion.study import motion
from halion.study.context import Context, refusal_of, run_steps
from halion.study.engine import Engine
from halion.study.inputs import dynamics_inputs
from halion.study.jobs import extension_job, read_progress
from halion.study.run_folder import RunFolder
from halion.study.step import Step
from halion.transport import PlanGoal, RunPlan, RunTransport, plan_runs

__all__ = ["Round", "extend", "latest", "rounds", "runs_of", "word_of_extension"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Productions made longer together.

    Attributes:
        added_ps: temperature, K -> time added, ps.
        steps: temperature, K -> its step.
    """

    added_ps: dict[float, float]
    steps: dict[float, Step]

    @property
    def is_done(self) -> bool:
        """Whether all of them ended, well or not."""
        return all(step.is_done for step in self.steps.values())


def rounds(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> Iterator[Round]:
    """The rounds that were planned so far, in their order.

    Args:
        folder, settings: of the study.
        steps: temperature, K -> step of its first production.
    """
    lengths = dict.fromkeys(steps, settings.dynamics.production_ps)
    for number in count(1):
        plan = _plan_step(folder, number)
        if not plan.is_done:
            return
        added = {float(kelvin): float(ps) for kelvin, ps in plan.value()["added_ps"].items()}
        lengths |= {kelvin: lengths[kelvin] + ps for kelvin, ps in added.items()}
        longer = {
            kelvin: _longer(folder, settings, number, steps[kelvin], (kelvin, lengths[kelvin])) for kelvin in added
        }
        yield Round(added_ps=added, steps=longer)


def latest(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> dict[float, Step]:
    """Temperature -> the step that made its production as long as it is now."""
    current = dict(steps)
    for each in rounds(folder, settings, steps):
        current |= {kelvin: step for kelvin, step in each.steps.items() if step.is_done and not refusal_of(step)}
    return current


def extend(context: Context, engine: Engine, steps: dict[float, Step]) -> None:
    """Finish the rounds that were planned; plan and run more until target or budget, unless a run was refused."""
    folder, settings = context.folder, context.settings
    planned = list(rounds(folder, settings, steps))
    for each in planned:
        _run(context, engine, each)
    number, spent = len(planned), sum(sum(each.added_ps.values()) for each in planned)
    if settings.extension.target_factor is None:
        return
    while True:
        every = list(rounds(folder, settings, steps))
        if any(refusal_of(step) for each in every for step in each.steps.values()):
            return
        plan = _plan(settings, runs_of(folder, settings, steps), spent)
        if plan is None or plan.factor_now <= settings.extension.target_factor or not plan.runs:
            return
        least = settings.extension.piece_ps
        # Half of what the plan says, then another look: the plan knows its own errors by then.
        added = {run.temperature_k: min(run.add_ps, max(least, 0.5 * run.add_ps)) for run in plan.runs}
        number, spent = number + 1, spent + sum(added.values())
        _plan_step(folder, number).begin().commit({"added_ps": added, "words": plan.words})
        *_, new = rounds(folder, settings, steps)
        _run(context, engine, new)


def runs_of(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> tuple[RunTransport, ...]:
    """The transport of every temperature, of its production as it is now."""
    return motion.transport(folder, settings, latest(folder, settings, steps))


def word_of_extension(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> str:
    """What was added and whether it was enough; empty where nothing was asked for."""
    wanted = settings.extension
    added: dict[float, float] = {}
    for each in rounds(folder, settings, steps):
        for kelvin, ps in each.added_ps.items():
            added[kelvin] = added.get(kelvin, 0.0) + ps
    if wanted.target_factor is None and not added:
        return ""
    pieces = ", ".join(f"{ps:g} ps at {kelvin:g} K" for kelvin, ps in sorted(added.items()))
    text = f"Runs were made longer by {pieces}." if added else "No run was made longer."
    if wanted.target_factor is None:
        return text
    plan = _plan(settings, runs_of(folder, settings, steps), sum(added.values()))
    if plan is None:
        return f"{text} No run diffused, so nothing can be planned."
    now = f"a factor of {plan.factor_now:.2g}" if math.isfinite(plan.factor_now) else "no value"
    if plan.factor_now <= wanted.target_factor:
        return f"{text} The statistical 68 % interval is {now}: the target of {wanted.target_factor:g} is met."
    return f"{text} The statistical 68 % interval is {now}, the target {wanted.target_factor:g}. {plan.words}"


def _plan(settings: StudySettings, runs: tuple[RunTransport, ...], spent: float) -> RunPlan | None:
    if not any(run.is_diffusive for run in runs):
        return None
    wanted = settings.extension
    return plan_runs(
        runs,
        PlanGoal(
            target_factor=wanted.target_factor,
            budget_ps=max(wanted.budget_ps - spent, 0.0),
            temperature_k=settings.transport.report_temperature_k,
            piece_ps=wanted.piece_ps,
            longest_lag_ps=settings.transport.longest_lag_ps,
        ),
    )


def _plan_step(folder: RunFolder, number: int) -> Step:
    return Step(folder.step_folder("7-extension", f"round-{number}", "plan"), {"round": number})


def _longer(
    folder: RunFolder, settings: StudySettings, number: int, first: Step, target: tuple[float, float]
) -> Step:
    """The step that makes the production of `first` as long as `target`, (K, ps), says."""
    return Step(
        folder.step_folder("7-extension", f"round-{number}", first.name),
        {
            "dynamics": first.inputs_digest,
            "earlier": f"../../../{first.folder.relative_to(folder.step_folder())}",
            "temperature_k": target[0],
            "ps": target[1],
            "settings": dynamics_inputs(settings.dynamics),
            "device": settings.machine.device,
        },
    )


def _run(context: Context, engine: Engine, wanted: Round) -> None:
    def watch() -> None:
        done, texts = 0.0, []
        for kelvin, step in wanted.steps.items():
            told = read_progress(step.folder)
            share = 1.0 if step.is_done else told["done"] / max(told["total"], 1) if told else 0.0
            ps = share * step.inputs["ps"]
            done += ps
            texts.append(f"{kelvin:g} K {ps:.1f}/{step.inputs['ps']:g} ps")
        total = sum(step.inputs["ps"] for step in wanted.steps.values())
        context.board.tell("extension", done, total, ", ".join(texts))

    run_steps(context, engine, extension_job, list(wanted.steps.values()), watch)

"""From the crystal to the ranked table: each stage a function from earlier results to its own, read back when done.

A stage is one step folder, or one per round or ordering. What a step depends on stands in its inputs; the digest of
an earlier step stands there for all of that step's content.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from halion.crystal import DisorderedCrystal
from halion.errors import PhysicsRefusal
from halion.orderings import OrderingSet, load_orderings
from halion.ranking import Candidate, Ranking, RefusedOrdering, Relaxation, Selection, assess, plan_round, rank
from halion.records import from_record, to_record
from halion.settings import StudySettings
from halion.study.context import Context, refusal_of, run_steps
from halion.study.engine import Engine
from halion.study.inputs import ordering_inputs
from halion.study.jobs import read_progress, relax_job
from halion.study.orderings import make_orderings
from halion.study.run_folder import RunFolder
from halion.study.step import Step

__all__ = ["Relaxing", "begun_relaxations", "orderings", "ranking", "relaxations"]

Relaxing = tuple[Candidate, Step]  # an ordering and the step that relaxes it
# Keys of `ranking` that decide which orderings are relaxed, and with how much weight they are read.
_CHOICE = {"relax_best", "control", "least_recall", "relax_most", "seed"}
_READING = _CHOICE | {"temperature_k"}


def orderings_step(folder: RunFolder, settings: StudySettings, crystal: DisorderedCrystal) -> Step:
    """The step that holds the distinct orderings."""
    same_anywhere = replace(crystal, source="")  # where the file lies is no part of a result
    inputs = {"crystal": to_record(same_anywhere), "settings": ordering_inputs(settings.orderings)}
    return Step(folder.step_folder("1-orderings"), inputs)


def orderings(context: Context) -> OrderingSet:
    """Integer compositions, exact counts, and the symmetry-distinct orderings, all of them or a sample."""
    step = orderings_step(context.folder, context.settings, context.crystal)
    stored = step.folder / "orderings.h5"
    if step.is_done:
        return load_orderings(stored)
    step.begin()
    found = make_orderings(
        context.crystal,
        context.settings.orderings,
        stored,
        progress=context.board.progress("orderings"),
        stop=context.stop,
    )
    step.commit({"compositions": to_record(found.compositions), "count": to_record(found.count)})
    context.board.tell("orderings", 1, 1, f"{found.n_orderings} distinct of {found.count.total}")
    return found


def relaxations(context: Context, engine: Engine, found: OrderingSet) -> list[Relaxing]:
    """Round after round until the choice by electrostatic energy is good enough; the steps hold the results."""
    pairs: list[Relaxing] = []
    for n in itertools.count():
        chosen = _round(context, found, n, pairs)
        if chosen is None:
            return pairs
        steps = _relaxation_steps(context.folder, context.settings, chosen.candidates)
        pairs += zip(chosen.candidates, steps, strict=True)
        _relax(context, engine, [step for _, step in pairs])
    raise AssertionError("rounds end")


def begun_relaxations(folder: RunFolder, settings: StudySettings) -> list[Relaxing]:
    """The relaxations of all rounds that were chosen so far."""
    pairs: list[Relaxing] = []
    for n in itertools.count():
        step = Step(_round_folder(folder, n), {})
        value = step.value() if (step.folder / "result.json").exists() else None
        if value is None:
            return pairs
        candidates = from_record(Selection, value).candidates
        pairs += zip(candidates, _relaxation_steps(folder, settings, candidates), strict=True)
    raise AssertionError("rounds end")


def _round_folder(folder: RunFolder, n: int) -> Path:
    return folder.step_folder("2-selection", f"round-{n}")


def _round(context: Context, found: OrderingSet, n: int, pairs: Sequence[Relaxing]) -> Selection | None:
    """The orderings to relax in this round; None when those of the rounds before are enough."""
    settings = context.settings.ranking
    earlier = orderings_step(context.folder, context.settings, context.crystal)
    step = Step(
        _round_folder(context.folder, n),
        {
            "orderings": earlier.inputs_digest,
            "ranking": settings.model_dump(mode="json", include=_CHOICE),
            "relaxations": [step.inputs_digest for _, step in pairs],
        },
    )
    if not step.is_done:
        done = {candidate.ordering: _energy(step) for candidate, step in pairs}
        chosen = plan_round(found, done, settings, context.board.progress("electrostatics"))
        step.begin().commit(to_record(chosen))
    value = step.value()
    return None if value is None else from_record(Selection, value)


def _energy(step: Step) -> float:
    """Of the relaxed cell, eV/atom; infinite where physics refused."""
    return math.inf if refusal_of(step) else step.value()["relaxation"]["energy"]


def _relaxation_steps(folder: RunFolder, settings: StudySettings, chosen: Sequence[Candidate]) -> list[Step]:
    """One step per ordering to relax."""
    wanted = settings.ranking.model_dump(mode="json", exclude=_READING)
    return [
        Step(
            folder.step_folder("3-relaxation", f"ordering-{candidate.ordering:06d}"),
            {"atoms": to_record(candidate.atoms), "settings": wanted, "device": settings.machine.device},
        )
        for candidate in chosen
    ]


def _relax(context: Context, engine: Engine, steps: Sequence[Step]) -> None:
    def watch() -> None:
        running = [_fraction(step.folder) for step in steps if not step.is_done]
        done = sum(step.is_done for step in steps)
        context.board.tell("relaxation", done + sum(running), len(steps), f"{done} of {len(steps)} relaxed")

    run_steps(context, engine, relax_job, steps, watch)


def ranking(context: Context, found: OrderingSet, relaxed: Sequence[Relaxing]) -> Ranking:
    """The ranked table of the relaxed orderings, and what it is worth."""
    steps = [step for _, step in relaxed]
    settings = context.settings.ranking
    step = Step(
        context.folder.step_folder("4-ranking"),
        {
            "relaxations": [step.inputs_digest for step in steps],
            "n_orderings": found.n_orderings,
            "ranking": settings.model_dump(mode="json", include=_READING),
        },
    )
    if not step.is_done:
        pairs = list(_relaxed(relaxed))
        if not pairs:
            raise PhysicsRefusal(
                f"none of the {len(steps)} orderings could be relaxed; the first said: {refusal_of(steps[0])}",
                where=str(steps[0].folder.parent),
                fix="choose another potential (--potential), or check the crystal's sites (halion enumerate)",
            )
        table = rank(
            pairs,
            potential=next(step.value()["potential"]["name"] for step in steps if not refusal_of(step)),
            n_orderings=found.n_orderings,
            temperature_k=settings.temperature_k,
            refused=_refused(relaxed),
        )
        step.begin().commit(to_record(assess(table, found, settings)))
    context.board.tell("ranking", 1, 1)
    return from_record(Ranking, step.value())


def _relaxed(pairs: Sequence[Relaxing]) -> list[tuple[Candidate, Relaxation]]:
    return [
        (candidate, from_record(Relaxation, step.value()["relaxation"]))
        for candidate, step in pairs
        if not refusal_of(step)
    ]


def _refused(pairs: Sequence[Relaxing]) -> list[RefusedOrdering]:
    return [
        RefusedOrdering(
            ordering=candidate.ordering,
            multiplicity=candidate.multiplicity,
            electrostatic_energy=candidate.electrostatic_energy,
            reason=reason,
        )
        for candidate, step in pairs
        if (reason := refusal_of(step))
    ]


def _fraction(folder: Path) -> float:
    progress = read_progress(folder)
    return min(1.0, progress["done"] / max(progress["total"], 1)) if progress else 0.0

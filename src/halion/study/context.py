"""What every stage of a study needs to know, and how a stage runs its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from halion.crystal import DisorderedCrystal
from halion.errors import PhysicsRefusal
from halion.progress import Stop
from halion.settings import StudySettings
from halion.study.engine import Engine
from halion.study.observe import StatusBoard
from halion.study.run_folder import RunFolder
from halion.study.step import Step

__all__ = ["Context", "refusal_of", "run_steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every stage needs to know."""

    folder: RunFolder
    settings: StudySettings
    crystal: DisorderedCrystal
    board: StatusBoard
    stop: Stop


def refusal_of(step: Step) -> str:
    """What physics said against a finished step; empty when it ended well."""
    try:
        step.value()
    except PhysicsRefusal as refusal:
        return refusal.what
    return ""


def run_steps(
    context: Context,
    engine: Engine,
    job: Callable[..., None],
    steps: Sequence[Step],
    watch: Callable[[], None],
) -> None:
    """One job per step on processors; on GPUs one job for each device, whose batch fills it."""
    waiting = [step.begin().folder for step in steps if not step.is_done]
    watch()
    if waiting:
        n = len(waiting)
        if context.settings.machine.device == "cuda":
            n = min(n, engine.devices)
        groups = [waiting[k::n] for k in range(n)]
        engine.run(job, groups, watch=watch, stop=context.stop)
    watch()

"""Runs that are extended where the plan says, until the conductivity is known well enough or nothing is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from halion.transport.arrhenius import meant_temperature
from halion.transport.planning import PlanGoal, plan_runs
from halion.transport.types import RunTransport

__all__ = ["Extension", "extend_runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """Runs after they were extended.

    Attributes:
        runs: all of them.
        done: (temperature in K, time in ps) of each piece, in order.
        factor: 68 % interval of the conductivity, as a factor.
        is_enough: whether the target is met.
        words: how it ended.
    """

    runs: tuple[RunTransport, ...]
    done: tuple[tuple[float, float], ...]
    factor: float
    is_enough: bool
    words: str


def extend_runs(
    runs: Sequence[RunTransport], run_more: Callable[[float, float], RunTransport], goal: PlanGoal
) -> Extension:
    """Run what the plan puts first, analyse, plan again, until the target is met or the budget is spent.

    Args:
        runs: what is there.
        run_more: (temperature in K, time to add in ps) -> the analysis of everything at that temperature, the new
            time included; it replaces the run that was there.
        goal: target and budget.
    Raises:
        InputError: as `plan_runs`.
    Checked by tests/transport/test_transport_planning.py with lattice walks that are really extended.
    """
    current, done, left = list(runs), [], goal.budget_ps
    while True:
        plan = plan_runs(current, replace(goal, budget_ps=left))
        if math.log(plan.factor_now) <= math.log(goal.target_factor) or not plan.runs:
            break
        first = plan.runs[0]
        piece = min(first.add_ps, max(goal.piece_ps, 0.5 * first.add_ps))  # half, then look again
        found = run_more(first.temperature_k, piece)
        current = [run for run in current if meant_temperature(run) != first.temperature_k] + [found]
        done.append((first.temperature_k, piece))
        left -= piece
    is_enough = plan.factor_now <= goal.target_factor
    spent = f"{goal.budget_ps - left:.0f} of {goal.budget_ps:.0f} ps in {len(done)} pieces"
    return Extension(
        runs=tuple(current),
        done=tuple(done),
        factor=plan.factor_now,
        is_enough=is_enough,
        words=f"{'Target met' if is_enough else 'Target not met'} after {spent}. {plan.words}",
    )

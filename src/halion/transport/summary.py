"""What several runs say together: the answer, and everything that a reader needs to judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.settings import TransportSettings
from halion.transport.arrhenius import Influence, fit_arrhenius, leave_one_out
from halion.transport.collective import HavenRatio
from halion.transport.conductivity import conductivity_at, paper_compat
from halion.transport.directions import Anisotropy, anisotropy
from halion.transport.planning import PlanGoal, RunPlan, plan_runs
from halion.transport.regimes import Regimes, compare_regimes
from halion.transport.sizes import SizeComparison, smallest_against_largest
from halion.transport.types import Arrhenius, Conductivity, RunTransport

__all__ = ["TransportSummary", "summarise_runs"]

# A plan is shown for an interval that tells good conductors from fair ones, within what a large machine can spend.
_TARGET_FACTOR, _BUDGET_PS = 2.0, 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSummary:
    """Several runs of one material together.

    Attributes:
        arrhenius: the line; None with fewer than two diffusive temperatures.
        conductivity: at the report temperature; None where no temperature is known.
        published: line and conductivity as He 2018 and the study print them (`paper_compat`).
        regimes: one activation energy against two; None without a line.
        influence: what the answer would be without each temperature.
        anisotropy: along c* against the ab plane; None where nothing diffused.
        plan: what to run next for a 68 % interval of a factor of two; None where nothing diffused.
        haven: Haven ratio of each run.
        with_haven: the conductivity divided by the best resolved Haven ratio; None where none is resolved.
        sizes: D of the largest cell over that of the smallest; None where runs have one size.
    """

    arrhenius: Arrhenius | None = None
    conductivity: Conductivity | None = None
    published: tuple[Arrhenius | None, Conductivity] | None = None
    regimes: Regimes | None = None
    influence: tuple[Influence, ...] = ()
    anisotropy: Anisotropy | None = None
    plan: RunPlan | None = None
    haven: tuple[HavenRatio, ...] = ()
    with_haven: Conductivity | None = None
    sizes: SizeComparison | None = None


def summarise_runs(
    runs: Sequence[RunTransport],
    settings: TransportSettings,
    *,
    charge: float = 1.0,
    haven: Sequence[HavenRatio] = (),
    expected_change_k: float | None = None,
) -> TransportSummary:
    """Everything that the runs say together at the report temperature.

    Args:
        runs: of one material, from `analyse_run`.
        settings: `report_temperature_k`, and the longest lag, which a plan must respect.
        charge: of one mobile ion, e.
        haven: Haven ratios of the runs, from `haven_ratio`. The best known one of a framework that held, at some
            hotter temperature, is taken to hold at the report temperature.
        expected_change_k: where the material is known to change its activation energy.
    Checked by tests/transport/test_transport_summary.py.
    """
    moved = [run for run in runs if run.is_diffusive]
    directions = anisotropy(moved) if any(run.along for run in moved) else None
    if not runs or not all(np.isfinite(run.temperature_k) for run in runs):
        return TransportSummary(anisotropy=directions, haven=tuple(haven))
    wanted = settings.report_temperature_k
    line = fit_arrhenius(runs)
    melted = {run.source for run in runs if run.verdict == "melted"}
    known = [one for one in haven if one.is_resolved and one.source not in melted]
    best = min(known, key=lambda one: one.measured.spread, default=None)
    return TransportSummary(
        arrhenius=line,
        conductivity=conductivity_at(line, runs, wanted, charge=charge),
        published=paper_compat(runs, wanted, charge=charge) if moved else None,
        regimes=compare_regimes(runs, wanted, expected_change_k=expected_change_k) if line is not None else None,
        influence=leave_one_out(runs, wanted) if line is not None else (),
        anisotropy=directions,
        plan=_plan(runs, settings) if moved else None,
        haven=tuple(haven),
        sizes=smallest_against_largest(runs),
        with_haven=best and conductivity_at(line, runs, wanted, charge=charge, haven=(best.value, best.std)),
    )


def _plan(runs: Sequence[RunTransport], settings: TransportSettings) -> RunPlan:
    return plan_runs(
        runs,
        PlanGoal(
            target_factor=_TARGET_FACTOR,
            budget_ps=_BUDGET_PS,
            temperature_k=settings.report_temperature_k,
            longest_lag_ps=settings.longest_lag_ps,
        ),
    )

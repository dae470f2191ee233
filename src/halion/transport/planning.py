"""How long to run at which temperatures for a wanted error of the conductivity, and runs extended until it is met.

The variance of ln D at a temperature T0 is g^T (sum_i x_i x_i^T / r_i^2)^-1 g with x = g(T_i) = (1, -1 / kB T_i)
and r_i the relative error of D at T_i. More time t at T_i makes r_i smaller: it is the larger of He's rule,
3.43 / sqrt(hops) + 0.04 with hops in proportion to time, and the covariance's error, c / sqrt(t) at a fixed longest
lag or for more replicas. Colder runs are worth more for T0 below them, but hop less; the plan weighs both and takes
the best next piece each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.transport.arrhenius import fit_arrhenius, ln_diffusivity_quantiles, meant_temperature
from halion.transport.fit import rsd_he
from halion.transport.types import RunTransport
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["PlanGoal", "PlannedRun", "RunPlan", "plan_runs"]

# Activation energies of ion conductors: 0.1 to 0.6 eV. Holds the plan together while there is no line.
_USUAL_ENERGY, _ENERGY_STD = 0.35, 0.2
_MOST_PIECES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanGoal:
    """What is wanted, and what may be spent.

    Attributes:
        target_factor: 68 % interval of the conductivity at `temperature_k`, as a factor either way; 1.5: from 67 %
            to 150 %.
        budget_ps: simulated time that may be added, over all runs.
        temperature_k: where the conductivity is wanted.
        candidates_k: temperatures that may be run besides those that are there.
        piece_ps: time is added in pieces of this length.
        longest_lag_ps: of the fit; an ion must make a hop in this time for D to be measured.
    """

    target_factor: float
    budget_ps: float
    temperature_k: float = 300.0
    candidates_k: tuple[float, ...] = ()
    piece_ps: float = 100.0
    longest_lag_ps: float = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """Time to add at one temperature.

    Attributes:
        temperature_k: of the run.
        have_ps: time that is there.
        add_ps: time to add.
        expected_rsd: relative error of D afterwards.
    """

    temperature_k: float
    have_ps: float
    add_ps: float
    expected_rsd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What to run next, the most useful piece first.

    Attributes:
        runs: time to add at each temperature, in the order in which it was found useful.
        factor_now: 68 % interval of the conductivity now, as a factor; infinite where there is no line.
        factor_expected: the same after the plan.
        is_enough: whether the target is met after it.
        add_ps: time that it takes.
        words: what it says.
    """

    runs: tuple[PlannedRun, ...]
    factor_now: float
    factor_expected: float
    is_enough: bool
    add_ps: float
    words: str


@dataclass(frozen=True, slots=True)
class _Option:
    """One temperature: hops per ps of all ions, c of the covariance's error, and time so far."""

    temperature_k: float
    hops_per_ps: float
    covariance_rate: float
    have_ps: float
    shortest_ps: float  # below it D is not measured; infinite: never

    def rsd(self, time_ps: float) -> float:
        """Relative error of D after so much time; infinite while nothing is measured."""
        if time_ps <= 0 or time_ps < self.shortest_ps:
            return math.inf
        return max(rsd_he(self.hops_per_ps * time_ps), self.covariance_rate / math.sqrt(time_ps))


def plan_runs(runs: Sequence[RunTransport], goal: PlanGoal) -> RunPlan:
    """Where time is best spent: the piece that lowers the variance of ln D most per ps, until target or budget.

    Hops at temperatures without a measured D are taken from the Arrhenius line; with fewer than two measured
    temperatures, from the nearest run with 0.35 eV.

    Args:
        runs: what is there; melted runs and upper bounds say nothing about errors.
        goal: target, budget and candidates.
    Raises:
        InputError: no run diffused, or target, budget or piece make no sense.
    Checked by tests/transport/test_transport_planning.py against all allocations of a small case and by walks.
    """
    _refuse(goal)
    used = [run for run in runs if run.is_diffusive]
    if not used:
        raise InputError(
            "no run diffused: there is nothing to tell how fast ions hop", fix="first run long enough, or hotter"
        )
    options = _options(used, runs, goal)
    times = np.array([one.have_ps for one in options])
    target = math.log(goal.target_factor)
    gradient = _gradient(goal.temperature_k)
    now = _spread_now(runs, goal.temperature_k)
    spent, order = 0.0, []
    for _ in range(_MOST_PIECES):
        if now <= target or _spread(options, times, gradient, has_prior=False) <= target:
            break
        best = _best_piece(options, times, gradient, (goal.piece_ps, goal.budget_ps - spent))
        if best is None:
            break
        which, piece = best
        times[which] += piece
        spent += piece
        order += [which] if which not in order else []
    expected = min(now, _spread(options, times, gradient, has_prior=False))
    planned = tuple(
        PlannedRun(
            temperature_k=options[k].temperature_k,
            have_ps=options[k].have_ps,
            add_ps=float(times[k] - options[k].have_ps),
            expected_rsd=options[k].rsd(float(times[k])),
        )
        for k in order
    )
    return RunPlan(
        runs=planned,
        factor_now=_factor(now),
        factor_expected=_factor(expected),
        is_enough=expected <= target,
        add_ps=spent,
        words=_words(planned, goal, (now, expected)),
    )


def _refuse(goal: PlanGoal) -> None:
    if not goal.target_factor > 1.0 or goal.budget_ps < 0 or not goal.piece_ps > 0:
        raise InputError(
            f"a plan needs a target above 1 (it is {goal.target_factor:g}), a budget of 0 ps or more "
            f"({goal.budget_ps:g}) and pieces above 0 ps ({goal.piece_ps:g})",
            fix="give target_factor=1.5 for an interval from 67 % to 150 %, for example",
        )


def _gradient(temperature_k: float) -> FloatArray:
    return np.array([1.0, -1.0 / (BOLTZMANN_EV_PER_K * temperature_k)])


def _options(used: Sequence[RunTransport], runs: Sequence[RunTransport], goal: PlanGoal) -> list[_Option]:
    """One per temperature that was run without melting, and one per candidate."""
    melted = min((meant_temperature(run) for run in runs if run.verdict == "melted"), default=math.inf)
    there = {meant_temperature(run) for run in runs if run.verdict != "melted"}
    wanted = sorted(there | {float(kelvin) for kelvin in goal.candidates_k if kelvin < melted})
    options = []
    for kelvin in wanted:
        same = [run for run in used if meant_temperature(run) == kelvin]
        near = same[0] if same else _nearest(used, kelvin)
        have = sum(run.length_ps for run in runs if meant_temperature(run) == kelvin)
        hops_of_one = _hops_of_one(used, kelvin)
        shortest = 0.0
        if not same:
            # Two hops of each ion; a run that was not enough must become clearly longer.
            is_seen = hops_of_one * goal.longest_lag_ps >= 1.0
            shortest = max(2.0 / hops_of_one, 1.5 * have) if is_seen else math.inf
        options.append(
            _Option(
                temperature_k=kelvin,
                hops_per_ps=_counted(same, hops_of_one * near.n_ions),
                covariance_rate=_covariance_rate(same or [near]),
                have_ps=have,
                shortest_ps=shortest,
            )
        )
    return options


def _nearest(used: Sequence[RunTransport], kelvin: float) -> RunTransport:
    return min(used, key=lambda run: abs(1 / run.temperature_k - 1 / kelvin))


def _hops_of_one(used: Sequence[RunTransport], kelvin: float) -> float:
    """Hops of one ion per ps, 6 D / a^2, with D of the line, or of the nearest run where there is none."""
    near, line = _nearest(used, kelvin), fit_arrhenius(used)
    if line is not None:
        diffusivity = math.exp(line.ln_prefactor - line.activation_energy / (BOLTZMANN_EV_PER_K * kelvin))
    else:
        step = _USUAL_ENERGY / BOLTZMANN_EV_PER_K * (1 / near.temperature_k - 1 / kelvin)
        diffusivity = near.diffusivity * math.exp(step)
    return 6 * diffusivity / near.hop_length**2


def _counted(same: Sequence[RunTransport], rate: float) -> float:
    """Hops that He's rule counts per ps of run: those of the longest lag, half of a run that is not long."""
    if same:
        return sum(run.n_eff for run in same) / sum(run.length_ps for run in same)
    return 0.5 * rate


def _covariance_rate(same: Sequence[RunTransport]) -> float:
    """c of r = c / sqrt(t), from the errors and lengths of runs at one temperature taken together."""
    weights = sum(1.0 / (_other_error(run) ** 2) for run in same)
    return math.sqrt(sum(run.length_ps for run in same) / weights)


def _other_error(run: RunTransport) -> float:
    """The largest error but He's."""
    known = [value for value in (run.rsd_covariance, run.rsd_block) if math.isfinite(value)]
    return max(known, default=run.rsd_brownian)


def _spread(options: Sequence[_Option], times: FloatArray, gradient: FloatArray, *, has_prior: bool) -> float:
    """Standard deviation of ln D; infinite without a line."""
    precision = np.diag([0.0, _ENERGY_STD**-2]) if has_prior else np.zeros((2, 2))
    n_measured = 0
    for option, time in zip(options, times, strict=True):
        rsd = option.rsd(float(time))
        if math.isfinite(rsd):
            row = _gradient(option.temperature_k)
            precision = precision + np.outer(row, row) / rsd**2
            n_measured += 1
    if n_measured < (1 if has_prior else 2):
        return math.inf
    return math.sqrt(float(gradient @ np.linalg.solve(precision, gradient)))


def _spread_now(runs: Sequence[RunTransport], temperature_k: float) -> float:
    """Of the line through what is there, upper bounds included; a plan counts on measured values alone."""
    line = fit_arrhenius(runs)
    if line is None:
        return math.inf
    low, _, high, *_ = ln_diffusivity_quantiles(line, temperature_k)
    return 0.5 * (high - low)


def _best_piece(
    options: Sequence[_Option], times: FloatArray, gradient: FloatArray, limits: tuple[float, float]
) -> tuple[int, float] | None:
    """Which temperature gets the next piece, and how long it is; None when none helps or fits the budget."""
    piece, left = limits
    before, best, gain = _spread(options, times, gradient, has_prior=True), None, 0.0
    for k, option in enumerate(options):
        size = max(piece, option.shortest_ps - times[k])
        if not size <= left * (1 + 1e-9):
            continue
        after = times.copy()
        after[k] += size
        found = (before**2 - _spread(options, after, gradient, has_prior=True) ** 2) / size
        if found > gain:
            best, gain = (k, float(size)), found
    return best


def _factor(spread: float) -> float:
    return math.exp(min(spread, 700.0)) if math.isfinite(spread) else math.inf


def _words(planned: tuple[PlannedRun, ...], goal: PlanGoal, spreads: tuple[float, float]) -> str:
    now, expected = (
        f"known to a factor of {_factor(one):.2g}" if math.isfinite(one) else "unknown" for one in spreads
    )
    at = f"at {goal.temperature_k:g} K"
    if not planned:
        if spreads[0] <= math.log(goal.target_factor):
            return f"Enough: the conductivity {at} is {now}."
        return f"No piece fits the budget of {goal.budget_ps:g} ps: the conductivity {at} is {now}."
    parts = ", ".join(f"{one.add_ps:.0f} ps at {one.temperature_k:g} K" for one in planned)
    met = "which meets" if spreads[1] <= math.log(goal.target_factor) else "which does not meet"
    return (
        f"Add {parts}: the conductivity {at}, now {now}, would be {expected}, {met} the target "
        f"of {goal.target_factor:g}."
    )

"""Plans against every allocation of a small case, walks that are really extended, and two cell sizes."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from arrhenius_runs import bound_at, on_a_line, run_at
from transport_walks import HOP, SETTINGS, in_framework, lattice_walk

from halion.errors import InputError
from halion.transport import (
    PlanGoal,
    analyse_run,
    compare_sizes,
    extend_runs,
    fit_arrhenius,
    plan_runs,
    with_replica_scatter,
)
from halion.transport.arrhenius import ln_diffusivity_quantiles
from halion.units import BOLTZMANN_EV_PER_K


def measured(kelvin, *, length_ps=200.0, n_eff=None, rsd=None):
    """A run of 36 ions whose hops follow from its diffusivity, with He's error or a given one."""
    d = on_a_line(kelvin, d0_cm2=3e-3)
    hops = 6 * d * 36 / HOP**2 * 0.5 * length_ps if n_eff is None else n_eff
    he = 3.43 / math.sqrt(hops) + 0.04
    return run_at(
        kelvin,
        d,
        he if rsd is None else rsd,
        length_ps=length_ps,
        n_eff=hops,
        fit_window_ps=(1.0, 0.5 * length_ps),
        hop_length=HOP,
        rsd_he=he,
        rsd_covariance=0.02,
        rsd_block=math.nan,
    )


def runs():
    return [measured(kelvin) for kelvin in (500.0, 600.0, 700.0)]


def factor_with(times):
    """68 % factor at 300 K by the fit itself, each run as long as said."""
    made = [measured(kelvin, length_ps=time) for kelvin, time in zip((500.0, 600.0, 700.0), times, strict=True)]
    low, _, high, *_ = ln_diffusivity_quantiles(fit_arrhenius(made), 300.0)
    return math.exp(0.5 * (high - low))


def test_the_factor_now_is_that_of_the_fit():
    plan = plan_runs(runs(), PlanGoal(target_factor=1.01, budget_ps=0.0))
    assert plan.factor_now == pytest.approx(factor_with((200.0,) * 3), rel=1e-6)
    assert plan.runs == () and plan.add_ps == 0 and not plan.is_enough
    assert "No piece fits" in plan.words


def test_the_plan_is_as_good_as_the_best_of_all_allocations():
    """Ten pieces of 200 ps over three temperatures: 66 ways."""
    goal = PlanGoal(target_factor=1.001, budget_ps=2000.0, piece_ps=200.0)
    plan = plan_runs(runs(), goal)
    ways = [way for way in itertools.product(range(11), repeat=3) if sum(way) == 10]
    best = min(factor_with([200.0 + 200.0 * n for n in way]) for way in ways)
    even = factor_with([200.0 + 2000.0 / 3] * 3)
    assert plan.add_ps == pytest.approx(2000.0)
    # One piece at a time is not always the best of all; 2 % of the logarithm at most here.
    assert math.log(plan.factor_expected) <= 1.02 * math.log(best)
    assert plan.factor_expected < even
    assert plan.runs[0].temperature_k == 500.0  # the coldest is worth most for 300 K


def test_the_target_ends_the_plan():
    goal = PlanGoal(target_factor=1.9, budget_ps=1e6, piece_ps=50.0)
    plan = plan_runs(runs(), goal)
    assert plan.is_enough and plan.factor_expected <= 1.9 < plan.factor_now
    one_less = plan_runs(runs(), replace(goal, budget_ps=plan.add_ps - 50.0))
    assert not one_less.is_enough
    assert "which meets the target" in plan.words
    done = plan_runs(runs(), replace(goal, target_factor=100.0))
    assert done.runs == () and done.is_enough and "Enough" in done.words


def test_a_colder_candidate_is_taken_when_ions_hop_there():
    goal = PlanGoal(target_factor=1.5, budget_ps=50_000.0, candidates_k=(400.0,), piece_ps=200.0)
    with_it, without = plan_runs(runs(), goal), plan_runs(runs(), replace(goal, candidates_k=()))
    assert 400.0 in [run.temperature_k for run in with_it.runs]
    assert with_it.add_ps < without.add_ps
    # 300 K itself: an ion hops once in more than 500 ps, so that no length of run measures D
    frozen = plan_runs(runs(), replace(goal, candidates_k=(300.0,)))
    assert 300.0 not in [run.temperature_k for run in frozen.runs]
    assert on_a_line(300.0, d0_cm2=3e-3) * 6 / HOP**2 * 500 < 1


def test_melted_temperatures_are_not_run_again():
    melt = replace(measured(800.0), verdict="melted")
    plan = plan_runs([*runs(), melt], PlanGoal(target_factor=1.2, budget_ps=3000.0, candidates_k=(850.0,)))
    assert all(run.temperature_k < 800.0 for run in plan.runs)


def test_a_run_that_was_too_short_must_become_longer():
    failed = replace(bound_at(450.0, 1.0), length_ps=3000.0)
    plan = plan_runs([*runs(), failed], PlanGoal(target_factor=1.01, budget_ps=1e5, piece_ps=100.0))
    (again,) = [run for run in plan.runs if run.temperature_k == 450.0]
    assert again.have_ps == 3000.0 and again.add_ps >= 1500.0
    # not counted as measured; as a bound far above the line it says nothing
    assert plan.factor_now == pytest.approx(factor_with((200.0,) * 3), rel=0.01)


def test_upper_bounds_count_in_what_is_known_now():
    """A cold bound narrows the line before any piece is run."""
    bound = replace(bound_at(400.0, 0.4 * on_a_line(400.0, d0_cm2=3e-3), n_eff=400.0), length_ps=1000.0)
    goal = PlanGoal(target_factor=1.01, budget_ps=0.0)
    assert plan_runs([*runs(), bound], goal).factor_now < plan_runs(runs(), goal).factor_now
    low, _, high, *_ = ln_diffusivity_quantiles(fit_arrhenius([*runs(), bound]), 300.0)
    assert math.log(plan_runs([*runs(), bound], goal).factor_now) == pytest.approx(0.5 * (high - low))


def test_one_temperature_needs_another():
    goal = PlanGoal(target_factor=3.0, budget_ps=20_000.0, candidates_k=(450.0, 500.0, 700.0))
    plan = plan_runs([measured(600.0)], goal)
    assert plan.factor_now == math.inf and plan.factor_expected < math.inf
    assert len({run.temperature_k for run in plan.runs} | {600.0}) >= 2


@pytest.mark.parametrize("change", [{"target_factor": 1.0}, {"budget_ps": -1.0}, {"piece_ps": 0.0}])
def test_goals_without_a_meaning_are_refused(change):
    with pytest.raises(InputError, match="a plan needs"):
        plan_runs(runs(), replace(PlanGoal(target_factor=1.5, budget_ps=100.0), **change))


def test_nothing_that_diffused_is_no_start():
    with pytest.raises(InputError, match="no run diffused"):
        plan_runs([bound_at(400.0, 1.0)], PlanGoal(target_factor=1.5, budget_ps=100.0))


ENERGY, FRAME_PS = 0.30, 0.1


class Walkers:
    """Lattice walks at several temperatures; more time goes on where the last stopped."""

    def __init__(self, seed):
        self.seed, self.positions = seed, {}

    def run(self, kelvin, add_ps):
        rate = 0.02 * math.exp(-ENERGY / BOLTZMANN_EV_PER_K * (1 / kelvin - 1 / 600.0))
        there = self.positions.get(kelvin, np.zeros((1, 24, 3)))
        n_frames = round(add_ps / FRAME_PS)
        more = lattice_walk(self.seed + int(kelvin) + len(there), n_ions=24, n_frames=n_frames + 1, rate=rate)
        self.positions[kelvin] = np.concatenate([there, there[-1] + more[1:] - more[0]])
        walk = in_framework(self.positions[kelvin], self.seed)
        told = replace(walk, target_temperature_k=kelvin, temperature_k=np.full(walk.n_frames, kelvin))
        return analyse_run(told, SETTINGS)


def test_walks_are_extended_until_the_target_is_met_and_the_answer_is_right():
    walkers = Walkers(3)
    start = [walkers.run(kelvin, 100.0) for kelvin in (600.0, 700.0)]
    goal = PlanGoal(target_factor=3.0, budget_ps=3000.0, candidates_k=(500.0, 550.0), piece_ps=100.0)
    done = extend_runs(start, walkers.run, goal)
    assert done.is_enough and done.factor <= 3.0
    assert "Target met" in done.words
    assert sum(piece for _, piece in done.done) <= 3000.0
    assert sum(run.length_ps for run in done.runs) == pytest.approx(200.0 + sum(p for _, p in done.done), rel=0.01)
    low, _, high, low95, high95 = ln_diffusivity_quantiles(fit_arrhenius(done.runs), 300.0)
    exact = math.log(0.02 / FRAME_PS * HOP**2 / 6) - ENERGY / BOLTZMANN_EV_PER_K * (1 / 300.0 - 1 / 600.0)
    assert low95 < exact < high95
    assert math.exp(0.5 * (high - low)) == pytest.approx(done.factor, rel=0.1)


def test_the_budget_ends_the_extension():
    walkers = Walkers(4)
    start = [walkers.run(kelvin, 100.0) for kelvin in (600.0, 700.0)]
    done = extend_runs(start, walkers.run, PlanGoal(target_factor=1.05, budget_ps=250.0, piece_ps=100.0))
    assert not done.is_enough and "Target not met" in done.words
    assert sum(piece for _, piece in done.done) <= 250.0
    assert done.factor < plan_runs(start, PlanGoal(target_factor=1.05, budget_ps=0.0)).factor_now


def sized(n_ions, shift, rsd, kelvins=(500.0, 600.0)):
    return [run_at(kelvin, on_a_line(kelvin) * math.exp(shift), rsd, n_ions=n_ions) for kelvin in kelvins]


@pytest.mark.parametrize(
    ("shift", "rsd", "verdict"),
    [(0.0, 0.1, "agree"), (0.5, 0.1, "differ"), (-0.5, 0.1, "differ"), (0.5, 2.0, "cannot be told")],
)
def test_two_cell_sizes(shift, rsd, verdict):
    found = compare_sizes(sized(24, 0.0, rsd), sized(96, shift, rsd))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(math.exp(shift))
    assert found.ratios == pytest.approx((math.exp(shift),) * 2)
    # two temperatures, two sizes: the error of one run each
    assert math.log(found.high / found.ratio) == pytest.approx(rsd)


def test_replicas_of_a_size_are_averaged():
    small = sized(24, 0.2, 0.1) + sized(24, -0.2, 0.1)
    found = compare_sizes(small, sized(96, 0.0, 0.1))
    assert found.ratio == pytest.approx(1.0)
    assert math.log(found.high) == pytest.approx(math.hypot(0.1, 0.1 / math.sqrt(2)) / math.sqrt(2))


def test_sizes_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="no temperature"):
        compare_sizes(sized(24, 0, 0.1), sized(96, 0, 0.1, (700.0,)))
    with pytest.raises(InputError, match="one size"):
        compare_sizes(sized(24, 0, 0.1), sized(25, 0, 0.1))


def test_replicas_that_scatter_more_than_their_errors_raise_them():
    rng, inside = np.random.default_rng(0), []
    for _ in range(150):
        made = []
        for kelvin in (450.0, 500.0, 550.0, 600.0):
            # errors of 10 %, and orderings that differ by 40 %
            made += [run_at(kelvin, on_a_line(kelvin) * math.exp(rng.normal(0, 0.41)), 0.1) for _ in range(6)]
        low, _, high, *_ = ln_diffusivity_quantiles(fit_arrhenius(made), 300.0)
        inside.append(low < math.log(on_a_line(300.0)) < high)
    assert np.mean(inside) == pytest.approx(0.68, abs=0.08)
    three = [run_at(500.0, on_a_line(500.0) * f, 0.1) for f in (0.5, 1, 2)] + [run_at(600.0, on_a_line(600.0), 0.1)]
    assert fit_arrhenius(three).diffusivity_std == pytest.approx(0.1 * fit_arrhenius(three).diffusivity)


def test_the_scatter_of_replicas_is_stored_and_counts_where_it_is_the_largest():
    factors = (0.6, 0.8, 1.0, 1.2, 1.4)  # standard deviation 0.316 of the mean
    wide = [run_at(500.0, f * on_a_line(500.0), 0.1) for f in factors]
    others = [run_at(600.0, on_a_line(600.0), 0.1), bound_at(500.0, 1.0)]
    found = with_replica_scatter([*wide, *others])
    assert [run.rsd_replica for run in found[:5]] == pytest.approx([math.sqrt(0.1)] * 5)
    assert all(run.error_method == "replica" for run in found[:5])
    assert found[0].diffusivity_std == pytest.approx(math.sqrt(0.1) * wide[0].diffusivity)
    assert math.isnan(found[5].rsd_replica) and found[5].diffusivity_std == others[0].diffusivity_std
    assert found[6] == others[1]
    narrow = with_replica_scatter([replace(run, diffusivity_std=run.diffusivity) for run in wide])
    assert [run.rsd_replica for run in narrow] == pytest.approx([math.sqrt(0.1)] * 5)
    assert all(run.diffusivity_std == run.diffusivity for run in narrow)
    assert all(math.isnan(run.rsd_replica) for run in with_replica_scatter(wide[:3]))

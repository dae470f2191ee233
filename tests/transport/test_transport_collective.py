"""Charge diffusivity and Haven ratio of processes that have known ones; coverage of their error."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import processes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError, TrajectoryError
from halion.settings import TransportSettings
from halion.transport import HavenRatio, charge_msd, haven_ratio, msd_tensor, pool_haven

SETTINGS = TransportSettings(hop_length_angstrom=3.0)
# Of 150 replicas a share of 0.68 has a binomial standard deviation of 0.038; 0.08 is two of those.
N_REPLICAS, SHARE, ROOM = 150, 0.68, 0.08

PROCESSES = {
    "independent": processes.brownian,
    "with each other": partial(processes.brownian, correlation=0.2),
    "against each other": partial(processes.brownian, correlation=-0.06),
    "anisotropic": processes.anisotropic,
    "pairs that hop": processes.groups_that_hop,
    "drift": partial(processes.brownian, drift=(0.05, -0.02, 0.1)),
}


def ratios(make, count=N_REPLICAS, first=0) -> tuple[list[HavenRatio], processes.Process]:
    made = [make(first + seed) for seed in range(count)]
    return [haven_ratio(process.trajectory, SETTINGS) for process in made], made[0]


def direct(positions):
    """Double loop over origins and lags of |sum of displacements|^2 / N."""
    n_frames, n_ions = positions.shape[:2]
    tensor = np.zeros((n_frames, 3, 3))
    for lag in range(1, n_frames):
        for origin in range(n_frames - lag):
            moved = (positions[origin + lag] - positions[origin]).sum(axis=0)
            tensor[lag] += np.outer(moved, moved) / (n_ions * (n_frames - lag))
    return tensor


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n_ions=st.integers(1, 5), n_frames=st.integers(2, 24))
def test_charge_msd_is_the_double_loop(seed, n_ions, n_frames):
    positions = np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)).cumsum(axis=0)
    # Sums of some hundred products of order ten in double precision.
    np.testing.assert_allclose(charge_msd(positions), direct(positions), atol=1e-10)


def test_of_one_ion_it_is_the_tracer():
    positions = np.random.default_rng(0).normal(size=(60, 1, 3)).cumsum(axis=0)
    np.testing.assert_allclose(charge_msd(positions, 30), msd_tensor(positions, 30), atol=1e-10)
    found = haven_ratio(processes.brownian(0, n_ions=1).trajectory, SETTINGS)
    assert found.value == pytest.approx(1.0, abs=1e-9)
    assert found.std == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", PROCESSES)
def test_one_standard_deviation_holds_the_ratio_in_68_of_100_replicas(name):
    found, process = ratios(PROCESSES[name])
    held = [low <= process.haven <= high for low, high in (one.interval() for one in found)]
    assert abs(np.mean(held) - SHARE) <= ROOM
    # The mean over replicas scatters by 1 / sqrt(150) of one run's spread; four of these.
    logs = np.log([one.value / process.haven for one in found])
    assert abs(logs.mean()) < 4 * np.mean([one.measured.spread for one in found]) / math.sqrt(N_REPLICAS)
    held95 = [low <= process.haven <= high for low, high in (one.interval(0.95) for one in found)]
    assert np.mean(held95) > 0.95 - 4 * math.sqrt(0.95 * 0.05 / N_REPLICAS)


def test_when_all_ions_move_as_one_the_ratio_is_one_over_their_number():
    found, process = ratios(partial(processes.groups_that_hop, n_groups=1, size=12, n_frames=3000), 20)
    assert process.haven == 1 / 12
    # Both slopes are of the same curve up to a factor; their weights differ a little with the fitted covariance.
    np.testing.assert_allclose([one.value for one in found], 1 / 12, rtol=0.02)
    assert max(one.measured.spread for one in found) < 0.2


def test_a_vacancy_gives_the_correlation_factor_of_its_lattice():
    """Compaan, Haven 1956: 0.6531 for the simple cubic lattice; no vacancy alone would tell it from one."""
    pooled = pool_haven([haven_ratio(processes.one_vacancy(seed).trajectory, SETTINGS) for seed in range(6)])
    assert pooled.is_resolved and pooled.measured.spread < 0.06
    assert abs(pooled.value - processes.CORRELATION_SIMPLE_CUBIC) < 2.5 * pooled.std
    assert pooled.interval(0.99)[1] < 0.85
    # 511 ions make the tracer sharp: 1 % for a lattice of 8 x 8 x 8 sites, whose images are correlated a little.
    exact = processes.one_vacancy(0, n_frames=2).diffusivity
    assert pooled.measured.tracer == pytest.approx(exact, rel=0.015)


def test_drift_of_the_whole_cell_changes_nothing():
    still, drifting = (
        haven_ratio(processes.brownian(3, drift=drift).trajectory, SETTINGS)
        for drift in ((0, 0, 0), (0.1, 0.2, -0.3))
    )
    assert drifting.value == pytest.approx(still.value, rel=1e-9)
    assert drifting.std == pytest.approx(still.std, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(angle=st.floats(0.1, 6.0), factor=st.floats(0.2, 5.0))
def test_neither_axes_nor_the_unit_of_time_matter(angle, factor):
    plain = processes.anisotropic(1, n_frames=400).trajectory
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = replace(plain, positions=plain.positions @ turn, cells=plain.cells @ turn)
    slower = replace(plain, time_ps=plain.time_ps * factor)
    first, second, third = (haven_ratio(one, SETTINGS) for one in (plain, turned, slower))
    assert second.measured.charge == pytest.approx(first.measured.charge, rel=1e-6)
    assert second.interval() == pytest.approx(first.interval(), rel=1e-6)
    assert third.interval() == pytest.approx(first.interval(), rel=1e-6)
    assert third.measured.charge * factor == pytest.approx(first.measured.charge, rel=1e-6)


def test_a_caged_run_has_no_ratio():
    found = haven_ratio(processes.caged(0).trajectory, SETTINGS)
    assert not found.is_resolved and not found.diffuses
    assert math.isnan(found.value) and math.isnan(found.std)
    assert found.interval() == (0.0, math.inf)
    assert "did not move far enough" in found.verdict


def test_a_short_run_is_unresolved_and_says_between_what():
    found = haven_ratio(processes.brownian(5, n_frames=100).trajectory, SETTINGS)
    low, high = found.interval(0.95)
    assert found.diffuses and not found.is_resolved and math.isnan(found.value)
    assert 0 < low < 1 < high
    assert "Unresolved" in found.verdict and "pool replicas" in found.verdict


def test_pooled_runs_are_sharper_and_their_bar_is_right():
    """40 pools of four: each is twice as sharp as one run, and the bars hold the truth as often as they say."""
    found, process = ratios(partial(processes.brownian, correlation=0.2), 160)
    pools = [pool_haven(found[k : k + 4]) for k in range(0, 160, 4)]
    single = np.mean([one.measured.spread for one in found])
    assert 0.4 * single < np.median([pool.measured.spread for pool in pools]) < 0.75 * single
    held = np.mean([low <= process.haven <= high for low, high in (pool.interval() for pool in pools)])
    # Three binomial standard deviations; the scatter of four may only widen a bar, so more may be held.
    assert SHARE - 3 * math.sqrt(0.68 * 0.32 / 40) < held
    np.testing.assert_allclose(np.mean([np.log(pool.value / process.haven) for pool in pools]), 0.0, atol=0.04)


def test_pooling_resolves_what_single_runs_do_not():
    found, process = ratios(partial(processes.brownian, n_frames=100), 12, first=100)
    assert not any(one.is_resolved for one in found)
    pooled = pool_haven(found)
    assert pooled.is_resolved and "The Haven ratio is" in pooled.verdict
    assert abs(math.log(pooled.value / process.haven)) < 3 * pooled.measured.spread


def test_one_run_pooled_is_itself():
    found = haven_ratio(processes.brownian(2).trajectory, SETTINGS)
    pooled = pool_haven([found])
    assert pooled.interval() == pytest.approx(found.interval(), rel=1e-12)


def test_runs_that_have_nothing_in_common_are_not_pooled():
    found = haven_ratio(processes.brownian(2).trajectory, SETTINGS)
    with pytest.raises(InputError, match="no run"):
        pool_haven([])
    with pytest.raises(InputError, match="no Haven ratio in common"):
        pool_haven([found, replace(found, temperature_k=700.0)])
    with pytest.raises(InputError, match="no Haven ratio in common"):
        pool_haven([found, replace(found, n_ions=24)])


def test_without_a_framework_it_is_refused():
    trajectory = processes.brownian(0).trajectory
    lone = replace(trajectory, positions=trajectory.positions[:, :12], symbols=trajectory.symbols[:12])
    with pytest.raises(TrajectoryError, match="cannot move against anything"):
        haven_ratio(lone, SETTINGS)


def test_it_divides_the_conductivity():
    """The pair that `conductivity_at` takes."""
    found = haven_ratio(processes.groups_that_hop(0).trajectory, SETTINGS)
    assert found.is_resolved and 0 < found.std < found.value

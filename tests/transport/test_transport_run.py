"""Diffusivity, error and verdict of whole runs with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from transport_walks import HOP, in_framework, lattice_walk, trajectory

from halion.errors import TrajectoryError
from halion.records import from_record, to_record
from halion.settings import TransportSettings
from halion.transport import RunTransport, analyse_run, hop_length, run_rows, summary_rows

SETTINGS = TransportSettings(hop_length_angstrom=HOP)
RATE, FRAME_PS = 0.02, 0.1
EXACT = RATE / FRAME_PS * HOP**2 / 6


def walk(seed: int, **changes):
    return in_framework(lattice_walk(seed, **({"n_ions": 24, "n_frames": 1200, "rate": RATE} | changes)), seed)


def test_a_lattice_walk_gives_its_diffusivity():
    run = analyse_run(walk(0), SETTINGS)
    assert run.verdict == "diffusive"
    assert abs(run.diffusivity - EXACT) < 2 * run.diffusivity_std
    assert run.hop_length == HOP
    assert run.hopped_fraction > 0.8
    assert run.n_ions == 24
    assert np.isnan(run.upper_bound)
    assert np.trace(run.diffusivity_tensor) / 3 == pytest.approx(run.diffusivity)


def test_the_error_bar_covers_the_truth():
    # The bar is the larger of two errors, so 68 % is the least it may cover; binomial scatter of 60 is 6 %.
    inside, n_replicas = 0, 60
    for seed in range(n_replicas):
        run = analyse_run(walk(seed, n_frames=600), SETTINGS)
        assert run.verdict != "melted"
        inside += abs(run.diffusivity - EXACT) < run.diffusivity_std
    assert inside / n_replicas > 0.68 - 2 * 0.06


@pytest.mark.slow
def test_the_brownian_error_covers_68_percent_where_it_is_exact():
    rng = np.random.default_rng(0)
    inside, n_replicas = 0, 200
    for _ in range(n_replicas):
        positions = np.cumsum(rng.normal(0, 0.5, size=(500, 20, 3)), axis=0)
        run = analyse_run(in_framework(positions), SETTINGS)
        exact = 0.25 / (2 * FRAME_PS)
        inside += abs(run.diffusivity - exact) < run.rsd_brownian * exact
    assert inside / n_replicas == pytest.approx(0.68, abs=0.08)


def test_anisotropy_shows_in_the_tensor_of_a_rotated_cell():
    rng = np.random.default_rng(5)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    along_c = np.cumsum(rng.normal(size=(1500, 30, 3)) * [0.1, 0.1, 0.5], axis=0)
    run = analyse_run(in_framework(along_c @ rotation.T), SETTINGS)
    values = np.linalg.eigvalsh(run.diffusivity_tensor)
    expected = np.array([0.01, 0.01, 0.25]) / (2 * FRAME_PS)
    assert values == pytest.approx(expected, rel=0.35)  # C(0.5) / sqrt(30) = 19 %, twice


def test_stride_and_time_unit_do_not_matter():
    full = walk(3, n_frames=2001)
    thin = replace(
        full,
        **{
            name: getattr(full, name)[::4]
            for name in (
                "positions",
                "cells",
                "steps",
                "time_ps",
                "temperature_k",
                "potential_energy",
                "pressure_gpa",
            )
        },
    )
    assert analyse_run(thin, SETTINGS).diffusivity == pytest.approx(
        analyse_run(full, SETTINGS).diffusivity, rel=0.03
    )
    slow = replace(full, time_ps=full.time_ps * 2)
    assert analyse_run(slow, SETTINGS).diffusivity == pytest.approx(analyse_run(full, SETTINGS).diffusivity / 2)


def test_drift_does_not_matter():
    still = walk(4)
    drifting = replace(still, positions=still.positions + np.arange(1200)[:, None, None] * [0.05, 0.01, 0.0])
    one, other = analyse_run(still, SETTINGS), analyse_run(drifting, SETTINGS)
    assert other.diffusivity == pytest.approx(one.diffusivity, rel=1e-8)
    assert other.drift == pytest.approx(1199 * np.hypot(0.05, 0.01), rel=0.01)


def test_caged_ions_do_not_diffuse_and_get_an_upper_bound():
    rng = np.random.default_rng(0)
    caged = rng.uniform(0, 15, (20, 3)) + rng.normal(0, 0.3, (1000, 20, 3))
    run = analyse_run(in_framework(caged), SETTINGS)
    assert run.verdict == "not diffusive"
    assert run.hopped_fraction == 0
    assert 0 < run.upper_bound < 0.2
    assert any("does not rise" in reason for reason in run.reasons)


def test_a_few_hops_are_an_upper_bound_above_the_truth():
    for seed in range(10):
        run = analyse_run(walk(seed, rate=2e-4), SETTINGS)
        assert run.verdict in ("upper bound", "not diffusive")
        assert run.upper_bound > 2e-4 / FRAME_PS * HOP**2 / 6


def test_ballistic_motion_is_not_diffusion():
    rng = np.random.default_rng(1)
    velocities = rng.normal(0, 0.05, (20, 3))
    flying = np.arange(800)[:, None, None] * velocities
    run = analyse_run(in_framework(flying), SETTINGS)
    assert run.verdict == "not diffusive"
    assert run.log_slope == pytest.approx(2.0, abs=0.05)


def test_a_framework_that_diffuses_is_a_melt():
    li = lattice_walk(0, n_ions=20, n_frames=1000, rate=0.05)
    cl = np.cumsum(np.random.default_rng(2).normal(0, 0.08, (1000, 30, 3)), axis=0)
    y = np.random.default_rng(3).normal(0, 0.1, (1000, 8, 3))
    run = analyse_run(
        trajectory(np.concatenate([li, cl, y], axis=1), ("Li",) * 20 + ("Cl",) * 30 + ("Y",) * 8), SETTINGS
    )
    assert run.verdict == "melted"
    assert "Cl" in run.reasons[0]


def test_one_ion_and_an_all_mobile_cell_do_not_crash():
    one = analyse_run(in_framework(lattice_walk(1, n_ions=1, n_frames=2000, rate=0.05)), SETTINGS)
    assert one.n_ions == 1
    positions = lattice_walk(2, n_ions=12, n_frames=800, rate=0.05)
    alone = analyse_run(trajectory(positions, ("Li",) * 12), SETTINGS)
    assert alone.framework_msd == {}


def test_hop_length_comes_from_the_structure_or_is_asked_for():
    grid = np.array(np.meshgrid(*[np.arange(4) * 3.5] * 3)).reshape(3, -1).T
    still = trajectory(np.repeat(grid[None], 30, axis=0), ("Li",) * 64, cell=np.eye(3) * 14.0)
    assert hop_length(still, "Li") == pytest.approx(3.5)
    lonely = trajectory(np.zeros((30, 1, 3)), ("Li",))
    with pytest.raises(TrajectoryError, match="hop length"):
        hop_length(lonely, "Li")


def test_results_survive_the_disk():
    run = analyse_run(walk(6), SETTINGS)
    again = from_record(RunTransport, to_record(run))
    assert to_record(again) == to_record(run)
    assert np.array_equal(again.msd, run.msd)


def test_rows_hold_the_numbers():
    run = analyse_run(walk(7), SETTINGS)
    rows = run_rows(run)
    assert len(rows) == len(run.lag_time_ps)
    assert rows[5]["msd_angstrom2"] == run.msd[5]
    assert rows[5]["msd_xx_angstrom2"] + rows[5]["msd_yy_angstrom2"] + rows[5]["msd_zz_angstrom2"] == pytest.approx(
        run.msd[5]
    )
    (summary,) = summary_rows([run])
    assert summary["diffusivity_cm2_per_s"] == pytest.approx(run.diffusivity * 1e-4)


def refuse(changed, match):
    with pytest.raises(TrajectoryError, match=match) as caught:
        analyse_run(changed, SETTINGS)
    assert caught.value.fix


def test_bad_trajectories_are_refused():
    good = walk(8, n_frames=100)
    refuse(replace(good, symbols=("Na",) * 24 + ("Cl",) * 24), "no Li")
    cut = {name: getattr(good, name)[:5] for name in ("positions", "cells", "steps", "time_ps", "temperature_k")}
    refuse(replace(good, **cut), "too few")
    broken = good.positions.copy()
    broken[17, 3, 1] = np.nan
    refuse(replace(good, positions=broken), "frame 17")
    doubled = good.time_ps.copy()
    doubled[50:] -= 0.1
    refuse(replace(good, time_ps=doubled), "frames 49 and 50")
    gap = good.time_ps.copy()
    gap[70:] += 0.3
    refuse(replace(good, time_ps=gap), "not evenly spaced")

"""Diffusivity, error and verdict of whole runs with a known answer."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from transport_walks import FRAME_PS, HOP, RATE, SETTINGS, bromide, in_framework, lattice_walk, trajectory, walk

from halion.errors import TrajectoryError
from halion.records import from_record, to_record
from halion.transport import (
    RunTransport,
    analyse_run,
    analyse_trajectories,
    hop_length,
    read_trajectory,
    run_rows,
    summary_rows,
)
from halion.transport.hops import framework_spacing

EXACT = RATE / FRAME_PS * HOP**2 / 6


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
    still, times = walk(4), np.arange(1200)[:, None, None]
    path = times * [0.05, 0.01, 0.0] + 2.0 * np.sin(times / 40) * [0.0, 1.0, 1.0]
    drifting = replace(still, positions=still.positions + path)
    one, other = analyse_run(still, SETTINGS), analyse_run(drifting, SETTINGS)
    assert other.diffusivity == pytest.approx(one.diffusivity, rel=1e-10)
    assert np.allclose(other.msd, one.msd, atol=1e-10)
    assert other.drift == pytest.approx(np.linalg.norm(path[-1] - path[0]), abs=0.2)  # the framework vibrates


def test_caged_ions_do_not_diffuse_and_get_an_upper_bound():
    rng = np.random.default_rng(0)
    caged = rng.uniform(0, 15, (20, 3)) + rng.normal(0, 0.3, (1000, 20, 3))
    run = analyse_run(in_framework(caged), SETTINGS)
    assert run.verdict == "caged"
    assert run.hopped_fraction == 0
    assert 0 < run.upper_bound < 0.2
    assert any("is not met" in reason for reason in run.reasons)


def test_a_few_hops_are_an_upper_bound_above_the_truth():
    for seed in range(10):
        run = analyse_run(walk(seed, rate=2e-4), SETTINGS)
        assert run.verdict in ("upper bound", "caged")
        assert run.upper_bound > 2e-4 / FRAME_PS * HOP**2 / 6


def test_ballistic_motion_is_not_diffusion():
    rng = np.random.default_rng(1)
    velocities = rng.normal(0, 0.05, (20, 3))
    flying = np.arange(800)[:, None, None] * velocities
    run = analyse_run(in_framework(flying), SETTINGS)
    assert run.verdict == "ballistic"
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


def test_displacements_measured_at_500_k_diffuse():
    # Li3YBr6, 40 atoms, 13 ps at 500 K: Li 27, Y 0.2, Br 0.9 Angstrom^2 at the longest lag
    for seed in range(5):
        run = analyse_run(bromide(li_msd=27.0, y_msd=0.2, br_msd=0.9, is_melt=False, seed=seed), SETTINGS)
        assert run.verdict == "diffusive"
        assert run.framework_msd["Br"][-1] == pytest.approx(0.9, abs=0.1)
        assert "kept its sites" in run.reasons[0]


def test_displacements_measured_at_700_k_are_a_melt():
    # the same at 700 K: Li 96, Y 2.8, Br 9.8 Angstrom^2, the framework growing all the time
    for seed in range(5):
        run = analyse_run(bromide(li_msd=96.0, y_msd=2.8, br_msd=9.8, is_melt=True, seed=seed), SETTINGS)
        assert run.verdict == "melted"
        assert "Br" in run.reasons[0]


def test_anions_that_change_places_among_fixed_cations_are_named_but_no_melt():
    # Li3YBr6, 40 atoms, 32 ps at 470 K: Br rose to 3.4 Angstrom^2 while Y stayed flat at 0.5.
    disturbed, calm = (bromide(li_msd=55.0, y_msd=0.5, br_msd=3.4, is_melt=melt) for melt in (True, False))
    is_br = np.array(disturbed.symbols) == "Br"
    mixed = np.where(is_br[:, None], disturbed.positions, calm.positions)
    run = analyse_run(replace(calm, positions=mixed), SETTINGS)
    assert run.verdict == "diffusive"
    assert "Part of the framework changes places" in run.reasons[0]
    assert "displacement Br" in run.reasons[0]
    assert "Y" not in run.reasons[0].split("still growing")[0]


def test_a_turning_group_is_no_melt():
    # Sulfur on tetrahedra that turn freely: a plateau at 2 * 2.05^2 = 8.4 Angstrom^2. The centre of all 24 is held
    # still, which takes 1 / 24 of it.
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(1000, 24, 3))
    turning = 2.05 * directions / np.linalg.norm(directions, axis=2, keepdims=True)
    sites = np.array(np.meshgrid(*[np.arange(3) * 5.0] * 3)).reshape(3, -1).T[:24]
    li = lattice_walk(0, n_ions=20, n_frames=1000, rate=0.05)
    run = analyse_run(
        trajectory(np.concatenate([li, sites + turning], axis=1), ("Li",) * 20 + ("S",) * 24), SETTINGS
    )
    assert run.framework_msd["S"][-1] == pytest.approx(2 * 2.05**2 * 23 / 24, rel=0.01)
    assert run.verdict == "diffusive"


def test_the_framework_spacing_is_that_of_its_densest_element():
    still = bromide(li_msd=27.0, y_msd=1e-9, br_msd=1e-9, is_melt=False)
    assert framework_spacing(still, "Li") == pytest.approx(3.75, abs=1e-3)
    single = trajectory(np.zeros((30, 2, 3)), ("Li", "Cl"), cell=np.eye(3) * 4.0)
    assert framework_spacing(single, "Li") == pytest.approx(4.0)  # one atom: cube root of its volume
    assert np.isnan(framework_spacing(trajectory(np.zeros((30, 2, 3)), ("Li", "Li")), "Li"))


def test_subdiffusion_is_not_called_diffusion():
    # fractional Brownian motion with MSD ~ t^0.4, by its covariance
    n_frames, power = 400, 0.4
    t = np.arange(1.0, n_frames + 1)
    covariance = 0.5 * (t[:, None] ** power + t**power - np.abs(t[:, None] - t) ** power)
    steps = np.random.default_rng(0).normal(size=(n_frames, 60))
    path = (np.linalg.cholesky(covariance) @ steps).reshape(n_frames, 20, 3) * 1.2
    run = analyse_run(in_framework(path), SETTINGS)
    assert run.log_slope < 0.65
    assert run.verdict == "upper bound"


def test_diffusing_walks_are_rarely_rejected():
    # Ions that hop in cages of 0.4 Angstrom; the null band was set to hold all but a few per cent of them.
    rng, rejected, n_replicas = np.random.default_rng(3), 0, 60
    for seed in range(n_replicas):
        positions = lattice_walk(seed, n_ions=16, n_frames=600, rate=0.02)
        run = analyse_run(in_framework(positions + rng.normal(0, 0.4, positions.shape), seed), SETTINGS)
        rejected += run.verdict != "diffusive"
    assert rejected <= 3


def test_wrapped_or_not_the_answer_is_the_same(tmp_path):
    cell = np.array([[12.0, 0, 0], [3.0, 11.0, 0], [-2.0, 2.0, 13.0]])
    plain = walk(9, n_frames=400)
    frames = [
        Atoms(plain.symbols, positions=positions, cell=cell, pbc=True, info={"time_ps": 0.1 * k})
        for k, positions in enumerate(plain.positions)
    ]
    ase.io.write(tmp_path / "unwrapped.extxyz", frames)
    for frame in frames:
        frame.wrap()
    ase.io.write(tmp_path / "wrapped.extxyz", frames)
    runs = [
        analyse_run(read_trajectory(tmp_path / f"{name}.extxyz"), SETTINGS) for name in ("unwrapped", "wrapped")
    ]
    # extxyz keeps eight decimals
    assert runs[0].diffusivity == pytest.approx(runs[1].diffusivity, rel=1e-6)
    assert runs[0].diffusivity == pytest.approx(analyse_run(plain, SETTINGS).diffusivity, rel=1e-6)


def test_a_breathing_cell_does_not_change_the_diffusivity():
    plain = walk(10)
    scale = 1 + 0.02 * np.sin(np.arange(1200) / 15)
    scale /= scale.mean()
    breathing = replace(
        plain, positions=plain.positions * scale[:, None, None], cells=plain.cells * scale[:, None, None]
    )
    assert analyse_run(breathing, SETTINGS).diffusivity == pytest.approx(analyse_run(plain, SETTINGS).diffusivity)
    assert analyse_run(breathing, SETTINGS).drift == pytest.approx(analyse_run(plain, SETTINGS).drift)


def test_one_ion_is_followed():
    run = analyse_run(in_framework(lattice_walk(1, n_ions=1, n_frames=2000, rate=0.05)), SETTINGS)
    assert run.n_ions == 1
    assert run.rsd_brownian > 0.5  # 1.044 / sqrt(3)
    assert abs(run.diffusivity - 0.05 / FRAME_PS * HOP**2 / 6) < 3 * run.diffusivity_std


def test_an_all_mobile_cell_is_analysed_and_says_so():
    alone = analyse_run(trajectory(lattice_walk(2, n_ions=12, n_frames=800, rate=0.05), ("Li",) * 12), SETTINGS)
    assert alone.framework_msd == {}
    assert "no framework" in alone.reasons[0]
    # The centre of all 12 is held still: 1 / 12 of the diffusivity goes with it; the bar is far wider.
    assert abs(alone.diffusivity - 0.05 / FRAME_PS * HOP**2 / 6) < 2 * alone.diffusivity_std


def test_the_window_is_the_settings_and_the_gate():
    run = analyse_run(walk(11), SETTINGS)
    assert run.fit_window_ps[1] == pytest.approx(0.5 * run.length_ps, abs=FRAME_PS)
    first = np.searchsorted(run.lag_time_ps, run.fit_window_ps[0] - 1e-9)
    assert run.msd[first] >= 0.5 * HOP**2 > run.msd[first - 1]
    short = analyse_run(walk(11), SETTINGS.model_copy(update={"longest_lag_ps": 20.0}))
    assert short.fit_window_ps[1] == pytest.approx(20.0)
    # N_eff looks at the fit window alone
    last = np.searchsorted(short.lag_time_ps, 20.0 - 1e-9)
    assert short.n_eff == pytest.approx(24 * short.msd[: last + 1].max() / HOP**2)
    assert short.rsd_he == pytest.approx(3.43 / np.sqrt(short.n_eff) + 0.04)


def test_the_error_and_the_estimator_are_the_settings():
    plain = analyse_run(walk(11), SETTINGS)
    assert plain.error_method == "he2018"
    for method, name in (("he2018", "rsd_he"), ("covariance", "rsd_covariance"), ("block", "rsd_block")):
        run = analyse_run(walk(11), SETTINGS.model_copy(update={"error": method}))
        assert run.error_method == method
        assert run.diffusivity_std == pytest.approx(getattr(run, name) * run.diffusivity)
        assert run.diffusivity == plain.diffusivity
    gls = analyse_run(walk(11), SETTINGS.model_copy(update={"estimator": "gls", "error": "covariance"}))
    assert (gls.diffusivity, gls.diffusivity_std) == pytest.approx(
        (plain.diffusivity_gls, plain.diffusivity_gls_std)
    )
    assert gls.diffusivity_std < 0.6 * plain.rsd_covariance * plain.diffusivity
    late = analyse_run(walk(11), SETTINGS.model_copy(update={"shortest_lag_ps": 20.0}))
    assert late.fit_window_ps[0] == pytest.approx(20.0)


def test_several_runs_to_their_conductivity():
    # Rates of an exact Arrhenius line with Ea = 0.25 eV through the rate of `walk` at 600 K
    k_b, runs = 8.617333e-5, []
    for seed, temperature in enumerate((500.0, 600.0, 700.0)):
        rate = RATE * np.exp(-0.25 / k_b * (1 / temperature - 1 / 600.0))
        run = walk(20 + seed, rate=float(rate), n_frames=2000)
        runs.append(replace(run, temperature_k=np.full(2000, temperature), target_temperature_k=temperature))
    analysed, line, sigma = analyse_trajectories(runs, SETTINGS)
    assert [run.verdict for run in analysed] == ["diffusive"] * 3
    assert abs(line.activation_energy - 0.25) < 2 * line.activation_energy_std
    assert sigma.low95_ms_per_cm < sigma.conductivity_ms_per_cm < sigma.high95_ms_per_cm
    unknown = [replace(runs[0], temperature_k=np.full(2000, np.nan), target_temperature_k=np.nan)]
    analysed, line, sigma = analyse_trajectories(unknown, SETTINGS)
    assert len(analysed) == 1 and line is None and sigma is None


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
    along = {one.name: one for one in run.along}
    assert summary["diffusivity_ab_cm2_per_s"] == pytest.approx(along["ab"].diffusivity * 1e-4)
    assert summary["diffusivity_c_star_std_cm2_per_s"] == pytest.approx(along["c*"].diffusivity_std * 1e-4)
    assert summary["rsd_covariance"] == run.rsd_covariance


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
    rare = SETTINGS.model_copy(update={"longest_lag_ps": 0.2})
    with pytest.raises(TrajectoryError, match="at least 3 lags"):
        analyse_run(good, rare)

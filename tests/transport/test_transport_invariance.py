"""What must not change the answer: units, supercells, the order of atoms and axes, the direction of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import HOP, SETTINGS, in_framework, lattice_walk, trajectory, walk

from halion.dynamics.types import Trajectory
from halion.transport import analyse_run, analyse_trajectories

CHECKS = settings(deadline=None, max_examples=6)


def moved(source: Trajectory, positions: np.ndarray, cells: np.ndarray | None = None) -> Trajectory:
    return replace(source, positions=positions, cells=source.cells if cells is None else cells)


@CHECKS
@given(seed=st.integers(0, 10**6), scale=st.floats(0.2, 5.0))
def test_lengths_scale_out(seed, scale):
    """In another unit of length, D and its error carry the square, the verdict and N_eff nothing."""
    one = walk(seed, n_frames=400)
    other = moved(one, one.positions * scale, one.cells * scale)
    a = analyse_run(one, SETTINGS)
    b = analyse_run(other, SETTINGS.model_copy(update={"hop_length_angstrom": HOP * scale}))
    assert b.diffusivity == pytest.approx(a.diffusivity * scale**2, rel=1e-9)
    assert b.diffusivity_std == pytest.approx(a.diffusivity_std * scale**2, rel=1e-9)
    assert b.intercept == pytest.approx(a.intercept * scale**2, rel=1e-6, abs=1e-9)
    assert b.volume == pytest.approx(a.volume * scale**3, rel=1e-9)
    assert (b.verdict, b.hopped_fraction) == (a.verdict, a.hopped_fraction)
    assert b.n_eff == pytest.approx(a.n_eff, rel=1e-9)
    assert b.log_slope == pytest.approx(a.log_slope, rel=1e-9)


@CHECKS
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10.0))
def test_times_scale_out(seed, factor):
    one = walk(seed, n_frames=400)
    a, b = analyse_run(one, SETTINGS), analyse_run(replace(one, time_ps=one.time_ps * factor), SETTINGS)
    assert b.diffusivity == pytest.approx(a.diffusivity / factor, rel=1e-9)
    assert b.fit_window_ps == pytest.approx([factor * edge for edge in a.fit_window_ps])
    assert (b.rsd_he, b.verdict) == (pytest.approx(a.rsd_he), a.verdict)


@CHECKS
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_atoms_is_free(seed):
    one = walk(seed, n_frames=300)
    order = np.random.default_rng(seed).permutation(len(one.symbols))
    shuffled = replace(one, positions=one.positions[:, order], symbols=tuple(np.array(one.symbols)[order].tolist()))
    a, b = analyse_run(one, SETTINGS), analyse_run(shuffled, SETTINGS)
    assert b.diffusivity == pytest.approx(a.diffusivity, rel=1e-9)
    assert np.allclose(b.msd_components, a.msd_components, rtol=1e-9, atol=1e-9)
    assert b.framework_msd.keys() == a.framework_msd.keys()


@CHECKS
@given(seed=st.integers(0, 10**6))
def test_any_orientation_gives_the_same_diffusivity(seed):
    one = walk(seed, n_frames=300)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turned = moved(one, one.positions @ rotation.T, one.cells @ rotation.T)
    a, b = analyse_run(one, SETTINGS), analyse_run(turned, SETTINGS)
    assert b.diffusivity == pytest.approx(a.diffusivity, rel=1e-9)
    assert np.allclose(b.diffusivity_tensor, rotation @ a.diffusivity_tensor @ rotation.T, atol=1e-9)
    assert b.volume == pytest.approx(a.volume)


def test_a_supercell_of_the_same_motion_has_the_same_diffusivity_and_no_new_information_in_its_msd():
    """Two copies that move alike: the MSD is the same. N_eff doubles, since the analysis cannot know they agree."""
    one = walk(7)
    shift = one.cells[:, :1, :]
    double = replace(
        one,
        positions=np.concatenate([one.positions, one.positions + shift], axis=1),
        symbols=one.symbols * 2,
        cells=one.cells * np.array([2.0, 1.0, 1.0])[:, None],
    )
    a, b = analyse_run(one, SETTINGS), analyse_run(double, SETTINGS)
    assert np.allclose(a.msd, b.msd, rtol=1e-9)
    assert b.diffusivity == pytest.approx(a.diffusivity, rel=1e-9)
    assert b.n_ions == 2 * a.n_ions and b.volume == pytest.approx(2 * a.volume)
    assert b.n_eff == pytest.approx(2 * a.n_eff, rel=1e-9)
    # The conductivity is a density: n / V stays.
    sigma_a = analyse_trajectories([one], SETTINGS.model_copy(update={"report_temperature_k": 600.0}))
    sigma_b = analyse_trajectories([double], SETTINGS.model_copy(update={"report_temperature_k": 600.0}))
    assert sigma_b[-1].conductivity_ms_per_cm == pytest.approx(sigma_a[-1].conductivity_ms_per_cm, rel=1e-9)


def test_time_may_run_backwards():
    """Displacements over all origins have no direction."""
    one = walk(11, n_frames=500)
    back = moved(one, one.positions[::-1].copy())
    a, b = analyse_run(one, SETTINGS), analyse_run(back, SETTINGS)
    # The drift is taken from the first frame in one and from the last in the other: a constant, which cancels.
    assert np.allclose(a.msd, b.msd, rtol=1e-9, atol=1e-9)
    assert b.diffusivity == pytest.approx(a.diffusivity, rel=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_motion_along_one_axis_shows_there_alone(axis):
    """Ions that hop along one axis by 3 Angstrom, rate 0.1 per frame: D = rate a^2 / 2 on that axis."""
    rng = np.random.default_rng(axis)
    steps = rng.choice([-HOP, HOP], size=(1500, 30)) * (rng.random((1500, 30)) < 0.1)
    path = np.zeros((1500, 30, 3))
    path[..., axis] = np.cumsum(steps, axis=0)
    run = analyse_run(in_framework(path + rng.uniform(0, 15, (30, 3))), SETTINGS)
    exact = 0.1 / 0.1 * HOP**2 / 2
    along = np.diag(run.diffusivity_tensor)
    # Brownian error of a fit to half of the run: 1.11 / sqrt(30 ions) = 20 %; twice that.
    assert along[axis] == pytest.approx(exact, rel=0.4)
    assert np.delete(along, axis) == pytest.approx(0.0, abs=0.01 * exact)
    assert run.diffusivity == pytest.approx(along.sum() / 3)


def test_a_longer_run_has_a_smaller_error():
    stds = [analyse_run(walk(2, n_frames=n), SETTINGS).diffusivity_std for n in (300, 1200, 4800)]
    assert stds[0] > stds[1] > stds[2]
    relative = [analyse_run(walk(2, n_frames=n), SETTINGS).rsd_brownian for n in (300, 1200, 4800)]
    # The fit takes half of the run, so the relative error of a random walk does not fall with its length: the
    # longest lags are sampled as poorly as before. What falls is He's error, which counts hops.
    # The window starts where half a squared hop is reached, which is earlier in a longer run: some per cent.
    assert np.ptp(relative) < 0.15 * relative[0]
    he = [analyse_run(walk(2, n_frames=n), SETTINGS).rsd_he for n in (300, 1200, 4800)]
    assert he[0] > he[1] > he[2]


@pytest.mark.parametrize("n_ions", [6, 24, 96])
def test_more_ions_have_a_smaller_error(n_ions):
    run = analyse_run(in_framework(lattice_walk(5, n_ions=n_ions, n_frames=800, rate=0.05)), SETTINGS)
    reference = analyse_run(in_framework(lattice_walk(5, n_ions=24, n_frames=800, rate=0.05)), SETTINGS)
    assert run.rsd_brownian == pytest.approx(
        reference.rsd_brownian * np.sqrt(24 / n_ions), rel=0.02
    )  # the window's start differs


def test_a_moving_origin_of_all_ions_is_no_diffusion():
    """All ions of a framework-less cell in one common motion: nothing diffuses."""
    common = np.cumsum(np.random.default_rng(0).normal(0, 0.5, (600, 1, 3)), axis=0)
    sites = np.random.default_rng(1).uniform(0, 15, (12, 3))
    run = analyse_run(trajectory(sites + common, ("Li",) * 12), SETTINGS)
    assert run.msd.max() < 1e-18
    assert run.verdict == "caged"
    assert run.drift == pytest.approx(np.linalg.norm(common[-1] - common[0]))

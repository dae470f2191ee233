"""What must not change a fit: order of the ions, direction of time, axes, units, and who moves beside whom."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import lattice_walk

from halion.transport.covariance import IonStatistics, msd_covariance
from halion.transport.fit import LagsUsed, LineFit, fit_slopes
from halion.transport.independence import ion_moments, ion_statistics
from halion.transport.msd import msd_tensor
from halion.transport.run_fit import Displacements, error_in_words, fit_run
from halion.transport.verdict import FitWindow, log_slope_band

HOP, WINDOW = 3.0, FitWindow(20, 200, True)
CELL = np.array([[12.0, 0, 0], [-6.0, 10.4, 0], [0.5, 0.3, 13.0]])
NUMBERS = ("diffusivity", "diffusivity_std", "diffusivity_gls", "diffusivity_gls_std", "n_eff", "rsd_brownian")


def walk(seed: int, n_ions: int = 10) -> np.ndarray:
    return lattice_walk(seed, n_ions=n_ions, n_frames=400, rate=0.05)


def fitted(positions: np.ndarray, frame_ps: float = 0.5, cell: np.ndarray = CELL, hop: float = HOP):
    tensor = msd_tensor(positions, len(positions) // 2 + 1)
    return fit_run(Displacements(positions=positions, tensor=tensor, frame_ps=frame_ps, cell=cell), WINDOW, hop)


def same(one, other, rel=1e-6):
    for name in NUMBERS:
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=rel), name
    assert other.errors.block == pytest.approx(one.errors.block, rel=rel)
    assert other.ions.n_independent == pytest.approx(one.ions.n_independent, rel=rel)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_ions_does_not_matter(seed):
    positions = walk(seed)
    order = np.random.default_rng(seed).permutation(10)
    same(fitted(positions), fitted(positions[:, order]))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_a_turned_cell_gives_the_same_and_turns_the_tensor(seed):
    positions = walk(seed) * [1.0, 1.0, 1.7]
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    one, other = fitted(positions), fitted(positions @ turn, cell=CELL @ turn)
    same(one, other)
    assert other.tensor == pytest.approx(turn.T @ one.tensor @ turn, abs=1e-9)
    for a, b in zip(one.along, other.along, strict=True):
        assert b.diffusivity == pytest.approx(a.diffusivity, rel=1e-6)
        assert b.diffusivity_std == pytest.approx(a.diffusivity_std, rel=1e-5)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_time_may_run_backwards(seed):
    """Displacements over all origins are the same; blocks and windows of counting are cut from the other end."""
    positions = walk(seed)
    one, other = fitted(positions), fitted(positions[::-1])
    assert other.diffusivity == pytest.approx(one.diffusivity, rel=1e-9)
    assert other.errors.he2018 == pytest.approx(one.errors.he2018, rel=1e-9)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), shift=st.floats(-1e3, 1e3))
def test_where_the_ions_are_does_not_matter(seed, shift):
    positions = walk(seed)
    same(fitted(positions), fitted(positions + shift * np.arange(10)[:, None]), rel=1e-5)


@settings(deadline=None, max_examples=15)
@given(factor=st.floats(0.01, 100.0))
def test_the_unit_of_time_scales_the_diffusivity_alone(factor):
    one, other = fitted(walk(1)), fitted(walk(1), frame_ps=0.5 * factor)
    assert other.diffusivity * factor == pytest.approx(one.diffusivity)
    assert other.diffusivity_gls_std * factor == pytest.approx(one.diffusivity_gls_std)
    assert other.errors == one.errors
    assert other.log_slope_band == one.log_slope_band


@settings(deadline=None, max_examples=15)
@given(factor=st.floats(0.1, 10.0))
def test_the_unit_of_length_scales_the_diffusivity_with_its_square(factor):
    one, other = fitted(walk(2)), fitted(factor * walk(2), hop=factor * HOP)
    assert other.diffusivity == pytest.approx(factor**2 * one.diffusivity)
    assert other.diffusivity_gls_std == pytest.approx(factor**2 * one.diffusivity_gls_std, rel=1e-6)
    assert other.errors.used == pytest.approx(one.errors.used, rel=1e-6)
    assert other.n_eff == pytest.approx(one.n_eff)


def test_copies_of_all_ions_tell_nothing_new():
    """Twice the ions, each with a twin: the same D and the same error, though He's rule counts twice the hops."""
    one, two = fitted(walk(3)), fitted(np.concatenate([walk(3), walk(3)], axis=1))
    assert two.diffusivity == pytest.approx(one.diffusivity)
    assert two.n_eff == pytest.approx(2 * one.n_eff)
    assert two.ions.n_independent == pytest.approx(one.ions.n_independent, rel=0.05)
    assert two.errors.covariance == pytest.approx(one.errors.covariance, rel=0.05)
    assert two.errors.he2018 < one.errors.he2018


def test_ions_at_rest_halve_the_diffusivity_and_keep_its_relative_error():
    one, half = fitted(walk(4)), fitted(np.concatenate([walk(4), 0 * walk(4)], axis=1))
    assert half.diffusivity == pytest.approx(one.diffusivity / 2)
    assert half.errors.covariance == pytest.approx(one.errors.covariance, rel=0.05)


@settings(deadline=None, max_examples=25)
@given(first=st.integers(1, 400), length=st.integers(3, 5000))
def test_few_lags_stand_for_any_window(first, length):
    lags = np.arange(first, first + length)
    used = LagsUsed.of(lags, 2 * int(lags[-1]))
    frames = used.units * used.stride
    assert frames.min() >= lags[0] and frames.max() <= lags[-1]
    assert len(used.units) <= 64
    assert set(used.even) | set(used.spread) == set(range(len(used.units)))
    covariance = used.covariance(LineFit(0.1, 0.5), IonStatistics(n_independent=5.0, degrees_of_freedom=15.0))
    assert (np.diag(covariance) > 0).all()


@settings(deadline=None, max_examples=20)
@given(n_frames=st.integers(60, 300), stride=st.integers(2, 5))
def test_coarser_time_gives_the_same_covariance(n_frames, stride):
    """Without vibration the covariance is a ratio of times: whole units of several frames have it too."""
    units = np.array([2, 5, 9])
    ions = IonStatistics(n_independent=3.0, degrees_of_freedom=9.0, jump_length=2.0)
    fine = msd_covariance(units * stride, n_frames * stride, (0.0, 0.2), ions)
    coarse = msd_covariance(units, n_frames, (0.0, 0.2 * stride), ions, stride)
    # Sums over whole units against sums over frames: the squared overlap differs by one part in lag^2.
    assert coarse == pytest.approx(fine, rel=0.15)


def test_the_band_of_slopes_narrows_with_ions_and_widens_with_vibration():
    lags = np.arange(20, 201)
    bands = {}
    for name, n_ions, vibration in (("few", 5, 0.0), ("many", 80, 0.0), ("vibrating", 80, 1.5)):
        ions = IonStatistics(n_independent=float(n_ions), degrees_of_freedom=3.0 * n_ions, jump_length=HOP)
        fits = fit_slopes(lags, vibration + 0.3 * lags, 400, ions)
        bands[name] = log_slope_band(fits, LagsUsed.of(lags, 400), ions, HOP)
    assert bands["few"][0] < bands["many"][0] < 1 < bands["many"][1] < bands["few"][1]
    assert bands["vibrating"][0] < bands["many"][0]
    assert bands["vibrating"][1] == pytest.approx(bands["many"][1], abs=0.02)


def test_words_tell_what_counts_and_what_disagrees():
    fit = fitted(walk(5))
    assert "He's counts." in error_in_words(fit, 10)
    assert "by the scatter between parts" in error_in_words(fit, 10)
    blockless = replace(fit, errors=replace(fit.errors, block=math.nan, method="covariance"))
    text = error_in_words(blockless, 10)
    assert "parts of the run" not in text and "the covariance's counts." in text
    apart = replace(fit, fits=replace(fit.fits, gls=LineFit(9.0, 0.0)))
    assert "disagree" in error_in_words(apart, 10) and "disagree" not in text


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_moments_of_a_subspace_are_those_of_the_projected_motion(seed):
    positions = walk(seed, n_ions=6)
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 2)))[0]
    whole, part = ion_moments(positions, 20), ion_moments(positions @ basis @ basis.T, 20)
    assert whole.jump_length(HOP, basis) == pytest.approx(part.jump_length(HOP), abs=1e-6)
    assert basis.T @ whole.square @ basis == pytest.approx(basis.T @ part.square @ basis)


def test_a_longer_run_knows_its_ions_better_but_not_otherwise():
    counts = [ion_statistics(lattice_walk(7, n_ions=8, n_frames=n, rate=0.05), 20, HOP) for n in (300, 3000)]
    assert all(6.0 < one.n_independent <= 8.0 for one in counts)
    assert counts[1].n_independent >= counts[0].n_independent - 1.0

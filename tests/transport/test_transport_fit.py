"""Errors of the slope: the Brownian covariance against simulation and published constants, He's rule."""

from __future__ import annotations

import numpy as np
import pytest

from halion.transport.covariance import IonStatistics
from halion.transport.fit import brownian_covariance, fit_line, fit_slopes, rsd_brownian, rsd_he
from halion.transport.msd import msd_tensor


def test_a_line_is_fitted_exactly():
    x = np.linspace(1, 5, 9)
    line = fit_line(x, 2.5 * x - 1.0)
    assert (line.slope, line.intercept) == pytest.approx((2.5, -1.0))


@pytest.mark.parametrize(
    ("n_eff", "expected"),
    # He et al. 2018: hops against relative standard deviation, as their rule gives it
    [(50, 0.525), (100, 0.383), (200, 0.283), (460, 0.200), (3200, 0.1006)],
)
def test_he_rule(n_eff, expected):
    assert rsd_he(n_eff) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(
    ("longest", "constant"),
    # Constants C of RSD = C / sqrt(d N) for OLS with free intercept over lags 0.005 T to longest * T.
    [(0.10, 0.412), (0.25, 0.675), (0.50, 1.044), (0.70, 1.291)],
)
def test_brownian_floor_of_ordinary_least_squares(longest, constant):
    n_frames = 2000
    lags = np.arange(10, round(longest * n_frames) + 1)
    # Lags are coarse-grained to at most 400 units; 1.5 % is what that changes.
    assert rsd_brownian(lags, n_frames, 1, 1) == pytest.approx(constant, rel=0.015)


@pytest.mark.parametrize(
    ("shortest", "longest", "constant"),
    # The same constants of generalised least squares; which lags it was given is not told, ours are 24.
    [(0.005, 0.10, 0.151), (0.005, 0.25, 0.158), (0.005, 0.50, 0.171), (0.05, 0.25, 0.469), (0.05, 0.50, 0.475)],
)
def test_brownian_floor_of_generalised_least_squares(shortest, longest, constant):
    n_frames = 2000
    lags = np.arange(round(shortest * n_frames), round(longest * n_frames) + 1)
    one = IonStatistics(n_independent=1.0, degrees_of_freedom=1.0)
    assert fit_slopes(lags, 1.0 * lags, n_frames, one).gls_std == pytest.approx(constant, rel=0.05)


def test_ions_and_directions_average():
    lags = np.arange(10, 500)
    assert rsd_brownian(lags, 2000, 36) == pytest.approx(rsd_brownian(lags, 2000, 1, 1) / np.sqrt(108))


def test_covariance_equals_the_sum_over_overlapping_intervals():
    n_frames, lags = 12, np.array([1, 3, 5, 9])
    expected = np.zeros((4, 4))
    for i, m in enumerate(lags):
        for j, n in enumerate(lags):
            overlaps = [
                max(0, min(t + m, s + n) - max(t, s)) ** 2 for t in range(n_frames - m) for s in range(n_frames - n)
            ]
            expected[i, j] = 2 * sum(overlaps) / ((n_frames - m) * (n_frames - n))
    assert brownian_covariance(lags, n_frames) == pytest.approx(expected)


def test_brownian_error_equals_the_scatter_of_simulated_walks():
    n_frames, n_ions, n_replicas = 240, 12, 400
    lags = np.arange(6, 121)
    rng = np.random.default_rng(7)
    slopes = []
    for _ in range(n_replicas):
        positions = np.cumsum(rng.normal(size=(n_frames, n_ions, 3)), axis=0)
        msd = np.trace(msd_tensor(positions, 121), axis1=1, axis2=2)
        slopes.append(fit_line(lags.astype(float), msd[lags]).slope)
    scatter = np.std(slopes) / np.mean(slopes)
    # The standard deviation of 400 values is known to 3.5 % (1 sigma); three of those.
    assert rsd_brownian(lags, n_frames, n_ions) == pytest.approx(scatter, rel=0.11)
    assert np.mean(slopes) == pytest.approx(3.0, rel=4 * scatter / np.sqrt(n_replicas))

"""Covariance of the mean squared displacement: against the double sum, and against replicas of known processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import lattice_walk

from halion.transport.covariance import IonStatistics, brownian_covariance, msd_covariance
from halion.transport.fit import fit_line, fit_slopes, rsd_brownian
from halion.transport.independence import ion_statistics
from halion.transport.msd import msd_tensor

ONE = IonStatistics(n_independent=1.0, degrees_of_freedom=1.0)


def naive(lags, n_frames, rise, noise, hop):
    """Every pair of origins, with the covariance of the two displacements written out."""
    expected = np.zeros((len(lags), len(lags)))
    for i, m in enumerate(lags):
        for j, n in enumerate(lags):
            for t in range(n_frames - m):
                for s in range(n_frames - n):
                    overlap = max(0, min(t + m, s + n) - max(t, s))
                    ends = int(s == t) + int(s + n == t + m) - int(s == t + m) - int(s + n == t)
                    expected[i, j] += 2 * (rise * overlap + noise * ends) ** 2 + rise * hop**2 * overlap
            expected[i, j] /= (n_frames - m) * (n_frames - n)
    return expected


def test_the_covariance_is_the_sum_over_all_pairs_of_origins():
    lags = np.array([1, 2, 5, 9])
    expected = naive(lags, 13, rise=0.7, noise=0.4, hop=3.0)
    ions = IonStatistics(n_independent=1.0, degrees_of_freedom=1.0, jump_length=3.0)
    assert msd_covariance(lags, 13, (0.8, 0.7), ions) == pytest.approx(expected, rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    n_frames=st.integers(20, 200),
    rise=st.floats(0.01, 10.0),
    intercept=st.floats(0.0, 5.0),
    hop=st.floats(0.0, 4.0),
    many=st.integers(2, 50),
)
def test_the_covariance_is_symmetric_positive_and_falls_with_the_ions(n_frames, rise, intercept, hop, many):
    lags = np.unique(np.geomspace(1, n_frames // 2, 8).round().astype(int))
    one = msd_covariance(
        lags, n_frames, (intercept, rise), IonStatistics(n_independent=1.0, degrees_of_freedom=3.0, jump_length=hop)
    )
    assert one == pytest.approx(one.T)
    scale = np.sqrt(np.diag(one))
    assert np.linalg.eigvalsh(one / np.outer(scale, scale)).min() > -1e-10
    several = IonStatistics(n_independent=float(many), degrees_of_freedom=3.0 * many, jump_length=hop)
    assert msd_covariance(lags, n_frames, (intercept, rise), several) == pytest.approx(one / many)


def test_without_hops_and_vibration_it_is_brownian():
    lags = np.array([3, 10, 40])
    assert msd_covariance(lags, 100, (0.0, 1.0), ONE) == pytest.approx(brownian_covariance(lags, 100))


@pytest.mark.parametrize("amplitude", [0.0, 0.5])
def test_the_covariance_is_the_scatter_of_hopping_ions(amplitude):
    """400 replicas of 6 ions that hop and vibrate: variances and correlations of three lags."""
    n_frames, n_ions, rate, lags = 300, 6, 0.05, np.array([10, 40, 120])
    rng, curves = np.random.default_rng(3), []
    for seed in range(400):
        positions = lattice_walk(seed, n_ions=n_ions, n_frames=n_frames, rate=rate)
        positions = positions + rng.normal(0, amplitude, positions.shape)
        curves.append(np.trace(msd_tensor(positions, 121), axis1=1, axis2=2)[lags])
    found = np.cov(np.array(curves).T)
    ions = IonStatistics(n_independent=n_ions, degrees_of_freedom=3 * n_ions, jump_length=3.0)
    expected = msd_covariance(lags, n_frames, (6 * amplitude**2, rate * 9), ions)
    # A variance from 400 values is known to 7 %, somewhat less well for the long tail of squares: three of those.
    assert np.sqrt(np.diag(found)) == pytest.approx(np.sqrt(np.diag(expected)), rel=0.12)
    assert np.corrcoef(np.array(curves).T) == pytest.approx(
        expected / np.sqrt(np.outer(np.diag(expected), np.diag(expected))), abs=0.12
    )


def walk(seed, n_ions=24, n_frames=4000):
    return lattice_walk(seed, n_ions=n_ions, n_frames=n_frames, rate=0.05)


@pytest.mark.parametrize(
    ("name", "of_walk", "independent", "directions"),
    [
        ("independent", lambda walks: walks, 24, 3),
        ("in pairs", lambda walks: np.concatenate([walks[:, :12], walks[:, :12]], axis=1), 12, 3),
        ("all together", lambda walks: np.repeat(walks[:, :1], 24, axis=1), 1, 3),
        ("half at rest", lambda walks: np.concatenate([walks[:, :12], 0 * walks[:, :12]], axis=1), 12, 3),
        ("along one axis", lambda walks: walks * [0.0, 0.0, 1.0], 24, 1),
        ("in a plane", lambda walks: walks * [1.0, 1.0, 0.0], 24, 2),
        ("one ion", lambda walks: walks[:, :1], 1, 3),
        ("against each other", lambda walks: np.concatenate([walks[:, :12], -walks[:, :12]], axis=1), 12, 3),
    ],
)
def test_independent_ions_are_counted(name, of_walk, independent, directions):
    found = [ion_statistics(of_walk(walk(seed)), 30, 3.0) for seed in range(6)]
    # About 130 windows: the ratio of two sums over pairs is known to some per cent; the mean of six to 5 %.
    assert np.mean([one.n_independent for one in found]) == pytest.approx(independent, rel=0.06)
    freedom = np.mean([one.degrees_of_freedom for one in found])
    assert freedom == pytest.approx(independent * directions, rel=0.08)


@pytest.mark.parametrize("jump", [0.0, 2.0, 3.0])
def test_jumps_are_told_from_small_steps(jump):
    found, rate = [], 0.02
    for seed in range(30):
        rng = np.random.default_rng(seed)
        steps = lattice_walk(seed, n_ions=12, n_frames=2000, rate=rate, hop=jump)
        small = np.cumsum(rng.normal(0, 0.1, (2000, 12, 3)), axis=0) if jump == 0 else 0.0
        found.append(ion_statistics(steps + small, 30, 3.0).jump_length ** 2)
    # At most one hop per frame: the fourth cumulant of a Bernoulli trial is rate - 5 / 3 rate^2 in units of a^4.
    # Each squared length scatters by about 15 %, so the mean of 30 by 3 %; small steps scatter above zero by 0.1.
    assert np.mean(found) == pytest.approx(jump**2 * (1 - 5 / 3 * rate), abs=0.09 * jump**2 + 0.2)


def test_few_displacements_take_the_hop_length():
    assert ion_statistics(walk(0)[:200, :1], 30, 3.0).jump_length == 3.0


def test_turning_the_axes_does_not_change_the_count():
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    still = walk(0) * [1.0, 0.3, 0.1]
    one, other = ion_statistics(still, 30, 3.0), ion_statistics(still @ rotation, 30, 3.0)
    assert other.degrees_of_freedom == pytest.approx(one.degrees_of_freedom, rel=1e-9)


def test_ions_at_rest_are_counted_as_they_are():
    assert ion_statistics(np.zeros((100, 5, 3)), 10, 3.0).n_independent == 5


def test_generalised_least_squares_on_an_exact_line():
    lags = np.arange(10, 200)
    fits = fit_slopes(lags, 1.5 + 0.3 * lags, 500, IonStatistics(n_independent=8.0, degrees_of_freedom=24.0))
    assert (fits.gls.slope, fits.gls.intercept) == pytest.approx((0.3, 1.5), rel=1e-9)
    assert (fits.ols.slope, fits.ols.intercept) == pytest.approx((0.3, 1.5), rel=1e-9)
    assert fits.gls_std < fits.ols_std  # the best linear unbiased estimator (Aitken)
    assert fits.agree


@settings(deadline=None, max_examples=25)
@given(scale=st.floats(1e-3, 1e3))
def test_units_of_length_scale_both_fits(scale):
    lags = np.arange(8, 150)
    msd = 2.0 + 0.5 * lags + 0.8 * np.sin(lags / 9)
    ions = IonStatistics(n_independent=12.0, degrees_of_freedom=36.0, jump_length=3.0)
    larger = IonStatistics(n_independent=12.0, degrees_of_freedom=36.0, jump_length=3.0 * np.sqrt(scale))
    one, other = fit_slopes(lags, msd, 400, ions), fit_slopes(lags, scale * msd, 400, larger)
    for name in ("ols_std", "gls_std", "difference_std"):
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name), rel=1e-6)
    assert other.gls.slope == pytest.approx(scale * one.gls.slope, rel=1e-6)


def test_a_bent_curve_is_told_by_the_two_estimators():
    """MSD ~ t^0.5 of many ions: the fits weigh short and long lags differently, so they disagree."""
    lags = np.arange(10, 500)
    ions = IonStatistics(n_independent=100.0, degrees_of_freedom=300.0)
    assert not fit_slopes(lags, np.sqrt(lags), 1000, ions).agree


@pytest.mark.parametrize(("first", "last"), [(998, 1000), (990, 1000), (149, 151), (1, 3), (600, 1000), (1, 5000)])
def test_windows_of_any_shape_are_fitted(first, last):
    """A window that starts where half a squared hop is reached late is short against its last lag."""
    lags = np.arange(first, last + 1)
    ions = IonStatistics(n_independent=8.0, degrees_of_freedom=24.0, jump_length=3.0)
    fits = fit_slopes(lags, 0.5 + 0.02 * lags, 2 * last, ions)
    assert (fits.ols.slope, fits.gls.slope) == pytest.approx((0.02, 0.02), rel=1e-6)
    assert 0 < fits.gls_std <= fits.ols_std * (1 + 1e-9)
    assert 0 < rsd_brownian(lags, 2 * last, 8) < np.inf


def test_nothing_that_rises_is_ordinary_least_squares():
    lags = np.arange(5, 50)
    fits = fit_slopes(lags, np.zeros(45), 100, ONE)
    assert (fits.ols.slope, fits.gls.slope, fits.ols_std, fits.gls_std) == (0.0, 0.0, 0.0, 0.0)
    assert fit_line(lags.astype(float), np.zeros(45)).slope == 0.0

"""The linear model beneath Arrhenius lines: even draws, quantiles, and least squares by another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import norm

from halion.transport.line import LineData, posterior_of_line, weighted_quantiles

NONE = np.empty(0)


def data(x, y, std, bounds=()):
    """A straight line a + b x; bounds are (x, value, std)."""
    bounds = np.array(bounds, dtype=float).reshape(-1, 3)
    return LineData(
        design=np.column_stack([np.ones(len(x)), x]),
        values=np.asarray(y, dtype=float),
        std=np.asarray(std, dtype=float),
        bound_design=np.column_stack([np.ones(len(bounds)), bounds[:, 0]]),
        bound_values=bounds[:, 1],
        bound_std=bounds[:, 2],
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 12))
def test_without_bounds_it_is_weighted_least_squares(seed, n):
    rng = np.random.default_rng(seed)
    x, y, std = rng.uniform(-3, 3, n), rng.normal(size=n), rng.uniform(0.1, 2.0, n)
    found = posterior_of_line(data(x, y, std))
    (slope, intercept), covariance = np.polyfit(x, y, 1, w=1 / std, cov="unscaled")
    assert found.mean == pytest.approx([intercept, slope], abs=1e-6)
    assert found.covariance[::-1, ::-1] == pytest.approx(covariance, rel=1e-6, abs=1e-9)
    assert found.chi2 == pytest.approx(np.sum(((y - intercept - slope * x) / std) ** 2), abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_draws_have_the_moments_of_the_posterior(seed):
    rng = np.random.default_rng(seed)
    found = posterior_of_line(data(rng.uniform(-3, 3, 5), rng.normal(size=5), rng.uniform(0.2, 1.0, 5)))
    std = np.sqrt(np.diag(found.covariance))
    # 1024 even points: far closer than the 3 % of random draws.
    assert np.abs(found.weights @ found.draws - found.mean).max() < 0.01 * std.max()
    apart = found.draws - found.mean
    assert (apart.T * found.weights) @ apart == pytest.approx(found.covariance, abs=0.03 * std.max() ** 2)


def test_a_bound_on_a_value_that_is_known_alone_is_a_truncated_normal():
    """The intercept alone matters at x = 0, where the bound is sharp: a normal cut at one standard deviation."""
    found = posterior_of_line(data([0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [(0.0, 1.0, 1e-2)]))
    expected = -norm.pdf(1.0) / norm.cdf(1.0)
    # A sharp edge costs even draws some: one part in a hundred of the standard deviation.
    assert found.mean[0] == pytest.approx(expected, abs=0.01)
    assert (found.draws[found.weights > 1e-6, 0] < 1.05).all()


def test_the_evidence_of_a_bound_is_the_chance_to_meet_it():
    plain = posterior_of_line(data([0.0, 1.0], [0.0, 0.0], [1.0, 1.0]))
    for bound, std in ((0.0, 0.5), (-1.0, 1.0), (3.0, 0.3)):
        found = posterior_of_line(data([0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [(0.0, bound, std)]))
        chance = ndtr(bound / math.hypot(1.0, std))
        assert found.ln_evidence - plain.ln_evidence == pytest.approx(math.log(chance), abs=0.02)


@settings(deadline=None, max_examples=25)
@given(offset=st.floats(-50.0, 50.0), bound=st.floats(-2.0, 2.0))
def test_shifting_all_values_shifts_the_line(offset, bound):
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.9, 2.2])
    one = posterior_of_line(data(x, y, [0.2] * 3, [(-1.0, bound, 0.5)]))
    other = posterior_of_line(data(x, y + offset, [0.2] * 3, [(-1.0, bound + offset, 0.5)]))
    assert other.mean - [offset, 0.0] == pytest.approx(one.mean, abs=1e-3)
    assert other.ln_evidence == pytest.approx(one.ln_evidence, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(bounds=st.lists(st.floats(-4.0, 1.0), min_size=1, max_size=6))
def test_each_further_bound_pulls_the_line_down(bounds):
    x, y = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]
    means = [
        posterior_of_line(data(x, y, [0.3] * 3, [(0.0, value, 0.4) for value in bounds[:k]])).mean[0]
        for k in range(len(bounds) + 1)
    ]
    assert all(later <= earlier + 5e-3 for earlier, later in itertools.pairwise(means))


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_quantiles_are_ordered_and_inside(values):
    values = np.array(values)
    weights = np.full(len(values), 1.0 / len(values))
    low, middle, high = weighted_quantiles(values, weights, (0.1, 0.5, 0.9))
    assert values.min() <= low <= middle <= high <= values.max()


def test_quantiles_know_their_weights():
    values = np.arange(5.0)
    heavy = weighted_quantiles(values, np.array([0.01, 0.01, 0.01, 0.01, 0.96]), (0.5,))
    assert heavy[0] > 3.9
    assert weighted_quantiles(values, np.full(5, 0.2), (0.5,))[0] == pytest.approx(2.0)
    # Order and scale of the weights do not matter.
    order = [3, 0, 4, 1, 2]
    weights = np.array([0.1, 0.2, 0.3, 0.2, 0.2])
    assert weighted_quantiles(values[order], 7 * weights[order], (0.3, 0.7)) == pytest.approx(
        weighted_quantiles(values, weights, (0.3, 0.7))
    )

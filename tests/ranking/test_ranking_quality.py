"""The estimate of what a prefilter missed, against lists of which every energy is known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from halion.ranking.quality import LOWER_EV_PER_ATOM, prefilter_quality, recall_at, rest_below


def true_recall(depth, chosen, rest) -> float:
    """By definition: the part of the lowest of all that is among the chosen."""
    everything = sorted([*((energy, True) for energy in chosen), *((energy, False) for energy in rest)])
    return sum(is_chosen for _, is_chosen in everything[:depth]) / depth


def spread_out(rng, n) -> np.ndarray:
    """n energies in random order, further apart than relaxations into one minimum end."""
    return rng.permutation(np.cumsum(rng.uniform(2, 50, n) * LOWER_EV_PER_ATOM)) - 5.0


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 40), n_chosen=st.integers(1, 40), depth=st.integers(1, 40))
def test_a_control_group_of_all_gives_the_truth(seed, n, n_chosen, depth):
    """The whole rest relaxed: nothing is left to estimate, and the interval has no width."""
    assume(n_chosen <= n and depth <= n)
    energies = spread_out(np.random.default_rng(seed), n)
    chosen, rest = energies[:n_chosen], energies[n_chosen:]
    expected = true_recall(depth, chosen, rest)
    assert recall_at(depth, chosen, rest, len(rest)) == pytest.approx((expected,) * 3, abs=1e-12)


@pytest.mark.parametrize("n_rest", [4, 7, 9])
def test_all_draws_of_small_populations(n_rest):
    """Every M, every m, every possible draw: no bias, and each bound fails in at most 2.5 % of the draws."""
    for n_control in range(1, n_rest + 1):
        for m in range(n_rest + 1):
            draws = list(itertools.combinations(range(n_rest), n_control))
            found = [rest_below(sum(index < m for index in draw), n_control, n_rest) for draw in draws]
            estimates, low, high = (np.array(column) for column in zip(*found, strict=True))
            assert estimates.mean() == pytest.approx(m, abs=1e-9)
            assert (low > m).mean() <= 0.025
            assert (high < m).mean() <= 0.025
            assert (low <= estimates + 1e-9).all()
            assert (estimates <= high + 1e-9).all()


def test_bounds_are_those_of_clopper_and_pearson_in_the_limit():
    """From a population without end the draw is binomial; theirs in closed form, by the beta distribution."""
    n_rest, m = 50_000_000, 20
    for c in (0, 1, 7, 20):
        estimate, low, high = rest_below(c, m, n_rest)
        assert estimate == pytest.approx(c / m * n_rest)
        assert low / n_rest == pytest.approx(beta.ppf(0.025, c, m - c + 1) if c else 0.0, abs=1e-5)
        assert high / n_rest == pytest.approx(beta.ppf(0.975, c + 1, m - c) if c < m else 1.0, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_of_the_recall_hold_the_truth(seed):
    """A prefilter of some worth, 2000 control groups: 95 % of the intervals or more hold the recall."""
    rng = np.random.default_rng(seed)
    n, n_chosen, depth, m = 200, 20, 20, 25
    energies = spread_out(rng, n)
    proxy = energies + rng.normal(scale=np.std(energies) * 0.7, size=n)
    order = np.argsort(proxy)
    chosen, rest = energies[order[:n_chosen]], energies[order[n_chosen:]]
    truth = true_recall(depth, chosen, rest)
    assert 0 < truth < 1
    found = [recall_at(depth, chosen, rng.choice(rest, m, replace=False), len(rest)) for _ in range(2000)]
    held = sum(low <= truth <= high for _, low, high in found)
    # Exact bounds hold at least 95 %; three standard deviations of the count are 30.
    assert held >= 1900 - 30


def test_who_ends_in_the_same_minimum_is_not_lower():
    """A control ordering that relaxes into the best of the chosen beats nobody, whatever its last digits."""
    chosen = np.array([-3.0, -2.9])
    for shift in (-0.9, 0.0, 0.9):
        assert recall_at(1, chosen, np.array([-3.0 + shift * LOWER_EV_PER_ATOM]), 4)[0] == 1.0
    assert recall_at(1, chosen, np.array([-3.0 - 1.1 * LOWER_EV_PER_ATOM]), 4)[0] == 0.0


def test_refused_relaxations_are_never_the_best():
    """An infinite energy stands behind every finite one, in both groups."""
    chosen, control = np.array([-3.0, np.inf, -2.0]), np.array([-2.5, np.inf])
    # Places: -3.0 first; -2.5 (control, all of the rest) second; -2.0 third.
    assert recall_at(2, chosen, control, 2)[0] == 0.5
    assert recall_at(3, chosen, control, 2)[0] == pytest.approx(2 / 3)


def table(rng, relaxed) -> np.ndarray:
    return np.column_stack([rng.normal(size=len(relaxed)), np.array(relaxed) + 0.1, relaxed])


def test_the_finding_in_words():
    rng = np.random.default_rng(0)
    chosen, control = table(rng, [-3.0, -2.9, -2.8, -2.7]), table(rng, [-3.5, -2.95, -2.75, -1.0, -0.5])
    found = prefilter_quality(4, chosen, control, [9, 4, 5, 7, 8], 54)
    assert (found.n_rest, found.n_control, found.below_best, found.below_depth) == (50, 5, 1, 3)
    # One in five of 50 lies below the best: ten before the first of the chosen.
    assert (found.recall, found.missed) == (0.0, 4.0)
    # Two of the five lie within 50 * 0.0005 and 50 - 4 of the population; the best of the chosen may be second.
    assert found.recall_low == 0.0
    assert 0 < found.recall_high < 1
    assert found.note == (
        "1 of 5 control orderings, drawn at random from the 50 that were not chosen, relaxed below the best of the "
        "4 chosen, 3 below their number 4: about 4 of the best 4 were probably missed (95 %: "
        f"{round(4 * (1 - found.recall_high))} to 4). Each control ordering stands for 10 others: the "
        "estimate is coarse."
    )
    assert found.spearman_static == pytest.approx(1.0)
    assert math.isfinite(found.spearman_control)


def test_nothing_left_out_and_nothing_known():
    rng = np.random.default_rng(0)
    all_of_them = prefilter_quality(20, table(rng, [-1.0, -2.0, -3.0]), table(rng, []), [], 3)
    assert (all_of_them.depth, all_of_them.recall, all_of_them.recall_low) == (3, 1.0, 1.0)
    assert "none was missed" in all_of_them.note
    unknown = prefilter_quality(2, table(rng, [-1.0, -2.0, -3.0]), table(rng, []), [], 30)
    assert math.isnan(unknown.recall)
    assert (unknown.recall_low, unknown.recall_high) == (0.0, 1.0)
    assert "not known" in unknown.note

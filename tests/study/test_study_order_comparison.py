"""Two orders compared: scipy and plain loops beside it, invariants, and what the verdict says."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata, spearmanr

from halion.errors import InputError
from halion.study import compare_orders

energies = st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=12, unique_by=lambda x: round(x, 4))


def two(n: int, noise: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    potential = rng.uniform(0, 0.05, n)
    return potential, potential + rng.normal(0, noise, n) - 3.0


def by_pairs(potential, reference) -> tuple[float, int, int]:
    """Pair error, pairs further apart, pairs of them reversed, one pair after the other."""
    n, squares, apart, wrong = len(potential), [], 0, 0
    for i in range(n):
        for j in range(i):
            squares.append(((potential[i] - potential[j]) - (reference[i] - reference[j])) ** 2)
    error = math.sqrt(sum(squares) / len(squares))
    for i in range(n):
        for j in range(i):
            if abs(potential[i] - potential[j]) > error:
                apart += 1
                wrong += (potential[i] > potential[j]) != (reference[i] > reference[j])
    return error, apart, wrong


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_scipy_and_of_plain_loops(seed):
    potential, reference = two(9, 0.01, seed)
    found = compare_orders(potential, reference)
    assert found.spearman == pytest.approx(spearmanr(potential, reference).statistic, abs=1e-12)
    tau = kendalltau(potential, reference)
    assert (found.kendall, found.kendall_p) == (
        pytest.approx(tau.statistic, abs=1e-12),
        pytest.approx(tau.pvalue, abs=1e-12),
    )
    error, apart, wrong = by_pairs(potential, reference)
    assert found.pair_error == pytest.approx(error, rel=1e-12)
    assert (found.n_pairs_apart, found.n_pairs_reversed) == (apart, wrong)
    off = potential - reference
    assert found.mean_absolute_error == pytest.approx(sum(abs(off - sum(off) / 9)) / 9, rel=1e-12)


def test_kendall_s_p_is_the_share_of_all_orders_that_are_as_far_from_chance():
    potential, reference = two(6, 0.02, 3)
    found = compare_orders(potential, reference)
    taus = [kendalltau(np.arange(6), order).statistic for order in permutations(range(6))]
    share = np.mean([abs(tau) >= abs(found.kendall) - 1e-9 for tau in taus])
    assert found.kendall_p == pytest.approx(share, abs=1e-12)


@given(energies, energies, st.floats(-5, 5), st.randoms())
@settings(max_examples=30, deadline=None)
def test_names_and_zeros_of_energy_do_not_matter(one, other, shift, random):
    n = min(len(one), len(other))
    potential, reference = np.array(one[:n]), np.array(other[:n])
    found = compare_orders(potential, reference)
    order = list(range(n))
    random.shuffle(order)
    moved = compare_orders(potential[order], reference[order] + shift)
    for name in ("spearman", "kendall", "kendall_p", "mean_absolute_error", "pair_error", "best_above"):
        assert getattr(moved, name) == pytest.approx(getattr(found, name), abs=1e-9), name
    assert moved.best_rank == found.best_rank and moved.is_best_same == found.is_best_same


@given(energies)
@settings(max_examples=20, deadline=None)
def test_a_potential_agrees_with_itself_and_contradicts_its_mirror(values):
    potential = np.array(values)
    same, mirror = compare_orders(potential, potential - 2.0), compare_orders(potential, -potential)
    assert same.spearman == pytest.approx(1) and same.kendall == pytest.approx(1)
    assert same.pair_error < 1e-12 and same.n_pairs_reversed == 0 and same.best_rank == 1
    assert same.is_best_same and "holds within" in same.verdict
    assert mirror.spearman == pytest.approx(-1) and mirror.kendall == pytest.approx(-1)
    assert mirror.best_rank == len(potential)
    assert mirror.best_above == pytest.approx(np.ptp(potential), abs=1e-12)


def test_the_interval_is_that_of_a_plain_bootstrap_and_holds_the_truth():
    """Beside 2000 draws one after the other; and over 40 samples of 12, the population's correlation."""
    potential, reference = two(7, 0.02, 1)
    rng, drawn = np.random.default_rng(0), []
    for draw in rng.integers(7, size=(2000, 7)):
        drawn.append(np.corrcoef(rankdata(potential[draw]), rankdata(reference[draw]))[0, 1])
    found = compare_orders(potential, reference)
    ends = np.percentile(drawn, [2.5, 97.5])
    assert (found.spearman_low, found.spearman_high) == pytest.approx(tuple(ends), abs=1e-9)

    rng, held = np.random.default_rng(0), 0
    truth = 6 / math.pi * math.asin(math.sqrt(0.5) / 2)  # of two Gaussians whose correlation is sqrt(1/2)
    for _ in range(40):
        one = rng.normal(0, 1, 12)
        found = compare_orders(one, one + rng.normal(0, 1, 12))
        assert found.spearman_low <= found.spearman <= found.spearman_high
        held += found.spearman_low <= truth <= found.spearman_high
    # 40 trials at 0.85 to 0.95 (the percentile bootstrap is a little short at n = 12): below 28 one time in 200.
    assert held >= 28


def test_verdicts():
    rise = np.array([0.0, 0.010, 0.020, 0.030])
    assert "all 6 pairs" in compare_orders(rise, 1.1 * rise).verdict
    wrong = compare_orders(np.array([0.0, 0.001, 0.002, 0.050]), np.array([0.001, 0.0, 0.002, -0.001]))
    # The last one is 51 meV/atom off, the pair error sqrt(2) times 26: pairs with it are 48 to 50 apart.
    assert wrong.n_pairs_apart == wrong.n_pairs_reversed == 3
    assert (
        "does not hold" in wrong.verdict and "of 3 pairs further apart 3 stand the other way round" in wrong.verdict
    )
    close = compare_orders(np.array([0.0, 0.0005, 0.001]), np.array([0.010, 0.0, 0.005]))
    assert "cannot be told: its energies lie within 1.00 meV/atom" in close.verdict
    assert (close.best_rank, close.best_above) == (3, pytest.approx(0.010))
    few = compare_orders(np.array([0.0, 0.1]), np.array([0.0, 0.2]))
    assert math.isnan(few.spearman) and math.isnan(few.kendall) and "too few" in few.verdict
    alone = compare_orders(np.array([0.1]), np.array([0.2]))
    assert alone.is_best_same and math.isnan(alone.pair_error)


def test_ties_are_no_reversal():
    found = compare_orders(np.array([0.0, 1e-8, 0.02]), np.array([1e-8, 0.0, 0.02]))
    assert found.kendall == pytest.approx(1) and found.is_best_same and found.n_pairs_reversed == 0


@pytest.mark.parametrize("other", [[], [1.0], [1.0, math.nan]])
def test_what_cannot_be_compared_is_refused(other):
    with pytest.raises(InputError, match="are to be compared"):
        compare_orders(np.array([0.0, 1.0]), np.array(other))

"""The control group is a fair draw, the same every time, and nested."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from halion.ranking import control
from halion.ranking.control import control_group


@settings(max_examples=100, deadline=None)
@given(
    n_orderings=st.integers(1, 200),
    taken=st.sets(st.integers(0, 199), max_size=60),
    n=st.integers(0, 60),
    seed=st.integers(0, 2**63),
    block=st.sampled_from([1, 7, 64, 1 << 18]),
)
def test_a_group_is_drawn_from_the_rest(n_orderings, taken, n, seed, block):
    taken = np.array(sorted(index for index in taken if index < n_orderings), dtype=np.int64)
    rest = set(range(n_orderings)) - set(taken.tolist())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control, "_BLOCK", block)
        group = control_group(n_orderings, taken, n, seed).tolist()
    assert len(group) == len(set(group)) == min(n, len(rest))
    assert set(group) <= rest
    # How the indices are read does not matter, nor does how many more are asked for.
    assert group == control_group(n_orderings, taken, n_orderings, seed).tolist()[: len(group)]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), more=st.sets(st.integers(0, 99), max_size=40))
def test_who_stays_in_the_rest_stays_in_the_group(seed, more):
    """Widening the choice takes members out of the group and brings others in; nobody else leaves."""
    first = control_group(100, np.arange(10), 20, seed)
    wider = np.union1d(np.arange(10), np.array(sorted(more), dtype=np.int64))
    second = control_group(100, wider, 20, seed)
    assert set(first.tolist()) - set(wider.tolist()) <= set(second.tolist())


def test_every_pair_is_drawn_equally_often():
    """Groups of two from six, in both orders: 30 outcomes over 30 000 seeds."""
    taken = np.array([2, 5])
    groups = np.array([control_group(8, taken, 2, seed) for seed in range(30_000)])
    counts = np.zeros((8, 8))
    np.add.at(counts, (groups[:, 0], groups[:, 1]), 1)
    rest = [0, 1, 3, 4, 6, 7]
    found = counts[np.ix_(rest, rest)]
    assert counts.sum() == found.sum() == 30_000
    # A fair generator with these fixed seeds fails one in ten thousand of such tests.
    assert chisquare(found[~np.eye(6, dtype=bool)]).pvalue > 1e-4


def test_neighbouring_orderings_are_drawn_independently():
    """Lists are sorted: a generator that favours a stretch of indices would favour a kind of ordering."""
    group = np.sort(control_group(1_000_000, np.empty(0, dtype=np.int64), 20_000, 7))
    tenths = np.histogram(group, bins=100, range=(0, 1_000_000))[0]
    assert chisquare(tenths).pvalue > 1e-4
    # Gaps of a fair draw are geometric with mean 50; their variance is 50 * 49. 20 000 of them know it to 3 %.
    gaps = np.diff(group)
    assert gaps.var() == pytest.approx(50 * 49, rel=0.1)
    odd = np.bincount(group % 2)
    assert chisquare(odd).pvalue > 1e-4

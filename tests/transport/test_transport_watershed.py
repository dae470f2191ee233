"""Regions of a periodic grid against climbing from every point by hand, and the groups of a periodic network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.transport.watershed import PeriodicGroups, canonical, climb, join

CELL = np.array([[6.0, 0.0, 0.0], [-2.0, 5.0, 0.0], [1.0, 1.0, 7.0]])
STEPS = [np.array(step) for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def climbed_by_hand(values, point):
    """Unwrapped grid point of the peak that is reached from an unwrapped grid point."""
    shape = np.array(values.shape)
    point = np.array(point)
    while True:
        here = values[tuple(point % shape)]
        rises = [
            (values[tuple((point + step) % shape)] - here) / np.linalg.norm((step / shape) @ CELL) for step in STEPS
        ]
        if max(rises) <= 0:
            return point
        point = point + STEPS[int(np.argmax(rises))]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_point_climbs_to_its_peak_in_its_cell(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 7, 3))
    values = rng.uniform(0.1, 1.0, shape)
    regions = climb(values, CELL, 0.0)
    for k, point in enumerate(np.ndindex(shape)):
        peak = climbed_by_hand(values, point)
        assert regions.peaks[regions.labels[k]] == np.ravel_multi_index(tuple(peak % shape), shape)
        np.testing.assert_array_equal(regions.images[k], peak // np.array(shape))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_ridges_are_the_highest_points_where_regions_touch(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(3, 6, 3))
    values = rng.uniform(0.1, 1.0, shape)
    regions = climb(values, CELL, 0.0)
    found = {}
    for point in np.ndindex(shape):
        for step in STEPS:
            there = np.array(point) + step
            here, k = np.ravel_multi_index(point, shape), np.ravel_multi_index(tuple(there % shape), shape)
            image = regions.images[k] + there // np.array(shape) - regions.images[here]
            one, other = int(regions.labels[here]), int(regions.labels[k])
            if one != other or image.any():
                link = canonical(one, other, image)
                found[link] = max(found.get(link, 0.0), min(values.ravel()[here], values.ravel()[k]))
    assert regions.ridges == found


def test_points_below_the_floor_belong_to_none():
    values = np.full((6, 6, 6), 1e-9)
    values[1, 1, 1], values[4, 4, 4] = 1.0, 2.0
    regions = climb(values, CELL, 1e-6)
    assert sorted(regions.peaks) == [np.ravel_multi_index(p, (6, 6, 6)) for p in ((1, 1, 1), (4, 4, 4))]
    assert (regions.labels >= 0).sum() == 2 and not regions.ridges


def two_peaks(ridge):
    """Peaks of heights 1 and 0.8 along the first axis, and a ridge between them, on one side only."""
    values = np.full((8, 3, 3), 1e-9)
    values[1, 1, 1], values[2, 1, 1], values[3, 1, 1] = 1.0, ridge, 0.8
    return climb(values, CELL, 1e-6)


@pytest.mark.parametrize(("ridge", "n_left"), [(0.5, 1), (0.1, 2)])
def test_regions_are_joined_where_the_rule_says_so(ridge, n_left):
    regions = two_peaks(ridge)
    heights = np.array([1.0, 0.8])
    assert list(regions.ridges.values()) == [ridge]
    asked = []

    def rule(low, high, image, height):
        asked.append((low, high, tuple(image), height))
        return heights[low] < 2 * height

    joined = join(regions, heights, rule)
    assert asked == [(1, 0, (0, 0, 0), ridge)]
    assert len(joined.peaks) == n_left
    assert joined.peaks[0] == np.ravel_multi_index((1, 1, 1), (8, 3, 3))
    assert len(joined.ridges) == n_left - 1
    assert (joined.labels >= 0).sum() == 3


def test_a_region_joined_across_a_border_knows_its_cell():
    values = np.full((8, 3, 3), 1e-9)
    values[7, 1, 1], values[0, 1, 1], values[1, 1, 1] = 0.8, 0.5, 1.0
    regions = climb(values, CELL, 1e-6)
    heights = values.ravel()[regions.peaks]
    joined = join(regions, heights, lambda *_: True)
    assert len(joined.peaks) == 1 and not joined.ridges
    lower = np.ravel_multi_index((7, 1, 1), (8, 3, 3))
    np.testing.assert_array_equal(joined.images[lower], [1, 0, 0])


def test_a_region_that_touches_its_own_image_stays_linked_to_it():
    """A tube along the first axis."""
    values = np.full((5, 4, 4), 1e-9)
    values[:, 1, 1] = [0.3, 0.5, 1.0, 0.5, 0.4]
    regions = climb(values, CELL, 1e-6)
    assert regions.ridges == {(0, 0, (-1, 0, 0)): 0.3}


def test_groups_remember_cells_along_chains():
    groups = PeriodicGroups(4)
    groups.unite(0, 1, np.array([1, 0, 0]))
    groups.unite(2, 0, np.array([0, 1, 0]))
    groups.unite(3, 2, np.array([0, 0, -2]))
    root, cell = groups.find(1)
    assert root == 3
    np.testing.assert_array_equal(cell, [1, 1, -2])


@given(first=st.integers(0, 3), second=st.integers(0, 3), image=st.tuples(*[st.integers(-2, 2)] * 3))
def test_a_link_is_the_same_from_both_ends(first, second, image):
    turned = tuple(-k for k in image)
    assert canonical(first, second, image) == canonical(second, first, turned)

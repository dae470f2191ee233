"""Refusals name what is in the way and what to do; what they propose is tried here."""

from __future__ import annotations

import re

import pytest
from orderings_crystals import composed, li3ycl3br3, li3ycl6

from halion.errors import OrderingError
from halion.orderings import (
    choose_composition,
    compositions_for,
    enumerate_orderings,
    exclusion_distances,
    exclusions_for,
)
from halion.settings import OrderingSettings

PLENTY = 10**6


def columns(y2, y3):
    """The 30-atom cell, which has two columns with a Y2 and a Y3 site each."""
    return composed(li3ycl6(), (1, 1, 1), {"Li1": {"Li": 4}, "Li2": {"Li": 2}, "Y2": {"Y": y2}, "Y3": {"Y": y3}})


def test_the_pair_in_the_way_is_named_and_no_other():
    """Three Y in two columns: the shared face of Y2 and Y3 is in the way, and the Li pairs are not."""
    parent = li3ycl6()
    with pytest.raises(OrderingError, match="too close in every ordering") as caught:
        enumerate_orderings(parent, columns(2, 1), exclusions=exclusion_distances(parent, 3.2), limit=PLENTY)
    assert "Y on Y2" in caught.value.what
    assert "2.99 Angstrom" in caught.value.what
    assert "Li on" not in caught.value.what
    assert "exclude: {Y-Y: 2.98}" in caught.value.fix
    below = float(re.search(r"Y-Y: ([\d.]+)", caught.value.fix)[1])
    chosen = OrderingSettings(closest_cations_angstrom=3.2, exclude={"Y-Y": below})
    found = enumerate_orderings(parent, columns(2, 1), exclusions=exclusions_for(parent, chosen), limit=PLENTY)
    assert found.n_orderings > 0


def test_a_distance_of_the_user_is_relaxed_where_it_was_given():
    parent = li3ycl6()
    chosen = OrderingSettings(closest_cations_angstrom=0.0, exclude={"Y-Y": 20.0})
    with pytest.raises(OrderingError, match="excluded pair") as caught:
        enumerate_orderings(parent, columns(1, 1), exclusions=exclusions_for(parent, chosen), limit=PLENTY)
    below = float(re.search(r"Y-Y: ([\d.]+)", caught.value.fix)[1])
    relaxed = OrderingSettings(closest_cations_angstrom=0.0, exclude={"Y-Y": below})
    found = enumerate_orderings(parent, columns(1, 1), exclusions=exclusions_for(parent, relaxed), limit=PLENTY)
    assert found.n_orderings > 0
    assert "closest_cations" not in caught.value.fix


def test_every_remedy_that_is_named_leaves_orderings():
    parent = li3ycl3br3()
    composition = choose_composition(parent, (1, 1, 1))
    with pytest.raises(OrderingError, match="too close in every ordering") as caught:
        enumerate_orderings(parent, composition, exclusions=exclusion_distances(parent, 2.5), limit=PLENTY)
    remedies = re.findall(r"exclude: \{(\w+-\w+): ([\d.]+)\}|closest_cations_angstrom: ([\d.]+)", caught.value.fix)
    assert remedies
    for pair, distance, closest in remedies:
        chosen = (
            OrderingSettings(closest_cations_angstrom=float(closest))
            if closest
            else OrderingSettings(exclude={pair: float(distance)})
        )
        exclusions = exclusions_for(parent, chosen)
        assert enumerate_orderings(parent, composition, exclusions=exclusions, limit=PLENTY).n_orderings > 0


@pytest.mark.parametrize("pool", [(), ("Li", "Y")])
def test_too_many_names_the_count_and_proposes_a_sample(pool):
    parent = li3ycl6()
    chosen = OrderingSettings(supercell=(1, 1, 2), pool=pool, closest_cations_angstrom=0.0)
    several = compositions_for(parent, chosen)
    with pytest.raises(OrderingError, match="more than 100 distinct orderings") as caught:
        enumerate_orderings(parent, several, limit=100)
    if pool:
        assert "395596 of 9421720 over 35 compositions" in caught.value.what
    assert "orderings: {sample: orderings}" in caught.value.fix
    assert "orderings.limit" in caught.value.fix

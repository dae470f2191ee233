"""The transfer-matrix count that can be drawn from, against listing everything and the count of the search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import li3ybr6, li3ycl3br3, li3ycl6
from test_orderings_count import groups, listed

from halion.orderings import choose_composition, exclusion_distances
from halion.orderings.allowed import count_allowed
from halion.orderings.dixon_wilf import _cycles
from halion.orderings.problem import state_problem
from halion.orderings.transfer import AllowedColourings, Restrictions

PLENTY = 10**6


def as_blocks(blocks):
    """Blocks with the numbers of each species, from numbers per species alone."""
    ends = np.cumsum([sum(block) for block in blocks]).tolist()
    return [(end - sum(b), end, dict(enumerate(b))) for b, end in zip(blocks, ends)]


def cycles_of(permutation, blocks):
    found = []
    for begin, end, _ in blocks:
        for cycles in _cycles(permutation, begin, end).values():
            found.extend(cycles)
    return found


def is_allowed(row, restrictions):
    nodes = set(enumerate(row))
    if nodes & restrictions.forbidden:
        return False
    return not any(node in nodes and nodes & others for node, others in restrictions.conflicts.items())


def fixed_and_allowed(permutation, blocks, restrictions):
    """By trial."""
    rows = [np.array(row) for row in listed(blocks)]
    return {tuple(r) for r in rows if np.array_equal(r[permutation], r) and is_allowed(tuple(r), restrictions)}


@st.composite
def restrictions_on(draw, n_sites, n_species):
    nodes = [(site, s) for site in range(n_sites) for s in range(n_species)]
    pairs = draw(st.lists(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)), max_size=8))
    conflicts = {}
    for a, b in pairs:
        if a[0] != b[0]:
            conflicts.setdefault(a, set()).add(b)
            conflicts.setdefault(b, set()).add(a)
    forbidden = draw(st.lists(st.sampled_from(nodes), max_size=2))
    return Restrictions(conflicts=conflicts, forbidden=frozenset(forbidden))


@settings(deadline=None)
@given(groups(), st.data())
def test_every_number_is_another_allowed_colouring(case, data):
    """All numbers below `ways` give all colourings that a permutation fixes and exclusions leave, each once."""
    permutations, blocks = case
    n_sites = permutations.shape[1]
    permutation = permutations[data.draw(st.integers(0, len(permutations) - 1))]
    restrictions = data.draw(restrictions_on(n_sites, max(map(len, blocks))))
    found = AllowedColourings(
        cycles_of(permutation, as_blocks(blocks)), [as_blocks(blocks)], restrictions, most_states=PLENTY
    )
    expected = fixed_and_allowed(permutation, blocks, restrictions)
    assert found.ways(0) == len(expected)
    filled = np.full((len(expected), n_sites), 99, dtype=np.uint8)
    for number, row in enumerate(filled):
        found.fill(row, 0, number)
    assert {tuple(row) for row in filled.tolist()} == expected
    allow = restrictions.allow(np.array(listed(blocks), dtype=np.uint8))
    assert allow.tolist() == [is_allowed(row, restrictions) for row in listed(blocks)]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 6), st.integers(2, 6), st.data())
def test_several_compositions_share_the_states(first, second, data):
    """Two blocks that share atoms in every possible way: each composition counted and drawn as if alone."""
    n = data.draw(st.integers(0, min(first, second)))
    splits = [((first - k, k), (second - n + k, n - k)) for k in range(n + 1)]
    restrictions = data.draw(restrictions_on(first + second, 2))
    identity = np.arange(first + second, dtype=np.int32)
    compositions = [as_blocks(split) for split in splits]
    found = AllowedColourings(cycles_of(identity, compositions[0]), compositions, restrictions, most_states=PLENTY)
    for k, split in enumerate(splits):
        expected = fixed_and_allowed(identity, split, restrictions)
        assert found.ways(k) == len(expected)
        rows = np.zeros((len(expected), first + second), dtype=np.uint8)
        for number, row in enumerate(rows):
            found.fill(row, k, number)
        assert {tuple(row) for row in rows.tolist()} == expected


@pytest.mark.parametrize(
    ("parent", "cell"),
    [(li3ycl6(), (1, 1, 2)), (li3ycl6(), (2, 2, 1)), (li3ybr6(), (1, 1, 2)), (li3ycl3br3(), (2, 1, 1))],
)
def test_the_identity_counts_as_the_search_does(parent, cell):
    """All sites, free blocks among them, under the exclusions of real crystals."""
    exclusions = exclusion_distances(parent, 2.5)
    composition = choose_composition(parent, cell, exclusions=exclusions)
    problem = state_problem(parent, composition, exclusions)
    restrictions = Restrictions(conflicts=problem.conflicts, forbidden=problem.forbidden)
    cycles = [np.array([site]) for site in range(len(problem.row_site))]
    found = AllowedColourings(cycles, [problem.counts], restrictions, most_states=PLENTY)
    assert found.ways(0) == count_allowed(problem) > 0
    row = np.zeros(len(problem.row_site), dtype=np.uint8)
    for number in np.linspace(0, 1, 20):
        found.fill(row, 0, min(int(number * found.ways(0)), found.ways(0) - 1))
        assert restrictions.allow(row[None]).all()
        for begin, end, numbers in problem.counts:
            assert {s: int(np.count_nonzero(row[begin:end] == s)) for s in numbers} == numbers


def test_too_many_states_are_told():
    restrictions = Restrictions(
        conflicts={(k, 1): {((k + j) % 12, 1) for j in (-1, 1)} for k in range(12)}, forbidden=frozenset()
    )
    cycles = [np.array([k]) for k in range(12)]
    blocks = [[(0, 12, {0: 8, 1: 4})]]
    enough = AllowedColourings(cycles, blocks, restrictions, most_states=PLENTY)
    assert enough.ways(0) == 105  # 12/8 C(8, 4): four of a ring of twelve, no two neighbours
    assert AllowedColourings(cycles, blocks, restrictions, most_states=enough.n_states).ways(0) == 105
    assert AllowedColourings(cycles, blocks, restrictions, most_states=enough.n_states - 1).ways(0) is None

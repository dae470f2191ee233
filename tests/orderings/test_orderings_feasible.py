"""Whether an ordering exists: against listing all of them, the search, and cells where the search gives up."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, li3ybr6, li3ycl3br3, li3ycl6

from halion.orderings import as_supercell, choose_composition, distinct_supercells, exclusion_distances
from halion.orderings.feasible import has_ordering, is_feasible
from halion.orderings.problem import state_problem
from halion.orderings.search import distinct_up_to


@pytest.mark.parametrize("parent", [li3ycl6(), li3ybr6(), li3ycl3br3()])
@pytest.mark.parametrize("n_cells", [1, 2])
def test_as_the_search_finds(parent, n_cells):
    """All shapes, the nearest composition of each; the search is exact where it ends."""
    exclusions = exclusion_distances(parent, 2.5)
    for shape in distinct_supercells(parent, n_cells):
        composition = choose_composition(parent, shape)
        found = distinct_up_to(parent, composition, exclusions, 1)
        assert found is not None
        assert has_ordering(parent, composition, exclusions) == bool(found)


def test_where_the_search_gives_up():
    """80 atoms of Li3YCl3Br3: the shapes 1x1x4 and 2x1x2 have orderings, [[2,0,-2],[0,1,0],[1,0,1]] has none."""
    parent = li3ycl3br3()
    exclusions = exclusion_distances(parent, 2.5)
    for shape, expected in (((1, 1, 4), True), ((2, 1, 2), True), (((2, 0, -2), (0, 1, 0), (1, 0, 1)), False)):
        assert has_ordering(parent, choose_composition(parent, shape), exclusions) == expected


def test_a_chain_of_alternating_sites():
    """The Y column of Li3YCl6: Y2 and Y3 alternate 3 Angstrom apart, so a column is all Y2 or all Y3."""
    parent = li3ycl6()
    exclusions = exclusion_distances(parent, 2.5)
    for y2 in range(9):
        counts = {"Y2": {"Y": y2}, "Y3": {"Y": 8 - y2}, "Li1": {"Li": 20}, "Li2": {"Li": 16}}
        # four cells along c: two columns of four Y2 and four Y3 each
        composition = composed(parent, (1, 1, 4), counts)
        assert has_ordering(parent, composition, exclusions) == (y2 in (0, 4, 8))


def test_two_full_sites_that_exclude_each_other():
    parent = crystal(
        "P 1",
        (9, 9, 9, 90, 90, 90),
        [("A", (0, 0, 0), {"Na": 1.0}), ("B", (0.2, 0, 0), {"Na": 1.0}), ("F", (0.5, 0.5, 0.5), {"F": 1.0})],
        {"Na": 1.0, "F": -2.0},
    )
    composition = composed(parent, (1, 1, 1), {})
    assert not has_ordering(parent, composition, exclusion_distances(parent, 2.0))
    assert has_ordering(parent, composition, ())


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_against_listing_all(data):
    """Random conflicts between sites of two orbits with two species and vacancies, all colourings tried."""
    parent = crystal(
        "P 1", (9, 9, 9, 90, 90, 90), [("A", (0, 0, 0), {"Ag": 0.5, "Au": 0.3}), ("B", (0.4, 0, 0), {"Ag": 0.5})]
    )
    supercell = as_supercell((1, 1, data.draw(st.integers(2, 4))))
    n = supercell[2][2]
    silver, gold = data.draw(st.integers(0, n)), 0
    gold = data.draw(st.integers(0, n - silver))
    other = data.draw(st.integers(1, n - 1))
    composition = composed(parent, supercell, {"A": {"Ag": silver, "Au": gold}, "B": {"Ag": other}})
    problem = state_problem(parent, composition, ())
    nodes = [(site, s) for begin, end, counts in problem.counts for site in range(begin, end) for s in counts if s]
    picks = st.lists(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)), max_size=12)
    conflicts: dict = {}
    for one, two in data.draw(picks):
        if one[0] != two[0]:
            conflicts.setdefault(one, set()).add(two)
            conflicts.setdefault(two, set()).add(one)
    forbidden = frozenset(data.draw(st.sets(st.sampled_from(nodes), max_size=2)))
    problem = replace(problem, conflicts=conflicts, forbidden=forbidden)
    assert is_feasible(problem) == any(is_allowed(problem, each) for each in colourings(problem))


def colourings(problem):
    """Every filling of the disordered sites, {site: species}."""
    parts = []
    for begin, end, counts in problem.counts:
        species = [s for s, n in counts.items() for _ in range(n)]
        parts.append([dict(zip(range(begin, end), each)) for each in set(itertools.permutations(species))])
    for choice in itertools.product(*parts):
        yield {site: s for part in choice for site, s in part.items()}


def is_allowed(problem, filled):
    nodes = set(filled.items())
    return not nodes & problem.forbidden and not any(problem.conflicts.get(node, set()) & nodes for node in nodes)


def test_the_composition_that_is_chosen_has_an_ordering():
    """All shapes of three cells of Li3YCl3Br3; distances of what was found are not needed, the search lists one."""
    parent = li3ycl3br3()
    exclusions = exclusion_distances(parent, 2.5)
    nearest = choose_composition(parent, (1, 1, 3))
    for shape in distinct_supercells(parent, 3)[:4]:
        composition = choose_composition(parent, shape, exclusions=exclusions)
        assert has_ordering(parent, composition, exclusions)
        assert composition.formula == nearest.formula
        assert np.isclose(composition.charge, 0)

"""Exactly uniform draws: chi-square over all orbits of known cases, counts of random groups, whole numbers."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, li3ybr6, li3ycl6
from scipy.stats import chi2
from test_orderings_count import groups, listed
from test_orderings_transfer import PLENTY, as_blocks, is_allowed, restrictions_on

from halion.orderings import choose_composition, exclusion_distances
from halion.orderings.canonical import canonical_rows
from halion.orderings.dixon_wilf import Draws, conjugacy_classes, whole_numbers_below
from halion.orderings.problem import state_problem
from halion.orderings.transfer import Restrictions

# A right sampler fails a test with this probability, once and for all: the seeds are fixed.
SIGNIFICANCE = 1e-4


def invariant(restrictions, permutations):
    """The restrictions of all images."""
    conflicts = {}
    for p in permutations.tolist():
        for (site, s), others in restrictions.conflicts.items():
            conflicts.setdefault((p[site], s), set()).update((p[other], t) for other, t in others)
    forbidden = {(p[site], s) for p in permutations.tolist() for site, s in restrictions.forbidden}
    return Restrictions(conflicts=conflicts, forbidden=frozenset(forbidden))


def orbits(permutations, rows):
    """{canonical row: multiplicity} of all rows."""
    canonical, multiplicity = canonical_rows(permutations, rows)
    return {tuple(row): n for row, n in zip(canonical.tolist(), multiplicity.tolist())}


def every_row(problem):
    """All colourings of a problem's blocks, (n, n_sites)."""
    parts = [arrangements(tuple(sorted(numbers.items())), end - begin) for begin, end, numbers in problem.counts]
    grid = np.meshgrid(*(np.arange(len(part)) for part in parts), indexing="ij")
    return np.concatenate([part[k.ravel()] for part, k in zip(parts, grid)], axis=1)


def arrangements(numbers, n_sites):
    """All ways to put so many of each species on so many sites."""
    (species, n), *others = numbers
    if not others:
        return np.full((1, n_sites), species, dtype=np.uint8)
    found = []
    rest = arrangements(tuple(others), n_sites - n)
    for chosen in itertools.combinations(range(n_sites), n):
        rows = np.full((len(rest), n_sites), species, dtype=np.uint8)
        rows[:, [k for k in range(n_sites) if k not in chosen]] = rest
        found.append(rows)
    return np.concatenate(found)


def chi_square(permutations, drawn, weights):
    """Of draws against weights per canonical row; every draw must be of a known orbit."""
    seen = Counter(tuple(row) for row in canonical_rows(permutations, drawn)[0].tolist())
    assert set(seen) <= set(weights)
    total = sum(weights.values())
    return sum((seen[row] - len(drawn) * w / total) ** 2 / (len(drawn) * w / total) for row, w in weights.items())


def passes(statistic, n_orbits):
    return statistic < chi2.isf(SIGNIFICANCE, n_orbits - 1)


def maghemite(n_cells=3):
    """Gamma-Fe2O3: Fe on 2 of 3 octahedral 4b-like sites of the P4332 cell, as SOD and supercell order it."""
    parent = crystal(
        "P 43 3 2",
        (8.33, 8.33, 8.33, 90, 90, 90),
        [
            ("Fe8c", (0.9921, 0.9921, 0.9921), {"Fe": 1.0}),
            ("Fe12d", (0.125, 0.3650, 0.8850), {"Fe": 1.0}),
            ("Fe4b", (0.625, 0.625, 0.625), {"Fe": 1 / 3}),
            ("O", (0.861, 0.861, 0.861), {"O": 1.0}),
        ],
    )
    return parent, composed(parent, (1, 1, n_cells), {"Fe4b": {"Fe": 4 * n_cells // 3}})


def problem_of(parent, composition, closest=0.0):
    exclusions = exclusion_distances(parent, closest)
    problem = state_problem(parent, composition, exclusions)
    restrictions = Restrictions(conflicts=problem.conflicts, forbidden=problem.forbidden) if exclusions else None
    return problem, restrictions


def test_gamma_iron_oxide():
    """29 orbits of multiplicities 3 to 24: 29 000 draws, orbit-uniform and colouring-uniform."""
    problem, _ = problem_of(*maghemite())
    group = problem.permutations
    draws = Draws(group, [problem.counts])
    known = orbits(group, every_row(problem))
    assert (draws.n_colourings, draws.n_distinct) == (495, 29) == (sum(known.values()), len(known))
    assert (min(known.values()), max(known.values())) == (3, 24)
    drawn = draws.draw(np.random.default_rng(0), 29_000)
    assert passes(chi_square(group, drawn, dict.fromkeys(known, 1)), 29)
    assert not passes(chi_square(group, drawn, known), 29)
    alone = Draws(group[:1], [problem.counts])
    assert (alone.n_colourings, alone.n_distinct) == (495, 495)
    drawn = alone.draw(np.random.default_rng(0), 29_000)
    assert passes(chi_square(group, drawn, known), 29)
    assert not passes(chi_square(group, drawn, dict.fromkeys(known, 1)), 29)


@pytest.mark.parametrize("orbit_uniform", [True, False])
def test_with_exclusions(orbit_uniform):
    """Li3YCl6 1x1x2 with three lithium: the orderings that keep the yttrium of a column apart."""
    parent = li3ycl6()
    counts = {"Li1": {"Li": 2}, "Li2": {"Li": 1}, "Y2": {"Y": 2}, "Y3": {"Y": 2}}
    problem, restrictions = problem_of(parent, composed(parent, (1, 1, 2), counts), 2.5)
    group = problem.permutations
    draws = Draws(group if orbit_uniform else group[:1], [problem.counts], restrictions, most_states=PLENTY)
    rows = every_row(problem)
    known = orbits(group, rows[restrictions.allow(rows)])
    assert len(known) == 66
    assert draws.n_colourings == sum(known.values())
    assert draws.n_distinct == (len(known) if orbit_uniform else sum(known.values()))
    drawn = draws.draw(np.random.default_rng(3), 100 * len(known))
    assert restrictions.allow(drawn).all()
    assert passes(chi_square(group, drawn, dict.fromkeys(known, 1) if orbit_uniform else known), len(known))


@pytest.mark.parametrize("orbit_uniform", [True, False])
def test_several_compositions(orbit_uniform):
    """Lithium pooled over two orbits: every ordering of every split, with its exact share."""
    parent = li3ycl6()
    fixed = {"Y2": {"Y": 2}, "Y3": {}}
    pool = [composed(parent, (1, 1, 1), {**fixed, "Li1": {"Li": 6 - k}, "Li2": {"Li": 3 + k}}) for k in (1, 2)]
    problems = [problem_of(parent, each)[0] for each in pool]
    group = problems[0].permutations
    draws = Draws(group if orbit_uniform else group[:1], [each.counts for each in problems])
    known = {}
    for each in problems:
        known |= orbits(group, every_row(each))
    assert draws.n_colourings == sum(known.values())
    drawn = draws.draw(np.random.default_rng(4), 100 * len(known))
    assert passes(chi_square(group, drawn, dict.fromkeys(known, 1) if orbit_uniform else known), len(known))


@settings(deadline=None)
@given(groups(), st.data())
def test_counts_of_random_groups(case, data):
    """Burnside's count under invariant restrictions, and draws that keep them, for any group."""
    group, blocks = case
    restrictions = invariant(data.draw(restrictions_on(group.shape[1], max(map(len, blocks)))), group)
    draws = Draws(group, [as_blocks(blocks)], restrictions, most_states=PLENTY)
    rows = np.array([row for row in listed(blocks) if is_allowed(row, restrictions)], dtype=np.uint8)
    known = orbits(group, rows.reshape(-1, group.shape[1]))
    assert (draws.n_colourings, draws.n_distinct) == (len(rows), len(known))
    if len(known):
        drawn = draws.draw(np.random.default_rng(0), 20)
        assert {tuple(row) for row in canonical_rows(group, drawn)[0].tolist()} <= set(known)


def test_too_many_states_are_told():
    parent = li3ybr6()
    exclusions = exclusion_distances(parent, 2.5)
    composition = choose_composition(parent, (1, 1, 2), exclusions=exclusions)
    problem, restrictions = problem_of(parent, composition, 2.5)
    assert Draws(problem.permutations, [problem.counts], restrictions, most_states=20_000).is_feasible
    assert not Draws(problem.permutations, [problem.counts], restrictions, most_states=100).is_feasible


@settings(deadline=None)
@given(groups())
def test_conjugacy_classes(case):
    """Against the definition; a class has one cycle type, and sizes add up to the order."""
    group, _ = case
    classes = conjugacy_classes(group)
    assert sum(size for _, size in classes) == len(group)
    assert classes[0] == (0, 1)
    inverse = np.argsort(group, axis=1)
    for element, size in classes:
        conjugates = {tuple(h[group[element][back]]) for h, back in zip(group, inverse)}
        assert len(conjugates) == size


@pytest.mark.parametrize("end", [1, 2, 7, 2**63, 2**63 + 1, 3 * 2**64, 10**40])
def test_whole_numbers(end):
    """Ten equal parts of the range are hit equally often, far above 2^64 too; one more draw extends the list."""
    numbers = whole_numbers_below(np.random.default_rng(1), end, 10_000)
    assert min(numbers) >= 0 and max(numbers) < end
    n_parts = min(end, 10)
    parts = Counter(number * n_parts // end for number in numbers)
    expected = len(numbers) / n_parts
    # The whole range divides into the parts but for a remainder below one in 2^60 or into single numbers.
    if end >= 10 or end == n_parts:
        statistic = sum((parts[k] - expected) ** 2 / expected for k in range(n_parts))
        assert n_parts == 1 or passes(statistic, n_parts)


def test_the_share_of_high_symmetry_is_that_of_orbits():
    """FeSbO4-like 2x2x2: the fraction of draws with a multiplicity is the fraction of orbits that have it."""
    parent = crystal(
        "P 42/m n m",
        (4.6, 4.6, 3.1, 90, 90, 90),
        [("M", (0, 0, 0), {"Fe": 0.5, "Sb": 0.5})],
    )
    problem, _ = problem_of(parent, composed(parent, (2, 2, 2), {"M": {"Fe": 8, "Sb": 8}}))
    draws = Draws(problem.permutations, [problem.counts])
    assert (draws.n_colourings, draws.n_distinct) == (12_870, 180)
    known = orbits(problem.permutations, every_row(problem))
    assert len(known) == 180
    drawn = draws.draw(np.random.default_rng(8), 18_000)
    assert passes(chi_square(problem.permutations, drawn, dict.fromkeys(known, 1)), 180)

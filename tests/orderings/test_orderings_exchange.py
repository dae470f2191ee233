"""Replica exchange: what it carries along against computing it anew; its minimum against listing all orderings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import li3ybr6, li3ycl6

from halion.orderings import compositions_for, enumerate_orderings, exchange, exclusions_for
from halion.orderings.canonical import canonical_rows
from halion.orderings.lowest import Lowest
from halion.orderings.pool import Pool
from halion.orderings.sampling import sample_orderings
from halion.orderings.sites import supercell_sites
from halion.orderings.stream import Question
from halion.orderings.swaps import Swaps
from halion.orderings.transfer import Restrictions
from halion.ranking.electrostatics import electrostatic_energies, ewald_matrix
from halion.settings import OrderingSettings

NOTHING = Restrictions(conflicts={}, forbidden=frozenset())


def walked(parent, **values):
    """(sample of low orderings, enumeration) for settings; energies per cell of both."""
    settings = OrderingSettings(**{"supercell": (1, 1, 1), "sample": "low-energy", "sample_size": 40, **values})
    compositions, exclusions = compositions_for(parent, settings), exclusions_for(parent, settings)
    sites = supercell_sites(parent, compositions[0].supercell)
    matrix = ewald_matrix(sites.cell, sites.fractional)
    found = sample_orderings(parent, compositions, exclusions=exclusions, settings=settings, matrix=matrix)
    known = enumerate_orderings(parent, compositions, exclusions=exclusions, limit=10**6)
    return found, known


def energies(ordering_set):
    return electrostatic_energies(ordering_set) * np.count_nonzero(ordering_set.occupation[0])


@pytest.mark.parametrize(
    ("parent", "values"),
    [
        (li3ycl6(), {}),
        (li3ycl6(), {"closest_cations_angstrom": 0}),
        (li3ycl6(), {"pool": ("Li", "Y")}),
        (li3ybr6(), {"supercell": (1, 1, 2)}),
    ],
)
def test_the_exhaustive_minimum(parent, values):
    """Li3YCl6 in 30 atoms, refined and pooled, and Li3YBr6 in 40: the ten lowest of all, in order."""
    found, known = walked(parent, **values)
    n = min(10, known.n_orderings)
    # Equivalent orderings have equal energies within the precision of the coordinates, some 1e-3 eV per cell.
    assert energies(found)[:n] == pytest.approx(np.sort(energies(known))[:n], abs=2e-3)
    assert np.all(np.diff(energies(found)) > -1e-5)
    assert found.sample.n_starts == 8 and found.sample.n_starts_lowest >= 4
    assert found.sample.is_settled and found.sample.n_draws > found.n_orderings


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parent", "values"),
    [
        (li3ycl6(), {"supercell": (1, 1, 2)}),
        (li3ycl6(), {"supercell": (1, 1, 2), "pool": ("Li",)}),
        (li3ybr6(), {"supercell": (1, 1, 2), "pool": ("Li",)}),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_the_exhaustive_minimum_of_larger_cells(parent, values, seed):
    """Li3YCl6 in 60 atoms, refined and with lithium pooled; Li3YBr6 in 40, pooled."""
    found, known = walked(parent, seed=seed, **values)
    assert known.n_orderings > 500
    assert energies(found)[:3] == pytest.approx(np.sort(energies(known))[:3], abs=2e-3)


def test_two_yttrium_that_must_move_at_once():
    """Refined Li3YCl6: each column holds Y2 or Y3, so exchanges between allowed orderings never change columns."""
    found, known = walked(li3ycl6(), sample_size=1000)
    assert found.n_orderings == known.n_orderings == 15
    assert set(found.multiplicity.tolist()) == {12}


@st.composite
def problems(draw):
    """Two blocks, several compositions of one content, random charges, interactions and restrictions."""
    sizes = draw(st.tuples(st.integers(2, 4), st.integers(2, 4)))
    n_species, n_sites = 3, sum(sizes)
    first = draw(st.lists(st.integers(0, 2), min_size=sizes[0], max_size=sizes[0]))
    second = draw(st.lists(st.integers(0, 2), min_size=sizes[1], max_size=sizes[1]))
    pooled = sorted([*first, *second])
    contents = {tuple(sorted(part)) for part in itertools.combinations(pooled, sizes[0])}
    compositions = []
    for content in sorted(contents):
        rest = pooled.copy()
        for species in content:
            rest.remove(species)
        spans = ((0, sizes[0], content), (sizes[0], n_sites, rest))
        compositions.append([(b, e, {s: part.count(s) for s in set(part)}) for b, e, part in spans])
    chosen = draw(st.lists(st.sampled_from(range(len(compositions))), min_size=1, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.normal(size=(n_sites, n_sites))
    nodes = [(site, s) for site in range(n_sites) for s in range(n_species)]
    conflicts = {}
    for a, b in draw(st.lists(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)), max_size=5)):
        if a[0] != b[0]:
            conflicts.setdefault(a, set()).add(b)
            conflicts.setdefault(b, set()).add(a)
    restrictions = Restrictions(
        conflicts=conflicts, forbidden=frozenset(draw(st.lists(st.sampled_from(nodes), max_size=2)))
    )
    form = (float(rng.normal()), rng.normal(size=n_sites), matrix + matrix.T)
    return Swaps([compositions[k] for k in chosen], rng.normal(size=n_species), form, restrictions), rng


class Walk:
    """The state that `Swaps` moves."""

    def __init__(self, swaps, rng, n=6):
        self.rows, self.composition = swaps.random(rng, n)
        self.lines = np.arange(n)
        self.energy, self.potential = swaps.energies(self.rows), swaps.potentials(self.rows)
        self.pressure, self.violations = swaps.pressures(self.rows), swaps.violations(self.rows)


@settings(deadline=None, max_examples=60)
@given(problems())
def test_what_is_carried_along_is_right(case):
    """After many exchanges energy, potential, pressures, violations and composition are those of the rows."""
    swaps, rng = case
    walk = Walk(swaps, rng)
    for _ in range(40 if len(swaps.first) else 0):
        move = swaps.propose(walk, rng.integers(len(swaps.first), size=len(walk.lines)))
        swaps.make(walk, move, np.flatnonzero(move.possible & (rng.random(len(walk.lines)) < 0.7)))
    assert walk.energy == pytest.approx(swaps.energies(walk.rows), abs=1e-9)
    assert walk.potential == pytest.approx(swaps.potentials(walk.rows), abs=1e-9)
    assert np.array_equal(walk.pressure, swaps.pressures(walk.rows))
    assert np.array_equal(walk.violations, swaps.violations(walk.rows))
    assert np.array_equal(walk.violations == 0, swaps._restrictions.allow(walk.rows))
    for row, index in zip(walk.rows, walk.composition):
        for begin, end, numbers in swaps._compositions[index]:
            assert {s: int(np.count_nonzero(row[begin:end] == s)) for s in numbers} == numbers


def test_energies_are_those_of_the_whole_cell():
    """The form over the disordered sites against half the charges times the whole matrix."""
    parent = li3ycl6()
    found, _ = walked(parent)
    sites = supercell_sites(parent, (1, 1, 1))
    charges = found.charges[found.occupation]
    whole = np.einsum("ij,jk,ik->i", charges, ewald_matrix(sites.cell, sites.fractional), charges) / 2
    assert energies(found) == pytest.approx(whole, abs=1e-8)


def test_the_lowest_do_not_depend_on_how_many_are_kept():
    """Rows in any order and as any image: the lowest of all distinct ones, and the first of those for fewer."""
    rng = np.random.default_rng(0)
    ring = np.array([np.roll(np.arange(8), k) for k in range(8)], dtype=np.int32)
    rows = rng.integers(2, size=(5000, 8)).astype(np.uint8)
    weights = rng.normal(size=9)

    def energy(some):
        return weights[some.sum(axis=1)] + 0.1 * (some * np.roll(some, 1, axis=1)).sum(axis=1)

    kept = {}
    for size in (1, 5, 1000):
        lowest = Lowest(ring, energy, size, 1e-9)
        for part in np.array_split(rows, 7):
            lowest.add(part[energy(part) <= lowest.threshold])
        kept[size] = lowest.sorted()
        assert lowest.energy_of(rows[0]) == pytest.approx(energy(rows[:1])[0], abs=1e-6)
    assert np.array_equal(kept[1000][0][:5], kept[5][0]) and np.array_equal(kept[5][0][:1], kept[1][0])
    canonical, _ = canonical_rows(ring, rows)
    assert len(kept[1000][0]) == len(np.unique(canonical, axis=0)) == 36  # necklaces of eight beads
    assert kept[1000][1] == pytest.approx(np.sort(energy(np.unique(canonical, axis=0))), abs=1e-6)
    assert sum(kept[1000][2]) == 2**8


def test_temperatures_are_exchanged_and_spread():
    """Hot replicas accept often, cold ones rarely; each start keeps its set of temperatures."""
    parent, asked = li3ycl6(), OrderingSettings(supercell=(1, 1, 2), closest_cations_angstrom=0)
    compositions = compositions_for(parent, asked)
    pool = Pool.of(Question.of(parent, compositions, ()))
    n = len(pool.problem.row_site)
    matrix = np.random.default_rng(0).normal(size=(n, n))
    charges = np.array([0.0, -1.0, 1.0, 3.0])
    swaps = Swaps(pool.blocks, charges, (0.0, np.zeros(n), matrix + matrix.T), NOTHING)
    chains = exchange._Chains(swaps, np.random.default_rng(1))
    lowest = Lowest(pool.problem.permutations, swaps.energies, 10, 1e-3)
    for _ in range(30):
        chains.sweep(lowest)
        chains.exchange()
    temperatures = np.sort(chains.beta.reshape(8, 16), axis=1)
    assert np.allclose(temperatures, chains.inverse)
    assert np.array_equal(np.sort(chains.chain_at, axis=1), chains.lines.reshape(8, 16))
    assert not np.array_equal(chains.chain_at, chains.lines.reshape(8, 16))
    by_temperature = chains.energy[chains.chain_at].mean(axis=0)
    assert by_temperature[-4:].mean() < by_temperature[:4].mean()

"""The search against listing every colouring, published counts, and what must not change it."""

from __future__ import annotations

import importlib
import itertools
import math
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from orderings_crystals import (
    composed,
    crystal,
    from_operations,
    li3ybr6,
    li3ybr6_noisy,
    li3ycl3br3,
    li3ycl6,
)

from halion.crystal.types import Orbit
from halion.errors import Interrupted, OrderingError
from halion.orderings import choose_composition, enumerate_orderings
from halion.orderings.allowed import count_allowed
from halion.orderings.exclusions import exclusion_distances
from halion.orderings.problem import Problem, arrange_blocks, state_problem
from halion.orderings.search import WORK, search
from halion.orderings.sites import SupercellSites, site_permutations, supercell_sites
from halion.orderings.stream import certify

PLENTY = 10**6
enumerate_module = importlib.import_module("halion.orderings.enumerate")


def thirty(supercell=(1, 1, 1), li=(5, 4)):
    n = math.prod(supercell)
    return composed(
        li3ycl6(), supercell, {"Li1": {"Li": li[0]}, "Li2": {"Li": li[1]}, "Y2": {"Y": n}, "Y3": {"Y": n}}
    )


@pytest.mark.parametrize(("closest", "allowed", "distinct"), [(0.0, 360, 30), (2.5, 180, 15)])
def test_li3ycl6_in_thirty_atoms(closest, allowed, distinct):
    """P1, with and without the face-sharing Y pairs of one column."""
    found = enumerate_orderings(
        li3ycl6(),
        choose_composition(li3ycl6(), (1, 1, 1)),
        exclusions=exclusion_distances(li3ycl6(), closest),
        limit=99,
    )
    assert (found.count.total, found.count.distinct) == (360, 30)
    assert (found.total_allowed, found.n_orderings) == (allowed, distinct)
    assert set(found.multiplicity.tolist()) == {12}
    assert found.exclusions == exclusion_distances(li3ycl6(), closest)
    assert found.excluded_below == pytest.approx(3.378 if closest else 0.0, abs=1e-3)  # 1.278 times Y-Cl


def test_li3ycl6_in_sixty_atoms_within_a_second():
    """P1, 1x1x2: counts and multiplicities; measured at 0.015 s, a second leaves room for a busy machine."""
    start = time.perf_counter()
    found = enumerate_orderings(li3ycl6(), thirty((1, 1, 2), (10, 8)), limit=50_000)
    assert time.perf_counter() - start < 1.0
    assert (found.total_allowed, found.n_orderings) == (1_176_120, 49_668)
    assert Counter(found.multiplicity.tolist()) == {24: 48_348, 12: 1308, 6: 12}


def test_li3ycl6_in_sixty_atoms_with_exclusions():
    found = enumerate_orderings(
        li3ycl6(), thirty((1, 1, 2), (10, 8)), exclusions=exclusion_distances(li3ycl6(), 2.5), limit=50_000
    )
    assert (found.total_allowed, found.n_orderings) == (65_340, 2775)


@pytest.mark.parametrize(("closest", "allowed", "distinct"), [(0.0, 192, 24), (2.5, 8, 1)])
def test_li3ybr6_in_twenty_atoms(closest, allowed, distinct):
    """P3, with the coordinates that its published counts were made with."""
    parent = li3ybr6_noisy()
    found = enumerate_orderings(
        parent, choose_composition(parent, (1, 1, 1)), exclusions=exclusion_distances(parent, closest), limit=99
    )
    assert (found.total_allowed, found.n_orderings) == (allowed, distinct)


def test_no_ordering_has_cations_too_close():
    parent = li3ybr6()
    found = enumerate_orderings(
        parent, choose_composition(parent, (1, 1, 2)), exclusions=exclusion_distances(parent, 2.5), limit=PLENTY
    )
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    for k in range(found.n_orderings):
        atoms = found.structure(k)
        cations = atoms.get_scaled_positions()[np.isin(atoms.get_chemical_symbols(), ["Li", "Y"])]
        difference = cations[:, None] - cations[None]
        vectors = (difference - np.rint(difference))[:, :, None] + images
        distances = np.linalg.norm(vectors @ found.cell, axis=-1)
        assert distances[distances > 1e-6].min() >= 2.5
        assert atoms.get_chemical_formula() == "Br24Li12Y4"


def test_atoms_stand_on_the_orbits_they_belong_to():
    parent = li3ycl3br3()
    composition = choose_composition(parent, (1, 1, 1))
    found = enumerate_orderings(parent, composition, limit=PLENTY)
    assert found.species == ("", "Br", "Cl", "Li", "Y")
    assert found.charges.tolist() == [0, -1, -1, 1, 3]
    for orbit in composition.orbits:
        here = found.occupation[:, found.site_orbit == orbit.orbit]
        for code, name in enumerate(found.species[1:], start=1):
            assert np.all((here == code).sum(axis=1) == orbit.counts.get(name, 0))


def test_representatives_are_inequivalent_and_stabilisers_right():
    """Every orbit of representatives, made by all permutations: as many images as its multiplicity, none shared."""
    parent = li3ycl6()
    found = enumerate_orderings(
        parent, thirty((2, 1, 1), (11, 7)), exclusions=exclusion_distances(parent, 2.5), limit=PLENTY
    )
    symmetry = site_permutations(parent, (2, 1, 1), range(len(parent.orbits)))
    seen: set[bytes] = set()
    for occupation, multiplicity in zip(found.occupation[:1500], found.multiplicity[:1500]):
        images = {occupation[permutation].tobytes() for permutation in symmetry}
        assert len(images) == multiplicity
        assert not images & seen
        seen |= images


# --- against listing -------------------------------------------------------------------------------------------


def closure(generators, n_sites):
    identity = tuple(range(n_sites))
    group, queue = {identity}, [identity]
    for element in queue:
        for generator in generators:
            product = tuple(generator[k] for k in element)
            if product not in group:
                group.add(product)
                queue.append(product)
    return np.array(sorted(group), dtype=np.int32)


@st.composite
def problems(draw):
    """Random groups, several species and vacancies on one or two orbits, random invariant exclusions."""
    sizes = draw(st.lists(st.integers(2, 6), min_size=1, max_size=2).filter(lambda each: sum(each) <= 8))
    generators = []
    for _ in range(draw(st.integers(0, 2))):
        shuffles = [draw(st.permutations(range(size))) for size in sizes]
        generators.append(
            tuple(np.concatenate([np.array(s) + b for s, b in zip(shuffles, begins(sizes))]).tolist())
        )
    permutations = closure(generators, sum(sizes))
    counts = []
    for size, begin in zip(sizes, begins(sizes)):
        cuts = sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=2)))
        numbers = [cuts[0], cuts[1] - cuts[0], size - cuts[1]]
        assume(max(numbers) < size)  # an orbit with one species is not disordered and never gets here
        counts.append((begin, begin + size, {code: n for code, n in enumerate(numbers) if n}))
    conflicts: dict[tuple[int, int], set[tuple[int, int]]] = {}
    node = st.tuples(st.integers(0, sum(sizes) - 1), st.integers(1, 2))
    for (i, a), (j, b) in draw(st.lists(st.tuples(node, node), max_size=2)):
        for permutation in permutations:
            one, other = (int(permutation[i]), a), (int(permutation[j]), b)
            if one[0] != other[0]:
                conflicts.setdefault(one, set()).add(other)
                conflicts.setdefault(other, set()).add(one)
    banned = draw(st.lists(node, max_size=1))
    forbidden = frozenset((int(permutation[i]), a) for i, a in banned for permutation in permutations)
    n_sites = sum(sizes)
    return Problem(
        sites=SupercellSites(cell=np.eye(3), fractional=np.zeros((n_sites, 3)), site_orbit=np.zeros(n_sites, int)),
        species=("", "A", "B"),
        permutations=permutations,
        blocks=arrange_blocks(counts, {site for site, _ in conflicts}),
        counts=tuple(counts),
        pairs=(),
        conflicts=conflicts,
        forbidden=forbidden,
        row=np.full(n_sites, 9, dtype=np.uint8),
        row_site=np.arange(n_sites, dtype=np.int32),
    )


def begins(sizes):
    return [sum(sizes[:k]) for k in range(len(sizes))]


def listed(problem):
    """{smallest image: number of images} of every allowed colouring, by listing all."""
    blocks = []
    for _, _, numbers in problem.counts:
        species = [code for code, n in numbers.items() for _ in range(n)]
        blocks.append(sorted(set(itertools.permutations(species))))
    orbits: Counter = Counter()
    for parts in itertools.product(*blocks):
        colours = sum(parts, ())
        nodes = set(enumerate(colours))
        if nodes & problem.forbidden or any(nodes & problem.conflicts.get(node, set()) for node in nodes):
            continue
        orbits[smallest(colours, problem.permutations)] += 1
    return orbits


def smallest(colours, permutations):
    return min(map(tuple, np.asarray(colours)[permutations].tolist()))


def searched(problem):
    rows, multiplicities = [], []

    def take(some, multiplicity, position):
        rows.append(np.frombuffer(some, dtype=np.uint8).reshape(-1, len(problem.row)))
        multiplicities.append(np.frombuffer(multiplicity, dtype=np.int64))
        return True

    search(problem, take)
    if not rows:
        return []
    return list(zip(np.concatenate(rows).tolist(), np.concatenate(multiplicities).tolist()))


@settings(deadline=None, max_examples=300)
@given(problems())
def test_search_equals_listing(problem):
    expected, found = listed(problem), searched(problem)
    assert len(found) == len(expected)
    assert {smallest(row, problem.permutations): n for row, n in found} == dict(expected)
    assert count_allowed(problem) == sum(expected.values())


@pytest.mark.parametrize(
    ("name", "supercell"), [("Li3YBr6", (1, 1, 1)), ("Li3YBr6", (1, 1, 2)), ("Li3YCl6", (1, 1, 2))]
)
def test_transfer_matrix_count_on_real_crystals(name, supercell):
    """The certificate of the sum is itself the sum of another way of counting, and is really made here."""
    parent = {"Li3YBr6": li3ybr6, "Li3YCl6": li3ycl6}[name]()
    composition = choose_composition(parent, supercell)
    problem = state_problem(parent, composition, exclusion_distances(parent, 2.5))
    found = enumerate_orderings(parent, composition, exclusions=exclusion_distances(parent, 2.5), limit=PLENTY)
    assert count_allowed(problem) == found.total_allowed
    assert count_allowed(problem, most_states=1) is None


# --- long masks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sites", [63, 64, 65, 127, 128, 129, 150, 200])
def test_rings_longer_than_a_machine_word(n_sites):
    """Necklaces of n beads, 3 of them black, under rotation; one, two and more than two words per mask.

    Without reflection there are (C(n, 3) - f) / n + g, with f = n/3 and g = 1 if 3 divides n (one necklace of
    three equal gaps, n/3 colourings), else f = g = 0.
    """
    chain = from_operations(
        np.diag([3.0, 30.0, 30.0]),
        np.eye(3, dtype=int)[None],
        np.zeros((1, 3)),
        [("M", np.zeros((1, 3)), {"A": 0.5, "B": 0.5})],
    )
    composition = composed(chain, (n_sites, 1, 1), {"M": {"A": 3, "B": n_sites - 3}})
    found = enumerate_orderings(chain, composition, limit=PLENTY)
    equal_gaps = n_sites % 3 == 0
    expected = (math.comb(n_sites, 3) - (n_sites // 3 if equal_gaps else 0)) // n_sites + equal_gaps
    assert found.n_orderings == expected
    assert sorted(set(found.multiplicity.tolist())) == ([n_sites // 3] if equal_gaps else []) + [n_sites]


def test_rings_without_neighbours():
    """Hard dimers on a ring of 100: k particles with no two adjacent, n/(n-k) C(n-k, k) ways (Kaplansky 1943)."""
    chain = from_operations(
        np.diag([3.0, 30.0, 30.0]),
        np.eye(3, dtype=int)[None],
        np.zeros((1, 3)),
        [("M", np.zeros((1, 3)), {"Li": 0.04})],
        {"Li": 1.0},
    )
    composition = composed(chain, (100, 1, 1), {"M": {"Li": 4}})
    found = enumerate_orderings(chain, composition, exclusions=exclusion_distances(chain, 3.5), limit=PLENTY)
    assert found.count.total == math.comb(100, 4)
    assert found.total_allowed == 100 * math.comb(96, 4) // 96


# --- what must not matter --------------------------------------------------------------------------------------


def shifted(parent, shift):
    """The same crystal with another origin: x' = x + s, t' = t + s - R s."""
    translations = parent.translations + shift - parent.rotations @ shift
    orbits = tuple(replace(orbit, fractional=(orbit.fractional + shift) % 1.0) for orbit in parent.orbits)
    return replace(parent, orbits=orbits, translations=translations)


def shuffled(parent, seed):
    """Orbits and the sites in them in another order."""
    rng = np.random.default_rng(seed)
    orbits = [
        Orbit(
            labels=orbit.labels,
            wyckoff=orbit.wyckoff,
            fractional=rng.permutation(orbit.fractional),
            occupancy=dict(reversed(orbit.occupancy.items())),
        )
        for orbit in parent.orbits
    ]
    return replace(parent, orbits=tuple(orbits[k] for k in rng.permutation(len(orbits))))


def summary(parent, supercell=(1, 1, 1)):
    found = enumerate_orderings(
        parent, choose_composition(parent, supercell), exclusions=exclusion_distances(parent, 2.5), limit=PLENTY
    )
    return found.count, found.total_allowed, Counter(found.multiplicity.tolist())


@settings(deadline=None, max_examples=15)
@given(st.tuples(*[st.floats(-1, 1)] * 3), st.integers(0, 2**32 - 1))
def test_origin_and_order_do_not_matter(shift, seed):
    for parent, supercell in ((li3ycl6(), (1, 1, 1)), (li3ybr6(), (1, 1, 2))):
        other = shuffled(shifted(parent, np.array(shift)), seed)
        assert summary(other, supercell) == summary(parent, supercell)


def test_names_of_elements_do_not_matter():
    parent = li3ycl6()
    names = {"Li": "Na", "Y": "Er", "Cl": "I"}
    renamed = replace(
        parent,
        orbits=tuple(replace(o, occupancy={names[e]: x for e, x in o.occupancy.items()}) for o in parent.orbits),
        charges={names[e]: q for e, q in parent.charges.items()},
    )
    assert summary(renamed) == summary(parent)


def test_the_same_set_again():
    parent = li3ybr6()
    first, second = (
        enumerate_orderings(
            parent, choose_composition(parent, (1, 1, 2)), exclusions=exclusion_distances(parent, 2.5), limit=PLENTY
        )
        for _ in range(2)
    )
    assert np.array_equal(first.occupation, second.occupation)


# --- ordered crystals, refusals, stopping ----------------------------------------------------------------------


def test_an_ordered_crystal_is_its_one_ordering():
    parent = crystal(
        "F m -3 m",
        (5.13, 5.13, 5.13, 90, 90, 90),
        [("Li", (0, 0, 0), {"Li": 1.0}), ("Cl", (0.5, 0.5, 0.5), {"Cl": 1.0})],
        {"Li": 1.0, "Cl": -1.0},
    )
    found = enumerate_orderings(
        parent, choose_composition(parent, (1, 1, 1)), exclusions=exclusion_distances(parent, 2.5), limit=1
    )
    assert (found.n_orderings, found.total_allowed, found.count.distinct) == (1, 1, 1)
    assert found.structure(0).get_chemical_formula() == "Cl4Li4"


def test_a_limit_too_small_is_known_before():
    with pytest.raises(OrderingError, match="more than 29 distinct") as caught:
        enumerate_orderings(li3ycl6(), thirty(), limit=29)
    assert "30 of 360" in caught.value.what
    assert "orderings.limit" in caught.value.fix
    assert enumerate_orderings(li3ycl6(), thirty(), limit=30).n_orderings == 30


def test_a_limit_too_small_with_exclusions():
    composition = thirty((1, 1, 2), (10, 8))
    with pytest.raises(OrderingError, match="more than 2774 distinct"):
        enumerate_orderings(li3ycl6(), composition, exclusions=exclusion_distances(li3ycl6(), 2.5), limit=2774)
    assert (
        enumerate_orderings(
            li3ycl6(), composition, exclusions=exclusion_distances(li3ycl6(), 2.5), limit=2775
        ).n_orderings
        == 2775
    )


def test_an_ordering_too_few_is_noticed(monkeypatch):
    """What the search finds is held against a count that knows nothing of it, under exclusions too."""
    real = enumerate_module.stream

    def lossy(question, deliver, **more):
        lost = [True]

        def forget(index, rows, multiplicities, position):
            if lost and multiplicities:
                lost.clear()
                n = len(rows) // (len(multiplicities) // 8)
                return deliver(index, rows[n:], multiplicities[8:], position)
            return deliver(index, rows, multiplicities, position)

        return real(question, forget, **more)

    monkeypatch.setattr(enumerate_module, "stream", lossy)
    monkeypatch.setattr(
        enumerate_module, "certify", lambda found, known: certify(found, replace(known, stands_for=None))
    )
    with pytest.raises(AssertionError, match="found 2774 orderings, an independent count says 2775"):
        enumerate_orderings(
            li3ycl6(), thirty((1, 1, 2), (10, 8)), exclusions=exclusion_distances(li3ycl6(), 2.5), limit=9999
        )


def test_too_many_to_finish_stops_at_the_limit():
    """7e11 orderings before exclusions: the search must stop at the limit, not after the list."""
    start = time.perf_counter()
    with pytest.raises(OrderingError, match="more than 20000 distinct"):
        enumerate_orderings(
            li3ycl6(), thirty((2, 2, 1), (20, 16)), exclusions=exclusion_distances(li3ycl6(), 2.5), limit=20_000
        )
    assert time.perf_counter() - start < 5  # measured at 0.1 s


def test_too_close_in_every_ordering_names_the_pairs_and_a_distance():
    parent = li3ycl3br3()
    with pytest.raises(OrderingError, match="too close in every ordering") as caught:
        enumerate_orderings(
            parent, choose_composition(parent, (1, 1, 1)), exclusions=exclusion_distances(parent, 2.5), limit=PLENTY
        )
    assert "Li on Li1" in caught.value.what
    assert "2.22 Angstrom" in caught.value.what
    assert "closest_cations_angstrom: 2.47" in caught.value.fix
    relaxed = enumerate_orderings(
        parent, choose_composition(parent, (1, 1, 1)), exclusions=exclusion_distances(parent, 2.47), limit=PLENTY
    )
    assert relaxed.n_orderings > 0
    farther = exclusion_distances(parent, 2.48)  # 2.47 was the largest: one step more leaves none
    with pytest.raises(OrderingError, match="too close in every ordering"):
        enumerate_orderings(parent, choose_composition(parent, (1, 1, 1)), exclusions=farther, limit=PLENTY)


def test_two_full_sites_too_close():
    parent = crystal(
        "P 1",
        (9, 9, 9, 90, 90, 90),
        [("Li1", (0, 0, 0), {"Li": 1.0}), ("Li2", (0.1, 0, 0), {"Li": 1.0}), ("S", (0.5, 0.5, 0.5), {"S": 1.0})],
        {"Li": 1.0, "S": -2.0},
    )
    with pytest.raises(OrderingError, match=r"Li on Li1 .* and Li on Li2 .*, 0.90 Angstrom") as caught:
        enumerate_orderings(
            parent, choose_composition(parent, (1, 1, 1)), exclusions=exclusion_distances(parent, 2.5), limit=9
        )
    assert "closest_cations_angstrom: 0.9" in caught.value.fix


def test_full_sites_keep_their_neighbours_empty():
    """A Li beside a full one: its half-filled twin, farther away, takes the atom."""
    parent = crystal(
        "P 1",
        (9, 9, 9, 90, 90, 90),
        [
            ("Li1", (0, 0, 0), {"Li": 1.0}),
            ("Li2", (0.2, 0, 0), {"Li": 0.5}),
            ("Li3", (0.5, 0, 0), {"Li": 0.5}),
            ("S", (0.5, 0.5, 0.5), {"S": 1.0}),
        ],
        {"Li": 1.0, "S": -2.0},
    )
    composition = composed(parent, (1, 1, 2), {"Li2": {"Li": 1}, "Li3": {"Li": 1}})
    with pytest.raises(OrderingError, match="too close in every ordering"):
        enumerate_orderings(parent, composition, exclusions=exclusion_distances(parent, 2.5), limit=9)
    composition = composed(parent, (1, 1, 2), {"Li2": {}, "Li3": {"Li": 1}})
    assert (
        enumerate_orderings(parent, composition, exclusions=exclusion_distances(parent, 2.5), limit=9).n_orderings
        == 1
    )


def endless():
    """A search of hours with no ordering in it for long: many Li on sites of which most exclude each other."""
    rng = np.random.default_rng(7)
    places = rng.random((90, 3))
    return from_operations(
        np.eye(3) * 11.0,
        np.eye(3, dtype=int)[None],
        np.zeros((1, 3)),
        [("Li", places, {"Li": 0.2})],
        {"Li": 1.0},
    )


def test_stopping():
    asked = []

    def stop():
        asked.append(time.perf_counter())
        return len(asked) > 3

    with pytest.raises(Interrupted, match="stopped"):
        enumerate_orderings(
            endless(),
            composed(endless(), (1, 1, 1), {"Li": {"Li": 40}}),
            exclusions=exclusion_distances(endless(), 2.9),
            limit=9,
            stop=stop,
        )
    assert len(asked) == 4
    assert asked[-1] - asked[0] < 5  # measured at 0.05 s between two questions


def test_a_hopeless_search_is_given_up(monkeypatch):
    monkeypatch.setattr(enumerate_module, "_MOST_WORK", 5 * WORK)
    with pytest.raises(OrderingError, match="given up"):
        enumerate_orderings(
            endless(),
            composed(endless(), (1, 1, 1), {"Li": {"Li": 40}}),
            exclusions=exclusion_distances(endless(), 2.9),
            limit=9,
        )


def test_ctrl_c():
    timers: list[threading.Timer] = []

    def when_it_searches(done, total, state="", /):
        if not timers:
            timers.append(threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)))
            timers[0].start()

    with pytest.raises(KeyboardInterrupt):
        enumerate_orderings(
            endless(),
            composed(endless(), (1, 1, 1), {"Li": {"Li": 40}}),
            exclusions=exclusion_distances(endless(), 2.9),
            limit=9,
            progress=when_it_searches,
        )
    timers[0].join()


def test_an_error_in_progress_comes_through():
    def broken(done, total, state="", /):
        raise ZeroDivisionError("from progress")

    with pytest.raises(ZeroDivisionError, match="from progress"):
        enumerate_orderings(li3ycl6(), thirty(), limit=99, progress=broken)


def test_other_threads_run_meanwhile():
    """The search holds no interpreter lock: a thread counts on while it runs."""
    ticks, go_on = [], threading.Event()

    def count():
        while not go_on.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.perf_counter()
    with pytest.raises(Interrupted):
        enumerate_orderings(
            endless(),
            composed(endless(), (1, 1, 1), {"Li": {"Li": 40}}),
            exclusions=exclusion_distances(endless(), 2.9),
            limit=9,
            stop=lambda: time.perf_counter() > start + 0.5,
        )
    go_on.set()
    thread.join()
    assert sum(tick > start for tick in ticks) > 20


def test_progress_is_told_the_end():
    told = []
    enumerate_orderings(
        li3ycl6(),
        thirty(),
        exclusions=exclusion_distances(li3ycl6(), 2.5),
        limit=99,
        progress=lambda d, t, s="", /: told.append((d, t, s)),
    )
    assert told[-1] == (15, 15, "15 distinct of 360")


def test_sites_of_the_set_are_those_of_the_supercell():
    parent = li3ycl6()
    found = enumerate_orderings(
        parent, thirty((1, 1, 2), (11, 7)), exclusions=exclusion_distances(parent, 2.5), limit=PLENTY
    )
    sites = supercell_sites(parent, (1, 1, 2))
    assert np.array_equal(found.fractional, sites.fractional)
    assert np.array_equal(found.site_orbit, sites.site_orbit)
    assert found.structure(0).cell[2, 2] == pytest.approx(2 * 6.046941)

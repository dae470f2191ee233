"""The stream of orderings: one order for any number of threads, shards that are a partition, restarts anywhere."""

from __future__ import annotations

import csv
import math
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, from_case, from_operations, li3ybr6, li3ycl6
from test_orderings_enumerate import problems, smallest

from halion.errors import OrderingError
from halion.orderings import (
    choose_composition,
    compositions_for,
    count_orderings,
    enumerate_orderings,
    exclusion_distances,
    exclusions_for,
)
from halion.orderings.problem import state_problem
from halion.orderings.search import NO_LIMIT, Share, search
from halion.orderings.sites import site_permutations
from halion.orderings.stream import Certificate, Position, Question, Tally, certify, stream
from halion.settings import OrderingSettings

CASES = Path(__file__).parents[3] / "shared" / "reference" / "enumeration"
SEVERAL = 600_000  # orderings of the crystal below are found in some 20 tasks


def sixty():
    return state_problem(li3ycl6(), composed(li3ycl6(), (1, 1, 2), counts(2, 10, 8)), ())


def counts(n, li1, li2):
    return {"Li1": {"Li": li1}, "Li2": {"Li": li2}, "Y2": {"Y": n}, "Y3": {"Y": n}}


def rock_salt():
    """Fm-3m, one cation site of two species: the largest groups that there are."""
    return crystal(
        "F m -3 m",
        (6.46, 6.46, 6.46, 90, 90, 90),
        [("Pb", (0, 0, 0), {"Pb": 0.5, "Sn": 0.5}), ("Te", (0.5, 0.5, 0.5), {"Te": 1.0})],
    )


def collected(problem, **how):
    """(rows, multiplicities, positions told with the rows before them, outcome)"""
    rows, numbers, told = bytearray(), bytearray(), []

    def take(some, multiplicities, position):
        rows.extend(some)
        numbers.extend(multiplicities)
        if position is not None:
            told.append((position, len(numbers) // 8))
        return True

    outcome = search(problem, take, **how)
    return bytes(rows), bytes(numbers), told, outcome


def test_any_number_of_threads_gives_the_same_stream():
    parent = li3ybr6()
    composition = choose_composition(parent, (1, 1, 2))
    for problem, most in (
        (sixty(), NO_LIMIT),
        (state_problem(rock_salt(), composed(rock_salt(), (1, 2, 2), {"Pb": {"Pb": 8, "Sn": 8}}), ()), NO_LIMIT),
        (state_problem(parent, composition, exclusion_distances(parent, 2.5)), 20_000),
        (state_problem(li3ycl6(), composed(li3ycl6(), (1, 1, 3), counts(3, 15, 12)), ()), SEVERAL),
    ):
        one = collected(problem, threads=1, most=(most, NO_LIMIT))
        assert one[3].n_orderings > 100
        for threads in (2, 4, 7):
            assert collected(problem, threads=threads, most=(most, NO_LIMIT)) == one


def test_work_is_the_same_with_any_number_of_threads():
    """So a search is given up at the same place on every machine."""
    problem = sixty()
    whole = collected(problem, threads=1)[3]
    half = [collected(problem, threads=n, most=(NO_LIMIT, whole.work // 2)) for n in (1, 2, 4)]
    assert half[0][3].reason == "work"
    assert 0 < half[0][3].n_orderings < whole.n_orderings
    assert half[1:] == half[:2]


def crowded():
    """Dead ends everywhere: 26 Li on 120 sites, most of which exclude each other, under 24 operations."""
    rng = np.random.default_rng(7)
    some = rng.random((5, 3))
    parent = from_operations(
        np.diag([6.0, 6.0, 4.5]),
        np.array([np.eye(3, dtype=int), -np.eye(3, dtype=int)]),
        np.zeros((2, 3)),
        [("Li", np.concatenate([some, -some % 1.0]), {"Li": 0.2})],
        {"Li": 1.0},
    )
    composition = composed(parent, (2, 2, 3), {"Li": {"Li": 26}})
    return state_problem(parent, composition, exclusion_distances(parent, 2.4))


def test_tasks_of_a_search_of_dead_ends_are_numbered_alike_by_all_threads():
    """Where most work lies above the tasks it is the work that ends them: it must not depend on the thread."""
    problem = crowded()
    bound = (NO_LIMIT, 12 << 22)
    one = collected(problem, threads=1, most=bound)
    assert one[3].reason == "work"
    assert len(one[2]) > 10
    for threads in (2, 5):
        assert collected(problem, threads=threads, most=bound) == one
    position, before = one[2][len(one[2]) // 2]
    tail = collected(problem, threads=3, share=Share(position), most=bound)
    assert tail[0].startswith(one[0][before * len(problem.row) :])


def test_a_restart_from_every_position_gives_the_tail():
    problem = sixty()
    rows, numbers, told, outcome = collected(problem)
    assert outcome.reason == "end"
    assert len(told) > 4
    for position, before in told:
        tail = collected(problem, share=Share(position))
        assert tail[:2] == (rows[before * len(problem.row) :], numbers[before * 8 :])
    assert told[-1] == (outcome.position, outcome.n_orderings)


@settings(deadline=None, max_examples=60)
@given(problems(), st.integers(1, 5), st.integers(0, 3))
def test_shards_are_a_partition(problem, n, offset):
    """Of random groups with exclusions: in one task or in many, every ordering is in one shard."""
    whole = collected(problem)
    parts = [collected(problem, share=Share(0, k, n, offset)) for k in range(n)]
    size = len(problem.row)
    found = [part[0][k : k + size] for part in parts for k in range(0, len(part[0]), size)]
    assert sorted(found) == sorted(whole[0][k : k + size] for k in range(0, len(whole[0]), size))


def test_shards_of_many_tasks_can_be_restarted():
    problem = sixty()
    whole = collected(problem)
    parts = [collected(problem, share=Share(0, k, 3, 1)) for k in range(3)]
    assert all(0 < part[3].n_orderings < whole[3].n_orderings for part in parts)
    assert sum(part[3].n_orderings for part in parts) == whole[3].n_orderings
    for k, (rows, _, told, _) in enumerate(parts):
        position, before = told[0]
        assert collected(problem, share=Share(position, k, 3, 1))[0] == rows[before * len(problem.row) :]


def test_a_slow_reader_bounds_what_waits():
    """A hundred million orderings, a reader that takes 1 ms per MiB: the search waits and memory stays small."""
    psutil = pytest.importorskip("psutil")
    problem = state_problem(li3ycl6(), composed(li3ycl6(), (1, 1, 3), counts(3, 15, 12)), ())
    process, seen = psutil.Process(), []

    def take(rows, multiplicities, position):
        time.sleep(0.001)
        seen.append(process.memory_info().rss)
        return len(seen) < 300

    assert search(problem, take, threads=4).reason == "stopped"
    # 24 MiB may wait, 4 threads fill 1 MiB each, Python holds one part; the rest is the allocator's.
    assert max(seen) - seen[0] < 80 * 2**20


@pytest.mark.parametrize("words", [1, 2, 3])
def test_long_masks_under_a_group_against_canonical_forms(words):
    """Rings of one, two and three words with 2 A, 1 B: each representative is its own, together all colourings."""
    n = 40 * words
    chain = from_operations(
        np.diag([3.0, 30.0, 30.0]),
        np.array([np.eye(3, dtype=int), -np.eye(3, dtype=int)]),
        np.zeros((2, 3)),
        [("M", np.zeros((1, 3)), {"A": 0.1, "B": 0.1, "C": 0.8})],
    )
    composition = composed(chain, (n, 1, 1), {"M": {"A": 2, "B": 1, "C": n - 3}})
    found = enumerate_orderings(chain, composition, limit=10**6)
    permutations = site_permutations(chain, (n, 1, 1), [0])
    assert len(permutations) == 2 * n
    forms = {smallest(row, permutations) for row in found.occupation.tolist()}
    assert len(forms) == found.n_orderings
    assert found.total_allowed == math.comb(n, 2) * (n - 2)


def test_one_large_block_under_a_large_group():
    """PbSnTe 2x2x2, 8 of 32 under 1536 operations: as many as Burnside says, none the image of another."""
    parent = rock_salt()
    composition = composed(parent, (2, 2, 2), {"Pb": {"Pb": 5, "Sn": 27}})
    found = enumerate_orderings(parent, composition, limit=10**6)
    assert (found.count.group_order, found.count.total) == (1536, math.comb(32, 5))
    permutations = site_permutations(parent, (2, 2, 2), [0])
    occupied = found.occupation[:, found.site_orbit == 0]
    forms = {smallest(row, permutations) for row in occupied.tolist()}
    assert len(forms) == found.n_orderings == found.count.distinct


# --- several compositions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "exclude", "allowed", "distinct"),
    [(("Li", "Y"), False, 1320, 124), (("Li",), False, 880, 76), ((), False, 360, 30), ((), True, 180, 15)],
)
def test_pooled_orderings_of_li3ycl6(pool, exclude, allowed, distinct):
    """P1: 9 Li on 12 sites, 2 Y on 4, with atoms moving between the orbits of an element, or not."""
    parent = li3ycl6()
    chosen = OrderingSettings(supercell=(1, 1, 1), pool=pool, closest_cations_angstrom=2.5 if exclude else 0.0)
    several = compositions_for(parent, chosen)
    found = enumerate_orderings(parent, several, exclusions=exclusions_for(parent, chosen), limit=1000)
    assert (found.total_allowed, found.n_orderings) == (allowed, distinct)
    assert found.compositions == several
    symmetry = site_permutations(parent, (1, 1, 1), range(len(parent.orbits)))
    assert len({smallest(row, symmetry) for row in found.occupation.tolist()}) == distinct


def test_pooled_orderings_are_those_of_each_composition_in_turn():
    parent = li3ycl6()
    several = compositions_for(parent, OrderingSettings(supercell=(1, 1, 1), pool=("Li", "Y")))
    together = enumerate_orderings(parent, several, limit=1000)
    apart = [enumerate_orderings(parent, each, limit=1000) for each in several]
    assert np.array_equal(together.occupation, np.concatenate([each.occupation for each in apart]))
    assert np.array_equal(together.multiplicity, np.concatenate([each.multiplicity for each in apart]))


def test_elements_that_one_composition_lacks_keep_their_numbers():
    """An orbit of Cl in one composition and of Br in the next: `species` names both in every row."""
    parent = from_operations(
        np.diag([4.0, 5.0, 6.0]),
        np.eye(3, dtype=int)[None],
        np.zeros((1, 3)),
        [("X", np.array([[0, 0, 0], [0.5, 0, 0]]), {"Br": 0.5, "Cl": 0.5})],
    )
    several = [
        composed(parent, (1, 1, 1), {"X": numbers}) for numbers in ({"Cl": 2}, {"Br": 1, "Cl": 1}, {"Br": 2})
    ]
    found = enumerate_orderings(parent, several, limit=9)
    assert found.species == ("", "Br", "Cl")
    assert sorted(map(tuple, found.occupation.tolist())) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_composition_without_orderings_among_several():
    """Y on all sites of both orbits of a column is impossible; it adds nothing and refuses nothing."""
    parent = li3ycl6()
    crowded = composed(parent, (1, 1, 1), {"Li1": {"Li": 4}, "Li2": {"Li": 2}, "Y2": {"Y": 2}, "Y3": {"Y": 2}})
    usual = composed(parent, (1, 1, 1), {"Li1": {"Li": 5}, "Li2": {"Li": 4}, "Y2": {"Y": 1}, "Y3": {"Y": 1}})
    exclusions = exclusion_distances(parent, 2.5)
    found = enumerate_orderings(parent, [crowded, usual], exclusions=exclusions, limit=99)
    assert (found.total_allowed, found.n_orderings) == (180, 15)
    with pytest.raises(OrderingError, match="too close in every ordering"):
        enumerate_orderings(parent, [crowded, crowded], exclusions=exclusions, limit=9999)


def test_compositions_of_two_supercells_are_refused():
    parent = li3ycl6()
    several = [choose_composition(parent, supercell) for supercell in ((1, 1, 1), (1, 1, 2))]
    with pytest.raises(ValueError, match="one supercell"):
        enumerate_orderings(parent, several, limit=9)


def test_the_stream_goes_on_in_the_middle_of_several_compositions():
    parent = li3ycl6()
    several = compositions_for(parent, OrderingSettings(supercell=(1, 1, 1), pool=("Li", "Y")))
    question = Question.of(parent, several, ())

    def gathered(start):
        rows, told = bytearray(), []

        def deliver(index, some, multiplicities, position):
            rows.extend(some)
            if position:
                told.append((position, len(rows)))
            return True

        assert stream(question, deliver, start=start, finish=lambda index, problem: None).reason == "end"
        return bytes(rows), told

    whole, told = gathered(Position())
    assert told[-1][0] == Position(len(several), 0)
    for position, before in told:
        assert gathered(position)[0] == whole[before:]


def test_a_wrong_number_stops_the_run():
    for wrong in (Certificate(3, None), Certificate(None, 11)):
        with pytest.raises(AssertionError, match="independent count"):
            certify(Tally(2, 12), wrong)
    certify(Tally(2, 12), Certificate(2, 12))
    certify(Tally(2, 12), Certificate(None, None))


# --- the reference cases -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not CASES.is_dir(), reason=f"the reference cases are not at {CASES}")
def test_all_reference_cases_up_to_200_000():
    """D9: as many orderings as SHRY published, multiplicities that add up, and no row twice."""
    with open(CASES / "cases.csv", encoding="utf-8") as file:
        cases = [case for case in csv.DictReader(file) if int(case["distinct_orderings"]) <= 200_000]
    assert len(cases) == 137
    for case in cases:
        parent = from_case(CASES / case["cif"])
        supercell = tuple(int(n) for n in case["supercell"].split("x"))
        found = enumerate_orderings(parent, choose_composition(parent, supercell), limit=200_000)
        assert found.n_orderings == int(case["distinct_orderings"]), case
        assert found.total_allowed == int(case["total_orderings"]), case
        whole_rows = found.occupation.view(np.dtype((np.void, found.occupation.shape[1])))
        assert len(np.unique(whole_rows)) == found.n_orderings


@pytest.mark.slow
def test_half_of_a_large_block_under_a_large_group():
    """PbSnTe 2x2x2, 16 of 32: 404582 orderings (enumlib takes 29 h, J. Cheminform. 8, 17, 2016)."""
    parent = rock_salt()
    composition = composed(parent, (2, 2, 2), {"Pb": {"Pb": 16, "Sn": 16}})
    found = enumerate_orderings(parent, composition, limit=10**6)
    assert (found.n_orderings, found.total_allowed) == (404_582, math.comb(32, 16))
    assert count_orderings(parent, composition).distinct == found.n_orderings
    assert Counter(found.multiplicity.tolist())[1536] > 350_000

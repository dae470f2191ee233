"""Exact counts against published ones and against listing.

The tables are those of the background note on enumeration: counts printed by SOD, supercell, SHRY and their papers.
"""

from __future__ import annotations

import csv
import itertools
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, from_case, li3ybr6, li3ycl3br3, li3ycl6, primitive

from halion.orderings import choose_composition, count_orderings
from halion.orderings.count import count_under_group
from halion.orderings.pooled import count_pooled, pooled_compositions

CASES = Path(__file__).parents[3] / "shared" / "reference" / "enumeration"


def rutile():
    """FeSbO4, P4_2/mnm."""
    return crystal(
        "P 42/m n m",
        (4.63, 4.63, 3.07, 90, 90, 90),
        [("M", (0, 0, 0), {"Fe": 0.5, "Sb": 0.5}), ("O", (0.305, 0.305, 0), {"O": 1.0})],
    )


def gehlenite():
    return crystal(
        "P -4 21 m",
        (7.686, 7.686, 5.0683, 90, 90, 90),
        [
            ("Ca", (0.3377, 0.1623, 0.5110), {"Ca": 1.0}),
            ("T1", (0, 0, 0), {"Al": 1.0}),
            ("T2", (0.1434, 0.3566, 0.9540), {"Al": 0.5, "Si": 0.5}),
            ("O1", (0.5, 0, 0.1884), {"O": 1.0}),
            ("O2", (0.1418, 0.3582, 0.2832), {"O": 1.0}),
            ("O3", (0.0872, 0.1706, 0.8033), {"O": 1.0}),
        ],
    )


def rock_salt(anion: str = "Te"):
    return crystal(
        "F m -3 m",
        (6.46, 6.46, 6.46, 90, 90, 90),
        [("M", (0, 0, 0), {"Pb": 0.5, "Sn": 0.5}), ("X", (0.5, 0.5, 0.5), {anion: 1.0})],
    )


def quartz():
    return crystal(
        "P 32 2 1",
        (4.97, 4.97, 5.46, 90, 90, 120),
        [("M", (0.465, 0, 2 / 3), {"Si": 0.5, "Ge": 0.5}), ("O", (0.415, 0.272, 0.786), {"O": 1.0})],
    )


def perovskite():
    return crystal(
        "P m -3 m",
        (3.9, 3.9, 3.9, 90, 90, 90),
        [
            ("La", (0, 0, 0), {"La": 1.0}),
            ("B", (0.5, 0.5, 0.5), {"Fe": 0.5, "Al": 0.5}),
            ("O", (0.5, 0.5, 0), {"O": 1.0}),
        ],
    )


def sm_fe12():
    return crystal(
        "I 4/m m m",
        (8.497, 8.497, 4.687, 90, 90, 90),
        [
            ("Sm", (0, 0, 0), {"Sm": 1.0}),
            ("i", (0.3588, 0, 0), {"Fe": 0.5, "Ti": 0.5}),
            ("j", (0.2696, 0.5, 0), {"Fe": 0.5, "Ti": 0.5}),
            ("f", (0.25, 0.25, 0.25), {"Fe": 0.5, "Ti": 0.5}),
        ],
    )


def argyrodite():
    """Li6PS5Cl, F-43m, Li half of 48h."""
    return crystal(
        "F -4 3 m",
        (9.85, 9.85, 9.85, 90, 90, 90),
        [
            ("Li", (0.183, 0.183, 0.024), {"Li": 0.5}),
            ("P", (0.5, 0.5, 0.5), {"P": 1.0}),
            ("S", (0.25, 0.25, 0.25), {"S": 1.0}),
        ],
    )


def counted(parent, supercell, label, counts):
    found = count_orderings(parent, composed(parent, supercell, {label: counts}))
    return found.total, found.distinct


@pytest.mark.parametrize(
    ("supercell", "total", "distinct"),
    [
        ((1, 1, 1), 2, 1),
        ((1, 1, 2), 6, 2),
        ((1, 1, 3), 20, 3),
        ((1, 1, 4), 70, 8),
        ((2, 2, 1), 70, 7),
        ((2, 2, 2), 12_870, 180),
        ((2, 2, 3), 2_704_156, 15_565),
        # supercell's tutorial gives up here ("about a year"); the number is Burnside's, recomputed elsewhere.
        ((3, 3, 3), None, 4_506_930_051_342),
    ],
)
def test_antimonate(supercell, total, distinct):
    """D1, D2: SOD paper 2007, tutorial of supercell."""
    half = math.prod(supercell)
    total = math.comb(2 * half, half) if total is None else total
    assert counted(rutile(), supercell, "M", {"Fe": half, "Sb": half}) == (total, distinct)


@pytest.mark.parametrize(
    ("supercell", "total", "distinct"),
    [((1, 1, 1), 6, 2), ((1, 1, 2), 70, 10), ((1, 2, 1), 70, 13), ((1, 2, 2), 12_870, 854)],
)
def test_gehlenite(supercell, total, distinct):
    """D3: tutorial of supercell."""
    half = 2 * math.prod(supercell)
    assert counted(gehlenite(), supercell, "T2", {"Al": half, "Si": half}) == (total, distinct)


@pytest.mark.parametrize(
    ("supercell", "n_tin", "total", "distinct"),
    [
        ((1, 1, 2), 2, 28, 4),
        ((1, 1, 2), 4, 70, 8),
        ((1, 1, 3), 3, 220, 9),
        ((1, 1, 3), 6, 924, 34),
        ((1, 2, 2), 1, 16, 1),
        ((1, 2, 2), 2, 120, 5),
        ((1, 2, 2), 4, 1820, 33),
        ((1, 2, 2), 8, 12_870, 153),
    ],
)
def test_lead_tin_telluride(supercell, n_tin, total, distinct):
    """D4: J. Cheminform. 8, 17 (2016), table 2."""
    n_sites = 4 * math.prod(supercell)
    assert counted(rock_salt(), supercell, "M", {"Pb": n_sites - n_tin, "Sn": n_tin}) == (total, distinct)


@pytest.mark.parametrize(("n", "distinct"), list(enumerate([1, 1, 3, 3, 3, 1, 1])))
def test_quartz(n, distinct):
    """D5: El-Kelany et al. 2014."""
    assert counted(quartz(), (1, 1, 2), "M", {"Si": 6 - n, "Ge": n}) == (math.comb(6, n), distinct)


@pytest.mark.parametrize(("n", "distinct"), list(enumerate([1, 1, 3, 3, 6, 3, 3, 1])))
def test_perovskite(n, distinct):
    """D6: example 4 of SOD."""
    assert counted(perovskite(), (2, 2, 2), "B", {"Fe": 8 - n, "Al": n}) == (math.comb(8, n), distinct)


def test_periclase():
    """D7: example 1 of SOD, 4 Ca on 32 Mg sites."""
    assert counted(rock_salt("O"), (2, 2, 2), "M", {"Pb": 28, "Sn": 4}) == (35_960, 71)


def test_argyrodite_in_its_primitive_cell():
    """D8: 6 Li on 12 sites."""
    parent = primitive(argyrodite())
    assert [orbit.n_sites for orbit in parent.orbits] == [12, 1, 1]
    assert counted(parent, (1, 1, 1), "Li", {"Li": 6}) == (924, 48)


@pytest.mark.parametrize(("n_first", "total", "distinct"), [(14, 120, 11), (12, 1820, 147)])
def test_sm_fe12(n_first, total, distinct):
    """D10: tests of SHRY; two iron orbits of 16 sites in the 1x2x1 supercell."""
    full = {label: {"Fe": 16} for label in "ijf"}
    parent = sm_fe12()
    found = {}
    for label in "ijf":
        composition = composed(parent, (1, 2, 1), {**full, label: {"Fe": n_first, "Ti": 16 - n_first}})
        count = count_orderings(parent, composition)
        assert count.total == total
        found[label] = count.distinct
    assert distinct in found.values()


@pytest.mark.parametrize(("n_first", "total", "distinct"), [(14, 120, 11), (12, 1820, 147)])
def test_sm_fe12_in_a_cell_that_is_not_diagonal(n_first, total, distinct):
    """D10: [[0,1,0],[2,0,0],[0,0,1]] is 2x1x1 with its axes exchanged, alike to 1x2x1 in a tetragonal crystal."""
    turned = ((0, 1, 0), (2, 0, 0), (0, 0, 1))
    parent = sm_fe12()
    full = {label: {"Fe": 16} for label in "ijf"}
    found = set()
    for label in "ijf":
        counts = {**full, label: {"Fe": n_first, "Ti": 16 - n_first}}
        count = count_orderings(parent, composed(parent, turned, counts))
        assert count == count_orderings(parent, composed(parent, (1, 2, 1), counts))
        assert count.total == total
        found.add(count.distinct)
    assert distinct in found


@pytest.mark.parametrize(
    ("supercell", "li", "total", "distinct"),
    [
        ((1, 1, 1), (5, 4), 360, 30),
        ((1, 1, 2), (10, 8), 1_176_120, 49_668),
        ((2, 1, 1), (10, 8), 1_176_120, 147_800),
    ],
)
def test_li3ycl6(supercell, li, total, distinct):
    """P1, per orbit."""
    n = math.prod(supercell)
    composition = composed(
        li3ycl6(), supercell, {"Li1": {"Li": li[0]}, "Li2": {"Li": li[1]}, "Y2": {"Y": n}, "Y3": {"Y": n}}
    )
    found = count_orderings(li3ycl6(), composition)
    assert (found.total, found.distinct) == (total, distinct)


def test_li3ycl6_too_large_to_list():
    """P1, 2x2x1: 3.83e13 and 7.98e11, known to three figures."""
    composition = composed(
        li3ycl6(), (2, 2, 1), {"Li1": {"Li": 20}, "Li2": {"Li": 16}, "Y2": {"Y": 4}, "Y3": {"Y": 4}}
    )
    found = count_orderings(li3ycl6(), composition)
    assert f"{found.total:.2e}" == "3.83e+13"
    assert f"{found.distinct:.2e}" == "7.98e+11"


@pytest.mark.parametrize(("n_br", "distinct"), [(1, 3), (2, 21), (3, 83), (6, 1662), (9, 4200), (12, 1662)])
def test_bromine_on_the_anions_of_li3ycl6(n_br, distinct):
    """P2: the three anion orbits pooled, so a sum over all ways to share the Br; cations averaged."""
    parent = li3ycl6()
    cations = {"Y1": {"Y": 1}, "Y2": {"Y": 2}, "Y3": {}, "Li1": {"Li": 6}, "Li2": {"Li": 6}}
    total = n_distinct = 0
    for shares in itertools.product(range(7), repeat=3):
        if sum(shares) == n_br:
            anions = {f"Cl{k + 1}": {"Cl": 6 - n, "Br": n} for k, n in enumerate(shares)}
            found = count_orderings(parent, composed(parent, (1, 1, 1), {**cations, **anions}))
            total, n_distinct = total + found.total, n_distinct + found.distinct
    assert (total, n_distinct) == (math.comb(18, n_br), distinct)


def li3ycl6_with_bromine(n_br):
    """P1's parent with n_br of the 18 anions Br, each on all three anion orbits alike."""
    parent = li3ycl6()
    mixed = {"Cl": 1 - n_br / 18, "Br": n_br / 18}
    orbits = tuple(
        replace(orbit, occupancy=mixed) if orbit.labels[0].startswith("Cl") else orbit for orbit in parent.orbits
    )
    return replace(parent, orbits=orbits, charges={**parent.charges, "Br": -1.0})


@pytest.mark.parametrize(
    ("n_br", "total", "distinct"),
    [(3, 293_760, 24_480), (6, 6_683_040, 556_920), (9, 17_503_200, 1_458_600)],
)
def test_bromine_jointly_with_the_cations(n_br, total, distinct):
    """P2: the 360 cation orderings and Br anywhere among 18 anions, counted as a pool of Cl and Br."""
    parent = li3ycl6_with_bromine(n_br)
    around = choose_composition(parent, (1, 1, 1))
    assert around.formula.count("Br") == 1
    found = count_pooled(parent, around, ["Cl", "Br"])
    assert (found.total, found.distinct) == (total, distinct)
    assert count_orderings(parent, pooled_compositions(parent, around, ["Cl", "Br"])) == found


def test_bromine_on_the_anions_at_every_composition():
    """P2: all 2^18 ways to place Br; 23 052 of them distinct."""
    total = distinct = 0
    for n_br in range(19):
        parent = li3ycl6()
        cations = {"Y1": {"Y": 1}, "Y2": {"Y": 2}, "Y3": {}, "Li1": {"Li": 6}, "Li2": {"Li": 6}}
        for shares in itertools.product(range(7), repeat=3):
            if sum(shares) == n_br:
                anions = {f"Cl{k + 1}": {"Cl": 6 - n, "Br": n} for k, n in enumerate(shares)}
                found = count_orderings(parent, composed(parent, (1, 1, 1), {**cations, **anions}))
                total, distinct = total + found.total, distinct + found.distinct
    assert (total, distinct) == (2**18, 23_052)


@pytest.mark.parametrize(
    ("counts", "total", "distinct"),
    [
        ({"Li3": {"Li": 1}, "Li1": {"Li": 2}, "Li2": {"Li": 3}, "Y1": {"Y": 2}}, 192, 24),
        ({"Li3": {"Li": 1}, "Li1": {"Li": 2}, "Li2": {"Li": 3, "Y": 1}, "Y1": {"Y": 1}}, 384, 48),
    ],
)
def test_li3ybr6(counts, total, distinct):
    """P3."""
    found = count_orderings(li3ybr6(), composed(li3ybr6(), (1, 1, 1), counts))
    assert (found.total, found.distinct) == (total, distinct)


def test_the_whole_room_on_li3ybr6_counts_quickly():
    """Forty atoms, five species-orbit blocks: a count must cost far less than the search it announces."""
    found = count_orderings(li3ycl3br3(), choose_composition(li3ycl3br3(), (2, 1, 2)))
    assert found.total > 10**27
    assert found.distinct >= -(-found.total // found.group_order)


@st.composite
def groups(draw):
    """A permutation group that keeps one or two blocks, closed from random generators."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=2))
    generators = []
    for _ in range(draw(st.integers(0, 2))):
        permutation, begin = [], 0
        for size in sizes:
            permutation += [begin + k for k in draw(st.permutations(range(size)))]
            begin += size
        generators.append(tuple(permutation))
    blocks = []
    for size in sizes:
        first = draw(st.integers(0, size))
        second = draw(st.integers(0, size - first))
        blocks.append(tuple(n for n in (first, second, size - first - second) if n))
    return closure(generators, sum(sizes)), blocks


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


def listed(blocks):
    """All colourings of the blocks, each a tuple of species."""
    choices = []
    for block in blocks:
        species = [k for k, n in enumerate(block) for _ in range(n)]
        choices.append(sorted(set(itertools.permutations(species))))
    return [sum(parts, ()) for parts in itertools.product(*choices)]


# The first example of a process pays for imports: no deadline per example.
@settings(deadline=None)
@given(groups())
def test_burnside_equals_listing(case):
    permutations, blocks = case
    colourings = listed(blocks)
    digits = 3 ** np.arange(permutations.shape[1])
    smallest = np.min([np.array(colourings)[:, p] @ digits for p in permutations], axis=0)
    classes = set(smallest.tolist())
    found = count_under_group(permutations, blocks)
    assert (found.total, found.distinct) == (len(colourings), len(classes))


def test_what_is_not_a_group_is_noticed():
    three = np.array([[0, 1, 2], [1, 2, 0]], dtype=np.int32)
    with pytest.raises(AssertionError, match="not a group"):
        count_under_group(three, [(1, 2)])


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the reference cases are not at {CASES}")
def test_all_reference_cases():
    """D9: 250 disordered crystals of all space groups with counts published by SHRY."""
    with open(CASES / "cases.csv", encoding="utf-8") as file:
        cases = list(csv.DictReader(file))
    assert len(cases) == 250
    wrong, seconds = [], []
    for case in cases:
        parent = from_case(CASES / case["cif"])
        supercell = tuple(int(n) for n in case["supercell"].split("x"))
        started = time.process_time()
        found = count_orderings(parent, choose_composition(parent, supercell))
        seconds.append(time.process_time() - started)
        if (found.total, found.distinct) != (int(case["total_orderings"]), int(case["distinct_orderings"])):
            wrong.append((case["index"], supercell, found))
    assert not wrong
    assert max(seconds) < 1.0  # processor time of the composition and the count together

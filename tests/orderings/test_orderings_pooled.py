"""Pooled compositions: every split of the atoms over the orbits, against trying all; and their counts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, li3ybr6, li3ycl3br3, li3ycl6
from test_orderings_count import listed

from halion.crystal import builtin_crystal
from halion.errors import OrderingError
from halion.orderings import choose_composition, compositions_for, count_orderings
from halion.orderings import pooled as room
from halion.orderings.pooled import count_pooled, pooled_compositions
from halion.orderings.sites import site_permutations, supercell_sites
from halion.ranking.electrostatics import ewald_matrix
from halion.settings import OrderingSettings


def of(parent, **values):
    return compositions_for(parent, OrderingSettings(**{"closest_cations_angstrom": 0, **values}))


def per_label(parent, composition, *labels):
    counts = {parent.orbits[each.orbit].labels[0]: dict(each.counts) for each in composition.orbits}
    return tuple(counts[label] for label in labels)


def misfit(composition):
    return sum(
        orbit.n_sites * (orbit.counts.get(element, 0) / orbit.n_sites - x) ** 2
        for orbit in composition.orbits
        for element, x in orbit.refined.items()
    )


@pytest.mark.parametrize(
    ("cell", "pool", "n_splits", "total", "distinct"),
    [
        ((1, 1, 1), (), 1, 360, 30),
        ((1, 1, 1), ("Li", "Y"), 12, 1320, 124),
        ((1, 1, 2), ("Li", "Y"), 35, 9_421_720, 395_596),
    ],
)
def test_pooled_li3ycl6(cell, pool, n_splits, total, distinct):
    """P1: the refined 30-atom cell, and what pooling over orbits makes of it."""
    parent = li3ycl6()
    found = of(parent, supercell=cell, pool=pool)
    count = count_orderings(parent, found)
    assert (len(found), count.total, count.distinct) == (n_splits, total, distinct)
    assert len({each.formula for each in found}) == 1
    assert all(each.charge == 0 for each in found)


def test_the_sum_over_compositions_is_the_sum_of_their_counts():
    parent = li3ybr6()
    found = of(parent, supercell=(1, 1, 2), pool=("Li",))
    each = [count_orderings(parent, one) for one in found]
    together = count_orderings(parent, found)
    assert (together.total, together.distinct) == (sum(n.total for n in each), sum(n.distinct for n in each))
    assert count_orderings(parent, found[:1]) == each[0]


def test_orderings_of_a_pool_are_classes_of_all_colourings():
    """Li3YCl6 with Li over both its orbits: all 220 ways to fill 9 of 12 sites, sorted into classes one by one."""
    parent = li3ycl6()
    orbits = [k for k, orbit in enumerate(parent.orbits) if "Li" in orbit.occupancy]
    permutations = site_permutations(parent, (1, 1, 1), orbits)
    colourings = np.array([[k in chosen for k in range(12)] for chosen in itertools.combinations(range(12), 9)])
    numbers = np.min([colourings[:, p] @ 2 ** np.arange(12) for p in permutations], axis=0)
    fixed = {"Y2": {"Y": 2}, "Y3": {}, "Li1": {"Li": 5}, "Li2": {"Li": 4}}
    around = composed(parent, (1, 1, 1), fixed)
    count = count_orderings(parent, pooled_compositions(parent, around, ["Li"]))
    assert (count.total, count.distinct) == (220, len(set(numbers.tolist())))


def test_the_refined_composition_comes_first_and_then_the_nearest():
    parent = li3ycl6()
    found = of(parent, supercell=(1, 1, 1), pool=("Li",))
    assert found[0] == choose_composition(parent, (1, 1, 1))
    assert [per_label(parent, each, "Li1", "Li2") for each in found] == [
        ({"Li": 5}, {"Li": 4}),
        ({"Li": 6}, {"Li": 3}),
        ({"Li": 4}, {"Li": 5}),
        ({"Li": 3}, {"Li": 6}),
    ]
    assert [misfit(each) for each in found] == sorted(misfit(each) for each in found)
    assert all(per_label(parent, each, "Y2", "Y3") == ({"Y": 1}, {"Y": 1}) for each in found)


def test_a_window_moves_so_many_atoms_and_keeps_the_formula():
    parent = li3ycl6()
    found = of(parent, supercell=(1, 1, 2), window=1)
    nearest = found[0]
    assert nearest == choose_composition(parent, (1, 1, 2))
    assert len(found) == 9  # one Li more or less on 6h, one Y more or less on the column, and both
    for each in found:
        assert each.formula == nearest.formula
        for here, there in zip(each.orbits, nearest.orbits):
            for element in here.refined:
                assert abs(here.counts.get(element, 0) - there.counts.get(element, 0)) <= 1
    # a window wide enough for everything is a pool
    assert of(parent, supercell=(1, 1, 2), window=24) == of(parent, supercell=(1, 1, 2), pool=("Li", "Y"))
    assert of(parent, supercell=(1, 1, 2), window=0) == (nearest,)


def test_mixed_occupancy_leaves_splits_out():
    """Li and Y share 2a and 4h of Li3YBr6: no site is filled twice, and Y stays where it is."""
    parent = li3ybr6()
    found = of(parent, supercell=(1, 1, 2), pool=("Li",))
    for each in found:
        assert all(sum(orbit.counts.values()) <= orbit.n_sites for orbit in each.orbits)
        counts = per_label(parent, each, "Y1", "Li2")
        assert [one.get("Y", 0) for one in counts] == [3, 1]
        assert counts[0].get("Li", 0) <= 1
        assert counts[1].get("Li", 0) <= 7
    assert len({tuple(map(str, each.orbits)) for each in found}) == len(found) == 128


def tried(parent, around, pool, window):
    """All splits by trying every filling of every orbit."""
    options = []
    for part, orbit in zip(around.orbits, parent.orbits):
        fillings = itertools.product(*[range(part.n_sites + 1)] * len(orbit.occupancy))
        kept = []
        for counts in fillings:
            named = dict(zip(orbit.occupancy, counts))
            is_near = all(
                element in pool or abs(n - part.counts.get(element, 0)) <= window for element, n in named.items()
            )
            is_full = sum(counts) == part.n_sites
            if is_near and (is_full or (sum(counts) < part.n_sites and orbit.vacancy >= 1e-3)):
                kept.append(counts)
        options.append([tuple(part.counts.get(e, 0) for e in orbit.occupancy)] if orbit.is_ordered else kept)
    wanted = dict.fromkeys(parent.charges, 0)
    for part in around.orbits:
        for element, n in part.counts.items():
            wanted[element] += n
    found = set()
    for split in itertools.product(*options):
        amounts = dict.fromkeys(parent.charges, 0)
        for orbit, counts in zip(parent.orbits, split):
            for element, n in zip(orbit.occupancy, counts):
                amounts[element] += n
        if amounts == wanted:
            found.add(split)
    return found


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    occupancies=st.lists(
        st.tuples(st.integers(0, 10), st.integers(0, 10)).filter(lambda pair: 0 < sum(pair) <= 10),
        min_size=3,
        max_size=3,
    ),
    pool=st.sets(st.sampled_from(["Ag", "Au"])),
    window=st.integers(0, 2),
)
def test_splits_are_all_splits(sizes, occupancies, pool, window):
    """Random refinements of two metals on two or three orbits, in their own cell."""
    sites = []
    for k, (first, second) in enumerate(occupancies[: len(sizes)]):
        named = {"Ag": first / 10, "Au": second / 10}
        sites.append((f"s{k}", (0.1, 0.1 + 0.2 * k, 0.2), {e: x for e, x in named.items() if x}))
    parent = crystal("P 1", (9, 9, 9, 90, 90, 90), sites, {"Ag": 0.0, "Au": 0.0})
    orbits = tuple(
        replace(orbit, fractional=orbit.fractional + np.arange(n)[:, None] * np.array([0.17, 0, 0]))
        for orbit, n in zip(parent.orbits, sizes)
    )
    parent = replace(parent, orbits=orbits)
    around = choose_composition(parent, (1, 1, 1))
    found = pooled_compositions(parent, around, sorted(pool), window=window)
    splits = [tuple(tuple(part.counts.get(e, 0) for e in part.refined) for part in each.orbits) for each in found]
    assert len(set(splits)) == len(splits)
    assert set(splits) == tried(parent, around, pool, window)
    assert splits[0] == tuple(tuple(part.counts.get(e, 0) for e in part.refined) for part in around.orbits)
    costs = [misfit(each) for each in found]
    assert costs[1:] == pytest.approx(sorted(costs[1:]), abs=1e-6)
    for each, cost in zip(found, costs):
        assert each.ties == sum(abs(cost - other) < 1e-6 for other in costs) - 1


def test_an_element_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(OrderingError, match=r"no Lu in this crystal: did you mean 'Li'\?"):
        of(li3ycl6(), supercell=(1, 1, 1), pool=("Lu",))
    with pytest.raises(OrderingError, match="no Zr in this crystal: known: Cl, Li, Y"):
        of(li3ycl6(), supercell=(1, 1, 1), pool=("Zr",))


def test_too_many_splits_are_refused_before_they_are_listed(monkeypatch):
    parent = li3ycl3br3()
    with pytest.raises(OrderingError, match=r"there are \d+ ways .* more than the 5000") as caught:
        of(parent, supercell=(3, 2, 3), pool=("Li", "Y", "Cl", "Br"))
    assert "pool fewer elements" in caught.value.fix
    monkeypatch.setattr(room, "MOST_COMPOSITIONS", 11)
    with pytest.raises(OrderingError, match="there are 12 ways"):
        of(li3ycl6(), supercell=(1, 1, 1), pool=("Li", "Y"))


def test_brute_force_over_a_mixed_orbit():
    """Two elements pooled over two orbits of two sites: the distinct colourings of all four, listed."""
    parent = crystal(
        "P -1",
        (5, 6, 7, 81, 95, 99),
        [("a", (0.1, 0.2, 0.3), {"Ag": 0.5, "Au": 0.5}), ("b", (0.3, 0.4, 0.1), {"Ag": 0.5, "Au": 0.5})],
    )
    found = of(parent, supercell=(1, 1, 1), pool=("Ag", "Au"))
    permutations = site_permutations(parent, (1, 1, 1), (0, 1))
    colourings = np.array(listed([(2, 2)]))
    numbers = np.min([colourings[:, p] @ 2 ** np.arange(4) for p in permutations], axis=0)
    count = count_orderings(parent, found)
    assert (count.total, count.distinct) == (6, len(set(numbers.tolist()))) == (6, 4)


@pytest.mark.parametrize("pool", [("Li",), ("Li", "Y"), ("Y",), ()])
@pytest.mark.parametrize(
    ("parent", "cell"), [(li3ycl6(), (1, 1, 2)), (li3ybr6(), (1, 1, 1)), (li3ybr6(), (1, 2, 1))]
)
@pytest.mark.parametrize("window", [0, 1])
def test_pools_are_counted_without_listing_them(parent, cell, pool, window):
    around = choose_composition(parent, cell)
    listed_one_by_one = count_orderings(parent, pooled_compositions(parent, around, pool, window=window))
    found = count_pooled(parent, around, pool, window=window)
    assert (found.total, found.distinct) == (listed_one_by_one.total, listed_one_by_one.distinct)


def test_a_pool_too_large_to_list_is_counted():
    parent = li3ycl3br3()
    around = choose_composition(parent, (2, 2, 2))
    with pytest.raises(OrderingError, match="more than the 5000"):
        pooled_compositions(parent, around, ["Li", "Y"])
    found = count_pooled(parent, around, ["Li", "Y"])
    assert found.total > count_pooled(parent, around, ["Li"]).total > 10**40
    # no class is larger than the group
    assert found.total <= found.distinct * found.group_order


def test_the_electrostatic_minimum_lies_outside_the_refined_composition():
    """30 atoms of Li3YCl6, all colourings, point charges: the refined split lies 0.6 eV per formula unit too high.

    Lowest energies per split, eV per formula unit, from an independent listing of all of them: Y both at z = 0 with
    6h 6/6 and 6g 3/6 lowest; both at z = 1/2 with 3/6 and 6/6 0.114; then 0.500, 0.526; 0.572 for mixed columns.
    """
    parent = builtin_crystal("Li3YCl6")
    sites = supercell_sites(parent, (1, 1, 1))
    matrix = ewald_matrix(sites.cell, sites.fractional)
    found = of(parent, supercell=(1, 1, 1), pool=("Li", "Y"))
    lowest = {}
    for each in found:
        charges = np.zeros((1, len(sites.site_orbit)))
        for orbit in each.orbits:
            here = np.flatnonzero(sites.site_orbit == orbit.orbit)
            ((element, number),) = orbit.counts.items() or (("Li", 0),)
            rows = []
            for chosen in itertools.combinations(here, number):
                filled = charges.copy()
                filled[:, list(chosen)] = parent.charges[element]
                rows.append(filled)
            charges = np.concatenate(rows)
        lowest[str(each.orbits)] = (np.einsum("ij,ij->i", charges @ matrix, charges) / 2).min() / 3
    relative = sorted(round(energy - min(lowest.values()), 3) for energy in lowest.values())
    assert relative[:5] == [0.0, 0.114, 0.5, 0.526, 0.572]
    refined = found[0]
    assert lowest[str(refined.orbits)] - min(lowest.values()) > 0.5
    # Li pooled alone stays as high: the columns of Y decide
    li_alone = of(parent, supercell=(1, 1, 1), pool=("Li",))
    assert min(lowest[str(each.orbits)] for each in li_alone) - min(lowest.values()) == pytest.approx(
        0.572, abs=5e-4
    )

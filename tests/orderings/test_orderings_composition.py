"""Integer compositions: against trying all of them, the published cells, and refusals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, li3ybr6, li3ycl3br3, li3ycl6

from halion.errors import OrderingError
from halion.orderings import choose_composition, choose_supercell, exclusion_distances
from halion.orderings.feasible import has_ordering
from halion.orderings.lattice import cell_count
from halion.settings import OrderingSettings


def per_label(parent, composition):
    return {parent.orbits[each.orbit].labels[0]: dict(each.counts) for each in composition.orbits}


def test_li3ycl6_in_thirty_atoms():
    parent = li3ycl6()
    found = choose_composition(parent, (1, 1, 1))
    assert per_label(parent, found) == {
        "Y1": {"Y": 1},
        "Y2": {"Y": 1},
        "Y3": {"Y": 1},
        "Li1": {"Li": 5},
        "Li2": {"Li": 4},
        "Cl1": {"Cl": 6},
        "Cl2": {"Cl": 6},
        "Cl3": {"Cl": 6},
    }
    assert found.formula == "Li9 Y3 Cl18"
    assert found.charge == 0
    assert found.ties == 0
    assert found.deviation == pytest.approx(0.56592 - 0.5)  # Y2
    assert found.n_atoms == 30


def test_li3ybr6_in_forty_atoms():
    parent = li3ybr6()
    found = choose_composition(parent, (1, 1, 2))
    assert per_label(parent, found) == {
        "Y1": {"Y": 3},
        "Li1": {"Li": 4},
        "Li2": {"Li": 6, "Y": 1},
        "Li3": {"Li": 2},
        "Br1": {"Br": 16},
        "Br2": {"Br": 8},
    }
    assert found.formula == "Li12 Y4 Br24"
    assert found.deviation == pytest.approx(0.0456)  # Li on 2a


def test_li3ybr6_in_twenty_atoms_has_no_antisite():
    parent = li3ybr6()
    found = choose_composition(parent, (1, 1, 1))
    assert per_label(parent, found)["Y1"] == {"Y": 2}
    assert found.deviation == pytest.approx(1 - 0.76128)


def test_a_composition_that_has_an_ordering():
    """In 20 atoms of Li3YCl3Br3 the nearest composition puts Li within 2.5 Angstrom in every ordering."""
    parent = li3ycl3br3()
    exclusions = exclusion_distances(parent, 2.5)
    nearest = choose_composition(parent, (1, 1, 1))
    possible = choose_composition(parent, (1, 1, 1), exclusions=exclusions)
    assert not has_ordering(parent, nearest, exclusions)
    assert has_ordering(parent, possible, exclusions)
    assert possible.formula == nearest.formula == "Li6 Y2 Br6 Cl6"
    assert misfit(possible) > misfit(nearest)
    # none of the compositions in between has an ordering: all those of this formula, tried
    n_nearer = 0
    for li_m2, li_1 in itertools.product(range(4), range(5)):
        counts = {"M2": {"Li": li_m2, "Y": 1}, "Li1": {"Li": li_1}, "Li3": {"Li": 6 - li_m2 - li_1}}
        anions = {"X1": {"Cl": 4, "Br": 4}, "X2": {"Cl": 2, "Br": 2}}
        other = composed(parent, (1, 1, 1), {"Y1": {"Y": 1}, **counts, **anions})
        if misfit(other) < misfit(possible) - 1e-6:
            n_nearer += 1
            assert not has_ordering(parent, other, exclusions)
    assert n_nearer >= 1


def misfit(composition):
    return sum(
        orbit.n_sites * (orbit.counts.get(element, 0) / orbit.n_sites - x) ** 2
        for orbit in composition.orbits
        for element, x in orbit.refined.items()
    )


def test_exclusions_leave_a_possible_composition_alone():
    parent = li3ybr6()
    exclusions = exclusion_distances(parent, 2.5)
    assert choose_composition(parent, (1, 1, 2), exclusions=exclusions) == choose_composition(parent, (1, 1, 2))


def salt(occupancies, charges, n_sites=(1, 2)):
    """P1 cell with one orbit per dictionary of occupancies; sites anywhere, only numbers matter here."""
    places = itertools.count()
    sites = []
    for k, (occupancy, n) in enumerate(zip(occupancies, n_sites)):
        sites += [(f"{k}.{i}", (next(places) * 0.07 + 0.01, 0.1 * k, 0.3), occupancy) for i in range(n)]
    return crystal("P 1", (9, 9, 9, 90, 90, 90), sites, charges)


def test_a_charge_that_no_rounding_repairs():
    parent = salt([{"Na": 1.0}, {"Cl": 0.3}], {"Na": 1.0, "Cl": -1.0}, (4, 4))
    assert parent.charge == pytest.approx(2.8)
    with pytest.raises(OrderingError, match=r"charge of \+2.80 e") as caught:
        choose_composition(parent, (1, 1, 1))
    assert "oxidation states" in caught.value.fix
    with pytest.raises(OrderingError, match="no supercell of at most 60 atoms") as caught:
        choose_supercell(parent, OrderingSettings(max_atoms=60))


def test_an_ordered_charged_crystal():
    parent = salt([{"Na": 1.0}, {"O": 1.0}], {"Na": 1.0, "O": -2.0}, (1, 1))
    with pytest.raises(OrderingError, match=r"charge of -1.00 e"):
        choose_composition(parent, (1, 1, 1))


def test_a_supercell_is_named_when_this_one_cannot_be_neutral():
    # Half a Zr4+ on each of two sites is 4 e against 4 O; with 2.5 of them on five, one cell holds no half atom.
    parent = salt([{"Zr": 0.5}, {"O": 1.0}], {"Zr": 4.0, "O": -2.0}, (1, 1))
    with pytest.raises(OrderingError, match="1x1x1 supercell is neutral") as caught:
        choose_composition(parent, (1, 1, 1))
    assert "supercell: [1, 1, 2]" in caught.value.fix
    assert choose_composition(parent, (1, 1, 2)).formula == "Zr1 O2"
    assert cell_count(choose_supercell(parent, OrderingSettings(max_atoms=6))) == 2


def test_metals_have_no_charges_and_full_orbits_stay_full():
    parent = salt([{"Cu": 0.45, "Zn": 0.55}], {"Cu": 0.0, "Zn": 0.0}, (1,))
    found = choose_composition(parent, (1, 1, 3))
    assert found.formula == "Cu1 Zn2"
    assert choose_composition(parent, (2, 3, 3)).formula == "Cu8 Zn10"


def test_ties_are_counted():
    """One Li on two equal half-filled orbits: two ways."""
    parent = salt([{"Li": 0.5}, {"Li": 0.5}, {"F": 1.0}], {"Li": 1.0, "F": -1.0}, (1, 1, 1))
    assert choose_composition(parent, (1, 1, 1)).ties == 1
    assert choose_composition(parent, (1, 1, 2)).ties == 0


def tried(parent, n_cells):
    """(misfit of the formula, misfit of the places, number as good) of the best composition, by trying all."""
    options = []
    for orbit in parent.orbits:
        n_sites = orbit.n_sites * n_cells
        ranges = [range(n_sites + 1)] * len(orbit.occupancy)
        fills = [c for c in itertools.product(*ranges) if sum(c) <= n_sites]
        if orbit.is_ordered:
            fills = [(n_sites,)]
        elif orbit.vacancy < 1e-3:
            fills = [c for c in fills if sum(c) == n_sites]
        options.append(fills)
    ranked = []
    for choice in itertools.product(*options):
        amounts = dict.fromkeys(parent.composition, 0)
        cost = 0.0
        for orbit, counts in zip(parent.orbits, choice):
            n_sites = orbit.n_sites * n_cells
            for (element, x), n in zip(orbit.occupancy.items(), counts):
                amounts[element] += n
                cost += n_sites * (n / n_sites - x) ** 2
        if abs(sum(parent.charges[e] * n for e, n in amounts.items())) < 1e-6:
            miss = sum((n - parent.composition[e] * n_cells) ** 2 for e, n in amounts.items())
            ranked.append((miss, cost))
    if not ranked:
        return None
    least = min(miss for miss, _ in ranked)
    cheapest = min(cost for miss, cost in ranked if miss < least + 1e-6)
    ways = sum(miss < least + 1e-6 and cost < cheapest + 1e-6 for miss, cost in ranked)
    return least, cheapest, ways


occupancy = st.integers(1, 19).map(lambda n: n / 20)


@settings(deadline=None)
@given(
    li=st.lists(occupancy, min_size=1, max_size=2),
    n_li=st.integers(1, 3),
    mixed=st.integers(1, 18),
    n_mixed=st.integers(1, 2),
    n_anion=st.integers(1, 4),
    full=st.booleans(),
)
def test_nearest_of_all_compositions(li, n_li, mixed, n_mixed, n_anion, full):
    """Random refinements: the same misfits and the same number of ties as trying every composition."""
    rest = (20 - mixed if full else min(5, 20 - mixed)) / 20
    metals = {"Li": mixed / 20, "Mg": rest}
    elements = {"Li": 1.0, "Mg": 2.0, "F": -1.0}
    orbits = [*({"Li": x} for x in li), metals, {"F": 1.0}]
    sites = [(f"s{k}", (0.1, 0.1 + 0.13 * k, 0.2), occupancies) for k, occupancies in enumerate(orbits)]
    parent = with_sizes(sites, [n_li] * len(li) + [n_mixed, n_anion], elements)
    expected = tried(parent, 1)
    try:
        found = choose_composition(parent, (1, 1, 1))
    except OrderingError as error:
        assume("carries a charge of" not in error.what)  # refused before any rounding
        assert expected is None
        return
    assert expected is not None
    miss, cost, ways = expected
    amounts = dict.fromkeys(elements, 0)
    found_cost = 0.0
    for orbit in found.orbits:
        assert sum(orbit.counts.values()) <= orbit.n_sites
        for element, x in orbit.refined.items():
            amounts[element] += orbit.counts.get(element, 0)
            found_cost += orbit.n_sites * (orbit.counts.get(element, 0) / orbit.n_sites - x) ** 2
    # sums of a few squares of numbers of order one: rounding errors are below 1e-9
    assert sum((n - parent.composition[e]) ** 2 for e, n in amounts.items()) == pytest.approx(miss, abs=1e-9)
    assert found_cost == pytest.approx(cost, abs=1e-6)
    assert found.ties == ways - 1
    assert found.charge == 0


def with_sizes(sites, sizes, charges):
    """Orbits of given sizes: images along x by a pure translation that the operations do not know."""
    parent = crystal("P 1", (9, 9, 9, 90, 90, 90), sites, charges)
    orbits = tuple(
        replace(orbit, fractional=orbit.fractional + np.arange(n)[:, None] * np.array([0.17, 0, 0]))
        for orbit, n in zip(parent.orbits, sizes)
    )
    return replace(parent, orbits=orbits)

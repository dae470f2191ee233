"""Excluded pairs: which, how near, why; and that they come closed under symmetry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from orderings_crystals import crystal, li3ybr6, li3ycl3br3, li3ycl6

from halion.errors import OrderingError, SettingsError
from halion.orderings import choose_composition, exclusion_distances, exclusions_for
from halion.orderings.exclusions import conflicting_pairs
from halion.orderings.problem import state_problem
from halion.orderings.search import search
from halion.orderings.sites import site_permutations, supercell_sites
from halion.settings import OrderingSettings
from halion.study_file import resolve


def test_the_yttrium_column_of_li3ycl6():
    """Y2 and Y3 share a face at 2.99 Angstrom; the next Y-Y, 3.06 along the column, falls under the same limit."""
    (only,) = exclusion_distances(li3ycl6(), 2.5)
    assert only.elements == ("Y", "Y")
    assert only.orbits == (1, 2)
    assert only.reason == "shared face"
    assert only.distance == pytest.approx(0.4942 * 6.046941, abs=1e-3)
    # 1.278 R with Y-Cl 2.63 (Y2) and 2.66 (Y3): between 3.06 and the next Y-Y distance, 6.05
    assert 3.06 < only.below < 3.5


def test_li3ybr6_has_split_lithium_only():
    """The tetrahedral Li beside both octahedral ones; Li-Y at 2.9 Angstrom is left to the potential."""
    found = {(each.orbits, each.elements): each for each in exclusion_distances(li3ybr6(), 2.5)}
    assert set(found) == {((1, 3), ("Li", "Li")), ((2, 3), ("Li", "Li")), ((2, 3), ("Y", "Li"))}
    assert all(each.reason == "closest cations" and each.below == 2.5 for each in found.values())


def test_li3ycl3br3():
    """Distances printed beside the refinement: Li3-Li1 2.22, Li3-M2 2.34, Li3-Li3 2.64 Angstrom."""
    near = {each.orbits: each.distance for each in exclusion_distances(li3ycl3br3(), 2.7)}
    assert near[(2, 3)] == pytest.approx(2.22, abs=0.005)
    assert near[(1, 3)] == pytest.approx(2.34, abs=0.005)
    assert near[(3, 3)] == pytest.approx(2.64, abs=0.005)


def test_zero_means_no_exclusions():
    assert exclusion_distances(li3ycl6(), 0.0) == ()


def test_nearest_first():
    distances = [each.distance for each in exclusion_distances(li3ycl3br3(), 3.2)]
    assert distances == sorted(distances)
    assert len(distances) > 3


def of(parent, exclude, closest=2.5):
    return exclusions_for(parent, OrderingSettings(closest_cations_angstrom=closest, exclude=exclude))


def test_settings_without_pairs_give_the_two_rules():
    for parent in (li3ycl6(), li3ybr6(), li3ycl3br3()):
        assert of(parent, {}) == exclusion_distances(parent, 2.5)
        assert of(parent, {}, closest=0) == ()


def test_a_pair_given_by_the_user_stands_in_the_place_of_the_rules():
    parent = li3ycl6()
    (only,) = of(parent, {"Y-Y": 3.5})
    assert (only.orbits, only.elements, only.below, only.reason) == ((1, 2), ("Y", "Y"), 3.5, "excluded pair")
    assert only.distance == pytest.approx(0.4942 * 6.046941, abs=1e-3)
    assert of(parent, {"Y-Y": 0}) == ()  # lifted, shared face and all
    assert of(parent, {"Y-Y": 2.9}) == ()  # relaxed below the nearest Y-Y distance
    (same,) = of(parent, {"Y-Y": 3.5}, closest=0)  # without the other rules
    assert same == only


def test_one_pair_is_relaxed_and_the_others_stay():
    """Li3YBr6: Li-Li and Li-Y exclude each other; the two are lifted one by one."""
    parent = li3ybr6()
    everything = of(parent, {})
    without_yttrium = of(parent, {"Li-Y": 0})
    assert without_yttrium == tuple(each for each in everything if each.elements == ("Li", "Li"))
    assert of(parent, {"Y-Li": 0}) == without_yttrium
    assert [each.elements for each in of(parent, {"Li-Li": 0})] == [("Y", "Li")]
    nearer, farther = sorted(each.distance for each in without_yttrium)
    (relaxed,) = of(parent, {"Li-Y": 0, "Li-Li": (nearer + farther) / 2})
    assert relaxed.distance == nearer
    assert of(parent, {"Li-Y": 0, "Li-Li": 0}) == ()


def test_a_pair_with_an_anion_may_be_excluded():
    """Br-Br nearer than 4 Angstrom in Li3YCl3Br3: no rule of halion's, but a question one may ask."""
    found = of(li3ycl3br3(), {"Br-Br": 4}, closest=0)
    assert found
    assert {each.elements for each in found} == {("Br", "Br")}
    assert all(each.distance < 4 for each in found)
    mixed = of(li3ycl3br3(), {"Cl-Br": 4}, closest=0)
    assert {tuple(sorted(each.elements)) for each in mixed} == {("Br", "Cl")}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("Y-Zr", "did you mean"),
        ("Yb-Yb", "did you mean 'Y-Y'"),
        ("Y", "did you mean 'Y-Y'"),
        ("Y:Y", "did you mean 'Y-Y'"),
        ("Y-Y-Y", "did you mean 'Y-Y'"),
        ("", "known: Cl-Cl, Cl-Li, Cl-Y, Li-Li, Li-Y, Y-Y"),
    ],
)
def test_a_key_that_is_no_pair_is_refused_with_the_nearest(key, hint):
    with pytest.raises(OrderingError, match="no pair of elements") as caught:
        of(li3ycl6(), {key: 3.0})
    assert hint in caught.value.what


def test_a_pair_named_twice_is_refused():
    with pytest.raises(OrderingError, match="the pair Li-Y twice"):
        of(li3ycl6(), {"Li-Y": 3.0, "Y-Li": 2.0})


@pytest.mark.parametrize("wrong", [{"Y-Y": -1}, {"Y-Y": "near"}, ["Y-Y"], {"Y-Y": float("nan")}])
def test_a_distance_is_a_number_from_zero_up(wrong):
    with pytest.raises(SettingsError, match=r"orderings\.exclude"):
        resolve({"crystal": "Li3YCl6", "orderings": {"exclude": wrong}})


@pytest.mark.parametrize(
    ("exclude", "total", "distinct"), [({"Y-Y": 0}, 360, 30), ({}, 180, 15), ({"Y-Y": 3.5}, 180, 15)]
)
def test_the_published_count_under_the_yttrium_exclusion(exclude, total, distinct):
    """P1: the Y-Y exclusion halves the orderings of the 30-atom cell of Li3YCl6."""
    parent = li3ycl6()
    problem = state_problem(parent, choose_composition(parent, (1, 1, 1)), of(parent, exclude))
    found = []
    search(problem, lambda rows, numbers, _: found.extend(np.frombuffer(numbers, np.int64)) or True)
    assert (sum(found), len(found)) == (total, distinct)


def zirconia_chain(occupancy, charges):
    """Two cations 2.4 Angstrom apart, R = 2.1 Angstrom to the anions: a shared face (1.155 R = 2.42)."""
    return crystal(
        "P 1",
        (9, 9, 9, 90, 90, 90),
        [
            ("A", (0, 0, 0), {"Zr": occupancy}),
            ("B", (2.6 / 9, 0, 0), {"Zr": occupancy}),
            ("O1", (0, 2.1 / 9, 0), {"O": 1.0}),
            ("O2", (2.6 / 9, 2.1 / 9, 0), {"O": 1.0}),
        ],
        charges,
    )


@pytest.mark.parametrize(
    ("occupancy", "zirconium", "excluded"),
    [
        (0.5, 4.0, True),
        (0.8, 4.0, False),  # filled by more than one atom together: the refinement itself shares faces
        (0.5, 1.0, False),  # monovalent cations do share faces (Li along c in Li3YCl6)
    ],
)
def test_when_faces_may_not_be_shared(occupancy, zirconium, excluded):
    found = exclusion_distances(zirconia_chain(occupancy, {"Zr": zirconium, "O": -2.0}), 2.0)
    assert bool(found) == excluded


def test_anions_and_neutral_atoms_are_never_excluded():
    assert exclusion_distances(zirconia_chain(0.5, {"Zr": -4.0, "O": 2.0}), 2.59) == ()
    assert exclusion_distances(zirconia_chain(0.5, {"Zr": 0.0, "O": 0.0}), 5.0) == ()


@pytest.mark.parametrize("supercell", [(1, 1, 1), (1, 1, 2), (2, 1, 1)])
def test_pairs_are_all_near_pairs_and_closed_under_symmetry(supercell):
    """Against distances over all periodic images, one by one."""
    parent = li3ycl3br3()
    exclusions = exclusion_distances(parent, 2.7)
    sites = supercell_sites(parent, supercell)
    symmetry = site_permutations(parent, supercell, range(len(parent.orbits)))
    found = conflicting_pairs(sites, exclusions, symmetry)
    images = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))
    for each in found:
        first, second = (np.flatnonzero(sites.site_orbit == orbit) for orbit in each.exclusion.orbits)
        near = set()
        for i, j in itertools.product(first, second):
            distance = np.linalg.norm((sites.fractional[j] - sites.fractional[i] + images) @ sites.cell, axis=1)
            if np.any((distance < each.exclusion.below) & (distance > 1e-3)):
                near.add((int(i), int(j)))
        pairs = set(map(tuple, each.sites.tolist()))
        assert pairs == near
        for permutation in symmetry:
            assert {(int(permutation[i]), int(permutation[j])) for i, j in pairs} == pairs

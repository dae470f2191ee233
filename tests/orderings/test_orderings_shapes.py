"""Shapes of supercells: published numbers of them, every lattice turned one by one, and near-cubic cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, li3ybr6, li3ycl6, primitive

from halion.errors import OrderingError
from halion.orderings import as_supercell, count_orderings, distinct_supercells, near_cubic_supercell
from halion.orderings.lattice import cell_count, hermite_form, image_distances, is_diagonal
from halion.orderings.shapes import hermite_forms, reduced_supercell


def lattice(group, *cell):
    return crystal(group, cell, [("A", (0, 0, 0), {"Ag": 0.5, "Au": 0.5})])


def cubic():
    return lattice("P m -3 m", 3, 3, 3, 90, 90, 90)


def face_centred():
    return primitive(lattice("F m -3 m", 4, 4, 4, 90, 90, 90))


def hexagonal():
    return lattice("P 6/m m m", 3, 3, 5, 90, 90, 120)


def tetragonal():
    return lattice("P 4/m m m", 3, 3, 5, 90, 90, 90)


@pytest.mark.parametrize(
    ("parent", "numbers"),
    [
        (face_centred(), [1, 2, 3, 7, 5, 10, 7, 20, 14, 18]),
        (cubic(), [1, 3, 3, 9, 5, 13, 7, 24, 14, 23]),
        (hexagonal(), [1, 3, 5, 11, 7, 19, 11, 34, 23, 33]),
        (tetragonal(), [1, 5, 5, 17, 9, 29, 13, 51, 28, 53]),
    ],
    ids=["fcc", "sc", "hex", "tet"],
)
def test_published_numbers_of_supercells(parent, numbers):
    """D12: Hart, Forcade, Phys. Rev. B 77, 224115 (2008), table 4."""
    assert [len(distinct_supercells(parent, n)) for n in range(1, 11)] == numbers


@pytest.mark.parametrize("n_cells", range(1, 13))
def test_all_lattices_are_listed_once(n_cells):
    """Their number is the sum over a d f = n of d f^2."""
    forms = hermite_forms(n_cells)
    divisors = [n for n in range(1, n_cells + 1) if n_cells % n == 0]
    expected = sum(d * (n_cells // (a * d)) ** 2 for a in divisors for d in divisors if n_cells % (a * d) == 0)
    assert len(set(forms)) == len(forms) == expected
    assert all(hermite_form(form) == form and cell_count(form) == n_cells for form in forms)


@pytest.mark.parametrize("parent", [li3ycl6(), li3ybr6(), face_centred(), tetragonal()])
@pytest.mark.parametrize("n_cells", [2, 3, 4, 6])
def test_every_lattice_is_turned_into_exactly_one_of_them(parent, n_cells):
    chosen = [hermite_form(one) for one in distinct_supercells(parent, n_cells)]
    assert len(set(chosen)) == len(chosen)
    for form in hermite_forms(n_cells):
        images = {hermite_form(as_supercell(np.array(form) @ r.T)) for r in np.unique(parent.rotations, axis=0)}
        assert len(images & set(chosen)) == 1


@pytest.mark.parametrize("parent", [li3ycl6(), li3ybr6(), face_centred(), cubic()])
@pytest.mark.parametrize("n_cells", [2, 3, 4, 5])
def test_they_are_repeats_or_reduced(parent, n_cells):
    """No vector of a reduced cell is made shorter by adding or taking away others."""
    for one in distinct_supercells(parent, n_cells):
        matrix = np.array(one)
        assert round(np.linalg.det(matrix)) == n_cells  # right-handed as the crystal
        if is_diagonal(one):
            continue
        vectors = matrix @ parent.cell
        lengths = np.linalg.norm(vectors, axis=1)
        for k, steps in itertools.product(range(3), itertools.product((-1, 0, 1), repeat=2)):
            others = [i for i in range(3) if i != k]
            moved = vectors[k] + np.array(steps) @ vectors[others]
            # equal lengths are equal to rounding
            assert np.linalg.norm(moved) >= lengths[k] - 1e-9
        assert lengths.min() == pytest.approx(image_distances(vectors[None])[0])


def test_repeats_stay_repeats():
    """1x1x2 of a monoclinic cell is shorter as [[1,0,0],[0,1,0],[1,0,2]], but everybody knows it as 1x1x2."""
    shapes = distinct_supercells(li3ybr6(), 2)
    assert {as_supercell(repeats) for repeats in [(1, 1, 2), (1, 2, 1), (2, 1, 1)]} < set(shapes)
    reduced = reduced_supercell(li3ybr6().cell, as_supercell((1, 1, 2)))
    assert hermite_form(reduced) == as_supercell((1, 1, 2))
    assert reduced == ((1, 0, 0), (0, 1, 0), (1, 0, 2))
    # a trigonal crystal knows no difference between 2x1x1 and 1x2x1
    assert as_supercell((2, 1, 1)) not in distinct_supercells(li3ycl6(), 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.integers(0, 10**6), st.integers(1, 5))
def test_equivalent_lattices_have_equal_counts(n_cells, seed, n_silver):
    """Another Hermite form, turned by an operation of the crystal and on another basis: the same two numbers."""
    rng = np.random.default_rng(seed)
    parent = (hexagonal(), tetragonal(), face_centred())[rng.integers(3)]
    forms = hermite_forms(n_cells)
    one = np.array(forms[rng.integers(len(forms))])
    turned = one @ parent.rotations[rng.integers(len(parent.rotations))].T
    shear = np.array([[1, rng.integers(-2, 3), 0], [0, 1, 0], [rng.integers(-2, 3), 0, 1]])
    counts = {"A": {"Ag": min(n_silver, n_cells), "Au": n_cells - min(n_silver, n_cells)}}
    first = count_orderings(parent, composed(parent, as_supercell(one), counts))
    second = count_orderings(parent, composed(parent, as_supercell(shear @ turned), counts))
    assert first == second


def test_derivative_structures_of_a_face_centred_lattice():
    """D11: 2, 2, 6, 19 primitive binary structures of n = 1 ... 4 atoms: those that are no smaller one repeated.

    All colourings of a lattice with n cells are counted; those of sublattices that repeat are taken off: a
    superperiodic one is a primitive one of a divisor of n, and each of these fits into some lattices of n.
    """
    parent = face_centred()
    found = {}
    for n in (1, 2, 3, 4):
        total = 0
        for shape in distinct_supercells(parent, n):
            for k in range(n + 1):
                composition = composed(parent, shape, {"A": {"Ag": k, "Au": n - k}})
                total += primitive_ones(parent, shape, composition)
        found[n] = total
    assert found == {1: 2, 2: 2, 3: 6, 4: 19}


def primitive_ones(parent, shape, composition):
    """Distinct colourings of one lattice that no translation inside it leaves as they are, listed one by one."""
    from halion.orderings.lattice import cell_numbers, cell_offsets
    from halion.orderings.sites import site_permutations

    n_cells = cell_count(as_supercell(shape))
    silver = composition.orbits[0].counts.get("Ag", 0)
    permutations = site_permutations(parent, shape, [0])
    offsets = cell_offsets(as_supercell(shape))
    shifts = [cell_numbers(as_supercell(shape), offsets + offset) for offset in offsets[1:]]
    classes = set()
    for chosen in itertools.combinations(range(n_cells), silver):
        if any(set(shift[list(chosen)].tolist()) == set(chosen) for shift in shifts):
            continue
        classes.add(min(tuple(sorted(permutation[list(chosen)].tolist())) for permutation in permutations))
    return len(classes)


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
def test_a_number_of_cells_is_whole_and_positive(wrong):
    with pytest.raises(OrderingError, match="whole number of cells"):
        distinct_supercells(cubic(), wrong)


def distance(cell, supercell):
    return image_distances((np.array(supercell) @ cell)[None])[0]


@pytest.mark.parametrize("least", [8.0, 11.0, 15.0, 18.0])
@pytest.mark.parametrize("parent", [li3ycl6(), li3ybr6()], ids=["Li3YCl6", "Li3YBr6"])
def test_the_smallest_cell_whose_images_are_far_enough_apart(parent, least):
    found = near_cubic_supercell(parent.cell, max_cells=20, min_image_angstrom=least)
    n_cells = cell_count(found)
    assert distance(parent.cell, found) >= least
    smaller = [form for n in range(1, n_cells) for form in hermite_forms(n)]
    assert all(distance(parent.cell, form) < least for form in smaller)
    same = [distance(parent.cell, form) for form in hermite_forms(n_cells)]
    assert distance(parent.cell, found) == pytest.approx(max(same))
    assert round(np.linalg.det(np.array(found))) == n_cells


def test_the_farthest_images_within_a_size():
    parent = li3ybr6()
    found = near_cubic_supercell(parent.cell, max_cells=8)
    best = max(distance(parent.cell, form) for n in range(1, 9) for form in hermite_forms(n))
    assert distance(parent.cell, found) == pytest.approx(best)
    # a distance out of reach gives the best there is
    assert near_cubic_supercell(parent.cell, max_cells=8, min_image_angstrom=100.0) == found


def test_a_flat_and_a_long_cell_become_cubes():
    assert near_cubic_supercell(np.diag([10.0, 10.0, 5.0]), max_cells=2) == as_supercell((1, 1, 2))
    assert near_cubic_supercell(np.diag([10.0, 5.0, 5.0]), max_cells=4, min_image_angstrom=10.0) == as_supercell(
        (1, 2, 2)
    )
    # sheared by whole cells, the same lattice
    sheared = np.array([[1, 0, 0], [0, 1, 0], [3, -2, 1]]) @ np.diag([10.0, 5.0, 5.0])
    found = near_cubic_supercell(sheared, max_cells=4, min_image_angstrom=10.0)
    assert np.sort(np.linalg.norm(np.array(found) @ sheared, axis=1)) == pytest.approx([10, 10, 10])


def test_one_cell_is_enough_when_it_is_large():
    assert near_cubic_supercell(np.eye(3) * 12, max_cells=8, min_image_angstrom=12.0) == as_supercell((1, 1, 1))


@pytest.mark.parametrize(("cell", "most"), [(np.eye(3), 0), (np.ones((3, 3)), 4)])
def test_no_cells_and_no_volume_are_refused(cell, most):
    with pytest.raises(OrderingError, match="at most"):
        near_cubic_supercell(cell, max_cells=most)

"""Whole-number lattices: Hermite forms, cells of a supercell, shortest lattice vectors, against naive ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.geometry import minkowski_reduce
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from halion.errors import OrderingError
from halion.orderings import as_supercell, supercell_name
from halion.orderings.lattice import (
    cell_count,
    cell_numbers,
    cell_offsets,
    hermite_form,
    image_distances,
    is_diagonal,
    keeps_lattice,
)

SKEWED = ((1, 0, 0), (0, 1, 0), (1, 0, 2))


@st.composite
def supercells(draw, largest=4):
    """Any non-singular matrix of small whole numbers."""
    rows = draw(st.lists(st.tuples(*[st.integers(-largest, largest)] * 3), min_size=3, max_size=3))
    assume(abs(np.linalg.det(np.array(rows))) > 0.5)
    return as_supercell(rows)


@st.composite
def unimodular(draw):
    """A product of row operations: another basis of the same lattice."""
    matrix = np.eye(3, dtype=int)
    for i, j, times in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-3, 3)), max_size=5)
    ):
        matrix[i] = -matrix[i] if i == j else matrix[i] + times * matrix[j]
    return matrix


def test_repeats_and_matrices():
    assert as_supercell((1, 1, 2)) == ((1, 0, 0), (0, 1, 0), (0, 0, 2))
    assert as_supercell(np.array([1, 2, 3])) == as_supercell([[1, 0, 0], [0, 2, 0], [0, 0, 3]])
    assert as_supercell(SKEWED) == as_supercell(np.array(SKEWED)) == SKEWED
    assert as_supercell(((-1, 0, 0), (0, 1, 0), (0, 0, 1)))[0] == (-1, 0, 0)
    assert all(type(n) is int for row in as_supercell(np.array(SKEWED)) for n in row)


def test_names():
    assert supercell_name((1, 1, 2)) == supercell_name(as_supercell((1, 1, 2))) == "1x1x2"
    assert supercell_name(SKEWED) == "[[1,0,0],[0,1,0],[1,0,2]]"
    assert supercell_name(((-1, 0, 0), (0, -1, 0), (0, 0, 1))) == "[[-1,0,0],[0,-1,0],[0,0,1]]"


@pytest.mark.parametrize(
    "wrong",
    [
        (0, 1, 1),
        (1, -1, 1),
        (1, 1),
        (1, 1.5, 1),
        ((1, 0, 0), (0, 1, 0)),
        ((1, 0, 0), (0, 1, 0), (1, 1, 0)),
        ((1, 0, 0), (0, 1, 0), (0, 0, 0.5)),
        ((1, 0, 0), (0, 1), (0, 0, 1)),
        ((2, 1, 1), (1, 2, 1), (3, 3, 2)),
        "1x1x2",
        (float("nan"), 1, 1),
        (float("inf"), 1, 1),
        None,
    ],
)
def test_what_is_no_supercell_is_refused(wrong):
    with pytest.raises(OrderingError, match="whole numbers") as caught:
        as_supercell(wrong)
    assert "supercell: [1, 1, 2]" in caught.value.fix


def test_a_singular_matrix_is_called_so():
    with pytest.raises(OrderingError, match="determinant is zero"):
        as_supercell(((1, 2, 3), (4, 5, 6), (7, 8, 9)))


@settings(deadline=None)
@given(supercells(), unimodular())
def test_one_lattice_has_one_hermite_form(supercell, change):
    form = np.array(hermite_form(supercell))
    assert hermite_form(as_supercell(change @ np.array(supercell))) == hermite_form(supercell)
    assert np.array_equal(form, np.triu(form))
    assert np.all(np.diagonal(form) > 0)
    for k in range(3):
        assert np.all((form[:k, k] >= 0) & (form[:k, k] < form[k, k]))
    # the same lattice: each is a whole combination of the other
    there = form @ np.linalg.inv(np.array(supercell))
    assert np.allclose(there, np.rint(there), atol=1e-9)  # entries below 1e3 over determinants below 1e3
    assert abs(round(np.linalg.det(there))) == 1
    assert cell_count(supercell) == abs(round(np.linalg.det(np.array(supercell))))


@settings(deadline=None)
@given(supercells(), st.tuples(*[st.integers(-50, 50)] * 3), st.tuples(*[st.integers(-3, 3)] * 3))
def test_every_lattice_point_is_one_of_the_cells(supercell, point, period):
    offsets = cell_offsets(supercell)
    assert len(offsets) == cell_count(supercell)
    assert np.array_equal(cell_numbers(supercell, offsets), np.arange(len(offsets)))
    number = cell_numbers(supercell, np.array(point))
    assert number == cell_numbers(supercell, np.array(point) + np.array(period) @ np.array(supercell))
    between = (np.array(point) - offsets[number]) @ np.linalg.inv(np.array(supercell))
    assert np.allclose(between, np.rint(between), atol=1e-9)


def test_cells_of_a_diagonal_supercell_are_counted_along_c_first():
    supercell = as_supercell((2, 1, 3))
    assert cell_offsets(supercell).tolist() == [[i, 0, k] for i in range(2) for k in range(3)]
    assert is_diagonal(supercell)
    assert not is_diagonal(SKEWED)
    assert not is_diagonal(as_supercell(((-1, 0, 0), (0, 1, 0), (0, 0, 1))))


@settings(deadline=None)
@given(supercells(), st.lists(st.tuples(*[st.integers(-1, 1)] * 9), min_size=1, max_size=4))
def test_an_operation_is_kept_when_it_maps_the_lattice_to_itself(supercell, entries):
    rotations = np.array(entries).reshape(-1, 3, 3)
    kept = keeps_lattice(rotations, supercell)
    for rotation, is_kept in zip(rotations, kept):
        images = np.array(supercell) @ rotation.T  # of the three vectors
        assert is_kept == all(cell_numbers(supercell, image) == 0 for image in images)


@settings(deadline=None)
@given(supercells(largest=2), st.integers(0, 10**6))
def test_the_shortest_distance_between_images(supercell, seed):
    """Against all combinations of the vectors, as far as a bound from the cell's heights says to look."""
    basis = np.eye(3) * 4 + np.random.default_rng(seed).uniform(-0.8, 0.8, size=(3, 3))
    cell = np.array(supercell) @ basis
    bound = np.linalg.norm(cell, axis=1).min()
    # a vector n @ cell has |n_k| <= its length over the k-th height
    most = np.floor(bound * np.linalg.norm(np.linalg.inv(cell), axis=0) + 1e-9).astype(int)
    steps = np.array(list(itertools.product(*(range(-m, m + 1) for m in most))))
    lengths = np.linalg.norm(steps @ cell, axis=1)
    shortest = lengths[np.any(steps != 0, axis=1)].min()
    assert image_distances(cell[None]) == pytest.approx([shortest], abs=1e-9)
    reduced, _ = minkowski_reduce(cell)
    assert np.linalg.norm(reduced, axis=1).min() == pytest.approx(shortest, abs=1e-9)


def test_a_needle_is_measured_across_and_not_along_its_edges():
    """All edges longer than 20 Angstrom, but points only 3 apart."""
    cell = np.array([[20.0, 0, 0], [20.0, 3.0, 0], [0, 0, 25.0]])
    assert image_distances(cell[None]) == pytest.approx([3.0])


def test_many_cells_at_once_are_each_measured_alone():
    cells = np.random.default_rng(0).normal(size=(200, 3, 3)) * 5
    together = image_distances(cells)
    assert np.array_equal(together, [image_distances(cell[None])[0] for cell in cells])
    assert together == pytest.approx([np.linalg.norm(minkowski_reduce(cell)[0], axis=1).min() for cell in cells])


@pytest.mark.parametrize(
    ("cell", "distance"),
    [
        (np.eye(3) * 5, 5.0),
        ([[0, 2, 2], [2, 0, 2], [2, 2, 0]], 8**0.5),  # face-centred
        ([[-2, 2, 2], [2, -2, 2], [2, 2, -2]], 12**0.5),  # body-centred: the half diagonal
        ([[3, 0, 0], [-1.5, 1.5 * 3**0.5, 0], [0, 0, 7]], 3.0),  # hexagonal
    ],
)
def test_image_distances_of_known_lattices(cell, distance):
    assert image_distances(np.array([cell], dtype=float)) == pytest.approx([distance])

"""Compiled neighbour lists against every image of every pair, in lattices of all shapes."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from halion.errors import InputError
from halion.potentials.cpu_engine import neighbour_list


def every_image(
    positions: np.ndarray, cell: np.ndarray, cutoff: float
) -> list[tuple[int, int, tuple[int, int, int]]]:
    """The oracle: all shifts that can matter, one by one. |shift_k| <= fractional distance + cutoff / height."""
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse
    spread = np.ptp(fractional, axis=0)
    reach = np.ceil(spread + cutoff * np.linalg.norm(inverse, axis=0)).astype(int)
    found = []
    for shift in itertools.product(*(range(-n, n + 1) for n in reach)):
        vectors = positions[:, None] - (positions[None] + np.array(shift) @ cell)
        for i, j in np.argwhere(np.linalg.norm(vectors, axis=-1) < cutoff):
            if i != j or any(shift):
                found.append((int(i), int(j), tuple(map(int, shift))))
    return sorted(found)


def as_tuples(pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[tuple[int, int, tuple[int, int, int]]]:
    return [(int(i), int(j), tuple(map(int, shift))) for i, j, shift in zip(*pairs, strict=True)]


def shortest_height(cell: np.ndarray) -> float:
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()


NUMBERS = st.floats(-1, 1, allow_subnormal=False)


@st.composite
def crystals(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A few atoms in a cell of 2 to 9 Angstrom, skewed at will, some atoms far outside it."""
    lengths = [draw(st.floats(2, 9)) for _ in range(3)]
    skew = np.array([draw(NUMBERS) for _ in range(9)]).reshape(3, 3)
    cell = np.diag(lengths) @ (np.eye(3) + skew)
    assume(abs(np.linalg.det(cell)) > 8 and shortest_height(cell) > 0.8)
    n = draw(st.integers(1, 5))
    fractional = np.array([draw(st.floats(-3, 3, allow_subnormal=False)) for _ in range(3 * n)]).reshape(n, 3)
    return fractional @ cell, cell


@settings(max_examples=60, deadline=None)
@given(crystals(), st.sampled_from([1.5, 3.0, 6.0]))
@example((np.zeros((1, 3)), np.diag([2.0, 3.0, 20.0])), 6.0)  # images of the third order along one axis
@example((np.array([[0.0, 0, 0], [0, 0, 0]]), np.diag([5.0] * 3)), 3.0)  # two atoms on one point are a pair
def test_every_image_within_the_cutoff_is_found_once_and_in_order(crystal, cutoff):
    positions, cell = crystal
    # A pair at the cutoff itself, to rounding, may be seen on either side of it.
    found, expected = as_tuples(neighbour_list(positions, cell, cutoff)), every_image(positions, cell, cutoff)
    assert found == sorted(found)
    for i, j, shift in set(found) ^ set(expected):
        distance = np.linalg.norm(positions[i] - positions[j] - np.array(shift) @ cell)
        assert abs(distance - cutoff) < 1e-12
    assert len(set(found)) == len(found)


@settings(max_examples=40, deadline=None)
@given(crystals())
def test_every_pair_is_seen_from_both_ends(crystal):
    pairs = as_tuples(neighbour_list(*crystal, 6.0))
    assert {(j, i, tuple(-s for s in shift)) for i, j, shift in pairs} == set(pairs)


@settings(max_examples=40, deadline=None)
@given(crystals(), st.lists(st.integers(-40, 40), min_size=15, max_size=15))
def test_moving_atoms_to_other_images_changes_shifts_alone(crystal, moves):
    positions, cell = crystal
    moves = np.array(moves).reshape(5, 3)[: len(positions)]
    # Closer to the cutoff than the rounding of far positions, a pair may fall on either side.
    distances = [
        np.linalg.norm(positions[i] - positions[j] - np.array(s) @ cell)
        for i, j, s in every_image(positions, cell, 6.1)
    ]
    assume(np.abs(np.array([*distances, 0.0]) - 6).min() > 1e-9)
    centres, neighbours, shifts = neighbour_list(positions, cell, 6.0)
    moved_centres, moved_neighbours, moved_shifts = neighbour_list(positions + moves @ cell, cell, 6.0)
    np.testing.assert_array_equal(moved_centres, centres)
    np.testing.assert_array_equal(moved_neighbours, neighbours)
    np.testing.assert_array_equal(moved_shifts, shifts + moves[centres] - moves[neighbours])


def test_a_needle_and_a_plate():
    """Cells far smaller than the cutoff along one or two axes, and a skew of many cells."""
    rng = np.random.default_rng(0)
    for cell in (
        np.diag([1.3, 1.1, 40.0]),
        np.diag([1.2, 30.0, 25.0]),
        np.array([[3.0, 0, 0], [14.0, 3.0, 0], [-11.0, 9.0, 4.0]]),
    ):
        positions = rng.random((3, 3)) @ cell
        assert as_tuples(neighbour_list(positions, cell, 6.0)) == every_image(positions, cell, 6.0)


def test_as_many_boxes_as_a_large_cell_has():
    """A cell of many boxes, where most pairs are of different boxes; counted by another code."""
    rng = np.random.default_rng(1)
    cell = np.array([[31.0, 0, 0], [5.0, 24.0, 0], [-3.0, 4.0, 27.0]])
    positions = rng.random((400, 3)) @ cell
    centres, neighbours, shifts = neighbour_list(positions, cell, 6.0)
    structure = Structure(Lattice(cell), ["Li"] * 400, positions, coords_are_cartesian=True)
    their_centres, their_neighbours, their_shifts, _ = structure.get_neighbor_list(6.0)
    # pymatgen's images belong to fractional coordinates; these positions are all inside the cell, so do ours.
    ours = sorted(zip(centres, neighbours, map(tuple, shifts), strict=True))
    theirs = sorted(zip(their_centres, their_neighbours, map(tuple, their_shifts.astype(int)), strict=True))
    assert ours == theirs


def test_no_neighbours_and_no_atoms():
    for positions in (np.zeros((1, 3)), np.zeros((0, 3))):
        centres, neighbours, shifts = neighbour_list(positions, np.diag([20.0] * 3), 6.0)
        assert (centres.shape, neighbours.shape, shifts.shape) == ((0,), (0,), (0, 3))


@pytest.mark.parametrize(
    ("positions", "cell", "cutoff"),
    [
        ([[np.nan, 0, 0]], np.eye(3), 3.0),
        ([[0.0, 0, 0]], np.diag([1.0, 1.0, np.inf]), 3.0),
        ([[0.0, 0, 0]], [[1.0, 0, 0], [0, 1, 0], [1, 1, 0]], 3.0),
        ([[0.0, 0, 0]], np.eye(3), 0.0),
    ],
)
def test_what_has_no_neighbour_list_is_refused(positions, cell, cutoff):
    with pytest.raises(InputError):
        neighbour_list(np.array(positions), np.array(cell), cutoff)

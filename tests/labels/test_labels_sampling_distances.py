"""Distances between frames: against loops over atoms and images, known values, invariances, and as a metric."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import CELLS, as_frames, naive_matrix, random_frames, shortest_image

from halion.errors import TrajectoryError
from halion.labels import position_error
from halion.labels.position_error import FrameSet, PositionErrors

# Double precision on coordinates of some ten Angstrom.
EXACT = 1e-10
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=20, deadline=None)


def errors_of(frames: FrameSet, framework: tuple[str, ...] = ("Cl",)) -> PositionErrors:
    mask = np.isin(frames.symbols, framework) if framework else None
    return PositionErrors(frames.positions, frames.cells, translated_with=mask)


def matrix(frames: FrameSet, framework: tuple[str, ...] = ("Cl",)) -> np.ndarray:
    errors = errors_of(frames, framework)
    return np.array([errors.to_frame(k) for k in range(frames.n_frames)])


def changed(frames: FrameSet, positions: np.ndarray) -> FrameSet:
    return as_frames(positions, frames.cells, frames.symbols)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("framework", "strain"), [((), 0.0), (("Cl",), 0.0), (("Cl",), 0.03)])
def test_equals_the_loop(cell, framework, strain):
    frames = random_frames(7, 6, cell=cell, strain=strain)
    np.testing.assert_allclose(matrix(frames, framework), naive_matrix(frames, framework), rtol=0, atol=EXACT)


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=60, deadline=None)
@given(fractional=st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_images_are_the_shortest_of_all(cell, fractional):
    """One atom that moves beside one that does not: d^2 = |shortest image|^2 / 2. The skewed cell needs many images
    of its own basis, which the loop takes: eight cells to each side."""
    vector = np.array(fractional) @ CELLS[cell]
    positions = np.zeros((2, 2, 3))
    positions[1, 0] = vector
    found = matrix(as_frames(positions, CELLS[cell], ("Li", "Cl")))[0, 1]
    expected = np.linalg.norm(shortest_image(vector, CELLS[cell], reach=8)) / np.sqrt(2)
    assert found == pytest.approx(expected, abs=EXACT)


def test_one_atom_moved():
    """Of N atoms one moves by x: x/sqrt(N) against the others; with its own part taken off, x sqrt(N - 1) / N."""
    n, x = 5, 0.8
    positions = np.tile(np.random.default_rng(0).random((n, 3)) * 5, (2, 1, 1))
    positions[1, 0, 1] += x
    frames = as_frames(positions, CELLS["cubic"], ("Li",) + ("Cl",) * (n - 1))
    assert matrix(frames)[0, 1] == pytest.approx(x / np.sqrt(n), abs=EXACT)
    assert matrix(frames, ())[0, 1] == pytest.approx(x * np.sqrt(n - 1) / n, abs=EXACT)


def test_frames_with_the_same_fractional_coordinates_are_one():
    frames = random_frames(2, 6, strain=0.1)
    fractional = frames.positions[0] @ np.linalg.inv(frames.cells[0])
    assert matrix(as_frames(fractional @ frames.cells, frames.cells, frames.symbols)).max() < EXACT


def test_cells_are_averaged():
    """A displacement of a tenth of the cell, in cells of 9 and 11 Angstrom: a tenth of the mean, 10."""
    cells = np.array([9.0 * np.eye(3), 11.0 * np.eye(3)])
    fractional = np.zeros((2, 2, 3))
    fractional[1, 0, 2] = 0.1
    assert matrix(as_frames(fractional @ cells, cells, ("Li", "Cl")))[0, 1] == pytest.approx(1 / np.sqrt(2))


@FEW
@given(seed=SEEDS, cell=st.sampled_from(list(CELLS)), strain=st.sampled_from([0.0, 0.03]))
def test_translation_and_wrapping_of_any_frame_change_nothing(seed, cell, strain):
    frames = random_frames(5, 9, cell=cell, strain=strain, seed=seed)
    rng = np.random.default_rng(seed)
    steps = rng.integers(-3, 4, size=frames.positions.shape).astype(float)
    moved = frames.positions + rng.normal(scale=20, size=(5, 1, 3)) + steps @ frames.cells
    np.testing.assert_allclose(matrix(changed(frames, moved)), matrix(frames), rtol=0, atol=1e-9)


@FEW
@given(seed=SEEDS)
def test_the_order_of_atoms_changes_nothing(seed):
    frames = random_frames(5, 9, seed=seed)
    order = np.random.default_rng(seed).permutation(9)
    other = as_frames(frames.positions[:, order], frames.cells, tuple(np.array(frames.symbols)[order]))
    np.testing.assert_allclose(matrix(other), matrix(frames), rtol=0, atol=EXACT)


@FEW
@given(seed=SEEDS, axis=st.integers(0, 2))
def test_a_doubled_cell_changes_nothing(seed, axis):
    """Displacements well below half a cell, so that the shortest image of the small cell is the large one's."""
    rng = np.random.default_rng(seed)
    cell = CELLS["triclinic"]
    positions = rng.random((6, 3)) @ cell + rng.uniform(-0.4, 0.4, size=(5, 6, 3))
    frames = as_frames(positions, cell, ("Li",) * 2 + ("Cl",) * 4)
    doubled = cell.copy()
    doubled[axis] *= 2
    both = np.concatenate([positions, positions + cell[axis]], axis=1)
    np.testing.assert_allclose(
        matrix(as_frames(both, doubled, frames.symbols * 2)), matrix(frames), rtol=0, atol=EXACT
    )


@FEW
@given(seed=SEEDS, cell=st.sampled_from(list(CELLS)))
def test_it_is_a_metric(seed, cell):
    """Symmetric, zero to itself, and no detour is shorter: what the bound of the greedy choice rests on."""
    d = matrix(random_frames(7, 6, cell=cell, walk=1.5, seed=seed))
    np.testing.assert_allclose(d, d.T, rtol=0, atol=EXACT)
    assert np.diag(d).max() < EXACT
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + EXACT).all()


@FEW
@given(seed=SEEDS)
def test_the_mean_frame(seed):
    """Of frames that stay within a quarter of a cell of the first, the mean is the plain one."""
    rng = np.random.default_rng(seed)
    positions = rng.random((6, 3)) * 5 + rng.uniform(-0.5, 0.5, size=(8, 6, 3))
    framework = positions[:, 2:].mean(axis=1, keepdims=True)
    aligned = positions - framework
    expected = np.sqrt(((aligned - aligned.mean(axis=0)) ** 2).sum(axis=2).mean(axis=1))
    wrapped = positions + 5.0 * rng.integers(-2, 3, size=positions.shape)
    frames = as_frames(wrapped, CELLS["cubic"], ("Li",) * 2 + ("Cl",) * 4)
    np.testing.assert_allclose(errors_of(frames).to_mean(), expected, rtol=0, atol=EXACT)


def test_blocks_change_nothing(monkeypatch):
    frames = random_frames(23, 6, strain=0.02)
    at_once = errors_of(frames)
    monkeypatch.setattr(position_error, "_ATOMS_PER_BLOCK", 30)
    in_blocks = errors_of(frames)
    np.testing.assert_allclose(in_blocks.to_frame(4), at_once.to_frame(4), rtol=0, atol=EXACT)
    np.testing.assert_allclose(in_blocks.to_mean(), at_once.to_mean(), rtol=0, atol=EXACT)


def test_memory_is_one_more_array_of_positions():
    frames = random_frames(20_000, 30)
    size = frames.positions.nbytes
    tracemalloc.start()
    errors = errors_of(frames)
    errors.to_mean()
    errors.to_frame(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The fractional coordinates, cells and their inverses (a tenth each of 30 positions), blocks.
    assert size < peak < 1.6 * size + 10 * 2**20


def test_refusals():
    frames = random_frames(4, 6)
    for what in ("positions", "cells"):
        arrays = {"positions": frames.positions.copy(), "cells": np.array(frames.cells)}
        arrays[what][2, 0, 1] = np.nan
        with pytest.raises(TrajectoryError, match="not a finite number") as told:
            PositionErrors(**arrays)
        assert told.value.where == "frame 2"
    flat = np.array(frames.cells)
    flat[3, 2] = flat[3, 0] + flat[3, 1]
    with pytest.raises(TrajectoryError, match="no three-dimensional cell") as told:
        PositionErrors(frames.positions, flat)
    assert told.value.where == "frame 3"
    with pytest.raises(TrajectoryError, match="no frames"):
        PositionErrors(frames.positions[:0], frames.cells[:0])
    with pytest.raises(TrajectoryError, match="no frames"):
        PositionErrors(frames.positions[:, :0], frames.cells)
    with pytest.raises(TrajectoryError, match="no atom is left"):
        PositionErrors(frames.positions, frames.cells, translated_with=np.zeros(6, dtype=bool))


def test_atoms_that_moved_every_way_define_no_translation():
    positions = np.zeros((3, 2, 3))
    positions[1, 0, 0] = 2.5  # half the cell: to the left or to the right?
    with pytest.raises(TrajectoryError, match="mean displacement is not defined") as told:
        errors_of(as_frames(positions, CELLS["cubic"], ("Cl", "Cl")))
    assert told.value.where.startswith("frame 1")

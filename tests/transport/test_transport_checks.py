"""Trajectories that nothing may be computed from: what happens between two of their frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import SETTINGS, in_framework, lattice_walk, trajectory, walk

from halion.errors import TrajectoryError
from halion.transport import analyse_run
from halion.transport.checks import refuse_unusable

TRICLINIC = np.array([[12.0, 0, 0], [3.0, 11.0, 0], [-2.0, 2.0, 13.0]])


def brownian(n_frames=2200):
    """Every atom moves in every step; longer than two blocks of frames."""
    steps = np.random.default_rng(0).normal(0, 0.1, (n_frames, 12, 3))
    return trajectory(np.cumsum(steps, axis=0), ("Li",) * 6 + ("Cl",) * 6, cell=TRICLINIC)


@settings(deadline=None, max_examples=20)
@given(frame=st.integers(1, 2199), axis=st.integers(0, 2), size=st.floats(0.55, 3.0))
def test_a_jump_longer_than_half_a_cell_is_named(frame, axis, size):
    whole = brownian()
    positions = whole.positions.copy()
    positions[frame:, 4] += size * TRICLINIC[axis]
    with pytest.raises(TrajectoryError, match=f"between frames {frame - 1} and {frame}:") as caught:
        refuse_unusable(replace(whole, positions=positions), "Li")
    assert "store frames more often" in caught.value.fix


@pytest.mark.parametrize("size", [0.2, 0.4])
def test_a_jump_shorter_than_half_a_cell_may_be_motion(size):
    whole = brownian()
    positions = whole.positions.copy()
    positions[500:, 4] += size * TRICLINIC[1]
    refuse_unusable(replace(whole, positions=positions), "Li")


@pytest.mark.parametrize("frame", [0, 1023, 1024, 2197])
def test_a_frame_stored_twice_is_named(frame):
    """At a restart, with times that go on evenly: also where two blocks of frames meet."""
    whole = brownian()
    positions = whole.positions.copy()
    positions[frame + 1] = positions[frame]
    with pytest.raises(TrajectoryError, match=f"frames {frame} and {frame + 1} hold the same positions"):
        refuse_unusable(replace(whole, positions=positions), "Li")


def test_ions_of_a_lattice_model_may_rest():
    """No framework vibrates here, so most frames equal the one before: that is the model and no mistake."""
    still = trajectory(lattice_walk(0, n_ions=6, n_frames=400, rate=0.01), ("Li",) * 6)
    refuse_unusable(still, "Li")


def test_a_fixed_framework_is_no_mistake():
    """Ions move in every step, a rigid framework never does."""
    moving = brownian()
    positions = moving.positions.copy()
    positions[:, 6:] = positions[0, 6:]
    refuse_unusable(replace(moving, positions=positions), "Li")


def test_one_frame_is_too_few():
    one = in_framework(lattice_walk(0, n_ions=4, n_frames=1, rate=0.1))
    with pytest.raises(TrajectoryError, match="1 frames are too few"):
        refuse_unusable(one, "Li")


def test_a_breathing_cell_does_not_look_like_a_jump():
    plain = walk(1, n_frames=300)
    scale = (1 + 0.05 * np.sin(np.arange(300)))[:, None, None]
    breathing = replace(plain, positions=(plain.positions + 60.0) * scale, cells=plain.cells * scale)
    assert analyse_run(breathing, SETTINGS).n_frames == 300
    # Ten cells away it carries atoms by half a cell, which none of them moves.
    far = replace(plain, positions=(plain.positions + 600.0) * scale, cells=plain.cells * scale)
    assert np.abs(np.diff(far.positions, axis=0)).max() > 0.5 * plain.cells[0, 0, 0]
    assert analyse_run(far, SETTINGS).n_frames == 300


@pytest.mark.parametrize("frame", [0, 1023, 1024, 2199])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_position_that_is_no_number_is_named(frame, wrong):
    whole = brownian()
    positions = whole.positions.copy()
    positions[frame, 7, 2] = wrong
    with pytest.raises(TrajectoryError, match=f"frame {frame} holds a position or cell that is not a number"):
        refuse_unusable(replace(whole, positions=positions), "Li")


def test_two_infinities_that_cancel_are_no_numbers_either():
    whole = brownian()
    positions = whole.positions.copy()
    positions[1500, 7, :2] = np.inf, -np.inf
    with pytest.raises(TrajectoryError, match="frame 1500 holds"):
        refuse_unusable(replace(whole, positions=positions), "Li")

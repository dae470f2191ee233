"""Mean squared displacement: the FFT against the double loop, closed forms, and what may not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import in_framework, lattice_walk, trajectory

from halion.transport.msd import framework_drift, msd_tensor, without_drift


def naive(positions: np.ndarray) -> np.ndarray:
    """The definition, lag by lag."""
    n_frames, n_ions = positions.shape[:2]
    tensor = np.zeros((n_frames, 3, 3))
    for lag in range(1, n_frames):
        step = positions[lag:] - positions[:-lag]
        tensor[lag] = np.einsum("tna,tnb->ab", step, step) / (n_ions * (n_frames - lag))
    return tensor


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n_frames=st.integers(2, 40), n_ions=st.integers(1, 20))
def test_fft_equals_the_double_loop(seed, n_frames, n_ions):
    positions = np.cumsum(np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)), axis=0)
    # Both sum some 1e4 terms of order 10 to 100 in double precision.
    assert np.allclose(msd_tensor(positions), naive(positions), rtol=1e-9, atol=1e-9)


def test_fewer_lags_are_the_first_of_all_lags():
    positions = lattice_walk(0, n_ions=5, n_frames=60, rate=0.3)
    assert np.allclose(msd_tensor(positions, 17), msd_tensor(positions)[:17], rtol=1e-12)
    assert np.allclose(msd_tensor(positions, 1000), msd_tensor(positions), rtol=1e-12)


def test_ballistic_motion_is_v2_t2():
    velocity = np.array([0.3, -0.2, 0.1])
    positions = np.arange(5001)[:, None, None] * velocity
    tensor = msd_tensor(positions, 2500)
    lags = np.arange(2500)
    # S1 - S2 cancels eight digits at short lags of a path that is 1900 Angstrom long.
    assert np.allclose(tensor, lags[:, None, None] ** 2 * np.outer(velocity, velocity), rtol=1e-9, atol=1e-6)


def test_far_from_the_origin_no_digits_are_lost():
    positions = lattice_walk(1, n_ions=4, n_frames=300, rate=0.2)
    far = positions + np.array([1e5, -2e5, 3e5])
    # 1e5 Angstrom leaves 1e-11 of double precision; squares of displacements lose no more than 1e-9.
    assert np.allclose(msd_tensor(far), msd_tensor(positions), atol=1e-8)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_rotation_turns_the_tensor(seed):
    rng = np.random.default_rng(seed)
    positions = np.cumsum(rng.normal(size=(30, 6, 3)) * [1.0, 0.3, 0.1], axis=0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = msd_tensor(positions @ rotation.T)
    assert np.allclose(turned, rotation @ msd_tensor(positions) @ rotation.T, atol=1e-9)


def test_ions_may_come_in_any_order():
    positions = lattice_walk(2, n_ions=21, n_frames=50, rate=0.4)
    shuffled = positions[:, np.random.default_rng(0).permutation(21)]
    assert np.allclose(msd_tensor(shuffled), msd_tensor(positions), rtol=1e-12)


def test_drift_of_everything_is_removed_and_reported():
    still = in_framework(lattice_walk(3, n_ions=8, n_frames=200, rate=0.1), vibration=0.0)
    path = np.arange(200)[:, None, None] * np.array([0.02, 0.0, -0.01]) + np.sin(np.arange(200) / 7)[:, None, None]
    drifting = trajectory(still.positions + path, still.symbols)
    assert np.abs(without_drift(drifting, "Li") - without_drift(still, "Li")).max() < 1e-10
    expected = path[-1, 0] - path[0, 0]
    assert framework_drift(drifting, "Li")[-1] == pytest.approx(expected, abs=1e-10)


def test_an_all_mobile_cell_uses_its_own_centre():
    positions = lattice_walk(4, n_ions=6, n_frames=100, rate=0.2)
    all_li = trajectory(positions, ("Li",) * 6)
    free = without_drift(all_li, "Li")
    assert np.abs(free.mean(axis=1) - free.mean(axis=1)[0]).max() < 1e-10


def test_a_breathing_cell_is_no_motion():
    rng = np.random.default_rng(0)
    fractional = rng.random((10, 3))
    scale = 1 + 0.02 * np.sin(np.arange(150) / 5)
    cell = np.array([[12.0, 0, 0], [1.0, 11.0, 0], [0.5, -1.0, 13.0]])
    cells = scale[:, None, None] * cell
    positions = np.einsum("nj,tjk->tnk", fractional, cells)
    breathing = trajectory(positions, ("Li",) * 4 + ("Cl",) * 6, cell=cells)
    free = without_drift(breathing, "Li")
    assert np.abs(free - free[0]).max() < 1e-10

"""Displacements gathered while a run moves: against the double loop over the same origins, killed or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from dynamics_cases import copper, emt, stage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dynamics_kill import kill_at_random
from test_dynamics_run import StopAfter, assert_same, assert_same_state

from halion.dynamics import Correlator, MdRun, open_trajectory, read_correlation, run_batch, run_stage
from halion.errors import InputError, Interrupted, RunFolderError, TrajectoryError

KEPT, STRIDE = 16, 4  # as in the docstring of halion.dynamics.correlator


def naive(symbols, positions, cells):
    """The definition: lag -> (origins, own, together), in the mean cell, over origins that are multiples of 4^l."""
    elements = sorted(set(symbols))
    chosen = [[k for k, symbol in enumerate(symbols) if symbol == element] for element in elements]
    mean = np.mean(cells, axis=0)
    placed = np.array([r @ np.linalg.inv(c) @ mean for r, c in zip(positions, cells, strict=True)])
    found = {}
    level = 0
    while STRIDE**level < len(placed):
        for j in range(1 if level == 0 else STRIDE, KEPT):
            lag, step = j * STRIDE**level, STRIDE**level
            moves = [placed[t + lag] - placed[t] for t in range(0, len(placed) - lag, step)]
            if moves:
                own = [
                    np.mean([[np.outer(x, x) for x in move[of]] for move in moves], axis=(0, 1)) for of in chosen
                ]
                sums = [[move[of].sum(axis=0) for of in chosen] for move in moves]
                together = np.mean([[[np.outer(a, b) for b in both] for a in both] for both in sums], axis=0)
                found[lag] = (len(moves), np.array(own), together)
        level += 1
    return found


def assert_equal(found, expected):
    assert list(found.lags) == sorted(expected)
    for k, lag in enumerate(found.lags):
        origins, own, together = expected[lag]
        assert found.origins[k] == origins
        # Sums of some thousand products of a few Angstrom^2, to and from fractional coordinates.
        assert np.allclose(found.own[k], own, rtol=1e-9, atol=1e-10)
        assert np.allclose(found.together[k], together, rtol=1e-9, atol=1e-10)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), n_samples=st.integers(1, 300), breathes=st.booleans())
def test_it_is_the_double_loop_over_its_origins(seed, n_samples, breathes):
    rng = np.random.default_rng(seed)
    symbols = ("Li", "Cl", "Li", "Y", "Cl")
    positions = np.cumsum(rng.normal(0, 0.5, (n_samples, 5, 3)) * [1.0, 0.5, 0.2], axis=0)
    cell = np.array([[6.0, 0, 0], [1.5, 5.0, 0], [-1.0, 0.7, 7.0]])
    cells = cell * (1 + breathes * 0.02 * rng.normal(size=(n_samples, 1, 1)))
    correlator = Correlator(symbols, 1)
    for r, c in zip(positions, cells, strict=True):
        correlator.add(r, c)
    found = correlator.result(0.1)
    assert (found.elements, found.n_atoms, found.n_samples) == (("Cl", "Li", "Y"), (2, 2, 1), n_samples)
    assert np.allclose(found.cell, cells.mean(axis=0))
    assert_equal(found, naive(symbols, positions, cells))


def test_lags_reach_far_and_stand_close_enough():
    """Over 5000 samples: up to a fifth of the run, neighbours within a quarter, origins in every quarter of it."""
    correlator = Correlator(("Li",), 1)
    for k in range(5000):
        correlator.add(np.full((1, 3), 0.01 * k), np.eye(3))
    found = correlator.result(1.0)
    assert (np.diff(found.lags) > 0).all() and found.lags[-1] >= 1000
    assert (found.lags[4:] / found.lags[3:-1] <= 1.25 + 1e-12).all()
    assert (found.origins >= (5000 - found.lags) // np.maximum(found.lags // 4, 1)).all()
    # Motion at a constant velocity: MSD = 3 v^2 lag^2; sums in double precision of numbers up to 50 Angstrom.
    msd = np.trace(found.own[:, 0], axis1=1, axis2=2)
    assert np.allclose(msd, 3 * (0.01 * found.lags) ** 2, rtol=1e-9)


def test_memory_grows_with_the_logarithm():
    correlator, sizes = Correlator(("Li", "Cl"), 1), {}
    for k in range(4096):
        correlator.add(np.zeros((2, 3)), np.eye(3))
        if k + 1 in (64, 256, 1024, 4096):
            sizes[k + 1] = sum(array.nbytes for array in correlator.state().values())
    steps = np.diff([sizes[n] for n in (64, 256, 1024, 4096)])
    assert len(set(steps)) == 1 and steps[0] > 0


CORRELATED = {
    "nvt": stage("nvt", n_steps=140, correlate_every_steps=2),
    "npt": stage("npt", n_steps=140, correlate_every_steps=2, pressure_gpa=1.0),
}


def alloy() -> Atoms:
    atoms = copper()
    atoms.numbers[[1, 4]] = 13
    return atoms


def assert_same_correlation(one, other):
    for name in ("lags", "origins", "own", "together", "cell", "n_samples", "sample_ps"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("kind", CORRELATED)
def test_of_a_run_it_is_the_double_loop_over_its_frames(kind, tmp_path):
    """All samples stored too, as float32 of up to 8 Angstrom: 5e-7, so 1e-6 of displacements of 1 Angstrom."""
    dense = replace(CORRELATED[kind], store_every_steps=2)
    trajectory = run_stage(tmp_path, alloy(), emt(), dense)
    found = read_correlation(tmp_path)
    assert (found.n_samples, found.sample_ps) == (71, pytest.approx(0.004))
    assert (found.elements, found.n_atoms) == (("Al", "Cu"), (2, 6))
    assert np.allclose(found.cell, trajectory.cells.mean(axis=0), rtol=1e-12)
    expected = naive(trajectory.symbols, trajectory.positions, trajectory.cells)
    assert list(found.lags) == sorted(expected)
    for k, lag in enumerate(found.lags):
        assert np.allclose(found.own[k], expected[lag][1], atol=3e-6)
        assert np.allclose(found.together[k], expected[lag][2], atol=3e-5)


@pytest.mark.parametrize("kind", CORRELATED)
def test_in_parts_it_ends_in_the_same_bits(kind, tmp_path):
    """Stopped between samples, lengthened from half: N and N steps are 2 N, frames and displacements."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_stage(whole, alloy(), emt(), CORRELATED[kind])
    with pytest.raises(Interrupted):
        run_stage(parts, alloy(), emt(), replace(CORRELATED[kind], n_steps=70), stop=StopAfter(33))
    half = read_correlation(parts)
    assert half.n_samples == 33 // 2 + 1
    run_stage(parts, alloy(), emt(), replace(CORRELATED[kind], n_steps=70))
    assert read_correlation(parts).n_samples == 36
    assert_same(run_stage(parts, alloy(), emt(), CORRELATED[kind]), open_trajectory(whole))
    assert_same_state(parts, whole)
    assert_same_correlation(read_correlation(parts), read_correlation(whole))


def test_killed_at_random_it_ends_in_the_same_bits(tmp_path: Path):
    wanted = replace(CORRELATED["nvt"], n_steps=120)
    run_stage(tmp_path / "whole", copper(), emt(), wanted)
    rng, n_kills = np.random.default_rng(5), 0
    for attempt in range(20):
        folder = tmp_path / f"killed-{attempt}"
        n_kills += kill_at_random(folder, wanted, rng, 0.3)
        assert_same_correlation(read_correlation(folder), read_correlation(tmp_path / "whole"))
        if n_kills >= 2:
            return
    raise AssertionError("no run could be killed before it ended")


def test_neighbours_in_the_batch_do_not_matter(tmp_path):
    """Runs that correlate at different steps, and one that does not."""
    stages = [
        replace(CORRELATED["nvt"], n_steps=60),
        stage("nvt", n_steps=30),
        stage("nvt", n_steps=50, correlate_every_steps=3),
    ]
    runs = [MdRun(folder=tmp_path / str(k), atoms=alloy(), stage=one) for k, one in enumerate(stages)]
    assert run_batch(runs, emt()) == [None, None, None]
    run_stage(tmp_path / "alone", alloy(), emt(), stages[2])
    assert_same_correlation(read_correlation(tmp_path / "2"), read_correlation(tmp_path / "alone"))
    assert read_correlation(tmp_path / "0").n_samples == 31


def test_a_run_without_says_so(tmp_path):
    run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=20))
    with pytest.raises(TrajectoryError, match="has not gathered displacements") as caught:
        read_correlation(tmp_path)
    assert "correlate_every_steps" in caught.value.fix
    # It cannot be gathered from the middle of a run: its first half would be missing.
    with pytest.raises(RunFolderError):
        run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=40, correlate_every_steps=2))


def test_nothing_and_nonsense_are_refused(tmp_path):
    with pytest.raises(TrajectoryError):
        read_correlation(tmp_path / "nowhere")
    with pytest.raises(InputError, match="correlate_every_steps is 0"):
        run_stage(tmp_path, copper(), emt(), stage("nvt", correlate_every_steps=0))

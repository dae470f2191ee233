"""Stretches of steps where the potential lives: bit for bit the host's steps, and bad runs are named as there.

The device of these tests is numpy with the same potential, so nothing but the way there is different; a real one is
asked in tests/potentials/test_potentials_gpu_stretch.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from dynamics_cases import OneByOne, copper, emt, stage
from test_dynamics_batch import KINDS, runs_in
from test_dynamics_run import assert_same, assert_same_state

from halion.arrays import FloatArray, IntArray
from halion.dynamics import MdRun, MdStage, open_trajectory, read_correlation, run_batch, run_stage
from halion.errors import PhysicsRefusal
from halion.potentials import Evaluation


class Numpy:
    """A device whose arrays are numpy's."""

    xp = np

    def __init__(self, potential: Elsewhere, numbers: IntArray, counts: IntArray) -> None:
        self.potential, self.numbers, self.counts = potential, numbers, counts
        self.starts = np.cumsum(counts) - counts

    def put(self, array: FloatArray) -> FloatArray:
        return np.array(array)

    get = put

    def sum_over_structures(self, values: FloatArray) -> FloatArray:
        return np.add.reduceat(values, self.starts, axis=0)

    def evaluate(self, positions: FloatArray, cells: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        result = self.potential.evaluate_arrays(self.numbers, positions, cells, self.counts)
        return result.energies, result.forces, result.virials

    def begin(self, step, state) -> None:
        self.step, self.state = step, tuple(state)

    def advance(self, n_steps: int) -> tuple[FloatArray, ...]:
        self.potential.stretches.append(n_steps)
        for _ in range(n_steps):
            self.state = tuple(self.step(self.state))
        return self.state


class Elsewhere(OneByOne):
    """EMT on that device."""

    def __init__(self) -> None:
        self.inner = emt()
        self.name, self.weights_sha256 = self.inner.name, self.inner.weights_sha256
        self.elements, self.stretches = self.inner.elements, []

    def evaluate(self, atoms: Atoms) -> Evaluation:
        return self.inner.evaluate(atoms)

    def steps_on_device(self, numbers: IntArray, counts: IntArray) -> Numpy:
        return Numpy(self, numbers, counts)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    for run in runs_in(folder):
        run_stage(run.folder, run.atoms, emt(), run.stage)
    return folder


@pytest.mark.parametrize("at_once", [1, 6])
def test_stretches_are_the_steps_of_the_host(at_once: int, alone: Path, tmp_path: Path) -> None:
    """All ensembles, a heating run, runs that end and are replaced: frames and last states to the last bit."""
    potential = Elsewhere()
    assert run_batch(runs_in(tmp_path), potential, at_once=at_once) == [None] * len(KINDS)
    for k in range(len(KINDS)):
        assert_same(open_trajectory(tmp_path / f"{k}"), open_trajectory(alone / f"{k}"))
        assert_same_state(tmp_path / f"{k}", alone / f"{k}")
    # One at a time every stretch is a frame's; together the shortest way to anyone's frame.
    assert max(potential.stretches) == 5 and sum(potential.stretches) >= 55


def test_displacements_are_gathered_between_frames(tmp_path: Path) -> None:
    """Every third step, when frames are five apart: the device stops for both, and ends in the host's bits."""
    wanted, potential = stage("nvt", n_steps=32, correlate_every_steps=3), Elsewhere()
    run_stage(tmp_path / "host", copper(), emt(), wanted)
    run_stage(tmp_path / "device", copper(), potential, wanted)
    assert_same_state(tmp_path / "device", tmp_path / "host")
    assert read_correlation(tmp_path / "device").n_samples == 11
    assert potential.stretches == [3, 2, 1, 3, 1, 2, 3, 3, 2, 1, 3, 1, 2, 3, 2]


WILD = [
    stage("nve", n_steps=20, temperature_k=60_000.0, timestep_fs=20.0, seed=1),
    stage("npt", n_steps=200, pressure_gpa=-60.0, timestep_fs=3.0),
]


@pytest.mark.parametrize("wild", WILD, ids=["too hot", "too large"])
def test_a_run_beyond_a_limit_ends_as_on_the_host(wild: MdStage, tmp_path: Path) -> None:
    """The same step, words and last sound state; the cool one beside it goes on."""
    cool = stage("nvt", n_steps=20)
    errors: list[Sequence[object]] = []
    for name, potential in (("host", emt()), ("device", Elsewhere())):
        runs = [
            MdRun(folder=tmp_path / name / f"{k}", atoms=copper(), stage=wanted)
            for k, wanted in enumerate((cool, wild))
        ]
        errors.append(run_batch(runs, potential))
    host, device = errors
    assert host[0] is None and device[0] is None
    assert isinstance(host[1], PhysicsRefusal) and isinstance(device[1], PhysicsRefusal)
    assert (host[1].what, host[1].fix) == (device[1].what, device[1].fix)
    assert "limit" in host[1].what and "last sound state" in host[1].what
    assert_same(open_trajectory(tmp_path / "host" / "0"), open_trajectory(tmp_path / "device" / "0"))


def test_a_resumed_run_goes_on_to_the_same_bits(alone: Path, tmp_path: Path) -> None:
    from test_dynamics_run import StopAfter

    from halion.errors import Interrupted

    _, wanted = KINDS[0]
    with pytest.raises(Interrupted):
        run_stage(tmp_path / "0", copper(), Elsewhere(), wanted, stop=StopAfter(3))
    assert_same(run_stage(tmp_path / "0", copper(), Elsewhere(), wanted), open_trajectory(alone / "0"))


def test_on_the_host_nothing_is_stretched(tmp_path: Path) -> None:
    """A potential that says it has no device for these structures is asked once, and then not again."""
    potential = Elsewhere()
    asked = []
    potential.steps_on_device = lambda numbers, counts: asked.append(len(numbers))
    run_stage(tmp_path, copper(), potential, stage("nvt", n_steps=10))
    assert asked == [len(copper())] and potential.stretches == []

"""A run asked for more steps goes on from where it ended, to the bits of one that was long from the start."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dynamics_cases import copper, emt, heating, stage
from test_dynamics_kill import kill_at_random
from test_dynamics_run import StopAfter, assert_same, assert_same_state

from halion.dynamics import open_trajectory, run_stage
from halion.errors import Interrupted, RunFolderError, TornFile

STAGES = {
    "nve": stage("nve", n_steps=70),
    "nvt": stage("nvt", n_steps=70),
    "npt": stage("npt", n_steps=70, pressure_gpa=0.5),
}


@pytest.fixture(scope="module", params=STAGES)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(kind, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run_stage(folder, copper(), emt(), STAGES[kind])
    return folder


def of_steps(kind: str, n_steps: int):
    return replace(STAGES[kind], n_steps=n_steps)


def test_lengthened_twice_it_ends_in_the_same_bits(kind, whole, tmp_path):
    """23 is neither a frame nor a checkpoint."""
    for n_steps in (23, 40, 70):
        trajectory = run_stage(tmp_path, copper(), emt(), of_steps(kind, n_steps))
        assert trajectory.steps[-1] == n_steps - n_steps % 5
    assert_same(trajectory, open_trajectory(whole))
    assert_same_state(tmp_path, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["trajectory.h5"]


def test_stopped_while_it_is_lengthened(kind, whole, tmp_path):
    run_stage(tmp_path, copper(), emt(), of_steps(kind, 30))
    for n in (1, 12, 3):
        with pytest.raises(Interrupted):
            run_stage(tmp_path, copper(), emt(), STAGES[kind], stop=StopAfter(n))
        # What was finished stays readable all the while.
        assert open_trajectory(tmp_path).steps[-1] == 30
    assert_same(run_stage(tmp_path, copper(), emt(), STAGES[kind]), open_trajectory(whole))


def test_killed_while_it_is_lengthened(tmp_path):
    wanted = stage("nvt", n_steps=140)
    expected = run_stage(tmp_path / "whole", copper(), emt(), wanted)
    run_stage(tmp_path / "killed", copper(), emt(), replace(wanted, n_steps=30))
    kill_at_random(tmp_path / "killed", wanted, np.random.default_rng(5), 0.2)
    assert_same(expected, open_trajectory(tmp_path / "killed"))
    assert_same_state(tmp_path / "whole", tmp_path / "killed")


def test_an_unfinished_run_may_be_asked_for_more(whole, kind, tmp_path):
    with pytest.raises(Interrupted):
        run_stage(tmp_path, copper(), emt(), of_steps(kind, 40), stop=StopAfter(20))
    assert_same(run_stage(tmp_path, copper(), emt(), STAGES[kind]), open_trajectory(whole))


def test_segments_that_a_kill_left_are_not_gone_on_from_twice(tmp_path):
    """A kill between the last rename and the removal, of the first part and of the second."""
    short, long = stage("nvt", n_steps=40), stage("nvt", n_steps=70)
    folder, kept = tmp_path / "run", tmp_path / "kept"
    expected = run_stage(tmp_path / "whole", copper(), emt(), long)
    for wanted, n in ((short, 35), (long, 25)):
        with pytest.raises(Interrupted):
            run_stage(folder, copper(), emt(), wanted, stop=StopAfter(n))
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        run_stage(folder, copper(), emt(), wanted)
        for path in kept.glob("segment*"):
            shutil.move(path, folder / path.name)
    assert list(folder.glob("segment*"))
    assert_same(run_stage(folder, copper(), emt(), long), expected)
    assert not list(folder.glob("segment*"))


@pytest.mark.parametrize("is_finished", [True, False])
def test_fewer_steps_than_there_are_are_refused(is_finished, tmp_path):
    stop = StopAfter(10**6 if is_finished else 30)
    if is_finished:
        run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=40), stop=stop)
    else:
        with pytest.raises(Interrupted):
            run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=40), stop=stop)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunFolderError, match="a longer run") as caught:
        run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=10))
    assert "steps or more" in caught.value.fix
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_ramp_is_another_one_when_it_is_longer(tmp_path):
    run_stage(tmp_path, copper(), emt(), heating(n_steps=40))
    with pytest.raises(RunFolderError, match="n_steps 40 there, 50 now"):
        run_stage(tmp_path, copper(), emt(), heating(n_steps=50))


def test_a_damaged_trajectory_is_not_gone_on_from(tmp_path):
    run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=40))
    path = tmp_path / "trajectory.h5"
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(TornFile) as caught:
        run_stage(tmp_path, copper(), emt(), stage("nvt", n_steps=70))
    assert "restore it" in caught.value.fix

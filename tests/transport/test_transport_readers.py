"""Trajectories of others: unwrapped where it is certain, refused where it would be a guess."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import TornFile, TrajectoryError
from halion.transport import read_trajectory
from halion.transport.readers import unwrap

TRICLINIC = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [-1.0, 1.5, 10.0]])


def small_walk(seed, n_frames=60, n_atoms=5, step=0.08):
    rng = np.random.default_rng(seed)
    return rng.random((1, n_atoms, 3)) + np.cumsum(rng.uniform(-step, step, (n_frames, n_atoms, 3)), axis=0)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_wrapping_is_undone_in_a_triclinic_cell(seed):
    fractional = small_walk(seed)
    cells = np.repeat(TRICLINIC[None], len(fractional), axis=0)
    wrapped = (fractional % 1.0) @ TRICLINIC
    whole = unwrap(wrapped, cells, "")
    expected = (fractional - fractional[0] + fractional[0] % 1.0) @ TRICLINIC
    assert np.allclose(whole, expected, atol=1e-9)


def test_unwrapped_positions_are_left_alone():
    positions = small_walk(1, n_frames=4000) @ TRICLINIC
    assert unwrap(positions, np.repeat(TRICLINIC[None], 4000, axis=0), "") is positions


def test_a_known_list_of_jumps_is_unwrapped():
    # kinisi, test_parser.py: positions jump between 0.1 and 0.9 of a cell of 10 Angstrom; every step is 2 Angstrom
    fractional = np.array([0.1, 0.9, 0.1, 0.9, 0.1])[:, None, None] * np.ones((1, 1, 3))
    whole = unwrap(fractional * 10, np.repeat(np.eye(3)[None] * 10, 5, axis=0), "")
    assert np.diff(whole[:, 0, 0]) == pytest.approx([-2.0, 2.0, -2.0, 2.0])


def test_a_jump_of_half_a_cell_is_refused():
    fractional = np.array([0.1, 0.58, 0.1])[:, None, None] * np.ones((1, 1, 3))
    with pytest.raises(TrajectoryError, match="atom 0") as caught:
        unwrap(fractional * 10, np.repeat(np.eye(3)[None] * 10, 3, axis=0), "x.extxyz")
    assert "more often" in caught.value.fix


def write(path, *, times=True, n_frames=30):
    frames = []
    for k, fractional in enumerate(small_walk(2, n_frames)):
        atoms = Atoms("Li2Cl3", scaled_positions=fractional % 1.0, cell=TRICLINIC, pbc=True)
        if times:
            atoms.info["time_ps"] = 0.05 * k
        frames.append(atoms)
    ase.io.write(path, frames)
    return frames


@pytest.mark.parametrize("name", ["run.extxyz", "run.traj"])
def test_files_of_ase_are_read(tmp_path, name):
    frames = write(tmp_path / name)
    read = read_trajectory(tmp_path / name, timestep_ps=0.05 if name.endswith("traj") else None, temperature_k=500)
    assert read.n_frames == 30
    assert read.symbols == ("Li", "Li", "Cl", "Cl", "Cl")
    assert read.time_ps[-1] == pytest.approx(1.45)
    assert read.target_temperature_k == 500
    assert np.allclose(read.positions[0], frames[0].positions, atol=1e-6)  # extxyz keeps eight decimals


def test_no_times_are_asked_for(tmp_path):
    write(tmp_path / "run.extxyz", times=False)
    with pytest.raises(TrajectoryError, match="how far apart") as caught:
        read_trajectory(tmp_path / "run.extxyz")
    assert "--frame-interval-ps" in caught.value.fix


def test_a_torn_file_is_named(tmp_path):
    path = tmp_path / "run.traj"
    write(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises((TornFile, TrajectoryError)) as caught:
        read_trajectory(path, timestep_ps=0.1)
    assert str(path) in caught.value.where


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrajectoryError, match="no such"):
        read_trajectory(tmp_path / "none.extxyz")


def test_atoms_that_change_are_refused(tmp_path):
    frames = write(tmp_path / "run.extxyz")
    ase.io.write(tmp_path / "odd.extxyz", [*frames[:10], frames[10][[1, 2, 0, 3, 4]]])
    with pytest.raises(TrajectoryError, match="same order"):
        read_trajectory(tmp_path / "odd.extxyz")

"""Trajectories of others: unwrapped where it is certain, refused where it would be a guess."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import HalionError, TornFile, TrajectoryError
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


def test_coordinates_wrapped_about_the_origin_are_unwrapped():
    fractional = small_walk(5, n_frames=300)
    centred = (fractional + 0.5) % 1.0 - 0.5
    whole = unwrap(centred @ TRICLINIC, np.repeat(TRICLINIC[None], 300, axis=0), "")
    assert np.allclose(whole - whole[0], (fractional - fractional[0]) @ TRICLINIC, atol=1e-9)


def test_coordinates_wrapped_now_and_then_are_unwrapped():
    # LAMMPS wraps when it rebuilds its neighbour list, so coordinates stick out by up to the skin in between.
    fractional = small_walk(6, n_frames=400, step=0.015)
    lazy, shift = np.empty_like(fractional), np.zeros(fractional.shape[1:])
    for k, frame in enumerate(fractional):
        if k % 10 == 0:
            shift = -np.floor(frame)
        lazy[k] = frame + shift
    assert lazy.max() > 1.001
    whole = unwrap(lazy @ TRICLINIC, np.repeat(TRICLINIC[None], 400, axis=0), "")
    assert np.allclose(whole - whole[0], (fractional - fractional[0]) @ TRICLINIC, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_wrapping_is_undone_in_a_breathing_cell(seed):
    fractional = small_walk(seed)
    scale = 1 + 0.03 * np.sin(np.arange(len(fractional)) / 4)
    cells = TRICLINIC * scale[:, None, None]
    whole = unwrap(np.einsum("tni,tij->tnj", fractional % 1.0, cells), cells, "")
    expected = np.einsum("tni,tij->tnj", fractional - np.floor(fractional[0]), cells)
    assert np.allclose(whole, expected, atol=1e-9)


def test_rare_frames_of_unwrapped_ions_are_left_alone():
    # Hops of half a small cell between frames, but the ion has left the cell: it was never wrapped.
    fractional = np.cumsum(np.full((12, 1, 3), 0.5), axis=0)
    positions = fractional * 6.0
    assert unwrap(positions, np.repeat(np.eye(3)[None] * 6.0, 12, axis=0), "") is positions


def test_the_user_may_know_better(tmp_path):
    steps = np.array([0.1, 0.55, 0.1, 0.55, 0.2])[:, None, None] * np.ones((1, 2, 1))
    frames = [
        Atoms("LiCl", positions=[[6.0 * f[0, 0], 0, 0.001 * k], [3, 3, 3]], cell=np.eye(3) * 6.0, pbc=True)
        for k, f in enumerate(steps)
    ]
    ase.io.write(tmp_path / "rare.extxyz", frames)
    with pytest.raises(TrajectoryError, match="cannot be told"):
        read_trajectory(tmp_path / "rare.extxyz", timestep_ps=1.0)
    read = read_trajectory(tmp_path / "rare.extxyz", timestep_ps=1.0, is_unwrapped=True)
    assert read.positions[1, 0, 0] == pytest.approx(3.3)


def test_a_frame_stored_twice_is_named(tmp_path):
    frames = write(tmp_path / "run.extxyz", times=False)
    ase.io.write(tmp_path / "restart.extxyz", [*frames[:12], frames[11], *frames[12:]])
    with pytest.raises(TrajectoryError, match="frames 11 and 12 are the same") as caught:
        read_trajectory(tmp_path / "restart.extxyz", timestep_ps=0.05)
    assert "drop" in caught.value.fix
    ase.io.write(tmp_path / "back.extxyz", [*frames[:12], *frames[8:]])
    with pytest.raises(TrajectoryError, match="frames 8 and 12 are the same"):
        read_trajectory(tmp_path / "back.extxyz", timestep_ps=0.05)


def test_no_cell_is_refused(tmp_path):
    ase.io.write(tmp_path / "cluster.extxyz", [Atoms("LiCl", positions=[[0, 0, k], [2, 0, 0]]) for k in range(5)])
    with pytest.raises(TrajectoryError, match="frame 0 has no cell"):
        read_trajectory(tmp_path / "cluster.extxyz", timestep_ps=0.05)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.extxyz").write_text("")
    with pytest.raises((TornFile, TrajectoryError)):
        read_trajectory(tmp_path / "empty.extxyz", timestep_ps=0.05)


@pytest.mark.parametrize("spacing", [0.0, -0.1, float("nan")])
def test_time_must_go_on(tmp_path, spacing):
    write(tmp_path / "run.extxyz")
    with pytest.raises(TrajectoryError, match="above zero"):
        read_trajectory(tmp_path / "run.extxyz", timestep_ps=spacing)


def test_momenta_give_the_temperature(tmp_path):
    frames = write(tmp_path / "still.traj")
    rng = np.random.default_rng(0)
    for frame in frames:
        frame.set_momenta(rng.normal(size=(5, 3)))
    ase.io.write(tmp_path / "run.traj", frames)
    read = read_trajectory(tmp_path / "run.traj", timestep_ps=0.05)
    assert read.temperature_k[3] == pytest.approx(frames[3].get_temperature())
    assert np.isnan(read_trajectory(tmp_path / "still.traj", timestep_ps=0.05).temperature_k).all()


@settings(deadline=None, max_examples=40)
@given(junk=st.binary(max_size=400), suffix=st.sampled_from([".extxyz", ".traj", ".h5", ".xyz"]))
def test_random_bytes_are_refused(tmp_path_factory, junk, suffix):
    path = tmp_path_factory.mktemp("junk") / f"run{suffix}"
    path.write_bytes(junk)
    with pytest.raises(HalionError):
        read_trajectory(path, timestep_ps=0.1)

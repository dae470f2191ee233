"""Positions that stay on the disk, against the same positions in memory."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from dynamics_cases import copper, emt, stage

from halion.dynamics import open_trajectory, run_stage
from halion.dynamics.stored import StoredPositions
from halion.errors import TornFile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose cell changes."""
    folder = tmp_path_factory.mktemp("run")
    run_stage(folder, copper(), emt(), stage("npt", n_steps=40, store_every_steps=1))
    return folder


@pytest.mark.parametrize(
    "index",
    [
        np.s_[3],
        np.s_[-1],
        np.s_[np.int64(7), [2, 0, 3]],
        np.s_[5:9],
        np.s_[:],
        np.s_[10:12, 1:3],
        np.s_[:, 2:],
        np.s_[:, ::2],
        np.s_[:, np.array([3, 1])],
        np.s_[4:30, np.array([True, False, True, True] * 2), 1],
        np.s_[:, 1:3, 2],
        np.s_[6, 1, 2],
        np.s_[35:99],
        np.s_[9:9],
    ],
    ids=str,
)
def test_an_index_gives_what_it_gives_in_memory(folder, index):
    memory, disk = open_trajectory(folder).positions, open_trajectory(folder, in_memory=False).positions
    assert isinstance(disk, StoredPositions)
    part = disk[index]
    assert part.dtype == float
    np.testing.assert_array_equal(part, memory[index])


def test_all_else_of_the_run_is_the_same(folder):
    memory, disk = open_trajectory(folder), open_trajectory(folder, in_memory=False)
    assert (disk.n_frames, disk.length_ps, disk.symbols) == (41, memory.length_ps, memory.symbols)
    for name in ("cells", "steps", "time_ps", "temperature_k", "potential_energy", "pressure_gpa"):
        np.testing.assert_array_equal(getattr(disk, name), getattr(memory, name))
    np.testing.assert_array_equal(np.asarray(disk.positions), memory.positions)
    np.testing.assert_array_equal(disk.positions.astype(np.float32), memory.positions.astype(np.float32))
    assert disk.positions.shape == memory.positions.shape and len(disk.positions) == 41


@pytest.mark.parametrize("index", [np.s_[::2], np.s_[[1, 2]], np.s_[1.5]], ids=str)
def test_frames_here_and_there_are_not_read_behind_ones_back(folder, index):
    """They would read the whole file for a few frames."""
    with pytest.raises(TypeError, match="one frame or by frames in a row"):
        open_trajectory(folder, in_memory=False).positions[index]


def test_a_frame_beyond_the_end_is_an_index_error(folder):
    with pytest.raises(IndexError):
        open_trajectory(folder, in_memory=False).positions[41]


def test_damage_is_told_when_it_is_met(folder, tmp_path):
    """In the positions alone, so that the file opens: their checksum fails when they are read."""
    raw = bytearray((folder / "trajectory.h5").read_bytes())
    with h5py.File(folder / "trajectory.h5", "r") as file:
        chunk = file["positions_angstrom"].id.get_chunk_info(0)
    raw[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    torn = tmp_path / "trajectory.h5"
    torn.write_bytes(raw)
    disk = open_trajectory(torn, in_memory=False)
    with pytest.raises(TornFile, match=r"damaged or its end is missing"):
        disk.positions[0]
    with pytest.raises(TornFile):
        open_trajectory(torn)

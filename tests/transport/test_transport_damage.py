"""Damaged trajectories: finite numbers, or an error of halion with its remedy; no other error, no wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from damaged_files import N_FRAMES, WRITERS, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halion.errors import HalionError, TornFile, TrajectoryError
from halion.transport import read_trajectory

# A whole read takes 10 ms; the rest is room for a busy machine.
LONGEST_S = 5.0
CHECKS = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The bytes of a whole file of each format."""
    folder = tmp_path_factory.mktemp("whole")
    for name, write in WRITERS.items():
        write(folder / name)
    return {name: (folder / name).read_bytes() for name in WRITERS}


def read_or_refuse(path: Path) -> None:
    began = time.monotonic()
    try:
        read = read_trajectory(path, timestep_ps=0.05)
    except HalionError as error:
        assert error.what and error.where and error.fix
    else:
        assert np.isfinite(read.positions).all() and np.isfinite(read.cells).all()
        assert len(read.positions) == len(read.cells) == len(read.time_ps) > 0
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize("name", WRITERS)
def test_the_whole_file_is_read(name, tmp_path, whole):
    (tmp_path / name).write_bytes(whole[name])
    assert read_trajectory(tmp_path / name, timestep_ps=0.05).n_frames == N_FRAMES


@pytest.mark.parametrize("name", WRITERS)
@CHECKS
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(name, data, tmp_path, whole):
    path = tmp_path / name
    path.write_bytes(data.draw(damage(whole[name])))
    read_or_refuse(path)


def _huge_h5md(path: Path) -> None:
    """Arrays of 8 TB that were never written: HDF5 stores nothing of them."""
    with h5py.File(path, "w") as file:
        file.create_group("h5md")
        group = file.create_group("particles/all")
        group.create_dataset("position/value", shape=(10**6, 3 * 10**5, 3), dtype="f8", chunks=(1, 1000, 3))
        group["position/time"] = 0.05
        group["box/edges"] = np.eye(3)
        group["species"] = [3]


def _claiming(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        WRITERS[name](path)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return make


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("run.h5md", _huge_h5md),
        ("run.dump", _claiming("run.dump", b"ATOMS\n5\n", b"ATOMS\n999999999999\n")),
        ("run.dump", _claiming("run.dump", b"TIMESTEP\n100\n", b"TIMESTEP\n1e5x\n")),
        ("run.extxyz", _claiming("run.extxyz", b"5\nLattice", b"999999999999\nLattice")),
        ("XDATCAR", _claiming("XDATCAR", b" 3\nDirect", b" 3999999999\nDirect")),
        ("run.extxyz", _claiming("run.extxyz", b'Lattice="9.0', b'Lattice="nan')),
    ],
    ids=[
        "h5md of 8 TB",
        "dump of 10^12 atoms",
        "dump without a step",
        "extxyz",
        "XDATCAR of 4 * 10^9 atoms",
        "NaN cell",
    ],
)
def test_what_a_file_claims_is_not_believed(name, make, tmp_path):
    path = tmp_path / name
    make(path)
    began = time.monotonic()
    with pytest.raises((TornFile, TrajectoryError)):
        read_trajectory(path, timestep_ps=0.05)
    assert time.monotonic() - began < LONGEST_S

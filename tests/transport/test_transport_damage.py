"""Damaged trajectories: finite numbers, or an error of halion with its remedy; never another error, never a wait."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from damaged_files import N_FRAMES, WRITERS, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halion.errors import HalionError
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

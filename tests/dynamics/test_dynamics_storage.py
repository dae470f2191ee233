"""Files that are torn, damaged, of a newer halion or of nobody, and a disk that fills."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from dynamics_cases import copper, emt, same_bits, stage
from test_dynamics_run import StopAfter, assert_same, assert_same_state

from halion import dynamics
from halion.dynamics import Trajectory, open_trajectory, run_stage
from halion.dynamics.layout import SCHEMA, Frame, Header, encode, stack
from halion.dynamics.segments import read_segment, segment_paths
from halion.errors import DiskFull, HalionError, Interrupted, RunFolderError, TornFile, TrajectoryError

STAGE = stage("npt", n_steps=40)
HEADER = Header(
    inputs_digest="",
    symbols=("Cu",),
    ensemble="nvt",
    n_steps=2000,
    timestep_fs=1.0,
    target_temperature_k=300.0,
    target_pressure_gpa=np.nan,
    store_every_steps=1,
    potential="emt",
    weights_sha256="",
    written_by="a test",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole")
    run_stage(folder, copper(), emt(), STAGE)
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped at step 33: segments that end at steps 10, 20, 30 and 33."""
    folder = tmp_path_factory.mktemp("running")
    with pytest.raises(Interrupted):
        run_stage(folder, copper(), emt(), STAGE, stop=StopAfter(33))
    return folder


@pytest.fixture
def folder(running: Path, tmp_path: Path) -> Path:
    """A copy of the stopped run, to damage."""
    shutil.copytree(running, tmp_path / "run")
    return tmp_path / "run"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def nonsense(path: Path) -> None:
    path.write_bytes(b"not HDF5 at all" * 100)


def remove_state(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["state"]


def newer(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = SCHEMA + 1


def ends(folder: Path) -> list[int]:
    return [read_segment(path).end_step for path in segment_paths(folder)]


def test_segments_hold_frames_and_state_together(running: Path) -> None:
    assert ends(running) == [10, 20, 30, 33]
    steps = [read_segment(path).frames["step"].tolist() for path in segment_paths(running)]
    assert steps == [[0, 5, 10], [15, 20], [25, 30], []]
    state = read_segment(segment_paths(running)[0]).state
    assert all(array.dtype == np.float64 for array in state.values())


@pytest.mark.parametrize("damage", [cut, empty, nonsense, remove_state])
@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_damaged_segment_is_set_aside_and_run_again(
    damage: Callable, which: int, folder: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(segment_paths(folder)[which])
    with caplog.at_level(logging.WARNING, logger="halion"):
        trajectory = run_stage(folder, copper(), emt(), STAGE)
    assert_same(trajectory, open_trajectory(whole))
    assert_same_state(folder, whole)
    aside = sorted(path.name for path in folder.iterdir() if path.name != "trajectory.h5")
    assert aside == [f"segment-{k:06d}.h5.damaged" for k in range(which, 4)]
    assert f"segment-{which:06d}.h5.damaged" in caplog.text
    assert "goes on from the segment before" in caplog.text


def test_a_missing_segment_is_run_again(folder: Path, whole: Path) -> None:
    segment_paths(folder)[1].unlink()
    assert_same(run_stage(folder, copper(), emt(), STAGE), open_trajectory(whole))


def test_setting_aside_overwrites_nothing(folder: Path) -> None:
    old = folder / "segment-000003.h5.damaged"
    old.write_text("an earlier one")
    cut(segment_paths(folder)[3])
    run_stage(folder, copper(), emt(), STAGE)
    assert old.read_text() == "an earlier one"
    assert (folder / "segment-000003.h5.damaged-2").exists()


def test_half_written_files_are_no_segments(folder: Path, whole: Path) -> None:
    (folder / "segment-000004.h5.part").write_bytes(b"half")
    (folder / "trajectory.h5.part").write_bytes(b"half")
    assert_same(run_stage(folder, copper(), emt(), STAGE), open_trajectory(whole))


def test_segments_left_beside_the_trajectory_are_removed(folder: Path, whole: Path) -> None:
    """A kill between the last rename and the removal."""
    shutil.copy(whole / "trajectory.h5", folder)
    assert_same(run_stage(folder, copper(), emt(), STAGE), open_trajectory(whole))
    assert [path.name for path in folder.iterdir()] == ["trajectory.h5"]


def test_flipped_bytes_never_pass_unseen(running: Path, tmp_path: Path) -> None:
    """Whatever single byte of a segment changes: the content is the same, or an error says that it is not."""
    source = segment_paths(running)[0]
    intact, data = read_segment(source), source.read_bytes()
    rng = np.random.default_rng(0)
    path, n_seen = tmp_path / source.name, 0
    for position in rng.integers(len(data), size=250):
        flipped = bytearray(data)
        flipped[position] ^= int(rng.integers(1, 256))
        path.write_bytes(flipped)
        try:
            segment = read_segment(path)
        except HalionError:
            n_seen += 1
            continue
        assert (str(segment.header), segment.start_step) == (str(intact.header), 0)
        for name, array in {**intact.frames, **intact.state}.items():
            assert same_bits(array, {**segment.frames, **segment.state}[name]), (position, name)
    assert n_seen > 25  # most of a small file is padding, the rest is watched


@pytest.mark.parametrize("damage", [cut, empty, nonsense])
def test_a_torn_trajectory_is_told(damage: Callable, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "trajectory.h5"
    shutil.copy(whole / "trajectory.h5", path)
    damage(path)
    with pytest.raises(TornFile, match="damaged") as caught:
        open_trajectory(path)
    assert f"rm {path}" in caught.value.fix
    with pytest.raises(TornFile):
        run_stage(tmp_path, copper(), emt(), STAGE)
    path.unlink()
    assert_same(run_stage(tmp_path, copper(), emt(), STAGE), open_trajectory(whole))


def test_a_newer_schema_is_refused_and_left_alone(folder: Path, whole: Path, tmp_path: Path) -> None:
    path = segment_paths(folder)[2]
    newer(path)
    with pytest.raises(RunFolderError, match="newer halion"):
        run_stage(folder, copper(), emt(), STAGE)
    with pytest.raises(RunFolderError, match="newer halion"):
        open_trajectory(folder)
    assert len(segment_paths(folder)) == 4
    shutil.copy(whole / "trajectory.h5", tmp_path)
    newer(tmp_path / "trajectory.h5")
    for attempt in (
        lambda: open_trajectory(tmp_path / "trajectory.h5"),
        lambda: run_stage(tmp_path, copper(), emt(), STAGE),
    ):
        with pytest.raises(RunFolderError, match="newer halion"):
            attempt()


def test_the_layout_is_as_documented(whole: Path) -> None:
    """Another program reads the file by its names and units alone."""
    with h5py.File(whole / "trajectory.h5", "r") as file:
        assert file.attrs["schema"] == 1
        assert file.attrs["symbols"].split() == ["Cu"] * 8
        assert file.attrs["timestep_fs"] == 2.0
        assert file.attrs["target_temperature_k"] == 300.0
        assert file["positions_angstrom"].dtype == np.float32
        assert file["positions_angstrom"].shape == (9, 8, 3)
        assert file["cell_angstrom"].dtype == np.float64
        assert file["step"][:].tolist() == list(range(0, 41, 5))
        np.testing.assert_allclose(file["time_ps"][:], 0.002 * file["step"][:], rtol=1e-15)
        chains = {"chain", "chain_rates", "cell_chain", "cell_chain_rates"}
        assert {"positions", "momenta", "cell", "strain_rate", "step", *chains} == set(file["state"])


def test_a_running_stage_can_be_read(running: Path, whole: Path) -> None:
    so_far, at_the_end = open_trajectory(running), open_trajectory(whole)
    assert so_far.steps.tolist() == [0, 5, 10, 15, 20, 25, 30]
    assert same_bits(so_far.positions, at_the_end.positions[:7])
    assert so_far.target_temperature_k == 300.0


def test_reading_a_running_stage_changes_nothing(folder: Path) -> None:
    cut(segment_paths(folder)[2])
    before = sorted(folder.iterdir())
    assert open_trajectory(folder).steps.tolist() == [0, 5, 10, 15, 20]
    assert sorted(folder.iterdir()) == before


def test_nothing_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "trajectory.h5", tmp_path / "nowhere"):
        with pytest.raises(TrajectoryError, match="no trajectory"):
            open_trajectory(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["positions"] = np.zeros((3, 3))
    with pytest.raises(TornFile, match="no schema"):
        open_trajectory(tmp_path / "other.h5")


def test_reading_needs_no_torch() -> None:
    """`open_trajectory` serves the transport and report verbs, which must not wait for a potential."""
    code = "import sys, halion.dynamics as d; d.open_trajectory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_the_room_are_there() -> None:
    for name in dynamics.__all__:
        assert getattr(dynamics, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        dynamics.nothing  # noqa: B018


def test_two_thousand_frames_survive_the_chunks(tmp_path: Path) -> None:
    """Blocks of every size, across chunk borders in time and atoms, come back as they went in."""
    rng, symbols = np.random.default_rng(0), ("Cu",) * 45
    header = dataclasses.replace(HEADER, symbols=symbols)
    blocks, start = [], 0
    for n in (1, 127, 128, 129, 0, 700, 915):
        frames = [
            Frame(
                step=start + k,
                time_ps=float(k),
                temperature_k=rng.random(),
                potential_energy_ev=rng.normal(),
                pressure_gpa=rng.normal(),
                conserved_energy_ev=np.nan,
                cell_angstrom=rng.random((3, 3)),
                positions_angstrom=rng.normal(size=(45, 3)) * 10,
            )
            for k in range(n)
        ]
        blocks.append(stack(frames, 45))
        start += n
    path = tmp_path / "trajectory.h5"
    path.write_bytes(encode(header, blocks, {"step": np.array([1999.0])}))
    trajectory = open_trajectory(path)
    assert trajectory.steps.tolist() == list(range(2000))
    for name, found in (("positions_angstrom", trajectory.positions), ("cell_angstrom", trajectory.cells)):
        expected = np.concatenate([block[name] for block in blocks]).astype(float)
        assert same_bits(found, expected)
    assert np.isnan(trajectory.conserved_energy).all()


def in_a_child(function: Callable[[], None], file_size_limit: int) -> int:
    """The exit code of a forked process that may write files of this size at most."""

    def body() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size_limit, resource.RLIM_INFINITY))
        function()

    child = multiprocessing.get_context("fork").Process(target=body)
    child.start()
    child.join(timeout=60)
    return child.exitcode


def disk_full_is_told(folder: Path) -> None:
    try:
        run_stage(folder, copper(), emt(), STAGE)
    except DiskFull as error:
        assert "full" in error.what and "same command" in error.fix
        raise SystemExit(77) from error


@pytest.mark.parametrize("what", ["a segment", "the trajectory"])
def test_a_full_disk_loses_nothing(what: str, folder: Path, whole: Path) -> None:
    sizes = [path.stat().st_size for path in segment_paths(folder)]
    limit = sizes[0] // 2 if what == "a segment" else (max(sizes) + (whole / "trajectory.h5").stat().st_size) // 2
    before = {path.name: path.read_bytes() for path in segment_paths(folder)}
    assert in_a_child(lambda: disk_full_is_told(folder), limit) == 77
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.items() <= after.items()
    assert not any(name.endswith(".part") for name in after)
    trajectory: Trajectory = run_stage(folder, copper(), emt(), STAGE)
    assert_same(trajectory, open_trajectory(whole))

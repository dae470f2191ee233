"""Reading what a run has written: the merged trajectory, or the segments of a stage that still runs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from halion.dynamics.correlator import Correlation, Correlator, has_correlation
from halion.dynamics.layout import DAMAGE, Frames, Header, State, open_file, read_frames, read_header, read_state
from halion.dynamics.segments import TRAJECTORY, read_segment, segment_paths, torn_trajectory
from halion.dynamics.stored import POSITIONS, StoredPositions
from halion.dynamics.types import Trajectory
from halion.errors import HalionError, TornFile, TrajectoryError
from halion.units import FS_PER_PS

__all__ = ["last_state", "open_trajectory", "read_correlation"]


def open_trajectory(path: Path | str, *, in_memory: bool = True) -> Trajectory:
    """Frames of a run.

    Args:
        path: a `trajectory.h5`, or the folder of a stage, finished or running (then: the frames stored so far).
        in_memory: False leaves the positions of a `trajectory.h5` on the disk (`StoredPositions`), so that a run
            of any length fits; a stage that still runs is read into memory all the same.
    Raises:
        TrajectoryError: there is nothing there.
        TornFile: the file is damaged or its end is missing.
        RunFolderError: a newer halion wrote it.
    Checked by tests/dynamics/test_dynamics_storage.py.
    """
    path = Path(path)
    if path.is_dir() and not (path / TRAJECTORY).exists():
        trajectory = _from_segments(path)
        if trajectory is not None:
            return trajectory
    if path.is_dir():
        path = path / TRAJECTORY
    header, frames, _ = _read(path, in_memory)
    return _trajectory(header, frames, path)


def last_state(path: Path | str) -> State:
    """Full state at the end of a finished stage: positions, momenta, cell, chains; ASE units, float64.

    Raises: what `open_trajectory` raises.
    """
    path = Path(path)
    return _read(path / TRAJECTORY if path.is_dir() else path)[2]


def read_correlation(path: Path | str) -> Correlation:
    """Displacements that a run has gathered while it moved (`MdStage.correlate_every_steps`), finished or running.

    Args:
        path: a `trajectory.h5`, or the folder of a stage.
    Raises:
        TrajectoryError: the run gathered none.
        TornFile, RunFolderError: see `open_trajectory`.
    Checked by tests/dynamics/test_dynamics_correlator.py.
    """
    path = Path(path)
    header, state, source = _newest(path)
    if not has_correlation(state):
        raise TrajectoryError(
            "this run has not gathered displacements while it moved",
            where=str(source),
            fix="analyse its trajectory; or run with dynamics.correlate_every_steps set",
        )
    correlator = Correlator.resumed(header.symbols, state)
    sample_ps = correlator.every_steps * header.timestep_fs / FS_PER_PS
    return correlator.result(sample_ps, header.target_temperature_k, str(source))


def _newest(path: Path) -> tuple[Header, State, Path]:
    """What the run is and its last stored state: of the last whole segment, if there are any."""
    for segment_path in reversed(segment_paths(path) if path.is_dir() else []):
        try:
            segment = read_segment(segment_path)
        except (TornFile, FileNotFoundError):  # merged in this moment, or damaged: the one before then
            continue
        return segment.header, segment.state, path
    path = path / TRAJECTORY if path.is_dir() else path
    header, _, state = _read(path, in_memory=False)
    return header, state, path


def _read(path: Path, in_memory: bool = True) -> tuple[Header, Frames, State]:
    if not path.exists():
        raise TrajectoryError(
            "there is no trajectory here",
            where=str(path),
            fix="check the path; a run writes its trajectory.h5 when it ends",
        )
    try:
        with open_file(path) as file:
            if in_memory:
                return read_header(file, path), read_frames(file), read_state(file)
            frames = read_frames(file, leave=(POSITIONS,))
            return read_header(file, path), frames | {POSITIONS: _stored(file, path)}, read_state(file)
    except HalionError:
        raise
    except DAMAGE as error:
        raise torn_trajectory(path, error) from error


def _from_segments(folder: Path) -> Trajectory | None:
    """Frames up to the first segment that is damaged or gone; None if the run has just been merged."""
    header, blocks = None, []
    for path in segment_paths(folder):
        try:
            segment = read_segment(path)
        except TornFile:
            break
        if header is not None and segment.header.inputs_digest != header.inputs_digest:
            break
        header = segment.header
        blocks.append(segment.frames)
    if header is None or (folder / TRAJECTORY).exists():
        return None
    frames = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return _trajectory(header, frames, folder)


def _stored(file: h5py.File, path: Path) -> StoredPositions:
    shape = file[POSITIONS].shape
    if shape != (len(file["step"]), len(read_header(file, path).symbols), 3):
        raise ValueError("the frames of this file do not belong together")
    return StoredPositions(path, shape)


def _trajectory(header: Header, frames: Frames, source: Path) -> Trajectory:
    positions = frames[POSITIONS]
    return Trajectory(
        symbols=header.symbols,
        positions=positions if isinstance(positions, StoredPositions) else positions.astype(float),
        cells=frames["cell_angstrom"],
        steps=frames["step"],
        time_ps=frames["time_ps"],
        temperature_k=frames["temperature_k"],
        potential_energy=frames["potential_energy_ev"],
        pressure_gpa=frames["pressure_gpa"],
        conserved_energy=frames["conserved_energy_ev"],
        target_temperature_k=header.target_temperature_k,
        source=str(source),
    )

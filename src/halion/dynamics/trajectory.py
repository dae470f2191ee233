"""Reading what a run has written: the merged trajectory, or the segments of a stage that still runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from halion.dynamics.layout import DAMAGE, Frames, Header, State, open_file, read_frames, read_header, read_state
from halion.dynamics.segments import TRAJECTORY, read_segment, segment_paths, torn_trajectory
from halion.dynamics.types import Trajectory
from halion.errors import HalionError, TornFile, TrajectoryError

__all__ = ["last_state", "open_trajectory"]


def open_trajectory(path: Path | str) -> Trajectory:
    """Frames of a run.

    Args:
        path: a `trajectory.h5`, or the folder of a stage, finished or running (then: the frames stored so far).
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
    header, frames, _ = _read(path)
    return _trajectory(header, frames, path)


def last_state(path: Path | str) -> State:
    """Full state at the end of a finished stage: positions, momenta, cell, chains; ASE units, float64.

    Raises: what `open_trajectory` raises.
    """
    path = Path(path)
    return _read(path / TRAJECTORY if path.is_dir() else path)[2]


def _read(path: Path) -> tuple[Header, Frames, State]:
    if not path.exists():
        raise TrajectoryError(
            "there is no trajectory here",
            where=str(path),
            fix="check the path; a run writes its trajectory.h5 when it ends",
        )
    try:
        with open_file(path) as file:
            return read_header(file, path), read_frames(file), read_state(file)
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


def _trajectory(header: Header, frames: Frames, source: Path) -> Trajectory:
    return Trajectory(
        symbols=header.symbols,
        positions=frames["positions_angstrom"].astype(float),
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

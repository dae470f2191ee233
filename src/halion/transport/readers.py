"""Trajectories of halion and of others as `Trajectory`, unwrapped, or refused where that would be a guess."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory
from halion.errors import TornFile, TrajectoryError

__all__ = ["read_trajectory", "unwrap"]

# A step of half a cell or more cannot be told from its wrapped image; above 0.4 it is too near to trust.
_AMBIGUOUS = (0.4, 0.6)


def read_trajectory(
    path: Path | str, *, timestep_ps: float | None = None, temperature_k: float | None = None
) -> Trajectory:
    """A trajectory from halion's HDF5, or from anything that ASE reads frame by frame (extxyz, .traj).

    Args:
        path: the file.
        timestep_ps: time between frames; needed where the file does not say (`time_ps` or `time` in its frames).
        temperature_k: temperature that the run was meant to have, where the file does not say.
    Raises:
        TrajectoryError: missing, unreadable, no times, or ambiguous jumps over cell borders.
    """
    path = Path(path)
    if not path.exists():
        raise TrajectoryError("there is no such trajectory", where=str(path), fix="check the path")
    if path.suffix in (".h5", ".hdf5") or path.is_dir():
        from halion.dynamics import open_trajectory

        return open_trajectory(path)
    return _from_ase(path, timestep_ps, temperature_k)


def _from_ase(path: Path, timestep_ps: float | None, temperature_k: float | None) -> Trajectory:
    try:
        frames = ase.io.read(path, index=":")
    except Exception as error:  # ASE's readers raise whatever their parsers do
        raise TornFile(
            f"this trajectory cannot be read to its end ({' '.join(str(error).split())[:150]})",
            where=str(path),
            fix="cut the damaged last frame off, or name a file in extxyz, ASE .traj or halion's HDF5",
        ) from error
    symbols = tuple(frames[0].get_chemical_symbols()) if frames else ()
    if not frames or any(frame.numbers.tolist() != frames[0].numbers.tolist() for frame in frames):
        raise TrajectoryError(
            "the frames do not all hold the same atoms in the same order",
            where=str(path),
            fix="write a trajectory with one atom order (LAMMPS: dump_modify sort id)",
        )
    time_ps = _times(frames, timestep_ps, path)
    cells = np.array([frame.cell.array for frame in frames])
    positions = unwrap(np.array([frame.positions for frame in frames]), cells, str(path))
    nan = np.full(len(frames), np.nan)
    said = [frame.info.get("target_temperature_k", np.nan) for frame in frames[:1]]
    return Trajectory(
        symbols=symbols,
        positions=positions,
        cells=cells,
        steps=np.arange(len(frames)),
        time_ps=time_ps,
        temperature_k=nan,
        potential_energy=nan,
        pressure_gpa=nan,
        target_temperature_k=float(temperature_k if temperature_k is not None else said[0]),
        source=str(path),
    )


def _times(frames: list[ase.Atoms], timestep_ps: float | None, path: Path) -> FloatArray:
    if timestep_ps is not None:
        return np.arange(len(frames)) * timestep_ps
    times = [frame.info.get("time_ps") for frame in frames]
    if any(time is None for time in times):
        raise TrajectoryError(
            "the file does not say how far apart its frames are (no time_ps in its frames)",
            where=str(path),
            fix="give the time between two frames: --frame-interval-ps 0.1",
        )
    return np.array(times, dtype=float)


def unwrap(positions: FloatArray, cells: FloatArray, where: str) -> FloatArray:
    """Positions without jumps over cell borders.

    A trajectory whose fractional coordinates all lie in one cell is wrapped; there every step is taken by its
    nearest image. One that leaves the cell is unwrapped already and is left alone.

    Args:
        positions: (n_frames, n_atoms, 3) Angstrom.
        cells: (n_frames, 3, 3) Angstrom.
        where: the file, for messages.
    Raises:
        TrajectoryError: a wrapped trajectory with a step between 0.4 and 0.6 of a cell edge.
    """
    fractional = np.einsum("tni,tij->tnj", positions, np.linalg.inv(cells))
    is_wrapped = fractional.min() > -1e-3 and fractional.max() < 1 + 1e-3
    steps = np.diff(fractional, axis=0)
    if not is_wrapped:
        return positions
    ambiguous = (np.abs(steps) > _AMBIGUOUS[0]) & (np.abs(steps) < _AMBIGUOUS[1])
    if ambiguous.any():
        frame, atom, _ = (int(k) for k in np.argwhere(ambiguous)[0])
        raise TrajectoryError(
            f"atom {atom} moves by {abs(steps[frame, atom]).max():.2f} of a cell edge between frames {frame} and "
            f"{frame + 1}: wrapped or not, the way it took cannot be told",
            where=where,
            fix="store frames more often, or write unwrapped coordinates (LAMMPS: xu yu zu)",
        )
    steps -= np.round(steps)
    unwrapped = np.concatenate([fractional[:1], fractional[:1] + np.cumsum(steps, axis=0)])
    return np.einsum("tni,tij->tnj", unwrapped, cells)

"""Trajectories of halion and of others as `Trajectory`, unwrapped, or refused where that would be a guess."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError
from halion.transport.formats import dump_steps, is_h5md, is_lammps_dump, read_frames, read_h5md
from halion.transport.torchsim import is_torch_sim, read_torch_sim

__all__ = ["read_trajectory", "unwrap"]

# A step of half a cell cannot be told from its wrapped image; from 0.4 on it is too near to trust.
_AMBIGUOUS = (0.4, 0.6)
# A wrapped atom stays within one cell edge, and a little more where a code wraps only when it rebuilds its
# neighbour list (LAMMPS); an atom whose coordinate ranges over more than this was never wrapped.
_WRAPPED_RANGE = 1.5


def read_trajectory(
    path: Path | str,
    *,
    timestep_ps: float | None = None,
    temperature_k: float | None = None,
    is_unwrapped: bool | None = None,
    types: Sequence[str] = (),
) -> Trajectory:
    """A trajectory from halion's HDF5, extxyz, ASE .traj, torch-sim, LAMMPS dump, XDATCAR, H5MD, or what ASE reads.

    Args:
        path: the file, or the folder of a halion run.
        timestep_ps: time between frames; needed where the frames do not say (`time_ps` in their info), and taken
            instead of what they say where given.
        temperature_k: temperature that the run was meant to have, where the file does not say.
        is_unwrapped: True where the coordinates are known to be unwrapped; None: found out (see `unwrap`).
        types: element of each type of a LAMMPS dump that names none.
    Raises:
        TrajectoryError: missing, no frames, no cell, no times, frames stored twice, or ambiguous jumps.
        TornFile: the file cannot be read to its end.
    Checked by tests/transport/test_transport_readers.py, test_transport_formats.py and
    test_transport_torchsim.py.
    """
    path = Path(path)
    if not path.exists():
        raise TrajectoryError("there is no such trajectory", where=str(path), fix="check the path")
    if timestep_ps is not None and not timestep_ps > 0:
        raise TrajectoryError(
            f"the time between frames is {timestep_ps:g} ps; it must be above zero",
            where=str(path),
            fix="give the time between two frames: --frame-interval-ps 0.1",
        )
    time_ps = None
    if path.is_file() and is_h5md(path):
        frames, time_ps, is_known = read_h5md(path)
        is_unwrapped = is_unwrapped or is_known or None
        time_ps = time_ps if timestep_ps is None else None
    elif path.is_file() and is_torch_sim(path):
        frames, steps = read_torch_sim(path)
        _refuse_uneven_steps(steps, path)
    elif path.suffix in (".h5", ".hdf5") or path.is_dir():
        from halion.dynamics import open_trajectory

        return open_trajectory(path, in_memory=False)
    else:
        frames = read_frames(path, types)
        if is_lammps_dump(path):
            _refuse_uneven_steps(np.array(dump_steps(path)), path)
    _refuse_unusable(frames, path)
    _refuse_repeats(frames, path)
    time_ps = _times(frames, timestep_ps, path) if time_ps is None else time_ps
    return _trajectory(frames, time_ps, (temperature_k, is_unwrapped), path)


def _trajectory(
    frames: list[ase.Atoms], time_ps: FloatArray, known: tuple[float | None, bool | None], path: Path
) -> Trajectory:
    temperature_k, is_unwrapped = known
    cells = np.array([frame.cell.array for frame in frames])
    positions = np.array([frame.positions for frame in frames])
    if not is_unwrapped:
        positions = unwrap(positions, cells, str(path))
    nan = np.full(len(frames), np.nan)
    said = frames[0].info.get("target_temperature_k", np.nan)
    return Trajectory(
        symbols=tuple(frames[0].get_chemical_symbols()),
        positions=positions,
        cells=cells,
        steps=np.arange(len(frames)),
        time_ps=time_ps,
        temperature_k=np.array([_kinetic_temperature(frame) for frame in frames]),
        potential_energy=nan,
        pressure_gpa=nan,
        target_temperature_k=float(temperature_k if temperature_k is not None else said),
        source=str(path),
    )


def _refuse_unusable(frames: list[ase.Atoms], path: Path) -> None:
    if not frames:
        raise TrajectoryError("the file holds no frame", where=str(path), fix="check that the run has written")
    numbers = frames[0].numbers
    for k, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, numbers):
            raise TrajectoryError(
                f"frame {k} does not hold the same atoms in the same order as the first",
                where=str(path),
                fix="write a trajectory with one atom order (LAMMPS: dump_modify sort id)",
            )
        if not (np.isfinite(frame.positions).all() and np.isfinite(frame.cell.array).all()):
            raise TrajectoryError(
                f"frame {k} holds positions or a cell that are not finite: an exploded run, or a damaged file",
                where=str(path),
                fix=f"cut the file before frame {k}, and look at the run that wrote it",
            )
        if abs(np.linalg.det(frame.cell.array)) < 1e-6:
            raise TrajectoryError(
                f"frame {k} has no cell; volume, conductivity and unwrapping need one",
                where=str(path),
                fix='write the lattice with each frame (extxyz: Lattice="ax ay az bx ...")',
            )


def _refuse_uneven_steps(steps: IntArray, path: Path) -> None:
    """LAMMPS and torch-sim say their time steps; a restart may have stored one twice, or left some out."""
    gaps = np.diff(steps)
    uneven = np.flatnonzero(gaps != gaps[0]) if len(gaps) else gaps
    if len(uneven):
        k = int(uneven[0])
        raise TrajectoryError(
            f"frames {k} and {k + 1} of this file are {gaps[k]} time steps apart, the first two {gaps[0]}",
            where=str(path),
            fix="drop the frames that a restart stored twice, or name the parts as trajectories of their own",
        )


def _refuse_repeats(frames: list[ase.Atoms], path: Path) -> None:
    """A restart that stores its first frame again makes time stand still for one frame."""
    seen: dict[bytes, int] = {}
    for k, frame in enumerate(frames):
        first = seen.setdefault(frame.positions.tobytes(), k)
        if first != k:
            raise TrajectoryError(
                f"frames {first} and {k} are the same, atom by atom: stored twice at a restart?",
                where=str(path),
                fix=f"drop frames {first + 1} to {k}, so that times are evenly spaced",
            )


def _kinetic_temperature(frame: ase.Atoms) -> float:
    """K; NaN where the file holds no momenta."""
    return float(frame.get_temperature()) if frame.has("momenta") and frame.get_momenta().any() else float("nan")


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

    In fractional coordinates a wrapped atom stays within one cell edge and jumps by nearly one when it crosses a
    border. So a trajectory without steps above 0.4 of an edge is left alone, and so is one in which an atom
    ranges over more than 1.5 edges (it cannot have been wrapped); in every other, each step is taken by its
    nearest image, which needs no orthogonal and no constant cell.

    Args:
        positions: (n_frames, n_atoms, 3) Angstrom.
        cells: (n_frames, 3, 3) Angstrom.
        where: the file, for messages.
    Raises:
        TrajectoryError: a step between 0.4 and 0.6 of a cell edge where wrapping is possible.
    Checked by tests/transport/test_transport_readers.py.
    """
    fractional = np.einsum("tni,tij->tnj", positions, np.linalg.inv(cells))
    steps = np.diff(fractional, axis=0)
    sizes = np.abs(steps)
    if not np.any(sizes > _AMBIGUOUS[0]) or np.ptp(fractional, axis=0).max() > _WRAPPED_RANGE:
        return positions
    ambiguous = (sizes > _AMBIGUOUS[0]) & (sizes < _AMBIGUOUS[1])
    if ambiguous.any():
        frame, atom, axis = (int(k) for k in np.argwhere(ambiguous)[0])
        raise TrajectoryError(
            f"atom {atom} moves by {sizes[frame, atom, axis]:.2f} of a cell edge between frames {frame} and "
            f"{frame + 1}: wrapped or not, the way it took cannot be told",
            where=where,
            fix="store frames more often, or write unwrapped coordinates (LAMMPS: xu yu zu; halion's HDF5)",
        )
    steps -= np.round(steps)
    unwrapped = np.concatenate([fractional[:1], fractional[:1] + np.cumsum(steps, axis=0)])
    return np.einsum("tni,tij->tnj", unwrapped, cells)

"""Trajectories that torch-sim writes (`TorchSimTrajectory`, HDF5 by PyTables) as frames.

    header        attribute program = TorchSim
    data/NAME     (n_frames, ...) one array for each quantity: positions (n_frames, n_atoms, 3) Angstrom; cell
                  (n_frames or 1, 3, 3), its columns the cell vectors; atomic_numbers and masses (n_frames or 1,
                  n_atoms); velocities, where they were asked for, in the time unit of ASE
    steps/NAME    the step number of each frame

It stores steps and no times. Its integrators wrap positions into the cell at every step.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.errors import HalionError, TornFile, TrajectoryError

__all__ = ["is_torch_sim", "read_torch_sim"]

_PROGRAM = "TorchSim"


def is_torch_sim(path: Path) -> bool:
    """Whether torch-sim wrote an HDF5 file."""
    try:
        with h5py.File(path, "r") as file:
            program = file["header"].attrs.get("program", "") if "header" in file else ""
    except (OSError, RuntimeError, LookupError, ValueError, AttributeError):
        return False
    return (program.decode() if isinstance(program, bytes) else str(program)) == _PROGRAM


def read_torch_sim(path: Path) -> tuple[list[Atoms], IntArray]:
    """Frames of a torch-sim file, with momenta where it holds velocities, and the step number of each.

    Raises:
        TrajectoryError: no positions or cell in it, atoms that change, or a cell stored at other steps than the
            positions.
        TornFile: the file is damaged.

    Source: torch_sim/trajectory.py of torch-sim 0.3, https://github.com/TorchSim/torch-sim. Checked by
    tests/transport/test_transport_torchsim.py on a file that torch-sim wrote.
    """
    try:
        with h5py.File(path, "r") as file:
            return _frames(file, path)
    except HalionError:
        raise
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise TornFile(
            f"this torch-sim file cannot be read to its end ({' '.join(str(error).split())[:150]})",
            where=str(path),
            fix="was it closed by its reporter (TrajectoryReporter.close)? else run again, or name another file",
        ) from error


def _frames(file: h5py.File, path: Path) -> tuple[list[Atoms], IntArray]:
    missing = [name for name in ("positions", "cell", "atomic_numbers") if name not in file["data"]]
    if missing:
        raise TrajectoryError(
            f"this torch-sim file holds no {', '.join(missing)}: only properties were reported to it",
            where=str(path),
            fix="report states too: TrajectoryReporter(..., state_frequency=10)",
        )
    positions, steps = file["data/positions"][...].astype(float), file["steps/positions"][...].astype(int)
    numbers = file["data/atomic_numbers"][...]
    if (numbers != numbers[:1]).any():
        raise TrajectoryError(
            "the elements of this torch-sim file change from frame to frame (a swap Monte Carlo run?)",
            where=str(path),
            fix="diffusion needs a run of molecular dynamics, whose atoms keep their places in the list",
        )
    # torch-sim's cell vectors are columns.
    cells = _in_all_frames(file, "cell", steps, path).transpose(0, 2, 1)
    frames = [
        Atoms(numbers[0], positions=place, cell=cell, pbc=True)
        for place, cell in zip(positions, cells, strict=True)
    ]
    if {"velocities", "masses"} <= set(file["data"]):
        velocities = _in_all_frames(file, "velocities", steps, path)
        masses = file["data/masses"][0].astype(float)
        for frame, velocity in zip(frames, velocities, strict=True):
            frame.set_masses(masses)
            frame.set_momenta(masses[:, None] * velocity)
    return frames, steps


def _in_all_frames(file: h5py.File, name: str, steps: IntArray, path: Path) -> FloatArray:
    """A quantity at the steps of the positions; one that was stored once holds for all of them."""
    values: NDArray = file[f"data/{name}"][...].astype(float)
    if len(values) == 1:
        return np.broadcast_to(values, (len(steps), *values.shape[1:]))
    if not np.array_equal(file[f"steps/{name}"][...], steps):
        raise TrajectoryError(
            f"this torch-sim file holds {name} at other steps than positions",
            where=str(path),
            fix="report them together: variable_cell=True in state_kwargs from the first frame on",
        )
    return values

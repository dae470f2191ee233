"""One pass over a run, in blocks of frames that fit into memory whatever its length: checked, without drift.

All positions are in the frame of the mean cell: in a breathing cell an ion that keeps its fractional coordinates
has not moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.transport.checks import checked_blocks
from halion.transport.msd import mean_squares

__all__ = ["MobileIons", "blocks_without_drift", "framework_msd", "mobile_ions"]

# Bytes of the paths of framework atoms that are held at once, as float64.
_MOST_BYTES = 4e8
_FRAMES_AT_ONCE = 8192
_STEADY = 1e-9  # Angstrom: a cell that changes by less is one cell


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileIons:
    """What one pass gives.

    Attributes:
        positions: (n_frames, n_ions, 3) Angstrom, the framework's drift removed; each path lies in one piece.
        drift: (n_frames, 3) displacement of the framework's centre since the first frame, Angstrom.
        framework: (n_framework, 3) mean positions of all other atoms, drift removed, Angstrom.
    """

    positions: FloatArray
    drift: FloatArray
    framework: FloatArray


def blocks_without_drift(trajectory: Trajectory, species: str) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """The number of the first frame, positions without drift, and drift, block by block.

    The framework is everything but the mobile species, each atom counting the same; if there is nothing else, all
    ions (which are of one kind).

    Yields:
        first frame; (n, n_atoms, 3) Angstrom; (n, 3) drift since frame 0, Angstrom.
    Raises:
        TrajectoryError: what `refuse_unusable` refuses, at the latest after the last block.
    Checked by tests/transport/test_transport_frames.py.
    """
    to_mean = _ToMeanCell(trajectory)
    is_framework = np.array([symbol != species for symbol in trajectory.symbols])
    counted = np.flatnonzero(is_framework if is_framework.any() else ~is_framework)
    start = None
    for first, block in checked_blocks(trajectory, species):
        block = to_mean(first, block)
        centre = block[:, counted].mean(axis=1)
        start = centre[0] if start is None else start
        drift = centre - start
        yield first, block - drift[:, None], drift


def mobile_ions(trajectory: Trajectory, species: str) -> MobileIons:
    """The paths of the mobile ions without the framework's drift, of a run that is checked on the way.

    Raises:
        TrajectoryError: what `refuse_unusable` refuses.
    Checked by tests/transport/test_transport_frames.py.
    """
    is_mobile = np.array([symbol == species for symbol in trajectory.symbols])
    mobile, others = np.flatnonzero(is_mobile), np.flatnonzero(~is_mobile)
    framework = np.zeros((len(others), 3))
    paths = np.empty((len(mobile), 3, trajectory.n_frames))
    drift = np.empty((trajectory.n_frames, 3))
    for first, block, moved in blocks_without_drift(trajectory, species):
        paths[:, :, first : first + len(block)] = block[:, mobile].transpose(1, 2, 0)
        drift[first : first + len(block)] = moved
        framework += block[:, others].sum(axis=0)
    return MobileIons(positions=paths.transpose(2, 0, 1), drift=drift, framework=framework / trajectory.n_frames)


def framework_msd(trajectory: Trajectory, species: str, drift: FloatArray, n_lags: int) -> dict[str, FloatArray]:
    """Mean squared displacement of each element of the framework, Angstrom^2, (n_lags,) each.

    Args:
        trajectory: checked already.
        species: the mobile ions, which are left out.
        drift: (n_frames, 3) of the framework, Angstrom, which is removed.
        n_lags: lags 0 ... n_lags - 1.
    Checked by tests/transport/test_transport_frames.py.
    """
    symbols = np.array(trajectory.symbols)
    return {
        str(element): mean_squares(_groups(trajectory, np.flatnonzero(symbols == element), drift), n_lags)
        for element in np.unique(symbols[symbols != species])
    }


def _groups(trajectory: Trajectory, atoms: IntArray, drift: FloatArray) -> Iterator[FloatArray]:
    """(n_frames, some atoms, 3) paths without drift."""
    to_mean = _ToMeanCell(trajectory)
    n_frames = trajectory.n_frames
    # A power of two, so that no group reaches into more of the pieces of 32 atoms of halion's files than it must.
    at_once = 2 ** int(np.log2(max(1.0, _MOST_BYTES / (24 * n_frames))))
    for column in np.unique(atoms // at_once):
        group = atoms[atoms // at_once == column]
        paths = np.empty((len(group), 3, n_frames))
        # Atoms of one element stand together in most files, and what lies between two of them is read in any case.
        between = slice(int(group[0]), int(group[-1]) + 1)
        for first in range(0, n_frames, _FRAMES_AT_ONCE):
            part = slice(first, first + _FRAMES_AT_ONCE)
            block = to_mean(first, trajectory.positions[part, between][:, group - group[0]].astype(float))
            paths[:, :, part] = (block - drift[part, None]).transpose(1, 2, 0)
        yield paths.transpose(2, 0, 1)
        del paths  # before the next ones are made


class _ToMeanCell:
    """Positions of a block of frames as they would be in the mean cell."""

    def __init__(self, trajectory: Trajectory) -> None:
        self._cells = trajectory.cells
        self._is_steady = np.ptp(trajectory.cells, axis=0).max() <= _STEADY
        self._mean = trajectory.cells.mean(axis=0)

    def __call__(self, first: int, positions: FloatArray) -> FloatArray:
        if self._is_steady:
            return positions
        cells = self._cells[first : first + len(positions)]
        return np.einsum("tni,tij->tnj", positions, np.linalg.inv(cells)) @ self._mean

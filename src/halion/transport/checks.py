"""What a trajectory must be before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError

__all__ = ["checked_blocks", "refuse_outright", "refuse_short_window", "refuse_unusable"]

_FEWEST_FRAMES = 20
_FEWEST_LAGS = 3
_LONGEST_STEP = 0.5
# A multiple of the 128 frames that halion's files hold in one piece; 3 MB of 120 atoms.
_FRAMES_PER_BLOCK = 1024


def refuse_unusable(trajectory: Trajectory, species: str) -> None:
    """Refuse a trajectory whose analysis would mean nothing.

    Raises:
        TrajectoryError: no mobile ions, too few frames, numbers that are not finite, uneven or repeated times, a
            frame stored twice, an atom that moves by more than half a cell between frames.
    Checked by tests/transport/test_transport_run.py and test_transport_checks.py.
    """
    for _ in checked_blocks(trajectory, species):
        pass


def checked_blocks(trajectory: Trajectory, species: str) -> Iterator[tuple[int, FloatArray]]:
    """The frames of a run block by block, refused as by `refuse_unusable` while they pass.

    What is wrong between two frames is told after the last block, since only then it is known what is usual.

    Yields:
        number of the first frame; (1024 at most, n_atoms, 3) positions, float64, Angstrom.
    Raises:
        TrajectoryError: see `refuse_unusable`.
    """
    refuse_outright(trajectory, species)
    steps = _Steps(trajectory)
    for first in range(0, trajectory.n_frames, _FRAMES_PER_BLOCK):
        block = trajectory.positions[first : first + _FRAMES_PER_BLOCK].astype(float)
        # One sum tells whether all are numbers, since what is none stays none in it.
        with np.errstate(invalid="ignore"):
            sum_of_all = block.sum()
        if not np.isfinite(sum_of_all):
            finite = np.isfinite(block).all(axis=(1, 2))
            if not finite.all():
                raise _no_number(trajectory, first + int(np.argmin(finite)))
        steps.see(first, block)
        yield first, block
    steps.refuse()


def refuse_outright(trajectory: Trajectory, species: str) -> None:
    """Refuse what can be told without the positions.

    Raises:
        TrajectoryError: see `refuse_unusable`.
    """
    if species not in trajectory.symbols:
        raise TrajectoryError(
            f"there is no {species} in this trajectory ({', '.join(sorted(set(trajectory.symbols)))})",
            where=trajectory.source,
            fix="name the mobile ion: transport.mobile_species (--mobile)",
        )
    if trajectory.n_frames < _FEWEST_FRAMES:
        raise TrajectoryError(
            f"{trajectory.n_frames} frames are too few: a slope needs at least {_FEWEST_FRAMES}",
            where=trajectory.source,
            fix="run longer, or store frames more often (dynamics.store_every_steps)",
        )
    finite = np.isfinite(trajectory.cells).all(axis=(1, 2))
    if not finite.all():
        raise _no_number(trajectory, int(np.argmin(finite)))
    gaps = np.diff(trajectory.time_ps)
    if gaps.min() <= 0 or np.ptp(gaps) > 1e-3 * gaps.mean():
        k = int(np.argmax(np.abs(gaps - np.median(gaps))))
        raise TrajectoryError(
            f"times are not evenly spaced: frames {k} and {k + 1} are {gaps[k]:g} ps apart, most are "
            f"{np.median(gaps):g} ps (a frame stored twice or left out at a restart?)",
            where=trajectory.source,
            fix="drop the repeated frames, or analyse the parts before and after the gap one by one",
        )


def _no_number(trajectory: Trajectory, frame: int) -> TrajectoryError:
    return TrajectoryError(
        f"frame {frame} holds a position or cell that is not a number",
        where=trajectory.source,
        fix="cut the trajectory before that frame; the run has exploded there",
    )


class _Steps:
    """What happens between two frames and cannot have been motion, looked for as the frames pass."""

    def __init__(self, trajectory: Trajectory) -> None:
        self._trajectory = trajectory
        self._moved = np.empty(trajectory.n_frames - 1)
        self._largest = (0.0, 0)
        self._before: FloatArray | None = None

    def see(self, first: int, block: FloatArray) -> None:
        """The next block, which begins with frame number `first`."""
        if self._before is not None:
            self._look(first - 1, np.concatenate([self._before, block[:1]]))
        if len(block) > 1:
            self._look(first, block)
        self._before = block[-1:]

    def _look(self, first: int, block: FloatArray) -> None:
        steps = np.diff(block, axis=0)
        self._moved[first : first + len(steps)] = np.any(steps, axis=2).mean(axis=1)
        inverse = np.linalg.inv(self._trajectory.cells[first : first + len(block)])
        # No step is a larger part of the cell than this; most trajectories stay far below half of it.
        if np.abs(steps).max() * np.abs(inverse).sum(axis=1).max() > _LONGEST_STEP:
            # In fractions of the cell: far from the origin a breathing cell carries atoms along.
            parts = np.abs(np.diff(block @ inverse, axis=0)).max(axis=(1, 2))
            k = int(np.argmax(parts))
            self._largest = max(self._largest, (float(parts[k]), first + k))

    def refuse(self) -> None:
        """After the last block."""
        size, k = self._largest
        if size > _LONGEST_STEP:
            raise TrajectoryError(
                f"an atom moves by {size:.2f} of the cell between frames {k} and {k + 1}: "
                "beyond half a cell, motion cannot be told from a jump to another image",
                where=self._trajectory.source,
                fix="store frames more often, or give unwrapped positions",
            )
        # All atoms of a molecular-dynamics run move in every step; models that hop on a lattice may rest.
        if np.median(self._moved) == 1.0 and not self._moved.all():
            k = int(np.argmin(self._moved))
            raise TrajectoryError(
                f"frames {k} and {k + 1} hold the same positions: a frame stored twice at a restart?",
                where=self._trajectory.source,
                fix="drop the repeated frame",
            )


def refuse_short_window(trajectory: Trajectory, longest_ps: float) -> None:
    """Refuse a longest lag that leaves fewer than three lags to fit.

    Args:
        trajectory: evenly spaced.
        longest_ps: longest lag of the fit.
    Raises:
        TrajectoryError: the frames are too far apart for it.
    """
    spacing = float(np.diff(trajectory.time_ps).mean())
    if longest_ps * (1 + 1e-9) < _FEWEST_LAGS * spacing:
        raise TrajectoryError(
            f"the longest lag of the fit is {longest_ps:g} ps and frames are {spacing:g} ps apart: a slope "
            f"needs at least {_FEWEST_LAGS} lags",
            where=trajectory.source,
            fix="raise transport.longest_lag_ps or longest_lag_fraction, or store frames more often",
        )

"""What a trajectory must be before anything is computed from it."""

from __future__ import annotations

import numpy as np

from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError

__all__ = ["refuse_short_window", "refuse_unusable"]

_FEWEST_FRAMES = 20
_FEWEST_LAGS = 3
_LONGEST_STEP = 0.5
_FRAMES_PER_BLOCK = 512


def refuse_unusable(trajectory: Trajectory, species: str) -> None:
    """Refuse a trajectory whose analysis would mean nothing.

    Raises:
        TrajectoryError: no mobile ions, too few frames, numbers that are not finite, uneven or repeated times, a
            frame stored twice, an atom that moves by more than half a cell between frames.
    Checked by tests/transport/test_transport_run.py and test_transport_checks.py.
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
    finite = np.isfinite(trajectory.positions).all(axis=(1, 2)) & np.isfinite(trajectory.cells).all(axis=(1, 2))
    if not finite.all():
        raise TrajectoryError(
            f"frame {int(np.argmin(finite))} holds a position or cell that is not a number",
            where=trajectory.source,
            fix="cut the trajectory before that frame; the run has exploded there",
        )
    gaps = np.diff(trajectory.time_ps)
    if gaps.min() <= 0 or np.ptp(gaps) > 1e-3 * gaps.mean():
        k = int(np.argmax(np.abs(gaps - np.median(gaps))))
        raise TrajectoryError(
            f"times are not evenly spaced: frames {k} and {k + 1} are {gaps[k]:g} ps apart, most are "
            f"{np.median(gaps):g} ps (a frame stored twice or left out at a restart?)",
            where=trajectory.source,
            fix="drop the repeated frames, or analyse the parts before and after the gap one by one",
        )

    _refuse_steps(trajectory)


def _refuse_steps(trajectory: Trajectory) -> None:
    """Refuse what happens between two frames and cannot have been motion; in blocks, so that memory stays small."""
    moved, largest = np.empty(trajectory.n_frames - 1), (0.0, 0)
    for first in range(0, trajectory.n_frames - 1, _FRAMES_PER_BLOCK):
        last = min(first + _FRAMES_PER_BLOCK, trajectory.n_frames - 1)
        steps = np.diff(trajectory.positions[first : last + 1].astype(float), axis=0)
        moved[first:last] = np.any(steps, axis=2).mean(axis=1)
        inverse = np.linalg.inv(trajectory.cells[first:last])
        # No step is a larger part of the cell than this; most trajectories stay far below half of it.
        if np.abs(steps).max() * np.abs(inverse).sum(axis=1).max() > _LONGEST_STEP:
            parts = np.abs(steps @ inverse).max(axis=(1, 2))
            k = int(np.argmax(parts))
            largest = max(largest, (float(parts[k]), first + k))
    if largest[0] > _LONGEST_STEP:
        raise TrajectoryError(
            f"an atom moves by {largest[0]:.2f} of the cell between frames {largest[1]} and {largest[1] + 1}: "
            "beyond half a cell, motion cannot be told from a jump to another image",
            where=trajectory.source,
            fix="store frames more often, or give unwrapped positions",
        )
    # All atoms of a molecular-dynamics run move in every step; models that hop on a lattice may rest.
    if np.median(moved) == 1.0 and not moved.all():
        k = int(np.argmin(moved))
        raise TrajectoryError(
            f"frames {k} and {k + 1} hold the same positions: a frame stored twice at a restart?",
            where=trajectory.source,
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

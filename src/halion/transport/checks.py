"""What a trajectory must be before anything is computed from it."""

from __future__ import annotations

import numpy as np

from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError

__all__ = ["refuse_short_window", "refuse_unusable"]

_FEWEST_FRAMES = 20
_FEWEST_LAGS = 3


def refuse_unusable(trajectory: Trajectory, species: str) -> None:
    """Refuse a trajectory whose analysis would mean nothing.

    Raises:
        TrajectoryError: no mobile ions, too few frames, numbers that are not finite, uneven or repeated times.
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

"""Covariance of a mean squared displacement between its lags, for ions that wander, hop and vibrate.

One displacement over [t, t+m] and another over [s, s+n] share the time o during which they overlap, and the
vibration of an ion at end points that they share. For a mean squared displacement c + v m (v: rise per frame,
c: intercept, twice the mean squared vibration) their covariance is

    k = v o + (c / 2) e,    e = [s = t] + [s + n = t + m] - [s = t + m] - [s + n = t]

and that of their squares 2 k^2 / nu + v a^2 o / N: Isserlis' theorem for Gaussian motion of nu degrees of freedom
(3 N for N independent ions that move in all directions alike), and the fourth cumulant of the N ions' hops of
length a, which come at random times. Averaged over all time origins this is the covariance of the curve. Without
vibration and hops it is that of Brownian motion; with vibration alone that of Bullerjahn, von Buelow, Hummer,
J. Chem. Phys. 153, 024116 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from halion.arrays import FloatArray, IntArray

__all__ = ["IonStatistics", "brownian_covariance", "msd_covariance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IonStatistics:
    """How many ions, moving in how many ways, a mean squared displacement is averaged over.

    Attributes:
        n_independent: ions that move independently of each other, N; may be fewer than there are.
        degrees_of_freedom: nu, (sum of eigenvalues)^2 / (sum of their squares) of the covariance of all ions'
            displacements; 3 N for isotropic motion, N for motion along one axis.
        jump_length: a, Angstrom: root of (fourth cumulant / mean square) of an ion's displacement; 0 for motion in
            small steps.
    """

    n_independent: float
    degrees_of_freedom: float
    jump_length: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over pairs of origins, each (n_lags, n_lags) and divided by the numbers of origins."""

    overlap: FloatArray  # o
    overlap_squared: FloatArray  # o^2
    mixed: FloatArray  # o e
    ends_squared: FloatArray  # e^2


def _sums(lags: IntArray, n_frames: int) -> _Sums:
    """Direct sums over the offset s - t; intervals farther apart than their lengths have nothing in common."""
    origins = n_frames - lags
    size = len(lags)
    sums = np.empty((4, size, size))
    n = lags[:, None]
    for i, m in enumerate(lags):  # all n at once: axis 0 runs over n, axis 1 over the offset
        offset = np.arange(-lags.max(), m + 1)
        pairs = np.minimum(origins[i], origins[:, None] - offset) - np.maximum(0, -offset)
        pairs = np.maximum(pairs, 0) / (origins[i] * origins[:, None])
        overlap = np.maximum(np.minimum(m, offset + n) - np.maximum(0, offset), 0.0)
        ends = 0.0 + (offset == 0) + (offset + n == m) - (offset == m) - (offset + n == 0)
        parts = (overlap, overlap**2, overlap * ends, ends**2)
        for k, part in enumerate(parts):
            sums[k, i] = (pairs * part).sum(axis=1)
    return _Sums(*sums)


@lru_cache(maxsize=16)
def _remembered(lags: tuple[int, ...], n_frames: int) -> _Sums:
    """Runs of one length share their sums."""
    return _sums(np.array(lags), n_frames)


def brownian_covariance(lags: FloatArray | IntArray, n_frames: int) -> FloatArray:
    """Covariance of the time-averaged squared displacement of one ion in one dimension, variance 1 per frame.

    cov(m, n) = 2 / (M N) sum_{t,s} o(t,s)^2 with o the overlap of the intervals [t, t+m] and [s, s+n] and M, N
    the numbers of origins.

    Args:
        lags: (n,) whole numbers of frames.
        n_frames: frames of the run.
    Returns:
        (n, n).
    Checked by tests/transport/test_transport_fit.py against the double sum.
    """
    return 2.0 * _sums(np.asarray(lags).astype(int), n_frames).overlap_squared


def msd_covariance(
    lags: IntArray, n_frames: int, line: tuple[float, float], ions: IonStatistics, stride: int = 1
) -> FloatArray:
    """Covariance of the mean squared displacement between lags, Angstrom^4; formula at the top of this file.

    Args:
        lags: (n,) lags in units of `stride` frames.
        n_frames: length of the run in the same units.
        line: intercept (Angstrom^2) and rise per unit (Angstrom^2) of the mean squared displacement.
        ions: what it is averaged over.
        stride: stored frames per unit; vibrations of all of them average.
    Returns:
        (n, n).
    Checked by tests/transport/test_transport_covariance.py against simulated walks.
    """
    intercept, rise = max(line[0], 0.0), max(line[1], 0.0)
    sums = _remembered(tuple(int(lag) for lag in lags), int(n_frames))
    noise = intercept / 2.0
    gaussian = (
        rise**2 * sums.overlap_squared + (2 * rise * noise * sums.mixed + noise**2 * sums.ends_squared) / stride
    )
    hops = rise * ions.jump_length**2 * sums.overlap
    return 2.0 * gaussian / ions.degrees_of_freedom + hops / ions.n_independent

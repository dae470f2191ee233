"""The straight line through the mean squared displacement, and how far its slope may be trusted.

Fit: ordinary least squares with free intercept (He et al., npj Comput. Mater. 4, 18 (2018)). Errors: He's
empirical rule, and the exact covariance of the time-averaged displacement of independent Brownian ions
propagated through the same fit; the larger one counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from halion.arrays import FloatArray

__all__ = ["LineFit", "brownian_covariance", "fit_line", "rsd_brownian", "rsd_he"]

# Units of time to which the longest lag is coarse-grained: twice as many change the error by less than 1 %.
_LONGEST_LAG_UNITS = 150


@dataclass(frozen=True, slots=True)
class LineFit:
    """y = intercept + slope x."""

    slope: float
    intercept: float


def fit_line(x: FloatArray, y: FloatArray) -> LineFit:
    """Ordinary least squares with free intercept."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    return LineFit(slope, float(y.mean() - slope * x.mean()))


def rsd_he(n_eff: float) -> float:
    """Relative standard deviation of D, 3.43 / sqrt(n_eff) + 0.04 (He 2018, eq. 10)."""
    return 3.43 / math.sqrt(n_eff) + 0.04


def brownian_covariance(lags: FloatArray, n_frames: int) -> FloatArray:
    """Covariance of the time-averaged squared displacement of one ion in one dimension, D dt = 1/2 per frame.

    cov(m, n) = 2 / (M N) sum_{t,s} o(t,s)^2 with o the overlap of the intervals [t, t+m] and [s, s+n] and M, N
    the numbers of origins: the displacement over an interval is Gaussian with its length as variance.

    Args:
        lags: (n,) whole numbers of frames.
        n_frames: frames of the run.
    Returns:
        (n, n).
    """
    lags = lags.astype(int)
    origins = n_frames - lags
    covariance = np.empty((len(lags), len(lags)))
    for i, m in enumerate(lags):  # all n at once: axis 0 runs over n, axis 1 over the offset s - t
        offset = np.arange(1 - origins[i], origins.max())
        pairs = np.minimum(origins[i], origins[:, None] - offset) - np.maximum(0, -offset)
        overlap = np.minimum(m, offset + lags[:, None]) - np.maximum(0, offset)
        squares = np.maximum(pairs, 0) * np.maximum(overlap, 0.0) ** 2
        covariance[i] = 2.0 * squares.sum(axis=1) / (origins[i] * origins)
    return covariance


@lru_cache(maxsize=8)
def _covariance_of_first(n_lags: int, n_frames: int) -> FloatArray:
    """The covariance of lags 1 to n_lags; runs of one length share it."""
    return brownian_covariance(np.arange(1, n_lags + 1), n_frames)


def rsd_brownian(lags: FloatArray, n_frames: int, n_ions: int, dimensions: int = 3) -> float:
    """Relative standard deviation of the fitted slope for independent Brownian ions.

    Args:
        lags: (n,) lags of the fit in frames.
        n_frames: frames of the run.
        n_ions: mobile ions.
        dimensions: Cartesian directions that enter.
    """
    # The result depends on ratios of times alone, so time is coarse-grained to keep the covariance small.
    scale = max(1, int(lags[-1] // _LONGEST_LAG_UNITS))
    units = np.unique(np.maximum(1, np.round(lags / scale).astype(int)))
    whole = _covariance_of_first(int(units[-1]), max(int(n_frames // scale), int(units[-1]) + 1))
    covariance = whole[np.ix_(units - 1, units - 1)]
    centred = units - units.mean()
    weights = centred / (centred @ centred)
    # The slope of one ion in one dimension is one per unit; ions and directions average independently.
    return float(np.sqrt(weights @ covariance @ weights / (n_ions * dimensions)))

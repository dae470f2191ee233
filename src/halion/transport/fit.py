"""The straight line through the mean squared displacement, and how far its slope may be trusted.

Fit: ordinary least squares with free intercept (He et al., npj Comput. Mater. 4, 18 (2018)). Errors: He's
empirical rule, and the exact covariance of the time-averaged displacement of independent Brownian ions
propagated through the same fit; the larger one counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray

__all__ = ["LineFit", "brownian_covariance", "fit_line", "rsd_brownian", "rsd_he"]

_MOST_LAGS = 200  # of the covariance: the slope's error does not change beyond (tested)


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
    return 3.43 / np.sqrt(n_eff) + 0.04


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
    covariance = np.empty((len(lags), len(lags)))
    lags = lags.astype(int)
    for i, m in enumerate(lags):
        for j, n in enumerate(lags[: i + 1]):
            origins_m, origins_n = n_frames - m, n_frames - n
            offset = np.arange(-origins_m + 1, origins_n)  # s - t
            pairs = np.minimum(origins_m, origins_n - offset) - np.maximum(0, -offset)
            overlap = np.minimum(m, offset + n) - np.maximum(0, offset)
            covariance[i, j] = 2.0 * np.sum(pairs * np.maximum(overlap, 0).astype(float) ** 2)
            covariance[i, j] /= origins_m * origins_n
            covariance[j, i] = covariance[i, j]
    return covariance


def rsd_brownian(lags: FloatArray, n_frames: int, n_ions: int, dimensions: int = 3) -> float:
    """Relative standard deviation of the fitted slope for independent Brownian ions.

    Args:
        lags: (n,) lags of the fit in frames.
        n_frames: frames of the run.
        n_ions: mobile ions.
        dimensions: Cartesian directions that enter.
    """
    # Coarse-grain time so that the smallest lag stays at least one unit: the result depends on ratios alone.
    scale = max(1, int(lags[-1] // 400))
    units = np.unique(np.maximum(1, np.round(lags / scale).astype(int)))
    if len(units) > _MOST_LAGS:
        units = units[np.unique(np.linspace(0, len(units) - 1, _MOST_LAGS).round().astype(int))]
    covariance = brownian_covariance(units, max(int(n_frames // scale), units[-1] + 1))
    centred = units - units.mean()
    weights = centred / (centred @ centred)
    # The slope of one ion in one dimension is one per unit; ions and directions average independently.
    return float(np.sqrt(weights @ covariance @ weights / (n_ions * dimensions)))

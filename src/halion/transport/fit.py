"""The straight line through the mean squared displacement, and what the covariance of its lags says of the slope.

Ordinary least squares with free intercept (He et al., npj Comput. Mater. 4, 18 (2018)) is the fit of the field;
generalised least squares with the covariance of `halion.transport.covariance` is the second estimator. The error of
either slope is that covariance propagated through the fit. Neither is the naive error of least squares, which takes
lags for independent and is too small by factors of 20 to 100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.transport.covariance import IonStatistics, brownian_covariance, msd_covariance

__all__ = [
    "LagsUsed",
    "LineFit",
    "SlopeFits",
    "WeightedFit",
    "brownian_covariance",
    "fit_line",
    "fit_slopes",
    "fit_sparse",
    "rsd_brownian",
    "rsd_he",
]

# Units of time to which the longest lag is coarse-grained: twice as many change the error by less than 1 %.
_LONGEST_LAG_UNITS = 150
_FEWEST_UNITS = 4
_SPARSE_UNITS = 600
# Lags of generalised least squares, evenly spaced in ln(lag): neighbours tell nearly the same.
_GLS_LAGS = 24
# Lags that stand for all of an ordinary least squares fit when its covariance is propagated.
_OLS_LAGS = 40
_GLS_ROUNDS = 4


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


def rsd_brownian(lags: FloatArray, n_frames: int, n_ions: int, dimensions: int = 3) -> float:
    """Relative standard deviation of the fitted slope for independent Brownian ions.

    Args:
        lags: (n,) lags of the fit in frames.
        n_frames: frames of the run.
        n_ions: mobile ions.
        dimensions: Cartesian directions that enter.
    """
    # The result depends on ratios of times alone, so time is coarse-grained to keep the covariance small.
    scale = _stride(lags)
    first, last = (max(1, round(float(lag) / scale)) for lag in (lags[0], lags[-1]))
    units = np.unique(np.linspace(first, last, _OLS_LAGS).round().astype(int))
    n_units = max(int(n_frames // scale), int(units[-1]) + 1)
    covariance = msd_covariance(units, n_units, (0.0, 1.0), _ONE_DIMENSION)
    weights = _ols_weights(units)
    # The slope of one ion in one dimension is one per unit; ions and directions average independently.
    return float(np.sqrt(weights @ covariance @ weights / (n_ions * dimensions)))


_ONE_DIMENSION = IonStatistics(n_independent=1.0, degrees_of_freedom=1.0)


def _stride(lags: FloatArray | IntArray) -> int:
    """Frames per unit of time; a window that is short against its last lag keeps a few units."""
    return max(1, min(int(lags[-1]) // _LONGEST_LAG_UNITS, int(lags[-1] - lags[0]) // _FEWEST_UNITS))


def _ols_weights(x: FloatArray | IntArray) -> FloatArray:
    """The slope of ordinary least squares is their product with y."""
    centred = x - np.mean(x)
    return centred / (centred @ centred)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlopeFits:
    """Both estimators of the slope of a mean squared displacement, per frame.

    Attributes:
        ols: ordinary least squares with free intercept.
        ols_std: its standard deviation, by the covariance, Angstrom^2 per frame.
        gls: generalised least squares with that covariance.
        gls_std: its standard deviation.
        difference_std: standard deviation of the difference of the two slopes, which share their data.
    """

    ols: LineFit
    ols_std: float
    gls: LineFit
    gls_std: float
    difference_std: float

    @property
    def agree(self) -> bool:
        """Whether the two slopes differ by less than two and a half standard deviations of their difference."""
        return abs(self.ols.slope - self.gls.slope) <= _DISAGREE * self.difference_std


# 1 % of diffusive runs lie farther apart.
_DISAGREE = 2.58


def fit_slopes(lags: IntArray, msd: FloatArray, n_frames: int, ions: IonStatistics) -> SlopeFits:
    """Slope by ordinary and by generalised least squares, y = X b, b = (X^T C^-1 X)^-1 X^T C^-1 y.

    The covariance C depends on the slope and the intercept, so it starts from those of ordinary least squares and
    is renewed four times; C takes the curve for a straight line, so the first lag must be beyond the ballistic and
    caged part.

    Args:
        lags: (n,) evenly spaced lags of the fit, in frames.
        msd: (n,) Angstrom^2.
        n_frames: of the run.
        ions: what the displacement is averaged over.
    Checked by tests/transport/test_transport_covariance.py on replicas of known processes.
    """
    ols = fit_line(lags.astype(float), msd)
    lags_used = LagsUsed.of(lags, n_frames)
    x = lags_used.units.astype(float) * lags_used.stride
    y = msd[np.rint(x).astype(int) - int(lags[0])]
    ols_weights = np.zeros(len(x))
    ols_weights[lags_used.even] = _ols_weights(x[lags_used.even])
    line = ols
    for _ in range(_GLS_ROUNDS):
        covariance = lags_used.covariance(line, ions)
        gls_weights = _gls_weights(x, covariance, lags_used.spread)
        line = LineFit(float(gls_weights[1] @ y), float(gls_weights[0] @ y))
    return SlopeFits(
        ols=ols,
        ols_std=_std(ols_weights, covariance),
        gls=line,
        gls_std=_std(gls_weights[1], covariance),
        difference_std=_std(ols_weights - gls_weights[1], covariance),
    )


@dataclass(frozen=True, slots=True)
class WeightedFit:
    """Generalised least squares at few lags.

    Attributes:
        line: per frame.
        slope_std: of its slope.
        weights: (n_lags,) the slope is their product with the displacement, or with any component of it.
    """

    line: LineFit
    slope_std: float
    weights: FloatArray


def fit_sparse(lags: IntArray, msd: FloatArray, n_frames: int, ions: IonStatistics) -> WeightedFit:
    """Slope by generalised least squares, as in `fit_slopes`, at lags of any spacing, all of which are used.

    Args:
        lags: (n,) ascending, in frames; some fifty at most.
        msd: (n,) Angstrom^2.
        n_frames: of the run.
        ions: what the displacement is averaged over.
    Checked by tests/transport/test_transport_correlation.py on replicas.
    """
    x = lags.astype(float)
    line = fit_line(x, msd)
    # The covariance depends on ratios of times: coarse time keeps it small, four units keep the first lag sharp.
    scale = max(1, min(int(lags[-1]) // _SPARSE_UNITS, int(lags[0]) // _FEWEST_UNITS))
    units = np.maximum(np.rint(x / scale).astype(int), 1)
    for _ in range(_GLS_ROUNDS):
        covariance = msd_covariance(
            units, int(n_frames // scale), (line.intercept, max(line.slope, 0.0) * scale), ions
        )
        weights = _gls_weights(x, covariance, np.arange(len(x)))
        line = LineFit(float(weights[1] @ msd), float(weights[0] @ msd))
    return WeightedFit(line, _std(weights[1], covariance), weights[1])


@dataclass(frozen=True, slots=True)
class LagsUsed:
    """Few lags that stand for all.

    Attributes:
        units: (n,) lags in units of `stride` frames.
        even: which of them are evenly spaced, for ordinary least squares.
        spread: which of them are evenly spaced in ln(lag), for generalised least squares.
        n_units: length of the run in units.
        stride: frames per unit.
    """

    units: IntArray
    even: IntArray
    spread: IntArray
    n_units: int
    stride: int

    @classmethod
    def of(cls, lags: IntArray, n_frames: int) -> LagsUsed:
        """Those of evenly spaced lags in frames."""
        stride = _stride(lags)
        first, last = -(-int(lags[0]) // stride), int(lags[-1]) // stride
        even = np.unique(np.linspace(first, last, _OLS_LAGS).round().astype(int))
        spread = np.unique(np.geomspace(first, last, _GLS_LAGS).round().astype(int))
        units = np.union1d(even, spread)
        return cls(units, np.searchsorted(units, even), np.searchsorted(units, spread), n_frames // stride, stride)

    def covariance(self, line: LineFit, ions: IonStatistics) -> FloatArray:
        """Between all of `units`; the line is per frame."""
        rise = max(line.slope, 0.0) * self.stride
        return msd_covariance(self.units, self.n_units, (line.intercept, rise), ions, self.stride)


def _gls_weights(x: FloatArray, covariance: FloatArray, chosen: IntArray) -> FloatArray:
    """(2, n) whose products with y are intercept and slope; zero at lags that were not chosen.

    Where nothing rose or vibrated all lags are known exactly, and ordinary least squares is the limit.
    """
    design = np.column_stack([np.ones(len(chosen)), x[chosen]])
    part = covariance[np.ix_(chosen, chosen)]
    scale = np.sqrt(np.diag(part))
    weights = np.zeros((2, len(x)))
    if not (scale > 0.0).all():
        weights[:, chosen] = np.linalg.pinv(design)
        return weights
    # Lags far apart in size have covariances far apart in size; scaled to correlations they are well conditioned.
    weighed = np.linalg.solve(part / np.outer(scale, scale), design / scale[:, None]) / scale[:, None]
    weights[:, chosen] = np.linalg.solve(design.T @ weighed, weighed.T)
    return weights


def _std(weights: FloatArray, covariance: FloatArray) -> float:
    return float(np.sqrt(max(float(weights @ covariance @ weights), 0.0)))

"""The error of a diffusivity, four ways; the largest counts unless another is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError
from halion.transport.covariance import IonStatistics
from halion.transport.fit import SlopeFits, fit_line, fit_slopes, rsd_he
from halion.transport.msd import msd_tensor

__all__ = [
    "ERROR_METHODS",
    "DiffusivityErrors",
    "ErrorMethod",
    "Estimator",
    "diffusivity_errors",
    "rsd_block",
    "rsd_replica",
]

ErrorMethod = Literal["largest", "he2018", "covariance", "block", "replica"]
ERROR_METHODS: tuple[str, ...] = get_args(ErrorMethod)
Estimator = Literal["ols", "gls"]

# With fewer parts or replicas their scatter is known to no better than 50 %.
_FEWEST_PARTS, _MOST_PARTS = 4, 8
_FEWEST_LAGS = 3
# A part of a run needs no more frames than these for the slope of its displacement.
_FRAMES_OF_A_PART = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusivityErrors:
    """Relative standard deviations of one diffusivity; NaN where one cannot be had.

    Attributes:
        he2018: 3.43 / sqrt(n_eff) + 0.04 (He et al. 2018).
        covariance: the covariance of the fitted lags, propagated through the fit.
        block: scatter between parts of the run.
        replica: scatter between runs of the same kind.
        used: the one that counts.
        method: which one that is.
    """

    he2018: float
    covariance: float
    block: float
    replica: float
    used: float
    method: str

    def by(self, method: ErrorMethod) -> DiffusivityErrors:
        """The same with the error of another method in use.

        Raises:
            InputError: that one could not be had from these data.
        """
        known = {name: getattr(self, name) for name in ("he2018", "covariance", "block", "replica")}
        known = {name: value for name, value in known.items() if math.isfinite(value)}
        chosen = max(known, key=known.__getitem__, default="") if method == "largest" else method
        if chosen not in known:
            raise InputError(
                f"there is no {method} error of this diffusivity; known are {', '.join(known) or 'none'}",
                fix="take the largest of the known ones, run longer (block) or run replicas (replica)",
            )
        return DiffusivityErrors(
            **{name: getattr(self, name) for name in ("he2018", "covariance", "block", "replica")},
            used=known[chosen],
            method=chosen,
        )


def diffusivity_errors(
    fits: SlopeFits, n_eff: float, block: float, method: ErrorMethod = "largest", estimator: Estimator = "ols"
) -> DiffusivityErrors:
    """All errors of the slope of one run.

    Args:
        fits: both fits of the slope, with their standard deviations.
        n_eff: effective number of hops.
        block: `rsd_block`; NaN where the run is too short for it.
        method: which one counts.
        estimator: of which slope; the block error, which is of ordinary least squares, is scaled as the
            covariance's is.
    Raises:
        InputError: the method asked for cannot be had from one run of this length.
    Checked by tests/transport/test_transport_coverage.py on replicas of known processes.
    """
    ols, gls = (
        std / abs(line.slope) if line.slope else math.nan
        for line, std in ((fits.ols, fits.ols_std), (fits.gls, fits.gls_std))
    )
    plain = DiffusivityErrors(
        he2018=rsd_he(max(n_eff, 1e-12)),
        covariance=gls if estimator == "gls" else ols,
        block=block * gls / ols if estimator == "gls" and ols > 0 else block,
        replica=math.nan,
        used=math.nan,
        method="",
    )
    return plain.by(method)


def rsd_block(positions: FloatArray, lags: IntArray, ions: IonStatistics) -> float:
    """Relative standard deviation of D from the scatter between consecutive parts of the run.

    Parts are shorter than the run, so lags that are well sampled in the run are not in them: the scatter s of their
    slopes is compared with what the covariance says of a part, and the covariance's error of the whole run is
    scaled by that ratio. For lags much shorter than a part this is the usual s / sqrt(n).

    Args:
        positions: (n_frames, n_ions, 3) Angstrom, unwrapped, drift removed.
        lags: evenly spaced lags of the fit, in frames.
        ions: what the displacement is averaged over.
    Returns:
        NaN where no four parts hold three lags each, or nothing rises.
    Checked by tests/transport/test_transport_coverage.py.
    """
    for n_parts in range(_MOST_PARTS, _FEWEST_PARTS - 1, -1):
        length = len(positions) // n_parts
        inside = lags[lags <= length // 2]
        if len(inside) >= _FEWEST_LAGS and inside[-1] >= 2 * inside[0]:
            break
    else:
        return math.nan
    stride = max(1, length // _FRAMES_OF_A_PART)
    first, last = -(-int(inside[0]) // stride), int(inside[-1]) // stride
    chosen = np.arange(first, last + 1)
    fits = []
    for k in range(n_parts):
        part = positions[k * length : (k + 1) * length : stride]
        msd = np.trace(msd_tensor(part, last + 1), axis1=1, axis2=2)[chosen]
        fits.append(fit_line(chosen * float(stride), msd))
    slopes, mean = np.array([fit.slope for fit in fits]), float(np.mean([fit.slope for fit in fits]))
    if mean <= 0:
        return math.nan
    intercept = float(np.mean([fit.intercept for fit in fits]))
    expected_part = _expected_rsd((intercept, mean), inside, length, ions)
    expected_whole = _expected_rsd((intercept, mean), lags, len(positions), ions)
    return float(slopes.std(ddof=1) / mean * expected_whole / expected_part)


def _expected_rsd(line: tuple[float, float], lags: IntArray, n_frames: int, ions: IonStatistics) -> float:
    """What the covariance says of a straight line's slope over these lags."""
    intercept, slope = line
    return fit_slopes(lags, intercept + slope * lags, n_frames, ions).ols_std / slope


def rsd_replica(diffusivities: Sequence[float]) -> float:
    """Relative standard deviation of the mean over replicas, s / (mean sqrt(n)); NaN for fewer than four.

    Checked by tests/transport/test_transport_coverage.py.
    """
    values = np.asarray(diffusivities, dtype=float)
    if len(values) < _FEWEST_PARTS or values.mean() <= 0:
        return math.nan
    return float(values.std(ddof=1) / math.sqrt(len(values)) / values.mean())

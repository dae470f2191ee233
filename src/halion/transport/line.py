"""Posterior of a linear model of ln D with flat priors, from measured values and upper bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtri

from halion.arrays import FloatArray

__all__ = ["LineData", "LinePosterior", "posterior_of_line", "weighted_quantiles"]

_N_DRAWS = 1024
# The proposal is wider than the posterior at its mode, so that its tails are drawn too.
_WIDER = 1.5
_GOLDEN = 1.32471795724474602596  # root of x^3 = x + 1: steps of an even sequence in two and three dimensions


@dataclass(frozen=True, slots=True, kw_only=True)
class LineData:
    """What a linear model is compared with.

    Attributes:
        design: (n, k) of the measured values.
        values: (n,) ln D.
        std: (n,) their standard deviations.
        bound_design: (m, k) of runs that gave an upper bound.
        bound_values: (m,) ln D of what such a run showed.
        bound_std: (m,) uncertainty of that.
    """

    design: FloatArray
    values: FloatArray
    std: FloatArray
    bound_design: FloatArray
    bound_values: FloatArray
    bound_std: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePosterior:
    """Posterior of the coefficients of a linear model.

    Attributes:
        mean: (k,).
        covariance: (k, k).
        chi2: of the measured values about their own best line.
        ln_evidence: ln of the likelihood integrated over the coefficients (flat prior of height one).
        draws: (n_draws, k), evenly spread rather than random, so that they are the same every time.
        weights: (n_draws,) sum to one.
    """

    mean: FloatArray
    covariance: FloatArray
    chi2: float
    ln_evidence: float
    draws: FloatArray
    weights: FloatArray


def posterior_of_line(data: LineData) -> LinePosterior:
    """Likelihood: ln D_i is normal about the line; a bound B with spread s multiplies by Phi((B - line) / s).

    Without bounds the posterior is the normal distribution of weighted least squares. With them it is sampled by
    importance, about its mode, which is unique since both factors are log-concave.

    Checked by tests/transport/test_transport_arrhenius.py against sums over a fine grid.
    """
    weights = data.std**-2.0
    precision = data.design.T @ (weights[:, None] * data.design)
    covariance = np.linalg.inv(precision)
    best = covariance @ (data.design.T @ (weights * data.values))
    residuals = data.values - data.design @ best
    chi2 = float(weights @ residuals**2)
    size = len(best)
    height = -0.5 * chi2 - float(np.log(data.std * np.sqrt(2 * np.pi)).sum())
    evidence = height + 0.5 * (size * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1])
    unit = ndtri(_even_points(size))
    if not len(data.bound_values):
        draws = best + unit @ np.linalg.cholesky(covariance).T
        return LinePosterior(
            mean=best,
            covariance=covariance,
            chi2=chi2,
            ln_evidence=float(evidence),
            draws=draws,
            weights=np.full(len(draws), 1.0 / len(draws)),
        )
    return _with_bounds(data, (best, precision, height, chi2), unit)


def _with_bounds(
    data: LineData, gaussian: tuple[FloatArray, FloatArray, float, float], unit: FloatArray
) -> LinePosterior:
    best, precision, height, chi2 = gaussian

    def log_density(points: FloatArray) -> FloatArray:
        apart = points - best
        scaled = (data.bound_values - points @ data.bound_design.T) / data.bound_std
        return -0.5 * np.einsum("...a,ab,...b->...", apart, precision, apart) + log_ndtr(scaled).sum(axis=-1)

    root = np.linalg.cholesky(np.linalg.inv(precision))
    # In units of the spread without bounds, so that the search is well conditioned.
    found = minimize(lambda u: -float(log_density(best + root @ u)), np.zeros(len(best)), method="BFGS")
    mode = best + root @ found.x
    spread = np.linalg.inv(precision + _curvature_of_bounds(data, mode))
    proposal = np.linalg.cholesky(spread) * _WIDER
    draws = mode + unit @ proposal.T
    log_weights = log_density(draws) + 0.5 * np.sum(unit**2, axis=1)
    top = log_weights.max()
    weights = np.exp(log_weights - top)
    integral = weights.mean() * (2 * np.pi) ** (len(best) / 2) * np.prod(np.diag(proposal))
    weights /= weights.sum()
    mean = weights @ draws
    apart = draws - mean
    return LinePosterior(
        mean=mean,
        covariance=(apart * weights[:, None]).T @ apart,
        chi2=chi2,
        ln_evidence=float(height + top + np.log(integral)),
        draws=draws,
        weights=weights,
    )


def _curvature_of_bounds(data: LineData, point: FloatArray) -> FloatArray:
    """Minus the second derivative of sum ln Phi(u): r (u + r) / s^2 with r = phi(u) / Phi(u)."""
    u = (data.bound_values - data.bound_design @ point) / data.bound_std
    ratio = np.exp(-0.5 * u**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(u))
    curvature = ratio * (u + ratio) / data.bound_std**2
    return data.bound_design.T @ (curvature[:, None] * data.bound_design)


def _even_points(size: int) -> FloatArray:
    """(n_draws, size) points that fill the unit cube evenly: multiples of irrational steps (Kronecker sequence)."""
    steps = {1: [0.6180339887498949], 2: [1 / _GOLDEN, 1 / _GOLDEN**2]}.get(size)
    root = 1.22074408460575947536  # of x^4 = x + 1, for three dimensions
    steps = steps or [root**-k for k in range(1, size + 1)]
    points = (0.5 + np.outer(np.arange(1, _N_DRAWS + 1), steps)) % 1.0
    return np.clip(points, 1e-9, 1 - 1e-9)


def weighted_quantiles(values: FloatArray, weights: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Quantiles of weighted draws, linear between the middles of their steps."""
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(levels, below / weights.sum(), values[order])

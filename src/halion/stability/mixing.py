"""Mixing energy over x as a smooth curve, and the temperature above which a phase mixes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.stability.types import EnergyError, SeriesEnergies
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["CriticalPoint", "MixingFit", "critical_point", "fit_mixing"]

_HIGHEST_ORDER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingFit:
    """E(y) = (1 - y) E_0 + y E_1 + y (1 - y) sum_k L_k (1 - 2y)^k per formula unit, y = x/X.

    Attributes:
        phase: its name.
        ends: (2,) energies of the end members, eV per formula unit.
        coefficients: L_0, L_1, ..., eV per formula unit.
        coefficients_cov: their covariance from the potential's error; NaN without one.
        left_out_error: root-mean-square error of points left out of the fit one by one, eV per formula unit; NaN
            where there are too few.
        n_points: mixtures fitted.
    """

    phase: str
    ends: FloatArray
    coefficients: FloatArray
    coefficients_cov: FloatArray
    left_out_error: float
    n_points: int

    @property
    def excess(self) -> Polynomial:
        """y (1 - y) sum_k L_k (1 - 2y)^k as a polynomial in y."""
        return excess_polynomial(self.coefficients)

    @property
    def energy(self) -> Polynomial:
        """E(y), eV per formula unit."""
        return Polynomial([self.ends[0], self.ends[1] - self.ends[0]]) + self.excess


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPoint:
    """The top of a phase's miscibility gap with ideal entropy.

    Attributes:
        phase: its name.
        temperature_k: above it the phase mixes at every x; 0: at any temperature.
        low_k, high_k: its 68 % interval from the potential's error; NaN without one.
        x: where the gap closes; NaN where there is none.
    """

    phase: str
    temperature_k: float
    low_k: float
    high_k: float
    x: float


def fit_mixing(series: SeriesEnergies, phase: str, error: EnergyError | None = None) -> MixingFit:
    """Fit a Redlich-Kister polynomial to a phase's energies, both ends exact.

    The order (one to four coefficients) is the lowest that describes the points within their errors (chi^2
    below its 95 % quantile); where no error tells points apart, that with the least error on points left
    out one by one. The fit is linear in the energies, so that the potential's error goes through exactly.

    Args:
        series: from `series_energies`.
        phase: one of its phases.
        error: of the potential; None gives no covariance.
    Raises:
        InputError: a missing end, or no mixture between the ends.

    Source: Redlich, Kister, Ind. Eng. Chem. 40, 345 (1948). Checked by tests/stability/test_stability_mixing.py:
    polynomials found again, ends exact, covariance against draws.
    """
    ends = (series.end(phase, 0.0), series.end(phase, series.most))
    inner = [point for point in series.curve(phase) if not any(point is end for end in ends)]
    if not inner:
        raise InputError(
            f"phase {phase} has no mixture between its ends: nothing is known of mixing",
            fix="make the series with an x in between",
        )
    y = np.array([point.x / series.most for point in inner])
    # (n, n + 2) from energies per atom of mixtures and ends to excess energies per formula unit.
    atoms = np.array([series.atoms_per_unit(point.x) for point in inner])
    of_ends = np.array([series.atoms_per_unit(end.x) for end in ends])
    to_excess = np.hstack([np.diag(atoms), -np.column_stack([1 - y, y]) * of_ends])
    energies = np.array([point.energy for point in (*inner, *ends)])
    excess = to_excess @ energies
    orders = range(1, min(_HIGHEST_ORDER + 1, max(len(y) - 1, 1)) + 1)
    bases = [_basis(y, order) for order in orders]
    errors = [_left_out_error(basis, excess) for basis in bases]
    best = int(np.nanargmin(errors)) if np.isfinite(errors).any() else 0
    if error is not None and error.std * (1 - error.correlation) > 0:
        noise = to_excess @ error.covariance((*inner, *ends)) @ to_excess.T
        best = next((k for k, basis in enumerate(bases) if _describes(basis, excess, noise)), best)
    solve = np.linalg.pinv(bases[best]) @ to_excess
    covariance = np.full((orders[best], orders[best]), np.nan)
    if error is not None:
        covariance = solve @ error.covariance((*inner, *ends)) @ solve.T
    return MixingFit(
        phase=phase,
        ends=energies[-2:] * of_ends,
        coefficients=solve @ energies,
        coefficients_cov=covariance,
        left_out_error=float(errors[best]),
        n_points=len(inner),
    )


def critical_point(fit: MixingFit, mixed_sites: float, *, n_draws: int = 2000, seed: int = 0) -> CriticalPoint:
    """The highest temperature at which F(y) = E(y) - T S_ideal(y) still bends downward somewhere.

    F'' = E'' + kT n / (y (1 - y)) = 0 gives T_s(y) = -E''(y) y (1 - y) / (k n), the spinodal; its highest point
    is the critical point. For E = W y (1 - y) per site it is W / 2k.

    Args:
        fit: from `fit_mixing`.
        mixed_sites: n, sites per formula unit that both elements share.
        n_draws: coefficients drawn from their covariance for the interval.
        seed: of the draws.
    Raises:
        InputError: no mixed sites.

    Checked by tests/stability/test_stability_mixing.py: the regular solution, the gap of the common tangent.
    """
    if not (math.isfinite(mixed_sites) and mixed_sites > 0):
        raise InputError(
            f"{mixed_sites} mixed sites hold no mixture", fix="give the sites that both elements share"
        )
    temperature, y = _top_of_spinodal(fit.coefficients, mixed_sites)
    low = high = math.nan
    if np.isfinite(fit.coefficients_cov).all():
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(fit.coefficients_cov)
        spread = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = fit.coefficients + rng.standard_normal((n_draws, len(fit.coefficients))) @ spread.T
        grid = np.linspace(0, 1, 401)
        # The spinodal is linear in the coefficients.
        each = np.stack([_spinodal(one, mixed_sites)(grid) for one in np.eye(len(fit.coefficients))])
        tops = np.maximum((drawn @ each).max(axis=1), 0.0)
        low, high = (float(level) for level in np.quantile(tops, [0.16, 0.84]))
    most = math.nan if temperature == 0 else y
    return CriticalPoint(phase=fit.phase, temperature_k=temperature, low_k=low, high_k=high, x=most)


def excess_polynomial(coefficients: FloatArray) -> Polynomial:
    """y (1 - y) sum_k L_k (1 - 2y)^k."""
    total = Polynomial([0.0])
    for k, value in enumerate(coefficients):
        total = total + value * Polynomial([1.0, -2.0]) ** k
    return Polynomial([0.0, 1.0, -1.0]) * total


def _basis(y: FloatArray, order: int) -> FloatArray:
    return np.column_stack([y * (1 - y) * (1 - 2 * y) ** k for k in range(order)])


def _describes(basis: FloatArray, values: FloatArray, noise: FloatArray) -> bool:
    """Whether chi^2 of the ordinary fit is below the 95 % quantile of its degrees of freedom."""
    residuals = values - basis @ (np.linalg.pinv(basis) @ values)
    n_free = len(values) - basis.shape[1]
    return n_free <= 0 or float(residuals @ np.linalg.solve(noise, residuals)) <= chi2.ppf(0.95, n_free)


def _left_out_error(basis: FloatArray, values: FloatArray) -> float:
    """Of a linear fit: residuals over one minus the leverage, no refit needed."""
    if len(values) <= basis.shape[1]:
        return math.nan
    hat = basis @ np.linalg.pinv(basis)
    leverage = np.diag(hat)
    if (leverage > 1 - 1e-9).any():
        return math.nan
    return float(np.sqrt(np.mean(((values - hat @ values) / (1 - leverage)) ** 2)))


def _spinodal(coefficients: FloatArray, mixed_sites: float) -> Polynomial:
    """T_s(y), kelvin; negative where the curve bends upward at any temperature."""
    bend = excess_polynomial(coefficients).deriv(2)
    return -bend * Polynomial([0.0, 1.0, -1.0]) / (BOLTZMANN_EV_PER_K * mixed_sites)


def _top_of_spinodal(coefficients: FloatArray, mixed_sites: float) -> tuple[float, float]:
    """(kelvin, y) of the highest point; zero where no point lies above zero."""
    spinodal = _spinodal(coefficients, mixed_sites)
    grid = np.linspace(0, 1, 401)
    k = int(np.clip(spinodal(grid).argmax(), 1, 399))
    found = minimize_scalar(
        lambda y: -spinodal(y), bounds=(grid[k - 1], grid[k + 1]), method="bounded", options={"xatol": 1e-10}
    )
    top = float(spinodal(found.x))
    return (top, float(found.x)) if top > 0 else (0.0, math.nan)

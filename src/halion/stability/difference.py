"""The energy difference of two phases over x, and the composition at which the stable one changes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.stability.types import EnergyError, PhasePoint, SeriesEnergies

__all__ = ["PhaseDifference", "Transition", "TransitionError", "phase_difference"]

_SAME_X = 1e-6
# Below the last digit of an energy of 10 eV/atom in double precision nothing is a difference.
_ROUNDING = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionError:
    """What the potential's error makes of a transition, by drawn errors.

    Attributes:
        correlation: rho of the errors drawn: 0, each point errs alone; 1, one shift per phase.
        low95, low68, median, high68, high95: quantiles of x* over the draws that have one.
        missing: part of the draws without any crossing.
        several: part of the draws with more than one.
    """

    correlation: float
    low95: float
    low68: float
    median: float
    high68: float
    high95: float
    missing: float
    several: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One composition where the difference changes sign.

    Attributes:
        x: by linear interpolation between the compositions on both sides.
        below, above: the phase that is lower before and after it.
        errors: one per correlation asked for; empty where no error was given.
    """

    x: float
    below: str
    above: str
    errors: tuple[TransitionError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDifference:
    """E(first) - E(second) over the x that both curves have.

    Attributes:
        first, second: names of the phases; the difference is negative where the first is stable.
        x: (n,) compositions.
        difference: (n,) eV/atom.
        std: (n,) its standard deviation, each point erring alone; NaN where no error was given.
        std_shift: (n,) the same when each phase errs by one shift.
        first_is_lower: (n,) probability that the first phase is the lower one, points erring alone.
        transitions: where the sign changes, by x; empty: no crossing.
        missing: x that only one of the phases has.
        verdict: the finding in words.
    """

    first: str
    second: str
    x: FloatArray
    difference: FloatArray
    std: FloatArray
    std_shift: FloatArray
    first_is_lower: FloatArray
    transitions: tuple[Transition, ...]
    missing: tuple[float, ...]
    verdict: str


def phase_difference(
    series: SeriesEnergies,
    first: str,
    second: str,
    error: EnergyError | None = None,
    *,
    n_draws: int = 20_000,
    seed: int = 0,
) -> PhaseDifference:
    """dE(x) = E_first(x) - E_second(x) per atom, with its band, and the x* where it changes sign.

    Between compositions dE is linear. Errors are drawn from the Gaussian of `EnergyError` for all points together
    (Monte Carlo), once with rho = 0 and once with rho = 1 (and with the error's own rho where it is another): the
    first says how far one bad point moves x*, the second how far a bias of one phase does. Of a draw with several
    crossings the one nearest to x* counts.

    Args:
        series: from `series_energies`.
        first, second: two of its phases.
        error: of the potential; None gives no band.
        n_draws: of the Monte Carlo; 20,000 give quantiles within a hundredth of their distance.
        seed: of the draws.
    Raises:
        InputError: an unknown phase, the same one twice, or no x that both have.

    Checked by tests/stability/test_stability_difference.py: zero for one phase under two names, closed form of x*
    and of its error for a straight line, draws one by one.
    """
    pairs, missing = _pairs(series, first, second)
    x = np.array([one.x for one, _ in pairs])
    difference = np.array([one.energy - other.energy for one, other in pairs])
    floor = _ROUNDING * max(1.0, float(np.abs([one.energy for one, _ in pairs]).max()))
    difference = np.where(np.abs(difference) <= floor, 0.0, difference)
    alone, shift = (_std(pairs, error, correlation) for correlation in (0.0, 1.0))
    roots = crossings(x, difference)
    drawn = [] if error is None else _draws(pairs, difference, error, n_draws, seed)
    transitions = tuple(
        Transition(
            x=root,
            below=first if sign < 0 else second,
            above=second if sign < 0 else first,
            errors=tuple(_of_draws(root, x, draws, correlation) for correlation, draws in drawn),
        )
        for root, sign in roots
    )
    return PhaseDifference(
        first=first,
        second=second,
        x=x,
        difference=difference,
        std=alone,
        std_shift=shift,
        first_is_lower=_probability_lower(difference, alone),
        transitions=transitions,
        missing=missing,
        verdict=_verdict(first, second, x, difference, transitions, drawn),
    )


def crossings(x: FloatArray, values: FloatArray) -> list[tuple[float, int]]:
    """(x*, sign before it) of every change of sign of the line through points; a mere touch of zero is none.

    Where the line is zero over a stretch between opposite signs, x* is the middle of the stretch.
    """
    found, last = [], None
    for k in np.flatnonzero(values):
        if last is not None and np.sign(values[k]) != np.sign(values[last]):
            if k == last + 1:
                root = x[last] - values[last] * (x[k] - x[last]) / (values[k] - values[last])
            else:
                root = (x[last + 1] + x[k - 1]) / 2
            found.append((float(root), int(np.sign(values[last]))))
        last = k
    return found


def _pairs(
    series: SeriesEnergies, first: str, second: str
) -> tuple[list[tuple[PhasePoint, PhasePoint]], tuple[float, ...]]:
    unknown = [name for name in (first, second) if name not in series.phases]
    if unknown or first == second:
        raise InputError(
            f"a difference needs two phases of the series, got {first} and {second}",
            fix=f"the phases are {', '.join(series.phases)}",
        )
    curves = [series.curve(name) for name in (first, second)]
    pairs = [(one, other) for one in curves[0] for other in curves[1] if abs(one.x - other.x) < _SAME_X]
    if not pairs:
        raise InputError(
            f"{first} and {second} have no x in common", fix="make both phases at the same compositions"
        )
    shared = [one.x for one, _ in pairs]
    alone = {p.x for curve in curves for p in curve if all(abs(p.x - x) >= _SAME_X for x in shared)}
    return pairs, tuple(sorted(alone))


def _weights(n: int) -> FloatArray:
    """(n, 2n) from energies (all of the first, then all of the second) to differences."""
    return np.hstack([np.eye(n), -np.eye(n)])


def _covariance(pairs: list[tuple[PhasePoint, PhasePoint]], error: EnergyError, correlation: float) -> FloatArray:
    points = tuple(one for one, _ in pairs) + tuple(other for _, other in pairs)
    model = EnergyError(std=error.std, correlation=correlation, between_phases=error.between_phases)
    weights = _weights(len(pairs))
    return weights @ model.covariance(points) @ weights.T


def _std(pairs: list[tuple[PhasePoint, PhasePoint]], error: EnergyError | None, correlation: float) -> FloatArray:
    if error is None:
        return np.full(len(pairs), np.nan)
    return np.sqrt(np.maximum(np.diag(_covariance(pairs, error, correlation)), 0.0))


def _probability_lower(difference: FloatArray, std: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        certain = np.where(difference < 0, 1.0, np.where(difference > 0, 0.0, 0.5))
        return np.where(std > 0, ndtr(-difference / std), np.where(np.isnan(std), np.nan, certain))


def _draws(
    pairs: list[tuple[PhasePoint, PhasePoint]], difference: FloatArray, error: EnergyError, n: int, seed: int
) -> list[tuple[float, FloatArray]]:
    """(correlation, (n, n_x) differences with drawn errors) of each correlation asked for."""
    drawn = []
    for correlation in sorted({0.0, error.correlation, 1.0}):
        values, vectors = np.linalg.eigh(_covariance(pairs, error, correlation))
        normal = np.random.default_rng(seed).standard_normal((n, len(pairs)))
        drawn.append((correlation, difference + normal * np.sqrt(np.maximum(values, 0.0)) @ vectors.T))
    return drawn


def _drawn_roots(x: FloatArray, draws: FloatArray) -> FloatArray:
    """(n, n_x - 1) crossing within each interval, NaN where there is none."""
    left, right = draws[:, :-1], draws[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = x[:-1] + (x[1:] - x[:-1]) * left / (left - right)
    return np.where(left * right < 0, roots, np.nan)


def _of_draws(root: float, x: FloatArray, draws: FloatArray, correlation: float) -> TransitionError:
    if not np.ptp(draws, axis=0).any():  # an error of zero: every draw is the curve itself
        same = dict.fromkeys(("low95", "low68", "median", "high68", "high95"), root)
        return TransitionError(correlation=correlation, missing=0.0, several=0.0, **same)
    roots = _drawn_roots(x, draws)
    n = np.isfinite(roots).sum(axis=1)
    distance = np.where(np.isfinite(roots), np.abs(roots - root), np.inf)
    nearest = roots[np.arange(len(roots)), distance.argmin(axis=1)][n > 0]
    levels = np.quantile(nearest, [0.025, 0.16, 0.5, 0.84, 0.975]) if len(nearest) else np.full(5, math.nan)
    return TransitionError(
        correlation=correlation,
        low95=float(levels[0]),
        low68=float(levels[1]),
        median=float(levels[2]),
        high68=float(levels[3]),
        high95=float(levels[4]),
        missing=float((n == 0).mean()),
        several=float((n > 1).mean()),
    )


def _verdict(
    first: str,
    second: str,
    x: FloatArray,
    difference: FloatArray,
    transitions: tuple[Transition, ...],
    drawn: list[tuple[float, FloatArray]],
) -> str:
    if not difference.any():
        return f"{first} and {second} have the same energy at every x: no crossing."
    if transitions:
        told = "; ".join(f"{each.below} below and {each.above} above x* = {each.x:.2f}" for each in transitions)
        return f"{told}." + _spread(transitions[0])
    lower = first if difference.sum() < 0 else second
    text = f"No crossing: {lower} is the lower phase from x = {x.min():g} to {x.max():g}"
    for correlation, draws in drawn:
        share = float(np.isfinite(_drawn_roots(x, draws)).any(axis=1).mean())
        text += f"; {_errors_named(correlation)} give a crossing in {share:.0%} of the draws"
    return f"{text}."


def _spread(transition: Transition) -> str:
    return "".join(
        f" With {_errors_named(each.correlation)} x* = {transition.x:.2f} lies between {each.low68:.2f} and "
        f"{each.high68:.2f} (68 %), and is missing in {each.missing:.0%} of the draws."
        for each in transition.errors
    )


def _errors_named(correlation: float) -> str:
    return {0.0: "errors of each point alone", 1.0: "one error per phase"}.get(
        correlation, f"errors correlated by {correlation:g} over x"
    )

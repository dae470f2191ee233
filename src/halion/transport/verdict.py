"""Did this run diffuse? Said from the gate of He 2018, the log-log slope, hops, and the framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.transport.covariance import IonStatistics
from halion.transport.fit import LagsUsed, LineFit, SlopeFits
from halion.transport.types import Verdict

__all__ = [
    "Evidence",
    "FitWindow",
    "fit_window",
    "is_melted",
    "judge",
    "leaving_elements",
    "log_slope",
    "log_slope_band",
]

# He 2018: fit from MSD = 0.5 a^2 on, and only if the MSD rises by another 0.5 a^2 within the window.
_GATE = 0.5
_FEWEST_LAGS = 3
# 99 % of diffusive runs have their log-log slope within so many standard deviations of what is expected.
_QUANTILE_99 = 2.58
# The expected slope is 1, and less where ions vibrate in their cages: a constant added to the displacement. More
# than a quarter of a^2, an amplitude of 0.35 a, is no vibration.
_MOST_VIBRATION = 0.25
# However few ions there are, a slope outside is not called diffusion.
_WIDEST_BAND = (0.5, 1.6)
_BALLISTIC_SLOPE = 1.6
_FEWEST_HOPPED = 0.2
# Crystals melt when their atoms vibrate by 0.10 to 0.15 d (Lindemann; d: distance of like neighbours), that is at a
# mean squared displacement of 2 (0.15 d)^2 = 0.045 d^2. At (0.4 d)^2 = 0.16 d^2, still growing, atoms have left
# their sites: no vibration reaches it. One sublattice may do so while another keeps its sites (anions that change
# places among fixed cations): that disturbs a run, but it is a melt only when its atoms have moved by d on average.
_LINDEMANN_FRACTION = 0.15
_MELTED_FRACTION = 0.4
_SUBLATTICE_FRACTION = 1.0
_STILL_GROWING = 1.2


@dataclass(frozen=True, slots=True)
class FitWindow:
    """First and last index of the lags that are fitted; `passes` tells whether He's gate is met."""

    first: int
    last: int
    passes: bool


def fit_window(
    lag_time_ps: FloatArray, msd: FloatArray, longest_ps: float, length: float, shortest_ps: float | None = None
) -> FitWindow:
    """Lags from MSD >= a^2/2 to the longest admissible one, with He's gate.

    Args:
        lag_time_ps: (n_lags,) ps, from zero.
        msd: (n_lags,) Angstrom^2.
        longest_ps: longest lag of the fit.
        length: hop length a, Angstrom.
        shortest_ps: first lag of the fit; None: the first with MSD >= a^2/2. The gate is asked for all the same.
    """
    gate = _GATE * length**2
    last = int(np.searchsorted(lag_time_ps, longest_ps * (1 + 1e-9), side="right")) - 1
    above = np.flatnonzero(msd[: last + 1] >= gate)
    first = int(above[0]) if len(above) else max(1, last // 2)
    if shortest_ps is not None:
        first = min(int(np.searchsorted(lag_time_ps, shortest_ps * (1 - 1e-9))), max(1, last - 2))
    first = max(1, first)
    passes = bool(len(above)) and last - first + 1 >= _FEWEST_LAGS and msd[last] - msd[first] >= gate
    return FitWindow(min(first, max(1, last - 2)), last, passes)


def log_slope(lag_time_ps: FloatArray, msd: FloatArray) -> float:
    """d ln(msd) / d ln(lag) by least squares, lags weighted evenly in ln(lag); NaN below three points."""
    positive = (msd > 0) & (lag_time_ps > 0)
    if positive.sum() < _FEWEST_LAGS:
        return float("nan")
    x, y = np.log(lag_time_ps[positive]), np.log(msd[positive])
    weights = np.gradient(x)
    x0 = np.average(x, weights=weights)
    return float(np.sum(weights * (x - x0) * y) / np.sum(weights * (x - x0) ** 2))


def log_slope_band(fits: SlopeFits, used: LagsUsed, ions: IonStatistics, hop_length: float) -> tuple[float, float]:
    """Where 99 % of runs that diffuse as this one has its fitted line have their log-log slope.

    The slope is sum_k w_k ln y_k, so its variance is w^T (C / (y y^T)) w with C the covariance of the displacement
    y. The band is around 1 for y = v t, and around less where a vibration of up to a quarter of a^2 is added.

    Args:
        fits: slope and intercept, per frame.
        used: lags of the fit.
        ions: what the displacement is averaged over.
        hop_length: a, Angstrom.
    Checked by tests/transport/test_transport_coverage.py on replicas of hopping and vibrating ions.
    """
    rise = fits.gls.slope if fits.gls.slope > 0 else fits.ols.slope
    if not rise > 0:
        return _WIDEST_BAND
    vibration = min(max(fits.gls.intercept, 0.0), _MOST_VIBRATION * hop_length**2)
    line = LineFit(rise, vibration)
    x = used.units[used.spread] * float(used.stride)
    if len(x) < _FEWEST_LAGS:
        return _WIDEST_BAND
    y = vibration + rise * x
    logs = np.log(x) - np.log(x).mean()
    weights = logs / (logs @ logs)
    covariance = used.covariance(line, ions)[np.ix_(used.spread, used.spread)] / np.outer(y, y)
    room = _QUANTILE_99 * float(np.sqrt(weights @ covariance @ weights))
    lo, hi = _WIDEST_BAND
    return max(lo, float(weights @ np.log(y)) - room), min(hi, 1.0 + room)


def leaving_elements(framework_msd: Mapping[str, FloatArray], last: int, spacing: float) -> dict[str, float]:
    """Framework elements whose atoms leave their sites -> their MSD at the longest fitted lag, Angstrom^2.

    They have an MSD above (0.4 spacing)^2 there, and one that rose by more than 20 % over the second half of the
    lags (diffusion doubles it); a plateau is vibration, or a group of atoms that turns on its site.

    Args:
        framework_msd: element -> (n_lags,) Angstrom^2.
        last: index of the longest fitted lag.
        spacing: distance of like neighbours in the framework, Angstrom.
    """
    limit = _melting_limit(spacing)
    return {
        element: float(msd[last])
        for element, msd in framework_msd.items()
        if msd[last] > limit and _is_growing(msd, last)
    }


def is_melted(framework_msd: Mapping[str, FloatArray], last: int, spacing: float) -> bool:
    """Whether the framework as a whole has left its sites.

    It has when some element leaves its sites while every other has left them too (its MSD is beyond the limit,
    though it may rest now) or is on its way (its MSD still grows and is beyond 2 (0.15 spacing)^2, Lindemann's
    vibration of a melting crystal), or when one sublattice alone has moved by the distance of its neighbours.
    Arguments as `leaving_elements`.
    """
    leaving = leaving_elements(framework_msd, last, spacing)
    if not leaving:
        return False
    limit = _melting_limit(spacing)
    vibration = 2 * (_LINDEMANN_FRACTION * spacing) ** 2
    all_move = all(
        msd[last] > limit or (msd[last] > vibration and _is_growing(msd, last)) for msd in framework_msd.values()
    )
    return all_move or max(leaving.values()) > (_SUBLATTICE_FRACTION * spacing) ** 2


def _melting_limit(spacing: float) -> float:
    """MSD that no crystal reaches by vibrating, Angstrom^2."""
    return (_MELTED_FRACTION * spacing) ** 2


def _is_growing(msd: FloatArray, last: int) -> bool:
    return bool(msd[last] > _STILL_GROWING * msd[max(1, last // 2)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for and against diffusion.

    Attributes:
        window: the fit window with He's gate.
        rise: MSD at the end of the window minus MSD at its start, Angstrom^2.
        length: hop length, Angstrom.
        slope: log-log slope in the window.
        band: where diffusive runs have it.
        hopped: fraction of the mobile ions that hopped.
        leaving: framework elements whose atoms leave their sites -> MSD, Angstrom^2.
        melted: whether the framework as a whole has left its sites.
        framework: framework element -> MSD at the longest fitted lag, Angstrom^2.
        spacing: distance of like neighbours in the framework, Angstrom.
    """

    window: FitWindow
    rise: float
    length: float
    slope: float
    band: tuple[float, float]
    hopped: float
    leaving: Mapping[str, float]
    melted: bool
    framework: Mapping[str, float]
    spacing: float


def judge(seen: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons, one sentence each."""
    lo, hi = seen.band
    gate = "is met" if seen.window.passes else "is not met"
    reasons = [
        *_on_the_framework(seen),
        f"He 2018's gate {gate}: the mean squared displacement rises by {seen.rise:.2f} Angstrom^2 inside the fit "
        f"window, and half a squared hop length, {_GATE * seen.length**2:.2f} Angstrom^2, is asked for.",
        f"The log-log slope is {seen.slope:.2f}; diffusion has 1, and {lo:.2f} to {hi:.2f} is where 99 % of "
        "diffusive runs of this size and length have it.",
        f"{100 * seen.hopped:.0f} % of the mobile ions moved farther than one hop of {seen.length:.2f} Angstrom.",
    ]
    if seen.melted:
        return "melted", tuple(reasons)
    if seen.slope > _BALLISTIC_SLOPE:
        return "ballistic", (*reasons, "A slope this large is ballistic motion or drift, not diffusion.")
    if seen.window.passes and lo <= seen.slope <= hi and seen.hopped >= _FEWEST_HOPPED:
        return "diffusive", tuple(reasons)
    if seen.hopped == 0:
        return "caged", (*reasons, "No ion left its cage: this run shows vibration alone.")
    return "upper bound", tuple(reasons)


def _on_the_framework(seen: Evidence) -> list[str]:
    limit = _melting_limit(seen.spacing)
    text = ", ".join(f"{element} {value:.1f} Angstrom^2" for element, value in seen.leaving.items())
    beyond = (
        f"mean squared displacement {text}, still growing; no crystal vibrates by more than {limit:.1f} "
        f"Angstrom^2, the square of {_MELTED_FRACTION:g} times the {seen.spacing:.2f} Angstrom between like "
        "neighbours."
    )
    if seen.melted:
        return [f"The framework left its sites: {beyond}"]
    if seen.leaving:
        return [f"Part of the framework changes places while the rest keeps its sites: {beyond} Read D with care."]
    if seen.framework:
        text = ", ".join(f"{element} {value:.2f}" for element, value in seen.framework.items())
        return [f"The framework kept its sites: mean squared displacement {text} Angstrom^2 (limit {limit:.1f})."]
    return [
        "All ions are mobile: there is no framework whose melting could be told, and drift is that of all ions."
    ]

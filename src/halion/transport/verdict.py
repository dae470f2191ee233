"""Did this run diffuse? Said from the gate of He 2018, the log-log slope, hops, and the framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.transport.types import Verdict

__all__ = ["FitWindow", "fit_window", "judge", "log_slope", "melted_elements"]

# He 2018: fit from MSD = 0.5 a^2 on, and only if the MSD rises by another 0.5 a^2 within the window.
_GATE = 0.5
_FEWEST_LAGS = 3
# Ideal walkers with 10 to 40 ions fitted up to half of the run: 95 % of their log-log slopes lie in 0.7 to 1.3.
_SLOPE_BAND = (0.7, 1.35)
_BALLISTIC_SLOPE = 1.6
_FEWEST_HOPPED = 0.2
# A framework atom that has moved by more than this between origins no longer sits on its site: 0.2 of the shortest
# anion distance (Lindemann) is 0.7 Angstrom; twice its square leaves room for large vibrations near melting.
_MELTED_MSD = 2.5


@dataclass(frozen=True, slots=True)
class FitWindow:
    """First and last index of the lags that are fitted; `passes` tells whether He's gate is met."""

    first: int
    last: int
    passes: bool


def fit_window(lag_time_ps: FloatArray, msd: FloatArray, longest_ps: float, length: float) -> FitWindow:
    """Lags from MSD >= a^2/2 to the longest admissible one, with He's gate.

    Args:
        lag_time_ps: (n_lags,) ps, from zero.
        msd: (n_lags,) Angstrom^2.
        longest_ps: longest lag of the fit.
        length: hop length a, Angstrom.
    """
    gate = _GATE * length**2
    last = int(np.searchsorted(lag_time_ps, longest_ps * (1 + 1e-9), side="right")) - 1
    above = np.flatnonzero(msd[: last + 1] >= gate)
    first = int(above[0]) if len(above) else max(1, last // 2)
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


def melted_elements(framework_msd: Mapping[str, FloatArray], last: int) -> dict[str, float]:
    """Framework elements that left their sites: MSD at the longest fitted lag above 2.5 Angstrom^2 and growing.

    Growing means that it rose by more than 20 % over the second half of the lags; a plateau is vibration.
    """
    return {
        element: float(msd[last])
        for element, msd in framework_msd.items()
        if msd[last] > _MELTED_MSD and msd[last] > 1.2 * msd[max(1, last // 2)]
    }


def judge(
    window: FitWindow, slope: float, hopped: float, melted: Mapping[str, float], framework: Mapping[str, float]
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons, one sentence each.

    Args:
        window: the fit window with He's gate.
        slope: log-log slope inside it.
        hopped: fraction of the mobile ions that hopped.
        melted: framework elements that left their sites -> MSD.
        framework: framework element -> MSD at the longest fitted lag.
    """
    reasons = []
    if melted:
        text = ", ".join(f"{element} {value:.1f} Angstrom^2" for element, value in melted.items())
        reasons.append(f"The framework left its sites: mean squared displacement {text}, still growing.")
    elif framework:
        text = ", ".join(f"{element} {value:.2f}" for element, value in framework.items())
        reasons.append(f"The framework kept its sites (mean squared displacement {text} Angstrom^2).")
    gate = "rises" if window.passes else "does not rise"
    reasons.append(f"The displacement {gate} by half a squared hop length inside the fit window (He 2018's gate).")
    lo, hi = _SLOPE_BAND
    inside = lo <= slope <= hi
    reasons.append(
        f"The log-log slope is {slope:.2f}; diffusion has 1, runs this short scatter over {lo:g} to {hi:g}."
    )
    reasons.append(f"{100 * hopped:.0f} % of the mobile ions moved farther than one hop.")
    if melted:
        return "melted", tuple(reasons)
    if slope > _BALLISTIC_SLOPE:
        return "not diffusive", (*reasons, "A slope this large is ballistic motion or drift, not diffusion.")
    if window.passes and inside and hopped >= _FEWEST_HOPPED:
        return "diffusive", tuple(reasons)
    return ("upper bound" if hopped > 0 else "not diffusive"), tuple(reasons)

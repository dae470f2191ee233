"""What speaks for and against believing a run, each with a light, its number and a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halion.report.text import fixed, short
from halion.transport.types import RunTransport

__all__ = ["Check", "Light", "checks_of", "worst"]

Light = Literal["good", "fair", "bad"]

# A relative error of 28 % and 53 % by the rule of He et al. 2018, 3.43 / sqrt(n_eff) + 0.04.
ENOUGH_HOPS, FEW_HOPS = 200.0, 50.0
# Displacement at which the code that came with He et al. 2018 warns of drift, Angstrom.
LARGE_DRIFT = 3.0
# One part in fifty is about the scatter of the mean kinetic temperature of a 40-atom cell over 10 ps.
NEAR_TARGET, FAR_FROM_TARGET = 0.02, 0.05
_VERDICT_LIGHT: dict[str, Light] = {
    "diffusive": "good",
    "upper bound": "fair",
    "ballistic": "bad",
    "caged": "bad",
    "melted": "bad",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one run.

    Attributes:
        name: what is checked.
        value: its number with unit, or a word.
        light: "good", "fair" or "bad".
        words: what the number means.
    """

    name: str
    value: str
    light: Light
    words: str


def checks_of(run: RunTransport) -> tuple[Check, ...]:
    """All checks of a run, in the order of the report's table."""
    return (
        Check(name="verdict", value=run.verdict, light=_VERDICT_LIGHT[run.verdict], words=" ".join(run.reasons)),
        _hops(run),
        _hopped(run),
        _framework(run),
        _drift(run),
        _temperature(run),
        _window(run),
        _slope(run),
    )


def worst(lights: list[Light]) -> Light:
    """The most worrying of some lights."""
    return next((light for light in ("bad", "fair") if light in lights), "good")


def _hops(run: RunTransport) -> Check:
    light = _graded(run.n_eff >= ENOUGH_HOPS, run.n_eff >= FEW_HOPS)
    words = f"{short(run.n_eff)} effective hops of {short(run.hop_length)} Å"
    if run.is_diffusive:
        words += f": relative error of D {fixed(100 * run.rsd_he, 0)} % by the rule of He 2018"
        words += f", {fixed(100 * run.rsd_brownian, 0)} % for independent Brownian ions"
    return Check(name="hops (n_eff)", value=short(run.n_eff), light=light, words=words)


def _hopped(run: RunTransport) -> Check:
    light = _graded(run.hopped_fraction >= 0.9, run.hopped_fraction >= 0.5)
    percent = fixed(100 * run.hopped_fraction, 0, "%")
    words = f"{percent} of {run.n_ions} {run.species} ions ended more than one hop length from their start"
    return Check(name="ions that hopped", value=percent, light=light, words=words)


def _framework(run: RunTransport) -> Check:
    """Vibration gives a flat mean squared displacement; a rising one means that the framework moves."""
    if not run.framework_msd:
        return Check(
            name="framework", value="none", light="fair", words="no framework elements: nothing to compare"
        )
    element, rise, end = max(
        ((name, *_rise(run, msd)) for name, msd in run.framework_msd.items()), key=lambda found: found[1]
    )
    words = (
        f"{element}: mean squared displacement {short(end)} Å² at the end of the fit window, "
        f"log slope {fixed(rise, 2)} there; 0 is vibration"
    )
    if run.verdict == "melted":
        return Check(name="framework", value="melted", light="bad", words=words)
    moving = rise > 0.5
    return Check(
        name="framework",
        value="still rising" if moving else "intact",
        light="fair" if moving else "good",
        words=words,
    )


def _rise(run: RunTransport, msd: np.ndarray) -> tuple[float, float]:
    """Log slope over the fit window, and the value at its end."""
    usable = (run.lag_time_ps > 0) & (msd > 0)
    if usable.sum() < 2:
        return 0.0, 0.0
    ends = np.clip(run.fit_window_ps, run.lag_time_ps[usable][0], run.lag_time_ps[usable][-1])
    low, high = np.exp(np.interp(np.log(ends), np.log(run.lag_time_ps[usable]), np.log(msd[usable])))
    width = math.log(ends[1] / ends[0]) if ends[1] > ends[0] else 0.0
    return (math.log(high / low) / width if width else 0.0), float(high)


def _drift(run: RunTransport) -> Check:
    light = _graded(run.drift <= LARGE_DRIFT / 3, run.drift <= LARGE_DRIFT)
    words = f"the framework's centre moved {short(run.drift)} Å; removed before the analysis"
    return Check(name="drift", value=short(run.drift, 2, "Å"), light=light, words=words)


def _temperature(run: RunTransport) -> Check:
    off = abs(run.temperature_k / run.target_temperature_k - 1)
    words = f"mean kinetic temperature {fixed(run.temperature_k, 1)} K, target {short(run.target_temperature_k)} K"
    return Check(
        name="temperature reached",
        value=fixed(run.temperature_k, 0, "K"),
        light=_graded(off <= NEAR_TARGET, off <= FAR_FROM_TARGET),
        words=words,
    )


def _window(run: RunTransport) -> Check:
    start, stop = run.fit_window_ps
    if not (math.isfinite(start) and math.isfinite(stop) and stop > start):
        return Check(name="fit window", value="none", light="bad", words="no lag times could be fitted")
    # Half the run is as far as the code of He et al. 2018 goes; beyond, too few time origins are left.
    light = _graded(stop <= 0.5001 * run.length_ps and stop >= 4 * start, stop >= 2 * start)
    words = f"fitted from {short(start)} to {short(stop)} ps of a run of {short(run.length_ps)} ps"
    return Check(name="fit window", value=f"{short(start, 2)}–{short(stop, 2)} ps", light=light, words=words)


def _slope(run: RunTransport) -> Check:
    off = abs(run.log_slope - 1)
    slope = fixed(run.log_slope, 2)
    words = f"d ln(msd) / d ln(lag) = {slope} in the fit window; 1 is diffusion, 0 vibration, 2 flight"
    return Check(
        name="log slope", value=fixed(run.log_slope, 2), light=_graded(off <= 0.1, off <= 0.3), words=words
    )


def _graded(good: bool, fair: bool) -> Light:
    """NaN compares false, so that a missing number is bad, never good."""
    if good:
        return "good"
    return "fair" if fair else "bad"

"""Nernst-Einstein ionic conductivity, extrapolated with the whole covariance of the Arrhenius line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.transport.arrhenius import ArrheniusChoices, fit_arrhenius, ln_diffusivity_quantiles
from halion.transport.types import Arrhenius, Conductivity, RunTransport
from halion.units import BOLTZMANN_EV_PER_K, conductivity_to_ms_per_cm

__all__ = ["conductivity_at", "nernst_einstein", "paper_compat", "sigma_t"]

_SIGMA_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
_SIGMA_95_ONE_SIDED = 1.6448536269514722  # 95 % quantile
_SAME_TEMPERATURE = 0.02
# A value that is known to three orders of magnitude either way tells no ionic conductor from an insulator.
_WIDEST_SPREAD = math.log(1000.0)


def nernst_einstein(
    diffusivity: float, temperature_k: float, n_ions: int, volume: float, charge: float = 1.0
) -> float:
    """sigma = n q^2 D / (V kB T), in mS/cm.

    Args:
        diffusivity: tracer diffusivity, Angstrom^2/ps.
        temperature_k: K.
        n_ions: mobile ions in the volume.
        volume: Angstrom^3.
        charge: of one ion, e.
    Checked by tests/transport/test_transport_conductivity.py against SI constants.
    """
    return conductivity_to_ms_per_cm(
        n_ions * charge**2 * diffusivity / (volume * BOLTZMANN_EV_PER_K * temperature_k)
    )


def conductivity_at(
    arrhenius: Arrhenius | None,
    runs: Sequence[RunTransport],
    temperature_k: float,
    *,
    charge: float = 1.0,
    with_covariance: bool = True,
    haven: tuple[float, float] | None = None,
) -> Conductivity:
    """Conductivity at a temperature: from the Arrhenius line, or from runs at that temperature, or a bound.

    The interval is log-normal: var ln D(T) = v00 - 2 v01 / kT + v11 / (kT)^2. The volume per mobile ion is a line
    through those of the runs, within 20 % of the nearest one; that of a single temperature is taken as it is.
    A line that leaves the value uncertain by more than a factor of 1000 (68 %) gives a bound and no value.
    Without a line, a diffusive run within 2 % of the temperature gives the value (the one with the smallest
    error); otherwise runs at the temperature or above give an upper bound, as D does not fall when it gets hotter.

    Args:
        arrhenius: the line, or None.
        runs: the runs it came from, and those that did not enter.
        temperature_k: of the answer.
        charge: of one mobile ion, e.
        with_covariance: False leaves the covariance of prefactor and activation energy out, as He 2018 and the
            study do; the interval is then too wide (1.5 times for five temperatures).
        haven: Haven ratio and its standard deviation, D_tracer / D_charge; values (not bounds) are divided by it.
            None: Nernst-Einstein, which takes the ions to move independently.
    Raises:
        InputError: no runs; a Haven ratio that is not above zero by its own error.
    Checked by tests/transport/test_transport_conductivity.py.
    """
    if not runs:
        raise InputError("there is no run to take a conductivity from", fix="run the dynamics first")
    if haven is not None:
        plain = conductivity_at(arrhenius, runs, temperature_k, charge=charge, with_covariance=with_covariance)
        return _divided(plain, haven)
    if arrhenius is None:
        return _without_line(runs, temperature_k, charge)
    quantiles = ln_diffusivity_quantiles(arrhenius, temperature_k, with_covariance=with_covariance)
    spread = 0.5 * (quantiles[2] - quantiles[0])
    temperatures = arrhenius.temperatures_k
    if spread > _WIDEST_SPREAD:
        factor = _rounded(math.exp(spread))
        why = f"the line through {len(temperatures)} runs is uncertain by a factor of {factor} there"
        return _bounded(runs, temperature_k, charge, why)
    words = _words(spread, temperature_k, arrhenius)
    answer = _valued(runs, temperature_k, charge, quantiles, words)
    return replace(answer, is_extrapolated=_gap(temperature_k, temperatures) > 0)


def _normal(ln_diffusivity: float, spread: float) -> tuple[float, float, float, float, float]:
    """Ends and middle of the intervals of a normal distribution, as `ln_diffusivity_quantiles` gives them."""
    return tuple(ln_diffusivity + step * spread for step in (-1.0, 0.0, 1.0, -_SIGMA_95, _SIGMA_95))


def _only(diffusivity: float) -> tuple[float, float, float, float, float]:
    return (math.nan, math.log(diffusivity), math.nan, math.nan, math.nan)


def _valued(
    runs: Sequence[RunTransport],
    temperature_k: float,
    charge: float,
    ln_diffusivity: tuple[float, float, float, float, float],
    verdict: str,
) -> Conductivity:
    """From the quantiles of ln D."""
    n_ions, volume = runs[0].n_ions, _volume(runs, temperature_k)
    low, median, high, low95, high95 = (
        nernst_einstein(math.exp(value), temperature_k, n_ions, volume, charge) for value in ln_diffusivity
    )
    return Conductivity(
        temperature_k=temperature_k,
        conductivity_ms_per_cm=median,
        low_ms_per_cm=low,
        high_ms_per_cm=high,
        low95_ms_per_cm=low95,
        high95_ms_per_cm=high95,
        upper_bound_ms_per_cm=math.nan,
        volume=volume,
        n_ions=n_ions,
        is_extrapolated=False,
        verdict=verdict,
    )


def _divided(plain: Conductivity, haven: tuple[float, float]) -> Conductivity:
    """A Nernst-Einstein conductivity over a Haven ratio, both log-normal and independent."""
    ratio, std = haven
    if not (math.isfinite(ratio) and math.isfinite(std) and 0 <= std < ratio):
        raise InputError(
            f"a Haven ratio of {ratio:.2g} +- {std:.2g} is not resolved",
            fix="leave it out, or pool more and longer runs",
        )
    if not math.isfinite(plain.conductivity_ms_per_cm):
        return plain
    middle, relative = plain.conductivity_ms_per_cm / ratio, std / ratio

    def end(value: float, steps: float) -> float:
        side = math.hypot(math.log(value / plain.conductivity_ms_per_cm), steps * relative)
        return middle * math.exp(math.copysign(side, value - plain.conductivity_ms_per_cm))

    return replace(
        plain,
        conductivity_ms_per_cm=middle,
        low_ms_per_cm=end(plain.low_ms_per_cm, 1.0),
        high_ms_per_cm=end(plain.high_ms_per_cm, 1.0),
        low95_ms_per_cm=end(plain.low95_ms_per_cm, _SIGMA_95),
        high95_ms_per_cm=end(plain.high95_ms_per_cm, _SIGMA_95),
        verdict=f"{plain.verdict} Divided by the Haven ratio, {ratio:.2g} +- {std:.2g}.",
    )


def paper_compat(
    runs: Sequence[RunTransport], temperature_k: float, *, charge: float = 1.0
) -> tuple[Arrhenius | None, Conductivity]:
    """Activation energy and conductivity as He 2018 and the study (arXiv:2510.09861) print them.

    Only measured diffusivities enter, weighted with He's errors; the interval leaves the covariance of prefactor
    and energy out. For comparison with printed values: the interval is too wide.

    Args:
        runs: those that did not diffuse are left out.
        temperature_k: of the answer.
        charge: of one mobile ion, e.
    Checked by tests/transport/test_transport_arrhenius.py against the values that come with He's code.
    """
    line = fit_arrhenius(runs, ArrheniusChoices(bounds=False, he_errors=True, replicas=False))
    return line, conductivity_at(line, runs, temperature_k, charge=charge, with_covariance=False)


def sigma_t(run: RunTransport, charge: float = 1.0) -> float:
    """sigma T of a run, S K/cm: on this axis, and not on that of sigma, the slope is that of D.

    Checked by tests/transport/test_transport_arrhenius.py.
    """
    sigma = nernst_einstein(run.diffusivity, run.temperature_k, run.n_ions, run.volume, charge)
    return 1e-3 * sigma * run.temperature_k


def _volume(runs: Sequence[RunTransport], temperature_k: float) -> float:
    """Volume that holds the mobile ions of the first run, Angstrom^3; runs may differ in size."""
    solid = [run for run in runs if run.verdict != "melted"] or list(runs)
    temperatures = np.array([run.temperature_k for run in solid])
    volumes = np.array([run.volume / run.n_ions for run in solid]) * runs[0].n_ions
    if np.ptp(temperatures) < _SAME_TEMPERATURE * temperatures.mean():
        return float(volumes.mean())
    slope, intercept = np.polyfit(temperatures, volumes, 1)
    # A line through noisy volumes may not leave the range of crystals: within 20 % of the nearest run.
    nearest = volumes[np.abs(temperatures - temperature_k).argmin()]
    return float(np.clip(intercept + slope * temperature_k, 0.8 * nearest, 1.2 * nearest))


def _without_line(runs: Sequence[RunTransport], temperature_k: float, charge: float) -> Conductivity:
    near = [
        run
        for run in runs
        if run.is_diffusive and abs(run.temperature_k - temperature_k) <= _SAME_TEMPERATURE * temperature_k
    ]
    if near:
        best = min(near, key=lambda run: run.diffusivity_std / run.diffusivity)
        spread = best.diffusivity_std / best.diffusivity
        words = (
            f"From one run at {best.temperature_k:.0f} K, uncertain by a factor of {_rounded(math.exp(spread))} "
            "(68 %); one temperature gives no activation energy."
        )
        return _valued(runs, temperature_k, charge, _normal(math.log(best.diffusivity), spread), words)
    return _bounded(runs, temperature_k, charge, "fewer than two temperatures diffused")


def _bounded(runs: Sequence[RunTransport], temperature_k: float, charge: float, why: str) -> Conductivity:
    """The lowest bound from runs at the temperature or above, and why there is no value."""
    bounds = [
        run.diffusivity * math.exp(_SIGMA_95_ONE_SIDED * run.diffusivity_std / run.diffusivity)
        if run.is_diffusive
        else run.upper_bound
        for run in runs
        if run.temperature_k >= (1 - _SAME_TEMPERATURE) * temperature_k and run.verdict != "melted"
    ]
    lowest = min((bound for bound in bounds if math.isfinite(bound)), default=math.nan)
    answer = _valued(runs, temperature_k, charge, _only(lowest), "")
    bound = answer.conductivity_ms_per_cm
    if math.isfinite(bound):
        verdict = (
            f"No value: {why}. The conductivity at {temperature_k:g} K is below {_rounded(bound)} mS/cm (95 %), "
            "since ions do not diffuse faster when it is colder."
        )
    else:
        verdict = "No answer: no run diffused in an intact framework, and none gives an upper bound."
    return replace(
        answer,
        conductivity_ms_per_cm=math.nan,
        upper_bound_ms_per_cm=bound,
        is_extrapolated=True,
        verdict=verdict,
    )


def _rounded(value: float) -> str:
    """Two digits, without an exponent up to a million."""
    return f"{float(f'{value:.2g}'):,.0f}" if 100 <= value < 1e6 else f"{value:.2g}"


def _gap(temperature_k: float, temperatures_k: FloatArray) -> float:
    """How far a temperature lies outside the range of others, K; zero inside."""
    return max(0.0, float(min(temperatures_k)) - temperature_k, temperature_k - float(max(temperatures_k)))


def _words(spread: float, temperature_k: float, line: Arrhenius) -> str:
    temperatures = line.temperatures_k
    text = f"Uncertain by a factor of {_rounded(math.exp(spread))} (68 %)"
    gap = _gap(temperature_k, temperatures)
    if gap:
        text += f"; extrapolated by {gap:.0f} K from runs at {min(temperatures):.0f} to {max(temperatures):.0f} K"
        text += ", on the assumption that one activation energy holds all the way"
    if line.bounded_k is not None:
        text += f"; {len(line.bounded_k)} run(s) entered as upper bounds"
    if len(line.left_out_k):
        text += f"; {len(line.left_out_k)} run(s) did not enter"
    return text + "."

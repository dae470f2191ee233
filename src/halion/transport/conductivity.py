"""Nernst-Einstein ionic conductivity, extrapolated with the whole covariance of the Arrhenius line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.transport.types import Arrhenius, Conductivity, RunTransport
from halion.units import BOLTZMANN_EV_PER_K, conductivity_to_ms_per_cm

__all__ = ["conductivity_at", "nernst_einstein"]

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
    Raises:
        InputError: no runs.
    Checked by tests/transport/test_transport_conductivity.py.
    """
    if not runs:
        raise InputError("there is no run to take a conductivity from", fix="run the dynamics first")
    if arrhenius is None:
        return _without_line(runs, temperature_k, charge)
    kt = BOLTZMANN_EV_PER_K * temperature_k
    gradient = np.array([1.0, -1.0 / kt])
    covariance = arrhenius.covariance if with_covariance else np.diag(np.diag(arrhenius.covariance))
    spread = math.sqrt(float(gradient @ covariance @ gradient))
    diffusivity = math.exp(arrhenius.ln_prefactor - arrhenius.activation_energy / kt)
    temperatures = arrhenius.temperatures_k
    if spread > _WIDEST_SPREAD:
        factor = _rounded(math.exp(spread))
        why = f"the line through {len(temperatures)} runs is uncertain by a factor of {factor} there"
        return _bounded(runs, temperature_k, charge, why)
    words = _words(spread, temperature_k, temperatures, len(runs) - len(temperatures))
    answer = _valued(runs, temperature_k, charge, (diffusivity, spread), words)
    return replace(answer, is_extrapolated=_gap(temperature_k, temperatures) > 0)


def _valued(
    runs: Sequence[RunTransport], temperature_k: float, charge: float, value: tuple[float, float], verdict: str
) -> Conductivity:
    """From a diffusivity and the standard deviation of its logarithm."""
    diffusivity, spread = value
    n_ions, volume = runs[0].n_ions, _volume(runs, temperature_k)
    median = nernst_einstein(diffusivity, temperature_k, n_ions, volume, charge)
    return Conductivity(
        temperature_k=temperature_k,
        conductivity_ms_per_cm=median,
        low_ms_per_cm=median * math.exp(-spread),
        high_ms_per_cm=median * math.exp(spread),
        low95_ms_per_cm=median * math.exp(-_SIGMA_95 * spread),
        high95_ms_per_cm=median * math.exp(_SIGMA_95 * spread),
        upper_bound_ms_per_cm=math.nan,
        volume=volume,
        n_ions=n_ions,
        is_extrapolated=False,
        verdict=verdict,
    )


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
        return _valued(runs, temperature_k, charge, (best.diffusivity, spread), words)
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
    answer = _valued(runs, temperature_k, charge, (lowest, math.nan), "")
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


def _words(spread: float, temperature_k: float, temperatures: FloatArray, n_left_out: int) -> str:
    text = f"Uncertain by a factor of {_rounded(math.exp(spread))} (68 %)"
    gap = _gap(temperature_k, temperatures)
    if gap:
        text += f"; extrapolated by {gap:.0f} K from runs at {min(temperatures):.0f} to {max(temperatures):.0f} K"
        text += ", on the assumption that one activation energy holds all the way"
    if n_left_out:
        text += f"; {n_left_out} run(s) did not enter"
    return text + "."

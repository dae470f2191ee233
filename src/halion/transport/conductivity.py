"""Nernst-Einstein ionic conductivity, extrapolated with the whole covariance of the Arrhenius line."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from halion.errors import InputError
from halion.transport.types import Arrhenius, Conductivity, RunTransport
from halion.units import BOLTZMANN_EV_PER_K, conductivity_to_ms_per_cm

__all__ = ["conductivity_at", "nernst_einstein"]

_SIGMA_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


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
    """Conductivity at a temperature from the Arrhenius line, or an upper bound where there is none.

    The interval is log-normal: var ln D(T) = v00 - 2 v01 / kT + v11 / (kT)^2. The volume is extrapolated linearly
    from the runs' mean volumes (two temperatures and more), otherwise taken from the only one.

    Args:
        arrhenius: the line, or None.
        runs: the runs it came from, and those that did not enter.
        temperature_k: of the answer.
        charge: of one mobile ion, e.
        with_covariance: False leaves the covariance of prefactor and activation energy out, as He 2018 and the
            study do; the interval is then too wide (1.5 times for five temperatures).
    Raises:
        InputError: no runs.
    """
    if not runs:
        raise InputError("there is no run to take a conductivity from", fix="run the dynamics first")
    volume, n_ions = _volume(runs, temperature_k), runs[0].n_ions
    temperatures = [run.temperature_k for run in runs if run.is_diffusive]
    if arrhenius is None:
        return _bound_only(runs, temperature_k, volume, charge)
    kt = BOLTZMANN_EV_PER_K * temperature_k
    gradient = np.array([1.0, -1.0 / kt])
    covariance = arrhenius.covariance if with_covariance else np.diag(np.diag(arrhenius.covariance))
    spread = math.sqrt(float(gradient @ covariance @ gradient))
    diffusivity = math.exp(arrhenius.ln_prefactor - arrhenius.activation_energy / kt)
    median = nernst_einstein(diffusivity, temperature_k, n_ions, volume, charge)
    is_extrapolated = not min(temperatures) <= temperature_k <= max(temperatures)
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
        is_extrapolated=is_extrapolated,
        verdict=_words(spread, temperature_k, temperatures, is_extrapolated, len(runs) - len(temperatures)),
    )


def _volume(runs: Sequence[RunTransport], temperature_k: float) -> float:
    temperatures = np.array([run.temperature_k for run in runs])
    volumes = np.array([run.volume for run in runs])
    if len(runs) < 2 or np.ptp(temperatures) == 0:
        return float(volumes.mean())
    slope, intercept = np.polyfit(temperatures, volumes, 1)
    # A line through noisy volumes may not leave the range of crystals: within 20 % of the nearest run.
    nearest = volumes[np.abs(temperatures - temperature_k).argmin()]
    return float(np.clip(intercept + slope * temperature_k, 0.8 * nearest, 1.2 * nearest))


def _bound_only(runs: Sequence[RunTransport], temperature_k: float, volume: float, charge: float) -> Conductivity:
    """A bound at T from runs at T or above: D does not fall as the temperature rises."""
    bounds = [
        run.diffusivity + _SIGMA_95 * run.diffusivity_std if run.is_diffusive else run.upper_bound
        for run in runs
        if run.temperature_k >= temperature_k and run.verdict != "melted"
    ]
    bounds = [bound for bound in bounds if math.isfinite(bound)]
    bound = nernst_einstein(min(bounds), temperature_k, runs[0].n_ions, volume, charge) if bounds else math.nan
    if bounds:
        verdict = (
            f"No value: fewer than two temperatures diffused. The conductivity at {temperature_k:g} K is below "
            f"{bound:.3g} mS/cm (95 %), since ions do not diffuse faster when it is colder."
        )
    else:
        verdict = "No answer: no run diffused in an intact framework, and none gives an upper bound."
    nan = math.nan
    return Conductivity(
        temperature_k=temperature_k,
        conductivity_ms_per_cm=nan,
        low_ms_per_cm=nan,
        high_ms_per_cm=nan,
        low95_ms_per_cm=nan,
        high95_ms_per_cm=nan,
        upper_bound_ms_per_cm=bound,
        volume=volume,
        n_ions=runs[0].n_ions,
        is_extrapolated=True,
        verdict=verdict,
    )


def _words(
    spread: float, temperature_k: float, temperatures: Sequence[float], is_extrapolated: bool, n_left_out: int
) -> str:
    factor = math.exp(spread)
    text = f"Uncertain by a factor of {factor:.2g} (68 %)"
    if is_extrapolated:
        gap = min(abs(temperature - temperature_k) for temperature in temperatures)
        text += f"; extrapolated by {gap:.0f} K from runs at {min(temperatures):.0f} to {max(temperatures):.0f} K"
        text += ", on the assumption that one activation energy holds all the way"
    if n_left_out:
        text += f"; {n_left_out} run(s) did not enter"
    return text + "."

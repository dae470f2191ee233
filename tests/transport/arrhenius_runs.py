"""Runs whose diffusivities are given, for what is made of several runs."""

from __future__ import annotations

import math
from dataclasses import replace

from transport_walks import SETTINGS, walk

from halion.transport import RunTransport, analyse_run
from halion.units import BOLTZMANN_EV_PER_K, diffusivity_from_cm2_per_s

TEMPLATE = analyse_run(walk(0), SETTINGS)


def run_at(temperature_k: float, diffusivity: float, rsd: float = 0.15, **changes) -> RunTransport:
    """A diffusive run of 36 Li in 2800 Angstrom^3 with this diffusivity, Angstrom^2/ps."""
    return replace(
        TEMPLATE,
        **{
            "temperature_k": temperature_k,
            "target_temperature_k": temperature_k,
            "diffusivity": diffusivity,
            "diffusivity_std": rsd * diffusivity,
            "rsd_he": rsd,
            "n_ions": 36,
            "volume": 2800.0,
            "verdict": "diffusive",
            "upper_bound": math.nan,
        }
        | changes,
    )


def bound_at(temperature_k: float, bound: float, n_eff: float = 40.0) -> RunTransport:
    """A run that gave an upper bound (95 %), Angstrom^2/ps."""
    return run_at(temperature_k, 0.0, verdict="upper bound", upper_bound=bound, n_eff=n_eff)


def on_a_line(temperature_k: float, energy: float = 0.30, d0_cm2: float = 1e-3) -> float:
    """D of an exact Arrhenius line, Angstrom^2/ps."""
    return diffusivity_from_cm2_per_s(d0_cm2) * math.exp(-energy / (BOLTZMANN_EV_PER_K * temperature_k))

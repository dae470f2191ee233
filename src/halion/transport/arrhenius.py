"""The activation energy: a weighted straight line through ln D against 1/T, with its full covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halion.arrays import FloatArray
from halion.transport.types import Arrhenius, RunTransport
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["fit_arrhenius", "fit_ln_diffusivity"]

# Kinetic temperatures of two short runs at one target differ by this much by chance.
_SAME_TEMPERATURE = 0.01


def fit_arrhenius(runs: Sequence[RunTransport]) -> Arrhenius | None:
    """ln D = ln D0 - Ea / (kB T) through the runs that diffused; None when fewer than two temperatures did.

    Weights are 1 / (std/D)^2, taken as absolute errors: the covariance is (X^T W X)^-1, not rescaled by chi^2.
    Runs meant to have one temperature count as one, whatever their kinetic temperatures came out as.
    Checked by tests/transport/test_transport_conductivity.py.
    """
    used = [run for run in runs if run.is_diffusive]
    meant = np.array([_meant_temperature(run) for run in used])
    if not len(used) or np.ptp(meant) < _SAME_TEMPERATURE * meant.mean():
        return None
    temperatures = np.array([run.temperature_k for run in used])
    diffusivity = np.array([run.diffusivity for run in used])
    std = np.array([run.diffusivity_std for run in used])
    parameters, covariance, chi2 = fit_ln_diffusivity(temperatures, diffusivity, std)
    dof = len(used) - 2
    return Arrhenius(
        activation_energy=float(parameters[1]),
        activation_energy_std=float(np.sqrt(covariance[1, 1])),
        ln_prefactor=float(parameters[0]),
        covariance=covariance,
        temperatures_k=temperatures,
        diffusivity=diffusivity,
        diffusivity_std=std,
        chi2_per_dof=chi2 / dof if dof else float("nan"),
        left_out_k=np.array([_meant_temperature(run) for run in runs if not run.is_diffusive]),
    )


def _meant_temperature(run: RunTransport) -> float:
    return run.target_temperature_k if np.isfinite(run.target_temperature_k) else run.temperature_k


def fit_ln_diffusivity(
    temperatures_k: FloatArray, diffusivity: FloatArray, diffusivity_std: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """(ln D0, Ea), their covariance, and chi^2 of the weighted fit."""
    design = np.column_stack([np.ones(len(temperatures_k)), -1.0 / (BOLTZMANN_EV_PER_K * temperatures_k)])
    weights = (diffusivity / diffusivity_std) ** 2
    covariance = np.linalg.inv(design.T @ (weights[:, None] * design))
    parameters = covariance @ (design.T @ (weights * np.log(diffusivity)))
    residuals = np.log(diffusivity) - design @ parameters
    return parameters, covariance, float(weights @ residuals**2)

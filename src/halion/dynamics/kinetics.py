"""Temperatures and momenta of atoms whose centre of mass rests: 3N - 3 degrees of freedom.

Tuckerman, Statistical Mechanics, Oxford 2010, chapter 4; LAMMPS counts the same.
"""

from __future__ import annotations

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.types import MdStage
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["kinetic_temperature", "target_temperature", "thermal_momenta", "without_drift"]


def kinetic_temperature(momenta: FloatArray, masses: FloatArray) -> float:
    """Kinetic temperature sum(p^2 / m) / ((3N - 3) kB), K: the total momentum is zero.

    Args:
        momenta: (n_atoms, 3) ASE units, sqrt(eV amu).
        masses: (n_atoms,) amu.
    Checked by test_thermal_momenta_are_exact.
    """
    return float(np.sum(momenta**2 / masses[:, None]) / ((3 * len(masses) - 3) * BOLTZMANN_EV_PER_K))


def thermal_momenta(masses: FloatArray, temperature_k: float, seed: int) -> FloatArray:
    """Maxwell-Boltzmann momenta with no centre-of-mass motion, scaled to the temperature exactly.

    p_i = sqrt(m_i kB T) g_i - m_i v_cm with g normal from numpy's default generator; then scaled so that the
    kinetic temperature with 3N - 3 degrees of freedom is `temperature_k`.

    Args:
        masses: (n_atoms,) amu, at least two atoms.
        temperature_k: K.
        seed: any integer >= 0; the same seed gives the same momenta.
    Returns:
        (n_atoms, 3) sqrt(eV amu), ASE's unit.
    Checked by test_thermal_momenta_are_exact.
    """
    normal = np.random.default_rng(seed).standard_normal((len(masses), 3))
    momenta = without_drift(np.sqrt(masses * BOLTZMANN_EV_PER_K * temperature_k)[:, None] * normal, masses)
    return momenta * np.sqrt(temperature_k / kinetic_temperature(momenta, masses))


def without_drift(momenta: FloatArray, masses: FloatArray) -> FloatArray:
    """The momenta, seen from the centre of mass."""
    return momenta - masses[:, None] * (momenta.sum(axis=0) / masses.sum())


def target_temperature(stage: MdStage, step: int) -> float:
    """Target of the thermostat on the way to step number `step`, K: constant, or a linear ramp over the stage."""
    if stage.start_temperature_k is None:
        return stage.temperature_k
    part = step / stage.n_steps
    return stage.start_temperature_k + (stage.temperature_k - stage.start_temperature_k) * part

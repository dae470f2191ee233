"""Volume against temperature, and the thermal expansion coefficient with its error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halion.dynamics.types import Equilibration, ThermalExpansion
from halion.errors import InputError

__all__ = ["thermal_expansion"]


def thermal_expansion(equilibrations: Sequence[Equilibration]) -> ThermalExpansion:
    """Volumetric thermal expansion coefficient alpha = d ln V / dT of equilibrations at one pressure.

    Weighted straight line ln V = a + alpha T with the weights V^2 / error^2. Its error is that of the weighted fit,
    times sqrt(chi^2 / (n - 2)) where this is above 1: a curved V(T), or volumes whose errors were too small,
    shall not look more certain than they are.

    Args:
        equilibrations: at two temperatures at least, one pressure, one number of atoms does not matter.
    Raises:
        InputError: fewer than two temperatures, one twice, several pressures, or a volume without error.
    Source: weighted least squares, Press et al., Numerical Recipes, section 15.2.
    Checked by tests/dynamics/test_dynamics_expansion.py.
    """
    points = sorted(equilibrations, key=lambda point: point.temperature_k)
    temperatures = np.array([point.temperature_k for point in points])
    if len(set(temperatures)) < max(2, len(points)):
        raise InputError(
            f"thermal expansion needs volumes at two or more different temperatures, not {temperatures.tolist()} K",
            fix="equilibrate at more temperatures: dynamics.temperatures_k",
        )
    pressures = sorted({point.pressure_gpa for point in points})
    if len(pressures) > 1:
        raise InputError(
            f"these equilibrations have the pressures {pressures} GPa", fix="pass those of one pressure at a time"
        )
    volumes = np.array([point.volume_per_atom for point in points])
    errors = np.array([point.volume_per_atom_std for point in points])
    if not np.all(errors > 0):
        raise InputError(
            f"a volume has no statistical error: {errors.tolist()} Angstrom^3 per atom",
            fix="average over a longer window: dynamics.cell_average_ps",
        )
    weights = (volumes / errors) ** 2
    middle = np.average(temperatures, weights=weights)
    spread = np.sum(weights * (temperatures - middle) ** 2)
    logs = np.log(volumes)
    slope = np.sum(weights * (temperatures - middle) * logs) / spread
    deviations = logs - np.average(logs, weights=weights) - slope * (temperatures - middle)
    chi_squared = float(np.sum(weights * deviations**2))
    excess = max(1.0, chi_squared / (len(points) - 2)) if len(points) > 2 else 1.0
    return ThermalExpansion(
        pressure_gpa=pressures[0],
        temperatures_k=tuple(temperatures.tolist()),
        volumes_per_atom=tuple(volumes.tolist()),
        volume_errors=tuple(errors.tolist()),
        coefficient_per_k=float(slope),
        coefficient_error_per_k=float(np.sqrt(excess / spread)),
        chi_squared=chi_squared,
    )

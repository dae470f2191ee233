"""Thermal expansion from equilibrations: closed forms, the error against many repetitions, records."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from dynamics_cases import copper

from halion.dynamics import Equilibration, ThermalExpansion, thermal_expansion
from halion.errors import InputError
from halion.records import from_record, to_record


def equilibration(temperature_k: float, volume: float, error: float, pressure_gpa: float = 1.0) -> Equilibration:
    return Equilibration(
        temperature_k=temperature_k,
        pressure_gpa=pressure_gpa,
        atoms=copper(),
        mean_cell=copper().cell.array,
        volume_per_atom=volume,
        volume_per_atom_std=error,
        mean_temperature_k=temperature_k,
        mean_pressure_gpa=pressure_gpa,
        momenta=np.zeros((8, 3)),
    )


def along(temperatures: Sequence[float], alpha: float, errors: Sequence[float], noise: Sequence[float]):
    return [
        equilibration(t, 25.0 * np.exp(alpha * t) + dv, error)
        for t, error, dv in zip(temperatures, errors, noise, strict=True)
    ]


def test_an_exact_line_gives_its_coefficient() -> None:
    found = thermal_expansion(along([600.0, 300.0, 450.0], 1.2e-4, [0.1, 0.02, 0.3], [0.0] * 3))
    assert found.coefficient_per_k == pytest.approx(1.2e-4, rel=1e-9)
    assert found.temperatures_k == (300.0, 450.0, 600.0) and found.pressure_gpa == 1.0
    assert found.chi_squared < 1e-18
    assert found.volume_errors == (0.02, 0.3, 0.1)


def test_two_points_are_the_closed_form() -> None:
    found = thermal_expansion([equilibration(300.0, 25.0, 0.05), equilibration(500.0, 26.0, 0.12)])
    assert found.coefficient_per_k == pytest.approx(np.log(26 / 25) / 200, rel=1e-12)
    expected = np.hypot(0.05 / 25, 0.12 / 26) / 200
    assert found.coefficient_error_per_k == pytest.approx(expected, rel=1e-12)


def test_the_error_is_that_of_repetitions() -> None:
    rng, errors = np.random.default_rng(0), np.array([0.02, 0.05, 0.03, 0.08])
    found = [
        thermal_expansion(along([200.0, 300.0, 400.0, 600.0], 1e-4, errors, errors * rng.normal(size=4)))
        for _ in range(2000)
    ]
    values = np.array([one.coefficient_per_k for one in found])
    # 2000 repetitions know the mean to 1/45 of their spread, and their spread to 1.6 %: five sigma each.
    assert abs(values.mean() - 1e-4) < 5 * values.std() / np.sqrt(2000)
    plain = np.min([one.coefficient_error_per_k for one in found])  # where the scatter adds nothing
    assert plain == pytest.approx(values.std(), rel=0.08)
    # chi^2 of two degrees of freedom has the mean 2 and the standard deviation 2.
    assert np.mean([one.chi_squared for one in found]) == pytest.approx(2.0, abs=5 * 2 / np.sqrt(2000))


def test_scatter_beyond_the_errors_widens_the_error() -> None:
    points = along([200.0, 300.0, 400.0], 1e-4, [0.01] * 3, [0.0, 0.1, 0.0])
    wide = thermal_expansion(points)
    calm = thermal_expansion(along([200.0, 300.0, 400.0], 1e-4, [0.01] * 3, [0.0] * 3))
    assert wide.chi_squared > 50
    assert wide.coefficient_error_per_k == pytest.approx(
        calm.coefficient_error_per_k * np.sqrt(wide.chi_squared), rel=0.01
    )


def test_it_is_a_record() -> None:
    found = thermal_expansion(along([300.0, 400.0], 1e-4, [0.01] * 2, [0.0] * 2))
    assert from_record(ThermalExpansion, json.loads(json.dumps(to_record(found)))) == found


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([(300.0, 1.0, 0.1)], "two or more"),
        ([], "two or more"),
        ([(300.0, 1.0, 0.1), (300.0, 1.0, 0.1)], "two or more"),
        ([(300.0, 1.0, 0.1), (400.0, 0.0, 0.1)], "pressures"),
        ([(300.0, 1.0, 0.1), (400.0, 1.0, 0.0)], "no statistical error"),
    ],
)
def test_without_sense_it_is_refused(points: list[tuple[float, float, float]], word: str) -> None:
    with pytest.raises(InputError, match=word):
        thermal_expansion([equilibration(t, 25.0, error, pressure) for t, pressure, error in points])

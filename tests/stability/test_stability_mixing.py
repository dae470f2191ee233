"""Mixing energies found again, and critical temperatures in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stability_series import ENDS, drawn, made

from halion.errors import InputError
from halion.stability import EnergyError, PhasePoint, critical_point, fit_mixing, series_energies
from halion.units import BOLTZMANN_EV_PER_K as K


def redlich_kister(*coefficients: float):
    """E(x) per atom of Li3YX6 with these coefficients, eV per formula unit."""

    def energy(x: float) -> float:
        y = x / 6
        excess = y * (1 - y) * sum(value * (1 - 2 * y) ** k for k, value in enumerate(coefficients))
        return -4.1 + 0.4 * y + excess / 10

    return energy


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=3))
def test_a_polynomial_is_found_again(coefficients):
    fit = fit_mixing(made({"T": redlich_kister(*coefficients)}), "T")
    y = np.linspace(0, 1, 31)
    wanted = np.array([10 * redlich_kister(*coefficients)(6 * value) for value in y])
    assert np.allclose(fit.energy(y), wanted, atol=1e-11)
    assert fit.energy(0.0) == pytest.approx(-41.0) and fit.energy(1.0) == pytest.approx(-37.0)
    assert fit.n_points == 5


def test_left_out_error_against_fits_without_the_point():
    series = drawn(2, 1)
    fit = fit_mixing(series, "P0")
    errors = []
    for x in (1.0, 2.0, 3.0, 4.0, 5.0):
        rest = [p for p in series.points if p.x != x]
        y = np.array([p.x / 6 for p in rest if 0 < p.x < 6])
        line = lambda v: 10 * ((1 - v) * series.points[0].energy + v * series.points[-1].energy)  # noqa: E731
        excess = np.array([10 * p.energy for p in rest if 0 < p.x < 6]) - line(y)
        order = range(len(fit.coefficients))
        basis = np.column_stack([y * (1 - y) * (1 - 2 * y) ** k for k in order])
        found = np.linalg.lstsq(basis, excess, rcond=None)[0]
        v = x / 6
        there = v * (1 - v) * sum(found[k] * (1 - 2 * v) ** k for k in order)
        errors.append(10 * series.points[int(x)].energy - line(v) - there)
    assert fit.left_out_error == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-9)


def test_the_covariance_is_that_of_drawn_errors():
    series, error = made({"T": redlich_kister(0.1)}), EnergyError(std=0.001)
    fit = fit_mixing(series, "T", error)
    rng = np.random.default_rng(0)
    drawn_fits = []
    for _ in range(800):
        noisy = [replace(p, energy=p.energy + rng.normal(0, 0.001)) for p in series.points]
        again = fit_mixing(series_energies(noisy, ENDS, 6.0), "T")
        drawn_fits.append(again.coefficients[0] if len(again.coefficients) == 1 else np.nan)
    kept = np.array(drawn_fits)[np.isfinite(drawn_fits)]
    # Draws whose noise asks for more coefficients are set aside, which leaves the even part alone: the coefficient
    # of the mean mixing energy. 500 draws know a standard deviation to 3.2 %; a bit over three times that.
    assert len(kept) > 300
    assert kept.std() == pytest.approx(np.sqrt(fit.coefficients_cov[0, 0]), rel=0.11)


@given(st.floats(0.001, 0.5), st.floats(0.5, 12))
@settings(max_examples=40, deadline=None)
def test_regular_solution(per_site, sites):
    """E = W y (1 - y) per site: T_c = W / 2k at y = 1/2."""
    fit = fit_mixing(made({"T": redlich_kister(per_site * sites)}), "T")
    found = critical_point(fit, sites)
    # Noise of 1e-15 * 40 eV in the energies of the fit.
    assert found.temperature_k == pytest.approx(per_site / (2 * K), rel=1e-7)
    assert found.x == pytest.approx(0.5, abs=1e-3)  # the top is flat: its square is good to 1e-7


def test_what_attracts_mixes_at_any_temperature():
    found = critical_point(fit_mixing(made({"T": redlich_kister(-0.1)}), "T"), 6)
    assert found.temperature_k == 0 and np.isnan(found.x)


def test_the_interval_of_the_critical_temperature():
    """One coefficient: T_c = L / 2kn is linear in it, so its interval is that of the Gaussian."""
    fit = fit_mixing(made({"T": redlich_kister(0.3)}, (0.0, 3.0, 6.0)), "T", EnergyError(std=0.001))
    assert len(fit.coefficients) == 1
    # L = 4 (10 e_3 - 5 e_0 - 5 e_6): std 4 sqrt(100 + 25 + 25) meV.
    std = 0.001 * 4 * np.sqrt(150)
    assert np.sqrt(fit.coefficients_cov[0, 0]) == pytest.approx(std)
    found = critical_point(fit, 6, n_draws=40_000)
    assert found.high_k - found.temperature_k == pytest.approx(0.9945 * std / (2 * K * 6), rel=0.03)
    assert found.temperature_k - found.low_k == pytest.approx(0.9945 * std / (2 * K * 6), rel=0.03)


def test_nothing_to_fit():
    with pytest.raises(InputError, match="no mixture between its ends"):
        fit_mixing(made({"T": redlich_kister(0.1)}, (0.0, 6.0)), "T")
    part = [PhasePoint(phase="T", x=x, energy=-4.0, formula_units=2) for x in (0.0, 3.0)]
    with pytest.raises(InputError, match="Li3YBr6"):
        fit_mixing(series_energies(part, ENDS, 6.0), "T")
    with pytest.raises(InputError, match="mixed sites"):
        critical_point(fit_mixing(made({"T": redlich_kister(0.1)}), "T"), 0)


def test_no_coefficient_that_the_error_does_not_bear():
    """Noise of 1 meV/atom is fitted by four coefficients where no error is given, and by one where it is."""
    rng = np.random.default_rng(4)
    noise = dict(zip((float(x) for x in range(7)), rng.normal(0, 0.001, 7)))
    series = made({"T": lambda x: redlich_kister(0.1)(x) + noise[x]})
    assert len(fit_mixing(series, "T", EnergyError(std=0.001)).coefficients) == 1
    assert len(fit_mixing(made({"T": redlich_kister(0.1, 0.2)}), "T", EnergyError(std=0.0005)).coefficients) == 2
    # One shift per phase does not tell points of a phase apart: it cancels against the ends.
    shift = fit_mixing(series, "T", EnergyError(std=0.001, correlation=1.0))
    assert len(shift.coefficients) == len(fit_mixing(series, "T").coefficients)
    assert np.allclose(shift.coefficients_cov, 0, atol=1e-12)

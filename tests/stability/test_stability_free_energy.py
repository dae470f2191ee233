"""Common tangents against the regular solution, and against a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from stability_series import made
from test_stability_mixing import redlich_kister

from halion.errors import InputError
from halion.stability import FreeEnergyModel, critical_point, fit_mixing, free_energy_curve
from halion.units import BOLTZMANN_EV_PER_K as K

W = 0.06  # eV per site
REGULAR = fit_mixing(made({"T": redlich_kister(6 * W)}), "T")
CRITICAL = W / (2 * K)


def at(kelvin, *fits, vibrational=None):
    model = FreeEnergyModel(temperature_k=kelvin, mixed_sites=6, vibrational=vibrational)
    return free_energy_curve(fits or (REGULAR,), 6.0, model)


def binodal(kelvin: float) -> float:
    """y below 1/2 with W (1 - 2y) = kT ln((1 - y) / y), by bisection."""
    return brentq(lambda y: W * (1 - 2 * y) - K * kelvin * np.log((1 - y) / y), 1e-30, 0.5 - 1e-6, xtol=1e-16)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9, 0.99])
def test_the_gap_of_the_regular_solution(part):
    (gap,) = at(part * CRITICAL).gaps
    y = binodal(part * CRITICAL)
    # Near the critical point curves are flat: a residual of 1e-13 leaves its third root or so.
    tolerance = 1e-7 if part < 0.95 else 1e-5
    assert gap.x_left == pytest.approx(6 * y, rel=tolerance)
    assert gap.x_right == pytest.approx(6 * (1 - y), rel=tolerance)
    assert gap.phase_left == gap.phase_right == "T"


def test_above_the_critical_temperature_it_mixes():
    assert critical_point(REGULAR, 6).temperature_k == pytest.approx(CRITICAL, rel=1e-8)
    assert at(1.001 * CRITICAL).gaps == ()
    assert "T is a solid solution from x = 0 to 6" in at(1.001 * CRITICAL).verdict
    assert "miscibility gap of T" in at(0.9 * CRITICAL).verdict


def test_an_uneven_curve_against_a_plain_hull():
    """Tangents of a lopsided mixing energy: no chord between any two points lies below them."""
    fit = fit_mixing(made({"T": redlich_kister(0.3, 0.15)}), "T")
    found = at(0.7 * critical_point(fit, 6).temperature_k, fit)
    (gap,) = found.gaps
    y = np.linspace(1e-9, 1 - 1e-9, 200_001)
    kt = K * found.temperature_k * 6
    free = fit.excess(y) + kt * (y * np.log(y) + (1 - y) * np.log1p(-y))
    a, b = gap.x_left / 6, gap.x_right / 6
    heights = np.interp([a, b], y, free)
    chord = heights[0] + (y - a) * (heights[1] - heights[0]) / (b - a)
    # A linear table of 200,000 steps is good to 1e-10 eV here.
    assert (free - chord).min() > -1e-9
    assert gap.x_left + gap.x_right != pytest.approx(6, abs=0.1)


def test_two_phases_that_mix_ideally_stand_beside_each_other():
    """Ideal solutions: equal chemical potentials give closed forms for both contents.

    With energies d0 and -d1 of phase B above A at the ends, mu of each end equal in both: (1-a)/(1-b) = exp(d0/kTn)
    and a/b = exp(-d1/kTn).
    """
    d0, d1, kelvin = 0.08, 0.12, 300.0
    kt = K * kelvin * 6
    a_phase = fit_mixing(made({"A": lambda x: -4.0}), "A")
    b_phase = fit_mixing(made({"B": lambda x: -4.0 + (d0 - (d0 + d1) * x / 6) / 10}), "B")
    found = at(kelvin, a_phase, b_phase)
    (gap,) = found.gaps
    p, q = np.exp(d0 / kt), np.exp(-d1 / kt)
    b = (1 - p) / (q - p)
    a = q * b
    assert (gap.phase_left, gap.phase_right) == ("A", "B")
    assert gap.x_left == pytest.approx(6 * a, rel=1e-7)
    assert gap.x_right == pytest.approx(6 * b, rel=1e-7)
    assert "A and B beside each other" in found.verdict
    # An even shift of one phase by vibrations is an even shift of its energies.
    shifted = at(kelvin, a_phase, b_phase, vibrational={"A": (0.3, 0.3), "B": (0.3, 0.3)})
    assert shifted.gaps[0].x_left == pytest.approx(gap.x_left, rel=1e-7)
    softer = at(kelvin, a_phase, b_phase, vibrational={"A": (0.0, 0.0), "B": (-d0, -d0)})
    assert softer.gaps == ()
    assert softer.verdict.startswith("At 300 K B is a solid solution")


def test_curves_are_mixing_energies_above_the_lowest_ends():
    found = at(300.0)
    assert found.free_energy["T"][[0, -1]] == pytest.approx([0, 0], abs=1e-12)
    middle = 6 * W / 4 - 6 * K * 300 * np.log(2)
    assert found.free_energy["T"][120] == pytest.approx(middle, rel=1e-9)
    assert found.x[120] == 3.0
    assert "lower bound" in found.notes[0] and "left out" in found.notes[1]


@pytest.mark.parametrize(
    ("fits", "model", "said"),
    [
        ((), {}, "at least one phase"),
        ((REGULAR,), {"temperature_k": 0.0}, "no temperature of mixing"),
        ((REGULAR,), {"mixed_sites": 0}, "mixed sites"),
        ((REGULAR,), {"vibrational": {"M": (0.0, 0.0)}}, "missing for T"),
        ((REGULAR,), {"vibrational": {"T": (0.0, np.nan)}}, "missing for an end"),
    ],
)
def test_what_makes_no_free_energy(fits, model, said):
    with pytest.raises(InputError, match=said):
        free_energy_curve(fits, 6.0, FreeEnergyModel(**({"temperature_k": 300.0, "mixed_sites": 6} | model)))

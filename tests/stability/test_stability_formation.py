"""Formation energies: zero where they must be, and the same for every cell and every zero of energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stability_series import ENDS, drawn, made

from halion.errors import InputError
from halion.stability import EnergyError, formation_energies, series_energies

ROUNDING = 1e-12  # of energies of 4 eV/atom, in double precision, over a handful of operations


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_zero_at_the_ends_and_against_the_definition(seed):
    series = drawn(seed)
    found = formation_energies(series)
    for point in found.points:
        first, second = series.end(point.phase, 0.0).energy, series.end(point.phase, 6.0).energy
        assert point.own == pytest.approx(
            point.energy - (1 - point.x / 6) * first - point.x / 6 * second, abs=ROUNDING
        )
        if point.x in (0.0, 6.0):
            assert point.own == 0.0
            assert point.common >= 0.0
    # One phase holds each common end: zero there, and nowhere below at the ends.
    for x, phase in zip((0.0, 6.0), found.common_ends):
        assert [p.common for p in found.points if (p.phase, p.x) == (phase, x)] == [0.0]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.fixed_dictionaries({element: st.floats(-10, 10) for element in ("Li", "Y", "Cl", "Br")}),
)
def test_neither_the_cell_nor_the_zero_of_an_element_matters(seed, units, shift):
    """Shifting the energy of every atom of an element changes no formation energy: atoms are conserved."""
    series = drawn(seed)
    moved = [
        replace(
            point,
            formula_units=point.formula_units * units,
            energy=point.energy + sum(shift[e] * n for e, n in series.composition(point.x).items()) / 10,
        )
        for point in series.points
    ]
    before = formation_energies(series).points
    after = formation_energies(series_energies(moved, ENDS, 6.0)).points
    # Shifts of 10 eV per atom cost two more digits.
    assert np.allclose([p.own for p in before], [p.own for p in after], rtol=0, atol=1e-11)
    # The lowest ends may be another phase's only if an energy zero differed between phases; it does not.
    assert np.allclose([p.common for p in before], [p.common for p in after], rtol=0, atol=1e-11)


def test_a_series_whose_formula_unit_grows_counts_atoms():
    """Li2O to Li2O2: per atom the mixture is weighted by atoms, not by formula units."""
    from halion.stability import PhasePoint

    points = [PhasePoint(phase="a", x=x, energy=e, formula_units=2) for x, e in ((0, -3.0), (0.5, -2.0), (1, -1.0))]
    middle = formation_energies(series_energies(points, ("Li2O", "Li2O2"), 1.0)).points[1]
    assert middle.own == pytest.approx((3.5 * -2.0 - 0.5 * 3 * -3.0 - 0.5 * 4 * -1.0) / 3.5, abs=ROUNDING)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_the_band_is_that_of_drawn_errors(correlation):
    series = drawn(1)
    error = EnergyError(std=0.003, correlation=correlation)
    found = formation_energies(series, error)
    rng = np.random.default_rng(0)
    covariance = error.covariance(series.points)
    draws = rng.multivariate_normal(np.zeros(len(series.points)), covariance, size=20_000, method="eigh")
    energies = np.array([point.energy for point in series.points]) + draws
    share = np.array([point.x / 6 for point in series.points])[:7]
    own = energies[:, :7] - (1 - share) * energies[:, :1] - share * energies[:, 6:7]
    # A standard deviation of 20,000 draws is known to 1/sqrt(40,000) = 0.5 %; five times that.
    # Where all errors cancel, the square root of the covariance leaves 1e-8 of them.
    assert np.allclose(own.std(axis=0), [p.own_std for p in found.points[:7]], rtol=0.025, atol=1e-9)


def test_without_an_error_there_is_no_band():
    assert all(np.isnan(point.own_std) for point in formation_energies(drawn(0)).points)


def test_a_missing_end_is_said_and_the_common_ends_still_serve():
    series = made({"A": lambda x: -4.0, "B": lambda x: -4.1 + 0.01 * x})
    part = series_energies([p for p in series.points if (p.phase, p.x) != ("A", 6.0)], ENDS, 6.0)
    found = formation_energies(part)
    assert found.common_ends == ("B", "B")
    assert "Li3YBr6 (x = 6) of phase A is missing" in found.notes[0]
    assert all(np.isnan(p.own) == (p.phase == "A") for p in found.points)
    nobody = series_energies([p for p in series.points if p.x != 6.0], ENDS, 6.0)
    with pytest.raises(InputError, match=r"x = 6\) of phase A is missing"):
        formation_energies(nobody)


def test_an_end_that_is_left_out_is_no_end():
    series = made({"A": lambda x: -4.0})
    points = [replace(p, left_out="it became B") if p.x == 0 else p for p in series.points]
    with pytest.raises(InputError, match="left out: it became B"):
        formation_energies(series_energies(points, ENDS, 6.0))

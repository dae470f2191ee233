"""The difference of two phases, where it changes sign, and how sure that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from stability_series import ENDS, drawn, made

from halion.errors import InputError
from halion.stability import EnergyError, phase_difference, series_energies
from halion.stability.difference import crossings

SLOPE = 0.002  # eV/atom per x


def straight(root: float):
    return made({"T": lambda x: -4.0 + SLOPE * (x - root), "M": lambda x: -4.0})


def test_one_phase_under_two_names_has_no_difference():
    series = drawn(0, n_phases=1)
    twice = series_energies([*series.points, *(replace(p, phase="Q") for p in series.points)], ENDS, 6.0)
    found = phase_difference(twice, "P0", "Q", EnergyError(std=0.002))
    assert not found.difference.any()
    assert found.transitions == ()
    assert "same energy" in found.verdict and "no crossing" in found.verdict
    assert np.allclose(found.first_is_lower, 0.5)


@given(st.floats(0.01, 5.99))
@settings(max_examples=50, deadline=None)
def test_a_straight_line_crosses_where_it_says(root):
    found = phase_difference(straight(root), "T", "M", EnergyError(std=0.0))
    (transition,) = found.transitions
    # Energies of 4 eV/atom carry 1e-15 eV of rounding, over a slope of 2 meV/atom.
    assert transition.x == pytest.approx(root, abs=1e-11)
    assert (transition.below, transition.above) == ("T", "M")
    assert {each.median for each in transition.errors} == {transition.x}


def test_one_shift_per_phase_moves_the_crossing_as_the_slope_says():
    """x* = root - shift / slope with the shift of standard deviation sqrt(2) s: a Gaussian in closed form."""
    std = 0.0005
    found = phase_difference(straight(3.0), "T", "M", EnergyError(std=std), n_draws=100_000)
    shift = found.transitions[0].errors[-1]
    assert shift.correlation == 1.0
    width = np.sqrt(2) * std / SLOPE
    # Quantiles of 100,000 draws are good to a hundredth of their distance.
    for level, value in ((0.025, shift.low95), (0.16, shift.low68), (0.5, shift.median), (0.84, shift.high68)):
        assert value == pytest.approx(3.0 + width * norm.ppf(level), abs=0.02 * width)
    assert shift.several == 0.0
    assert np.allclose(found.std_shift, np.sqrt(2) * std)


def test_a_shared_error_of_both_phases_cancels():
    error = EnergyError(std=0.002, between_phases=1.0)
    found = phase_difference(straight(3.0), "T", "M", error)
    assert np.allclose(found.std_shift, 0.0, atol=1e-12)
    assert np.allclose(found.std, np.sqrt(2) * 0.002)
    assert found.transitions[0].errors[-1].missing == 0.0


def test_draws_against_a_loop():
    """The same errors, crossing by crossing in a plain loop."""
    series, error = drawn(3), EnergyError(std=0.004)
    found = phase_difference(series, "P0", "P1", error, n_draws=4000, seed=5)
    x = np.array([p.x for p in series.curve("P0")])
    rng = np.random.default_rng(1)
    noise = rng.normal(0, np.sqrt(2) * error.std, (4000, len(x)))
    roots = [[root for root, _ in crossings(x, found.difference + one)] for one in noise]
    alone = found.transitions[0].errors[0]
    # Two samples of 4000: shares agree to 4 sqrt(0.25 * 2 / 4000) = 0.045.
    assert alone.missing == pytest.approx(np.mean([not each for each in roots]), abs=0.045)
    assert alone.several == pytest.approx(np.mean([len(each) > 1 for each in roots]), abs=0.045)
    nearest = [min(each, key=lambda r: abs(r - found.transitions[0].x)) for each in roots if each]
    assert alone.median == pytest.approx(np.median(nearest), abs=0.1)


def test_probability_of_being_lower():
    found = phase_difference(straight(3.0), "T", "M", EnergyError(std=0.001))
    assert np.allclose(found.first_is_lower, norm.cdf(-found.difference / (np.sqrt(2) * 0.001)))
    certain = phase_difference(straight(3.0), "T", "M", EnergyError(std=0.0))
    assert list(certain.first_is_lower) == [1, 1, 1, 0.5, 0, 0, 0]


def test_no_crossing_is_said():
    series = made({"T": lambda x: -4.0 + 0.004, "M": lambda x: -4.0})
    sure = phase_difference(series, "T", "M", EnergyError(std=0.0001))
    assert sure.transitions == () and sure.verdict.startswith("No crossing: M is the lower phase from x = 0 to 6")
    assert sure.verdict.count("0% of the draws") == 2
    unsure = phase_difference(series, "T", "M", EnergyError(std=0.004))
    # Seven differences of 4 +- 5.7 meV/atom: all of one sign with p = Phi(0.71)^7 + Phi(-0.71)^7 = 0.153.
    assert "errors of each point alone give a crossing in 85% of the draws" in unsure.verdict
    assert "one error per phase give a crossing in 0% of the draws" in unsure.verdict


def test_without_an_error_there_is_no_band():
    found = phase_difference(straight(2.0), "T", "M")
    assert np.isnan(found.std).all() and np.isnan(found.first_is_lower).all()
    assert found.transitions[0].errors == ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, 1], []),  # touches
        ([0, 0, 0], []),
        ([1, 0, -1], [(1.0, 1)]),
        ([1, 0, 0, -1], [(1.5, 1)]),
        ([-1, 1, -1], [(0.5, -1), (1.5, 1)]),
        ([0, -1, 1], [(1.5, -1)]),
        ([3, -1], [(0.75, 1)]),
    ],
)
def test_crossings(values, expected):
    assert crossings(np.arange(len(values), dtype=float), np.array(values, float)) == expected


def test_x_that_only_one_phase_has():
    series = straight(3.0)
    points = [replace(p, left_out="it became M") if (p.phase, p.x) == ("T", 2.0) else p for p in series.points]
    found = phase_difference(series_energies(points, ENDS, 6.0), "T", "M")
    assert found.missing == (2.0,) and 2.0 not in found.x
    apart = [p for p in series.points if (p.x < 3) == (p.phase == "T")]
    with pytest.raises(InputError, match="no x in common"):
        phase_difference(series_energies(apart, ENDS, 6.0), "T", "M")


@pytest.mark.parametrize("names", [("T", "T"), ("T", "Z")])
def test_phases_that_are_none(names):
    with pytest.raises(InputError, match="two phases"):
        phase_difference(straight(1.0), *names)

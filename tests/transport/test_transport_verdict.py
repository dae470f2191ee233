"""The parts of a verdict, each on curves whose answer is known: window, slope, hops, hop length, framework."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import HOP, trajectory

from halion.errors import TrajectoryError
from halion.transport import hop_length
from halion.transport.hops import framework_spacing, hopped_fraction
from halion.transport.verdict import (
    Evidence,
    FitWindow,
    fit_window,
    is_melted,
    judge,
    leaving_elements,
    log_slope,
)

LAGS = np.arange(101) * 0.1  # ps, up to 10
DIFFUSIVE = Evidence(
    window=FitWindow(10, 100, True),
    rise=30.0,
    length=HOP,
    slope=1.0,
    band=(0.7, 1.35),
    hopped=0.9,
    leaving={},
    melted=False,
    framework={"Cl": 0.1},
    spacing=3.7,
)


@settings(deadline=None)
@given(power=st.floats(0.1, 2.5), scale=st.floats(1e-3, 1e3))
def test_the_slope_of_a_power_law_is_its_power(power, scale):
    assert log_slope(LAGS[1:], scale * LAGS[1:] ** power) == pytest.approx(power, abs=1e-9)


def test_lag_zero_and_a_flat_start_do_not_spoil_the_slope():
    assert log_slope(LAGS, 6 * LAGS) == pytest.approx(1.0)
    assert np.isnan(log_slope(LAGS[:3], np.array([0.0, 1.0, 2.0])))
    assert np.isnan(log_slope(LAGS, np.zeros(101)))


def test_the_window_starts_where_half_a_squared_hop_is_reached():
    """MSD = 6 Angstrom^2/ps t: 4.5 Angstrom^2, half of 3^2, is reached at 0.75 ps, first lag 0.8."""
    window = fit_window(LAGS, 6 * LAGS, 10.0, HOP)
    assert window == FitWindow(8, 100, True)
    assert fit_window(LAGS, 6 * LAGS, 5.0, HOP).last == 50


@pytest.mark.parametrize(
    ("rate", "passes"),
    [
        (6.0, True),
        (0.91, True),  # 9.1 Angstrom^2 at 10 ps: half of 9 before the window and half inside
        (0.89, False),  # reached, but it rises by less than another 4.5 inside the window
        (0.4, False),  # never reached
    ],
)
def test_the_gate_of_he(rate, passes):
    window = fit_window(LAGS, rate * LAGS, 10.0, HOP)
    assert window.passes == passes
    assert 1 <= window.first <= window.last - 2 and window.last == 100


@pytest.mark.parametrize(("shortest", "first"), [(0.05, 1), (2.0, 20), (99.0, 98)])
def test_the_first_lag_can_be_given(shortest, first):
    """In ps; the gate is asked for all the same, and three lags remain."""
    window = fit_window(LAGS, 6 * LAGS, 10.0, HOP, shortest)
    assert (window.first, window.last) == (first, 100)
    assert window.passes == (6 * (LAGS[100] - LAGS[first]) >= 4.5)
    assert not fit_window(LAGS, 0.4 * LAGS, 10.0, HOP, shortest).passes


def test_hopped_ions_are_counted_once():
    positions = np.zeros((50, 4, 3))
    positions[10:, 0, 0] = 3.1  # hopped and stayed
    positions[10:12, 1, 1] = 3.1  # hopped and came back
    positions[:, 2, 2] = np.linspace(0, 2.9, 50)  # on its way
    assert hopped_fraction(positions, HOP) == 0.5
    assert hopped_fraction(positions, 2.8) == 0.75
    assert hopped_fraction(positions + 100.0, HOP) == 0.5


def cubic(spacing: float, symbol: str = "Li", n: int = 3) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    grid = np.array(np.meshgrid(*[np.arange(n)] * 3, indexing="ij")).reshape(3, -1).T * spacing
    return grid, (symbol,) * n**3, np.eye(3) * n * spacing


@settings(deadline=None, max_examples=20)
@given(spacing=st.floats(2.05, 4.95), seed=st.integers(0, 10**6))
def test_the_hop_length_of_a_simple_cubic_lattice_is_its_constant(spacing, seed):
    """Through the periodic border too, wherever the origin lies and whatever image an ion is listed at."""
    rng = np.random.default_rng(seed)
    sites, symbols, cell = cubic(spacing)
    images = rng.integers(-2, 3, (len(sites), 3)) @ cell
    still = trajectory(np.tile(sites + images + rng.uniform(-9, 9, 3), (25, 1, 1)), symbols, cell=cell)
    assert hop_length(still, "Li") == pytest.approx(spacing, rel=1e-9)


@pytest.mark.parametrize("spacing", [1.2, 5.6])
def test_no_hop_is_that_short_or_long(spacing):
    sites, symbols, cell = cubic(spacing)
    with pytest.raises(TrajectoryError, match="hop length") as caught:
        hop_length(trajectory(np.tile(sites, (25, 1, 1)), symbols, cell=cell), "Li")
    assert "--hop-length" in caught.value.fix


def test_one_ion_has_no_neighbour_to_hop_to():
    sites, symbols, cell = cubic(3.0)
    alone = trajectory(np.tile(sites, (25, 1, 1)), ("Li", *symbols[1:-1], "Cl"), cell=cell)
    lonely = replace(alone, symbols=("Li",) + ("Cl",) * 26)
    with pytest.raises(TrajectoryError, match=r"1 Li ion\(s\)"):
        hop_length(lonely, "Li")


def test_the_framework_is_measured_by_its_densest_element():
    sites, _, cell = cubic(3.7, n=2)
    symbols = ("Y", "Y") + ("Cl",) * 6
    still = trajectory(np.tile(sites, (25, 1, 1)), symbols, cell=cell)
    assert framework_spacing(still, "Li") == pytest.approx(3.7)
    assert np.isnan(framework_spacing(replace(still, symbols=("Li",) * 8), "Li"))
    single = replace(still, symbols=("Y", "Cl") + ("Li",) * 6)
    assert framework_spacing(single, "Li") == pytest.approx((7.4**3 / 2) ** (1 / 3))


SPACING = 3.7
LIMIT = (0.4 * SPACING) ** 2  # 2.19 Angstrom^2


@pytest.mark.parametrize(
    ("cl", "y", "leaving", "melted"),
    [
        (0.3, 0.1, [], False),  # a crystal
        (1.5 * LIMIT, 0.1, ["Cl"], False),  # anions that change places, cations at rest
        (1.5 * LIMIT, 1.5 * LIMIT, ["Cl", "Y"], True),
        (1.1 * SPACING**2, 0.1, ["Cl"], True),  # one sublattice that has gone a whole spacing
    ],
)
def test_what_leaves_its_sites(cl, y, leaving, melted):
    """Diffusive growth where it is above the limit, a plateau where it vibrates."""
    curves = {
        name: LAGS / LAGS[-1] * value if value > 0.5 else np.full(101, value)
        for name, value in (("Cl", cl), ("Y", y))
    }
    assert sorted(leaving_elements(curves, 100, SPACING)) == leaving
    assert is_melted(curves, 100, SPACING) == melted


def test_octahedra_that_turn_among_resting_cations_are_no_melt():
    """Li3YBr6 at 650 K, fine-tuned: four of 24 Br changed places (MSD to 2.3, growing); Y shook from 0.3 to 0.5."""
    br, y = 2.3 * LAGS / LAGS[-1], 0.3 + 0.2 * LAGS / LAGS[-1]
    assert leaving_elements({"Br": br, "Y": y}, 100, 3.6)
    assert not is_melted({"Br": br, "Y": y}, 100, 3.6)
    assert is_melted({"Br": br, "Y": 2 * y}, 100, 3.6)  # now beyond 2 (0.15 * 3.6)^2 = 0.58: Y is leaving as well


def test_a_sublattice_that_rests_after_it_left_is_part_of_the_melt():
    """Li3YBr6 at 580 K with pretrained CHGNet, 100 ps: Br came to rest at 8.3 Angstrom^2, Y went on to 9.1."""
    br = np.minimum(8.3, 16.0 * LAGS / LAGS[-1])
    y = 9.1 * LAGS / LAGS[-1]
    assert leaving_elements({"Br": br, "Y": y}, 100, SPACING) == {"Y": pytest.approx(9.1)}
    assert is_melted({"Br": br, "Y": y}, 100, SPACING)
    assert not is_melted({"Br": np.full(101, 0.6), "Y": y}, 100, SPACING)


def test_a_plateau_is_no_melt_however_high():
    assert leaving_elements({"S": np.full(101, 3 * LIMIT)}, 100, SPACING) == {}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "diffusive"),
        ({"slope": 0.69}, "upper bound"),
        ({"slope": 1.36}, "upper bound"),
        ({"slope": 1.36, "band": (0.6, 1.4)}, "diffusive"),  # few ions scatter more
        ({"slope": 1.61}, "ballistic"),
        ({"slope": float("nan")}, "upper bound"),
        ({"window": FitWindow(10, 100, False)}, "upper bound"),
        ({"hopped": 0.19}, "upper bound"),
        ({"hopped": 0.0}, "caged"),
        ({"melted": True, "leaving": {"Cl": 9.0}}, "melted"),
        ({"leaving": {"Cl": 3.0}}, "diffusive"),  # named, but no melt
        ({"framework": {}}, "diffusive"),
    ],
)
def test_the_verdict_table(change, verdict):
    seen = replace(DIFFUSIVE, **change)
    found, reasons = judge(seen)
    assert found == verdict
    assert len(reasons) >= 4 and all(reason.endswith(".") for reason in reasons)
    text = " ".join(reasons)
    assert ("is not met" in text) == (not seen.window.passes)
    assert f"{100 * seen.hopped:.0f} % of the mobile ions" in text
    if seen.leaving and not seen.melted:
        assert "changes places" in text

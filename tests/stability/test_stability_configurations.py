"""Partition functions and entropies against closed forms and plain sums."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError
from halion.stability import Configurations, configurational_state, counted_entropy, ideal_entropy
from halion.units import BOLTZMANN_EV_PER_K as K


def configurations(energies, multiplicities, total=None, known="all", units=1) -> Configurations:
    weights = np.array(multiplicities, float)
    return Configurations(
        formula_units=units,
        energies=np.array(energies, float),
        multiplicities=weights,
        total=float(weights.sum()) if total is None else total,
        known=known,
    )


@pytest.mark.parametrize("gap", [0.001, 0.05])
@pytest.mark.parametrize("temperature", [50.0, 300.0, 1000.0])
def test_two_levels(gap, temperature):
    """F = -kT ln(1 + 3 exp(-d/kT)), E = 3 d exp(-d/kT) / (1 + 3 exp(-d/kT))."""
    found = configurational_state(configurations([0, gap], [1, 3], units=2), temperature)
    factor = 3 * math.exp(-gap / (K * temperature))
    assert found.free_energy == pytest.approx(-K * temperature * math.log1p(factor) / 2, rel=1e-12)
    assert found.energy == pytest.approx(gap * factor / (1 + factor) / 2, rel=1e-12)
    assert found.entropy == pytest.approx((found.energy - found.free_energy) / temperature, rel=1e-12)
    assert found.lowest_weight == pytest.approx(1 / (1 + factor), rel=1e-12)
    assert found.coverage == 1 and found.free_energy_low == found.free_energy


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(20, 3000), st.floats(-1e4, 1e4))
def test_multiplicities_are_repeats_and_the_zero_of_energy_is_free(seed, temperature, zero):
    rng = np.random.default_rng(seed)
    energies, weights = rng.normal(0, 0.1, 5), rng.integers(1, 6, 5)
    packed = configurational_state(configurations(energies, weights), temperature)
    every = np.repeat(energies, weights)
    listed = configurational_state(configurations(every, np.ones(len(every))), temperature)
    moved = configurational_state(configurations(energies + zero, weights), temperature)
    assert packed.free_energy == pytest.approx(listed.free_energy, rel=1e-11, abs=1e-12)
    assert packed.entropy == pytest.approx(listed.entropy, rel=1e-9, abs=1e-15)
    # An energy of 1e4 eV keeps twelve decimals less four.
    assert moved.free_energy - zero == pytest.approx(packed.free_energy, abs=1e-10)
    assert 0 <= packed.entropy <= packed.entropy_most * (1 + 1e-9)


def test_cold_and_hot_limits():
    found = [configurational_state(configurations([0, 0.05, 0.1], [2, 5, 9]), kelvin) for kelvin in (1.0, 1e8)]
    assert found[0].free_energy == pytest.approx(-K * math.log(2), rel=1e-12)
    assert found[0].entropy == pytest.approx(K * math.log(2), rel=1e-9)
    assert found[1].entropy == pytest.approx(K * math.log(16), rel=1e-9)


def ring(n: int, n_guests: int, bond: float) -> dict[tuple[int, ...], float]:
    """Every arrangement of guests on a ring, and its energy: `bond` for each pair of unlike neighbours."""
    return {
        row: bond * sum(row[k] != row[k - 1] for k in range(n))
        for row in itertools.product((0, 1), repeat=n)
        if sum(row) == n_guests
    }


def orbits(n: int, table: dict[tuple[int, ...], float]) -> tuple[list[float], list[int]]:
    """Energies and multiplicities of what rotations do not turn into each other."""
    left, energies, multiplicities = set(table), [], []
    while left:
        row = min(left)
        same = {row[k:] + row[:k] for k in range(n)}
        energies.append(table[row])
        multiplicities.append(len(same))
        left -= same
    return energies, multiplicities


@pytest.mark.parametrize("n_guests", [0, 2, 4])
def test_a_ring_by_its_orbits_is_the_ring_by_all(n_guests):
    table = ring(8, n_guests, 0.02)
    energies, multiplicities = orbits(8, table)
    assert sum(multiplicities) == math.comb(8, n_guests)
    found = configurational_state(configurations(energies, multiplicities, units=4), 300.0)
    every = np.array(list(table.values()))
    assert found.free_energy == pytest.approx(-K * 300 * np.log(np.exp(-every / (K * 300)).sum()) / 4, rel=1e-12)


def test_the_lowest_bound_the_free_energy_from_both_sides():
    energies, multiplicities = orbits(10, ring(10, 5, 0.02))
    order = np.argsort(energies, kind="stable")
    whole = configurational_state(configurations(energies, multiplicities), 400.0).free_energy
    total = float(sum(multiplicities))
    gaps = []
    for n in range(1, len(energies)):
        low = order[:n]
        part = configurations(np.array(energies)[low], np.array(multiplicities)[low], total, "lowest")
        found = configurational_state(part, 400.0)
        assert found.free_energy_low <= whole + 1e-12 and whole <= found.free_energy + 1e-12
        assert found.coverage == pytest.approx(sum(np.array(multiplicities)[low]) / total)
        gaps.append(found.free_energy - found.free_energy_low)
    assert gaps[-1] < gaps[0]
    unknown = configurational_state(configurations(energies[:1], multiplicities[:1], 0, "lowest"), 400.0)
    assert math.isnan(unknown.coverage) and math.isnan(unknown.free_energy_low)


def test_a_random_sample_estimates_the_whole():
    rng = np.random.default_rng(0)
    energies, whole = rng.normal(0, 0.02, 4000), None
    whole = configurational_state(configurations(energies, np.ones(4000)), 300.0)
    estimates = [
        configurational_state(
            configurations(rng.choice(energies, 400, replace=False), np.ones(400), 4000.0, "random"), 300.0
        ).free_energy
        for _ in range(30)
    ]
    # The mean Boltzmann factor of 400 draws of width 0.02 eV at kT = 0.026 eV is good to
    # sqrt(exp(0.6) - 1) / 20 = 4.5 %, F to 0.045 kT = 1.2 meV, the mean of thirty to 0.2 meV.
    assert np.mean(estimates) == pytest.approx(whole.free_energy, abs=0.0007)
    assert np.std(estimates) < 0.0025


@pytest.mark.parametrize("counts", [(3, 3), (1, 17), (9, 9), (0, 12), (4, 4, 4)])
def test_counted_entropy_is_the_logarithm_of_whole_numbers(counts):
    ways, left = 1, sum(counts)
    for n in counts:
        ways *= math.comb(left, n)
        left -= n
    assert counted_entropy([counts]) == pytest.approx(K * math.log(ways), rel=1e-12, abs=1e-18)


@given(st.integers(1, 5), st.integers(1, 5))
def test_ideal_entropy_is_the_limit_of_counted(a, b):
    """ln C(n(a+b), na) / n falls short of the ideal by ln(n) / 2n and a constant over n: Stirling's next term."""
    ideal = ideal_entropy([(a + b, {"A": a / (a + b), "B": b / (a + b)})])
    short = [ideal - counted_entropy([(a * n, b * n)]) / n for n in (10, 100, 1000)]
    assert all(each > 0 for each in short) and short[0] > short[1] > short[2]
    stirling = K * math.log(2 * math.pi * 1000 * a * b / (a + b)) / 2000
    assert short[2] == pytest.approx(stirling, rel=1e-3)


def test_ideal_entropy_of_half_and_of_none():
    assert ideal_entropy([(6, {"Cl": 0.5, "Br": 0.5})]) == pytest.approx(6 * K * math.log(2))
    assert ideal_entropy([(6, {"Cl": 1.0, "Br": 0.0})]) == 0
    two = ideal_entropy([(6, {"Cl": 0.5, "Br": 0.5}), (4, {"Li": 0.75, "vacancy": 0.25})])
    assert two == pytest.approx(K * (6 * math.log(2) - 4 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


@pytest.mark.parametrize(
    ("bad", "temperature", "said"),
    [
        (configurations([0.0], [1]), 0.0, "no partition function"),
        (configurations([], []), 300.0, "no ensemble"),
        (configurations([np.nan], [1]), 300.0, "must be numbers"),
        (configurations([0.0], [0.5]), 300.0, "one or more"),
        (configurations([0.0], [3], 2.0), 300.0, "2 in all"),
        (configurations([0.0], [3], 9.0), 300.0, "not all of them"),
        (configurations([0.0], [3], 0.0, "random"), 300.0, "number of orderings in all"),
    ],
)
def test_ensembles_that_are_none(bad, temperature, said):
    with pytest.raises(InputError, match=said):
        configurational_state(bad, temperature)


def test_occupancies_that_are_none():
    with pytest.raises(InputError, match="sum to one"):
        ideal_entropy([(6, {"Cl": 0.5})])
    with pytest.raises(InputError, match="fewer than none"):
        counted_entropy([(-1, 2)])

"""Two regimes against one: known lines, known bends, evidence by quadrature, and what cannot be seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arrhenius_runs import bound_at, on_a_line, run_at

from halion.errors import InputError
from halion.transport import compare_regimes
from halion.transport.line import LineData, posterior_of_line
from halion.transport.regimes import two_regime_diffusivity
from halion.units import BOLTZMANN_EV_PER_K

WIDE = (300.0, 340.0, 380.0, 420.0, 460.0, 500.0, 550.0, 600.0)


def bent(temperatures, *, change=420.0, energies=(0.45, 0.25), rsd=0.1, rng=None):
    exact = two_regime_diffusivity(np.array(temperatures), energies, 0.01, change)
    noise = np.zeros(len(exact)) if rng is None else rng.normal(0, rsd, len(exact))
    return [run_at(t, d * math.exp(e), rsd) for t, d, e in zip(temperatures, exact, noise, strict=True)]


def straight(temperatures, *, rsd=0.1, rng=None):
    noise = np.zeros(len(temperatures)) if rng is None else rng.normal(0, rsd, len(temperatures))
    return [run_at(t, on_a_line(t) * math.exp(e), rsd) for t, e in zip(temperatures, noise, strict=True)]


@pytest.mark.parametrize(("kelvin", "expected"), [(250.0, 0.4529592684), (300.0, 10.0), (350.0, 831.6019503)])
def test_published_values_of_two_regimes(kelvin, expected):
    """kinisi, tests/test_arrhenius.py: energies 0.4 and 0.8 eV, 10 at the change, 300 K."""
    assert two_regime_diffusivity(np.array([kelvin]), (0.4, 0.8), 10.0, 300.0)[0] == pytest.approx(
        expected, rel=1e-6
    )


def test_a_bend_is_found():
    found = compare_regimes(bent(WIDE), 300.0, expected_change_k=420.0)
    assert found.verdict == "two regimes"
    for got, true in ((found.change_k, 420.0), (found.energy_cold, 0.45), (found.energy_hot, 0.25)):
        assert got[0] < true < got[2]
    exact = math.log(two_regime_diffusivity(np.array([300.0]), (0.45, 0.25), 0.01, 420.0)[0])
    assert found.ln_diffusivity[0] < exact < found.ln_diffusivity[2]
    assert found.ln_diffusivity_one_line[1] > found.ln_diffusivity[1]
    assert "0.45 eV below and 0.25 eV above" in found.words
    assert "known to change" not in found.words  # these runs can show it


def test_a_straight_line_is_rarely_taken_for_a_bent_one():
    rng = np.random.default_rng(1)
    found = [compare_regimes(straight(WIDE, rng=rng), 300.0) for _ in range(60)]
    assert sum(one.verdict == "two regimes" for one in found) <= 1  # odds of 20 to 1
    # The single line is among what two regimes allow, with a wider interval.
    inside = [one.ln_diffusivity[0] < math.log(on_a_line(300.0)) < one.ln_diffusivity[2] for one in found]
    assert np.mean(inside) > 0.55


def test_a_bend_is_claimed_more_often_the_better_the_data():
    rng = np.random.default_rng(2)
    share = [
        np.mean([compare_regimes(bent(WIDE, rsd=rsd, rng=rng), 300.0).verdict == "two regimes" for _ in range(12)])
        for rsd in (0.6, 0.3, 0.1)
    ]
    assert share[0] < 0.5 and share[-1] == 1.0
    assert share[0] <= share[1] <= share[2]


def test_a_change_colder_than_the_runs_is_not_claimed_and_is_said():
    hot = bent((500.0, 550.0, 600.0, 650.0, 700.0))
    found = compare_regimes(hot, 300.0, expected_change_k=420.0)
    assert found.verdict != "two regimes"
    assert found.range_k == (550.0, 650.0)
    assert "near 420 K, which these runs cannot show" in found.words
    assert "from 550 to 650 K" in found.words


def test_three_temperatures_cannot_tell():
    found = compare_regimes(bent((350.0, 420.0, 500.0)), 300.0, expected_change_k=420.0)
    assert found.verdict == "cannot be told"
    assert math.isnan(found.ln_bayes_factor)
    assert "420 K" in found.words
    with pytest.raises(InputError, match="two are a line"):
        compare_regimes(bent((500.0,)), 300.0)


def test_a_cold_bound_is_evidence_for_a_bend():
    hot = straight((420.0, 460.0, 500.0, 550.0, 600.0))
    low = bound_at(340.0, 0.02 * on_a_line(340.0), n_eff=200.0)
    without, with_bound = compare_regimes(hot, 300.0), compare_regimes([*hot, low], 300.0)
    assert with_bound.ln_bayes_factor > without.ln_bayes_factor + 2
    assert with_bound.energy_cold[1] > without.energy_cold[1]


def test_the_evidence_is_the_integral_over_the_prior():
    """One line, by summing the likelihood over ln D at 500 K and the energy."""
    runs = straight((450.0, 500.0, 600.0))
    kelvin = np.array([run.temperature_k for run in runs])
    design = np.column_stack([np.ones(3), -(1 / kelvin - 1 / 500.0) / BOLTZMANN_EV_PER_K])
    values, std = np.log([run.diffusivity for run in runs]), np.array([0.1, 0.2, 0.1])
    bound_design, bound_values, bound_std = np.array([[1.0, -8.0]]), np.array([-4.9]), np.array([0.3])
    for has_bound in (False, True):
        part = slice(None) if has_bound else slice(0, 0)
        data = LineData(
            design=design,
            values=values,
            std=std,
            bound_design=bound_design[part],
            bound_values=bound_values[part],
            bound_std=bound_std[part],
        )
        found = posterior_of_line(data)
        a = np.linspace(found.mean[0] - 1.0, found.mean[0] + 1.0, 801)
        b = np.linspace(found.mean[1] - 0.6, found.mean[1] + 0.6, 801)
        points = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1)
        scaled = (values - points @ design.T) / std
        density = np.exp(-0.5 * (scaled**2).sum(-1)) / np.prod(std * math.sqrt(2 * math.pi))
        if has_bound:
            from scipy.special import ndtr

            density *= ndtr((bound_values - points @ bound_design.T) / bound_std)[..., 0]
        total = density.sum() * (a[1] - a[0]) * (b[1] - b[0])
        assert found.ln_evidence == pytest.approx(math.log(total), abs=0.02)

"""Posterior of the Arrhenius line: published points, bounds against a fine grid, influence of temperatures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arrhenius_runs import bound_at, on_a_line, run_at
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr

from halion.errors import InputError
from halion.records import from_record, to_record
from halion.transport import Arrhenius, ArrheniusChoices, conductivity_at, fit_arrhenius, leave_one_out
from halion.transport.arrhenius import ln_diffusivity_quantiles
from halion.transport.conductivity import paper_compat, sigma_t
from halion.transport.line import weighted_quantiles
from halion.units import BOLTZMANN_EV_PER_K, diffusivity_from_cm2_per_s, diffusivity_to_cm2_per_s

# Li7La3Zr2O12, file D_T.csv of the tests of mogroupumd/aimd (MIT): T in K, D and its error in cm^2/s.
LLZO = (
    (600, 1.24e-6, 3.40e-7),
    (650, 1.56e-6, 4.05e-7),
    (700, 2.13e-6, 5.57e-7),
    (720, 1.85e-6, 3.87e-7),
    (800, 3.51e-6, 7.00e-7),
    (900, 4.85e-6, 6.99e-7),
    (1050, 8.24e-6, 1.34e-6),
    (1200, 1.38e-5, 1.49e-6),
    (1500, 1.83e-5, 2.58e-6),
)


def llzo():
    """56 Li in a cube of 12.98 Angstrom, as in the POSCAR beside the file."""
    return [run_at(t, diffusivity_from_cm2_per_s(d), error / d, n_ions=56, volume=12.98**3) for t, d, error in LLZO]


def test_published_points_of_llzo_the_paper_compat():
    line, sigma = paper_compat(llzo(), 300.0)
    # The code that came with He 2018 gives these; its Boltzmann constant, 8.617e-5 eV/K, has four digits.
    digits = 8.617e-5 / BOLTZMANN_EV_PER_K
    assert line.activation_energy * digits == pytest.approx(0.258128, abs=1e-6)
    assert line.activation_energy_std * digits == pytest.approx(0.016832, abs=1e-6)
    at_300 = diffusivity_to_cm2_per_s(math.exp(ln_diffusivity_quantiles(line, 300.0)[1]))
    assert at_300 == pytest.approx(6.80754e-9, rel=1e-4)
    assert sigma.conductivity_ms_per_cm == pytest.approx(1.080365, rel=1e-4)
    assert (sigma.low_ms_per_cm, sigma.high_ms_per_cm) == pytest.approx((0.545097, 2.141250), rel=1e-4)


def test_published_points_of_llzo_with_the_covariance():
    line = fit_arrhenius(llzo())
    sigma = conductivity_at(line, llzo(), 300.0)
    assert (sigma.low_ms_per_cm, sigma.high_ms_per_cm) == pytest.approx((0.68708, 1.69876), rel=1e-4)
    variances = np.sqrt(np.diag(line.covariance))
    # of (ln D0, Ea); the slope is -Ea, so the sign is the other one
    assert line.covariance[0, 1] / variances.prod() == pytest.approx(0.963, abs=5e-4)


def test_published_points_of_llzo_all_weighted_alike():
    choices = ArrheniusChoices(weights="equal", covariance="residuals", bounds=False)
    line = fit_arrhenius(llzo(), choices)
    assert line.activation_energy == pytest.approx(0.24817, abs=1.5e-5)  # the constant's digits, as above
    assert line.activation_energy_std == pytest.approx(0.01178, abs=5e-6)
    assert conductivity_at(line, llzo(), 300.0).conductivity_ms_per_cm == pytest.approx(1.3833, rel=1e-4)


TEMPERATURES = (500.0, 550.0, 600.0, 700.0)


def measured():
    return [run_at(t, on_a_line(t), 0.25) for t in TEMPERATURES]


def grid_posterior(runs, bounds):
    """ln D(300 K) by summing the likelihood over a fine grid; parameters ln D at 600 K and Ea."""
    middle, energy = np.meshgrid(np.linspace(-8, 8, 1201), np.linspace(-1.0, 2.0, 1201), indexing="ij")

    def line(kelvin):
        return middle - energy / BOLTZMANN_EV_PER_K * (1 / kelvin - 1 / 600.0)

    log = np.zeros_like(middle)
    for run in runs:
        log -= (
            0.5
            * ((math.log(run.diffusivity) - line(run.temperature_k)) * run.diffusivity / run.diffusivity_std) ** 2
        )
    for run in bounds:
        spread = math.log1p(1.6449 * (3.43 / math.sqrt(run.n_eff) + 0.04)) / 1.6449
        log += log_ndtr((math.log(run.upper_bound) - 1.6449 * spread - line(run.temperature_k)) / spread)
    weights = np.exp(log - log.max()).ravel()
    levels = (0.15865525393145707, 0.5, 0.8413447460685429)
    return weights @ energy.ravel() / weights.sum(), weighted_quantiles(line(300.0).ravel(), weights, levels)


@pytest.mark.parametrize("factor", [10.0, 1.0, 0.3, 0.05])
def test_a_bound_enters_as_its_likelihood_says(factor):
    """From a bound that says nothing to one that contradicts the line."""
    bounds = [bound_at(400.0, factor * on_a_line(400.0))]
    line = fit_arrhenius([*measured(), *bounds])
    energy, (low, median, high) = grid_posterior(measured(), bounds)
    got = ln_diffusivity_quantiles(line, 300.0)
    width = high - low
    assert line.activation_energy == pytest.approx(energy, abs=0.02 * line.activation_energy_std)
    # 1024 evenly spread draws: quantiles to a few hundredths of the width.
    assert got[:3] == pytest.approx((low, median, high), abs=0.03 * width)
    assert line.bounded_k.tolist() == [400.0]
    assert line.left_out_k.size == 0


def test_a_tight_bound_turns_the_line_down_and_makes_it_asymmetric():
    free = fit_arrhenius(measured())
    bound = fit_arrhenius([*measured(), bound_at(400.0, 0.5 * on_a_line(400.0), n_eff=1e4)])
    assert bound.activation_energy > free.activation_energy
    assert bound.activation_energy_std < free.activation_energy_std
    low, median, high, low95, high95 = ln_diffusivity_quantiles(bound, 300.0)
    assert low95 < low < median < high < high95
    assert (median - low95) > 1.2 * (high95 - median)  # cut from above, not from below
    sigma = conductivity_at(bound, measured(), 300.0)
    assert math.log(sigma.high_ms_per_cm / sigma.low_ms_per_cm) == pytest.approx(high - low)
    assert "1 run(s) entered as upper bounds" in sigma.verdict


def test_a_bound_far_above_changes_nothing():
    free = fit_arrhenius(measured())
    bound = fit_arrhenius([*measured(), bound_at(400.0, 1e3 * on_a_line(400.0))])
    assert bound.activation_energy == pytest.approx(free.activation_energy, abs=0.01 * free.activation_energy_std)
    assert bound.covariance == pytest.approx(free.covariance, rel=0.03)


def test_bounds_can_be_left_out():
    line = fit_arrhenius([*measured(), bound_at(400.0, 1e-6)], ArrheniusChoices(bounds=False))
    assert line.activation_energy == pytest.approx(0.30, abs=1e-10)
    assert line.bounded_k is None and line.draws is None
    assert line.left_out_k.tolist() == [400.0]


def test_leaving_cold_runs_out_instead_would_bias_the_line():
    """Runs that fail to diffuse are the slow ones: dropping them is a choice of the fast ones.

    Eight temperatures scatter by 40 %; what is below a threshold is not measured and has it as its bound.
    """
    rng, truth, shifts = np.random.default_rng(0), math.log(on_a_line(300.0)), {True: [], False: []}
    threshold = on_a_line(440.0)
    bound = threshold * (1 + 1.6449 * (3.43 / math.sqrt(40.0) + 0.04))  # 95 %, of 40 hops
    for _ in range(200):
        values = {t: on_a_line(t) * math.exp(rng.normal(0, 0.4)) for t in np.arange(400.0, 601.0, 25.0)}
        runs = [run_at(t, d, 0.4) if d > threshold else bound_at(t, bound) for t, d in values.items()]
        for bounds in (True, False):
            line = fit_arrhenius(runs, ArrheniusChoices(bounds=bounds))
            shifts[bounds].append(ln_diffusivity_quantiles(line, 300.0)[1] - truth)
    # 0.55 without them; the mean of 200 is known to 0.08, since one fit scatters by 1.1.
    assert np.mean(shifts[False]) > 0.3
    assert abs(np.mean(shifts[True])) < 0.5 * np.mean(shifts[False])


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-4, 1e4), order=st.permutations(range(5)))
def test_units_and_order_do_not_matter(scale, order):
    runs = [*measured(), bound_at(400.0, 0.5 * on_a_line(400.0))]
    scaled = [run_at(t, scale * on_a_line(t), 0.25) for t in TEMPERATURES] + [
        bound_at(400.0, scale * 0.5 * on_a_line(400.0))
    ]
    one, other = fit_arrhenius(runs), fit_arrhenius([scaled[k] for k in order])
    assert other.activation_energy == pytest.approx(one.activation_energy, abs=1e-4)
    assert other.ln_prefactor == pytest.approx(one.ln_prefactor + math.log(scale), abs=2e-3)


def test_the_posterior_survives_the_disk():
    line = fit_arrhenius([*measured(), bound_at(400.0, 0.5 * on_a_line(400.0))])
    again = from_record(Arrhenius, to_record(line))
    assert ln_diffusivity_quantiles(again, 300.0) == ln_diffusivity_quantiles(line, 300.0)


def test_an_outlier_is_named():
    """The hottest of five runs ten standard deviations too fast; the temperatures in the middle move little."""
    runs = [run_at(t, on_a_line(t), 0.1) for t in (500.0, 550.0, 600.0, 650.0)]
    runs.append(run_at(700.0, math.e * on_a_line(700.0), 0.1))
    found = leave_one_out(runs, 300.0)
    assert [one.temperature_k for one in found] == [500.0, 550.0, 600.0, 650.0, 700.0]
    assert found[4].activation_energy == pytest.approx(0.30, abs=1e-9)
    assert found[4].ln_diffusivity == pytest.approx(math.log(on_a_line(300.0)), abs=1e-9)
    assert found[4].is_influential and abs(found[4].shift) == max(abs(one.shift) for one in found)
    assert not found[2].is_influential


def test_without_one_of_two_temperatures_there_is_no_line():
    found = leave_one_out([run_at(t, on_a_line(t)) for t in (500.0, 600.0)], 300.0)
    assert all(one.is_influential and math.isnan(one.activation_energy) for one in found)
    with pytest.raises(InputError, match="no line"):
        leave_one_out([run_at(500.0, 1.0)], 300.0)


def test_no_published_temperature_of_llzo_decides_alone():
    found = leave_one_out(llzo(), 300.0)
    assert len(found) == 9
    assert max(abs(one.shift) for one in found) < 1.0  # nine points: each moves ln D by less than one sigma


def test_choices_without_a_meaning_are_refused():
    with pytest.raises(InputError, match="nothing to make an absolute error from"):
        fit_arrhenius(llzo(), ArrheniusChoices(weights="equal", bounds=False))
    with pytest.raises(InputError, match="three or more"):
        fit_arrhenius(llzo()[:2], ArrheniusChoices(covariance="residuals", bounds=False))
    with pytest.raises(InputError, match="none for bounds"):
        fit_arrhenius(llzo(), ArrheniusChoices(covariance="residuals"))


def test_the_slope_of_sigma_t_is_the_activation_energy():
    runs = [run_at(t, on_a_line(t)) for t in (600.0, 800.0, 1000.0)]
    inverse = [-1 / (BOLTZMANN_EV_PER_K * run.temperature_k) for run in runs]
    assert np.polyfit(inverse, np.log([sigma_t(run) for run in runs]), 1)[0] == pytest.approx(0.30)
    # S K/cm: 1 mS/cm at 300 K is 0.3
    sigma = conductivity_at(None, [run_at(300.0, 1.0)], 300.0).conductivity_ms_per_cm
    assert sigma_t(run_at(300.0, 1.0)) == pytest.approx(0.3 * sigma)


def test_a_haven_ratio_divides_and_widens():
    runs = [run_at(t, on_a_line(t)) for t in (500.0, 600.0, 700.0)]
    line = fit_arrhenius(runs)
    plain = conductivity_at(line, runs, 300.0)
    exact, wide = (conductivity_at(line, runs, 300.0, haven=(0.5, std)) for std in (0.0, 0.2))
    assert exact.conductivity_ms_per_cm == pytest.approx(2 * plain.conductivity_ms_per_cm)
    assert exact.high95_ms_per_cm == pytest.approx(2 * plain.high95_ms_per_cm)
    side = math.log(plain.high_ms_per_cm / plain.conductivity_ms_per_cm)
    assert math.log(wide.high_ms_per_cm / wide.conductivity_ms_per_cm) == pytest.approx(math.hypot(side, 0.4))
    assert math.log(wide.conductivity_ms_per_cm / wide.low_ms_per_cm) == pytest.approx(math.hypot(side, 0.4))
    assert "Haven ratio, 0.5" in wide.verdict
    for wrong in ((0.5, 0.6), (-1.0, 0.1), (math.nan, 0.1)):
        with pytest.raises(InputError, match="not resolved"):
            conductivity_at(line, runs, 300.0, haven=wrong)
    bound = conductivity_at(None, [bound_at(500.0, 0.01)], 300.0, haven=(0.5, 0.1))
    assert (
        bound.upper_bound_ms_per_cm == conductivity_at(None, [bound_at(500.0, 0.01)], 300.0).upper_bound_ms_per_cm
    )

"""Arrhenius line and Nernst-Einstein conductivity against closed forms and published values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants
from transport_walks import SETTINGS, walk

from halion.errors import InputError
from halion.transport import Arrhenius, analyse_run, conductivity_at, fit_arrhenius, nernst_einstein
from halion.transport.arrhenius import fit_ln_diffusivity
from halion.units import BOLTZMANN_EV_PER_K, diffusivity_from_cm2_per_s, diffusivity_to_cm2_per_s

TEMPLATE = analyse_run(walk(0), SETTINGS)


def runs(temperatures, *, d0_cm2=1e-3, ea=0.30, rsd=0.15, n_ions=36, volume=2800.0, scatter=None):
    """Runs on an exact Arrhenius line, or scattered about it."""
    made = []
    for k, temperature in enumerate(temperatures):
        exact = diffusivity_from_cm2_per_s(d0_cm2) * math.exp(-ea / (BOLTZMANN_EV_PER_K * temperature))
        value = exact * (1.0 if scatter is None else math.exp(scatter[k]))
        made.append(
            replace(
                TEMPLATE,
                temperature_k=temperature,
                target_temperature_k=temperature,
                diffusivity=value,
                diffusivity_std=rsd * value,
                n_ions=n_ions,
                volume=volume,
                verdict="diffusive",
            )
        )
    return made


def test_nernst_einstein_in_si():
    # 36 ions of charge e in 2800 Angstrom^3 with 1e-8 cm^2/s at 300 K
    si = 36 / 2800e-30 * constants.e**2 * 1e-12 / (constants.k * 300)
    got = nernst_einstein(diffusivity_from_cm2_per_s(1e-8), 300.0, 36, 2800.0)
    assert got == pytest.approx(si * 10, rel=1e-9)  # S/m to mS/cm
    assert nernst_einstein(1.0, 300.0, 36, 2800.0, charge=2) == pytest.approx(
        4 * nernst_einstein(1.0, 300.0, 36, 2800.0)
    )


def test_an_exact_line_is_found():
    line = fit_arrhenius(runs([600, 700, 800, 900, 1000]))
    assert line.activation_energy == pytest.approx(0.30, abs=1e-10)
    assert math.exp(line.ln_prefactor) == pytest.approx(diffusivity_from_cm2_per_s(1e-3))
    answer = conductivity_at(line, runs([600, 700, 800, 900, 1000]), 300.0)
    # D(300 K) = 9.124768e-9 cm^2/s and 0.727081 mS/cm for 36 Li in 2800 Angstrom^3
    at_300 = math.exp(line.ln_prefactor - 0.30 / (BOLTZMANN_EV_PER_K * 300))
    assert diffusivity_to_cm2_per_s(at_300) == pytest.approx(9.124768e-9, rel=1e-6)
    assert answer.conductivity_ms_per_cm == pytest.approx(0.727081, rel=1e-6)
    assert answer.is_extrapolated


@pytest.mark.parametrize(
    ("temperatures", "leverage", "mev_per_ten_percent"),
    # sd[ln D(300 K)] / RSD(D), and sd of the activation energy for 10 % errors
    [
        ([600, 700, 800, 900, 1000], 3.89, 16.3),
        ([600, 800, 1000], 4.30, 18.1),
        ([400, 500, 600, 700, 800], 1.64, 8.7),
        ([500, 600, 700, 800, 900, 1000], 2.34, 10.3),
    ],
)
def test_leverage_of_the_extrapolation(temperatures, leverage, mev_per_ten_percent):
    made = runs(temperatures, rsd=0.10)
    line = fit_arrhenius(made)
    assert 1e3 * line.activation_energy_std == pytest.approx(mev_per_ten_percent, abs=0.06)
    answer = conductivity_at(line, made, 300.0)
    spread = math.log(answer.high_ms_per_cm / answer.conductivity_ms_per_cm)
    assert spread == pytest.approx(leverage * 0.10, rel=0.005)
    assert math.log(answer.conductivity_ms_per_cm / answer.low_ms_per_cm) == pytest.approx(spread)
    assert math.log(answer.high95_ms_per_cm / answer.conductivity_ms_per_cm) == pytest.approx(
        1.96 * spread, rel=1e-4
    )


def test_published_points_give_published_values():
    # pymatgen-analysis-diffusion, tests/test_analyzer.py: T = 300, 1000, 500 K, D0 = 12 cm^2/s, Ea = 0.5 eV
    temperatures = np.array([300.0, 1000.0, 500.0])
    diffusivity = 12 * np.exp(-0.5 / (BOLTZMANN_EV_PER_K * temperatures)) * [1.00601834, 1.00803236, 0.98609721]
    (ln_d0, ea), covariance, chi2 = fit_ln_diffusivity(temperatures, diffusivity, 0.01 * diffusivity)
    assert ea == pytest.approx(0.5, abs=1e-7)  # the factors have nine digits
    assert math.exp(ln_d0) == pytest.approx(12, rel=1e-6)
    # Theirs scales the error with the residuals, ours takes 1 % as it is: chi^2 with one degree of freedom between.
    assert math.sqrt(covariance[1, 1] * chi2) == pytest.approx(0.000895566, rel=1e-6)


def test_the_covariance_closes_a_published_extrapolation():
    # Nine temperatures of LLZO by He and coworkers: Ea 0.258128 +- 0.016832 eV, correlation of ln D0 and Ea 0.963,
    # D(300 K) 6.80754e-9 cm^2/s. Their interval at 300 K (no covariance) fixes sd(ln D0); the right one follows.
    kt = BOLTZMANN_EV_PER_K * 300
    sd_energy, sigma, published = 0.016832, 1.080365, (0.545097, 2.141250)
    sd_ln_d0 = math.sqrt(math.log(published[1] / sigma) ** 2 - (sd_energy / kt) ** 2)
    cross = 0.963 * sd_ln_d0 * sd_energy
    d300 = diffusivity_from_cm2_per_s(6.80754e-9)
    line = Arrhenius(
        activation_energy=0.258128,
        activation_energy_std=sd_energy,
        ln_prefactor=math.log(d300) + 0.258128 / kt,
        covariance=np.array([[sd_ln_d0**2, cross], [cross, sd_energy**2]]),
        temperatures_k=np.linspace(600, 1400, 9),
        diffusivity=np.ones(9),
        diffusivity_std=np.ones(9),
        chi2_per_dof=1.0,
        left_out_k=np.array([]),
    )
    # conversion 158701249.73 mS/cm per cm^2/s for 56 Li: gives the volume of their cell
    volume = nernst_einstein(diffusivity_from_cm2_per_s(1.0), 300.0, 56, 1.0) / 158701249.73
    made = runs([600], n_ions=56, volume=volume)
    right = conductivity_at(line, made, 300.0)
    compatible = conductivity_at(line, made, 300.0, with_covariance=False)
    assert right.conductivity_ms_per_cm == pytest.approx(sigma, rel=1e-5)
    assert (compatible.low_ms_per_cm, compatible.high_ms_per_cm) == pytest.approx(published, rel=1e-4)
    # The correlation is known to three digits: 1 % of the interval.
    assert (right.low_ms_per_cm, right.high_ms_per_cm) == pytest.approx((0.68708, 1.69876), rel=0.01)


def test_fitting_conductivity_instead_of_diffusivity_would_be_another_energy():
    # ln(sigma) instead of ln(sigma T) against 1/T: 0.2343 instead of 0.30 eV from 600 to 1000 K
    made = runs([600, 700, 800, 900, 1000])
    temperatures = np.array([run.temperature_k for run in made])
    sigma = [nernst_einstein(run.diffusivity, run.temperature_k, 36, 2800.0) for run in made]
    slope = np.polyfit(-1 / (BOLTZMANN_EV_PER_K * temperatures), np.log(sigma), 1)[0]
    assert slope == pytest.approx(0.2343, abs=1e-4)
    assert fit_arrhenius(made).activation_energy == pytest.approx(0.30, abs=1e-10)


def test_leaving_the_covariance_out_widens_the_interval():
    made = runs([600, 700, 800, 900, 1000])
    line = fit_arrhenius(made)
    right = conductivity_at(line, made, 300.0)
    compatible = conductivity_at(line, made, 300.0, with_covariance=False)
    assert compatible.conductivity_ms_per_cm == right.conductivity_ms_per_cm
    assert compatible.high_ms_per_cm > 1.2 * right.high_ms_per_cm


def test_the_interval_covers_the_truth():
    temperatures, rsd, inside, n_replicas = [450, 500, 550, 600], 0.2, 0, 500
    rng = np.random.default_rng(0)
    truth = conductivity_at(fit_arrhenius(runs(temperatures)), runs(temperatures), 300.0).conductivity_ms_per_cm
    for _ in range(n_replicas):
        made = runs(temperatures, rsd=rsd, scatter=rng.normal(0, rsd, 4))
        answer = conductivity_at(fit_arrhenius(made), made, 300.0)
        inside += answer.low_ms_per_cm < truth < answer.high_ms_per_cm
    assert inside / n_replicas == pytest.approx(0.683, abs=3 * 0.021)  # binomial scatter of 500


@given(scale=st.floats(0.01, 100.0))
def test_units_of_the_diffusivity_do_not_change_the_energy(scale):
    made = runs([500, 600, 700])
    scaled = [
        replace(run, diffusivity=run.diffusivity * scale, diffusivity_std=run.diffusivity_std * scale)
        for run in made
    ]
    one, other = fit_arrhenius(made), fit_arrhenius(scaled)
    assert other.activation_energy == pytest.approx(one.activation_energy, abs=1e-9)
    assert other.activation_energy_std == pytest.approx(one.activation_energy_std, rel=1e-9)


def test_runs_that_did_not_diffuse_stay_out():
    made = runs([500, 600, 700])
    melted = [
        *made,
        replace(made[0], target_temperature_k=900.0, temperature_k=900.0, diffusivity=99.0, verdict="melted"),
    ]
    line = fit_arrhenius(melted)
    assert line.activation_energy == pytest.approx(fit_arrhenius(made).activation_energy)
    assert line.left_out_k.tolist() == [900.0]


def test_one_temperature_is_no_line_but_a_bound():
    (run,) = runs([600])
    assert fit_arrhenius([run]) is None
    answer = conductivity_at(None, [run], 300.0)
    assert math.isnan(answer.conductivity_ms_per_cm)
    assert answer.upper_bound_ms_per_cm > nernst_einstein(run.diffusivity, 300.0, run.n_ions, run.volume)
    assert "No value" in answer.verdict


def test_two_runs_meant_for_one_temperature_are_no_line():
    made = [replace(run, target_temperature_k=600.0) for run in runs([596, 604])]
    assert fit_arrhenius(made) is None
    unknown = [replace(run, target_temperature_k=math.nan) for run in runs([599, 601])]
    assert fit_arrhenius(unknown) is None
    assert fit_arrhenius([replace(run, target_temperature_k=math.nan) for run in runs([550, 600])]) is not None


def test_a_run_at_the_asked_temperature_is_an_answer():
    (run,) = runs([502.0])
    answer = conductivity_at(None, [run], 500.0)
    expected = nernst_einstein(run.diffusivity, 500.0, run.n_ions, run.volume)
    assert answer.conductivity_ms_per_cm == pytest.approx(expected)
    assert answer.high_ms_per_cm == pytest.approx(expected * math.exp(0.15))
    assert not answer.is_extrapolated
    assert math.isnan(answer.upper_bound_ms_per_cm)
    assert "one run at 502 K" in answer.verdict


def test_a_colder_run_bounds_nothing():
    caged = replace(runs([280])[0], verdict="caged", upper_bound=0.01)
    assert math.isnan(conductivity_at(None, [caged], 300.0).upper_bound_ms_per_cm)


def test_runs_of_different_size_share_one_density():
    small, large = runs([500, 600])
    large = replace(large, n_ions=72, volume=5600.0)
    answer = conductivity_at(fit_arrhenius([small, large]), [small, large], 300.0)
    assert (answer.n_ions, answer.volume) == (36, pytest.approx(2800.0))


def test_a_melt_does_not_set_the_volume():
    made = [replace(run, volume=2800.0 + 0.5 * run.temperature_k) for run in runs([500, 600])]
    melt = replace(runs([700])[0], volume=4500.0, verdict="melted")
    assert conductivity_at(fit_arrhenius(made), [*made, melt], 300.0).volume == pytest.approx(2950.0)


def test_a_run_that_did_not_diffuse_bounds_the_colder_one():
    caged = replace(runs([500])[0], verdict="caged", upper_bound=0.01)
    answer = conductivity_at(None, [caged], 300.0)
    assert answer.upper_bound_ms_per_cm == pytest.approx(nernst_einstein(0.01, 300.0, caged.n_ions, caged.volume))


def test_a_melt_bounds_nothing():
    melt = replace(runs([500])[0], verdict="melted", upper_bound=0.5)
    answer = conductivity_at(None, [melt], 300.0)
    assert math.isnan(answer.upper_bound_ms_per_cm)
    assert "No answer" in answer.verdict


def test_inside_the_range_nothing_is_extrapolated():
    made = runs([300, 400, 500])
    assert not conductivity_at(fit_arrhenius(made), made, 400.0).is_extrapolated


def test_the_volume_follows_the_temperature():
    made = [replace(run, volume=2800.0 + 0.5 * run.temperature_k) for run in runs([500, 600, 700])]
    assert conductivity_at(fit_arrhenius(made), made, 300.0).volume == pytest.approx(2950.0)


def test_no_runs_are_refused():
    with pytest.raises(InputError):
        conductivity_at(None, [], 300.0)


def test_a_line_that_says_nothing_at_300_k_gives_a_bound_and_no_value():
    made = runs([540, 580], rsd=0.6)
    line = fit_arrhenius(made)
    answer = conductivity_at(line, made, 300.0)
    assert math.isnan(answer.conductivity_ms_per_cm)
    assert "No value: the line through 2 runs is uncertain by a factor of" in answer.verdict
    coldest = made[0].diffusivity * math.exp(1.645 * 0.6)
    expected = nernst_einstein(coldest, 300.0, made[0].n_ions, made[0].volume)
    assert answer.upper_bound_ms_per_cm == pytest.approx(expected, rel=1e-3)
    # The same line is good enough where it was measured.
    assert math.isfinite(conductivity_at(line, made, 560.0).conductivity_ms_per_cm)

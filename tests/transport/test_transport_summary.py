"""What several runs say together is what each part of it says alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from arrhenius_runs import bound_at, on_a_line, run_at
from transport_walks import walk

from halion.records import from_record, to_record
from halion.settings import TransportSettings
from halion.transport import (
    HavenRatio,
    MechanismSummary,
    analyse_mechanism,
    compare_regimes,
    conductivity_at,
    fit_arrhenius,
    leave_one_out,
    paper_compat,
    summarise_runs,
)
from halion.transport.collective import Slopes

SETTINGS = TransportSettings(report_temperature_k=310.0)


def runs_on_a_line():
    return [run_at(t, on_a_line(t)) for t in (400.0, 450.0, 500.0, 600.0)]


def test_each_part_is_that_of_its_own_function():
    runs = runs_on_a_line()
    found = summarise_runs(runs, SETTINGS, charge=2.0)
    line = fit_arrhenius(runs)
    assert found.arrhenius.activation_energy == line.activation_energy == pytest.approx(0.30, abs=1e-9)
    expected = conductivity_at(line, runs, 310.0, charge=2.0)
    assert found.conductivity.conductivity_ms_per_cm == expected.conductivity_ms_per_cm
    printed = paper_compat(runs, 310.0, charge=2.0)
    assert found.published[1].low_ms_per_cm == printed[1].low_ms_per_cm
    assert found.regimes.words == compare_regimes(runs, 310.0).words
    assert [one.shift for one in found.influence] == [one.shift for one in leave_one_out(runs, 310.0)]
    assert found.anisotropy.n_runs == 4
    assert "310 K" in found.plan.words


def test_one_temperature_gives_no_line_and_still_a_plan():
    found = summarise_runs([run_at(400.0, 1e-3)], SETTINGS)
    assert found.arrhenius is None and found.regimes is None and found.influence == ()
    assert math.isnan(found.conductivity.conductivity_ms_per_cm)
    assert found.published[0] is None
    assert found.plan is not None


def test_runs_of_two_cell_sizes_are_held_against_each_other():
    small = runs_on_a_line()
    assert summarise_runs(small, SETTINGS).sizes is None
    twice = [run_at(t, 1.5 * on_a_line(t), 0.05, n_ions=72, volume=5600.0) for t in (450.0, 500.0)]
    found = summarise_runs([*small, *twice], SETTINGS).sizes
    assert found.temperatures_k == (450.0, 500.0)
    assert found.ratio == pytest.approx(1.5, rel=1e-12)
    assert found.low < 1.5 < found.high
    elsewhere = [run_at(t, on_a_line(t), n_ions=72, volume=5600.0) for t in (420.0, 470.0)]
    assert summarise_runs([*small, *elsewhere], SETTINGS).sizes is None  # no temperature in common


def test_bounds_alone_give_a_bound():
    found = summarise_runs([bound_at(400.0, 1e-3), bound_at(500.0, 2e-3)], SETTINGS)
    assert found.arrhenius is None and found.plan is None and found.anisotropy is None and found.published is None
    assert found.conductivity.upper_bound_ms_per_cm > 0


def test_without_temperatures_there_is_no_conductivity():
    found = summarise_runs([run_at(math.nan, 1e-3)], SETTINGS)
    assert found.conductivity is None and found.arrhenius is None
    assert found.anisotropy is not None
    assert summarise_runs([], SETTINGS).conductivity is None


def ratio(source: str, charge_std: float = 0.1, charge: float = 2e-3) -> HavenRatio:
    measured = Slopes(tracer=1e-3, tracer_std=5e-5, charge=charge, charge_std=charge_std * charge, correlation=0.0)
    return HavenRatio(
        source=source,
        species="Li",
        n_ions=36,
        temperature_k=500.0,
        lag_time_ps=np.empty(0),
        charge_msd=np.empty(0),
        fit_window_ps=(1.0, 2.0),
        measured=measured,
        diffuses=True,
    )


def test_the_best_known_haven_ratio_divides_the_conductivity():
    runs = runs_on_a_line()
    plain = summarise_runs(runs, SETTINGS)
    found = summarise_runs(runs, SETTINGS, haven=[ratio("a", 0.4, 4e-3), ratio("b", 0.1)])
    assert plain.with_haven is None
    assert found.conductivity == plain.conductivity
    quotient = found.with_haven.conductivity_ms_per_cm / plain.conductivity.conductivity_ms_per_cm
    assert quotient == pytest.approx(2.0)  # D_charge / D_tracer of b
    assert found.with_haven.high_ms_per_cm / found.with_haven.low_ms_per_cm > (
        plain.conductivity.high_ms_per_cm / plain.conductivity.low_ms_per_cm
    )


def test_an_unresolved_ratio_or_that_of_a_melt_divides_nothing():
    runs = runs_on_a_line()
    assert summarise_runs(runs, SETTINGS, haven=[ratio("a", 0.9)]).with_haven is None
    molten = [*runs, run_at(800.0, 1e-2, verdict="melted", source="melt")]
    assert summarise_runs(molten, SETTINGS, haven=[ratio("melt")]).with_haven is None


def test_a_mechanism_without_its_grids_reads_back():
    mechanism = analyse_mechanism(walk(3), SETTINGS.mobile_species, spacing=0.5)
    found = mechanism.summary("walk")
    assert found.verdict == mechanism.verdict and found.n_hops == len(mechanism.hops.ion)
    occupancies = [site.occupancy for site in found.sites]
    assert occupancies == sorted(occupancies, reverse=True)
    # Points with less than a tenth of a visit belong to no site: 1 % of the ions at most.
    assert sum(occupancies) == pytest.approx(mechanism.density.n_ions, rel=0.01)
    again = from_record(MechanismSummary, json.loads(json.dumps(to_record(found))))
    assert again.verdict == found.verdict and again.network.by_kind == found.network.by_kind
    assert np.array_equal(again.network.hop_diffusivity, found.network.hop_diffusivity)
    assert to_record(again) == to_record(found)


def test_a_change_known_for_the_material_is_said_where_the_runs_cannot_show_it():
    runs = [run_at(t, 1e-3 * math.exp(t / 100)) for t in (450.0, 500.0, 550.0, 600.0)]
    said = summarise_runs(runs, SETTINGS, expected_change_k=420.0)
    assert "known to change near 420 K, which these runs cannot show" in said.regimes.words
    assert "known to change" not in summarise_runs(runs, SETTINGS).regimes.words

"""The comparison: every line has a state, differences recomputed plainly, nothing answers to a line not its own."""

import math
import random
from dataclasses import replace

import pytest
import report_sample as sample
import reproduction_sample as given_sample
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.report.reproduction import ReproductionInputs, compare_study, published_study

STATES = ("computed here", "bounded here", "by others", "not reached")


@pytest.fixture(scope="module")
def found():
    return compare_study(given_sample.everything())


def exhibit(found, key):
    return next(one for one in found.exhibits if one.key == key)


def line(found, key, quantity, condition=None):
    (one,) = [
        one
        for one in exhibit(found, key).lines
        if one.quantity == quantity and (condition is None or one.condition == condition)
    ]
    return one


@pytest.mark.parametrize("inputs", [ReproductionInputs(), given_sample.everything()], ids=["nothing", "everything"])
def test_every_line_has_a_state_and_says_what_it_must(inputs):
    found = compare_study(inputs)
    for one in found.exhibits:
        assert one.lines
        assert sum(one.count(state) for state in STATES) == len(one.lines)
        for each in one.lines:
            assert each.quantity and each.condition and each.source
            if each.state == "not reached":
                assert each.why, each
            if each.state == "by others":
                assert math.isfinite(each.published) and not each.computed
            assert (each.state == "computed here") == any(math.isfinite(answer.value) for answer in each.computed)


def test_with_nothing_given_nothing_is_reached_and_all_of_the_study_stands_there():
    found = compare_study(ReproductionInputs())
    assert {one.count("computed here") + one.count("bounded here") for one in found.exhibits} == {0}
    study = published_study()
    for key, material in (("table-1", "Li3YCl6"), ("table-2", "Li3YBr6")):
        wanted = [value for row in study.rows[material] for _, value in row.volume]
        wanted += [row.activation_energy_ev for row in study.rows[material] if row.activation_energy_ev > 0]
        wanted += [row.conductivity_ms_per_cm for row in study.rows[material] if row.conductivity_ms_per_cm > 0]
        assert sorted(one.published for one in exhibit(found, key).lines) == sorted(wanted)
    assert len(exhibit(found, "table-3").lines) == 13 + 1


def test_differences_recomputed_plainly(found):
    """From the study's printed numbers, typed here once more, and the inputs' own fields."""
    inputs = given_sample.everything()
    volume = line(found, "table-2", "volume at 300 K", "CHGNet fine-tuned, 10 kbar")
    assert [volume.difference(one) for one in volume.computed] == pytest.approx([27.31 - 27.0] * 2)
    energy = line(found, "table-2", "activation energy", "CHGNet fine-tuned, 10 kbar")
    fit = inputs.runs[0].arrhenius
    assert energy.difference(energy.computed[0]) == pytest.approx(fit.activation_energy - 0.36)
    sigma = line(found, "table-2", "conductivity at 300 K", "CHGNet fine-tuned, 10 kbar")
    first = inputs.runs[0].conductivity.conductivity_ms_per_cm
    assert [sigma.difference(one) for one in sigma.computed] == pytest.approx([first / 0.58, 0.5 / 0.58])
    between = line(found, "table-2", "volume at 450 K", "CHGNet fine-tuned, 10 kbar")
    assert between.published == pytest.approx(27.4 + 50 / 200 * (28.6 - 27.4)) and "straight" in between.source
    assert between.difference(between.computed[0]) == pytest.approx(28.1 - 27.7)
    cost = line(found, "figure-1", "cost of dynamics")
    assert cost.difference(cost.computed[0]) == pytest.approx(0.0424 / 0.8)
    assert cost.computed[1].upper_bound == pytest.approx(2120.2 / (40 * 835.2))
    step = line(found, "table-3", "E(trigonal) - E(monoclinic), x = 1")
    assert (step.computed[0].value, step.computed[0].low) == (pytest.approx(-1.0), pytest.approx(-1.5))


def test_both_runs_of_a_line_are_there(found):
    assert [
        one.run
        for one in line(found, "figure-5", "conductivity at 300 K, Li3YBr6", "CHGNet fine-tuned, 10 kbar").computed
    ] == ["LYB-10kbar", "again"]


def test_a_bound_is_no_value_and_a_melt_no_bound(found):
    sigma = line(found, "table-1", "conductivity at 300 K", "CHGNet fine-tuned, 10 kbar")
    assert sigma.state == "bounded here" and math.isnan(sigma.difference(sigma.computed[0]))
    assert sigma.agreement(sigma.computed[0]) == "the study's value is above the bound"  # 15.7 against 3.75
    energy = line(found, "table-1", "activation energy", "CHGNet fine-tuned, 10 kbar")
    assert energy.state == "not reached" and "600 K melted" in energy.why and "450 K upper bound" in energy.why
    caged = line(found, "figure-5", "D at 450 K, Li3YCl6", "CHGNet fine-tuned, 10 kbar")
    melted = line(found, "figure-5", "D at 600 K, Li3YCl6", "CHGNet fine-tuned, 10 kbar")
    assert caged.state == "bounded here"
    assert melted.state == "not reached" and melted.why == "cold: melted"


def test_a_volume_says_that_its_run_melted_afterwards():
    run = replace(
        given_sample.bounded(), volumes=(given_sample.volume(600.0, 24.4), given_sample.volume(400.0, 23.0))
    )
    found = compare_study(ReproductionInputs(runs=(run,)))
    hot, cold = (
        line(found, "table-1", f"volume at {kelvin} K", "CHGNet fine-tuned, 10 kbar").computed[0].words
        for kelvin in (600, 400)
    )
    assert "then it melted" in hot and "melted" not in cold


def test_no_run_answers_for_another_model_pressure_or_phase(found):
    for each in exhibit(found, "table-2").lines:
        runs = {one.run for one in each.computed}
        if each.condition == "CHGNet fine-tuned + D3, 1 bar":
            assert runs == {"d3"} and each.source == "the study has no such row"
        elif each.condition == "CHGNet fine-tuned, 1 bar":
            assert each.quantity == "volume at 0 K" or not runs, (
                "relaxed at no pressure; the dynamics were at 10 kbar"
            )
        elif each.condition != "CHGNet fine-tuned, 10 kbar":
            assert not runs
    pretrained = compare_study(
        ReproductionInputs(runs=(given_sample.run(model=given_sample.PRETRAINED, volumes=()),))
    )
    tuned = [one for one in exhibit(pretrained, "table-2").lines if "fine-tuned, 10 kbar" in one.condition]
    assert tuned and all(one.state == "not reached" for one in tuned)
    assert all("there is: CHGNet pretrained, 10 kbar" in one.why for one in tuned)


def test_an_end_member_in_the_other_phase_is_not_that_of_the_study():
    wrong = given_sample.run("wrong", space_group="P-3m1")
    found = compare_study(ReproductionInputs(runs=(wrong,)))
    assert all(one.state != "computed here" for one in exhibit(found, "table-2").lines)
    assert any("wrong is Li3YBr6 in P-3m1" in note for note in found.notes)


def test_why_names_the_temperatures_that_there_are(found):
    why = line(found, "table-2", "volume at 200 K", "CHGNet fine-tuned, 10 kbar").why
    assert "LYB-10kbar ran at 450, 500, 550, 600 K" in why
    refused = given_sample.run(
        volumes=(), failures=(sample.Failure(step="dynamics at 200 K", message="the cell exploded"),)
    )
    found = compare_study(ReproductionInputs(runs=(refused,)))
    assert "the cell exploded" in line(found, "table-2", "volume at 200 K", "CHGNet fine-tuned, 10 kbar").why


def test_errors_stand_beside_the_limits_of_their_own_set(found):
    ends = line(found, "figure-2", "energy, end members at 300 to 700 K", "CHGNet fine-tuned")
    assert (ends.published, ends.computed[0].value) == (2.0, 2.8)
    assert ends.agreement(ends.computed[0]) == "beyond the study's limit"
    forces = line(found, "figure-2", "forces, end members at 300 to 700 K", "CHGNet fine-tuned")
    assert forces.agreement(forces.computed[0]) == "within the study's limit"
    mixed = line(found, "figure-2", "stress, x = 1.5, 3, 4.5 at 300 to 700 K", "CHGNet fine-tuned")
    assert (mixed.published, mixed.state) == (85.0, "not reached")
    assert "chgnet-0.3.0" in mixed.why
    pretrained = line(found, "figure-2", "energy, x = 1.5, 3, 4.5 at 300 to 700 K", "CHGNet pretrained")
    assert pretrained.computed[0].value == 560.0 and math.isnan(pretrained.published)


def test_frames_that_were_learned_are_no_test():
    found = compare_study(ReproductionInputs(evaluations=(given_sample.evaluation(kind="training"),)))
    for each in exhibit(found, "figure-2").lines:
        if each.computed:
            assert "learned from" in each.quantity and math.isnan(each.published)


def test_a_series_says_which_x_are_missing_and_why(found):
    assert "it has x = 0, 1, 3, 6" in line(found, "table-3", "E(trigonal) - E(monoclinic), x = 0.5").why
    left = line(found, "table-3", "E(trigonal) - E(monoclinic), x = 3")
    assert left.state == "not reached" and "left the framework" in left.why
    assert line(found, "figure-s4", "volume of the trigonal phase, x = 3").computed[0].value == pytest.approx(24.9)
    assert line(found, "figure-s4", "volume of the monoclinic phase, x = 3").state == "not reached"
    change = line(found, "table-3", "x where the stable phase changes")
    assert [one.value for one in change.computed] == [2.0]


def test_pathways_are_those_of_the_hottest_run_that_diffused(found):
    dimensions = line(found, "figure-4", "dimensions that hops lead through, Li3YBr6")
    assert [one.value for one in dimensions.computed] == [1.0, 1.0]
    assert "601 K" in dimensions.computed[0].words
    assert line(found, "figure-4", "D along c* over D in the ab plane, Li3YBr6").text == "isotropic"
    assert line(found, "figure-4", "hops across a shared face, Li3YBr6").computed[0].value == pytest.approx(100.0)
    assert line(found, "figure-4", "hops that led straight back next, x = 3").computed[0].value == pytest.approx(
        37.0
    )
    lost = line(found, "figure-4", "dimensions that hops lead through, Li3YCl6")
    assert lost.why == "cold: no run diffused"
    still = replace(given_sample.run("still"), runs=(sample.run(600.0, verdict="melted"),))
    found = compare_study(ReproductionInputs(runs=(still,)))
    lost = line(found, "figure-4", "dimensions that hops lead through, Li3YBr6")
    assert lost.why == "still: no run diffused", "a melt has no pathways"


def test_notes_name_what_is_unfinished_mixed_or_foreign():
    base = given_sample.run()
    unfinished = replace(base, origin=replace(base.origin, name="half", state="interrupted, dynamics 40 %"))
    two = replace(base, volumes=(given_sample.volume(0.0, 29.0, given_sample.PRETRAINED, 0.0),))
    foreign = given_sample.run("other", material="Li6PS5Cl", x=math.nan)
    other = given_sample.run("600", model=replace(given_sample.TUNED, name="halion-LYCB-600K"), volumes=())
    notes = " ".join(compare_study(ReproductionInputs(runs=(unfinished, two, foreign, other))).notes)
    assert "half is unfinished (interrupted, dynamics 40 %)" in notes
    assert "relaxed its cell with chgnet-0.3.0 and moved it with halion-LYCB-800K" in notes
    assert "Not of the study, and on no line: Li6PS5Cl" in notes
    assert "halion-LYCB-600K, halion-LYCB-800K" in notes


def key(each):
    answers = sorted((one.run, one.model, repr(one.value), repr(one.upper_bound)) for one in each.computed)
    return each.quantity, each.condition, repr(each.published), each.state, answers


def test_the_order_of_the_inputs_changes_nothing():
    every = given_sample.everything()
    shuffled = list(every.runs)
    random.Random(3).shuffle(shuffled)
    pairs = zip(
        compare_study(every).exhibits, compare_study(replace(every, runs=tuple(shuffled))).exhibits, strict=True
    )
    for one, other in pairs:
        assert sorted(map(key, one.lines)) == sorted(map(key, other.lines))


@settings(max_examples=25, deadline=None)
@given(shift=st.floats(-5, 5), factor=st.floats(1e-3, 1e3))
def test_a_shift_of_ours_shifts_the_difference_and_a_factor_the_ratio(shift, factor):
    base = given_sample.run(mechanisms=())
    sigma = base.conductivity
    moved = replace(
        base,
        volumes=tuple(replace(one, volume=one.volume + shift) for one in base.volumes),
        conductivity=replace(sigma, conductivity_ms_per_cm=factor * sigma.conductivity_ms_per_cm),
    )
    one, other = (compare_study(ReproductionInputs(runs=(each,))) for each in (base, moved))
    where = ("table-2", "volume at 600 K", "CHGNet fine-tuned, 10 kbar")
    before, after = (each.difference(each.computed[0]) for each in (line(one, *where), line(other, *where)))
    assert after - before == pytest.approx(shift, abs=1e-9)  # volumes of 30 hold 1e-14 of rounding
    where = ("table-2", "conductivity at 300 K", "CHGNet fine-tuned, 10 kbar")
    before, after = (each.difference(each.computed[0]) for each in (line(one, *where), line(other, *where)))
    assert after / before == pytest.approx(factor)


def test_run_and_study_of_equal_numbers_agree():
    base = given_sample.run()
    equal = replace(base, volumes=(given_sample.volume(300.0, 27.0),))
    found = compare_study(ReproductionInputs(runs=(equal,)))
    one = line(found, "table-2", "volume at 300 K", "CHGNet fine-tuned, 10 kbar")
    assert one.difference(one.computed[0]) == 0.0
    assert one.agreement(one.computed[0]) == "the study's value is inside the 68 % interval"

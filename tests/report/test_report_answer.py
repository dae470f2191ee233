"""The answer, the checks behind it, and the text for a terminal."""

import math
from dataclasses import replace

import numpy as np
import pytest
import report_sample as sample

from halion.report import answer_of, report_text
from halion.report.checks import checks_of, worst
from halion.report.text import short


def check(run, name: str):
    return next(one for one in checks_of(run) if one.name == name)


def test_a_value_comes_with_both_intervals():
    results = sample.complete()
    sigma, answer = results.conductivity, answer_of(results)
    assert answer.quantity == "σ(300 K)"
    assert answer.value == f"{short(sigma.conductivity_ms_per_cm, 2)} mS/cm"
    assert short(sigma.low_ms_per_cm, 2) in answer.intervals[0]
    assert short(sigma.high95_ms_per_cm, 2) in answer.intervals[1]
    assert "±" in answer.activation_energy
    assert answer.verdict == sigma.verdict


def test_caveats_and_extrapolation_keep_the_light_from_green():
    answer = answer_of(sample.complete())
    assert answer.light == "fair"
    assert "2 caveats" in answer.light_reason
    assert "extrapolated from 451–601 K" in answer.light_reason


def test_green_needs_everything():
    whole = sample.complete()
    runs = tuple(replace(run, n_eff=900.0, hopped_fraction=1.0, log_slope=1.0) for run in whole.runs)
    tight = replace(
        whole.conductivity,
        is_extrapolated=False,
        low95_ms_per_cm=3.0,
        high95_ms_per_cm=5.0,
        verdict="Interpolated.",
    )
    good = replace(whole, runs=runs, conductivity=tight, caveats=())
    assert answer_of(good).light == "good"
    assert answer_of(good).light_reason == "32 of 32 checks pass"
    few_hops = (replace(runs[0], n_eff=9.0), *runs[1:])
    assert answer_of(replace(good, runs=few_hops)).light == "fair"


def test_an_upper_bound_is_no_value():
    answer = answer_of(sample.without_value())
    assert answer.value == "< 3.8 mS/cm"
    assert answer.light == "bad"
    assert answer.activation_energy.startswith("missing")


def test_no_answer_says_why():
    assert "the cell exploded" in answer_of(sample.failures_only()).verdict
    assert "one diffusive temperature" in answer_of(sample.one_temperature()).verdict
    nothing = replace(sample.failures_only(), failures=())
    assert answer_of(nothing).verdict == "No answer, because no run has ended yet."
    still = replace(sample.without_value(), conductivity=None)
    assert "no run diffused" in answer_of(still).verdict
    assert all(answer_of(one).value == "no answer" for one in (nothing, still))


@pytest.mark.parametrize(
    ("change", "name", "light"),
    [
        ({"n_eff": 200.0}, "hops (n_eff)", "good"),
        ({"n_eff": 60.0}, "hops (n_eff)", "fair"),
        ({"n_eff": 12.0}, "hops (n_eff)", "bad"),
        ({"n_eff": math.nan}, "hops (n_eff)", "bad"),
        ({"hopped_fraction": 0.95}, "ions that hopped", "good"),
        ({"hopped_fraction": 0.1}, "ions that hopped", "bad"),
        ({"drift": 0.2}, "drift", "good"),
        ({"drift": 4.0}, "drift", "bad"),
        ({"temperature_k": 605.0}, "temperature reached", "good"),
        ({"temperature_k": 625.0}, "temperature reached", "fair"),
        ({"temperature_k": 660.0}, "temperature reached", "bad"),
        ({"log_slope": 1.05}, "log slope", "good"),
        ({"log_slope": 0.4}, "log slope", "bad"),
        ({"log_slope": math.nan}, "log slope", "bad"),
        ({"fit_window_ps": (math.nan, math.nan)}, "fit window", "bad"),
        ({"fit_window_ps": (5.0, 6.0)}, "fit window", "bad"),
        ({"verdict": "melted"}, "verdict", "bad"),
        ({"verdict": "melted"}, "framework", "bad"),
        ({"framework_msd": {}}, "framework", "fair"),
    ],
)
def test_lights(change, name, light):
    assert check(replace(sample.run(600.0), **change), name).light == light


def test_a_framework_that_diffuses_is_told_from_one_that_vibrates():
    run = sample.run(600.0)
    assert check(run, "framework").value == "intact"
    moving = replace(run, framework_msd={"Br": 0.4 * run.lag_time_ps})
    rising = check(moving, "framework")
    assert (rising.light, rising.value) == ("fair", "still rising")
    assert "log slope 1.00" in rising.words, "a straight line through the origin has slope one"
    still = replace(run, framework_msd={"Br": np.zeros_like(run.lag_time_ps)})
    assert check(still, "framework").light == "good"


def test_worst_light():
    assert worst(["good", "fair", "bad"]) == "bad"
    assert worst(["good", "fair"]) == "fair"
    assert worst([]) == "good"


def test_terminal_text_holds_answer_verdict_caveats_and_every_run():
    results = sample.complete()
    text = report_text(results)
    assert text.startswith("Li3YBr6: σ(300 K) = ")
    assert all(caveat in text for caveat in results.caveats)
    assert results.conductivity.verdict in text
    for run in results.runs:
        assert f"{run.temperature_k:.0f} " in text
    assert "σ(300 K) < 3.8 mS/cm" in report_text(sample.without_value())
    failed = report_text(sample.failures_only())
    assert "σ(300 K): no answer" in failed
    assert "failed: dynamics at 500 K: the framework melted" in failed

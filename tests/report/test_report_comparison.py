"""Studies side by side: a row each, every number, and what differs in the method."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import report_sample as sample
from page_reader import assert_offline, read

from halion.report import ComparedStudy, comparison_text, write_comparison
from halion.report.comparison import differing_settings


def compared(name, results, state="done"):
    return ComparedStudy(name=name, folder=f"/nowhere/{name}", results=results, state=state)


@pytest.fixture(scope="module")
def studies():
    return [
        compared("first", sample.complete()),
        compared("bound", sample.without_value(), "interrupted"),
        compared("hostile", sample.hostile()),
        compared("broken", None, "this file is not whole JSON"),
    ]


@pytest.fixture(scope="module")
def folder(studies, tmp_path_factory):
    made = tmp_path_factory.mktemp("comparison")
    write_comparison(studies, made)
    return made


def test_every_study_has_a_row_with_its_exact_numbers(studies, folder):
    with (folder / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["study"] for row in rows] == ["first", "bound", "hostile", "broken"]
    results = sample.complete()
    assert float(rows[0]["σ (mS/cm)"]) == results.conductivity.conductivity_ms_per_cm
    assert float(rows[0]["Ea (eV)"]) == results.arrhenius.activation_energy
    assert float(rows[1]["σ upper bound (mS/cm)"]) == sample.without_value().conductivity.upper_bound_ms_per_cm
    assert rows[1]["σ (mS/cm)"] == ""
    assert rows[3]["state"] == "this file is not whole JSON"
    record = json.loads((folder / "comparison.json").read_text())
    assert len(record["studies"]) == 4
    assert record["studies"][0]["σ (mS/cm)"] == results.conductivity.conductivity_ms_per_cm


def test_the_page_needs_no_network_and_runs_nobody_s_script(folder):
    page = read(folder / "comparison.html")
    assert_offline(page)
    words = " ".join(" ".join(page.text).split())
    assert "4 studies" in words
    assert "this file is not whole JSON" in words


def test_one_method_is_said_and_another_is_named():
    one = sample.complete()
    settings = {**one.settings, "dynamics": {**one.settings["dynamics"], "production_ps": 999.0, "seed": 77}}
    other = replace(one, settings=settings)
    same = [compared("a", one), compared("b", one)]
    assert differing_settings(same) == {}
    found = differing_settings([*same, compared("c", other)])
    assert list(found) == ["dynamics.production_ps"]  # another seed is no other method
    assert "999.0" in found["dynamics.production_ps"]
    assert "dynamics.production_ps" in comparison_text([*same, compared("c", other)])


def test_the_terminal_has_a_line_each(studies):
    lines = comparison_text(studies).splitlines()
    assert lines[0].startswith("first") and "mS/cm (68 %" in lines[0]
    assert "<" in lines[1]
    assert lines[3].endswith("this file is not whole JSON")

"""The errors that a report shows of a shipped potential are those that it has on the committed test sets."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from report_sample import complete

import halion.report
from halion.labels import read_labels
from halion.potentials import load_potential
from halion.report import MeasuredErrors, error_rows, write_report
from halion.report.page import Material
from halion.report.shipped_errors import shipped_errors_block, shipped_errors_table
from halion.training import compare

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
SHOWN = json.loads((Path(halion.report.__file__).parent / "data" / "shipped_errors.json").read_text())


def with_potential(name: str):
    results = complete()
    dynamics = {**results.settings["dynamics"], "potential": name}
    return replace(results, settings={**results.settings, "dynamics": dynamics})


@pytest.mark.parametrize("name", ["mixed", "ends"])
def test_the_numbers_are_what_the_potential_does_today(name):
    frames = read_labels(ROOT / "data" / "LYCB-PBE" / f"test-{name}.extxyz")
    loaded = load_potential("halion-LYCB-800K")
    measured = MeasuredErrors(
        potential=loaded.name, set_name=f"LYCB-PBE/test-{name}", comparison=compare(frames, loaded)
    )
    (row,) = error_rows([measured])["errors"]
    (kept,) = [one for one in SHOWN["errors"] if (one["potential"], one["set"]) == (row["potential"], row["set"])]
    assert row.keys() == kept.keys()
    for key, value in kept.items():
        # Single precision, other kernels on other machines: forces agree within 5e-4 eV/Angstrom at most.
        assert row[key] == value if isinstance(value, str) else row[key] == pytest.approx(value, rel=0.01, abs=0.05)


def test_a_study_with_a_shipped_potential_shows_its_errors(tmp_path):
    page = write_report(with_potential("halion-lycb-800k"), tmp_path).read_text()
    assert "The potential, on frames that it never saw" in page
    with (tmp_path / "tables" / "potential-errors.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    shown = [one for one in SHOWN["errors"] if one["potential"] in ("chgnet-0.3.0", "halion-LYCB-800K")]
    assert [float(row["Forces (meV/Å)"]) for row in rows] == [one["force_mae"] for one in shown]
    assert len(rows) == 6 and "halion evaluate data/LYCB-PBE/test-mixed.extxyz" in page


@pytest.mark.parametrize("name", ["chgnet", "halion-LYCB-800K+d3", "/somewhere/model.pth.tar"])
def test_another_potential_has_no_such_table(name):
    results = with_potential(name)
    assert not shipped_errors_table(results).rows
    assert shipped_errors_block(results, Material(figures={}, pictures={}, tables={})) == ""

"""The density in the report: the right run, levels that hold what they say, bytes and files that read back."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import ase.io.cube
import numpy as np
import pytest
import report_sample as sample

from halion.report.density import density_block, density_record, shown_density, surface_level


def test_the_hottest_run_that_diffused_is_shown():
    results = sample.complete()
    assert shown_density(results) is results.densities[3]
    melted = (*results.runs[:3], replace(results.runs[3], verdict="melted"))
    assert shown_density(replace(results, runs=melted)) is results.densities[2]
    none = tuple(replace(run, verdict="melted") for run in results.runs)
    assert shown_density(replace(results, runs=none)) is results.densities[3]
    assert shown_density(sample.failures_only()) is None
    assert density_record(sample.failures_only()) is None
    assert density_block(sample.failures_only()) == ""


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_surface_holds_its_share(share):
    values = np.random.default_rng(0).exponential(size=(20, 21, 22))
    level = surface_level(values, share)
    # One grid point of 9240 is the most that it can be off.
    assert values[values >= level].sum() / values.sum() == pytest.approx(share, abs=12 / 9240)


def test_bytes_are_the_density():
    results = sample.complete()
    record, density = density_record(results), shown_density(results)
    grid = np.frombuffer(base64.b64decode(record["grid"]), dtype=np.uint8).reshape(record["shape"])
    assert np.abs(grid / 255 - density.values / density.values.max()).max() <= 0.5 / 255 + 1e-12
    assert record["surfaces"][0]["level"] > record["surfaces"][1]["level"] > 0
    assert np.allclose(np.array(record["axes"]).sum(axis=0), -2 * np.array(record["origin"]), atol=2e-3)
    assert len(record["atoms"]) == 28
    assert set(record["colours"]) == {"Br", "Y"}
    assert len(record["edges"]) == 12


def test_the_page_holds_it_and_the_files_lie_beside_it(pages):
    page = pages["complete"]
    text = page.read_text()
    assert "Where Li was, at 601 K" in text
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["density"] == density_record(sample.complete())
    names = {path.name for path in (page.parent / "density").iterdir()}
    assert names == {f"Li-{kelvin:g}K.{kind}" for kelvin in sample.TEMPERATURES for kind in ("cube", "CHGCAR")}
    with open(page.parent / "density" / "Li-600K.cube") as file:
        read = ase.io.cube.read_cube(file)
    expected = shown_density(sample.complete())
    assert np.allclose(read["atoms"].cell.array, expected.cell, atol=1e-4)
    # ASE leaves the values in their unit, 1/Bohr^3; six digits are written.
    assert np.allclose(read["data"] / 0.529177210903**3, expected.values, rtol=2e-5, atol=1e-9)
    assert (
        "densities" not in (page.parent / "results.json").read_text()
        or not json.loads((page.parent / "results.json").read_text())["densities"]
    )

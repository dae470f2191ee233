"""The whole assessment is that of its parts, and its tables are in the units they say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from stability_series import ENDS, made
from test_stability_mixing import redlich_kister

from halion.records import to_record
from halion.stability import (
    Compound,
    EnergyError,
    StabilityQuestions,
    assess_stability,
    convex_hull,
    formation_energies,
    phase_difference,
    series_energies,
    stability_tables,
)
from halion.units import BOLTZMANN_EV_PER_K as K

SERIES = made({"T": redlich_kister(0.36), "M": lambda x: -4.1 + 0.4 * x / 6 + 0.002 - 0.001 * x})
ERROR = EnergyError(std=0.0005)
SALTS = tuple(
    Compound(formula=f, energy=e) for f, e in (("LiCl", -4), ("LiBr", -3.6), ("YCl3", -4), ("YBr3", -3.6))
)
FOUND = assess_stability(SERIES, StabilityQuestions(error=ERROR, temperatures_k=(200.0, 900.0), compounds=SALTS))


def test_each_part_is_that_of_its_function():
    assert to_record(FOUND.formation) == to_record(formation_energies(SERIES, ERROR))
    assert to_record(FOUND.differences[0]) == to_record(phase_difference(SERIES, "T", "M", ERROR))
    assert to_record(FOUND.hull) == to_record(convex_hull(SERIES, ERROR))
    assert len(FOUND.decompositions) == len(SERIES.points)
    assert [curve.temperature_k for curve in FOUND.free_energies] == [200.0, 900.0]
    # 0.36 eV per formula unit over six sites: T_c = 0.06 / 2k.
    assert FOUND.critical[0].temperature_k == pytest.approx(0.03 / K, rel=1e-6)


def test_what_it_says():
    told = " ".join(FOUND.findings)
    assert "T: its miscibility gap closes at 348 K" in told
    assert "T below and M above x* =" in told
    assert "No error of the potential" in assess_stability(SERIES).findings[-1]


def test_a_phase_without_mixtures_is_said():
    points = [p for p in SERIES.points if p.phase == "T" or p.x in (0.0, 6.0)]
    found = assess_stability(series_energies(points, ENDS, 6.0))
    assert [fit.phase for fit in found.fits] == ["T"]
    assert any("No mixing curve of M: phase M has no mixture" in each for each in found.findings)
    alone = [p for p in SERIES.points if p.x in (0.0, 6.0)]
    assert assess_stability(series_energies(alone, ENDS, 6.0)).free_energies == ()


def test_compounds_far_below_make_everything_decompose():
    high = tuple(replace(one, energy=one.energy + 1) for one in SALTS)
    found = assess_stability(SERIES, StabilityQuestions(compounds=high, error=ERROR))
    assert any(each.startswith("No lowest phase decomposes") and "(± 0.6)" in each for each in found.findings)
    deep = tuple(replace(one, energy=one.energy - 1) for one in SALTS)
    found = assess_stability(SERIES, StabilityQuestions(compounds=deep))
    assert any(
        each.startswith("At 7 of 7 compositions the lowest phase decomposes at 0 K") for each in found.findings
    )


def test_tables():
    tables = stability_tables(FOUND)
    n = len(SERIES.points)
    assert {name: len(rows) for name, rows in tables.items()} == {
        "formation": n,
        "difference-T-M": 7,
        "transitions": 2 * len(FOUND.differences[0].transitions),
        "hull": n,
        "decomposition": n,
        "mixing": 2,
        "free-energy": 2 * 2 * 241,
        "gaps": sum(len(curve.gaps) for curve in FOUND.free_energies),
    }
    row = tables["formation"][3]
    assert row["formation_own_ends_mev_per_atom"] == pytest.approx(1000 * 0.36 / 4 / 10, rel=1e-9)
    assert tables["difference-T-M"][0]["difference_mev_per_atom"] == pytest.approx(-2.0)
    for rows in tables.values():
        assert all(list(row) == list(rows[0]) for row in rows)
    json.dumps(to_record(FOUND), allow_nan=False)


def test_the_gap_of_one_phase_is_in_the_table():
    alone = series_energies(SERIES.curve("T"), ENDS, 6.0)
    found = assess_stability(alone, StabilityQuestions(temperatures_k=(200.0,)))
    (row,) = stability_tables(found)["gaps"]
    assert row["x_left"] + row["x_right"] == pytest.approx(6.0, abs=1e-6)
    assert row["phase_left"] == row["phase_right"] == "T"
    assert np.isnan(stability_tables(found)["mixing"][0]["critical_low_k"])

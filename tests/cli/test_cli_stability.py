"""`halion stability` on folders of a series: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from cli_verbs import answer, refusal, text

sys.path.append(str(Path(__file__).parents[1] / "stability"))
from stability_folder import write_folder

PHASES = {
    "LYC": lambda x: -4.0 + 0.4 * x / 6,
    "LYB": lambda x: -4.0 + 0.4 * x / 6 + 0.003 - 0.001 * x,
}
COMPOUNDS = "formula,energy_ev_per_atom,potential\n" + "".join(
    f"{formula},{energy},halion-lycb-600k\n"
    for formula, energy in (("LiCl", -3.9), ("LiBr", -3.5), ("YCl3", -3.9), ("YBr3", -3.5))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("series") / "s", PHASES, tuple(map(float, range(7))))


def test_stability_from_a_series(capfd, folder, tmp_path):
    compounds, published = tmp_path / "compounds.csv", tmp_path / "published.csv"
    compounds.write_text(COMPOUNDS)
    published.write_text("source,x,difference_mev_per_atom\nsomebody,0,-1.5\nsomebody,6,2\n")
    words = ("stability", folder, "--energy-error", "0.5", "--temperatures", "300,600", "--compounds", compounds)
    found = answer(capfd, *words, "--published", published, "--folder", tmp_path / "out")
    assert found["phases"] == ["LYC", "LYB"] and found["ends"] == ["Li3YCl6", "Li3YBr6"]
    rows = found["tables"]["difference-LYC-LYB"]
    assert [row["difference_mev_per_atom"] for row in rows] == pytest.approx([-3, -2, -1, 0, 1, 2, 3], abs=1e-9)
    assert found["tables"]["transitions"][0]["x"] == pytest.approx(3.0)
    assert any("LYC below and LYB above x* = 3.00" in one for one in found["findings"])
    assert {Path(path).name for path in found["files"]} >= {
        "formation.csv",
        "hull.csv",
        "cells.csv",
        "decomposition.csv",
        "stability.json",
        "difference-LYC-LYB.svg",
        "free-energy-600K.svg",
    }
    with (tmp_path / "out" / "hull.csv").open() as handle:
        assert len(list(csv.DictReader(handle))) == 14
    assert "somebody" in (tmp_path / "out" / "figures" / "difference-LYC-LYB.csv").read_text()
    assert json.loads((tmp_path / "out" / "stability.json").read_text())["hull"]["phases"]
    assert "never overwrites" in refusal(capfd, 2, *words, "--folder", tmp_path / "out")


def test_the_text_says_what_is_not_known(capfd, folder):
    said = text(capfd, "stability", folder)
    assert "Li3YCl6 to Li3YBr6, halion-LYCB-600K" in said
    assert "No error of the potential was given" in said
    assert "E(LYC) - E(LYB)" in said


def test_what_it_refuses(capfd, folder, tmp_path):
    assert "no series here" in refusal(capfd, 2, "stability", tmp_path)
    assert "--temperatures" in refusal(capfd, 2, "stability", folder, "--temperatures", "hot")
    assert "no temperature of mixing" in refusal(capfd, 2, "stability", folder, "--temperatures", "0")
    assert "zero or more" in refusal(capfd, 2, "stability", folder, "--energy-error", "-1")
    bad = tmp_path / "bad.csv"
    bad.write_text("formula,energy_ev_per_atom\nLiCl,-3\n")
    assert "no column potential" in refusal(capfd, 2, "stability", folder, "--compounds", bad)
    bad.write_text("formula,energy_ev_per_atom,potential\nLiCl,much,chgnet\n")
    assert "'much' is no number" in refusal(capfd, 2, "stability", folder, "--compounds", bad)
    bad.write_text("formula,energy_ev_per_atom,potential\nLiCl,-3,chgnet\n")
    assert "do not compare" in refusal(capfd, 2, "stability", folder, "--compounds", bad)
    other = write_folder(tmp_path / "other", {"LYB": PHASES["LYB"]}, (0.0, 6.0), potential="chgnet")
    assert "different potentials" in refusal(capfd, 2, "stability", folder, other)

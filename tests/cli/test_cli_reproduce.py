"""halion reproduce, as a user calls it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_verbs import answer, refusal, text

sys.path.append(str(Path(__file__).parents[1] / "stability"))

from stability_folder import write_folder

PHASES = {"LYC": lambda x: -4.6 + 0.07 * x, "LYB": lambda x: -4.59 + 0.065 * x}


@pytest.fixture
def series(tmp_path):
    return write_folder(tmp_path / "series", PHASES, (0.0, 3.0, 6.0))


def test_the_page_is_written_and_its_states_are_told(capfd, series, tmp_path):
    out = tmp_path / "out"
    found = answer(capfd, "reproduce", series, "--folder", out)
    assert Path(found["page"]).read_text().startswith("<!DOCTYPE html>")
    counts = {one["name"]: one for one in found["exhibits"]}
    assert counts["Table 3, Figure 3"]["computed here"] == 4  # three x, and where the phase changes
    assert counts["Table 1"]["not reached"] == 25 and counts["Table 1"]["by others"] == 24
    assert {path.name for path in out.iterdir()} == {
        "figures",
        "reproduction.html",
        "reproduction.json",
        "reproduction.md",
        "tables",
    }
    said = text(capfd, "reproduce", series, "--folder", out)
    assert "not reached" in said and "page: " in said and "Table 3, Figure 3" in said


def test_what_cannot_be_used_is_refused(capfd, series, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "halion did not make this" in refusal(
        capfd, 2, "reproduce", tmp_path / "empty", "--folder", tmp_path / "o"
    )
    assert "nothing here" in refusal(capfd, 2, "reproduce", tmp_path / "none", "--folder", tmp_path / "o")
    assert "no reproduction" in refusal(capfd, 2, "reproduce", series, "--folder", series)
    assert "Missing option" in refusal(capfd, 2, "reproduce", series)
    assert not (tmp_path / "o").exists()

"""`halion rank --validate`: ranks once, checks by another potential, goes on, and says what is missing."""

from __future__ import annotations

import csv

import pytest
from cli_verbs import answer, refusal, text

RANK = ("rank", "Li3YBr6", "--supercell", "1,1,1", "--top", "3", "--control", "0", "--max-steps", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checked") / "ranked"


def test_it_ranks_and_checks_and_the_same_command_again_goes_on(capfd, folder):
    words = (*RANK, "--folder", folder, "--validate", "halion-lycb-600k", "--static")
    found = answer(capfd, *words)
    assert found["potential"] == "chgnet-0.3.0"
    assert found["method"].startswith("potential halion-LYCB-600K")
    assert [row["rank"] for row in found["rows"]] == [1, 2, 3]
    made = (folder / "ranking.json").stat().st_mtime_ns
    labels = folder / "validation-halion-lycb-600k" / "labels.extxyz"
    labelled = labels.stat().st_mtime_ns
    assert answer(capfd, *words) == found
    assert (folder / "ranking.json").stat().st_mtime_ns == made and labels.stat().st_mtime_ns == labelled
    table = list(csv.DictReader((labels.parent / "validation-static.csv").open()))
    assert [float(row["code_ev_per_atom"]) for row in table] == [row["energy"] for row in found["rows"]]
    assert (labels.parent / "validation-static.svg").exists()


def test_a_folder_is_checked_as_it_is_and_relaxed(capfd, folder):
    told = text(capfd, "rank", folder, "--validate", "chgnet", "--validate-top", "1", "--force-tolerance", "0.5")
    assert "1 of 1 orderings ranked with chgnet-0.3.0, relaxed with potential chgnet-0.3.0" in told
    assert "too few to judge an order by" in told and "The best is the same." in told


def test_another_question_does_not_take_up_that_ranking(capfd, folder):
    told = refusal(capfd, 2, *RANK, "--tolerance", "0.3", "--folder", folder, "--validate", "chgnet")
    assert "asked for otherwise" in told and f"halion rank {folder} --validate" in told


def test_refusals_say_what_to_type(capfd, tmp_path, monkeypatch):
    assert "needs a folder" in refusal(capfd, 2, *RANK, "--validate", "chgnet")
    new = ("--folder", tmp_path / "new")
    assert "without --arrange" in refusal(capfd, 2, *RANK, *new, "--validate", "chgnet", "--arrange", "Cl,Br")
    assert "holds no ranking" in refusal(capfd, 2, "rank", tmp_path, "--validate", "chgnet")
    assert "its command and the folder of its POTCARs" in refusal(capfd, 2, *RANK, *new, "--validate", "vasp")
    assert "needs pseudopotentials" in refusal(capfd, 2, *RANK, *new, "--validate", "espresso")
    monkeypatch.setenv("HALION_GPAW_PYTHON", str(tmp_path / "python"))
    told = refusal(capfd, 4, *RANK, *new, "--validate", "gpaw")
    assert "there is no GPAW in" in told and "scripts/gpaw.sh" in told
    assert not (tmp_path / "new").exists()  # the code is looked for before anything is relaxed

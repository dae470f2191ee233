"""Runs made longer: planned rounds are run, gone on with, kept, and never repeated; the target ends them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_study_life import SMALL, finish, kill_when, results_of

from halion.dynamics import open_trajectory
from halion.errors import RunFolderError
from halion.study import run_study
from halion.study_file import resolve

ADDED = {"500.0": 0.08, "600.0": 0.04}


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Path:
    """A finished study, each production 0.16 ps long."""
    folder = tmp_path_factory.mktemp("extension") / "short"
    run_study(resolve(SMALL), folder)
    return folder


def with_a_round(short: Path, folder: Path) -> Path:
    """A copy in which a first round is planned: so short runs do not diffuse, and nothing would be planned."""
    shutil.copytree(short, folder)
    plan = folder / "steps" / "7-extension" / "round-1" / "plan"
    plan.mkdir(parents=True)
    from halion.study.step import Step

    Step(plan, {"round": 1}).begin().commit({"added_ps": ADDED, "words": ""})
    return folder


@pytest.fixture(scope="module")
def longer(short, tmp_path_factory) -> Path:
    folder = with_a_round(short, tmp_path_factory.mktemp("longer") / "run")
    run_study(resolve(SMALL), folder)
    return folder


def lengths(folder: Path) -> dict[str, float]:
    return {
        kelvin: open_trajectory(folder / "steps/5-dynamics" / kelvin / "production").steps[-1] * 0.002  # 2 fs
        for kelvin in ("500K", "600K")
    }


def test_a_planned_round_makes_productions_longer(short, longer):
    assert lengths(short) == pytest.approx({"500K": 0.16, "600K": 0.16})
    assert lengths(longer) == pytest.approx({"500K": 0.24, "600K": 0.2})
    for kelvin in ("500K", "600K"):  # the first part is as it was
        path = Path("steps/5-dynamics") / kelvin / "production"
        before, now = open_trajectory(short / path), open_trajectory(longer / path)
        n = len(before.steps)
        assert np.array_equal(before.positions[:], now.positions[:n])


def test_the_report_is_of_the_longer_runs(longer):
    results = json.loads((longer / "report" / "results.json").read_text())
    assert sorted(run["length_ps"] for run in results["runs"]) == pytest.approx([0.2, 0.24])
    assert results["extension"] == "Runs were made longer by 0.08 ps at 500 K, 0.04 ps at 600 K."
    assert "made longer by 0.08 ps" in (longer / "report" / "report.html").read_text()


@pytest.mark.slow
def test_it_is_the_run_that_was_long_from_the_start(longer, tmp_path):
    long = {**SMALL, "dynamics": {**SMALL["dynamics"], "temperatures_k": [500.0, 600.0], "production_ps": 0.24}}
    run_study(resolve(long), tmp_path / "long")
    path = Path("steps/5-dynamics/500K/production")
    assert np.array_equal(
        open_trajectory(tmp_path / "long" / path).positions[:], open_trajectory(longer / path).positions[:]
    )


def test_nothing_is_repeated(longer):
    before = {path: path.stat().st_mtime_ns for path in longer.glob("steps/**/*") if path.is_file()}
    run_study(resolve(SMALL), longer)
    assert {path: path.stat().st_mtime_ns for path in longer.glob("steps/**/*") if path.is_file()} == before


def test_a_target_may_be_asked_for_later(short, tmp_path):
    """It adds to a study and changes none of it; anything else is another study."""
    folder = tmp_path / "run"
    shutil.copytree(short, folder)
    results = run_study(resolve({**SMALL, "extension": {"target_factor": 1.5, "budget_ps": 1.0}}), folder)
    assert results.extension == "No run was made longer. No run diffused, so nothing can be planned."
    assert json.loads((folder / "study.json").read_text())["settings"]["extension"]["target_factor"] == 1.5
    with pytest.raises(RunFolderError, match="seed"):
        run_study(resolve({**SMALL, "dynamics": {**SMALL["dynamics"], "seed": 1}}), folder)


@pytest.mark.slow
def test_killed_in_a_round_it_ends_in_the_same_results(short, longer, tmp_path):
    import yaml

    study_file = tmp_path / "study.yaml"
    study_file.write_text(yaml.safe_dump(SMALL))
    folder = with_a_round(short, tmp_path / "killed")
    hit = kill_when(study_file, folder, "steps/7-extension/round-1/*/progress.json")
    hit += kill_when(study_file, folder, "steps/5-dynamics/*/production/segment-*.h5")
    finish(study_file, folder)
    assert hit
    assert results_of(folder) == results_of(longer)


@pytest.mark.slow
def test_a_study_extends_itself_until_its_budget_is_spent(tmp_path):
    """Li3YBr6 at temperatures at which pretrained CHGNet lets Li move within picoseconds."""
    wanted = {
        **SMALL,
        "dynamics": {
            **SMALL["dynamics"],
            "temperatures_k": [600.0, 700.0, 800.0],
            "npt_ps": 2.0,
            "cell_average_ps": 1.0,
            "production_ps": 10.0,
            "store_every_steps": 10,
            "checkpoint_ps": 0.5,
        },
        "extension": {"target_factor": 1.05, "budget_ps": 12.0, "piece_ps": 4.0},
    }
    results = run_study(resolve(wanted), tmp_path / "run")
    if not any(run.is_diffusive for run in results.runs):
        pytest.skip("no run of 10 ps diffused: nothing to plan with")
    plans = sorted((tmp_path / "run" / "steps" / "7-extension").glob("round-*/plan/result.json"))
    added = sum(sum(json.loads(path.read_text())["value"]["added_ps"].values()) for path in plans)
    assert 4.0 <= added <= 12.0 + 1e-9  # the last rest of a budget may be too short to be of use
    assert sum(run.length_ps for run in results.runs) == pytest.approx(30.0 + added, abs=0.2)
    assert "made longer by" in results.extension and "the target 1.05" in results.extension

"""The life of a run: killed at any moment and resumed, it ends in the results of the undisturbed run.

Bit for bit: worker processes use one thread each, and every state that the dynamics depends on is stored in
double precision.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from halion.dynamics import open_trajectory
from halion.errors import Interrupted, RunFolderError
from halion.study import read_reproduction_inputs, report_study, run_study, study_status
from halion.study_file import read_settings

SMALL = {
    "crystal": "Li3YBr6",
    "preset": "quick",
    "orderings": {"supercell": [1, 1, 1]},
    "ranking": {"relax_best": 2, "max_steps": 8},
    "dynamics": {
        "temperatures_k": [500.0, 600.0],
        "heating_ps": 0.02,
        "nvt_ps": 0.02,
        "npt_ps": 0.04,
        "cell_average_ps": 0.03,
        "production_ps": 0.16,
        "store_every_steps": 2,
        "checkpoint_ps": 0.02,
    },
    "machine": {"workers": 2},
}


def halion(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "halion.cli.main", *map(str, words)]


def results_of(folder: Path) -> dict[str, object]:
    """Every result of a run folder: step results, trajectories, and the report's numbers."""
    found: dict[str, object] = {
        str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.glob("steps/**/result.json")
    }
    for path in folder.glob("steps/5-dynamics/*/production/trajectory.h5"):
        trajectory = open_trajectory(path)
        found[str(path.relative_to(folder))] = (trajectory.positions.tobytes(), trajectory.steps.tolist())
    results = json.loads((folder / "report" / "results.json").read_text())
    found["report"] = {key: value for key, value in results.items() if key != "provenance"}
    return found


@pytest.fixture(scope="module")
def study_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.fixture(scope="module")
def undisturbed(study_file) -> Path:
    """The folder of the small study, run without disturbance."""
    folder = study_file.parent / "undisturbed"
    run_study(read_settings(study_file), folder)
    return folder


def kill_when(study_file: Path, folder: Path, pattern: str, delay_s: float = 0.0) -> bool:
    """Start or resume the study and kill it once such a file is there; False if its work was done before."""
    process = subprocess.Popen(
        halion("run", study_file, "--folder", folder, "--json"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and not any(folder.glob(pattern)):
        time.sleep(0.01)
    time.sleep(delay_s)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    state, patience = study_status(folder)["state"], 500
    while state == "running" and patience:  # a child that was being forked holds a copy of the lock until its exec
        time.sleep(0.01)
        state, patience = study_status(folder)["state"], patience - 1
    assert state == "done" or (alive and state == "interrupted")
    return state == "interrupted"


def finish(study_file: Path, folder: Path) -> None:
    """Let the study come to its end."""
    end = subprocess.run(halion("run", study_file, "--folder", folder, "--json"), capture_output=True, text=True)
    assert end.returncode in (0, 3), end.stderr  # 3: so short a run may give no number, and says so


def test_a_study_reaches_its_report(undisturbed):
    assert study_status(undisturbed)["state"] == "done"
    page = (undisturbed / "report" / "report.html").read_text()
    assert "Li3YBr6" in page
    assert not list(undisturbed.rglob("*.part"))


def test_the_same_command_again_repeats_nothing(undisturbed, study_file):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.glob("steps/**/*") if path.is_file()}
    run_study(read_settings(study_file), undisturbed)
    after = {path: path.stat().st_mtime_ns for path in undisturbed.glob("steps/**/*") if path.is_file()}
    assert after == before


def test_a_copied_folder_is_as_good_as_the_original(undisturbed, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(undisturbed, copy)
    shutil.rmtree(copy / "report")
    assert report_study(copy).exists()
    assert study_status(copy)["state"] == "done"
    assert results_of(copy) == results_of(undisturbed)


def test_a_reproduction_takes_an_unfinished_study_as_far_as_it_goes(undisturbed, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    shutil.copytree(undisturbed, whole)
    shutil.copytree(undisturbed, killed)
    shutil.rmtree(killed / "steps" / "5-dynamics" / "600K")
    shutil.rmtree(killed / "report")
    (killed / "provenance.json").unlink()
    status = json.loads((killed / "status.json").read_text())
    status["state"], status["stages"]["dynamics"]["done"] = "running", 0.5 * status["stages"]["dynamics"]["total"]
    (killed / "status.json").write_text(json.dumps(status))
    inputs, notes = read_reproduction_inputs([whole, killed])
    assert notes == ()
    one, half = inputs.runs
    assert (one.origin.state, half.origin.state) == ("", "interrupted, dynamics 50 %")
    assert [point.temperature_k for point in one.volumes] == [0.0, 500.0, 600.0]
    assert [point.volume for point in half.volumes] == [point.volume for point in one.volumes[:2]]
    assert [run.diffusivity for run in half.runs] == [run.diffusivity for run in one.runs[:1]]
    assert half.n_atoms == 20 and half.production_ps == one.production_ps


def test_kills_change_nothing(undisturbed, study_file, tmp_path):
    folder = tmp_path / "killed"
    moments = ["status.json", "steps/3-relaxation/*/progress.json", "steps/5-dynamics/*/production/segment*"]
    assert all(kill_when(study_file, folder, moment) for moment in moments)
    finish(study_file, folder)
    assert results_of(folder) == results_of(undisturbed)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(undisturbed, study_file, tmp_path):
    """Ten kills that hit; a folder that came to its end first is compared, and a new one takes the rest."""
    chance, hits, folders = random.Random(0), 0, [tmp_path / "killed-0"]
    while hits < 10:
        # Loading the package takes some 3 s of each attempt, the whole small study about 20 s.
        if kill_when(study_file, folders[-1], "status.json", chance.uniform(1.0, 12.0)):
            hits += 1
        else:
            folders.append(tmp_path / f"killed-{len(folders)}")
    if folders[-1].exists():
        finish(study_file, folders[-1])
    for folder in filter(Path.exists, folders):
        assert results_of(folder) == results_of(undisturbed)


def test_stopping_on_request_is_resumable(undisturbed, study_file, tmp_path):
    folder = tmp_path / "stopped"
    moved = folder / "steps" / "5-dynamics" / "500K" / "equilibration"
    with pytest.raises(Interrupted):
        run_study(read_settings(study_file), folder, stop=moved.exists)
    assert study_status(folder)["state"] == "interrupted"
    run_study(read_settings(study_file), folder)
    assert results_of(folder) == results_of(undisturbed)


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(study_file, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        halion("run", study_file, "--folder", folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (folder / "steps" / "3-relaxation").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 5, err
    assert "same command again" in err
    assert study_status(folder)["state"] == "interrupted"


def test_two_processes_on_one_folder_are_refused(study_file, undisturbed):
    from halion.study import RunFolder

    with RunFolder(undisturbed).locked(), pytest.raises(RunFolderError, match="in use"):
        run_study(read_settings(study_file), undisturbed)


def test_workers_do_not_change_the_results(undisturbed, study_file, tmp_path):
    settings = read_settings(study_file, {"machine": {"workers": 1}})
    run_study(settings, tmp_path / "one")
    assert results_of(tmp_path / "one") == results_of(undisturbed)

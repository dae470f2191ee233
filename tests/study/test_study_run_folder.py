"""One process, one study, one schema per run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halion.errors import RunFolderError
from halion.study.run_folder import SCHEMA, RunFolder
from halion.study_file import resolve


def settings(**dynamics):
    return resolve({"crystal": "Li3YBr6", "dynamics": dynamics})


def test_a_second_process_is_refused_and_told_who_works_there(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        assert folder.is_locked()
        with (
            pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}"),
            RunFolder(folder.path).locked(),
        ):
            pass
    assert not folder.is_locked()


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import sys, time; from halion.study.run_folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked(): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(RunFolderError), folder.locked():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with folder.locked():
        pass


def test_another_study_is_refused_by_its_difference(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(settings(seed=1))
    folder.begin(settings(seed=1))
    with pytest.raises(RunFolderError, match=r"dynamics\.seed is 1 here, 2 in the new command"):
        folder.begin(settings(seed=2))


def test_where_the_work_runs_is_no_difference(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(resolve({"crystal": "Li3YBr6"}))
    folder.begin(resolve({"crystal": "Li3YBr6", "machine": {"workers": 7}}))


def test_another_device_is_another_study_and_is_remembered(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(resolve({"crystal": "Li3YBr6", "machine": {"device": "cuda"}}))
    assert folder.settings().machine.device == "cuda"
    with pytest.raises(RunFolderError, match=r"machine\.device is cuda here, cpu in the new command"):
        folder.begin(resolve({"crystal": "Li3YBr6"}))


def test_an_edited_crystal_is_another_study(tmp_path):
    cif = tmp_path / "crystal.cif"
    cif.write_text("data_a\n")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.begin(resolve({"crystal": str(cif)}))
    assert Path(folder.crystal_source()).read_text() == "data_a\n"
    cif.write_text("data_b\n")
    with pytest.raises(RunFolderError, match="another content"):
        folder.begin(resolve({"crystal": str(cif)}))


def test_the_folder_may_move_and_the_crystal_may_go(tmp_path):
    cif = tmp_path / "mine.cif"
    cif.write_text("data_a\n")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.begin(resolve({"crystal": str(cif)}))
    moved = RunFolder((tmp_path / "run").rename(tmp_path / "moved"))
    cif.rename(tmp_path / "sub.cif")
    assert Path(moved.crystal_source()).name == "mine.cif"
    assert moved.settings().crystal == "mine.cif"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunFolderError, match=r"thesis\.tex"):
        RunFolder(tmp_path).begin(settings())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_newer_schema_is_refused(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(settings())
    path = tmp_path / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": SCHEMA + 1}))
    with pytest.raises(RunFolderError, match=f"schema {SCHEMA + 1}"):
        folder.settings()


def test_a_running_study_without_a_lock_was_interrupted(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(settings())
    assert folder.status()["state"] == "begun"
    folder.write_status("running", {"dynamics": {"done": 1, "total": 2, "state": ""}})
    assert folder.status()["state"] == "interrupted"
    with folder.locked():
        status = RunFolder(tmp_path).status()
    assert status["state"] == "running"
    assert status["stages"]["dynamics"]["done"] == 1
    assert time.strptime(status["updated"], "%Y-%m-%dT%H:%M:%S%z")


def test_no_study_is_said_so(tmp_path):
    with pytest.raises(RunFolderError, match="no study"):
        RunFolder(tmp_path).status()

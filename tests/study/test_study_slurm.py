"""Studies and labels in real batch jobs: pytest -m slurm, where a Slurm answers (scripts/slurm_node.sh makes one).

What every test ends in: the results of the same study without a cluster, and nothing that was finished done twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from shutil import which

import pytest
import yaml
from ase.build import bulk
from ase.io import read, write
from test_study_life import SMALL, halion, results_of

from halion.errors import LabelError
from halion.labels import read_labels
from halion.settings_learning import LabelSettings
from halion.settings_site import SiteSettings
from halion.study import ClusterLabeller, run_study
from halion.study_file import read_settings

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0,
        reason="no Slurm answers here: scripts/slurm_node.sh",
    ),
]
POOL = {"provider": "slurm", "workers_per_node": 1, "max_jobs": 2, "walltime": "00:05:00", "margin_s": 30}
SITE = {"dynamics": POOL, "labels": POOL, "address": "127.0.0.1", "silent_s": 10}
# Slurm kills at whole minutes: half of this one is for the work.
SHORT = SITE | {"dynamics": POOL | {"walltime": "00:01:00", "margin_s": 30}}
LONGER = {"dynamics": {"production_ps": 4.0, "npt_ps": 0.5, "cell_average_ps": 0.4}}


def written(path: Path, values: dict) -> Path:
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))  # no anchors
    return path


def study_of(tmp_path: Path, crystal: str, **changes: dict) -> Path:
    values = SMALL | {"crystal": crystal}
    for section, given in changes.items():
        values[section] = values[section] | given
    return written(tmp_path / f"{crystal}.yaml", values)


def jobs(state: str = "R") -> list[str]:
    asked = ["squeue", "--noheader", f"--states={state}", "--format=%i %j"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[0] for line in lines if "halion" in line]


def begin(study: Path, site: Path, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        halion("run", study, "--folder", folder, "--site", site),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(said, process: subprocess.Popen | None = None, most_s: float = 120.0) -> None:
    until = time.monotonic() + most_s
    while not said():
        assert time.monotonic() < until, "it did not come"
        assert process is None or process.poll() is None, process.stdout.read()
        time.sleep(0.2)


def ended_well(process: subprocess.Popen) -> None:
    said = process.communicate(timeout=400)[0]
    # 3: runs so short give no conductivity, which is physics
    assert process.returncode in (0, 3), said


def equal_to_local(study: Path, folder: Path) -> None:
    here = study.parent / "here"
    run_study(read_settings(study), here)
    mine, local = results_of(folder), results_of(here)
    assert mine.keys() == local.keys()
    assert mine == local


@pytest.mark.parametrize("crystal", ["Li3YBr6", "Li3YCl6"])
def test_a_study_in_batch_jobs_gives_the_results_of_one_without(tmp_path, crystal):
    study = study_of(tmp_path, crystal)
    ended_well(begin(study, written(tmp_path / "site.yaml", SITE), tmp_path / "run"))
    equal_to_local(study, tmp_path / "run")
    assert not jobs()


def test_a_job_that_is_cancelled_is_replaced(tmp_path):
    study = study_of(tmp_path, "Li3YBr6", **LONGER)
    folder = tmp_path / "run"
    process = begin(study, written(tmp_path / "site.yaml", SITE), folder)
    wait_until(lambda: list(folder.glob("steps/5-dynamics/*/worker.json")), process)
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("steps/**/result.json")}
    cancelled = jobs()
    subprocess.run(["scancel", *cancelled], check=True)
    ended_well(process)
    assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
    equal_to_local(study, folder)


def test_a_walltime_shorter_than_a_task_is_no_end(tmp_path):
    study = study_of(tmp_path, "Li3YBr6", dynamics={"production_ps": 12.0, "checkpoint_ps": 0.5})
    folder = tmp_path / "run"
    site = written(tmp_path / "site.yaml", SHORT)
    ended_well(begin(study, site, folder))
    names = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--format=%j"], capture_output=True, text=True, check=True
    ).stdout
    session = json.loads((folder / "cluster" / "session.json").read_text())["session"]
    assert names.count(session) > 2, "it took more batch jobs than run at once"
    equal_to_local(study, folder)


def test_a_driver_that_is_killed_goes_on(tmp_path):
    study = study_of(tmp_path, "Li3YBr6", **LONGER)
    folder, site = tmp_path / "run", written(tmp_path / "site.yaml", SITE)
    process = begin(study, site, folder)
    wait_until(lambda: list(folder.glob("steps/5-dynamics/*/worker.json")), process)
    second = begin(study, site, folder)
    assert "in use" in second.communicate(timeout=60)[0]
    assert second.returncode == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = set(jobs())
    assert left
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("steps/**/result.json")}
    again = begin(study, site, folder)
    wait_until(lambda: not left & set(jobs()), again)
    ended_well(again)
    assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
    equal_to_local(study, folder)


def test_a_drained_node_delays_and_loses_nothing(tmp_path):
    study = study_of(tmp_path, "Li3YBr6")
    node = subprocess.run(["sinfo", "-h", "-o", "%n"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=drain", "reason=test"], check=True)
    try:
        process = begin(study, written(tmp_path / "site.yaml", SITE), tmp_path / "run")
        wait_until(lambda: jobs("PD"), process)
        time.sleep(5)
        assert process.poll() is None
        assert not list((tmp_path / "run").glob("steps/3-relaxation/*/result.json"))
    finally:
        subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], check=True)
    ended_well(process)
    equal_to_local(study, tmp_path / "run")


def test_a_stopped_driver_leaves_no_jobs(tmp_path):
    study = study_of(tmp_path, "Li3YBr6", **LONGER)
    folder, site = tmp_path / "run", written(tmp_path / "site.yaml", SITE)
    process = begin(study, site, folder)
    wait_until(lambda: list(folder.glob("steps/5-dynamics/*/worker.json")), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=90) == 5
    wait_until(lambda: not jobs())
    ended_well(begin(study, site, folder))
    equal_to_local(study, folder)


GPAW = os.environ.get("HALION_GPAW_PYTHON")


@pytest.fixture
def frames(tmp_path) -> Path:
    made = []
    for k in range(3):
        atoms = bulk("LiCl", "rocksalt", a=5.13)
        atoms.positions[0, 0] += 0.05 * (k + 1)
        made.append(atoms)
    write(tmp_path / "frames.extxyz", made)
    return tmp_path / "frames.extxyz"


@pytest.mark.skipif(not GPAW, reason="no GPAW here: scripts/gpaw.sh, then HALION_GPAW_PYTHON")
def test_labels_by_gpaw_under_mpi_in_batch_jobs(tmp_path, frames):
    pool = POOL | {"workers_per_node": 1, "threads_per_worker": 2, "max_jobs": 1}
    site = written(tmp_path / "site.yaml", SITE | {"labels": pool})
    command = halion("label", frames, "--folder", tmp_path / "there", "--site", site, "--processes", "2")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    labels = tmp_path / "there" / "labels.extxyz"
    wait_until(lambda: labels.exists() and read_labels(labels), process, most_s=300)
    first = read_labels(labels)[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    there = {one.frame.key: one.label for one in read_labels(labels)}
    assert len(there) == 3
    assert there[first.frame.key].provenance.wall_s == first.label.provenance.wall_s  # not made again
    subprocess.run(halion("label", frames, "--folder", tmp_path / "here"), check=True, capture_output=True)
    for one in read_labels(tmp_path / "here" / "labels.extxyz"):
        assert there[one.frame.key].energy == pytest.approx(one.label.energy, abs=1e-4)
        assert abs(there[one.frame.key].forces - one.label.forces).max() < 2e-3


def test_a_label_that_hangs_ends_by_its_time_limit(tmp_path, frames):
    """The code never returns: every rung of the ladder meets the limit, and the frame is named."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nsleep 3600\n')
    python.chmod(0o755)
    settings = LabelSettings(command=str(python), time_limit_s=3)
    with (
        ClusterLabeller(settings, SiteSettings(**SITE), tmp_path / "cluster") as labeller,
        pytest.raises(LabelError, match="3 s"),
    ):
        labeller.label(read(frames, 0), tmp_path / "job")
    wait_until(lambda: not jobs())
    left = subprocess.run(["pgrep", "-f", str(python)], capture_output=True, check=False)
    assert left.returncode == 1, "nothing of it runs on"

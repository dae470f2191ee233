"""How far work is, from its files alone, whole, torn or being written."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from halion.dynamics.layout import Header, encode
from halion.errors import RunFolderError
from halion.files import locked_folder
from halion.study import RunFolder, current_answer, work_status
from halion.study.observe import StatusBoard, unobserved
from halion.study_file import resolve
from halion.units import BOLTZMANN_EV_PER_K

TEMPERATURES_K = (600.0, 700.0)


@pytest.fixture
def study(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.begin(resolve({"crystal": "Li3YBr6", "dynamics": {"temperatures_k": list(TEMPERATURES_K)}}))
    return folder


def put(path, record):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record if isinstance(record, str) else json.dumps(record))


def parts(folder):
    return {part.name.strip(): part for part in work_status(folder).parts}


def test_a_study_is_told_stage_by_stage_and_by_temperature(study):
    board = StatusBoard(study, unobserved)
    board.tell("ranking", 1, 1)
    board.tell("dynamics", 0.0, 100.0)
    board.tell("dynamics", 50.0, 100.0)
    board.write("running")
    dynamics = study.step_folder("5-dynamics")
    put(dynamics / "600K" / "progress.json", {"phase": "production", "done": 30, "total": 120, "state": ""})
    put(dynamics / "600K" / "worker.json", {"token": "t", "host": "node7", "process": 1})
    put(dynamics / "700K" / "result.json", {"refusal": {"what": "it melted"}, "inputs_sha256": ""})
    with locked_folder(study.path, fix=""):
        status = work_status(study.path)
        found = parts(study.path)
    assert (status.kind, status.state) == ("study", "running")
    assert found["dynamics"].share == 0.5
    assert found["dynamics"].left_s >= 0
    assert (found["600 K"].share, found["600 K"].state) == (0.25, "production, on node7")
    assert found["700 K"].state == "refused: it melted"
    assert status.then.startswith("orderings")  # this board never told of them
    assert work_status(study.path).state == "interrupted"  # nobody holds it now


def test_the_time_to_go_is_that_of_the_pace(study, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("halion.study.observe.time.monotonic", lambda: clock[0])
    board = StatusBoard(study, unobserved)
    board.tell("dynamics", 40.0, 100.0)  # a study that was gone on with: 40 are not of this session
    clock[0] += 30.0
    board.tell("dynamics", 55.0, 100.0)
    board.write("running")
    with locked_folder(study.path, fix=""):
        assert parts(study.path)["dynamics"].left_s == pytest.approx(45 * 30 / 15)


@pytest.mark.parametrize("torn", ["", "{", "[1, 2]", "\x00\x01"])
def test_torn_files_of_a_running_study_are_passed_over(study, torn):
    StatusBoard(study, unobserved).tell("dynamics", 1, 4)
    put(study.step_folder("5-dynamics") / "600K" / "progress.json", torn)
    put(study.step_folder("5-dynamics") / "600K" / "worker.json", torn)
    assert parts(study.path)["600 K"].state == "waits"


def test_a_series_is_told_member_by_member(tmp_path):
    put(tmp_path / "campaign.json", {})
    put(tmp_path / "series" / "series.json", {})
    for name in ("LYB0", "LYB3"):
        folder = RunFolder(tmp_path / "studies" / name)
        folder.path.mkdir(parents=True)
        folder.begin(resolve({"crystal": "Li3YBr6"}))
    board = StatusBoard(RunFolder(tmp_path / "studies" / "LYB0"), unobserved)
    board.tell("dynamics", 3, 4)
    answer = {"temperature_k": 300.0, "conductivity_ms_per_cm": 1.5, "low_ms_per_cm": 0.1, "high_ms_per_cm": 24.0}
    put(tmp_path / "studies" / "LYB3" / "report" / "results.json", {"conductivity": answer})
    RunFolder(tmp_path / "studies" / "LYB3").write_status("done", {})
    put(tmp_path / "studies" / "LYB6" / "refusal.json", {"what": "no ordering is stable"})
    found = parts(tmp_path)
    assert found["series"].share == 1
    assert found["LYB0"].share == 0.75
    assert (found["LYB3"].share, found["LYB3"].state) == (1.0, "done, σ(300 K) 1.5 (0.1 to 24) mS/cm")
    assert found["LYB6"].state == "refused: no ordering is stable"
    assert work_status(tmp_path).state == "interrupted"


def test_a_loop_is_told_round_by_round(tmp_path):
    put(tmp_path / "inputs.json", {"name": "LYCB", "loop": {}, "training": {}})
    put(tmp_path / "200K" / "result.json", {"value": {"n_labels": 40, "verdict": "promoted: better"}})
    put(tmp_path / "400K" / "labels" / "labels.extxyz", 'Lattice="1 0 0" x\nLattice="1 0 0" x\n')
    found = parts(tmp_path)
    assert found["200 K"].state == "40 labels; promoted: better"
    assert found["400 K"].state == "2 labels"
    assert math.isnan(found["400 K"].share)
    assert "halion-LYCB" in work_status(tmp_path).then


def test_labels_are_counted(tmp_path):
    put(tmp_path / "labels.extxyz", '2\nLattice="1 0 0"\nLi 0 0 0\nCl 1 1 1\n' * 3)
    put(tmp_path / "failed.json", {"a": "why"})
    put(tmp_path / "jobs" / "abc" / "gpaw.txt", "")
    assert parts(tmp_path)["labels"].state == "3 done, 1 failed"
    assert work_status(tmp_path).state == "interrupted"
    with locked_folder(tmp_path, fix=""):
        assert parts(tmp_path)["abc"].state == "under way"


def test_an_empty_folder_says_how_to_begin(tmp_path):
    with pytest.raises(RunFolderError, match="no study in this folder"):
        work_status(tmp_path)


def walk(folder, kelvin, energy_ev, seed):
    """A production of free walkers with D of one activation energy, as halion stores it."""
    rng = np.random.default_rng(seed)
    n_frames, n_ions, frame_ps = 2000, 12, 0.1
    diffusivity = 40.0 * math.exp(-energy_ev / (BOLTZMANN_EV_PER_K * kelvin))  # Angstrom^2/ps
    steps = rng.normal(0, math.sqrt(2 * diffusivity * frame_ps), (n_frames, n_ions, 3))
    framework = np.broadcast_to(np.array([[0.0, 0, 0], [8, 8, 8], [8, 0, 8], [0, 8, 8]]), (n_frames, 4, 3))
    positions = np.concatenate([np.cumsum(steps, axis=0), framework], axis=1)
    header = Header(
        inputs_digest="0" * 64,
        symbols=("Li",) * n_ions + ("Br",) * 4,
        ensemble="nvt",
        n_steps=n_frames - 1,
        timestep_fs=1000 * frame_ps,
        target_temperature_k=kelvin,
        target_pressure_gpa=float("nan"),
        store_every_steps=1,
        potential="walk",
        weights_sha256="",
        written_by="tests",
    )
    number = np.arange(n_frames)
    frames = {
        "step": number,
        "time_ps": number * frame_ps,
        "temperature_k": np.full(n_frames, kelvin),
        "potential_energy_ev": np.zeros(n_frames),
        "pressure_gpa": np.zeros(n_frames),
        "conserved_energy_ev": np.full(n_frames, np.nan),
        "cell_angstrom": np.broadcast_to(16.0 * np.eye(3), (n_frames, 3, 3)).copy(),
        "positions_angstrom": positions.astype(np.float32),
    }
    folder.mkdir(parents=True)
    (folder / "trajectory.h5").write_bytes(encode(header, iter([frames]), {"step": np.array([n_frames - 1.0])}))


def test_the_answer_is_that_of_the_runs_as_they_are(study):
    assert current_answer(study.path) is None
    for k, kelvin in enumerate(TEMPERATURES_K):
        walk(study.step_folder("5-dynamics") / f"{kelvin:g}K" / "production", kelvin, 0.3, k)
    before = sorted(path for path in study.path.rglob("*"))
    summary = current_answer(study.path)
    line = summary.arrhenius
    assert abs(line.activation_energy - 0.3) < 4 * line.activation_energy_std
    assert summary.conductivity.low_ms_per_cm < summary.conductivity.high_ms_per_cm
    assert sorted(path for path in study.path.rglob("*")) == before

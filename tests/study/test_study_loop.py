"""The loop with another potential in the code's place: it learns, resumes, and promotes no worse model."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.spacegroup import crystal

from halion.errors import InputError, LabelError, RunFolderError
from halion.labels import Frame, PotentialLabeller, read_labels
from halion.potentials import load_potential
from halion.potentials.chgnet_model import load_model
from halion.settings_learning import LoopSettings, TrainingSettings
from halion.study import LoopStudy, run_loop
from halion.study.loop import judge
from halion.training import PotentialErrors
from halion.training.checkpoint import save_checkpoint

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """A CHGNet whose last layers were moved: what the loop is to learn."""
    model = load_model()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.Generator().manual_seed(2)
    for name in state:
        if name.startswith(("mlp.layers", "atom_conv_layers.3")):
            state[name] += (
                0.05 * state[name].std(correction=0) * torch.randn(state[name].shape, generator=generator)
            )
    return save_checkpoint(tmp_path_factory.mktemp("teacher") / "teacher.pth.tar", model, state, {})


def rock_salt(anion: str) -> Atoms:
    a = {"Cl": 5.13, "Br": 5.50}[anion]
    return crystal(["Li", anion], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=225, cellpar=[a] * 3 + [90] * 3)


def study(teacher: Path, *, temperatures: tuple[float, ...] = (200.0, 400.0), labeller=None) -> LoopStudy:
    return LoopStudy(
        name="salts",
        parents={"LiCl": rock_salt("Cl"), "LiBr": rock_salt("Br")},
        labeller=labeller or PotentialLabeller(load_potential(str(teacher))),
        loop=LoopSettings(
            temperatures_k=temperatures,
            timestep_fs=2.0,
            heating_ps=0.1,
            npt_ps=0.2,
            sampling_ps=0.2,
            frames_per_trajectory=3,
            spare_frames=1,
        ),
        training=TrainingSettings(epochs=4, batch_size=2, validation_fraction=0.2),
        references=[Frame(atoms=rock_salt("Cl"), group="LiCl"), Frame(atoms=rock_salt("Br"), group="LiBr")],
    )


@pytest.fixture(scope="module")
def finished(teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    return run_loop(study(teacher), folder), folder


def test_two_rounds_learn_and_are_promoted(finished, teacher):
    rounds, _ = finished
    assert [one.temperature_k for one in rounds] == [200.0, 400.0]
    first, second = rounds
    assert first.started_with == "chgnet-0.3.0" and second.started_with == "halion-salts-200K"
    before, after = first.errors["200 K"]
    assert after.force_mae < 0.8 * before.force_mae
    assert set(second.errors) == {"200 K", "400 K"}
    assert first.promoted and first.verdict.startswith("promoted: its weighted error is 0.")
    # Two salts, two trajectories of each, three frames of each trajectory.
    assert (first.n_labels, first.n_failed, first.lost) == (12, 0, {})
    assert set(first.volumes) == {"LiCl-run1", "LiBr-run1", "LiCl-run2", "LiBr-run2"}
    assert Path(second.model).name == "halion-salts-400K.pth.tar"


def test_labels_are_the_teachers_of_the_frames_furthest_apart(finished, teacher):
    _, folder = finished
    labels = read_labels(folder / "400K" / "labels" / "labels.extxyz")
    truth = load_potential(str(teacher))
    for one in labels[:3]:
        assert one.label.energy == pytest.approx(truth.evaluate(one.frame.atoms).energy, abs=1e-4)
    assert {one.frame.group for one in labels} == {f"Li{x}-run{k}-400K" for x in ("Cl", "Br") for k in (1, 2)}
    assert {one.frame.temperature_k for one in labels} == {400.0}


def test_the_same_call_again_reads_and_more_temperatures_go_on(finished, teacher):
    rounds, folder = finished

    class Silent:
        method = PotentialLabeller(load_potential(str(teacher))).method

        def label(self, atoms, place):
            raise AssertionError("labelled twice")

    again = run_loop(study(teacher, labeller=Silent()), folder)
    assert [one.verdict for one in again] == [one.verdict for one in rounds]
    assert [one.errors for one in again] == [one.errors for one in rounds]


def test_another_loop_in_the_folder_is_refused(finished, teacher):
    _, folder = finished
    other = replace(study(teacher), training=TrainingSettings(epochs=5))
    with pytest.raises(RunFolderError, match="other inputs"):
        run_loop(other, folder)


def test_a_code_whose_stress_has_the_other_sign_is_refused(teacher, tmp_path):
    class Compressive:
        def __init__(self):
            self.inner = PotentialLabeller(load_potential(str(teacher)))
            self.method = self.inner.method

        def label(self, atoms, place):
            label = self.inner.label(atoms, place)
            return replace(label, stress=-label.stress)

    with pytest.raises(InputError, match="another sign"):
        run_loop(study(teacher, temperatures=(400.0,), labeller=Compressive()), tmp_path)


def test_a_code_that_never_works_ends_the_loop(teacher, tmp_path):
    class Broken:
        method = "broken"

        def label(self, atoms, place):
            raise LabelError("no licence", fix="get one")

    with pytest.raises(LabelError, match="no licence"):
        run_loop(replace(study(teacher, labeller=Broken()), references=()), tmp_path)


def errors(force: float, n_frames: int = 10) -> PotentialErrors:
    fields = dict.fromkeys(PotentialErrors.__dataclass_fields__, 0.0)
    return PotentialErrors(**(fields | {"n_frames": n_frames, "force_mae": force}))


def test_a_worse_model_is_not_promoted_and_why_is_said():
    settings = TrainingSettings()
    assert judge({"200 K": (errors(50), errors(40))}, settings)[0]
    promoted, why = judge({"200 K": (errors(40), errors(50))}, settings)
    assert not promoted and why == "not promoted: its weighted error is 1.25 of the one before"
    # Better on the whole, but it forgot the first temperature.
    promoted, why = judge({"200 K": (errors(40), errors(60)), "400 K": (errors(90), errors(50))}, settings)
    assert not promoted and "on 200 K more than 1.25" in why


def _run(teacher, folder):
    torch.set_num_threads(1)
    run_loop(study(teacher), folder)


@pytest.mark.slow
def test_kills_at_any_stage_end_in_the_same_models(finished, teacher, tmp_path):
    _, whole = finished
    folder, rng = tmp_path / "killed", np.random.default_rng(0)
    kills = 0
    while kills < 12:
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(teacher, folder))
        process.start()
        process.join(6 + float(rng.uniform(0, 5)))
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    assert kills >= 2
    start = time.time()
    _run(teacher, folder)
    assert time.time() > start
    for name in ("halion-salts-200K", "halion-salts-400K"):
        ours, theirs = (load_model(place / "models" / f"{name}.pth.tar").state_dict() for place in (whole, folder))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)

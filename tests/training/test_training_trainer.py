"""A fine-tuning learns, survives kills bit for bit, and gives what chgnet itself can load."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from chgnet.model import CHGNet
from training_cases import halide, hot, labelled, salt

from halion.errors import InputError, Interrupted, PhysicsRefusal, RunFolderError, TornFile
from halion.files import locked_folder
from halion.labels import read_labels, write_labels
from halion.potentials import load_potential
from halion.potentials.chgnet_model import load_model
from halion.settings_learning import TrainingSettings
from halion.training import compare, errors, finetune
from halion.training.checkpoint import save_checkpoint

torch.set_num_threads(1)

QUICK = TrainingSettings(epochs=6, batch_size=2, patience=50)


def salts(n: int, *, seed: int = 0) -> list:
    return labelled([salt(seed + k, anion=("Cl", "Br")[k % 2]) for k in range(n)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    frames = labelled([hot(halide(mixed=k % 7), k) for k in range(8)])
    return finetune(frames[:6], frames[6:], folder, replace_settings(epochs=8)), frames


def replace_settings(**changes) -> TrainingSettings:
    return TrainingSettings(**(QUICK.model_dump() | changes))


def test_errors_on_frames_that_it_never_saw_go_down(trained):
    training, _ = trained
    start = training.history[0].validation
    assert training.best.validation.forces_mev_per_angstrom < 0.7 * start.forces_mev_per_angstrom
    assert training.best.validation.loss < 0.5 * start.loss
    assert [epoch.number for epoch in training.history] == list(range(9))
    assert training.history[-1].learning_rate == pytest.approx(QUICK.last_learning_rate)


def test_chgnet_loads_what_was_trained(trained):
    training, frames = trained
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = CHGNet.from_file(str(training.checkpoint))
    ours = load_potential(str(training.checkpoint))
    atoms = frames[6].frame.atoms
    from pymatgen.io.ase import AseAtomsAdaptor

    said = theirs.predict_structure(AseAtomsAdaptor.get_structure(atoms), task="efs")
    mine = ours.evaluate(atoms)
    # chgnet's own single precision: 1e-6 eV/atom and 5e-4 eV/Angstrom at most
    # (benchmarks/results/engine_accuracy.md).
    assert float(said["e"]) == pytest.approx(mine.energy / len(atoms), abs=3e-6)
    assert np.abs(said["f"] - mine.forces).max() < 1e-3


def test_the_checkpoint_has_the_errors_that_the_training_says(trained):
    training, frames = trained
    found = errors(compare(frames[6:], load_potential(str(training.checkpoint))))
    best = training.best.validation
    assert found.force_mae == pytest.approx(best.forces_mev_per_angstrom, rel=1e-3)
    assert found.energy_mae == pytest.approx(best.energy_mev_per_atom, rel=1e-2, abs=1e-2)


def test_frozen_blocks_keep_their_bits(trained):
    training, _ = trained
    before, after = load_model().state_dict(), load_model(training.checkpoint).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in moved if name.startswith(("atom_embedding", "bond_embedding", "bond_basis"))]
    assert any(name.startswith("atom_conv_layers.0") for name in moved)
    # The references were fitted on four elements and then frozen.
    changed = (before["composition_model.fc.weight"] != after["composition_model.fc.weight"])[0]
    assert set(np.flatnonzero(changed.numpy()) + 1) <= {3, 17, 35, 39}


def _train(folder, epochs):
    torch.set_num_threads(1)
    frames = salts(8)
    finetune(frames[:6], frames[6:], folder, replace_settings(epochs=epochs))


def test_kills_change_no_bit(tmp_path):
    """SIGKILL between and within epochs; the end is that of an undisturbed training."""
    _train(tmp_path / "whole", 8)
    killed = tmp_path / "killed"
    for k in range(4):
        process = multiprocessing.get_context("fork").Process(target=_train, args=(killed, 8))
        process.start()
        state, start = killed / "state.pt", time.time()
        before = state.stat().st_mtime_ns if state.exists() else 0
        while time.time() - start < 60 and (not state.exists() or state.stat().st_mtime_ns == before):
            time.sleep(0.002)
        time.sleep(0.01 * k)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    _train(killed, 8)
    ours, theirs = (torch.load(f / "state.pt", weights_only=True) for f in (tmp_path / "whole", killed))
    assert all(torch.equal(ours["weights"][name], theirs["weights"][name]) for name in ours["weights"])
    assert ours["history"][1:] == theirs["history"][1:]
    assert ours["random"] == theirs["random"]


def test_a_stop_is_resumed(tmp_path):
    frames, seen = salts(6), []
    with pytest.raises(Interrupted, match="3 of 6 epochs are done"):
        finetune(
            frames[:4],
            frames[4:],
            tmp_path,
            QUICK,
            progress=lambda done, total, state="": seen.append(done),
            stop=lambda: seen[-1] == 3,
        )
    assert len(finetune(frames[:4], frames[4:], tmp_path, QUICK).history) == 7


def test_it_stops_early_when_nothing_improves(tmp_path):
    """A learning rate of nothing improves nothing: patience ends it."""
    frames = salts(6)
    settings = replace_settings(epochs=50, patience=3, learning_rate=1e-12, last_learning_rate=1e-12)
    training = finetune(frames[:4], frames[4:], tmp_path, settings)
    assert len(training.history) < 20


def test_a_training_that_explodes_says_where(tmp_path):
    frames = salts(4)
    with pytest.raises(PhysicsRefusal, match="no longer a finite number") as refused:
        finetune(frames[:2], frames[2:], tmp_path, replace_settings(learning_rate=1e30, batch_size=1))
    assert "epoch" in refused.value.where


def test_bad_frames_are_refused(tmp_path):
    frames = salts(4)
    with pytest.raises(InputError, match="no validation frames"):
        finetune(frames, [], tmp_path, QUICK)
    with pytest.raises(InputError, match="no training frames"):
        finetune([], frames, tmp_path, QUICK)
    nan = replace(frames[0], label=replace(frames[0].label, energy=float("nan")))
    with pytest.raises(InputError, match="not a finite number"):
        finetune([nan, *frames[1:2]], frames[2:], tmp_path, QUICK)
    other = labelled([salt(9)], method="another code")
    with pytest.raises(InputError, match="2 methods are mixed"):
        finetune([*frames[:2], *other], frames[2:], tmp_path, QUICK)
    with pytest.raises(InputError, match="1 frames stand among training and validation alike"):
        finetune(frames[:3], frames[2:], tmp_path, QUICK)


@pytest.mark.parametrize(
    ("factor", "said"), [(-1.0, "another sign"), (160.2, "another unit"), (-1602.2, "another sign")]
)
def test_stress_of_another_code_is_refused_before_anything_is_trained(tmp_path, factor, said):
    frames = [
        replace(one, label=replace(one.label, stress=factor * one.label.stress))
        for one in labelled([hot(halide(mixed=k), k) for k in range(3)])
    ]
    with pytest.raises(InputError, match=said):
        finetune(frames[:2], frames[2:], tmp_path, replace_settings(epochs=1))
    assert not (tmp_path / "state.pt").exists()
    # Stress that is not learned does no harm.
    assert finetune(frames[:2], frames[2:], tmp_path, replace_settings(epochs=1, stress_weight=0.0)).n_training == 2


def test_references_know_nothing_of_validation_frames(tmp_path):
    """Other energies of the frames held out leave every bit of the references and the start's weights."""
    frames = salts(6)
    moved = [replace(one, label=replace(one.label, energy=one.label.energy + 3.0)) for one in frames[4:]]
    settings = replace_settings(epochs=1)
    first = finetune(frames[:4], frames[4:], tmp_path / "a", settings)
    second = finetune(frames[:4], moved, tmp_path / "b", settings)
    assert first.references == second.references
    assert first.references.n_frames == 4
    # Two atoms each: 3 eV more are 1.5 eV/atom that no shift has taken up.
    off = second.history[0].validation.energy_mev_per_atom
    assert off == pytest.approx(1500, abs=first.history[0].validation.energy_mev_per_atom + 1)
    more = finetune(frames[:4], frames[4:], tmp_path / "c", settings, references=salts(2, seed=20))
    assert more.references.n_frames == 6


def test_another_folder_state_or_process_is_refused(tmp_path):
    frames = salts(6)
    finetune(frames[:4], frames[4:], tmp_path, replace_settings(epochs=1))
    with pytest.raises(RunFolderError, match="on other frames, labels or weights, or with other settings"):
        finetune(frames[:3], frames[4:], tmp_path, replace_settings(epochs=1))
    with locked_folder(tmp_path, fix=""), pytest.raises(RunFolderError, match="in use"):
        finetune(frames[:4], frames[4:], tmp_path, replace_settings(epochs=1))
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TornFile, match="cannot be read"):
        finetune(frames[:4], frames[4:], tmp_path, replace_settings(epochs=1))


def test_other_labels_or_weights_are_not_resumed(tmp_path):
    """The same structures labelled anew, or a start whose file was replaced, are another training."""
    frames, base = salts(6), tmp_path / "base.pth.tar"
    state, model = load_model().state_dict(), load_model()
    save_checkpoint(base, model, state, {})
    settings, folder = replace_settings(epochs=1, start=str(base)), tmp_path / "run"
    before = finetune(frames[:4], frames[4:], folder, settings)
    # Read back from a file, which keeps eight decimals of the forces, they are the same.
    read = read_labels(write_labels(tmp_path / "labels.xyz", frames))
    assert finetune(read[:4], read[4:], folder, settings).history[1:] == before.history[1:]
    for changes in (
        {"energy": frames[0].label.energy + 1e-3},
        {"forces": 1.001 * frames[0].label.forces},
        {"stress": 1.001 * frames[0].label.stress},
    ):
        other = [replace(frames[0], label=replace(frames[0].label, **changes)), *frames[1:4]]
        with pytest.raises(RunFolderError, match="other frames, labels or weights"):
            finetune(other, frames[4:], folder, settings)
    other = labelled([one.frame.atoms for one in frames], method="another code")
    with pytest.raises(RunFolderError, match="other frames, labels or weights"):
        finetune(other[:4], other[4:], folder, settings)
    save_checkpoint(base, model, state | {"mlp.layers.7.bias": state["mlp.layers.7.bias"] + 1e-3}, {})
    with pytest.raises(RunFolderError, match="other frames, labels or weights"):
        finetune(frames[:4], frames[4:], folder, settings)


def test_validation_that_is_no_number_has_no_best_epoch(tmp_path):
    """A last step that throws the weights far off: no later step is there to notice."""
    frames = salts(3)
    settings = replace_settings(epochs=1, learning_rate=1e30, last_learning_rate=1e30)
    with pytest.raises(PhysicsRefusal, match="validation loss is not a finite number") as refused:
        finetune(frames[:2], frames[2:], tmp_path, settings)
    assert refused.value.where == "after epoch 1"


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    frames = salts(4)
    torch.save({"model": {"model_args": {"atom_fea_dim": 32}, "state_dict": {}}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="not of the architecture"):
        finetune(frames[:2], frames[2:], tmp_path / "run", replace_settings(start=str(tmp_path / "other.pt")))

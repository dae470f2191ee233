"""Batches by atoms, replay against forgetting, and committees whose spread chooses frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_cases import halide, hot, labelled, salt

from halion.errors import InputError, Interrupted, PhysicsRefusal
from halion.labels import Frame, FrameSet, SamplingChoices, choose_frames
from halion.potentials import load_potential
from halion.settings_learning import TrainingSettings
from halion.training import finetune, finetune_committee
from halion.training.batches import batches

torch.set_num_threads(1)
QUICK = TrainingSettings(epochs=4, batch_size=2, patience=50)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 100), st.integers(0, 99))
def test_batches_hold_every_frame_once_and_no_more_atoms_than_allowed(sizes, most, seed):
    order = np.random.default_rng(seed).permutation(len(sizes))
    parts = batches(order, sizes, TrainingSettings(batch_atoms=most))
    assert np.concatenate(parts).tolist() == order.tolist()
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        held = sum(sizes[k] for k in part)
        assert held <= most or len(part) == 1
        assert following is None or held + sizes[following[0]] > most  # no step is cut short
    by_frames = batches(order, sizes, TrainingSettings(batch_size=4))
    assert [len(part) for part in by_frames[:-1]] == [4] * (len(by_frames) - 1)


def test_batches_by_atoms_train_to_the_end_of_the_schedule(tmp_path):
    frames = labelled([hot(halide(), 1), *(salt(k, anion="Br") for k in range(5)), salt(9)])
    settings = QUICK.model_copy(update={"batch_atoms": 6})
    training = finetune(frames[:5], frames[5:6], tmp_path, settings, references=frames[6:])
    # The number of steps may differ between epochs; the last is always at the last learning rate.
    assert training.history[-1].learning_rate == pytest.approx(settings.last_learning_rate)
    assert training.best.validation.loss < training.history[0].validation.loss


def test_replay_keeps_what_the_labels_do_not_show(tmp_path):
    """Hot Li3YBr6, of which the labels of LiBr say nothing: with replay the model leaves it less."""
    frames = labelled([salt(k, anion="Br") for k in range(6)])
    unseen = [Frame(atoms=hot(halide(), 30 + k), group="replay") for k in range(3)]
    judged, before = [hot(halide(), 50 + k) for k in range(2)], load_potential("chgnet")
    settings = QUICK.model_copy(update={"epochs": 20, "batch_size": 8, "learning_rate": 3e-3})  # one step an epoch
    moved = {}
    for name, replay in (("without", []), ("with", unseen)):
        done = finetune(frames[:4], frames[4:], tmp_path / name, settings, replay=replay)
        assert done.n_training == 4 and done.best.validation.loss < 0.7 * done.history[0].validation.loss
        after = load_potential(str(done.checkpoint))
        moved[name] = np.mean([np.abs(after.evaluate(a).forces - before.evaluate(a).forces).mean() for a in judged])
    assert moved["with"] < 0.7 * moved["without"]  # 0.57 when this was written


def test_a_training_with_replay_is_resumed_bit_for_bit(tmp_path):
    frames, seen = labelled([salt(k, anion="Br") for k in range(4)]), []
    replay = [Frame(atoms=salt(40, anion="Br"), group="replay")]
    whole = finetune(frames[:2], frames[2:], tmp_path / "whole", QUICK, replay=replay)
    with pytest.raises(Interrupted):
        finetune(
            frames[:2],
            frames[2:],
            tmp_path / "cut",
            QUICK,
            replay=replay,
            progress=lambda done, total, state="": seen.append(done),
            stop=lambda: seen[-1] == 2,
        )
    assert finetune(frames[:2], frames[2:], tmp_path / "cut", QUICK, replay=replay).history[1:] == whole.history[1:]


def test_a_committee_disagrees_most_where_it_knows_least(tmp_path):
    frames = labelled([salt(k, anion="Br") for k in range(8)])
    made = finetune_committee((frames[:6], frames[6:]), tmp_path, QUICK, 2)
    assert [path.parent.name for path in made.checkpoints] == ["member-0", "member-1"]
    potentials = [load_potential(str(path)) for path in made.checkpoints]
    for one, spread, error in zip(frames[6:], made.spreads, made.errors, strict=True):
        forces = np.array([each.evaluate(one.frame.atoms).forces for each in potentials])
        # Two members: the standard deviation of each is half their distance.
        assert spread == pytest.approx(np.linalg.norm(forces[0] - forces[1], axis=1).max() / 2, rel=1e-4)
        off = np.linalg.norm(forces.mean(axis=0) - one.label.forces, axis=1)
        assert error == pytest.approx(off.max(), rel=1e-4)
    assert made.spreads.min() > 0
    # What it made is what the choice of frames takes: a far hotter frame among ten is the least certain.
    atoms = [salt(k, anion="Br") for k in range(10, 20)]
    atoms[7].positions += np.random.default_rng(0).normal(0, 0.5, (2, 3))
    set_ = FrameSet(
        symbols=tuple(atoms[0].symbols),
        positions=np.array([one.positions for one in atoms]),
        cells=np.array([one.cell.array for one in atoms]),
        trajectory=np.zeros(10, int),
        frame=np.arange(10),
    )
    chosen = choose_frames(set_, 1, SamplingChoices(method="committee"), potentials=potentials)
    assert chosen.indices.tolist() == [7]
    still = QUICK.model_copy(update={"learning_rate": 1e-30, "last_learning_rate": 1e-30, "epochs": 1})
    with pytest.raises(PhysicsRefusal, match="members 0, 1 are all the start still"):
        finetune_committee((frames[:1] * 2, frames[6:]), tmp_path / "still", still, 2)
    with pytest.raises(InputError, match="a committee of 1 has no spread"):
        finetune_committee((frames[:6], frames[6:]), tmp_path / "one", QUICK, 1)

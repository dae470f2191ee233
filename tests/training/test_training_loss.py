"""The loss against its formula, errors of potentials, references of elements, and the split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import halide, hot, labelled, salt

from halion.errors import InputError
from halion.labels import Frame, LabelledFrame
from halion.potentials import load_potential
from halion.potentials.chgnet_model import load_model
from halion.settings_learning import TrainingSettings
from halion.training import compare, errors, fit_references, refuse_foreign_stress, split_by_group
from halion.training.loss import errors_of, loss_of
from halion.training.network import TrainableNetwork, graphed, predict

torch.set_num_threads(1)


def huber(values: np.ndarray, delta: float) -> float:
    size = np.abs(values)
    return float(np.where(size < delta, values**2 / 2, delta * (size - delta / 2)).mean())


@settings(max_examples=10, deadline=None)
@given(energy=st.floats(0, 5), forces=st.floats(0, 5), stress=st.floats(0, 5), delta=st.floats(0.001, 1))
def test_loss_is_its_formula(energy, forces, stress, delta):
    wanted = TrainingSettings(energy_weight=energy, forces_weight=forces, stress_weight=stress, huber_delta=delta)
    labels = labelled([salt(1), salt(2, anion="Br")])
    frames = graphed(labels)
    said = predict(TrainableNetwork(load_model()), frames, 2)
    off = (said.energies.numpy() - [f.energy for f in frames]) / 2
    force = said.forces.numpy() - np.concatenate([f.forces for f in frames])
    strain = (said.stresses.numpy() - np.array([f.stress for f in frames])) * 160.2176634
    expected = energy * huber(off, delta) + forces * huber(force, delta) + stress * huber(strain, delta)
    assert float(loss_of(said, frames, wanted)) == pytest.approx(expected, rel=1e-9)
    found = errors_of(said, frames, wanted)
    assert found.energy_mev_per_atom == pytest.approx(1e3 * np.abs(off).mean())
    assert found.stress_mpa == pytest.approx(1e3 * np.abs(strain).mean())


def test_errors_of_a_potential_are_counted_by_hand():
    frames = labelled([hot(halide(), 1), hot(halide("Cl"), 2), hot(halide(), 3)])
    chgnet = load_potential("chgnet")
    found = errors(compare(frames, chgnet))
    off, energy = [], []
    for one in frames:
        said = chgnet.evaluate(one.frame.atoms)
        off += list((said.forces - one.label.forces).ravel())
        energy.append((said.energy - one.label.energy) / 10)
    assert found.n_frames == 3
    assert found.force_mae == pytest.approx(1e3 * np.mean(np.abs(off)))
    assert found.force_rmse == pytest.approx(1e3 * np.sqrt(np.mean(np.square(off))))
    assert found.energy_mae == pytest.approx(1e3 * np.mean(np.abs(energy)))
    # The two of one composition share their mean; the third stands alone and has none left.
    assert found.energy_shifted_mae == pytest.approx(1e3 * 2 / 3 * abs(energy[0] - energy[2]) / 2)


def test_softening_is_the_slope():
    frames = labelled([hot(halide(), 1)])
    said = load_potential("chgnet").evaluate(frames[0].frame.atoms)
    stiff = [replace(frames[0], label=replace(frames[0].label, forces=said.forces / 0.8))]
    assert errors(compare(stiff, load_potential("chgnet"))).force_slope == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (-1.0, "another sign"),
        (10.0, "another unit"),
        (0.1, "another unit"),
        (160.2, "another unit"),
        (-1602, "another sign"),
    ],
)
def test_foreign_stress_is_refused(factor, said):
    frames = labelled([hot(halide(mixed=k), k) for k in range(4)])
    chgnet = load_potential("chgnet")
    refuse_foreign_stress(compare(frames, chgnet))
    foreign = [replace(one, label=replace(one.label, stress=factor * one.label.stress)) for one in frames]
    with pytest.raises(InputError, match=said):
        refuse_foreign_stress(compare(foreign, chgnet))


def compositions() -> dict[str, np.ndarray]:
    return {
        "Li3YCl6": np.array([3] * 3 + [39] + [17] * 6),
        "Li3YBr6": np.array([3] * 3 + [39] + [35] * 6),
        "mixed": np.array([3] * 3 + [39] + [17] * 2 + [35] * 4),
        "LiCl": np.array([3, 17]),
        "LiBr": np.array([3, 35]),
        "YCl3": np.array([39, 17, 17, 17]),
        "YBr3": np.array([39, 35, 35, 35]),
    }


@settings(deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_shifts_explain_the_energies_of_all_neutral_salts(values):
    """Rank 2 of Li3YX6 alone, 3 with binaries; the free direction is the charge, which no neutral salt feels."""
    shifts = dict(zip((3, 17, 35, 39), values, strict=True))
    energy = {name: sum(shifts[int(z)] for z in numbers) for name, numbers in compositions().items()}
    ternary = ["Li3YCl6", "Li3YBr6", "mixed"]
    energies = np.array([energy[n] for n in ternary])
    found = fit_references([compositions()[n] for n in ternary], energies, np.zeros(3))
    assert found.rank == 2 and found.residual_mev_per_atom < 1e-6
    names = list(compositions())
    found = fit_references([compositions()[n] for n in names], np.array([energy[n] for n in names]), np.zeros(7))
    assert found.rank == 3 and found.residual_mev_per_atom < 1e-6
    symbols = {3: "Li", 17: "Cl", 35: "Br", 39: "Y"}
    for numbers in ([3, 3, 39] + [35] * 5, *compositions().values()):
        expected = sum(shifts[int(z)] for z in numbers)
        assert sum(found.shifts_ev[symbols[int(z)]] for z in numbers) == pytest.approx(expected, abs=1e-7)
    assert found.before_mev_per_atom >= found.residual_mev_per_atom


def test_references_need_finite_frames():
    with pytest.raises(InputError, match="at least one frame"):
        fit_references([], np.array([]), np.array([]))
    with pytest.raises(InputError, match="finite"):
        fit_references([np.array([3, 17])], np.array([np.nan]), np.array([0.0]))


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=12),
    fraction=st.floats(0.05, 0.6),
    seed=st.integers(0, 1000),
)
def test_a_split_keeps_trajectories_whole(sizes, fraction, seed):
    (one,) = labelled([salt(0)])
    frames = [
        LabelledFrame(frame=Frame(atoms=one.frame.atoms, group=f"run-{g}"), label=one.label)
        for g, size in enumerate(sizes)
        for _ in range(size)
    ]
    training, validation = split_by_group(frames, fraction, seed)
    assert training and validation and len(training) + len(validation) == len(frames)
    assert not {f.frame.group for f in training} & {f.frame.group for f in validation}
    assert split_by_group(frames, fraction, seed) == (training, validation)


def test_one_trajectory_cannot_be_split():
    with pytest.raises(InputError, match=r"all 3 frames are of one trajectory \(run-0\)"):
        split_by_group(labelled([salt(k) for k in range(3)], groups=1), 0.2, 0)

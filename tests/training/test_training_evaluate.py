"""Errors of potentials counted by hand, and stress labels of another sign or unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_cases import halide, hot, labelled

from halion.errors import InputError
from halion.potentials import load_potential
from halion.potentials.chgnet_model import load_model
from halion.training import compare, errors, refuse_foreign_stress
from halion.training.network import TrainableNetwork, graphed, predict

torch.set_num_threads(1)


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
    refuse_foreign_stress(compare(frames, chgnet).stresses)
    foreign = [replace(one, label=replace(one.label, stress=factor * one.label.stress)) for one in frames]
    with pytest.raises(InputError, match=said):
        refuse_foreign_stress(compare(foreign, chgnet).stresses)


def test_the_stress_that_labels_are_held_against_is_the_slope_of_the_energy():
    """All nine strains of one hot cell, in double precision: dE / (V d strain), central differences."""
    atoms, network = hot(halide(), 5), TrainableNetwork(load_model().double())
    step = 1e-4
    (frame,) = labelled([atoms])

    def energy(strain: np.ndarray) -> float:
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        one = replace(frame, frame=replace(frame.frame, atoms=strained))
        return float(predict(network, graphed([one]), 1).energies[0])

    slopes = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = step / (1 if i == j else 2)
        slopes[i, j] = (energy(strain) - energy(-strain)) / (2 * step * atoms.get_volume())
    said = predict(network, graphed([frame]), 1).stresses[0].numpy()
    # Central differences err by step^2 of the third derivative, single precision by 1e-6 eV over 2 step V.
    assert np.abs(said - slopes).max() < 2e-2 * np.abs(slopes).max()


def test_stress_labels_of_nothing_are_refused():
    """Labels whose sizes are right and that say nothing: those of other frames, of either sign."""
    frames = labelled([hot(halide(mixed=k % 7), k) for k in range(12)])
    rng = np.random.default_rng(0)
    drawn = rng.normal(scale=0.01, size=(12, 3, 3))
    foreign = [replace(one, label=replace(one.label, stress=s + s.T)) for one, s in zip(frames, drawn, strict=True)]
    with pytest.raises(InputError, match="nothing to do with each other"):
        refuse_foreign_stress(compare(foreign, load_potential("chgnet")).stresses)


def test_no_frames_have_no_errors():
    with pytest.raises(InputError, match="no frames to evaluate on"):
        compare([], load_potential("chgnet"))

"""The loss against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import labelled, salt

from halion.potentials.chgnet_model import load_model
from halion.settings_learning import TrainingSettings
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

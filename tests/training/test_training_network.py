"""The network as a function of its weights: values of the engine, gradients of chgnet itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from chgnet.graph import converter, crystalgraph
from chgnet.model import CHGNet
from chgnet.model import model as chgnet_model
from pymatgen.core import Structure
from training_cases import halide, hot, labelled, salt

from halion.errors import SettingsError
from halion.potentials import ChgnetPotential
from halion.potentials.chgnet_model import load_model
from halion.settings_learning import TrainingSettings
from halion.training.blocks import BLOCKS, trainable_names
from halion.training.gradients import loss_and_gradients
from halion.training.loss import loss_of
from halion.training.network import TrainableNetwork, graphed, predict
from halion.units import GPA_PER_EV_ANGSTROM3

torch.set_num_threads(1)


def test_values_are_those_of_the_engine_in_double_precision():
    structures = [hot(halide(mixed=3), 1), salt(2), hot(halide("Cl"), 3)]
    said = predict(TrainableNetwork(load_model(), dtype=torch.float64), graphed(labelled(structures)), 2)
    truth = ChgnetPotential(backend="float64").evaluate_batch(structures)
    assert said.energies.numpy() == pytest.approx([one.energy for one in truth], abs=1e-10)
    assert np.abs(said.forces.numpy() - np.concatenate([one.forces for one in truth])).max() < 1e-10
    assert np.abs(said.stresses.numpy() - np.array([one.stress for one in truth])).max() < 1e-12


def chgnet_gradients(frame, settings) -> dict[str, torch.Tensor]:
    """Gradients of the same loss through chgnet's own network and graph, everything in double precision."""
    model = CHGNet.from_dict(load_model().as_dict()).double()
    atoms, label = frame.frame.atoms, frame.label
    reference = model.composition_model.fc.weight[0].detach().numpy()[atoms.numbers - 1].sum()
    model.composition_model = None
    with pytest.MonkeyPatch.context() as patch:
        for module in (converter, crystalgraph, chgnet_model):
            patch.setattr(module, "TORCH_DTYPE", torch.float64)
        structure = Structure(atoms.cell.array, atoms.numbers, atoms.positions, coords_are_cartesian=True)
        said = model([model.graph_converter(structure)], task="efs")
    huber = torch.nn.HuberLoss(delta=settings.huber_delta)
    stress = torch.tensor(label.stress * GPA_PER_EV_ANGSTROM3)
    loss = (
        settings.energy_weight
        * huber(
            said["e"].squeeze() + reference / len(atoms),
            torch.tensor(label.energy / len(atoms), dtype=torch.float64),
        )
        + settings.forces_weight * huber(said["f"][0], torch.tensor(label.forces))
        # chgnet's stress is not symmetrised, and its constant of GPa has fewer digits.
        + settings.stress_weight * huber((said["s"][0] + said["s"][0].T) / 2 * (160.2176634 / 160.21766208), stress)
    )
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_of_the_loss_are_those_of_chgnet():
    """All weights, embeddings and bases included, through energy, forces and stress at once."""
    settings = TrainingSettings(energy_weight=3, forces_weight=1, stress_weight=0.1)
    (frame,) = labelled([hot(halide(mixed=2), 5, 0.12)])
    network = TrainableNetwork(load_model(), dtype=torch.float64)
    batch = graphed([frame])
    _, gradients = loss_and_gradients(network, batch, lambda said: loss_of(said, batch, settings))
    expected = chgnet_gradients(frame, settings)
    assert set(network.trained) == {name for name, g in expected.items() if g.abs().max() > 0}
    for name, gradient in zip(network.trained, gradients, strict=True):
        # Rounding alone: 3e-12 at most were seen, of a few hundred sums of double precision one after another.
        assert float((gradient - expected[name]).abs().max()) < 1e-10 * float(expected[name].abs().max()), name


def test_a_step_along_the_gradient_changes_the_loss_as_the_gradient_says():
    settings = TrainingSettings()
    frames = graphed(labelled([salt(1), salt(2, anion="Br")]))
    network = TrainableNetwork(load_model(), dtype=torch.float64)
    gradients = torch.autograd.grad(loss_of(network(frames), frames, settings), network.parameters())
    start, step = network.state(), 1e-6
    direction = {name: torch.randn_like(start[name]) for name in network.trained}
    losses = []
    for sign in (1, -1):
        network.load({name: v + sign * step * direction.get(name, 0.0) for name, v in start.items()})
        losses.append(float(loss_of(network(frames), frames, settings).detach()))
    slope = sum(float((g * direction[n]).sum()) for n, g in zip(network.trained, gradients, strict=True))
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_every_parameter_is_in_one_block_or_never_trained():
    names = [name for name, _ in load_model().named_parameters()]
    of_blocks = [[name for name in names if name.startswith(starts)] for starts in BLOCKS.values()]
    assert all(of_blocks)
    listed = [name for block in of_blocks for name in block]
    assert len(listed) == len(set(listed))
    never = ("composition_model.", "site_wise.", "angle_layers.2.")
    assert set(names) - set(listed) == {name for name in names if name.startswith(never)}


def test_frozen_blocks_are_left_out_and_unknown_ones_refused():
    names = [name for name, _ in load_model().named_parameters()]
    chosen = trainable_names(names, set(BLOCKS) - {"readout"})
    assert all(name.startswith(("mlp.", "readout_norm.")) for name in chosen)
    with pytest.raises(SettingsError, match="no block 'embedings' of CHGNet: did you mean 'embeddings'"):
        trainable_names(names, ["embedings"])
    with pytest.raises(SettingsError, match="nothing to train"):
        trainable_names(names, BLOCKS)

"""The folded weights: every block is chgnet's own block as a function, and nothing that counts is missing."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from chgnet.model import CHGNet

from halion.potentials.chgnet_model import load_model, weights_sha256
from halion.potentials.folded import LAYER_NORM_EPS, Normalised, fold

# Both sides in double precision: what differs is the order of sums of at most 256 terms of the size of one.
RELATIVE = 1e-11


@pytest.fixture(scope="module")
def model() -> CHGNet:
    return load_model().double()


@pytest.fixture(scope="module")
def inputs() -> list[np.ndarray]:
    """Four features of seven pairs, of the size that occurs."""
    return list(np.random.default_rng(0).normal(size=(4, 7, 64)))


def silu(x):
    return x * (1 + np.tanh(x / 2)) / 2


def activated(core, gate, norm: Normalised):
    normal = [
        x / np.sqrt((x**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPS) * norm.scale[k] + norm.shift[k]
        for k, x in enumerate((core, gate))
    ]
    return silu(normal[0]) / (1 + np.exp(-normal[1]))


def gated(layer, mixed):
    hidden = silu(mixed)
    core, gate = (hidden[:, 64 * k : 64 * k + 64] @ layer.weight2[k].T + layer.bias2[k] for k in range(2))
    return activated(core, gate, layer.norm)


def of_chgnet(block, *features):
    with torch.no_grad():
        return block(torch.tensor(np.concatenate(features, axis=1))).numpy()


@pytest.mark.parametrize("k", range(4))
def test_atom_layers(model, weights, inputs, k):
    centre, edge, neighbour, _ = inputs
    layer = weights.atom_layers[k]
    ours = gated(layer, centre @ layer.centre.T + edge @ layer.edge.T + neighbour @ layer.neighbour.T + layer.bias1)
    theirs = of_chgnet(model.atom_conv_layers[k].twoBody_atom, centre, edge, neighbour)
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE)
    out = of_chgnet(model.atom_conv_layers[k].mlp_out, ours)
    np.testing.assert_allclose(ours @ layer.out.T, out, rtol=RELATIVE, atol=RELATIVE)


@pytest.mark.parametrize("k", range(3))
def test_bond_layers(model, weights, inputs, k):
    first, second, angle, centre = inputs
    layer = weights.bond_layers[k]
    mixed = first @ layer.first.T + second @ layer.second.T + angle @ layer.angle.T + centre @ layer.centre.T
    ours = gated(layer, mixed + layer.bias1)
    theirs = of_chgnet(model.bond_conv_layers[k].twoBody_bond, first, second, angle, centre)
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE)
    out = of_chgnet(model.bond_conv_layers[k].mlp_out, ours)
    np.testing.assert_allclose(ours @ layer.out.T, out, rtol=RELATIVE, atol=RELATIVE)


@pytest.mark.parametrize("k", range(2))
def test_angle_layers(model, weights, inputs, k):
    first, second, angle, centre = inputs
    layer = weights.angle_layers[k]
    mixed = first @ layer.first.T + second @ layer.second.T + angle @ layer.angle.T + centre @ layer.centre.T
    mixed = mixed + layer.bias
    ours = activated(mixed[:, :64], mixed[:, 64:], layer.norm)
    theirs = of_chgnet(model.angle_layers[k].twoBody_bond, first, second, angle, centre)
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE)


@pytest.mark.parametrize("k", range(4))
def test_edges_act_through_their_basis(weights, k):
    """A bond feature that no update has changed is bond_embedding R: edge (bond_embedding R) = edge_basis R."""
    radial, layer = np.random.default_rng(k).normal(size=31), weights.atom_layers[k]
    np.testing.assert_allclose(
        layer.edge_basis @ radial, layer.edge @ (weights.bond_embedding @ radial), rtol=RELATIVE, atol=RELATIVE
    )


def test_last_layers_have_no_mean(weights):
    """Otherwise the layer normalisation, which no longer subtracts it, would differ."""
    for layer in (*weights.atom_layers, *weights.bond_layers):
        assert np.abs(layer.weight2.mean(axis=1)).max() < 1e-15
        assert np.abs(layer.bias2.mean(axis=1)).max() < 1e-15
    for layer in weights.angle_layers:
        for part in (layer.first, layer.second, layer.angle, layer.centre, layer.bias):
            assert np.abs(part.reshape(2, 64, -1).mean(axis=1)).max() < 1e-15


def test_embeddings_bases_and_readout_are_chgnets(model, weights):
    """Copied as they are; the atoms' reference energies too."""
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    for ours, theirs in [
        (weights.atom_embedding, "atom_embedding.embedding.weight"),
        (weights.bond_embedding, "bond_embedding.weight"),
        (weights.angle_embedding, "angle_embedding.weight"),
        (weights.atom_weight, "bond_weights_ag.weight"),
        (weights.bond_weight, "bond_weights_bg.weight"),
        (weights.frequencies6, "bond_basis_expansion.rbf_expansion_ag.frequencies"),
        (weights.frequencies3, "bond_basis_expansion.rbf_expansion_bg.frequencies"),
        (weights.angle_frequencies, "angle_basis_expansion.fourier_expansion.frequencies"),
        (weights.readout_scale, "readout_norm.weight"),
        (weights.readout_shift, "readout_norm.bias"),
        (weights.reference_energy[None], "composition_model.fc.weight"),
    ]:
        np.testing.assert_array_equal(ours, state[theirs])
    features = np.random.default_rng(0).normal(size=(5, 64))
    ours = features
    for weight, bias in weights.readout[:-1]:
        ours = silu(ours @ weight.T + bias)
    ours = ours @ weights.readout[-1][0].T + weights.readout[-1][1]
    np.testing.assert_allclose(ours, of_chgnet(model.mlp, features), rtol=RELATIVE, atol=RELATIVE)


def arrays_of(part) -> list[np.ndarray]:
    if isinstance(part, np.ndarray):
        return [part]
    if is_dataclass(part):
        part = [getattr(part, field.name) for field in fields(part)]
    return [array for one in part for array in arrays_of(one)]


def test_everything_is_double_precision_and_the_model_stays_as_it_was():
    model = load_model()
    before = weights_sha256(model)
    arrays = arrays_of(fold(model))
    assert {array.dtype for array in arrays} == {np.dtype(float)}
    for array in arrays:
        array += 1.0
    assert weights_sha256(model) == before

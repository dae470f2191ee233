"""Gradients without second derivatives: against automatic differentiation twice, and compiled against torch."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from training_cases import halide, hot, labelled, salt

from halion.potentials.chgnet_model import load_model
from halion.potentials.folded import fold_tensors
from halion.settings_learning import TrainingSettings
from halion.training import _blocks
from halion.training.blocks import BLOCKS
from halion.training.compiled import compiled_gated
from halion.training.gated import Weighted, gated
from halion.training.gradients import loss_and_gradients
from halion.training.loss import loss_of
from halion.training.network import TrainableNetwork, graphed, predict
from halion.training.tangent import site_energies_along

torch.set_num_threads(1)

SETTINGS = TrainingSettings(stress_weight=0.5)


def twice(network: TrainableNetwork, batch) -> tuple[torch.Tensor, tuple]:
    """The loss differentiated through the forces."""
    loss = loss_of(network(batch), batch, SETTINGS)
    return loss.detach(), torch.autograd.grad(loss, network.parameters(), allow_unused=True)


def once(network: TrainableNetwork, batch) -> tuple[torch.Tensor, list]:
    return loss_and_gradients(network, batch, lambda said: loss_of(said, batch, SETTINGS))


def apart(one, other) -> float:
    """Largest difference of two lists of gradients, of the largest gradient."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None]
    return max(float((a - b).abs().max()) for a, b in pairs) / max(float(b.abs().max()) for _, b in pairs)


def wide(anion: str) -> Atoms:
    """Rock salt blown up: no bond is shorter than 3 Angstrom, and there is no angle."""
    atoms = salt(3, anion=anion)
    atoms.set_cell(1.4 * atoms.cell.array, scale_atoms=True)
    return atoms


BATCHES = {
    "mixed halides": [hot(halide(mixed=2), 5, 0.12), hot(halide("Cl"), 6), salt(1)],
    "one frame": [hot(halide(), 7)],
    "no angles": [wide("Cl"), wide("Br")],
}


@pytest.mark.parametrize("structures", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("frozen", [(), tuple(set(BLOCKS) - {"readout", "atoms4"}), ("embeddings", "bases")])
def test_once_is_twice(structures, frozen):
    batch = graphed(labelled(structures))
    double = TrainableNetwork(load_model(), frozen=frozen, dtype=torch.float64)
    (loss, gradients), (expected_loss, expected) = once(double, batch), twice(double, batch)
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-14)
    assert apart(gradients, expected) < 1e-13  # 5e-16 were seen
    # Compiled, in single precision: torch's own single precision is 2e-7 off.
    single = TrainableNetwork(load_model(), frozen=frozen)
    loss, gradients = once(single, batch)
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-5)
    assert apart([None if one is None else one.double() for one in gradients], expected) < 3e-6


def test_a_batch_is_its_frames():
    """Nothing passes from one frame of a batch to another: the change along a direction is that of each alone."""
    batch = graphed(labelled(BATCHES["mixed halides"]))
    network = TrainableNetwork(load_model(), dtype=torch.float64)
    generator, changes, alongs = torch.Generator().manual_seed(0), [], []
    for frame in batch:
        graph, _ = network.batch([frame])
        alongs.append(torch.randn(graph.vectors.shape, generator=generator, dtype=torch.float64))
        changes.append(site_energies_along(*network.folded(), graph, alongs[-1]).detach())
    graph, _ = network.batch(batch)
    together = site_energies_along(*network.folded(), graph, torch.cat(alongs)).detach()
    assert torch.allclose(together, torch.cat(changes, dim=1), rtol=1e-12, atol=1e-12)


def test_change_is_the_difference_quotient():
    (frame,) = graphed(labelled([hot(halide(mixed=3), 2)]))
    network = TrainableNetwork(load_model(), dtype=torch.float64)
    graph, _ = network.batch([frame])
    start, step = graph.vectors.clone(), 1e-5
    along = torch.randn(start.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    change = site_energies_along(*network.folded(), graph, along)[1].detach()
    sites = []
    for sign in (1, -1):
        graph.vectors.copy_(start + sign * step * along)
        sites.append(site_energies_along(*network.folded(), graph, along)[0].detach())
    # The quotient's own error, step^2 times a third derivative, leaves six digits.
    assert torch.allclose((sites[0] - sites[1]) / (2 * step), change, rtol=1e-6, atol=1e-6)


def test_the_engine_says_what_the_network_says():
    """Values in single precision come from the compiled engine: with trained weights, not those of the start."""
    batch = graphed(labelled(BATCHES["mixed halides"]))
    network, double = TrainableNetwork(load_model()), TrainableNetwork(load_model(), dtype=torch.float64)
    state = {name: tensor.double() for name, tensor in network.state().items()}
    for name in network.trained:
        state[name] = state[name] * 1.01
    network.load(state)
    double.load(network.state())
    said, expected = predict(network, batch, 2), predict(double, batch, 2)
    assert torch.allclose(said.energies, expected.energies, atol=1e-4)  # 1e-5 eV/atom
    assert torch.allclose(said.forces, expected.forces, atol=1e-4)
    assert torch.allclose(said.stresses, expected.stresses, atol=1e-6)
    assert not torch.allclose(said.forces, predict(TrainableNetwork(load_model()), batch, 2).forces, atol=1e-3)


def case(kind: str, n_rows: int, seed: int) -> tuple:
    """A block of random tables: (layer, places, weighted places, tensors in double precision)."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    def places(n: int) -> torch.Tensor:
        return torch.randint(n, (n_rows,), generator=draw)

    folded = fold_tensors({name: one.double() for name, one in load_model().state_dict().items()})
    layer = {"atom": folded.atom_layers[1], "bond": folded.bond_layers[1], "angle": folded.angle_layers[0]}[kind]
    tables, dense, weights = [normal(2, n, 128) for n in (7, 5, 11)], normal(2, n_rows, 128), normal(2, 9, 64)
    index = {"places": [places(7), places(5), places(11)], "weight": [places(9), places(9)], "sum": places(6)}
    return layer, index, tables, dense, weights


def evaluated(function, dtype: torch.dtype, kind: str, given: tuple, **options) -> list[torch.Tensor]:
    """A block's result, and the gradients of a sum of it by all that it is made of."""
    layer, index, tables, dense, weights = given
    leaves = [one.to(dtype).requires_grad_(True) for one in (*tables, dense, weights)]
    parts = {"norm": [layer.norm.scale, layer.norm.shift]}
    if kind != "angle":
        parts["second"] = [layer.weight2, layer.bias2]
    own = {key: [one.detach().to(dtype).requires_grad_(True) for one in values] for key, values in parts.items()}
    made = _replaced(layer, own)
    weighted = None
    if kind != "angle":
        used = index["weight"][: 1 if kind == "atom" else 2]
        weighted = Weighted(weights=leaves[4], places=used, sum_into=index["sum"], n_sums=6)
    out = function(made, leaves[:3], index["places"], None if kind == "atom" else leaves[3], weighted, **options)
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64).to(dtype)
    every = [*leaves, *(one for values in own.values() for one in values)]
    gradients = torch.autograd.grad((out * pull).sum(), every, allow_unused=True)
    return [out.detach(), *(one for one in gradients if one is not None)]


def _replaced(layer, own):
    from dataclasses import replace

    changes = {"norm": replace(layer.norm, scale=own["norm"][0], shift=own["norm"][1])}
    if "second" in own:
        changes |= {"weight2": own["second"][0], "bias2": own["second"][1]}
    return replace(layer, **changes)


@pytest.mark.parametrize("kernels", _blocks.usable_kernels())
@pytest.mark.parametrize("kind", ["atom", "bond", "angle"])
@pytest.mark.parametrize(("n_rows", "threads"), [(0, 2), (1, 1), (2, 4), (48, 1), (49, 2), (143, 3), (200, 1)])
def test_compiled_blocks_are_those_of_torch(kernels, kind, n_rows, threads):
    """Every kind of block, on every set of instructions, rows around whole tiles of 48, more threads than rows."""
    given_tensors = case(kind, n_rows, seed=n_rows)
    expected = evaluated(gated, torch.float64, kind, given_tensors)
    torch.set_num_threads(threads)
    try:
        found = evaluated(compiled_gated, torch.float32, kind, given_tensors, kernels=kernels)
        again = evaluated(compiled_gated, torch.float32, kind, given_tensors, kernels=kernels)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
    for one, other in zip(found, expected, strict=True):
        # Single precision through two layers and a normalisation; a wrong term would show at order one.
        assert float((one - other).abs().max() if other.numel() else 0) <= 2e-5 * max(
            1.0, float(other.abs().max()) if other.numel() else 0
        )


def test_compiled_blocks_refuse_what_does_not_fit():
    layer, index, tables, dense, weights = case("bond", 20, 0)
    single = [one.float() for one in tables]
    outside = [index["places"][0] + 7, *index["places"][1:]]
    weighted = Weighted(weights=weights.float(), places=index["weight"], sum_into=index["sum"], n_sums=6)
    own = {"norm": [layer.norm.scale.float(), layer.norm.shift.float()]}
    layer = _replaced(layer, own | {"second": [layer.weight2.float(), layer.bias2.float()]})
    with pytest.raises(ValueError, match="outside its table"):
        compiled_gated(layer, single, outside, dense.float(), weighted)
    with pytest.raises(ValueError, match="dense has another size"):
        compiled_gated(layer, single, index["places"], dense.float()[:, :19], weighted)
    with pytest.raises(ValueError, match="no kernels named sse"):
        compiled_gated(layer, single, index["places"], dense.float(), weighted, kernels="sse")

"""A loss on energies, forces and stress, and its gradient by the trained weights.

On a processor: forces and stress by one evaluation, the loss and its slopes by them, and the gradient by carrying
those slopes through the network as a direction (see `tangent`): the network is differentiated once. In single
precision the evaluation and the gated blocks are compiled. On a GPU the loss is differentiated through the forces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from halion.potentials.torch_graph import CrystalGraph
from halion.training.compiled import compiled_gated
from halion.training.gated import gated
from halion.training.network import GraphedFrame, Predicted, TrainableNetwork, predict
from halion.training.tangent import site_energies_along

__all__ = ["loss_and_gradients"]


def loss_and_gradients(
    network: TrainableNetwork, frames: Sequence[GraphedFrame], loss: Callable[[Predicted], Tensor]
) -> tuple[Tensor, list[Tensor | None]]:
    """A loss of a batch, and its gradient by every trained weight, in the order of `network.trained`.

    Args:
        network: with the weights of this moment.
        frames: the batch.
        loss: of energies, forces and stresses.
    Checked by tests/training/test_training_network.py (chgnet's own gradients) and test_training_tangent.py
    (differentiated twice, compiled against torch).
    """
    if network.device.type != "cpu":
        value = loss(network(frames))
        return value.detach(), list(torch.autograd.grad(value, network.parameters(), allow_unused=True))
    said = predict(network, frames, len(frames))
    graph, volumes = network.batch(frames)
    value, of_energies, along = _slopes(said, graph, volumes, loss)
    folded, frequencies = network.folded()
    gates = compiled_gated if network.dtype == torch.float32 else gated
    sites, change = site_energies_along(folded, frequencies, graph, along, gates).double()
    total = (sites * of_energies[graph.structures]).sum() + change.sum()
    return value, list(torch.autograd.grad(total, network.parameters(), allow_unused=True))


def _slopes(
    said: Predicted, graph: CrystalGraph, volumes: Tensor, loss: Callable[[Predicted], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, its slopes by the energies, and by the energies' slopes g_b by the bond vectors.

    From F_i = -sum_{b: centre i} g_b + sum_{b: neighbour i} g_b and sigma = sym(sum_b vec_b (x) g_b) / V.
    """
    leaves = [one.detach().requires_grad_(True) for one in (said.energies, said.forces, said.stresses)]
    value = loss(Predicted(energies=leaves[0], forces=leaves[1], stresses=leaves[2]))
    of_energies, of_forces, of_stresses = torch.autograd.grad(value, leaves)
    pulls = (of_stresses + of_stresses.transpose(1, 2)) / (2 * volumes[:, None, None])
    of_bonds = pulls[graph.structures[graph.centres]]
    along = of_forces[graph.neighbours] - of_forces[graph.centres]
    return value.detach(), of_energies, along + (of_bonds @ graph.vectors[:, :, None])[:, :, 0]

"""CHGNet's way back on the device: the energy's gradients at the bases, layer by layer, written by hand.

A feature's gradient is the sum over what it went into: its tables (one product with the joined blocks) and the
feature of the next layer (residual). Bond features are e0 + added, and AtomConv takes from them only what was
added (the rest is in its radial basis), so the gradients at e0 and at the added part are kept apart.
"""

from __future__ import annotations

import torch

from halion.potentials.gpu.angle_kernels import angle_messages_backward, bond_messages_backward
from halion.potentials.gpu.atom_kernels import atom_messages_backward
from halion.potentials.gpu.geometry import Bases
from halion.potentials.gpu.launch import launch
from halion.potentials.gpu.network import Forward, Network
from halion.potentials.gpu.rows import Gather, sum_segments
from halion.potentials.gpu.weights import BOND_ANGLE, NODE_ANGLE, NODE_BOND

__all__ = ["evaluate_network"]


def evaluate_network(network: Network, bases: Bases) -> tuple[torch.Tensor, Bases]:
    """Energy of each atom (n_atoms,) without references, and the gradients of their sum at the bases."""
    forward = Forward(network, bases)
    sites, gradients = network.read_out(forward.features)
    return sites, _Backward(forward, gradients).run()


class _Backward:
    def __init__(self, forward: Forward, of_atoms: torch.Tensor) -> None:
        self.forward, self.network = forward, forward.network
        net = self.network
        self.of_atoms, self.of_edges, self.of_weights = of_atoms, net.empty(net.edges, 32), net.empty(net.bonds)
        self.of_angles, self.exchanged = net.empty(net.angles), net.graph.angles[3]
        # At what was added to bond features, at their start, and at the table of the BondConv done last.
        self.of_added: torch.Tensor | None = None
        self.of_bonds: torch.Tensor | None = None
        self.of_table: torch.Tensor | None = None

    def run(self) -> Bases:
        net, w = self.network, self.network.weights
        for layer in (3, 2, 1):
            of_nodes = torch.empty_like(self.forward.nodes[layer])
            self._atom_layer(layer, of_nodes)
            if layer < 3:
                self._angle_layer(layer - 1, of_nodes)
            self._bond_layer(layer - 1, of_nodes)
            self.of_atoms = net.linear(net.atoms, of_nodes, w.nodes[layer].backward, (None, self.of_atoms))
        self._atom_layer(0, None)
        start = net.linear(net.bonds, self.of_table, w.bonds[0].backward, (None, self.of_bonds))
        return Bases(
            edges=self.of_edges,
            bonds6=net.linear(net.bonds, start, w.bond_embedding.backward),
            bonds3=net.linear(net.bonds, self.of_weights, w.bond_weight.backward),
            angles=net.linear(net.angles, self.of_angles, w.angle_embedding.backward),
        )

    def _atom_layer(self, layer: int, of_nodes: torch.Tensor | None) -> None:
        """AtomConv. Its first layer's input is constant in layer 0: nothing to pass on but to the bases."""
        net, w, forward = self.network, self.network.weights, self.forward
        of_sums = net.linear(net.atoms, self.of_atoms, w.atom_out[layer].backward)
        of_first = net.empty(net.edges, 128)
        arguments = (*forward.edge_arguments(layer), of_sums, of_first, self.of_edges)
        constants = forward.edge_constants(layer)
        launch(
            atom_messages_backward,
            net.grid(net.edges),
            arguments,
            {**constants, "ADD": layer < 3},
            net.tiles.warps_back,
        )
        if of_nodes is not None:
            sum_segments(net.edges_of_atoms, of_first, of_nodes[:, :128])
            sum_segments(net.edges_of_atoms, of_first, of_nodes[:, 128:256], net.graph.edges[2])
            own = Gather(net.graph.bonds[1])
            back = w.updates[layer - 1].backward
            self.of_added = net.linear(net.bonds, of_first, back, (None, self.of_added), own)

    def _angle_layer(self, layer: int, of_nodes: torch.Tensor) -> None:
        """AngleUpdate, then the bond features that it and the BondConv after it started from."""
        net, forward, table = self.network, self.forward, self.of_table
        of_first = net.empty(net.angles, 128)
        arguments = (*forward.angle_arguments(layer), self.of_angles, of_first)
        constants = forward.angle_constants(forward.bonds[layer + 1], layer)
        launch(angle_messages_backward, net.grid(net.angles), arguments, constants, net.tiles.warps_back)
        self._sum_first(of_first, table[:, BOND_ANGLE:], of_nodes[:, NODE_ANGLE:])
        of_features = net.linear(net.bonds, table, net.weights.bonds[layer + 1].backward)
        self.of_added = self.of_added + of_features
        self.of_bonds = of_features if self.of_bonds is None else self.of_bonds + of_features

    def _bond_layer(self, layer: int, of_nodes: torch.Tensor) -> None:
        """BondConv: gradients at its tables, at the weights of messages, and at the angles' features."""
        net, forward, is_last = self.network, self.forward, layer == 2
        back = net.weights.bond_out[layer].backward
        of_sums = net.linear(net.bonds, self.of_added, back, gather=net.both_ways)
        of_first, of_weights = net.empty(net.angles, 128), net.empty(net.angles, 128)
        arguments = (*forward.bond_arguments(layer), of_sums, of_first, of_weights, self.of_angles)
        constants = forward.angle_constants(forward.bonds[layer], layer)
        launch(
            bond_messages_backward,
            net.grid(net.angles),
            arguments,
            {**constants, "ADD": not is_last},
            net.tiles.warps_back,
        )
        self.of_table = torch.empty_like(forward.bonds[layer])
        self._sum_first(of_first, self.of_table[:, :256], of_nodes[:, NODE_BOND:NODE_ANGLE])
        sum_segments(net.angles_of_bonds, of_weights[:, :64], self.of_weights, add=not is_last)
        sum_segments(net.angles_of_bonds, of_weights[:, 64:], self.of_weights, self.exchanged, add=True)

    def _sum_first(self, of_first: torch.Tensor, of_bonds: torch.Tensor, of_nodes: torch.Tensor) -> None:
        """From angles to the tables of first bonds, second bonds and centres."""
        net = self.network
        sum_segments(net.angles_of_bonds, of_first, of_bonds[:, :128])
        sum_segments(net.angles_of_bonds, of_first, of_bonds[:, 128:], self.exchanged)
        sum_segments(net.bonds_of_atoms, of_bonds[:, :128], of_nodes)

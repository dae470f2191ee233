"""CHGNet's way forward on the device, from bases to the features of atoms, and the tables that the way back needs.

What is kept are tables (products of features with first layers), not activations: each kernel of the way back
computes its tile anew. Layers are counted as in CHGNet: AtomConv 0-3, BondConv 0-2, AngleUpdate 0-1; AtomConv l
has the node table l, BondConv l reads the bond table l and the node table l + 1, AngleUpdate l reads both of l + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from halion.potentials.gpu.angle_kernels import angle_messages, bond_messages
from halion.potentials.gpu.atom_kernels import atom_messages
from halion.potentials.gpu.geometry import Bases
from halion.potentials.gpu.launch import launch, tiles
from halion.potentials.gpu.lists import DeviceGraph
from halion.potentials.gpu.readout_kernel import readout
from halion.potentials.gpu.rows import Gather, Rows, Segments, linear, sum_segments
from halion.potentials.gpu.weights import BOND_ANGLE, NODE_ANGLE, NODE_BOND, NetworkWeights

__all__ = ["TILES", "Forward", "Network", "Tiles"]


@dataclass(frozen=True, slots=True)
class Tiles:
    """Rows per tile, and warps per tile on the way forward and back."""

    rows: int
    warps: int
    warps_back: int


# As compiled for compute capability 9.0 by Triton 3.7: products in float32 keep whole rows of both factors in
# registers, and 16 rows on 8 warps are the most that do not spill; on tensor cores 64 rows on 4 warps take the
# fewest instructions per row (a kilobyte of spill on the way back). Nothing of this has been timed.
TILES = {"ieee": Tiles(16, 8, 8), "tf32x3": Tiles(64, 4, 4), "tf32": Tiles(64, 4, 4)}
# In the interpreter a tile costs the same, whatever its size.
INTERPRETED = Tiles(256, 4, 4)


class Network:
    """CHGNet over one graph's buffers.

    Args:
        weights: packed weights, of the network's type.
        graph: buffers of the graph, whose content may change between passes.
        elements: (n_atoms,) Z - 1.
        precision: of `tl.dot`.
    """

    def __init__(self, weights: NetworkWeights, graph: DeviceGraph, elements: torch.Tensor, precision: str) -> None:
        self.weights, self.graph, self.precision = weights, graph, precision
        self.tiles = TILES[precision] if elements.is_cuda else INTERPRETED
        self.start = weights.embedding[elements].contiguous()
        self.references = weights.references[elements].contiguous()
        room, n = graph.capacity, graph.n_atoms
        self.atoms = Rows(torch.tensor([n], dtype=torch.int32, device=elements.device), n)
        self.edges, self.bonds = Rows(graph.n_edges, room.edges), Rows(graph.n_bonds, room.bonds)
        self.angles = Rows(graph.n_angles, room.angles)
        self.edges_of_atoms = Segments(self.atoms, graph.edge_starts, room.edges)
        self.bonds_of_atoms = Segments(self.atoms, graph.bond_starts, room.bonds)
        self.angles_of_bonds = Segments(self.bonds, graph.first_angles, room.angles)
        self.both_ways = Gather(graph.bonds[2], and_own=True)

    def linear(
        self,
        rows: Rows,
        x: torch.Tensor,
        weight: torch.Tensor,
        extra: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
        gather: Gather | None = None,
    ) -> torch.Tensor:
        """`rows.linear` in this network's precision."""
        return linear(rows, x, weight, self.precision, extra, gather)

    def empty(self, rows: Rows, width: int = 64) -> torch.Tensor:
        """An array (capacity, width) of the network's type."""
        return torch.empty(rows.capacity, width, dtype=self.start.dtype, device=self.start.device)

    def grid(self, rows: Rows) -> tuple[int]:
        """Programs for all tiles of these rows."""
        return (tiles(rows.capacity, self.tiles.rows),)

    def read_out(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy of each atom, without references, and the gradients at their features."""
        sites = torch.empty(self.atoms.capacity, dtype=features.dtype, device=features.device)
        gradients = torch.empty_like(features)
        arguments = (features, self.weights.readout, sites, gradients, self.atoms.capacity)
        constants = {"PRECISION": self.precision, "BLOCK": self.tiles.rows}
        launch(readout, self.grid(self.atoms), arguments, constants, self.tiles.warps_back)
        return sites, gradients


class Forward:
    """One way forward: features of atoms at its end, and tables for the way back.

    Attributes:
        nodes: 4 tables (n_atoms, 256 to 512); bonds: 3 tables (n_bonds, 256 or 512).
        updates: of AtomConv 1-3, what was added to bond features times its first layer, (n_bonds, 128).
        angles: features (n_angles, 64) before BondConv 0-2.
        weights: (n_bonds, 64) of messages between bonds.
    """

    def __init__(self, network: Network, bases: Bases) -> None:
        self.network, self.bases = network, bases
        self.nodes: list[torch.Tensor] = []
        self.bonds: list[torch.Tensor] = []
        self.updates: list[torch.Tensor] = []
        self.angles: list[torch.Tensor] = []
        self.weights = network.linear(network.bonds, bases.bonds3, network.weights.bond_weight.forward)
        self.features = self._run()

    def _run(self) -> torch.Tensor:
        net, w, atoms, added = self.network, self.network.weights, self.network.start, None
        bonds = net.linear(net.bonds, self.bases.bonds6, w.bond_embedding.forward)
        self.bonds.append(net.linear(net.bonds, bonds, w.bonds[0].forward))
        self.angles.append(net.linear(net.angles, self.bases.angles, w.angle_embedding.forward))
        for layer in range(4):
            self.nodes.append(net.linear(net.atoms, atoms, w.nodes[layer].forward, (w.node_biases[layer], None)))
            if layer > 0:
                out = w.bond_out[layer - 1].forward
                added = net.linear(net.bonds, self._bond_sums(layer - 1), out, (None, added), net.both_ways)
                self.updates.append(net.linear(net.bonds, added, w.updates[layer - 1].forward))
            if 0 < layer < 3:
                self.bonds.append(net.linear(net.bonds, bonds + added, w.bonds[layer].forward))
                self.angles.append(self._updated_angles(layer - 1))
            atoms = net.linear(net.atoms, self._atom_sums(layer), w.atom_out[layer].forward, (None, atoms))
        return atoms

    def edge_arguments(self, layer: int) -> tuple[torch.Tensor, ...]:
        """Pointers that both ways of AtomConv begin with."""
        net, nodes = self.network, self.nodes[layer]
        update = self.updates[layer - 1] if layer else nodes  # never read in the first layer
        packs = (net.weights.edge_packs[layer], net.weights.atom_packs[layer])
        return (net.edges.limit, net.graph.edges, self.bases.edges, nodes, update, *packs)

    def edge_constants(self, layer: int) -> dict[str, object]:
        """Constants of both ways of AtomConv."""
        net = self.network
        return {
            "EDGES": net.edges.capacity,
            "NODE_STRIDE": self.nodes[layer].shape[1],
            "HAS_BONDS": layer > 0,
            "PRECISION": net.precision,
            "BLOCK": net.tiles.rows,
        }

    def bond_arguments(self, layer: int) -> tuple[torch.Tensor, ...]:
        """Pointers that both ways of BondConv begin with."""
        net, nodes = self.network, self.nodes[layer + 1][:, NODE_BOND:]
        packs = (self.weights, net.weights.bond_angles[layer], net.weights.bond_packs[layer])
        return (net.angles.limit, net.graph.angles, self.angles[layer], self.bonds[layer], nodes, *packs)

    def angle_arguments(self, layer: int) -> tuple[torch.Tensor, ...]:
        """Pointers that both ways of AngleUpdate begin with."""
        net, nodes, bonds = self.network, self.nodes[layer + 1], self.bonds[layer + 1]
        tables = (bonds[:, BOND_ANGLE:], nodes[:, NODE_ANGLE:])
        packs = (net.weights.angle_angles[layer], net.weights.angle_norms[layer])
        return (net.angles.limit, net.graph.angles, self.angles[layer], *tables, *packs)

    def angle_constants(self, bonds: torch.Tensor, layer: int) -> dict[str, object]:
        """Constants of both ways of BondConv (its bond table l) and AngleUpdate (l + 1)."""
        net = self.network
        return {
            "ANGLES": net.angles.capacity,
            "BOND_STRIDE": bonds.shape[1],
            "NODE_STRIDE": self.nodes[layer + 1].shape[1],
            "PRECISION": net.precision,
            "BLOCK": net.tiles.rows,
        }

    def _atom_sums(self, layer: int) -> torch.Tensor:
        net = self.network
        messages, sums = net.empty(net.edges), net.empty(net.atoms)
        arguments = (*self.edge_arguments(layer), messages)
        constants = self.edge_constants(layer)
        launch(atom_messages, net.grid(net.edges), arguments, constants, net.tiles.warps)
        sum_segments(net.edges_of_atoms, messages, sums)
        return sums

    def _bond_sums(self, layer: int) -> torch.Tensor:
        net = self.network
        messages, sums = net.empty(net.angles), net.empty(net.bonds)
        constants = self.angle_constants(self.bonds[layer], layer)
        arguments = (*self.bond_arguments(layer), messages)
        launch(bond_messages, net.grid(net.angles), arguments, constants, net.tiles.warps)
        sum_segments(net.angles_of_bonds, messages, sums)
        return sums

    def _updated_angles(self, layer: int) -> torch.Tensor:
        net = self.network
        features = net.empty(net.angles)
        constants = self.angle_constants(self.bonds[layer + 1], layer)
        arguments = (*self.angle_arguments(layer), features)
        launch(angle_messages, net.grid(net.angles), arguments, constants, net.tiles.warps)
        return features

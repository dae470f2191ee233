"""CHGNet's folded weights as the GPU kernels read them: blocks joined, transposed and packed on the device.

A pack of a two-layer block holds, one after the other, W2 of core and gate as (input, output) for the way forward,
as (output, input) for the way back, the bias (2, 64), and scale and shift (2, 64 each) of the normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from halion.arrays import FloatArray
from halion.potentials.folded import AngleLayer, AtomLayer, BondLayer, FoldedWeights, Normalised

__all__ = ["BOND_ANGLE", "NODE_ANGLE", "NODE_BOND", "Linear", "NetworkWeights", "pack_weights"]

COLUMNS = 32
# First columns of a node table: 256 for AtomConv (centre, neighbour), then the centres of BondConv and AngleUpdate.
NODE_BOND, NODE_ANGLE = 256, 384
# First column of a bond table that is AngleUpdate's; before it, BondConv's first and second.
BOND_ANGLE = 256


@dataclass(frozen=True, slots=True)
class Linear:
    """One linear layer y = W x: `forward` (inputs, outputs), `backward` (outputs, inputs)."""

    forward: torch.Tensor
    backward: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWeights:
    """Everything that the network's passes need, on the device.

    Attributes:
        embedding, references: (94, 64) and (94,) by Z - 1; the second in float64.
        frequencies6, frequencies3: (32,) float64; waves: (3, 32) float64 frequency, phase, amplitude.
        bond_embedding, bond_weight, angle_embedding: from 32 columns of a basis to 64.
        nodes, node_biases: per AtomConv, all first-layer blocks that act on its input features: its own centre and
            neighbour, then the centres of the BondConv and AngleUpdate that came before it.
        bonds: all blocks that act on the bond features before BondConv l: its first and second, then those of the
            AngleUpdate before it. updates: blocks of AtomConv 1-3 that act on what was added to bond features.
        edge_packs: per AtomConv, radial basis to first layer (core, gate) and message weight, forward and back.
        atom_packs, bond_packs: two-layer blocks. atom_out, bond_out: what follows the sums.
        bond_angles, angle_angles: block of the first layer that acts on angle features, forward and back.
        angle_norms: (4, 64). readout: pack of readout_kernel.
    """

    embedding: torch.Tensor
    references: torch.Tensor
    frequencies6: torch.Tensor
    frequencies3: torch.Tensor
    waves: torch.Tensor
    bond_embedding: Linear
    bond_weight: Linear
    angle_embedding: Linear
    nodes: tuple[Linear, ...]
    node_biases: tuple[torch.Tensor, ...]
    bonds: tuple[Linear, ...]
    updates: tuple[Linear, ...]
    edge_packs: tuple[torch.Tensor, ...]
    atom_packs: tuple[torch.Tensor, ...]
    atom_out: tuple[Linear, ...]
    bond_packs: tuple[torch.Tensor, ...]
    bond_out: tuple[Linear, ...]
    bond_angles: tuple[torch.Tensor, ...]
    angle_angles: tuple[torch.Tensor, ...]
    angle_norms: tuple[torch.Tensor, ...]
    readout: torch.Tensor


def pack_weights(weights: FoldedWeights, device: torch.device, dtype: torch.dtype) -> NetworkWeights:
    """The folded weights on a device; `dtype` is that of the network, the bases stay in float64."""
    maker = _Maker(device, dtype)
    atoms, bonds, angles = weights.atom_layers, weights.bond_layers, weights.angle_layers
    return NetworkWeights(
        embedding=maker.tensor(weights.atom_embedding),
        references=maker.exact(weights.reference_energy),
        frequencies6=maker.exact(_padded(weights.frequencies6)),
        frequencies3=maker.exact(_padded(weights.frequencies3)),
        waves=maker.exact(_waves(weights.angle_frequencies)),
        bond_embedding=maker.linear(_padded(weights.bond_embedding)),
        bond_weight=maker.linear(_padded(weights.bond_weight)),
        angle_embedding=maker.linear(_padded(weights.angle_embedding)),
        nodes=tuple(maker.linear(np.concatenate(_node_blocks(weights, k))) for k in range(4)),
        node_biases=tuple(maker.tensor(np.concatenate(_node_biases(weights, k))) for k in range(4)),
        bonds=tuple(maker.linear(np.concatenate(_bond_blocks(weights, k))) for k in range(3)),
        updates=tuple(maker.linear(layer.edge) for layer in atoms[1:]),
        edge_packs=tuple(maker.pack(_edge_pack(layer, weights.atom_weight)) for layer in atoms),
        atom_packs=tuple(maker.pack(_block_pack(layer)) for layer in atoms),
        atom_out=tuple(maker.linear(layer.out) for layer in atoms),
        bond_packs=tuple(maker.pack(_block_pack(layer)) for layer in bonds),
        bond_out=tuple(maker.linear(layer.out) for layer in bonds),
        bond_angles=tuple(maker.pack(_angle_pack(layer)) for layer in bonds),
        angle_angles=tuple(maker.pack(_angle_pack(layer)) for layer in angles),
        angle_norms=tuple(maker.pack(_norm(layer.norm)) for layer in angles),
        readout=maker.pack(_readout_pack(weights)),
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    device: torch.device
    dtype: torch.dtype

    def tensor(self, array: FloatArray) -> torch.Tensor:
        return torch.tensor(np.ascontiguousarray(array), dtype=self.dtype, device=self.device)

    def exact(self, array: FloatArray) -> torch.Tensor:
        return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, device=self.device)

    def linear(self, weight: FloatArray) -> Linear:
        return Linear(self.tensor(weight.T), self.tensor(weight))

    def pack(self, parts: list[FloatArray]) -> torch.Tensor:
        return self.tensor(np.concatenate([np.ascontiguousarray(part).ravel() for part in parts]))


def _padded(array: FloatArray) -> FloatArray:
    """Zeros behind the last of 31 columns."""
    return np.concatenate([array, np.zeros((*array.shape[:-1], COLUMNS - array.shape[-1]))], axis=-1)


def _waves(frequencies: FloatArray) -> FloatArray:
    """Frequency, phase and amplitude of the angular basis: constant, sines, cosines; the last column is empty.

    CHGNet computes the constant 1 / sqrt(2) in float32, whatever the type of the rest.
    """
    n = len(frequencies)
    constant = float(np.float32(1.0) / np.sqrt(np.float32(2.0)))
    waves = np.zeros((3, COLUMNS))
    waves[0, 1 : n + 1] = waves[0, n + 1 : 2 * n + 1] = frequencies
    waves[1, 0] = np.pi / 2
    waves[1, n + 1 : 2 * n + 1] = np.pi / 2
    waves[2, 0], waves[2, 1 : 2 * n + 1] = constant, 1.0
    waves[2] /= np.sqrt(np.pi)
    return waves


def _node_blocks(weights: FoldedWeights, k: int) -> list[FloatArray]:
    layer = weights.atom_layers[k]
    before = [*weights.bond_layers[k - 1 : k], *weights.angle_layers[k - 1 : k]] if k else []
    return [layer.centre, layer.neighbour, *(block.centre for block in before)]


def _node_biases(weights: FoldedWeights, k: int) -> list[FloatArray]:
    """The bias of each first layer rides with its centre."""
    layer = weights.atom_layers[k]
    biases = [layer.bias1, np.zeros_like(layer.bias1)]
    if k:
        biases += [block.bias1 for block in weights.bond_layers[k - 1 : k]]
        biases += [block.bias for block in weights.angle_layers[k - 1 : k]]
    return biases


def _bond_blocks(weights: FoldedWeights, k: int) -> list[FloatArray]:
    before: list[BondLayer | AngleLayer] = [weights.bond_layers[k]]
    if k:
        before.append(weights.angle_layers[k - 1])
    return [part for layer in before for part in (layer.first, layer.second)]


def _edge_pack(layer: AtomLayer, atom_weight: FloatArray) -> list[FloatArray]:
    matrices = [_padded(part) for part in (*np.split(layer.edge_basis, 2), atom_weight)]
    return [*(part.T for part in matrices), *matrices]


def _norm(norm: Normalised) -> list[FloatArray]:
    return [norm.scale, norm.shift]


def _block_pack(layer: AtomLayer | BondLayer) -> list[FloatArray]:
    return [*(part.T for part in layer.weight2), layer.weight2, layer.bias2, *_norm(layer.norm)]


def _angle_pack(layer: BondLayer | AngleLayer) -> list[FloatArray]:
    parts = np.split(layer.angle, 2)
    return [*(part.T for part in parts), *parts]


def _readout_pack(weights: FoldedWeights) -> list[FloatArray]:
    *hidden, (last, bias) = weights.readout
    parts = [part for weight, shift in hidden for part in (weight.T, weight, shift)]
    return [*parts, last, weights.readout_scale, weights.readout_shift, bias]

"""CHGNet's energies and their change along a direction of the bond vectors, to be differentiated by the weights.

The gradient of a loss on forces needs no second derivative of the network by automatic differentiation. With the
loss' slopes by energies a_f and by dE/dvectors v_b known from one evaluation of the forces,

    dL/dw = d/dw (sum_f a_f E_f + D),    D = sum_b v_b . dE/dvectors_b = dE(vectors + t v)/dt at t = 0,

and D follows from carrying every feature with its change along v through the network: tensors (2, n, width), value
and change. What is linear acts on both alike; a product, the normalisation and the gates have the rules below.

Checked by tests/training/test_training_tangent.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from halion.potentials.folded import AngleLayer, BondLayer, FoldedWeights
from halion.potentials.torch_graph import ATOM_CUTOFF, BOND_CUTOFF, CrystalGraph
from halion.potentials.torch_network import Frequencies
from halion.training.gated import Weighted, biased, gated, normal_along, silu_along

__all__ = ["site_energies_along"]

# As in potentials.torch_network.
_SQRT_HALF = float(1 / torch.sqrt(torch.tensor(2.0)))
_SHRINK = 1 - 1e-6


def site_energies_along(
    weights: FoldedWeights,
    frequencies: Frequencies,
    graph: CrystalGraph,
    along: Tensor,
    gates: Callable[..., Tensor] = gated,
) -> Tensor:
    """(2, n_atoms): energies without references, and their change along a direction of the vectors.

    Args:
        weights: tensors.
        frequencies: of the radial bases and of the angles, in the type of the graph's vectors.
        graph: tensors.
        along: (n_bonds, 3), of the vectors.
        gates: what computes the gated blocks: `gated`, or `compiled_gated`.
    """
    radial, near, angle_basis = _bases(frequencies, graph, along, weights.atom_embedding.dtype)
    atom_weight, bond_weight = radial @ weights.atom_weight.T, near @ weights.bond_weight.T
    bonds = start = radial[:, graph.short] @ weights.bond_embedding.T
    angles = angle_basis @ weights.angle_embedding.T
    first = weights.atom_embedding[graph.numbers - 1]
    atoms = torch.stack([first, torch.zeros_like(first)])
    ends = _Ends(graph)
    to_atoms = Weighted(weights=atom_weight, places=[ends.bond], sum_into=ends.here, n_sums=len(first))
    to_bonds = Weighted(
        weights=bond_weight, places=[ends.one, ends.other], sum_into=ends.one, n_sums=len(graph.short)
    )
    for k, layer in enumerate(weights.atom_layers):
        edges = radial @ layer.edge_basis.T
        if k:
            edges = edges.index_add(1, graph.short, (bonds - start) @ layer.edge.T)
        tables = [biased(atoms @ layer.centre.T, layer.bias1), atoms @ layer.neighbour.T, edges]
        messages = gates(layer, tables, [ends.here, ends.there, ends.bond], weighted=to_atoms)
        atoms = atoms + messages @ layer.out.T
        if k < len(weights.bond_layers):
            block = weights.bond_layers[k]
            tables, dense = _angle_input(block, block.bias1, atoms, bonds, angles)
            bonds = bonds + gates(block, tables, ends.of_angles, dense, to_bonds) @ block.out.T
        if k < len(weights.angle_layers):
            update = weights.angle_layers[k]
            tables, dense = _angle_input(update, update.bias, atoms, bonds, angles)
            angles = angles + gates(update, tables, ends.of_angles, dense)
    return _readout(weights, atoms)


class _Ends:
    """Both directions of every bond, and the bonds and centre of every angle."""

    def __init__(self, graph: CrystalGraph) -> None:
        n_short = len(graph.short)
        self.here = torch.cat([graph.centres, graph.neighbours])
        self.there = torch.cat([graph.neighbours, graph.centres])
        self.bond = torch.arange(len(graph.centres), device=graph.centres.device).repeat(2)
        self.one, self.other = graph.first % n_short, graph.second % n_short
        atom_of_end = torch.cat([graph.centres[graph.short], graph.neighbours[graph.short]])
        self.of_angles = [self.one, self.other, atom_of_end[graph.first]]


def _angle_input(
    layer: BondLayer | AngleLayer, bias: Tensor, atoms: Tensor, bonds: Tensor, angles: Tensor
) -> tuple[list[Tensor], Tensor]:
    tables = [biased(bonds @ layer.first.T, bias), bonds @ layer.second.T, atoms @ layer.centre.T]
    return tables, angles @ layer.angle.T


def _readout(weights: FoldedWeights, atoms: Tensor) -> Tensor:
    values = normal_along(atoms - atoms.mean(dim=-1, keepdim=True), weights.readout_scale, weights.readout_shift)
    for weight, bias in weights.readout[:-1]:
        values = silu_along(biased(values @ weight.T, bias))
    weight, bias = weights.readout[-1]
    return biased(values @ weight.T, bias)[..., 0]


def _bases(
    frequencies: Frequencies, graph: CrystalGraph, along: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Radial bases of all bonds and of the short ones, and the basis of the angles."""
    distances = graph.vectors.norm(dim=1)
    directions = graph.vectors / distances[:, None]
    change = (directions * along).sum(dim=1)
    turning = (along - directions * change[:, None]) / distances[:, None]
    short = graph.short
    return (
        _radial_basis(distances, change, frequencies[0], ATOM_CUTOFF).to(dtype),
        _radial_basis(distances[short], change[short], frequencies[1], BOND_CUTOFF).to(dtype),
        _angle_basis(frequencies[2], graph, directions, turning).to(dtype),
    )


def _radial_basis(distances: Tensor, change: Tensor, frequencies: Tensor, cutoff: float) -> Tensor:
    x = (distances / cutoff)[:, None]
    envelope = 1 + x**8 * (-45 + x * (80 - 36 * x))
    slope = x**7 * (-360 + x * (720 - 360 * x))
    phase = frequencies * x
    height = np.sqrt(2 / cutoff) / distances[:, None]
    sine = torch.sin(phase)
    value = envelope * height * sine
    by_distance = height / cutoff * (slope * sine + envelope * frequencies * torch.cos(phase) - envelope * sine / x)
    return torch.stack([value, by_distance * change[:, None]])


def _angle_basis(frequencies: Tensor, graph: CrystalGraph, directions: Tensor, turning: Tensor) -> Tensor:
    ends, turns = (torch.cat([one[graph.short], -one[graph.short]]) for one in (directions, turning))
    first, second = ends[graph.first], ends[graph.second]
    cosines = (first * second).sum(dim=1) * _SHRINK
    change = (turns[graph.first] * second + first * turns[graph.second]).sum(dim=1) * _SHRINK
    phases = torch.acos(cosines)[:, None] * frequencies
    moved = (-change / torch.sqrt(1 - cosines**2))[:, None] * frequencies
    constant = torch.full_like(phases[:, :1], _SQRT_HALF)
    value = torch.cat([constant, phases.sin(), phases.cos()], dim=1)
    slope = torch.cat([torch.zeros_like(constant), moved * phases.cos(), -moved * phases.sin()], dim=1)
    return torch.stack([value, slope]) / np.sqrt(np.pi)

"""CHGNet's network in torch from its folded weights, differentiable in bonds and in weights.

Geometry and bases are computed in the type of the bond vectors, the network in that of the weights.

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
Checked by tests/potentials/test_potentials_torch_engine.py.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from halion.potentials.folded import (
    LAYER_NORM_EPS,
    AngleLayer,
    AtomLayer,
    BondLayer,
    FoldedWeights,
    Normalised,
)
from halion.potentials.torch_graph import ATOM_CUTOFF, BOND_CUTOFF, CrystalGraph

__all__ = ["last_hidden", "site_energies"]

_WIDTH = 64
# chgnet computes this constant in single precision whatever the type of the model is.
_SQRT_HALF = float(1 / torch.sqrt(torch.tensor(2.0)))
# Before acos; it keeps the slope finite at 180 degrees.
_SHRINK = 1 - 1e-6

# All of `FoldedWeights` and `CrystalGraph` are tensors here.
Frequencies = tuple[Tensor, Tensor, Tensor]


def site_energies(weights: FoldedWeights, frequencies: Frequencies, graph: CrystalGraph, vectors: Tensor) -> Tensor:
    """Energy of every atom without the reference of its element, (n_atoms,).

    Args:
        weights: tensors.
        frequencies: of the radial bases with cutoff 6 and 3 Angstrom and of the angles, in the type of `vectors`.
        graph: tensors.
        vectors: (n_bonds, 3) centre minus neighbour, Angstrom: what energy is differentiated by.
    """
    last_weight, last_bias = weights.readout[-1]
    return linear(last_hidden(weights, frequencies, graph, vectors), last_weight, last_bias)[:, 0]


def last_hidden(weights: FoldedWeights, frequencies: Frequencies, graph: CrystalGraph, vectors: Tensor) -> Tensor:
    """Last hidden layer of the readout, (n_atoms, 64); arguments as in `site_energies`."""
    dtype = weights.atom_embedding.dtype
    distances = vectors.norm(dim=1)
    radial = _radial_basis(distances, frequencies[0], ATOM_CUTOFF).to(dtype)
    near = _radial_basis(distances[graph.short], frequencies[1], BOND_CUTOFF).to(dtype)
    atom_weight, bond_weight = radial @ weights.atom_weight.T, near @ weights.bond_weight.T
    bonds = start = radial[graph.short] @ weights.bond_embedding.T
    angles = _angles(weights, frequencies[2], graph, vectors / distances[:, None])
    atoms = weights.atom_embedding[graph.numbers - 1]
    for k, atom_layer in enumerate(weights.atom_layers):
        change = bonds - start if k else None
        atoms = atoms + _convolve_atoms(atom_layer, graph, atoms, radial, change, atom_weight)
        if k < len(weights.bond_layers):
            bonds = bonds + _convolve_bonds(weights.bond_layers[k], graph, atoms, bonds, angles, bond_weight)
        if k < len(weights.angle_layers):
            angles = angles + _update_angles(weights.angle_layers[k], graph, atoms, bonds, angles)
    normal = torch.nn.functional.layer_norm(
        atoms, (_WIDTH,), weights.readout_scale, weights.readout_shift, LAYER_NORM_EPS
    )
    for weight, bias in weights.readout[:-1]:
        normal = silu(linear(normal, weight, bias))
    return normal


def _angles(weights: FoldedWeights, frequencies: Tensor, graph: CrystalGraph, directions: Tensor) -> Tensor:
    """Angle features before the first update, (n_angles, 64)."""
    ends = torch.cat([directions[graph.short], -directions[graph.short]])
    cosines = (ends[graph.first] * ends[graph.second]).sum(dim=1) * _SHRINK
    phases = torch.acos(cosines)[:, None] * frequencies
    constant = torch.full_like(phases[:, :1], _SQRT_HALF)
    basis = torch.cat([constant, phases.sin(), phases.cos()], dim=1) / np.sqrt(np.pi)
    return basis.to(weights.atom_embedding.dtype) @ weights.angle_embedding.T


def _radial_basis(distances: Tensor, frequencies: Tensor, cutoff: float) -> Tensor:
    """u(x) sqrt(2/rc) sin(f_n x) / r with x = r/rc and u(x) = 1 - 45 x^8 + 80 x^9 - 36 x^10, (n, 31)."""
    x = (distances / cutoff)[:, None]
    envelope = 1 + x**8 * (-45 + x * (80 - 36 * x))
    return envelope * np.sqrt(2 / cutoff) * torch.sin(frequencies * x) / distances[:, None]


def _convolve_atoms(
    layer: AtomLayer, graph: CrystalGraph, atoms: Tensor, radial: Tensor, change: Tensor | None, weight: Tensor
) -> Tensor:
    """What AtomConv adds to the atoms, (n_atoms, 64). `change`: of the short bonds' features since the start."""
    from_bond = linear(radial, layer.edge_basis, layer.bias1)
    if change is not None:
        from_bond = from_bond.index_add(0, graph.short, change @ layer.edge.T)
    centre, neighbour = atoms @ layer.centre.T, atoms @ layer.neighbour.T
    gathered = torch.zeros_like(atoms)
    for here, there in ((graph.centres, graph.neighbours), (graph.neighbours, graph.centres)):
        messages = _gated(layer, centre[here] + neighbour[there] + from_bond) * weight
        gathered = gathered.index_add(0, here, messages)
    return gathered @ layer.out.T


def _convolve_bonds(
    layer: BondLayer, graph: CrystalGraph, atoms: Tensor, bonds: Tensor, angles: Tensor, weight: Tensor
) -> Tensor:
    """What BondConv adds to the short bonds, (n_short, 64)."""
    one, other, _ = _of_angles(graph)
    messages = _gated(layer, _angle_input(layer, graph, atoms, bonds, angles) + layer.bias1)
    messages = messages * weight[one] * weight[other]
    return torch.zeros_like(bonds).index_add(0, one, messages) @ layer.out.T


def _update_angles(layer: AngleLayer, graph: CrystalGraph, atoms: Tensor, bonds: Tensor, angles: Tensor) -> Tensor:
    """What AngleUpdate adds to the angles, (n_angles, 64)."""
    mixed = _angle_input(layer, graph, atoms, bonds, angles) + layer.bias
    return _activated(mixed[:, :_WIDTH], mixed[:, _WIDTH:], layer.norm)


def _angle_input(
    layer: BondLayer | AngleLayer, graph: CrystalGraph, atoms: Tensor, bonds: Tensor, angles: Tensor
) -> Tensor:
    one, other, centre = _of_angles(graph)
    first, second = bonds @ layer.first.T, bonds @ layer.second.T
    return first[one] + second[other] + angles @ layer.angle.T + (atoms @ layer.centre.T)[centre]


def _of_angles(graph: CrystalGraph) -> tuple[Tensor, Tensor, Tensor]:
    """First and second short bond and the atom of every angle."""
    n_short = len(graph.short)
    atom_of_end = torch.cat([graph.centres[graph.short], graph.neighbours[graph.short]])
    return graph.first % n_short, graph.second % n_short, atom_of_end[graph.first]


def _gated(layer: AtomLayer | BondLayer, mixed: Tensor) -> Tensor:
    hidden = silu(mixed)
    core = linear(hidden[:, :_WIDTH], layer.weight2[0], layer.bias2[0])
    gate = linear(hidden[:, _WIDTH:], layer.weight2[1], layer.bias2[1])
    return _activated(core, gate, layer.norm)


def _activated(core: Tensor, gate: Tensor, norm: Normalised) -> Tensor:
    return silu(_normalised(core, norm, 0)) * torch.sigmoid(_normalised(gate, norm, 1))


def _normalised(values: Tensor, norm: Normalised, head: int) -> Tensor:
    """Layer normalisation of values whose mean the folded weights have already removed."""
    return torch.nn.functional.rms_norm(values, (_WIDTH,), norm.scale[head], LAYER_NORM_EPS) + norm.shift[head]

"""CHGNet's weights, folded once for all fast backends: the same function of real numbers with fewer operations.

Three exact rewritings (float64 here; each backend rounds to its own type):

- The first linear layer of a gated block acts on a concatenation, W [x | y | z] = W_x x + W_y y + W_z z, so it is
  kept in blocks: each is applied once per atom, bond or angle instead of once per pair. Core and gate share their
  input, so their blocks are stacked: rows 0-63 are the core's, rows 64-127 the gate's.
- Layer normalisation subtracts the mean of its 64 inputs first. The mean is linear, so the layer before it is
  replaced by (I - 11^T/64) W and (I - 11^T/64) b; what is left to do is x / sqrt(mean(x^2) + eps) * scale + shift.
- A bond feature is e = W_be R + sum of updates, R the radial basis of 6 Angstrom. Bonds longer than 3 Angstrom are
  never updated, so W_e e = (W_e W_be) R: `edge_basis` is that product.

Checked by tests/potentials/test_potentials_folded.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from chgnet.model import CHGNet
from torch import Tensor

from halion.arrays import FloatArray

__all__ = [
    "LAYER_NORM_EPS",
    "AngleLayer",
    "AtomLayer",
    "BondLayer",
    "FoldedWeights",
    "Normalised",
    "fold",
    "fold_tensors",
    "fold_weights",
]

WIDTH = 64
LAYER_NORM_EPS = 1e-5

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """What follows the last linear layer of core and gate: x / sqrt(mean(x^2) + eps) * scale + shift, then
    SiLU (core) or sigmoid (gate). Each (2, 64): core, gate."""

    scale: FloatArray
    shift: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomLayer:
    """AtomConv: v_i += out @ sum_e gated(centre v_i + neighbour v_j + edge e_b + bias1) * (W_ag R6)_b.

    Attributes:
        centre, neighbour, edge: (128, 64) blocks of the first layer.
        edge_basis: (128, 31), edge @ bond_embedding.
        bias1: (128,).
        weight2, bias2: (2, 64, 64), (2, 64): core and gate after SiLU of the first layer, mean removed.
        norm: layer normalisation of core and gate.
        out: (64, 64), no bias.
    """

    centre: FloatArray
    neighbour: FloatArray
    edge: FloatArray
    edge_basis: FloatArray
    bias1: FloatArray
    weight2: FloatArray
    bias2: FloatArray
    norm: Normalised
    out: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BondLayer:
    """BondConv: e_b += out @ sum_a gated(first e_b + second e_b' + angle t_a + centre v_c + bias1) * w_b * w_b'.

    Attributes:
        first, second, angle, centre: (128, 64) blocks of the first layer.
        bias1, weight2, bias2, norm, out: as in `AtomLayer`.
    """

    first: FloatArray
    second: FloatArray
    angle: FloatArray
    centre: FloatArray
    bias1: FloatArray
    weight2: FloatArray
    bias2: FloatArray
    norm: Normalised
    out: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class AngleLayer:
    """AngleUpdate: t_a += gated(first e_b + second e_b' + angle t_a + centre v_c + bias); one linear layer.

    Attributes:
        first, second, angle, centre: (128, 64) blocks, mean removed.
        bias: (128,), mean removed.
        norm: layer normalisation of core and gate.
    """

    first: FloatArray
    second: FloatArray
    angle: FloatArray
    centre: FloatArray
    bias: FloatArray
    norm: Normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedWeights:
    """All that energy, forces and stress need.

    The third AngleUpdate feeds nothing and the magnetic moments are off the energy's path: both are left out.

    Attributes:
        atom_embedding: (94, 64), row Z - 1.
        reference_energy: (94,) eV per atom of element Z - 1.
        frequencies6, frequencies3: (31,) of the radial bases with cutoff 6 and 3 Angstrom.
        angle_frequencies: (15,) of the Fourier basis.
        bond_embedding: (64, 31) e_b = bond_embedding R6, start of the bond features.
        atom_weight: (64, 31) w_a = atom_weight R6, weight of messages to atoms.
        bond_weight: (64, 31) w_b = bond_weight R3, weight of messages to bonds.
        angle_embedding: (64, 31) start of the angle features.
        atom_layers: 4; bond_layers: 3; angle_layers: 2.
        readout_scale, readout_shift: (64,) of the normalisation before the readout (its mean is not folded).
        readout: weights and biases of 64-64-64-64-1 with SiLU between.
    """

    atom_embedding: FloatArray
    reference_energy: FloatArray
    frequencies6: FloatArray
    frequencies3: FloatArray
    angle_frequencies: FloatArray
    bond_embedding: FloatArray
    atom_weight: FloatArray
    bond_weight: FloatArray
    angle_embedding: FloatArray
    atom_layers: tuple[AtomLayer, ...]
    bond_layers: tuple[BondLayer, ...]
    angle_layers: tuple[AngleLayer, ...]
    readout_scale: FloatArray
    readout_shift: FloatArray
    readout: tuple[tuple[FloatArray, FloatArray], ...]


def fold(model: CHGNet) -> FoldedWeights:
    """Folded weights of a CHGNet of the architecture that `load_model` accepts.

    Returns:
        float64 arrays; the model is not changed.
    """
    return fold_weights(model.state_dict())


def fold_weights(weights: Mapping[str, Tensor]) -> FoldedWeights:
    """The same from the weights by their names in chgnet."""
    return _as_arrays(fold_tensors({name: tensor.detach().cpu().double() for name, tensor in weights.items()}))


def fold_tensors(weights: Mapping[str, Tensor]) -> FoldedWeights:
    """The same as tensors that can be differentiated by them."""
    embedding = weights["bond_embedding.weight"]
    return FoldedWeights(
        atom_embedding=weights["atom_embedding.embedding.weight"],
        reference_energy=weights["composition_model.fc.weight"][0],
        frequencies6=weights["bond_basis_expansion.rbf_expansion_ag.frequencies"],
        frequencies3=weights["bond_basis_expansion.rbf_expansion_bg.frequencies"],
        angle_frequencies=weights["angle_basis_expansion.fourier_expansion.frequencies"],
        bond_embedding=embedding,
        atom_weight=weights["bond_weights_ag.weight"],
        bond_weight=weights["bond_weights_bg.weight"],
        angle_embedding=weights["angle_embedding.weight"],
        atom_layers=tuple(_atom_layer(weights, k, embedding) for k in range(4)),
        bond_layers=tuple(_bond_layer(weights, k) for k in range(3)),
        angle_layers=tuple(_angle_layer(weights, k) for k in range(2)),
        readout_scale=weights["readout_norm.weight"],
        readout_shift=weights["readout_norm.bias"],
        readout=tuple((weights[f"mlp.layers.{k}.weight"], weights[f"mlp.layers.{k}.bias"]) for k in (0, 2, 4, 7)),
    )


def _atom_layer(weights: Mapping[str, Tensor], k: int, embedding: Tensor) -> AtomLayer:
    block = f"atom_conv_layers.{k}.twoBody_atom"
    (centre, edge, neighbour), bias1 = _first(weights, block, layer=0, n_parts=3)
    weight2, bias2 = _second(weights, block)
    return AtomLayer(
        centre=centre,
        neighbour=neighbour,
        edge=edge,
        edge_basis=edge @ embedding,
        bias1=bias1,
        weight2=weight2,
        bias2=bias2,
        norm=_norm(weights, block),
        out=weights[f"atom_conv_layers.{k}.mlp_out.layers.1.weight"],
    )


def _bond_layer(weights: Mapping[str, Tensor], k: int) -> BondLayer:
    block = f"bond_conv_layers.{k}.twoBody_bond"
    (first, second, angle, centre), bias1 = _first(weights, block, layer=0, n_parts=4)
    weight2, bias2 = _second(weights, block)
    return BondLayer(
        first=first,
        second=second,
        angle=angle,
        centre=centre,
        bias1=bias1,
        weight2=weight2,
        bias2=bias2,
        norm=_norm(weights, block),
        out=weights[f"bond_conv_layers.{k}.mlp_out.layers.1.weight"],
    )


def _angle_layer(weights: Mapping[str, Tensor], k: int) -> AngleLayer:
    block = f"angle_layers.{k}.twoBody_bond"
    parts, bias = _first(weights, block, layer=1, n_parts=4)
    first, second, angle, centre = (_per_head(part) for part in parts)
    return AngleLayer(
        first=first, second=second, angle=angle, centre=centre, bias=_per_head(bias), norm=_norm(weights, block)
    )


def _first(weights: Mapping[str, Tensor], block: str, *, layer: int, n_parts: int) -> tuple[list[Tensor], Tensor]:
    """Blocks of the first linear layer, core stacked on gate, and its bias."""
    heads = [f"{block}.mlp_{head}.layers.{layer}" for head in ("core", "gate")]
    weight = torch.cat([weights[f"{head}.weight"] for head in heads])
    bias = torch.cat([weights[f"{head}.bias"] for head in heads])
    return [part.contiguous() for part in torch.chunk(weight, n_parts, dim=1)], bias


def _second(weights: Mapping[str, Tensor], block: str) -> tuple[Tensor, Tensor]:
    heads = [f"{block}.mlp_{head}.layers.3" for head in ("core", "gate")]
    weight = torch.stack([_without_mean(weights[f"{head}.weight"]) for head in heads])
    return weight, torch.stack([_without_mean(weights[f"{head}.bias"]) for head in heads])


def _norm(weights: Mapping[str, Tensor], block: str) -> Normalised:
    return Normalised(
        scale=torch.stack([weights[f"{block}.bn1.weight"], weights[f"{block}.bn2.weight"]]),
        shift=torch.stack([weights[f"{block}.bn1.bias"], weights[f"{block}.bn2.bias"]]),
    )


def _per_head(stacked: Tensor) -> Tensor:
    return torch.cat([_without_mean(half) for half in torch.chunk(stacked, 2)])


def _without_mean(array: Tensor) -> Tensor:
    """(I - 11^T/n) array: the mean over outputs taken away."""
    return array - array.mean(dim=0, keepdim=True)


def _as_arrays(part: T) -> T:
    """The same dataclass (or tuple) with float64 arrays in the place of tensors."""
    if isinstance(part, Tensor):
        return np.ascontiguousarray(part.numpy())
    if isinstance(part, tuple):
        return tuple(_as_arrays(one) for one in part)
    assert is_dataclass(part)
    return replace(part, **{f.name: _as_arrays(getattr(part, f.name)) for f in fields(part)})

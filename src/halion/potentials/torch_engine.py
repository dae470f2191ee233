"""CHGNet in torch from its folded weights: many cells as one graph, any device, any floating type.

The same function as chgnet's own model with a third of its operations (see `folded`). Forces and virial come from
one backward pass to the bond vectors: with g_b = dE/dvec_b and vec_b = r_centre - r_neighbour,

    F_i = -sum_{b: centre i} g_b + sum_{b: neighbour i} g_b,     dE/dstrain = sum_b vec_b (x) g_b.

Geometry and bases are computed in double precision, the network in the type asked for, sums over atoms and bonds in
double precision. In double precision throughout it is the oracle of the faster backends.

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, silu

from halion.arrays import FloatArray, IntArray
from halion.potentials.engine_types import EngineResult
from halion.potentials.folded import (
    LAYER_NORM_EPS,
    AngleLayer,
    AtomLayer,
    BondLayer,
    FoldedWeights,
    Normalised,
)
from halion.potentials.torch_graph import ATOM_CUTOFF, BOND_CUTOFF, CrystalGraph, build_graph, join_graphs

__all__ = ["TorchEngine"]

_WIDTH = 64
# chgnet computes this constant in single precision whatever the type of the model is.
_SQRT_HALF = float(1 / torch.sqrt(torch.tensor(2.0)))
# Before acos; it keeps the slope finite at 180 degrees.
_SHRINK = 1 - 1e-6
# Bonds of one batch. Measured: a bond takes 36 to 43 kB in single precision, its angles included (activations kept
# for the backward pass). So 0.4 GB on a CPU, and 9 GB on an accelerator, which needs large batches.
_MOST_BONDS = {"cpu": 10_000, "cuda": 200_000}

T = TypeVar("T")


class TorchEngine:
    """An `Engine` in plain torch.

    Args:
        weights: of the pretrained or a fine-tuned CHGNet.
        device: "cpu", "cuda", "cuda:1", ...
        dtype: type of the network; torch.float64 makes it the oracle.
    On one CPU thread the same batch gives the same bits. Accuracy against double precision:
    benchmarks/results/engine_accuracy.md. Checked by tests/potentials/test_potentials_torch_engine.py.
    """

    def __init__(self, weights: FoldedWeights, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self._device, self._dtype = torch.device(device), dtype
        self._weights = _as_tensors(weights, self._device, dtype)
        self._frequencies = tuple(
            torch.tensor(frequencies, dtype=torch.float64, device=self._device)
            for frequencies in (weights.frequencies6, weights.frequencies3, weights.angle_frequencies)
        )
        self._reference_energy = weights.reference_energy

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Energies, forces and virials of structures whose atoms follow each other, see `Engine`.

        The structures are evaluated in batches of bounded memory; one large structure is one batch.
        """
        results = [
            self._evaluate_graph(join_graphs(graphs), len(graphs))
            for graphs in self._batches(numbers, positions, cells, counts)
        ]
        energies, forces, virials = zip(*results, strict=True) if results else ((), (), ())
        structures = np.repeat(np.arange(len(counts)), counts)
        references = np.bincount(structures, self._reference_energy[numbers - 1], minlength=len(counts))
        return EngineResult(
            energies=np.concatenate([*energies, np.empty(0)]) + references,
            forces=np.concatenate([*forces, np.empty((0, 3))]),
            virials=np.concatenate([*virials, np.empty((0, 3, 3))]),
        )

    def last_layer_features(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> FloatArray:
        """Last hidden layer of the readout of every atom, (n_atoms_total, 64).

        The energy of an atom, without the reference of its element, is their product with the last weights plus the
        last bias. Arguments and batches as in `evaluate`.
        Checked by tests/potentials/test_potentials_last_layer.py.
        """
        features = []
        with torch.no_grad():
            for graphs in self._batches(numbers, positions, cells, counts):
                graph = _as_tensors(join_graphs(graphs), self._device, torch.float64)
                features.append(self._last_hidden(graph, graph.vectors).double().cpu().numpy())
        return np.concatenate([*features, np.empty((0, _WIDTH))])

    def _batches(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> Iterator[list[CrystalGraph]]:
        batch: list[CrystalGraph] = []
        n_bonds = 0
        for count, end, cell in zip(counts, np.cumsum(counts), cells, strict=True):
            graph = build_graph(numbers[end - count : end], positions[end - count : end], cell)
            if batch and n_bonds + len(graph.centres) > _MOST_BONDS.get(self._device.type, _MOST_BONDS["cpu"]):
                yield batch
                batch, n_bonds = [], 0
            batch.append(graph)
            n_bonds += len(graph.centres)
        if batch:
            yield batch

    def _evaluate_graph(self, graph: CrystalGraph, n_structures: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        graph = _as_tensors(graph, self._device, torch.float64)
        vectors = graph.vectors.requires_grad_(True)
        site_energies = self._site_energies(graph, vectors).double()
        (slopes,) = torch.autograd.grad(site_energies.sum(), vectors, allow_unused=True, materialize_grads=True)
        energies = site_energies.new_zeros(n_structures).index_add(0, graph.structures, site_energies.detach())
        forces = slopes.new_zeros(len(graph.numbers), 3)
        forces.index_add_(0, graph.centres, slopes, alpha=-1).index_add_(0, graph.neighbours, slopes)
        outer = vectors.detach()[:, :, None] * slopes[:, None, :]
        virials = outer.new_zeros(n_structures, 3, 3).index_add(0, graph.structures[graph.centres], outer)
        return energies.cpu().numpy(), forces.cpu().numpy(), virials.cpu().numpy()

    def _site_energies(self, graph: CrystalGraph, vectors: Tensor) -> Tensor:
        """Energy of every atom without the reference of its element, (n_atoms,)."""
        last_weight, last_bias = self._weights.readout[-1]
        return linear(self._last_hidden(graph, vectors), last_weight, last_bias)[:, 0]

    def _last_hidden(self, graph: CrystalGraph, vectors: Tensor) -> Tensor:
        """Last hidden layer of the readout, (n_atoms, 64)."""
        weights = self._weights
        distances = vectors.norm(dim=1)
        radial = _radial_basis(distances, self._frequencies[0], ATOM_CUTOFF).to(self._dtype)
        near = _radial_basis(distances[graph.short], self._frequencies[1], BOND_CUTOFF).to(self._dtype)
        atom_weight, bond_weight = radial @ weights.atom_weight.T, near @ weights.bond_weight.T
        bonds = start = radial[graph.short] @ weights.bond_embedding.T
        angles = self._angles(graph, vectors / distances[:, None])
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

    def _angles(self, graph: CrystalGraph, directions: Tensor) -> Tensor:
        """Angle features before the first update, (n_angles, 64)."""
        ends = torch.cat([directions[graph.short], -directions[graph.short]])
        cosines = (ends[graph.first] * ends[graph.second]).sum(dim=1) * _SHRINK
        phases = torch.acos(cosines)[:, None] * self._frequencies[2]
        constant = torch.full_like(phases[:, :1], _SQRT_HALF)
        basis = torch.cat([constant, phases.sin(), phases.cos()], dim=1) / np.sqrt(np.pi)
        return basis.to(self._dtype) @ self._weights.angle_embedding.T


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


def _as_tensors(part: T, device: torch.device, dtype: torch.dtype) -> T:
    """The same dataclass (or tuple) with tensors in the place of arrays; integers keep their type."""
    if isinstance(part, np.ndarray):
        kind = dtype if np.issubdtype(part.dtype, np.floating) else torch.int64
        return torch.tensor(part, dtype=kind, device=device)
    if isinstance(part, tuple):
        return tuple(_as_tensors(one, device, dtype) for one in part)
    assert is_dataclass(part)
    return replace(part, **{f.name: _as_tensors(getattr(part, f.name), device, dtype) for f in fields(part)})

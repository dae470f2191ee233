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

from halion.arrays import FloatArray, IntArray
from halion.potentials.engine_types import EngineResult
from halion.potentials.folded import FoldedWeights
from halion.potentials.torch_graph import CrystalGraph, build_graph, join_graphs
from halion.potentials.torch_network import last_hidden, site_energies

__all__ = ["TorchEngine", "as_tensors"]

_WIDTH = 64
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
        self._weights = as_tensors(weights, self._device, dtype)
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
                graph = as_tensors(join_graphs(graphs), self._device, torch.float64)
                features.append(
                    last_hidden(self._weights, self._frequencies, graph, graph.vectors).double().cpu().numpy()
                )
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
        graph = as_tensors(graph, self._device, torch.float64)
        vectors = graph.vectors.requires_grad_(True)
        energies_of_sites = site_energies(self._weights, self._frequencies, graph, vectors).double()
        (slopes,) = torch.autograd.grad(energies_of_sites.sum(), vectors, allow_unused=True, materialize_grads=True)
        energies = energies_of_sites.new_zeros(n_structures)
        energies = energies.index_add(0, graph.structures, energies_of_sites.detach())
        forces = slopes.new_zeros(len(graph.numbers), 3)
        forces.index_add_(0, graph.centres, slopes, alpha=-1).index_add_(0, graph.neighbours, slopes)
        outer = vectors.detach()[:, :, None] * slopes[:, None, :]
        virials = outer.new_zeros(n_structures, 3, 3).index_add(0, graph.structures[graph.centres], outer)
        return energies.cpu().numpy(), forces.cpu().numpy(), virials.cpu().numpy()


def as_tensors(part: T, device: torch.device, dtype: torch.dtype) -> T:
    """The same dataclass (or tuple) with tensors in the place of arrays; integers keep their type."""
    if isinstance(part, np.ndarray):
        kind = dtype if np.issubdtype(part.dtype, np.floating) else torch.int64
        return torch.tensor(part, dtype=kind, device=device)
    if isinstance(part, tuple):
        return tuple(as_tensors(one, device, dtype) for one in part)
    assert is_dataclass(part)
    return replace(part, **{f.name: as_tensors(getattr(part, f.name), device, dtype) for f in fields(part)})

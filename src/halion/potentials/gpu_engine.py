"""CHGNet on a CUDA device: Triton kernels with a hand-written way back, neighbours and sums on the device.

Geometry, bases, and the sums of energies and virials are in float64; the network is in float32, its products at
the precision that was named. All sums have a fixed order: on one device with one Triton the same positions give the
same bits, alone or in a batch of other cells, whatever the skin, whenever the list was built.

    engine.prepare(numbers, counts)
    energies, forces, virials = engine.evaluate_tensors(positions, cells)      # on the device, no waiting
    if engine.settle(): ...                                                    # something did not fit: once more

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, MissingDependency
from halion.potentials.engine_types import EngineResult
from halion.potentials.folded import FoldedWeights
from halion.potentials.gpu.backward import evaluate_network
from halion.potentials.gpu.geometry import TOTALS, compute_bases, forces_from_gradients, sum_rows_of_structures
from halion.potentials.gpu.launch import is_interpreted
from halion.potentials.gpu.lists import Capacity, DeviceGraph
from halion.potentials.gpu.network import Network
from halion.potentials.gpu.weights import pack_weights

__all__ = ["MOST_ATOMS", "PRECISIONS", "GpuEngine", "Precision"]

Precision = Literal["fp32", "tf32x3", "tf32", "fp64"]
# Name -> precision of the matrix products in Triton's words, and the type of the network.
PRECISIONS: dict[str, tuple[str, torch.dtype]] = {
    "fp32": ("ieee", torch.float32),
    "tf32x3": ("tf32x3", torch.float32),
    "tf32": ("tf32", torch.float32),
    "fp64": ("ieee", torch.float64),
}
# About 100 kB an atom are live at once, so 10 GB; more cells are evaluated one group after the other.
MOST_ATOMS = 100_000


class GpuEngine:
    """An `Engine` on a CUDA device.

    Args:
        weights: of the pretrained or a fine-tuned CHGNet.
        device: "cuda", "cuda:1", ...; "cpu" in Triton's interpreter (TRITON_INTERPRET=1), slow, for tests.
        precision: of matrix products. "fp32"; "tf32x3", on tensor cores, each product as three of the type TF32,
            as exact in an emulation; "tf32", on tensor cores with 10 bits of mantissa: in an emulation off by
            6e-4 eV/atom and 7e-4 eV/Angstrom (test_emulated_precisions; no device has been asked yet);
            "fp64", network and all in float64, to check the others.
        skin: Angstrom beyond 6 that the neighbour list covers; larger lists are built less often.
    Raises:
        InputError: an unknown precision.
        MissingDependency: no CUDA device.
    Checked by tests/potentials/test_potentials_gpu_engine.py; measured by benchmarks/engine_gpu.py.
    """

    def __init__(
        self,
        weights: FoldedWeights,
        *,
        device: str = "cuda",
        precision: Precision = "fp32",
        skin: float = 0.5,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"no precision '{precision}'", fix=f"use one of {', '.join(PRECISIONS)}")
        self.device, self.precision, self.skin = _checked_device(device), precision, skin
        self._dot, self._dtype = PRECISIONS[precision]
        self._weights = pack_weights(weights, self.device, self._dtype)
        self._numbers, self._counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._graph: DeviceGraph | None = None
        self._network: Network | None = None

    def twin(self) -> GpuEngine:
        """Another engine with these weights and its own buffers, which a captured graph needs for itself."""
        twin = copy.copy(self)
        twin._numbers, twin._counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        twin._graph = twin._network = None
        return twin

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Energies, forces and virials of structures whose atoms follow each other, see `Engine`."""
        results = []
        for first, last in _groups(np.asarray(counts)):
            atoms = slice(int(np.sum(counts[:first])), int(np.sum(counts[:last])))
            self.prepare(numbers[atoms], counts[first:last])
            arrays = (positions[atoms], cells[first:last])
            tensors = [
                torch.tensor(np.ascontiguousarray(a), dtype=torch.float64, device=self.device) for a in arrays
            ]
            answer = self.evaluate_tensors(*tensors)
            while self.settle():
                answer = self.evaluate_tensors(*tensors)
            results.append([tensor.cpu().numpy() for tensor in answer])
        energies, forces, virials = (np.concatenate(parts) for parts in zip(*results))
        return EngineResult(energies=energies, forces=forces, virials=virials)

    def prepare(self, numbers: IntArray, counts: IntArray) -> None:
        """Set up the buffers for structures of these elements; nothing to do if they are those of before.

        Args:
            numbers: (n_atoms,) atomic numbers, 1 to 94.
            counts: (n_structures,) atoms of each structure, at least one.
        Raises:
            InputError: an element that CHGNet does not know, an empty structure, numbers that do not add up.
        """
        numbers, counts = np.asarray(numbers, dtype=np.int64), np.asarray(counts, dtype=np.int64)
        if np.array_equal(numbers, self._numbers) and np.array_equal(counts, self._counts):
            return
        if len(counts) == 0 or counts.min() < 1 or counts.sum() != len(numbers):
            raise InputError(
                f"{len(numbers)} atoms do not make {len(counts)} structures of {counts.tolist()[:8]} atoms",
                fix="give at least one structure, none empty, whose atoms add up",
            )
        if numbers.min() < 1 or numbers.max() > len(self._weights.references):
            raise InputError(
                f"atomic numbers from {numbers.min()} to {numbers.max()}: CHGNet knows 1 to 94",
                fix="check the atomic numbers",
            )
        self._numbers, self._counts = numbers.copy(), counts.copy()
        self._allocate(Capacity.guess(len(numbers)))

    def evaluate_tensors(
        self, positions: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Energies (n_structures,), forces (n_atoms, 3), virials (n_structures, 3, 3) of the prepared structures.

        Nothing waits for the device, so a CUDA graph can capture it. The numbers are right if `settle` says
        so afterwards; they are NaN where positions are.

        Args:
            positions: (n_atoms, 3) float64 on the device, Angstrom, wrapped or not.
            cells: (n_structures, 3, 3) float64 on the device, row vectors.
        """
        graph, network = self._ready()
        shapes = (graph.n_atoms, 3), (graph.n_structures, 3, 3)
        for tensor, shape in zip((positions, cells), shapes):
            if tensor.shape != shape or tensor.dtype != torch.float64 or tensor.device.type != self.device.type:
                raise InputError(
                    f"a tensor {tuple(tensor.shape)} of {tensor.dtype} on {tensor.device}",
                    fix=f"pass {shape} of torch.float64 on {self.device}, or call prepare() for these structures",
                )
        with self._on_device():
            graph.update(positions.contiguous(), cells.contiguous())
            bases, thetas = compute_bases(graph, self._weights, self._dtype)
            sites, gradients = evaluate_network(network, bases)
            return forces_from_gradients(graph, self._weights, thetas, gradients, (sites, network.references))

    def sum_over_structures(self, values: torch.Tensor) -> torch.Tensor:
        """Sums over the atoms of each prepared structure, always in the same order: (n_structures, ...).

        Args:
            values: (n_atoms, ...) float64 on the device, at most 16 numbers per atom.
        """
        graph, _ = self._ready()
        width = values[0].numel()
        if values.dtype != torch.float64 or len(values) != graph.n_atoms or width > TOTALS:
            raise InputError(
                f"sums over structures of {tuple(values.shape)} {values.dtype}",
                fix=f"pass float64, {graph.n_atoms} rows, at most {TOTALS} numbers in each",
            )
        rows = torch.zeros(graph.n_atoms, TOTALS, dtype=torch.float64, device=self.device)
        rows[:, :width] = values.reshape(graph.n_atoms, width)
        with self._on_device():
            return sum_rows_of_structures(graph, rows)[:, :width].reshape(graph.n_structures, *values.shape[1:])

    @property
    def needed(self) -> torch.Tensor:
        """Room that evaluations needed since the last `settle`, on the device: for `settle` to judge."""
        return self._ready()[0].needed

    def settle(self, needed: list[int] | None = None) -> bool:
        """Whether an evaluation since the last call did not fit its buffers; if so they have been enlarged.

        What was evaluated since then is to be evaluated again. Captured CUDA graphs are to be captured again.

        Args:
            needed: a copy of `needed`; without it the device is asked, which waits for it.
        Raises:
            InputError: a cell so thin that it cannot be meant.
        """
        graph, _ = self._ready()
        room = graph.look(needed)
        if room is not None:
            self._allocate(room)
        return room is not None

    def _on_device(self) -> AbstractContextManager:
        """Triton starts kernels on the current device."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    def _ready(self) -> tuple[DeviceGraph, Network]:
        if self._graph is None or self._network is None:
            raise InputError("the engine knows no structure yet", fix="call prepare(numbers, counts) first")
        return self._graph, self._network

    def _allocate(self, room: Capacity) -> None:
        elements = torch.tensor(self._numbers - 1, device=self.device)
        self._graph = DeviceGraph(self._counts.tolist(), self.device, room, self.skin)
        self._network = Network(self._weights, self._graph, elements, self._dot)


def _checked_device(name: str) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MissingDependency(
            f"device '{name}' was asked for, and torch {torch.__version__} sees no CUDA device",
            fix="use device cpu, or install a CUDA build of torch",
        )
    if device.type != "cuda" and not is_interpreted():
        raise InputError(
            f"the GPU engine does not run on device '{name}'",
            fix="use device cuda; for tests on a CPU set TRITON_INTERPRET=1 before Python starts",
        )
    return device


def _groups(counts: IntArray) -> list[tuple[int, int]]:
    """(first, behind the last) structure of groups of at most `MOST_ATOMS` atoms, or of one structure."""
    if len(counts) == 0:
        raise InputError("there is no structure to evaluate", fix="give at least one structure")
    bounds, size = [0], 0
    for k, count in enumerate(counts.tolist()):
        if size and size + count > MOST_ATOMS:
            bounds.append(k)
            size = 0
        size += count
    return list(pairwise([*bounds, len(counts)]))

"""A batch of runs that stays on its device: what dynamics needs there, behind `DeviceSteps`."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch

from halion.arrays import FloatArray, IntArray
from halion.potentials.engine_types import DeviceStep
from halion.potentials.gpu.graph_steps import GraphSteps
from halion.potentials.gpu_engine import GpuEngine

__all__ = ["GpuSteps"]


class GpuSteps:
    """Steps of runs of these structures on a CUDA device, see `DeviceSteps`.

    Args:
        engine: gives its weights; its own buffers are left alone.
        numbers, counts: as for `GpuEngine.prepare`.
    Checked by tests/potentials/test_potentials_gpu_stretch.py.
    """

    xp: ModuleType = torch

    def __init__(self, engine: GpuEngine, numbers: IntArray, counts: IntArray) -> None:
        self._engine = engine.twin()
        self._engine.prepare(numbers, counts)
        self._steps: GraphSteps | None = None

    def put(self, array: FloatArray | IntArray) -> torch.Tensor:
        """An array as a tensor on the device, of its type."""
        return torch.tensor(np.ascontiguousarray(array), device=self._engine.device)

    def get(self, tensor: torch.Tensor) -> FloatArray:
        """A tensor of the device as an array of the host, a copy."""
        return tensor.cpu().numpy().copy()

    def sum_over_structures(self, values: torch.Tensor) -> torch.Tensor:
        """Sums over the atoms of each structure, in a fixed order."""
        return self._engine.sum_over_structures(values)

    def evaluate(
        self, positions: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Energies, forces and virials, without waiting for the device."""
        return self._engine.evaluate_tensors(positions, cells)

    def begin(self, step: DeviceStep, state: Sequence[torch.Tensor]) -> None:
        """Take this for the step, and start from this state."""
        self._steps = GraphSteps(self._engine, step, state, n_steps=1)

    def advance(self, n_steps: int) -> tuple[torch.Tensor, ...]:
        """The state so many steps later; its tensors are overwritten by the next call."""
        self._steps.advance(n_steps)
        return self._steps.state

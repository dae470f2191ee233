"""Many time steps as one CUDA graph: list, network, integrator and thermometer replayed without the host.

A step is a function of tensors that gives tensors of the same shapes: the state of a run, which must hold
everything (positions, momenta, cells, thermostats, random state, counters). Buffers stay in place; n steps are
captured once, and a chunk is one replay or several. If the neighbours of some step did not fit their buffers, the
engine gives them more room, the graph is captured anew and the chunk is replayed from the state that it began with.
The device is asked about that when the next chunk or the state is wanted, so the host is free in between.

Without a CUDA device the same steps are taken one by one. Checked by tests/potentials/test_potentials_gpu_steps.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from halion.errors import InputError
from halion.potentials.gpu_engine import GpuEngine

__all__ = ["GraphSteps", "Step"]

Step = Callable[[tuple[torch.Tensor, ...]], Sequence[torch.Tensor]]


class GraphSteps:
    """Steps of a run on the device, `n_steps` in one graph.

    Args:
        engine: prepared for the run's structures; the step calls its `evaluate_tensors`.
        step: from state to state; it must not ask the device for values (no item(), no shape from data).
        state: tensors on the engine's device; copied.
        n_steps: in one graph, at least 1.
    Raises:
        InputError: no step, or a step whose result is not a state; what `GpuEngine.settle` raises.
    """

    def __init__(self, engine: GpuEngine, step: Step, state: Sequence[torch.Tensor], n_steps: int) -> None:
        if n_steps < 1:
            raise InputError(f"a chunk of {n_steps} steps", fix="take at least one step")
        self._engine, self._step, self._n_steps, self._times = engine, step, n_steps, 1
        self._state = tuple(tensor.clone() for tensor in state)
        self._start = tuple(tensor.clone() for tensor in state)
        self._needed = engine.needed.cpu()
        if self._is_cuda:
            self._needed = self._needed.pin_memory()
            self._done = torch.cuda.Event()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._is_pending = False

    @property
    def state(self) -> tuple[torch.Tensor, ...]:
        """The state after the chunks so far. The buffers themselves: copy what shall outlive the next chunk."""
        self._settle()
        return self._state

    def advance(self, times: int = 1) -> None:
        """Start the next chunk of steps: so many graphs, one after the other."""
        self._settle()
        _copy(self._state, self._start)
        self._times = times
        self._run()

    @property
    def _is_cuda(self) -> bool:
        return self._engine.device.type == "cuda"

    def _run(self) -> None:
        if not self._is_cuda:
            for _ in range(self._n_steps * self._times):
                self._one_step()
            self._needed.copy_(self._engine.needed)
        else:
            if self._graph is None:
                self._capture()
            for _ in range(self._times):
                self._graph.replay()
            self._needed.copy_(self._engine.needed, non_blocking=True)
            self._done.record()
        self._is_pending = True

    def _settle(self) -> None:
        """See that the chunk under way fitted; replay it with more room until it does."""
        while self._is_pending:
            if self._is_cuda:
                self._done.synchronize()
            self._is_pending = False
            if self._engine.settle(self._needed.tolist()):
                self._graph = None
                _copy(self._start, self._state)
                self._run()

    def _one_step(self) -> None:
        after = tuple(self._step(self._state))
        fits = len(after) == len(self._state)
        if not fits or any(a.shape != b.shape or a.dtype != b.dtype for a, b in zip(after, self._state)):
            raise InputError(
                f"a step made {[tuple(a.shape) for a in after]} of {[tuple(b.shape) for b in self._state]}",
                fix="let the step give a state of the same shapes and types as it takes",
            )
        # A step may hand a buffer on as another part of the state: that one must not be overwritten first.
        own = {buffer.data_ptr() for buffer in self._state}
        _copy(tuple(tensor.clone() if tensor.data_ptr() in own else tensor for tensor in after), self._state)

    def _capture(self) -> None:
        """Record n steps. One is taken before, on the side, so that all kernels are compiled; it is undone."""
        side = torch.cuda.Stream(self._engine.device)
        side.wait_stream(torch.cuda.current_stream(self._engine.device))
        with torch.cuda.stream(side):
            self._one_step()
        torch.cuda.current_stream(self._engine.device).wait_stream(side)
        _copy(self._start, self._state)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(self._n_steps):
                self._one_step()
        self._graph = graph


def _copy(source: Sequence[torch.Tensor], target: Sequence[torch.Tensor]) -> None:
    for a, b in zip(source, target):
        b.copy_(a)

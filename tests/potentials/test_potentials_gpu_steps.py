"""Steps on the device: a chunk is its steps, is taken again if it did not fit, and a CUDA graph changes no bit."""

import numpy as np
import pytest
import torch
from gpu_setup import DEVICE, QUIET, chgnet_weights, small_batch

from halion.errors import InputError
from halion.potentials.gpu.graph_steps import GraphSteps
from halion.potentials.gpu.lists import Capacity
from halion.potentials.gpu_engine import GpuEngine
from halion.units import time_to_ase

pytestmark = QUIET
STEP = time_to_ase(0.001)


@pytest.fixture(scope="module")
def weights():
    return chgnet_weights()


def roomy() -> Capacity:
    return Capacity(slots=96, edges=256, bonds=32, angles=128)


def rocksalt_run(weights, room=None) -> tuple[GpuEngine, tuple[torch.Tensor, ...]]:
    """An engine and a state: positions, velocities, forces, cells, energy, number of steps."""
    numbers, positions, cells, counts = (array[: 2 if len(array) > 2 else 1] for array in small_batch())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Capacity, "guess", classmethod(lambda cls, n_atoms: room or roomy()))
        engine = GpuEngine(weights, device=DEVICE)
        engine.prepare(numbers, counts)
    velocities = np.random.default_rng(0).normal(scale=0.02, size=positions.shape)
    arrays = (positions, velocities - velocities.mean(axis=0), np.zeros_like(positions), cells, np.zeros(1))
    floats = [torch.tensor(array, dtype=torch.float64, device=DEVICE) for array in arrays]
    return engine, (*floats, torch.zeros(1, dtype=torch.int64, device=DEVICE))


def verlet(engine):
    masses = torch.tensor([[6.94], [35.45]], dtype=torch.float64, device=DEVICE)

    def step(state):
        positions, velocities, forces, cells, _, n = state
        velocities = velocities + 0.5 * STEP * forces / masses
        positions = positions + STEP * velocities
        energies, forces, _ = engine.evaluate_tensors(positions, cells)
        return positions, velocities + 0.5 * STEP * forces / masses, forces, cells, energies, n + 1

    return step


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other))


def by_hand(engine, state, n_steps):
    step = verlet(engine)
    for _ in range(n_steps):
        state = step(state)
    assert not engine.settle()
    return state


@pytest.mark.slow
def test_chunks_are_the_steps_and_overflow_replays_them(weights):
    """Room for 4 angles is too little: the first chunk is taken again with more, to the same bits."""
    wanted = by_hand(*rocksalt_run(weights), 2)
    engine, state = rocksalt_run(weights, room=Capacity(slots=96, edges=256, bonds=32, angles=4))
    steps = GraphSteps(engine, verlet(engine), state, n_steps=1)
    steps.advance()
    assert int(steps._state[5]) == 1 and engine._graph.capacity.angles == 4
    steps.advance()
    assert engine._graph.capacity.angles > 4
    assert same(steps.state, wanted) and int(state[5]) == 0


def test_a_step_may_pass_its_buffers_around(weights):
    engine, _ = rocksalt_run(weights)
    state = torch.zeros(3, device=DEVICE), torch.ones(3, device=DEVICE)
    steps = GraphSteps(engine, lambda s: (s[1], s[0]), state, n_steps=3)
    steps.advance()
    assert same(steps.state, state[::-1])


def test_what_is_no_step_is_refused(weights):
    engine, state = rocksalt_run(weights)
    with pytest.raises(InputError, match="0 steps"):
        GraphSteps(engine, verlet(engine), state, n_steps=0)
    with pytest.raises(InputError, match="a step made"):
        GraphSteps(engine, lambda s: s[:2], state, n_steps=1).advance()


@pytest.mark.gpu
def test_a_cuda_graph_changes_no_bit(weights):
    engine, state = rocksalt_run(weights)
    steps = GraphSteps(engine, verlet(engine), state, n_steps=3)
    for _ in range(2):
        steps.advance()
    assert steps._graph is not None
    assert same(steps.state, by_hand(*rocksalt_run(weights), 6))


@pytest.mark.gpu
def test_a_cuda_graph_is_captured_anew_when_it_did_not_fit(weights):
    engine, state = rocksalt_run(weights, room=Capacity(slots=96, edges=256, bonds=32, angles=4))
    steps = GraphSteps(engine, verlet(engine), state, n_steps=3)
    steps.advance()
    assert same(steps.state, by_hand(*rocksalt_run(weights), 3))

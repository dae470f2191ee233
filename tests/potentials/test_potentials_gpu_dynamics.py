"""The integrators of `halion.dynamics` on the device: their functions on torch tensors with the engine's forces.

Nothing leaves the device in a step, so a chunk of steps can be a CUDA graph. Against the same functions on numpy
arrays with forces from `evaluate`, both with the network in float64, so that only rounding is between them.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from ase.data import atomic_masses
from gpu_setup import DEVICE, QUIET, chgnet_weights, small_batch

from halion.dynamics.integrators import CHAIN_LENGTH, Conditions, Motion, after_forces, before_forces
from halion.potentials.gpu.graph_steps import GraphSteps
from halion.potentials.gpu.lists import Capacity
from halion.potentials.gpu_engine import GpuEngine
from halion.units import BOLTZMANN_EV_PER_K, pressure_from_gpa, time_to_ase

pytestmark = QUIET


def start(numbers, positions, cells, counts) -> Motion:
    momenta = np.random.default_rng(1).normal(scale=0.3, size=positions.shape)
    chains = tuple(np.zeros((2, len(counts))) for _ in range(CHAIN_LENGTH))
    strain_rates = np.zeros_like(cells)
    motion = {"positions": positions, "momenta": momenta, "cells": cells, "strain_rates": strain_rates}
    return Motion(**motion, chain=chains, chain_rates=chains)


def conditions(numbers, counts) -> Conditions:
    """The first structure at constant volume, the second at constant pressure with a flexible cell."""
    starts = np.cumsum([0, *counts])[:-1]
    timestep = np.full(len(counts), time_to_ase(0.001))
    run_of_atom = np.repeat(np.arange(len(counts)), counts)
    return Conditions(
        xp=np,
        sum_over_runs=lambda values: np.add.reduceat(values, starts, axis=0),
        run_of_atom=run_of_atom,
        masses=atomic_masses[numbers][:, None],
        n_atoms=counts.astype(float),
        degrees_of_freedom=np.array([3.0 * counts - 3.0, np.full(len(counts), 6.0)]),
        timestep=timestep,
        timestep_of_atom=timestep[run_of_atom][:, None],
        thermal_energy=np.full(len(counts), 600 * BOLTZMANN_EV_PER_K),
        frequencies=np.array([[1 / time_to_ase(0.1)] * 2, [0.0, 1 / time_to_ase(1.0)]]),
        pressure=np.array([0.0, pressure_from_gpa(1.0)]),
        is_isotropic=np.zeros((2, 1, 1), dtype=bool),
        has_cell=True,
        identity=np.eye(3),
    )


def on_device(under: Conditions, engine: GpuEngine) -> Conditions:
    """The same conditions as tensors."""
    arrays = {one.name: getattr(under, one.name) for one in fields(under)}
    tensors = {name: torch.tensor(a, device=DEVICE) for name, a in arrays.items() if isinstance(a, np.ndarray)}
    return replace(under, xp=torch, sum_over_runs=engine.sum_over_structures, **tensors)


def unpacked(state) -> Motion:
    chain, chain_rates = state[4 : 4 + CHAIN_LENGTH], state[4 + CHAIN_LENGTH : 4 + 2 * CHAIN_LENGTH]
    names = ("positions", "momenta", "cells", "strain_rates")
    return Motion(**dict(zip(names, state)), chain=tuple(chain), chain_rates=tuple(chain_rates))


def packed(motion: Motion) -> tuple:
    return (motion.positions, motion.momenta, motion.cells, motion.strain_rates, *motion.chain, *motion.chain_rates)


@pytest.fixture(scope="module")
def engine():
    """Its first evaluation finds too little room for angles."""
    with pytest.MonkeyPatch.context() as patch:
        room = Capacity(slots=96, edges=256, bonds=32, angles=4)
        patch.setattr(Capacity, "guess", classmethod(lambda cls, n_atoms: room))
        engine = GpuEngine(chgnet_weights(), device=DEVICE, precision="fp64")
        numbers, _, _, counts = small_batch()
        engine.prepare(numbers, counts)
        return engine


def test_sums_over_structures(engine):
    values = np.random.default_rng(0).normal(size=(5, 3, 3))
    got = engine.sum_over_structures(torch.tensor(values, device=DEVICE)).cpu().numpy()
    assert np.abs(got - np.add.reduceat(values, [0, 2], axis=0)).max() < 1e-14  # five roundings


def test_integrators_run_on_the_device(engine):
    numbers, positions, cells, counts = small_batch()
    motion, under = start(numbers, positions, cells, counts), conditions(numbers, counts)
    first = engine.evaluate(numbers, positions, cells, counts)
    assert engine._graph.capacity.angles > 4
    state = [*packed(motion), first.forces, first.virials]
    device_conditions = on_device(under, engine)

    def step(state):
        motion = unpacked(state)
        before_forces(motion, device_conditions, state[-2], state[-1])
        _, forces, virials = engine.evaluate_tensors(motion.positions, motion.cells)
        after_forces(motion, device_conditions, forces, virials)
        return (*packed(motion), forces, virials)

    steps = GraphSteps(engine, step, [torch.tensor(array, device=DEVICE) for array in state], n_steps=1)
    steps.advance()
    before_forces(motion, under, first.forces, first.virials)
    second = engine.evaluate(numbers, motion.positions, motion.cells, counts)
    after_forces(motion, under, second.forces, second.virials)
    for got, wanted in zip(steps.state, (*packed(motion), second.forces, second.virials)):
        # Positions of 20 Angstrom, forces of a few eV/Angstrom and their slopes: a thousand roundings.
        assert np.abs(got.cpu().numpy() - wanted).max() < 1e-12 * max(1.0, np.abs(wanted).max())
    assert np.abs(motion.cells[1] - cells[1]).max() > 0 and np.array_equal(motion.cells[0], cells[0])

"""Steps from one stored frame to the next without the host: for potentials that live on a device.

The integrators are functions of arrays of any library, so a whole step with its forces runs where the potential
does. What the guards look at is followed there step by step as extremes; the host sees them when a frame is due. If
one is beyond its limit, nothing of the stretch is kept: the host takes its steps one by one, and names the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.batch import RunBatch
from halion.dynamics.guards import LIMITS
from halion.dynamics.integrators import (
    CHAIN_LENGTH,
    Conditions,
    Motion,
    after_forces,
    before_forces,
    twice_kinetic_energies,
    volumes_of,
)
from halion.potentials.engine_types import DeviceArray, DeviceSteps
from halion.potentials.types import OnDevice, Potential
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["Stretches"]

# Largest force squared, temperature over the hottest, volume over the first and its inverse, - least force squared
# (an atom without any force has no neighbours; the host finds out).
_LIMITS = np.array([LIMITS.largest_force**2, 1.0, LIMITS.largest_volume, 1 / LIMITS.smallest_volume, -1e-300])

State = tuple[DeviceArray, ...]


class Stretches:
    """Stretches of a batch; on the host there are none.

    Checked by tests/dynamics/test_dynamics_stretch.py: bit for bit the host's steps.
    """

    def __init__(self, potential: Potential) -> None:
        self._potential = potential if isinstance(potential, OnDevice) else None
        self._device: DeviceSteps | None = None
        self._packing = -1
        self._by_host = 0

    def advance(self, batch: RunBatch, bounds: Sequence[tuple[float, float]]) -> bool:
        """Move the batch to the next frame of any of its runs.

        Args:
            bounds: of each run the volume of the cell that its stage began with, Angstrom^3, and the kinetic
                temperature that counts as an explosion, K.
        Returns:
            False when nothing was done and the host is to take the next step.
        """
        if self._by_host:
            self._by_host -= 1
            return False
        if not self._is_on_device(batch, bounds):
            return False
        n_steps = _steps_to_next_frame(batch)
        state = self._device.advance(n_steps)
        extremes = self._device.get(state[-1])
        if not (extremes <= _LIMITS).all():
            self._device, self._by_host = None, n_steps - 1
            return False
        *moving, energies, forces, virials, steps = (self._device.get(array) for array in state[:-1])
        batch.moved(_unpacked(moving), np.rint(steps).astype(np.int64), (energies, forces, virials))
        return True

    def _is_on_device(self, batch: RunBatch, bounds: Sequence[tuple[float, float]]) -> bool:
        """Whether the device holds this batch as it is packed now; it is asked to, once, where it has changed."""
        if self._potential is None:
            return False
        if self._device is None or self._packing != batch.packing:
            self._device = self._potential.steps_on_device(batch.numbers, batch.counts)
            if self._device is None:
                self._potential = None
                return False
            self._packing = batch.packing
            step = _Step(self._device, batch, bounds)
            self._device.begin(step, [self._device.put(array) for array in _state_of(batch)])
        return True


class _Step:
    """One step of all runs: from state to state, on the device."""

    def __init__(self, device: DeviceSteps, batch: RunBatch, bounds: Sequence[tuple[float, float]]) -> None:
        self._device, self._conditions = device, _on_device(batch.conditions, device)
        self._ramps = tuple(device.put(array) for array in batch.ramps)
        self._is_heating = bool(batch.ramps[1].any())
        self._start_volumes, self._hottest = (device.put(np.array(each)) for each in zip(*bounds))

    def __call__(self, state: State) -> State:
        *moving, _, forces, virials, steps, extremes = state
        motion, conditions, steps = _unpacked(moving), self._conditions, steps + 1
        if self._is_heating:
            begin, rise, lengths = self._ramps
            conditions.thermal_energy = BOLTZMANN_EV_PER_K * (begin + rise * (steps / lengths))
        before_forces(motion, conditions, forces, virials)
        energies, forces, virials = self._device.evaluate(motion.positions, motion.cells)
        after_forces(motion, conditions, forces, virials)
        extremes = conditions.xp.maximum(extremes, self._extremes(motion, forces))
        return (*_packed(motion), energies, forces, virials, steps, extremes)

    def _extremes(self, motion: Motion, forces: DeviceArray) -> DeviceArray:
        """In the order of `_LIMITS`; not a number where anything is none."""
        freedom = self._conditions.degrees_of_freedom[0] * BOLTZMANN_EV_PER_K
        heat = twice_kinetic_energies(motion, self._conditions) / (freedom * self._hottest)
        growth = volumes_of(motion.cells) / self._start_volumes
        squares = (forces * forces).sum(-1)
        return self._conditions.xp.stack(
            [squares.max(), heat.max(), growth.max(), (1 / growth).max(), (-squares).max()]
        )


def _steps_to_next_frame(batch: RunBatch) -> int:
    every = np.array([stage.store_every_steps for stage in batch.stages])
    left = np.array([stage.n_steps for stage in batch.stages]) - batch.steps
    # Correlated steps are looked at as stored ones are.
    sampled = np.array([stage.correlate_every_steps or stage.store_every_steps for stage in batch.stages])
    due = np.minimum(every - batch.steps % every, sampled - batch.steps % sampled)
    return int(np.minimum(due, left).min())


def _state_of(batch: RunBatch) -> list[FloatArray]:
    extremes = np.full(len(_LIMITS), -np.inf)
    answer = (batch.energies, batch.forces, batch.virials)
    return [*_packed(batch.motion), *answer, batch.steps.astype(float), extremes]


def _packed(motion: Motion) -> tuple[DeviceArray, ...]:
    return (motion.positions, motion.momenta, motion.cells, motion.strain_rates, *motion.chain, *motion.chain_rates)


def _unpacked(arrays: list[DeviceArray]) -> Motion:
    positions, momenta, cells, strain_rates, *links = arrays
    chain, chain_rates = tuple(links[:CHAIN_LENGTH]), tuple(links[CHAIN_LENGTH:])
    return Motion(
        positions=positions,
        momenta=momenta,
        cells=cells,
        strain_rates=strain_rates,
        chain=chain,
        chain_rates=chain_rates,
    )


def _on_device(conditions: Conditions, device: DeviceSteps) -> Conditions:
    arrays = {one.name: getattr(conditions, one.name) for one in fields(conditions)}
    moved = {name: device.put(array) for name, array in arrays.items() if isinstance(array, np.ndarray)}
    return replace(conditions, xp=device.xp, sum_over_runs=device.sum_over_structures, **moved)

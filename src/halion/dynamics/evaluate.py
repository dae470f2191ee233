"""A batch's forces, and the runs whose structure or answer is refused: one of them does not spoil the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from halion.dynamics.batch import RunBatch
from halion.dynamics.guards import LIMITS, refuse_evaluation
from halion.errors import PhysicsRefusal
from halion.potentials.engine_types import EngineResult
from halion.potentials.types import Potential

__all__ = ["evaluate", "refusal_of"]

_NAMES = [one.name for one in fields(EngineResult)]
_NOTHING = EngineResult(energies=np.empty(0), forces=np.empty((0, 3)), virials=np.empty((0, 3, 3)))


def evaluate(potential: Potential, batch: RunBatch) -> tuple[EngineResult, dict[int, PhysicsRefusal]]:
    """Energies, forces and virials of the runs that are not refused, in their order, and the refusals by place.

    Checked by tests/dynamics/test_dynamics_batch.py.
    """
    try:
        result, refused = _ask(potential, batch, slice(0, len(batch))), {}
    except PhysicsRefusal:
        result, refused = _one_by_one(potential, batch)
    largest = (result.forces * result.forces).sum(axis=1).max(initial=0.0)
    if np.isfinite(result.energies).all() and largest <= LIMITS.largest_force**2:
        return result, refused
    start, good = 0, []
    for place, k in enumerate([k for k in range(len(batch)) if k not in refused]):
        own = slice(start, start := start + int(batch.counts[k]))
        refusal = refusal_of(refuse_evaluation, batch.atoms(k), float(result.energies[place]), result.forces[own])
        if refusal:
            refused[k] = refusal
        else:
            good.append(
                EngineResult(
                    energies=result.energies[[place]], forces=result.forces[own], virials=result.virials[[place]]
                )
            )
    return _joined(good), refused


def refusal_of(guard: Callable[..., None], *values: Any) -> PhysicsRefusal | None:
    """What a guard says against these values, if anything."""
    try:
        guard(*values)
    except PhysicsRefusal as refusal:
        return refusal
    return None


def _one_by_one(potential: Potential, batch: RunBatch) -> tuple[EngineResult, dict[int, PhysicsRefusal]]:
    results, refused = [], {}
    for k in range(len(batch)):
        try:
            results.append(_ask(potential, batch, slice(k, k + 1)))
        except PhysicsRefusal as refusal:
            refused[k] = refusal
    return _joined(results), refused


def _ask(potential: Potential, batch: RunBatch, runs: slice) -> EngineResult:
    atoms = slice(batch.own(runs.start).start, batch.own(runs.stop - 1).stop)
    return potential.evaluate_arrays(
        batch.numbers[atoms], batch.motion.positions[atoms], batch.motion.cells[runs], batch.counts[runs]
    )


def _joined(results: Sequence[EngineResult]) -> EngineResult:
    return EngineResult(
        **{name: np.concatenate([getattr(one, name) for one in (_NOTHING, *results)]) for name in _NAMES}
    )

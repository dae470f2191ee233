"""Ordered cells to their nearest minima: positions and cell together, many structures in one batch.

Method: FIRE (Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006)) on the atoms and the logarithm of the deformation
gradient, see `fire.py`. The symmetry of the start is not enforced and not broken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray
from halion.errors import Interrupted, PhysicsRefusal
from halion.potentials import EngineResult, Potential
from halion.progress import Progress, Stop, never, silent
from halion.ranking.fire import FireBatch
from halion.ranking.outcome import EndState, describe, explosion, is_intact
from halion.ranking.types import Relaxation
from halion.settings import RankingSettings

__all__ = ["Outcome", "relax", "relax_batch", "relax_each"]

Outcome = Relaxation | PhysicsRefusal

# Enough to fill a GPU; on a processor any number does, and memory stays far below a GiB.
_ATOMS_AT_ONCE = 4096
_NOTHING = EngineResult(energies=np.empty(0), forces=np.empty((0, 3)), virials=np.empty((0, 3, 3)))


def relax(
    atoms: Atoms,
    potential: Potential,
    settings: RankingSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Relaxation:
    """Relax positions and cell until every force and the cell's gradient per atom are below the tolerance.

    Args:
        atoms: the start, periodic; not changed.
        potential: gives energy, forces and stress.
        settings: `force_tolerance_ev_per_angstrom` and `max_steps` are used.
        progress: told the FIRE steps done.
        stop: asked between steps.
    Returns:
        the end state, as it is; `is_converged` says whether the tolerance was reached within `max_steps`.
    Raises:
        PhysicsRefusal: the cell grew or shrank by more than a factor of two, forces that are not finite, or
            atoms that fused.
        Interrupted: `stop` said so; a relaxation is short and starts anew.
    Checked by tests/ranking/test_ranking_relax.py.
    """

    def tell(done: float, total: float, state: str = "", /) -> None:
        progress(round(done * settings.max_steps), settings.max_steps, state)

    (outcome,) = relax_batch([atoms], potential, settings, progress=tell, stop=stop)
    if isinstance(outcome, PhysicsRefusal):
        raise outcome
    return outcome


def relax_batch(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: RankingSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> list[Outcome]:
    """Relax many structures, of any sizes and elements, together; each as `relax` would alone.

    Returns:
        for each structure, in their order, its relaxation or the refusal that stopped it; the others go on.
    Raises:
        InputError: a structure that the potential cannot take at all; none is relaxed further.
        Interrupted: `stop` said so.
    Checked by tests/ranking/test_ranking_relax_batch.py.
    """
    outcomes = dict(relax_each(structures, potential, settings, progress=progress, stop=stop))
    return [outcomes[k] for k in range(len(structures))]


def relax_each(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: RankingSettings,
    *,
    atoms_at_once: int = _ATOMS_AT_ONCE,
    progress: Progress = silent,
    stop: Stop = never,
) -> Iterator[tuple[int, Outcome]]:
    """`relax_batch`, giving (place, outcome) of each structure as soon as it is finished.

    One call of the potential evaluates all structures of the batch. A structure that is finished or refused
    leaves; the next one that waits takes its place.

    Args:
        structures: the starts, periodic; not changed.
        potential: gives energies, forces and virials of a batch.
        settings: `force_tolerance_ev_per_angstrom` and `max_steps` are used.
        atoms_at_once: bound on the batch; a larger structure goes alone.
        progress: told the structures relaxed, fractions included.
        stop: asked between steps.
    Raises:
        InputError, Interrupted: as `relax_batch`.
    """
    waiting, batch, n_finished = deque(enumerate(structures)), FireBatch(), 0
    while n_finished < len(structures):
        while waiting and (not len(batch) or batch.n_atoms + len(waiting[0][1]) <= atoms_at_once):
            batch.add(*waiting.popleft())
        result, refused = _evaluate(potential, batch)
        batch.keep([key not in refused for key in batch.keys])
        largest = batch.pull(result) if len(batch) else np.empty(0)
        finished = refused | _finished(structures, batch, result, largest, settings)
        batch.keep([key not in finished for key in batch.keys])
        n_finished += len(finished)
        done = n_finished + batch.n_steps.sum() / settings.max_steps
        progress(done, len(structures), _state(structures, finished, largest))
        yield from finished.items()
        if n_finished < len(structures) and stop():
            raise _interrupted(structures, batch, n_finished)
        if len(batch):
            batch.move()


def _evaluate(potential: Potential, batch: FireBatch) -> tuple[EngineResult, dict[int, PhysicsRefusal]]:
    """The batch evaluated; refused structures are named and missing from the result."""
    numbers, positions, cells, counts = batch.arrays()
    try:
        return potential.evaluate_arrays(numbers, positions, cells, counts), {}
    except PhysicsRefusal as refusal:
        if len(batch) == 1:
            return _NOTHING, {int(batch.keys[0]): refusal}
    # One of them spoils the batch: each is asked for alone.
    results, refused = [_NOTHING], {}
    for k, key in enumerate(batch.keys):
        own = slice(batch.starts[k], batch.starts[k + 1])
        try:
            results.append(potential.evaluate_arrays(numbers[own], positions[own], cells[[k]], counts[[k]]))
        except PhysicsRefusal as refusal:
            refused[int(key)] = refusal
    names = [field.name for field in fields(EngineResult)]
    return EngineResult(
        **{name: np.concatenate([getattr(one, name) for one in results]) for name in names}
    ), refused


def _finished(
    structures: Sequence[Atoms],
    batch: FireBatch,
    result: EngineResult,
    largest: FloatArray,
    settings: RankingSettings,
) -> dict[int, Outcome]:
    """The structures that converged, used up their steps or exploded, and what came of them."""
    numbers, positions, cells, _ = batch.arrays()
    volumes = np.abs(np.linalg.det(cells))
    growth = volumes / np.array([structures[key].get_volume() for key in batch.keys])
    is_converged = largest < settings.force_tolerance_ev_per_angstrom
    intact = is_intact(growth, largest)
    finished: dict[int, Outcome] = {}
    for k in np.flatnonzero(is_converged | (batch.n_steps >= settings.max_steps) | ~intact):
        start, n_steps = structures[batch.keys[k]], int(batch.n_steps[k])
        own = slice(batch.starts[k], batch.starts[k + 1])
        end = EndState(
            atoms=Atoms(numbers[own], positions=positions[own], cell=cells[k], pbc=True),
            energy=float(result.energies[k]),
            forces=result.forces[own],
            stress=(result.virials[k] + result.virials[k].T) / (2 * volumes[k]),
            is_converged=bool(is_converged[k]),
            n_steps=n_steps,
            static_energy=float(batch.first_energies[k]),
        )
        outcome = describe(start, end) if intact[k] else explosion(start, growth[k], largest[k], n_steps)
        finished[int(batch.keys[k])] = outcome
    return finished


def _state(structures: Sequence[Atoms], finished: dict[int, Outcome], largest: FloatArray) -> str:
    if len(structures) == 1 and isinstance(only := finished.get(0), Relaxation):
        return f"{'converged' if only.is_converged else 'not converged'} after {only.n_steps} steps"
    return f"largest force {largest.max():.3f} eV/Angstrom" if len(largest) else "refused"


def _interrupted(structures: Sequence[Atoms], batch: FireBatch, n_finished: int) -> Interrupted:
    if len(structures) == 1:
        what = (
            f"the relaxation of {structures[0].get_chemical_formula()} was stopped after {batch.n_steps[0]} steps"
        )
    else:
        what = f"{len(structures) - n_finished} of {len(structures)} relaxations were stopped before their end"
    return Interrupted(what, fix="type the same command again: these start anew, finished ones are kept")

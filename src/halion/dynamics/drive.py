"""The loop that moves a batch of runs: it admits, steps, looks, stores, and lets finished and bad runs leave.

What is to be done comes as itineraries, generators of runs that follow each other: each is resumed when the folder
of the run that it gave last is finished. A run that goes wrong ends its own itinerary alone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.active import Active, correlate
from halion.dynamics.batch import Member, RunBatch
from halion.dynamics.evaluate import evaluate, refusal_of
from halion.dynamics.guards import (
    LIMITS,
    refuse_close_atoms,
    refuse_evaluation,
    refuse_geometry,
    refuse_temperature,
)
from halion.dynamics.stretch import Stretches
from halion.dynamics.types import MdRun
from halion.errors import HalionError, Interrupted, PhysicsRefusal
from halion.potentials.types import Potential
from halion.progress import Progress, Stop

__all__ = ["Itinerary", "drive"]

_PROGRESS_EVERY_S = 1.0


@dataclass(slots=True, kw_only=True)
class Itinerary:
    """Runs that follow each other, and what comes of them.

    Attributes:
        runs: gives (name of the run, run); resumed when that one is finished; returns the result.
        n_steps: steps of all its runs.
        result: what `runs` returned.
        error: what ended it early.
    """

    runs: Generator[tuple[str, MdRun], None, Any]
    n_steps: int
    result: Any = None
    error: HalionError | None = None
    is_over: bool = False
    steps_before: int = 0


def drive(
    itineraries: Sequence[Itinerary], potential: Potential, at_once: int, progress: Progress, stop: Stop
) -> None:
    """Move all itineraries to their ends; results and errors are told in them.

    Args:
        at_once: most runs in the batch.
    Raises:
        Interrupted: `stop` said so; everything up to this step is stored.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="halion-writer") as executor:
        _Drive(itineraries, potential, at_once, (progress, stop), executor).to_the_end()


@dataclass(slots=True)
class _Places:
    """Where each itinerary's run is: waiting for a place, in the batch (same order), or with the writer."""

    waiting: deque[Itinerary]
    moving: list[Active] = field(default_factory=list)
    leaving: list[Active] = field(default_factory=list)


class _Drive:
    def __init__(
        self,
        itineraries: Sequence[Itinerary],
        potential: Potential,
        at_once: int,
        watchers: tuple[Progress, Stop],
        executor: ThreadPoolExecutor,
    ) -> None:
        self.itineraries, self.potential, self.at_once, self.executor = itineraries, potential, at_once, executor
        self.progress, self.stop = watchers
        self.stretches = Stretches(potential)
        self.batch, self.places, self.told = RunBatch(), _Places(deque(itineraries)), -np.inf
        self.n_steps = sum(itinerary.n_steps for itinerary in itineraries)

    def to_the_end(self) -> None:
        places = self.places
        while places.waiting or places.moving or places.leaving:
            self._see_off()
            self._refill()
            if not places.moving:
                if places.leaving:
                    places.leaving[0].writer.wait()
                continue
            if self.stop():
                self._interrupt()
            self._step()
            if self.places.moving and time.monotonic() - self.told >= _PROGRESS_EVERY_S:
                self.told = time.monotonic()
                self._tell()

    def _see_off(self) -> None:
        """Runs whose files are written end here, or go on with the next run of their itinerary."""
        for active in [active for active in self.places.leaving if active.writer.is_idle]:
            self.places.leaving.remove(active)
            error = active.error or active.writer.error
            if error is not None:
                active.itinerary.error, active.itinerary.is_over = error, True
                continue
            active.itinerary.steps_before += active.run.stage.n_steps
            self.progress(self._done(), self.n_steps, active.name)
            # In front: what has begun is finished first, so that results come early.
            self.places.waiting.appendleft(active.itinerary)

    def _refill(self) -> None:
        while self.places.waiting and len(self.places.moving) < self.at_once:
            itinerary = self.places.waiting.popleft()
            try:
                name, run = next(itinerary.runs)
            except StopIteration as end:
                itinerary.result, itinerary.is_over = end.value, True
                continue
            except HalionError as error:
                itinerary.error, itinerary.is_over = error, True
                continue
            self._admit(itinerary, name, run)

    def _admit(self, itinerary: Itinerary, name: str, run: MdRun) -> None:
        try:
            active = Active.of(itinerary, name, run, self.potential, self.executor)
        except HalionError as error:
            itinerary.error, itinerary.is_over = error, True
            return
        if active.is_finished or active.start_step == run.stage.n_steps:
            if not active.is_finished:
                active.writer.merge()
            self.places.leaving.append(active)
        else:
            self._begin(active)

    def _begin(self, active: Active) -> None:
        """Ask for the forces at the start, and let the run join the batch."""
        atoms, state = active.start, active.state
        try:
            refuse_geometry(atoms, active.start_volume)
            if active.is_new:
                refuse_close_atoms(atoms)
            counts = np.array([len(atoms)])
            result = self.potential.evaluate_arrays(atoms.numbers, state["positions"], state["cell"][None], counts)
            refuse_evaluation(atoms, float(result.energies[0]), result.forces)
        except PhysicsRefusal as refusal:
            active.refuse(refusal, active.start_step)
            self.places.leaving.append(active)
            return
        self.batch.add(
            Member(
                stage=active.run.stage,
                numbers=atoms.numbers,
                masses=atoms.get_masses(),
                state=state,
                energy=float(result.energies[0]),
                forces=result.forces,
                virial=result.virials[0],
            )
        )
        self.places.moving.append(active)
        if active.is_new:
            self._look(np.arange(len(self.batch)) == len(self.batch) - 1)

    def _step(self) -> None:
        """One step on the host, or as many as lie before the next frame where the potential has a device."""
        batch = self.batch
        if self.stretches.advance(batch, [(one.start_volume, one.hottest) for one in self.places.moving]):
            self._look(np.ones(len(batch), dtype=bool))
            return
        # An explosion is told by the guards, by name, not by numpy's warnings on the way there.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            batch.first_half()
            self._drop(self._bad_geometries())
            if not len(batch):
                return
            result, refused = evaluate(self.potential, batch)
            self._drop(refused)
            if not len(batch):
                return
            batch.second_half(result)
        self._look(np.ones(len(batch), dtype=bool))

    def _bad_geometries(self) -> dict[int, PhysicsRefusal]:
        batch = self.batch
        ratios = batch.volumes() / np.array([active.start_volume for active in self.places.moving])
        is_good = (ratios >= LIMITS.smallest_volume) & (ratios <= LIMITS.largest_volume)
        if is_good.all() and np.isfinite(batch.motion.positions).all():
            return {}
        return self._refusals(lambda k: refuse_geometry(batch.atoms(k), self.places.moving[k].start_volume))

    def _look(self, which: np.ndarray) -> None:
        """Refuse what is too hot or too close, keep frames that are due, write, and let finished runs leave."""
        batch, moving = self.batch, self.places.moving
        temperatures = batch.temperatures()
        is_hot = not (temperatures <= [active.hottest for active in moving]).all()
        bad = self._hot(temperatures) if is_hot else {}
        stored = (batch.steps % [active.run.stage.store_every_steps for active in moving] == 0) & which
        for k in np.flatnonzero(stored):
            if k not in bad and (refusal := refusal_of(refuse_close_atoms, batch.atoms(k))):
                bad[k] = refusal
        sound = [int(k) for k in np.flatnonzero(which) if k not in bad]
        correlate(batch, moving, sound)
        due = [k for k in sound if stored[k]]
        for k, frame in zip(due, batch.frames(due) if due else (), strict=True):
            moving[k].keep(frame, batch.state(k))
        self._drop(bad, self._write(sound))

    def _write(self, runs: list[int]) -> set[int]:
        """Send what is due to the writer; the runs that are at their end or whose writes fail."""
        over = set()
        for k in runs:
            active, step = self.places.moving[k], int(self.batch.steps[k])
            stage = active.run.stage
            if step == 0:
                continue
            if step == stage.n_steps or step % stage.checkpoint_every_steps == 0:
                active.write(self.batch.state(k))
            if step == stage.n_steps:
                active.writer.merge()
            if step == stage.n_steps or active.writer.error:
                over.add(k)
        return over

    def _hot(self, temperatures: FloatArray) -> dict[int, PhysicsRefusal]:
        moving, counts = self.places.moving, self.batch.counts
        return self._refusals(
            lambda k: refuse_temperature(float(temperatures[k]), moving[k].target, int(counts[k]))
        )

    def _refusals(self, guard: Callable[[int], None]) -> dict[int, PhysicsRefusal]:
        found = {k: refusal_of(guard, k) for k in range(len(self.batch))}
        return {k: refusal for k, refusal in found.items() if refusal}

    def _drop(self, bad: dict[int, PhysicsRefusal], over: set[int] = frozenset()) -> None:
        """Bad runs and those at their end leave the batch; the writer still has them."""
        if not (bad or over):
            return
        moving = self.places.moving
        for k, refusal in bad.items():
            moving[k].refuse(refusal, int(self.batch.steps[k]))
        stays = [k not in bad and k not in over for k in range(len(moving))]
        self.places.leaving += [active for k, active in enumerate(moving) if not stays[k]]
        self.places.moving = [active for k, active in enumerate(moving) if stays[k]]
        self.batch.keep(stays)

    def _interrupt(self) -> None:
        for k, active in enumerate(self.places.moving):
            # Before the first step there is nothing that a new start would not give again.
            if self.batch.steps[k] > 0:
                active.write(self.batch.state(k))
        for active in [*self.places.moving, *self.places.leaving]:
            active.writer.wait()
            if active.writer.error:
                raise active.writer.error
        active = self.places.moving[0]
        if len(self.itineraries) == 1:
            what = f"stopped at step {self.batch.steps[0]} of {active.run.stage.n_steps}"
        else:
            n_over = sum(itinerary.is_over for itinerary in self.itineraries)
            what = f"stopped when {n_over} of {len(self.itineraries)} runs had ended"
        raise Interrupted(
            f"{what}; everything up to it is stored",
            where=str(active.run.folder),
            fix="type the same command again: it goes on from here",
        )

    def _done(self) -> int:
        running = sum(int(step) for step in self.batch.steps[: len(self.batch)])
        running += sum(active.run.stage.n_steps for active in self.places.leaving)
        over = sum(i.n_steps if i.is_over else i.steps_before for i in self.itineraries)
        return over + running

    def _tell(self) -> None:
        active, batch = self.places.moving[0], self.batch
        n_atoms = int(batch.counts[0])
        words = (
            f"T {batch.temperatures()[0]:.0f} K, V {batch.volumes()[0] / n_atoms:.2f} A^3/atom, "
            f"E {batch.energies[0] / n_atoms:.4f} eV/atom"
        )
        if len(self.itineraries) > 1:
            words = f"{len(batch)} running, {sum(i.is_over for i in self.itineraries)} ended; {words}"
        self.progress(self._done(), self.n_steps, f"{active.name}: {words}" if active.name else words)

"""One run while it moves: its start or last stored state, the frames not yet written, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms

from halion import __version__
from halion.dynamics.batch import RunBatch, start_state
from halion.dynamics.correlator import Correlator
from halion.dynamics.guards import LIMITS
from halion.dynamics.kinetics import thermal_momenta, without_drift
from halion.dynamics.layout import Frame, Header, State
from halion.dynamics.segments import SegmentStore
from halion.dynamics.types import ENSEMBLES, MdRun, MdStage
from halion.dynamics.writer import RunWriter
from halion.errors import HalionError, InputError, PhysicsRefusal
from halion.files import digest
from halion.potentials.types import Potential
from halion.records import to_record
from halion.units import FS_PER_PS

__all__ = ["Active", "correlate"]

# Part of the inputs' digest: a run of another integrator is not gone on with.
_INTEGRATOR = "halion 1"


@dataclass(slots=True, kw_only=True)
class Active:
    """A run with its writer.

    Attributes:
        name: of the run within its itinerary, for progress.
        start: structure to go on from, unwrapped.
        state: likewise, whole (see `batch.start_state`).
        start_volume: of the cell that the stage began with, Angstrom^3.
        is_finished: the folder holds the whole run already.
        target, hottest: highest target temperature, and the kinetic temperature that counts as an explosion, K.
        correlator: of the displacements, where the stage asks for one.
        error: what ended the run early.
    """

    itinerary: object
    name: str
    run: MdRun
    writer: RunWriter
    start: Atoms
    state: State
    start_volume: float
    is_finished: bool
    target: float
    hottest: float
    correlator: Correlator | None = None
    error: HalionError | None = None
    _is_resumed: bool = False
    _frames: list[Frame] = field(default_factory=list)
    _sound: State | None = None

    @classmethod
    def of(cls, itinerary: object, name: str, run: MdRun, potential: Potential, executor: Executor) -> Active:
        """Look at the folder: the run begins, goes on, or is finished.

        Raises:
            InputError: the stage or the structure makes no sense.
            RunFolderError, TornFile: see `SegmentStore`.
        """
        _refuse_unusable(run.atoms, potential, run.stage)
        store = SegmentStore(Path(run.folder), _header(run, potential))
        is_finished = store.is_finished()
        stored = None if is_finished else store.resume()
        start = _start(run.atoms, run.stage)
        state = start_state(start) if stored is None else stored
        start.set_cell(state["cell"])
        start.set_positions(state["positions"])
        every = run.stage.correlate_every_steps
        target = max(run.stage.temperature_k, run.stage.start_temperature_k or 0.0)
        return cls(
            itinerary=itinerary,
            name=name,
            run=run,
            writer=RunWriter(store, executor),
            start=start,
            state=state,
            start_volume=float(run.atoms.cell.volume),
            is_finished=is_finished,
            target=target,
            hottest=LIMITS.highest_temperature(target, len(start)),
            correlator=Correlator.resumed(store.header.symbols, state, every) if every else None,
            _is_resumed=stored is not None,
            _sound=stored,
        )

    @property
    def start_step(self) -> int:
        """Step that `state` belongs to."""
        return int(self.state["step"][0])

    @property
    def is_new(self) -> bool:
        """Whether nothing of this run is stored yet, not even its first frame."""
        return not self._is_resumed

    def keep(self, frame: Frame, state: State) -> None:
        """A frame to be written with the next segment, and the state of a moment that the guards found sound."""
        self._frames.append(frame)
        self._sound = self._whole(state)

    def write(self, state: State) -> None:
        """Send the frames so far and the state at their end to the writer."""
        self._send(self._whole(state))

    def _whole(self, state: State) -> State:
        return state if self.correlator is None else state | self.correlator.state()

    def _send(self, state: State) -> None:
        frames, self._frames = self._frames, []
        self.writer.write(frames, state)

    def refuse(self, refusal: PhysicsRefusal, step: int) -> None:
        """End the run: the last sound state is stored, what happened is told."""
        kept = "the start itself is beyond what the run allows"
        if self._sound is not None:
            self._send(self._sound)
            kept = f"the last sound state, step {int(self._sound['step'][0])}, is stored"
        self.error = PhysicsRefusal(
            f"after step {step} ({step * self.run.stage.timestep_fs / FS_PER_PS:g} ps) {refusal.what}; {kept}",
            where=str(self.run.folder),
            fix=refusal.fix,
        )
        self.error.__cause__ = refusal


def correlate(batch: RunBatch, moving: Sequence[Active], runs: Iterable[int]) -> None:
    """Let the correlators of these runs see the present step where it is their turn."""
    for k in runs:
        correlator = moving[k].correlator
        if correlator is not None and batch.steps[k] % correlator.every_steps == 0:
            correlator.add(batch.motion.positions[batch.own(k)], batch.motion.cells[k])


def _start(atoms: Atoms, stage: MdStage) -> Atoms:
    """A clean copy with momenta and no drift."""
    start = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    masses = start.get_masses()
    if _has_momenta(atoms):
        start.set_momenta(without_drift(atoms.get_momenta(), masses))
    else:
        temperature_k = stage.temperature_k if stage.start_temperature_k is None else stage.start_temperature_k
        start.set_momenta(thermal_momenta(masses, temperature_k, stage.seed))
    return start


def _has_momenta(atoms: Atoms) -> bool:
    return bool(np.any(atoms.get_momenta()))


def _header(run: MdRun, potential: Potential) -> Header:
    atoms, stage = run.atoms, run.stage
    # How often the state reaches the disk does not change the trajectory, nor does its end (unless it heats).
    free = {"checkpoint_every_steps"} | (set() if stage.start_temperature_k is not None else {"n_steps"})
    # Runs that are older than the correlator are gone on with.
    free |= {"correlate_every_steps"} if stage.correlate_every_steps is None else set()
    settings = {name: value for name, value in to_record(stage).items() if name not in free}
    inputs = {
        "integrator": _INTEGRATOR,
        "stage": settings,
        "atoms": to_record(atoms),
        "momenta": to_record(atoms.get_momenta()) if _has_momenta(atoms) else None,
        "potential": [potential.name, potential.weights_sha256],
    }
    return Header(
        inputs_digest=digest(inputs),
        symbols=tuple(atoms.get_chemical_symbols()),
        ensemble=stage.ensemble,
        n_steps=stage.n_steps,
        timestep_fs=float(stage.timestep_fs),  # whole numbers come back from the file as floats
        target_temperature_k=float(stage.temperature_k),
        target_pressure_gpa=float(stage.pressure_gpa) if stage.ensemble.startswith("npt") else float("nan"),
        store_every_steps=stage.store_every_steps,
        potential=potential.name,
        weights_sha256=potential.weights_sha256,
        written_by=f"halion {__version__}",
    )


def _refuse_unusable(atoms: Atoms, potential: Potential, stage: MdStage) -> None:
    positive = ("n_steps", "timestep_fs", "temperature_k", "thermostat_ps", "barostat_ps", "store_every_steps")
    correlates = () if stage.correlate_every_steps is None else ("correlate_every_steps",)
    for name in (*positive, *correlates, "checkpoint_every_steps"):
        if not getattr(stage, name) > 0:
            raise InputError(f"{name} is {getattr(stage, name)}", fix=f"give {name} a value above zero")
    if stage.start_temperature_k is not None and not stage.start_temperature_k > 0:
        raise InputError(f"start_temperature_k is {stage.start_temperature_k}", fix="heat from a value above zero")
    if stage.ensemble not in ENSEMBLES:
        raise InputError(f"there is no ensemble '{stage.ensemble}'", fix=f"use one of {', '.join(ENSEMBLES)}")
    if stage.checkpoint_every_steps % stage.store_every_steps:
        raise InputError(
            f"checkpoint_every_steps ({stage.checkpoint_every_steps}) is no multiple of store_every_steps "
            f"({stage.store_every_steps})",
            fix="make it one, so that every segment holds whole frames",
        )
    if len(atoms) < 2 or not abs(np.linalg.det(atoms.cell.array)) > 0:
        raise InputError(
            f"molecular dynamics needs at least two atoms in a cell of three dimensions; this is "
            f"{atoms.get_chemical_formula()} in {atoms.cell.array.tolist()}",
            fix="give the structure a cell, or repeat it (dynamics.repeat)",
        )
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(potential.elements))
    if unknown:
        raise InputError(
            f"{potential.name} does not know {', '.join(unknown)}",
            fix="choose a potential trained for all elements: dynamics.potential",
        )

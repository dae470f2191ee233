"""One stage of molecular dynamics from its start, or from its last stored state, to its end."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from ase import Atoms

from halion import __version__
from halion.dynamics.guards import refuse_close_atoms, refuse_temperature
from halion.dynamics.integrators import Integrator, thermal_momenta, without_drift
from halion.dynamics.layout import Frame, Header, State
from halion.dynamics.segments import SegmentStore
from halion.dynamics.trajectory import open_trajectory
from halion.dynamics.types import MdStage, Trajectory
from halion.errors import InputError, Interrupted, PhysicsRefusal
from halion.files import digest
from halion.potentials.types import Potential
from halion.progress import Progress, Stop, never, silent
from halion.records import to_record
from halion.units import FS_PER_PS

__all__ = ["run_stage"]

_PROGRESS_EVERY_S = 1.0


def run_stage(
    folder: Path | str,
    atoms: Atoms,
    potential: Potential,
    stage: MdStage,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Trajectory:
    """Run a stage to its end; the same call again goes on from the last stored state, or returns at once.

    Frame 0 is the start, then one frame every `store_every_steps`. Killed or not, the frames are the same bit
    for bit (on one machine, with a potential that gives the same bits for the same structure).

    Args:
        folder: of this stage alone: segments while it runs, `trajectory.h5` at its end.
        atoms: start, periodic; its momenta are used if it has any (without the motion of the centre of mass),
            otherwise they are drawn with `stage.seed` at the first target temperature. Positions are taken as
            they are, unwrapped. Masses are the standard atomic weights.
        potential: asked once per step, and once more per start.
        stage: what to run.
        progress: told the step, the steps in all, and the state in words, about once a second.
        stop: asked before every step.
    Raises:
        InputError: the stage or the structure makes no sense.
        Interrupted: `stop` said so; everything up to this step is stored.
        PhysicsRefusal: the run exploded; what was sound is stored.
        DiskFull: everything up to the last whole segment is stored.
        RunFolderError: the folder holds another run, or one of a newer halion.
        TornFile: the finished trajectory is damaged.
    Checked by tests/dynamics/test_dynamics_run.py, test_dynamics_storage.py and test_dynamics_kill.py.
    """
    _refuse_unusable(atoms, potential, stage)
    store = SegmentStore(Path(folder), _header(atoms, potential, stage))
    if not store.is_finished():
        _StageRun(store, _start(atoms, stage), potential, stage).to_the_end(progress, stop)
        store.merge()
    progress(stage.n_steps, stage.n_steps, "")
    return open_trajectory(store.trajectory_path)


class _StageRun:
    """The frames and the last sound state that are not on the disk yet, and the loop that makes them."""

    def __init__(self, store: SegmentStore, atoms: Atoms, potential: Potential, stage: MdStage) -> None:
        self.store, self.stage = store, stage
        self.frames: list[Frame] = []
        self.sound: State | None = store.resume()
        self.integrator = Integrator(atoms, potential, stage)
        if self.sound is not None:
            self.integrator.restore(self.sound)

    def to_the_end(self, progress: Progress, stop: Stop) -> None:
        integrator, stage = self.integrator, self.stage
        told = -np.inf
        try:
            if self.sound is None:
                self._look()
            while integrator.step < stage.n_steps:
                if stop():
                    self._interrupt()
                integrator.advance()
                self._look()
                if time.monotonic() - told >= _PROGRESS_EVERY_S:
                    told = time.monotonic()
                    progress(integrator.step, stage.n_steps, self._words())
        except PhysicsRefusal as refusal:
            raise self._refused(refusal) from refusal

    def _look(self) -> None:
        """Refuse an explosion, keep a frame when one is due, and write when a checkpoint is due."""
        integrator, stage = self.integrator, self.stage
        highest = max(stage.temperature_k, stage.start_temperature_k or 0.0)
        refuse_temperature(integrator.temperature_k, highest, len(integrator.atoms))
        if integrator.step % stage.store_every_steps == 0:
            refuse_close_atoms(integrator.atoms)
            self.frames.append(integrator.frame())
            self.sound = integrator.state()
        is_last = integrator.step == stage.n_steps
        if integrator.step > 0 and (is_last or integrator.step % stage.checkpoint_every_steps == 0):
            self._write(integrator.state())

    def _write(self, state: State) -> None:
        self.store.write(self.frames, state)
        self.frames.clear()

    def _interrupt(self) -> None:
        # Before the first step there is nothing that a new start would not give again.
        if self.integrator.step > 0:
            self._write(self.integrator.state())
        raise Interrupted(
            f"stopped at step {self.integrator.step} of {self.stage.n_steps}; everything up to it is stored",
            where=str(self.store.folder),
            fix="type the same command again: it goes on from here",
        )

    def _refused(self, refusal: PhysicsRefusal) -> PhysicsRefusal:
        step = self.integrator.step
        kept = "the start itself is beyond what the run allows"
        if self.sound is not None:
            self._write(self.sound)
            kept = f"the last sound state, step {int(self.sound['step'][0])}, is stored"
        return PhysicsRefusal(
            f"after step {step} ({step * self.stage.timestep_fs / FS_PER_PS:g} ps) {refusal.what}; {kept}",
            where=str(self.store.folder),
            fix=refusal.fix,
        )

    def _words(self) -> str:
        atoms = self.integrator.atoms
        return (
            f"T {self.integrator.temperature_k:.0f} K, V {atoms.cell.volume / len(atoms):.2f} A^3/atom, "
            f"E {atoms.get_potential_energy() / len(atoms):.4f} eV/atom"
        )


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


def _header(atoms: Atoms, potential: Potential, stage: MdStage) -> Header:
    # How often the state reaches the disk does not change the trajectory.
    settings = {name: value for name, value in to_record(stage).items() if name != "checkpoint_every_steps"}
    inputs = {
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
        timestep_fs=stage.timestep_fs,
        target_temperature_k=stage.temperature_k,
        target_pressure_gpa=stage.pressure_gpa if stage.ensemble == "npt" else float("nan"),
        store_every_steps=stage.store_every_steps,
        potential=potential.name,
        weights_sha256=potential.weights_sha256,
        written_by=f"halion {__version__}",
    )


def _refuse_unusable(atoms: Atoms, potential: Potential, stage: MdStage) -> None:
    positive = ("n_steps", "timestep_fs", "temperature_k", "thermostat_ps", "barostat_ps", "store_every_steps")
    for name in (*positive, "checkpoint_every_steps"):
        if not getattr(stage, name) > 0:
            raise InputError(f"{name} is {getattr(stage, name)}", fix=f"give {name} a value above zero")
    if stage.start_temperature_k is not None and not stage.start_temperature_k > 0:
        raise InputError(f"start_temperature_k is {stage.start_temperature_k}", fix="heat from a value above zero")
    if stage.ensemble not in ("nvt", "npt"):
        raise InputError(f"there is no ensemble '{stage.ensemble}'", fix='use "nvt" or "npt"')
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

"""Stages of molecular dynamics, one or many in a batch, from their start or last stored state to their end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from ase import Atoms

from halion.dynamics.drive import Itinerary, drive
from halion.dynamics.trajectory import open_trajectory
from halion.dynamics.types import MdRun, MdStage, Trajectory
from halion.errors import HalionError, InputError
from halion.potentials.types import Potential
from halion.progress import Progress, Stop, never, silent

__all__ = ["AT_ONCE", "run_batch", "run_stage"]

# Cells of 80 atoms: 16 of them keep all cores or a GPU busy; their state is small beside the potential's memory.
AT_ONCE = 16


def run_batch(
    runs: Sequence[MdRun],
    potential: Potential,
    *,
    at_once: int = AT_ONCE,
    progress: Progress = silent,
    stop: Stop = never,
) -> list[HalionError | None]:
    """Run many stages, of any sizes, ensembles, targets and lengths, through one batch.

    At most `at_once` move together, one evaluation of the potential per step for all; when one ends, the next takes
    its place. Each keeps its own folder as `run_stage` does, resumes from it, and ends in the same bits whatever
    its neighbours (if the potential evaluates a structure to the same bits in any batch). A run that explodes, or
    whose files cannot be written, stops alone with its last sound state stored.

    Args:
        runs: with folders that differ.
        potential: asked once per step for the whole batch, and once per run when it joins.
        at_once: most runs that move together.
        progress: told the steps done and the steps in all, of all runs, about once a second.
        stop: asked before every step.
    Returns:
        For each run None, or what ended it: PhysicsRefusal, DiskFull, InputError, RunFolderError, TornFile.
        `open_trajectory(run.folder)` reads the frames.
    Raises:
        InputError: two runs share a folder, or `at_once` is not positive.
        Interrupted: `stop` said so; everything up to this step is stored.
    Checked by tests/dynamics/test_dynamics_batch.py.
    """
    folders = [Path(run.folder).resolve() for run in runs]
    twice = sorted({str(folder) for folder in folders if folders.count(folder) > 1})
    if twice:
        raise InputError("two runs would write into one folder", where=", ".join(twice), fix="give each its own")
    if at_once < 1:
        raise InputError(f"at_once is {at_once}", fix="let at least one run move")
    itineraries = [Itinerary(runs=_alone(run), n_steps=max(run.stage.n_steps, 0)) for run in runs]
    drive(itineraries, potential, at_once, progress, stop)
    return [itinerary.error for itinerary in itineraries]


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
        folder, atoms, stage: see `MdRun`.
        potential: asked once per step, and once more per start.
        progress: told the step, the steps in all, and the state in words, about once a second.
        stop: asked before every step.
    Raises:
        InputError: the stage or the structure makes no sense.
        Interrupted: `stop` said so; everything up to this step is stored.
        PhysicsRefusal: the run exploded; what was sound is stored.
        DiskFull: everything up to the last whole segment is stored.
        RunFolderError: the folder holds another run, or one of a newer halion, or cannot be written.
        TornFile: the finished trajectory is damaged.
    Checked by tests/dynamics/test_dynamics_run.py, test_dynamics_storage.py and test_dynamics_kill.py.
    """
    run = MdRun(folder=Path(folder), atoms=atoms, stage=stage)
    (error,) = run_batch([run], potential, at_once=1, progress=progress, stop=stop)
    if error is not None:
        raise error
    return open_trajectory(run.folder)


def _alone(run: MdRun) -> Generator[tuple[str, MdRun], None, None]:
    yield "", run

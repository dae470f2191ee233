"""What a study would do, and what it would cost on this machine, before it does anything.

Counts are exact. Hours come from a short measurement of the potential on the study's own cell, made here and
now; what is assumed instead of measured says so.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from halion.dynamics import dynamics_cell
from halion.orderings import Composition, OrderingCount
from halion.potentials import load_potential
from halion.settings import MachineSettings, StudySettings
from halion.study.caveats import caveats_of
from halion.study.engine import default_workers
from halion.study.inputs import crystal_of
from halion.study.orderings import make_orderings
from halion.units import FS_PER_PS

__all__ = ["StudyPlan", "plan_study"]

# FIRE steps of one relaxation, measured on 30- and 40-atom cells of Li3YCl6 and Li3YBr6: 60 to 400.
_RELAXATION_STEPS = (60, 400)
_BYTES_PER_COORDINATE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """The cost of a study.

    Attributes:
        title: name of the crystal.
        composition: whole atoms per orbit in the chosen supercell.
        count: exact counts before exclusions.
        n_after_exclusions: distinct orderings left by the pair exclusions.
        n_relaxed: orderings that will be relaxed at first, the control group among them.
        n_atoms: atoms of the dynamics cell.
        temperatures_k: temperatures of the dynamics.
        steps_per_temperature: MD steps of each, equilibration included.
        seconds_per_step: measured here, one worker, for the dynamics cell.
        workers: processes at once.
        relaxation_hours: (low, high), from the assumed range of FIRE steps.
        dynamics_hours: all temperatures on these workers.
        disk_gib: trajectories, before compression.
        disk_free_gib: free where the run folder would be.
        caveats: what the result will not tell.
    """

    title: str
    composition: Composition
    count: OrderingCount
    n_after_exclusions: int
    n_relaxed: int
    n_atoms: int
    temperatures_k: tuple[float, ...]
    steps_per_temperature: int
    seconds_per_step: float
    workers: int
    relaxation_hours: tuple[float, float]
    dynamics_hours: float
    disk_gib: float
    disk_free_gib: float
    caveats: tuple[str, ...]


def plan_study(settings: StudySettings, folder: Path | str = ".") -> StudyPlan:
    """Count, measure and add up; nothing is written.

    Raises:
        HalionError: what a run would meet at once: a crystal, composition or potential that cannot be used.
    """
    crystal = crystal_of(settings)
    found = make_orderings(crystal, settings.orderings)
    composition = found.composition
    wanted, workers = (
        settings.dynamics,
        settings.machine.workers or default_workers(settings.machine.threads_per_worker),
    )
    length_ps = wanted.heating_ps + wanted.nvt_ps + wanted.npt_ps + wanted.production_ps
    steps = round(length_ps * FS_PER_PS / wanted.timestep_fs)
    cell = found.structure(0)
    moving = dynamics_cell(cell, settings.dynamics)
    n_atoms = len(moving)
    relax_s = _seconds_per_step(settings.ranking.potential, settings.machine, cell)
    step_s = _seconds_per_step(wanted.potential, settings.machine, moving)
    n_relaxed = min(settings.ranking.relax_best + settings.ranking.control, found.n_orderings)
    rounds = -(-len(wanted.temperatures_k) // workers)
    frames = len(wanted.temperatures_k) * steps / wanted.store_every_steps
    most_fire = min(_RELAXATION_STEPS[1], settings.ranking.max_steps)
    return StudyPlan(
        title=crystal.name,
        composition=composition,
        count=found.count,
        n_after_exclusions=found.n_orderings,
        n_relaxed=n_relaxed,
        n_atoms=n_atoms,
        temperatures_k=wanted.temperatures_k,
        steps_per_temperature=steps,
        seconds_per_step=step_s,
        workers=workers,
        relaxation_hours=tuple(
            n_relaxed * fire * relax_s / workers / 3600 for fire in (_RELAXATION_STEPS[0], most_fire)
        ),
        dynamics_hours=rounds * steps * step_s / 3600,
        disk_gib=frames * n_atoms * 3 * _BYTES_PER_COORDINATE / 2**30,
        disk_free_gib=shutil.disk_usage(_existing(Path(folder))).free / 2**30,
        caveats=caveats_of(settings, crystal, composition, n_atoms=n_atoms),
    )


def _seconds_per_step(name: str, machine: MachineSettings, atoms: object) -> float:
    """Least time of one evaluation after the first, which warms caches; other work only makes it longer."""
    potential = load_potential(name, device=machine.device, threads=machine.threads_per_worker)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        potential.evaluate(atoms)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder

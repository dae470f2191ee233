"""From an ordered cell to the mean cell at temperature and pressure, and on to production.

Heating (NVT, linear ramp, cell fixed), NVT, NPT with a flexible cell; the cell is averaged over the last part of
the NPT stage and production runs in it at constant volume (the study's protocol, arXiv:2510.09861).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray
from halion.dynamics.integrators import thermal_momenta
from halion.dynamics.run import run_stage
from halion.dynamics.trajectory import last_state
from halion.dynamics.types import Equilibration, MdStage, Trajectory
from halion.errors import InputError
from halion.potentials.types import Potential
from halion.progress import Progress, Stop, never, silent
from halion.settings import DynamicsSettings
from halion.units import FS_PER_PS

__all__ = ["block_error", "equilibrate", "produce", "repeated", "seed_of", "stages"]

# Fewer blocks than this do not tell their own spread.
_FEWEST_BLOCKS = 8


def equilibrate(
    folder: Path | str,
    atoms: Atoms,
    potential: Potential,
    settings: DynamicsSettings,
    temperature_k: float,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Equilibration:
    """Heat, equilibrate, and average the cell at temperature and pressure.

    The stages lie in the subfolders heat/, nvt/ and npt/, those of no length are skipped; the same call again
    resumes or returns. Velocities start at `settings.initial_temperature_k` with `seed_of(settings.seed,
    temperature_k)`. Mean cell: the mean of the cell matrix over the last `cell_average_ps`; the last structure is
    put into it with its fractional coordinates, unwrapped, and its momenta.

    Args:
        folder: of this equilibration.
        atoms: ordered cell; repeated by `settings.repeat`. Its momenta, if any, are not used.
        temperature_k: target.
        progress: told the steps done of all stages.
    Raises:
        InputError: fewer than two frames in the averaging window; also what `run_stage` raises.
    Checked by tests/dynamics/test_dynamics_equilibration.py.
    """
    structure = repeated(atoms, settings.repeat)
    seed = seed_of(settings.seed, temperature_k)
    structure.set_momenta(thermal_momenta(structure.get_masses(), settings.initial_temperature_k, seed))
    wanted = stages(settings, temperature_k)
    _refuse_short_average(settings, wanted["npt"])
    total, done = sum(stage.n_steps for stage in wanted.values()), 0
    for name, stage in wanted.items():
        if stage.n_steps == 0:
            continue
        trajectory = run_stage(
            Path(folder) / name,
            structure,
            potential,
            stage,
            progress=_within(progress, done, total, name),
            stop=stop,
        )
        structure = _atoms_of(structure, last_state(Path(folder) / name))
        done += stage.n_steps
    return _average(trajectory, structure, settings, temperature_k)


def produce(
    folder: Path | str,
    equilibration: Equilibration,
    potential: Potential,
    settings: DynamicsSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Trajectory:
    """NVT production in the mean cell, from the structure and momenta of an equilibration.

    Raises: what `run_stage` raises.
    Checked by tests/dynamics/test_dynamics_equilibration.py.
    """
    start = equilibration.atoms.copy()
    start.set_momenta(equilibration.momenta)
    stage = _stage(settings, settings.production_ps, equilibration.temperature_k, "nvt")
    return run_stage(folder, start, potential, stage, progress=progress, stop=stop)


def repeated(atoms: Atoms, repeat: tuple[int, int, int]) -> Atoms:
    """A supercell: symbols, positions and cell alone, periodic, the first cell's atoms first."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True).repeat(repeat)


def seed_of(seed: int, temperature_k: float) -> int:
    """Seed of the velocities at one temperature: different for each, the same on every machine.

    The first 32-bit word of numpy's SeedSequence of (seed, temperature in mK).
    """
    return int(np.random.SeedSequence((seed, round(1000 * temperature_k))).generate_state(1)[0])


def stages(settings: DynamicsSettings, temperature_k: float) -> dict[str, MdStage]:
    """The stages of an equilibration by the name of their folder; those with no steps are to be skipped."""
    heat = _stage(settings, settings.heating_ps, temperature_k, "nvt", settings.initial_temperature_k)
    return {
        "heat": heat,
        "nvt": _stage(settings, settings.nvt_ps, temperature_k, "nvt"),
        "npt": _stage(settings, settings.npt_ps, temperature_k, "npt"),
    }


def block_error(series: FloatArray) -> float:
    """Standard error of the mean of a correlated series, by blocking.

    Neighbours are averaged in pairs again and again; std / sqrt(n - 1) of the blocks grows until the blocks are
    longer than the correlation. Its largest value over the levels with at least 8 blocks is returned (of fewer
    than 8 values, that of the values themselves).

    Args:
        series: (n,) at least two values.
    Source: Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480.
    Checked by test_block_error_of_white_noise and test_block_error_of_correlated_noise.
    """
    blocks, largest = np.asarray(series, dtype=float), 0.0
    while len(blocks) >= 2:
        largest = max(largest, float(blocks.std() / np.sqrt(len(blocks) - 1)))
        if len(blocks) < 2 * _FEWEST_BLOCKS:
            break
        half = len(blocks) // 2
        blocks = blocks[: 2 * half].reshape(half, 2).mean(axis=1)
    return largest


def _average(
    trajectory: Trajectory, last: Atoms, settings: DynamicsSettings, temperature_k: float
) -> Equilibration:
    window = trajectory.steps > trajectory.steps[-1] - _steps(settings.cell_average_ps, settings)
    mean_cell = trajectory.cells[window].mean(axis=0)
    volumes = np.abs(np.linalg.det(trajectory.cells[window])) / len(last)
    fractional = np.linalg.solve(last.cell.array.T, last.positions.T).T
    return Equilibration(
        temperature_k=temperature_k,
        pressure_gpa=settings.pressure_gpa,
        atoms=Atoms(last.numbers, positions=fractional @ mean_cell, cell=mean_cell, pbc=True),
        mean_cell=mean_cell,
        volume_per_atom=float(volumes.mean()),
        volume_per_atom_std=block_error(volumes),
        mean_temperature_k=float(trajectory.temperature_k[window].mean()),
        mean_pressure_gpa=float(trajectory.pressure_gpa[window].mean()),
        momenta=last.get_momenta(),
    )


def _atoms_of(structure: Atoms, state: dict[str, FloatArray]) -> Atoms:
    atoms = Atoms(structure.numbers, positions=state["positions"], cell=state["cell"], pbc=True)
    atoms.set_momenta(state["momenta"])
    return atoms


def _steps(length_ps: float, settings: DynamicsSettings) -> int:
    return round(length_ps * FS_PER_PS / settings.timestep_fs)


def _stage(
    settings: DynamicsSettings,
    length_ps: float,
    temperature_k: float,
    ensemble: str,
    start_temperature_k: float | None = None,
) -> MdStage:
    store = settings.store_every_steps
    return MdStage(
        ensemble=ensemble,
        n_steps=_steps(length_ps, settings),
        timestep_fs=settings.timestep_fs,
        temperature_k=temperature_k,
        start_temperature_k=start_temperature_k,
        pressure_gpa=settings.pressure_gpa,
        thermostat_ps=settings.thermostat_ps,
        barostat_ps=settings.barostat_ps,
        store_every_steps=store,
        checkpoint_every_steps=max(1, _steps(settings.checkpoint_ps, settings) // store) * store,
    )


def _refuse_short_average(settings: DynamicsSettings, npt: MdStage) -> None:
    frames = min(npt.n_steps, _steps(settings.cell_average_ps, settings)) // settings.store_every_steps
    if frames < 2:
        raise InputError(
            f"a mean cell over {settings.cell_average_ps:g} ps would rest on {frames} stored frames; it needs two",
            where="dynamics.cell_average_ps, dynamics.npt_ps, dynamics.store_every_steps",
            fix="make the NPT stage and its averaging window longer, or store frames more often",
        )


def _within(progress: Progress, before: int, total: int, name: str) -> Progress:
    """Progress of one stage as progress of all."""

    def told(done: float, _: float, state: str = "", /) -> None:
        progress(before + done, total, f"{name}: {state}" if state else name)

    return told

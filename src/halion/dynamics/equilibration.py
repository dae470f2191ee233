"""From an ordered cell to the mean cell at temperature and pressure, and on to production.

Heating (NVT, linear ramp, cell fixed), NVT, NPT with a flexible cell; the cell is averaged over the last part of
the NPT stage and production runs in it at constant volume (the study's protocol, arXiv:2510.09861).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray
from halion.dynamics.cell import dynamics_cell
from halion.dynamics.drive import Itinerary, drive
from halion.dynamics.kinetics import thermal_momenta
from halion.dynamics.run import AT_ONCE, run_batch
from halion.dynamics.trajectory import last_state, open_trajectory
from halion.dynamics.types import Equilibration, MdRun, MdStage, Trajectory
from halion.errors import HalionError, InputError
from halion.potentials.types import Potential
from halion.progress import Progress, Stop, never, silent
from halion.settings import DynamicsSettings
from halion.units import FS_PER_PS

__all__ = [
    "block_error",
    "equilibrate",
    "equilibrate_batch",
    "produce",
    "produce_batch",
    "seed_of",
    "stages",
]

_PRODUCTION = 1  # its velocities are others than those of the equilibration
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
    temperature_k)`. Mean cell: the mean of the cell matrix over the last `cell_average_ps`. The frame of that
    window whose cell is nearest to it is put into it with its fractional coordinates, unwrapped: a small cell
    swings far, and its last frame may be strained by a tenth. Momenta are drawn anew; in the canonical ensemble
    they know nothing of the positions.

    Args:
        folder: of this equilibration.
        atoms: ordered cell; repeated as `dynamics_cell` does. Its momenta, if any, are not used.
        temperature_k: target.
        progress: told the steps done of all stages.
    Raises:
        InputError: fewer than two frames in the averaging window; also what `run_stage` raises.
    Checked by tests/dynamics/test_dynamics_equilibration.py.
    """
    (found,) = equilibrate_batch(
        [(folder, atoms, temperature_k)], potential, settings, at_once=1, progress=progress, stop=stop
    )
    if isinstance(found, HalionError):
        raise found
    return found


def equilibrate_batch(
    starts: Sequence[tuple[Path | str, Atoms, float]],
    potential: Potential,
    settings: DynamicsSettings,
    *,
    at_once: int = AT_ONCE,
    progress: Progress = silent,
    stop: Stop = never,
) -> list[Equilibration | HalionError]:
    """Many equilibrations through one batch; see `equilibrate` and `run_batch`.

    Args:
        starts: (folder, ordered cell, target temperature in K) of each.
    Returns:
        For each its equilibration, or what ended it.
    Raises:
        InputError: fewer than two frames in the averaging window.
        Interrupted: `stop` said so; everything up to this step is stored.
    Checked by tests/dynamics/test_dynamics_equilibration.py.
    """
    itineraries = []
    for folder, atoms, temperature_k in starts:
        wanted = stages(settings, temperature_k)
        _refuse_short_average(settings, wanted["npt"])
        runs = _equilibration(Path(folder), atoms, settings, temperature_k)
        itineraries.append(Itinerary(runs=runs, n_steps=sum(stage.n_steps for stage in wanted.values())))
    drive(itineraries, potential, at_once, progress, stop)
    return [itinerary.error or itinerary.result for itinerary in itineraries]


def _equilibration(
    folder: Path, atoms: Atoms, settings: DynamicsSettings, temperature_k: float
) -> Generator[tuple[str, MdRun], None, Equilibration]:
    """Stage after stage, each from where the one before ended."""
    structure = dynamics_cell(atoms, settings)
    seed = seed_of(settings.seed, temperature_k)
    structure.set_momenta(thermal_momenta(structure.get_masses(), settings.initial_temperature_k, seed))
    for name, stage in stages(settings, temperature_k).items():
        if stage.n_steps > 0:
            yield name, MdRun(folder=folder / name, atoms=structure, stage=stage)
            structure = _atoms_of(structure, last_state(folder / name))
    return _average(open_trajectory(folder / "npt"), structure, settings, temperature_k)


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
    (error,) = produce_batch(
        [(folder, equilibration, settings.production_ps)],
        potential,
        settings,
        at_once=1,
        progress=progress,
        stop=stop,
    )
    if error is not None:
        raise error
    return open_trajectory(folder)


def produce_batch(
    starts: Sequence[tuple[Path | str, Equilibration, float]],
    potential: Potential,
    settings: DynamicsSettings,
    *,
    at_once: int = AT_ONCE,
    progress: Progress = silent,
    stop: Stop = never,
) -> list[HalionError | None]:
    """Many productions through one batch; see `produce` and `run_batch`.

    Args:
        starts: (folder, equilibration, length in ps) of each; a production that is there already is made as long.
    Returns:
        For each None, or what ended it.
    """
    runs = []
    for folder, equilibration, length_ps in starts:
        start = equilibration.atoms.copy()
        start.set_momenta(equilibration.momenta)
        stage = _stage(settings, length_ps, equilibration.temperature_k, "nvt")
        stage = replace(stage, correlate_every_steps=settings.correlate_every_steps)
        runs.append(MdRun(folder=Path(folder), atoms=start, stage=stage))
    return run_batch(runs, potential, at_once=at_once, progress=progress, stop=stop)


def seed_of(seed: int, temperature_k: float, *stage: int) -> int:
    """Seed of the velocities at one temperature: different for each, the same on every machine.

    The first 32-bit word of numpy's SeedSequence of (seed, temperature in mK, stage if one is given).
    """
    return int(np.random.SeedSequence((seed, round(1000 * temperature_k), *stage)).generate_state(1)[0])


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
    trajectory: Trajectory, structure: Atoms, settings: DynamicsSettings, temperature_k: float
) -> Equilibration:
    window = np.flatnonzero(trajectory.steps > trajectory.steps[-1] - _steps(settings.cell_average_ps, settings))
    cells = trajectory.cells[window]
    mean_cell = cells.mean(axis=0)
    volumes = np.abs(np.linalg.det(cells)) / len(structure)
    nearest = int(np.argmin(np.linalg.norm(np.linalg.solve(cells, mean_cell) - np.eye(3), axis=(1, 2))))
    fractional = np.linalg.solve(cells[nearest].T, trajectory.positions[window[nearest]].T.astype(float)).T
    seed = seed_of(settings.seed, temperature_k, _PRODUCTION)
    return Equilibration(
        temperature_k=temperature_k,
        pressure_gpa=settings.pressure_gpa,
        atoms=Atoms(structure.numbers, positions=fractional @ mean_cell, cell=mean_cell, pbc=True),
        mean_cell=mean_cell,
        volume_per_atom=float(volumes.mean()),
        volume_per_atom_std=block_error(volumes),
        mean_temperature_k=float(trajectory.temperature_k[window].mean()),
        mean_pressure_gpa=float(trajectory.pressure_gpa[window].mean()),
        momenta=thermal_momenta(structure.get_masses(), temperature_k, seed),
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

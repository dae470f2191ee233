"""halion md: one stretch of molecular dynamics in a folder; the same command again goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson, Device, Potential, given, room_settings
from halion.cli.structures import read_ordered
from halion.cli.terminal import Shown, Watcher, stop_on_signal
from halion.errors import SettingsError, nearest

if TYPE_CHECKING:
    from halion.dynamics import MdStage, Trajectory
    from halion.settings import DynamicsSettings

__all__ = ["command"]


def command(
    structure: Annotated[Path, typer.Argument(help="An ordered cell in any format that ASE reads.")],
    temperature: Annotated[float, typer.Option(metavar="K", help="Target temperature.")],
    length_ps: Annotated[float, typer.Option(metavar="PS", help="Total length, also after a restart.")],
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the trajectory and the state lie.")],
    ensemble: Annotated[
        str,
        typer.Option(
            metavar="nve|nvt|npt|npt_isotropic",
            help="Energy or temperature kept in a fixed cell; or a cell under pressure, flexible or of one shape.",
        ),
    ] = "nvt",
    start_temperature: Annotated[
        float | None, typer.Option(metavar="K", help="Heat from here. (default: the target throughout)")
    ] = None,
    pressure_gpa: Annotated[
        float | None, typer.Option(metavar="GPA", help="Pressure of npt; 0.0001 is 1 bar. (default: 1)")
    ] = None,
    timestep_fs: Annotated[float | None, typer.Option(metavar="FS", help="Time step. (default: 1)")] = None,
    store_every: Annotated[
        int | None, typer.Option(metavar="STEPS", help="Store a frame every so many steps. (default: 10)")
    ] = None,
    checkpoint_ps: Annotated[
        float | None, typer.Option(metavar="PS", help="Most time lost when killed. (default: 1)")
    ] = None,
    correlate_every: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Gather displacements every so many steps, for `halion transport --gathered`. (otherwise: none)",
        ),
    ] = None,
    potential: Potential = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the velocities. (default: 0)")] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> Shown:
    """Run molecular dynamics of an ordered structure, or go on with it where it stopped."""
    settings = room_settings(
        dynamics=given(
            temperatures_k=[temperature],
            production_ps=length_ps,
            pressure_gpa=pressure_gpa,
            timestep_fs=timestep_fs,
            store_every_steps=store_every,
            checkpoint_ps=checkpoint_ps,
            correlate_every_steps=correlate_every,
            potential=potential,
            seed=seed,
        ),
        machine=given(device=device),
    )
    stage = _stage(settings.dynamics, ensemble, start_temperature)
    atoms = read_ordered(structure)

    from halion.dynamics import run_stage
    from halion.potentials import load_potential

    loaded = load_potential(settings.dynamics.potential, device=settings.machine.device)
    with Watcher() as watcher, stop_on_signal() as stop:
        trajectory = run_stage(folder, atoms, loaded, stage, progress=watcher.stage("dynamics"), stop=stop)
    record = _record(trajectory, folder / "trajectory.h5", loaded.name)
    return Shown(record=record, text=_text(record), as_json=as_json)


def _stage(settings: DynamicsSettings, ensemble: str, start_temperature: float | None) -> MdStage:
    from halion.dynamics import MdStage
    from halion.dynamics.types import ENSEMBLES
    from halion.units import FS_PER_PS

    if ensemble not in ENSEMBLES:
        raise SettingsError(
            f"there is no ensemble '{ensemble}': {nearest(ensemble, ENSEMBLES)}", fix="--ensemble nvt"
        )
    per_frame = settings.store_every_steps
    checkpoint = settings.checkpoint_ps * FS_PER_PS / settings.timestep_fs
    return MdStage(
        ensemble=ensemble,
        n_steps=round(settings.production_ps * FS_PER_PS / settings.timestep_fs),
        timestep_fs=settings.timestep_fs,
        temperature_k=settings.temperatures_k[0],
        start_temperature_k=start_temperature,
        pressure_gpa=settings.pressure_gpa,
        thermostat_ps=settings.thermostat_ps,
        barostat_ps=settings.barostat_ps,
        store_every_steps=per_frame,
        checkpoint_every_steps=max(1, round(checkpoint / per_frame)) * per_frame,
        seed=settings.seed,
        correlate_every_steps=settings.correlate_every_steps,
    )


def _record(trajectory: Trajectory, path: Path, potential: str) -> dict[str, Any]:
    import numpy as np

    from halion.records import to_record

    volumes = np.abs(np.linalg.det(trajectory.cells))
    return to_record(
        {
            "trajectory": str(path),
            "potential": potential,
            "n_atoms": len(trajectory.symbols),
            "n_frames": trajectory.n_frames,
            "n_steps": int(trajectory.steps[-1]),
            "length_ps": trajectory.length_ps,
            "target_temperature_k": trajectory.target_temperature_k,
            "mean_temperature_k": float(trajectory.temperature_k.mean()),
            "mean_pressure_gpa": float(trajectory.pressure_gpa.mean()),
            "mean_volume_per_atom_angstrom3": float(volumes.mean()) / len(trajectory.symbols),
        }
    )


def _text(record: dict[str, Any]) -> list[str]:
    length = f"{record['length_ps']:g} ps in {record['n_frames']} frames"
    return [
        f"{record['n_atoms']} atoms with {record['potential']}: {length}",
        f"mean temperature {record['mean_temperature_k']:.1f} K (target {record['target_temperature_k']:g} K), "
        f"pressure {record['mean_pressure_gpa']:.3f} GPa, "
        f"{record['mean_volume_per_atom_angstrom3']:.3f} Angstrom^3 per atom",
        f"trajectory: {record['trajectory']}   (next: halion transport {record['trajectory']})",
    ]

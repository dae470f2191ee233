"""Frames of one round of a loop: dynamics of every parent, and the furthest points of each trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from halion.dynamics import Equilibration, equilibrate_batch, open_trajectory, produce_batch
from halion.errors import HalionError
from halion.labels import Frame, SamplingChoices, choose_frames, gather_frames
from halion.potentials import Potential
from halion.progress import Progress, Stop
from halion.settings import DynamicsSettings
from halion.settings_learning import LoopSettings
from halion.study.loop_types import LoopStudy

__all__ = ["RoundFrames", "move_and_choose"]

_STORE_EVERY_FS = 20.0  # frames nearer in time than this hardly differ


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFrames:
    """Frames to label, in order of preference.

    Attributes:
        frames: trajectory -> its frames, spare ones at the end.
        volumes, lost: as in `LoopRound`.
    """

    frames: Mapping[str, list[Frame]]
    volumes: Mapping[str, float]
    lost: Mapping[str, str]


def move_and_choose(
    folder: Path,
    study: LoopStudy,
    temperature_k: float,
    potential: Potential,
    progress: Progress,
    stop: Stop,
) -> RoundFrames:
    """Heat, NPT and NVT of every parent, then furthest points; resumes in its folder.

    A trajectory that explodes stops alone; what it stored before is not used, and it is named in `lost`.
    """
    frames: dict[str, list[Frame]] = {}
    volumes: dict[str, float] = {}
    lost: dict[str, str] = {}
    for k in range(study.loop.trajectories_per_parent):
        settings = _settings(study.loop, temperature_k, k)
        parents = {f"{parent}-run{k + 1}": atoms for parent, atoms in study.parents.items()}
        cells = _equilibrated(folder, parents, potential, settings, progress, stop)
        lost |= {name: str(cell) for name, cell in cells.items() if isinstance(cell, HalionError)}
        sound = {name: cell for name, cell in cells.items() if isinstance(cell, Equilibration)}
        volumes |= {name: cell.volume_per_atom for name, cell in sound.items()}
        runs = [(folder / name / "nvt", cell, settings.production_ps) for name, cell in sound.items()]
        ended = produce_batch(runs, potential, settings, progress=progress, stop=stop)
        for name, error in zip(sound, ended, strict=True):
            if error is not None:
                lost[name] = str(error)
            else:
                frames[name] = _chosen(folder / name / "nvt", name, study, temperature_k)
    return RoundFrames(frames=frames, volumes=volumes, lost=lost)


def _equilibrated(
    folder: Path,
    cells: Mapping[str, Atoms],
    potential: Potential,
    settings: DynamicsSettings,
    progress: Progress,
    stop: Stop,
) -> dict[str, Equilibration | HalionError]:
    (temperature_k,) = settings.temperatures_k
    starts = [(folder / name / "npt", atoms, temperature_k) for name, atoms in cells.items()]
    found = equilibrate_batch(starts, potential, settings, progress=progress, stop=stop)
    return dict(zip(cells, found, strict=True))


def _chosen(folder: Path, name: str, study: LoopStudy, temperature_k: float) -> list[Frame]:
    frames = gather_frames([open_trajectory(folder)])
    # The framework tells where a frame lies; where everything is mobile, all atoms do.
    framework = tuple(sorted(set(frames.symbols) - set(study.mobile)))
    wanted = min(study.loop.frames_per_trajectory + study.loop.spare_frames, frames.n_frames)
    chosen = choose_frames(frames, wanted, SamplingChoices(framework=framework))
    group = f"{name}-{temperature_k:g}K"
    found = []
    for k in chosen.indices:
        atoms = frames.atoms(int(k))
        atoms.wrap()
        found.append(Frame(atoms=atoms, group=group, temperature_k=temperature_k))
    return found


def _settings(loop: LoopSettings, temperature_k: float, trajectory: int) -> DynamicsSettings:
    return DynamicsSettings(
        temperatures_k=(temperature_k,),
        pressure_gpa=loop.pressure_gpa,
        timestep_fs=loop.timestep_fs,
        heating_ps=loop.heating_ps,
        nvt_ps=0.0,
        npt_ps=loop.npt_ps,
        cell_average_ps=loop.npt_ps / 2,
        production_ps=loop.sampling_ps,
        store_every_steps=max(1, round(_STORE_EVERY_FS / loop.timestep_fs)),
        seed=loop.seed + trajectory,
    )

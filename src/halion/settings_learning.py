"""Settings of labels, fine-tuning and the loop of both; every key with its unit in its name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from halion.settings import Settings

__all__ = ["LabelSettings", "LoopSettings", "TrainingSettings"]


class LabelSettings(Settings):
    """Which code labels structures, and how."""

    code: Literal["gpaw", "vasp", "espresso", "potential"] = Field(
        "gpaw", description="the code; potential: another potential in its place, named as what it is"
    )
    potential: str = Field("7net-0", description="the potential, where code is potential")
    functional: Literal["PBE"] = Field("PBE", description="exchange and correlation")
    dispersion: Literal["none", "d3bj"] = Field(
        "none", description="added to what the code gives; d3bj: Grimme's D3 with Becke-Johnson damping, for PBE"
    )
    cutoff_ev: float = Field(350.0, gt=0, description="plane-wave cutoff of static labels")
    relaxation_cutoff_ev: float = Field(520.0, gt=0, description="plane-wave cutoff of relaxations")
    k_spacing_per_angstrom: float = Field(
        0.65, gt=0, description="largest distance between k-points (with the factor 2 pi), gamma-centred"
    )
    smearing_ev: float = Field(0.05, ge=0, description="width of the Fermi-Dirac occupations")
    command: str | None = Field(
        None, description="what runs the code: GPAW's python, vasp_std, pw.x; null: looked for where it usually is"
    )
    pseudopotentials: str | None = Field(
        None, description="folder of POTCARs (VASP) or of UPF files (Quantum ESPRESSO)"
    )
    processes: int = Field(1, gt=0, description="MPI processes of one label")
    at_once: int = Field(1, gt=0, description="labels at once")
    time_limit_s: float = Field(3600.0, gt=0, description="longest time of one attempt at one label")


class TrainingSettings(Settings):
    """How a potential is fine-tuned on labelled frames."""

    start: str = Field("chgnet", description="what is fine-tuned: chgnet (0.3.0), or the path of a checkpoint")
    epochs: int = Field(100, gt=0, description="passes over the training frames")
    batch_size: int = Field(4, gt=0, description="frames per step")
    batch_atoms: int | None = Field(
        None, gt=0, description="most atoms per step, for cells of unlike sizes; null: batch_size frames instead"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of Adam at the first step")
    last_learning_rate: float = Field(1e-5, gt=0, description="at the last step; half a cosine between")
    energy_weight: float = Field(3.0, ge=0, description="weight of the energy, eV/atom, in the loss")
    forces_weight: float = Field(1.0, ge=0, description="weight of the forces, eV/Angstrom")
    stress_weight: float = Field(0.1, ge=0, description="weight of the stress, GPa")
    huber_delta: float = Field(0.1, gt=0, description="errors beyond it count linearly, in the units above")
    frozen: tuple[str, ...] = Field(
        ("embeddings", "bases"), description="blocks that stay: embeddings, bases, atoms1 ... readout"
    )
    validation_fraction: float = Field(
        0.15, gt=0, lt=1, description="part of the frames, whole trajectories, that choose the best epoch"
    )
    patience: int = Field(40, gt=0, description="epochs without a better validation loss before it stops")
    seed: int = Field(0, ge=0, description="seed of the split and of the order of frames")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the network runs")


class LoopSettings(Settings):
    """Dynamics, labels and fine-tuning in turn, at rising temperature."""

    temperatures_k: tuple[float, ...] = Field(
        (200.0, 400.0, 600.0, 800.0), min_length=1, description="temperatures, one round each, rising"
    )
    pressure_gpa: float = Field(1e-4, description="pressure of the NPT stage; 0.0001 is 1 bar")
    timestep_fs: float = Field(1.0, gt=0, le=5)
    heating_ps: float = Field(2.0, ge=0, description="linear ramp to the temperature, cell fixed")
    npt_ps: float = Field(20.0, gt=0, description="NPT equilibration, cell flexible")
    sampling_ps: float = Field(20.0, gt=0, description="NVT at the mean cell, which frames are chosen from")
    trajectories_per_parent: int = Field(2, gt=0, description="trajectories of each parent, with other velocities")
    frames_per_trajectory: int = Field(20, gt=0, description="frames of each trajectory labelled in each round")
    spare_frames: int = Field(10, ge=0, description="further ones that take the place of labels that fail")
    seed: int = Field(0, ge=0, description="seed of the velocities")

    @field_validator("temperatures_k")
    @classmethod
    def _rise(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if list(given) != sorted(set(given)) or given[0] <= 0:
            raise ValueError("temperatures_k must be positive and rise: each round starts from the one before")
        return given

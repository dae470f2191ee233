"""What the dynamics room gives: trajectories on disk, and the mean cell of an equilibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ase import Atoms

from halion.arrays import FloatArray, IntArray

__all__ = ["Equilibration", "MdRun", "MdStage", "ThermalExpansion", "Trajectory"]

Ensemble = Literal["nve", "nvt", "npt", "npt_isotropic"]
ENSEMBLES: tuple[str, ...] = get_args(Ensemble)


@dataclass(frozen=True, slots=True, kw_only=True)
class MdStage:
    """One stretch of molecular dynamics.

    Attributes:
        ensemble: "nve", "nvt" (Nose-Hoover chain), "npt" (Martyna-Tobias-Klein, flexible cell) or
            "npt_isotropic" (the cell keeps its shape).
        n_steps: total steps, also after a restart.
        timestep_fs: time step.
        temperature_k: target temperature at the end of the stage.
        start_temperature_k: target at its beginning; the target rises linearly from it (heating). None: constant.
        pressure_gpa: target pressure (npt).
        thermostat_ps, barostat_ps: time constants.
        store_every_steps: a frame is stored every so many steps.
        checkpoint_every_steps: frames and full state reach the disk every so many steps; a multiple of
            store_every_steps.
        seed: seed of the initial velocities, used if the structure has none.
        correlate_every_steps: displacements of all atoms are gathered every so many steps while the run moves
            (see `read_correlation`), so that no dense trajectory is needed; None: they are not. Each stored state
            then holds 16 positions of all atoms for each factor of four in the length of the run.
    """

    ensemble: Ensemble
    n_steps: int
    timestep_fs: float
    temperature_k: float
    start_temperature_k: float | None = None
    pressure_gpa: float = 0.0
    thermostat_ps: float = 0.1
    barostat_ps: float = 1.0
    store_every_steps: int = 10
    checkpoint_every_steps: int = 1000
    seed: int = 0
    correlate_every_steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MdRun:
    """One stage of one structure in a folder of its own.

    Attributes:
        folder: of this stage alone: segments while it runs, `trajectory.h5` at its end.
        atoms: start, periodic; its momenta are used if it has any (without the motion of the centre of mass),
            otherwise they are drawn with `stage.seed` at the first target temperature. Positions are taken as
            they are, unwrapped. Masses are the standard atomic weights.
        stage: what to run.
    """

    folder: Path
    atoms: Atoms
    stage: MdStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """Frames of one run. Positions are unwrapped, as the integrator moves them.

    Attributes:
        symbols: (n_atoms) chemical symbols.
        positions: (n_frames, n_atoms, 3) Angstrom, unwrapped; an array, or `StoredPositions` on the disk.
        cells: (n_frames, 3, 3) Angstrom.
        steps: (n_frames,) step numbers.
        time_ps: (n_frames,) time, ps.
        temperature_k: (n_frames,) kinetic temperature; NaN where unknown.
        potential_energy: (n_frames,) eV; NaN where unknown.
        pressure_gpa: (n_frames,) pressure including the ideal-gas part; NaN where unknown.
        target_temperature_k: temperature that the run was meant to have; NaN where unknown.
        source: the file that it was read from.
        conserved_energy: (n_frames,) conserved energy of the extended system, eV, NaN while the target moves;
            None where unknown. Its drift judges the time step.
    """

    symbols: tuple[str, ...]
    positions: FloatArray
    cells: FloatArray
    steps: IntArray
    time_ps: FloatArray
    temperature_k: FloatArray
    potential_energy: FloatArray
    pressure_gpa: FloatArray
    target_temperature_k: float
    source: str
    conserved_energy: FloatArray | None = None

    @property
    def n_frames(self) -> int:
        """Stored frames."""
        return len(self.positions)

    @property
    def length_ps(self) -> float:
        """Time from the first frame to the last, ps."""
        return float(self.time_ps[-1] - self.time_ps[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Equilibration:
    """The cell and state that production starts from.

    Attributes:
        temperature_k: target temperature.
        pressure_gpa: target pressure.
        atoms: the NPT frame whose cell is nearest to the mean one, scaled into it, unwrapped positions.
        mean_cell: (3, 3) Angstrom, mean over the averaging window.
        volume_per_atom: mean volume per atom over the window, Angstrom^3.
        volume_per_atom_std: its statistical error (block average), Angstrom^3.
        mean_temperature_k: mean kinetic temperature over the window.
        mean_pressure_gpa: mean pressure over the window.
        momenta: (n_atoms, 3) that production starts with, drawn at the temperature; ASE units.
    """

    temperature_k: float
    pressure_gpa: float
    atoms: Atoms
    mean_cell: FloatArray
    volume_per_atom: float
    volume_per_atom_std: float
    mean_temperature_k: float
    mean_pressure_gpa: float
    momenta: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalExpansion:
    """Volume against temperature at one pressure, and the straight line ln V = a + alpha T through it.

    Attributes:
        pressure_gpa: target pressure of all points.
        temperatures_k: (n,) ascending, K.
        volumes_per_atom: (n,) Angstrom^3.
        volume_errors: (n,) their statistical errors, Angstrom^3.
        coefficient_per_k: volumetric thermal expansion coefficient alpha = dV / (V dT), 1/K.
        coefficient_error_per_k: its standard error, from the errors of the volumes, and not less than what their
            scatter about the line says.
        chi_squared: sum of (deviation from the line / error)^2; far above n - 2 the expansion is no straight line.
    """

    pressure_gpa: float
    temperatures_k: tuple[float, ...]
    volumes_per_atom: tuple[float, ...]
    volume_errors: tuple[float, ...]
    coefficient_per_k: float
    coefficient_error_per_k: float
    chi_squared: float

"""GPAW as a labeller: PBE, projector augmented waves, plane waves, analytic stress; its own process per label.

GPAW runs in the environment that it is installed in, which need not be halion's, alone or under MPI
(`jobs/gpaw_job.py`). What it cannot converge is tried again by `_LADDER`.

Source: Mortensen et al., J. Chem. Phys. 160, 092503 (2024), doi:10.1063/5.0182685.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from halion.errors import LabelError, MissingDependency
from halion.files import read_json, write_json
from halion.labels.kpoints import gamma_centred
from halion.labels.process import run_process
from halion.labels.types import Label, Provenance, Relaxed
from halion.settings_learning import LabelSettings

__all__ = ["GpawLabeller", "find_gpaw"]

# In a folder of its own: Python puts a script's folder first on its path, and `types.py` must not be found there.
_JOB = Path(__file__).parent / "jobs" / "gpaw_job.py"
_PULAY = {"backend": "pulay", "beta": 0.5, "nmaxold": 8, "weight": 1.0}
_CAREFUL = {"backend": "pulay", "beta": 0.05, "nmaxold": 5, "weight": 50.0}
# Fast for insulators first (13 to 14 iterations instead of 17 to 19 of GPAW's own mixer on hot cells of 20 and 30
# atoms, a third of the time gone); then GPAW's defaults; then slow and sure. None changes what converges.
_LADDER: tuple[dict[str, Any], ...] = (
    {"eigensolver": {"name": "rmm-diis"}, "mixer": _PULAY, "nbands": "105%", "maxiter": 60},
    {"eigensolver": {"name": "dav"}, "mixer": _CAREFUL, "nbands": "120%", "maxiter": 333},
    {
        "eigensolver": {"name": "dav", "niter": 3},
        "mixer": _CAREFUL | {"beta": 0.02},
        "nbands": "140%",
        "maxiter": 999,
    },
)
# eV per valence electron and electrons per valence electron: forces then hold to about 1e-3 eV/Angstrom.
_CONVERGED = {"energy": 1e-5, "density": 1e-4}
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}
# In a batch job mpiexec would ask the scheduler for tasks, and be given one: a label stays on its node.
_OF_SCHEDULERS = ("SLURM_", "PMI_", "PMIX_")


class GpawLabeller:
    """GPAW as a `Labeller`.

    Energy extrapolated to zero smearing, forces, and stress (tension positive) of a fixed plane-wave cutoff,
    whatever the volume, so that all frames are on one footing.

    Args:
        settings: cutoff, k-point spacing, smearing, GPAW's python (`command`), MPI processes, time limit.
    Attributes:
        method, relaxation_method: e.g. "GPAW PBE PW 350 eV k 0.65 1/A smearing 0.05 eV".
    Raises:
        MissingDependency: no GPAW is found.
    Checked by tests/labels/test_labels_gpaw.py (marker `dft`: finite differences of energy; without GPAW: the
    ladder, time limits and broken installations).
    """

    def __init__(self, settings: LabelSettings) -> None:
        self._settings = settings
        self._python = find_gpaw(settings.command)
        self.method = _method(settings, settings.cutoff_ev)
        self.relaxation_method = _method(settings, settings.relaxation_cutoff_ev)

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress, see `Labeller`."""
        answer, attempt = self._climb(atoms, folder, None)
        return _label(answer, attempt, self.method)

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """FIRE over positions and cell (ASE's Frechet cell filter) in one process of GPAW, see `Labeller`.

        The plane-wave cutoff is `relaxation_cutoff_ev`, that of each step's own cell. The stress, as in VASP, is
        that of a fixed number of waves: at 520 eV 0.2 GPa off, LiCl 0.6 % smaller than its energy says. The time
        limit counts from step to step. `folder`/steps.extxyz holds every step; the next rung of the ladder, and a
        later call, go on from its last geometry.
        """
        wanted = {
            "force_tolerance": force_tolerance,
            "max_steps": max_steps,
            "cutoff": self._settings.relaxation_cutoff_ev,
            "method": self.relaxation_method,
            "trajectory": str((folder / "steps.extxyz").resolve()),
        }
        answer, attempt = self._climb(atoms, folder, wanted)
        return Relaxed(
            atoms=Atoms(atoms.numbers, positions=answer["positions"], cell=answer["cell"], pbc=True),
            label=_label(answer, attempt, self.relaxation_method),
            n_steps=answer["n_steps"],
            largest_force=answer["largest_force"],
            converged=answer["largest_force"] < force_tolerance,
            start_energy=answer["start_energy"],
        )

    def _climb(self, atoms: Atoms, folder: Path, relax: dict[str, Any] | None) -> tuple[dict[str, Any], int]:
        said = []
        for attempt, rung in enumerate(_LADDER):
            try:
                answer = self._run(atoms, folder / f"attempt-{attempt}", rung, relax)
            except TimeoutError as error:
                said.append(str(error))
                continue
            if "not_converged" not in answer:
                return answer, attempt
            said.append(f"not converged in {rung['maxiter']} iterations")
        raise LabelError(
            f"GPAW did not converge: {'; '.join(said)}",
            where=f"{atoms.get_chemical_formula()}, {folder}",
            fix="look at gpaw.txt in that folder; another frame takes this one's place",
        )

    def _run(
        self, atoms: Atoms, folder: Path, rung: dict[str, Any], relax: dict[str, Any] | None
    ) -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        settings = self._settings
        job = {
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "functional": settings.functional,
            "cutoff": settings.cutoff_ev,
            "kpoints": gamma_centred(atoms.cell.array, settings.k_spacing_per_angstrom),
            "smearing": settings.smearing_ev,
            "gpaw": rung | _CONVERGED,
            "relax": relax,
        }
        write_json(folder / "job.json", job)
        command = [*self._mpi(), self._python, str(_JOB), "job.json", "result.json"]
        run_process(
            command,
            folder,
            settings.time_limit_s,
            environment=_ONE_THREAD | (_parallel() if settings.processes > 1 else {}),
            growing=None if relax is None else Path(relax["trajectory"]),
        )
        if not (folder / "result.json").exists():
            raise LabelError(
                "GPAW ended without a result",
                where=str(folder),
                fix=f"look at {folder}/error.txt; halion doctor   (checks GPAW)",
            )
        return read_json(folder / "result.json")

    def _mpi(self) -> list[str]:
        if self._settings.processes == 1:
            return []
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        return [find_mpiexec(), *root, "-n", str(self._settings.processes)]


def _parallel() -> dict[str, str | None]:
    # GPAW's C extension brings its MPI, which since 26 has to be asked for where not `gpaw python` runs it.
    backend: dict[str, str | None] = {"GPAW_MPI_BACKEND": "cgpaw"}
    return backend | {name: None for name in os.environ if name.startswith(_OF_SCHEDULERS)}


def find_gpaw(command: str | None = None) -> str:
    """The Python that has GPAW: `command`, HALION_GPAW_PYTHON, or this one.

    Raises:
        MissingDependency: none of them has.
    """
    given = command or os.environ.get("HALION_GPAW_PYTHON")
    if given is None and importlib.util.find_spec("gpaw") is not None:
        return sys.executable
    if given is not None and _has_gpaw(given):
        return given
    raise MissingDependency(
        f"there is no GPAW in {given}" if given else "there is no GPAW in this environment",
        fix="scripts/gpaw.sh   (builds GPAW in .venv-gpaw, and says what to export)",
    )


def find_mpiexec() -> str:
    """The mpiexec of the MPI whose mpicc GPAW was compiled with: beside mpicc, not the first of any package.

    Raises:
        MissingDependency: there is no mpicc, or no mpiexec beside it.
    """
    compiler = shutil.which("mpicc", path=os.pathsep.join(_outside_environment()))
    beside = Path(compiler).with_name("mpiexec") if compiler else None
    if beside is None or not beside.exists():
        raise MissingDependency(
            "several MPI processes are asked for, and there is no mpiexec beside an mpicc",
            fix="apt-get install libopenmpi-dev openmpi-bin, or set labels.processes to 1",
        )
    return str(beside)


def _outside_environment() -> list[str]:
    """PATH without this environment: the wheel of mpich puts another mpiexec there."""
    own = Path(sys.prefix).resolve()
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return [folder for folder in folders if not Path(folder).resolve().is_relative_to(own)]


def _method(settings: LabelSettings, cutoff: float) -> str:
    return (
        f"GPAW {settings.functional} PW {cutoff:g} eV k {settings.k_spacing_per_angstrom:g} 1/A "
        f"smearing {settings.smearing_ev:g} eV"
    )


def _has_gpaw(python: str) -> bool:
    try:
        asked = subprocess.run([python, "-c", "import gpaw"], capture_output=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _label(answer: dict[str, Any], attempt: int, method: str) -> Label:
    stress = np.array(answer["stress"])
    return Label(
        energy=answer["energy"],
        forces=np.array(answer["forces"]),
        stress=(stress + stress.T) / 2,
        provenance=Provenance(
            method=method,
            code=f"GPAW {answer['version']}",
            attempt=attempt,
            n_iterations=answer["n_iterations"],
            wall_s=answer["wall_s"],
            processes=answer["processes"],
            details={"bands": answer["bands"], "reduced_kpoints": answer["reduced_kpoints"]},
        ),
    )

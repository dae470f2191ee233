"""Quantum ESPRESSO as a labeller, through ASE; pseudopotentials from the user's folder."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import ParseError, read
from ase.io.espresso import write_espresso_in

from halion.errors import InputError, LabelError, MissingDependency
from halion.labels.kpoints import gamma_centred
from halion.labels.process import run_process
from halion.labels.types import Label, Provenance, Relaxed, largest_gradient
from halion.settings_learning import LabelSettings
from halion.units import KBAR_PER_GPA, energy_to_rydberg, length_from_bohr, pressure_to_gpa

__all__ = ["EspressoLabeller", "find_pseudopotentials"]

# Charge density of a norm-conserving or PAW set: at least four, for ultrasoft eight times the cutoff of the waves.
_DENSITY = 8
_LADDER: tuple[dict[str, Any], ...] = (
    {"mixing_beta": 0.7, "diagonalization": "david"},
    {"mixing_beta": 0.3, "diagonalization": "david", "electron_maxstep": 300},
    {"mixing_beta": 0.1, "diagonalization": "cg", "electron_maxstep": 800},
)


class EspressoLabeller:
    """Quantum ESPRESSO as a `Labeller`.

    Args:
        settings: `command` is pw.x, with what starts it under MPI if wanted; `pseudopotentials` the folder of UPF
            files whose names begin with the element (Li.*.UPF, li_*.upf).
    Raises:
        InputError: the folder is not given.
    Checked by tests/labels/test_labels_espresso.py: inputs, choice of files, a real output read.
    """

    def __init__(self, settings: LabelSettings) -> None:
        if not settings.pseudopotentials:
            raise InputError(
                "Quantum ESPRESSO needs pseudopotentials, which it does not bring along",
                where="labels.pseudopotentials",
                fix="halion label ... --code espresso --pseudopotentials FOLDER   (SSSP, for example)",
            )
        self._settings = settings
        self._folder = Path(settings.pseudopotentials)
        self.method, self.relaxation_method = (
            f"Quantum ESPRESSO {settings.functional} PW {cutoff:g} eV "
            f"k {settings.k_spacing_per_angstrom:g} 1/A smearing {settings.smearing_ev:g} eV"
            for cutoff in (settings.cutoff_ev, settings.relaxation_cutoff_ev)
        )

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress, see `Labeller`."""
        return self._climb(atoms, folder, "scf", {})[1]

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """Its own BFGS over positions and cell (vc-relax), see `Labeller`.

        vc-relax ends with a calculation in the plane waves of the relaxed cell, which is the label.
        """
        pressure = pressure_to_gpa(force_tolerance * len(atoms) / float(atoms.get_volume()))
        limits = {
            "control": {"forc_conv_thr": length_from_bohr(energy_to_rydberg(force_tolerance)), "nstep": max_steps},
            "cell": {"press_conv_thr": KBAR_PER_GPA * pressure},
        }
        steps, label = self._climb(atoms, folder, "vc-relax", limits)
        last = steps[-1]
        relaxed = Atoms(last.numbers, positions=last.positions, cell=last.cell, pbc=True)
        largest = largest_gradient(relaxed, label)
        return Relaxed(
            atoms=relaxed,
            label=label,
            n_steps=len(steps),
            largest_force=largest,
            converged=largest < force_tolerance,
            start_energy=float(steps[0].get_potential_energy()),
        )

    def _climb(
        self, atoms: Atoms, folder: Path, task: str, limits: dict[str, dict[str, Any]]
    ) -> tuple[list[Atoms], Label]:
        method = self.method if task == "scf" else self.relaxation_method
        said = []
        for attempt, rung in enumerate(_LADDER):
            place = folder / f"attempt-{attempt}"
            place.mkdir(parents=True, exist_ok=True)
            self._write(atoms, place, task, limits, rung)
            start = time.perf_counter()
            command = [*shlex.split(self._settings.command or "pw.x"), "-in", "pw.in"]
            try:
                run_process(command, place, self._settings.time_limit_s)
                steps = read(place / "output.txt", index=":", format="espresso-out")
            except (TimeoutError, LabelError, ParseError, ValueError, IndexError) as error:
                said.append(str(error).splitlines()[0])
                continue
            last = steps[-1]
            if last.calc is not None and {"energy", "forces", "stress"} <= last.calc.results.keys():
                return steps, _label(last, method, attempt, time.perf_counter() - start)
            said.append("no energy, forces and stress in its output")
        raise LabelError(
            f"Quantum ESPRESSO gave no result: {'; '.join(said)}",
            where=str(folder),
            fix="look at output.txt in that folder; another frame takes this one's place",
        )

    def _write(
        self, atoms: Atoms, folder: Path, task: str, limits: dict[str, dict[str, Any]], rung: dict[str, Any]
    ) -> None:
        settings = self._settings
        cutoff = settings.cutoff_ev if task == "scf" else settings.relaxation_cutoff_ev
        waves = energy_to_rydberg(cutoff)
        data = {
            "control": {
                "calculation": task,
                "tprnfor": True,
                "tstress": True,
                "pseudo_dir": str(self._folder.resolve()),
                "outdir": "./scratch",
                **limits.get("control", {}),
            },
            "system": {
                "ecutwfc": waves,
                "ecutrho": _DENSITY * waves,
                "occupations": "smearing",
                "smearing": "fermi-dirac",
                "degauss": energy_to_rydberg(settings.smearing_ev),
                "input_dft": settings.functional,
                "nosym": True,
            },
            "electrons": {"conv_thr": 1e-9 * len(atoms), "scf_must_converge": True, **rung},
            "cell": limits.get("cell", {}),
        }
        files = find_pseudopotentials(sorted(set(atoms.symbols)), self._folder)
        points = gamma_centred(atoms.cell.array, settings.k_spacing_per_angstrom)
        with open(folder / "pw.in", "w", encoding="utf-8") as handle:
            write_espresso_in(handle, atoms, input_data=data, pseudopotentials=files, kpts=points)


def find_pseudopotentials(elements: list[str], folder: Path | str) -> dict[str, str]:
    """Element -> file name in the folder; the name begins with the element, any case.

    Raises:
        MissingDependency: an element has none.
        InputError: an element has several, and none can be preferred.
    """
    files = sorted(path.name for path in Path(folder).glob("*") if path.suffix.lower() == ".upf")
    found = {}
    for element in elements:
        own = [
            name
            for name in files
            if name.lower().startswith(element.lower()) and not name[len(element) : len(element) + 1].isalpha()
        ]
        if not own:
            raise MissingDependency(
                f"there is no UPF file of {element}",
                where=str(folder),
                fix=f"put one there whose name begins with '{element}.' or '{element}_'",
            )
        if len(own) > 1:
            raise InputError(
                f"there are several UPF files of {element}: {', '.join(own)}",
                where=str(folder),
                fix="leave one of them in the folder",
            )
        found[element] = own[0]
    return found


def _label(atoms: Atoms, method: str, attempt: int, wall_s: float) -> Label:
    stress = atoms.get_stress(voigt=False)
    return Label(
        energy=float(atoms.get_potential_energy()),
        forces=atoms.get_forces(apply_constraint=False),
        stress=(stress + stress.T) / 2,
        provenance=Provenance(method=method, code="Quantum ESPRESSO", attempt=attempt, wall_s=wall_s),
    )

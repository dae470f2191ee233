"""VASP as a labeller: inputs written here, run by the user's command, read back by `imports`."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from halion.errors import InputError, LabelError, MissingDependency
from halion.files import write_text
from halion.labels.imports import read_vasp
from halion.labels.kpoints import gamma_centred
from halion.labels.process import run_process
from halion.labels.types import Label, Relaxed, largest_gradient
from halion.settings_learning import LabelSettings

__all__ = ["VaspLabeller", "write_vasp_inputs"]

# VASP's own recommendation for accurate phonons and the Materials Project's choice; others have one data set only.
_DATA_SETS = {"Li": "Li_sv", "Na": "Na_pv", "K": "K_sv", "Y": "Y_sv", "Zr": "Zr_sv", "La": "La", "Mg": "Mg_pv"}
_STATIC = {
    "ALGO": "Normal",
    "EDIFF": "1E-6",
    "GGA": "PE",
    "IBRION": "-1",
    "ISIF": "2",
    "ISMEAR": "0",
    "LASPH": ".TRUE.",
    "LCHARG": ".FALSE.",
    "LREAL": ".FALSE.",
    "LWAVE": ".FALSE.",
    "NELM": "200",
    "NSW": "0",
    "PREC": "Accurate",
}
# What is tried in turn when the electrons do not converge.
_LADDER: tuple[dict[str, str], ...] = (
    {},
    {"ALGO": "All", "NELM": "400"},
    {"ALGO": "Damped", "TIME": "0.4", "NELM": "800"},
)


class VaspLabeller:
    """VASP as a `Labeller`: static labels at the study's settings (PBE, 350 eV), relaxations at 520 eV.

    Args:
        settings: `command` runs VASP in the folder that holds its inputs ("mpirun -n 8 vasp_std");
            `pseudopotentials` is the folder that holds Li_sv/POTCAR and so on.
    Raises:
        InputError: neither is given.
    Checked by tests/labels/test_labels_vasp.py: inputs, data sets, and the whole way with a stand-in program that
    returns a real vasprun.xml.
    """

    def __init__(self, settings: LabelSettings) -> None:
        if not settings.command or not settings.pseudopotentials:
            raise InputError(
                "VASP needs its command and the folder of its POTCARs",
                where="labels.command, labels.pseudopotentials",
                fix="halion label ... --code vasp --command 'mpirun -n 8 vasp_std' --pseudopotentials POTCARS",
            )
        self._settings = settings
        self.method = _method(settings, settings.cutoff_ev)
        self.relaxation_method = _method(settings, settings.relaxation_cutoff_ev)

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress, see `Labeller`."""
        return self._climb(atoms, folder, self.method, {})[-1][1]

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """VASP's own conjugate gradients over positions and cell (IBRION = 2, ISIF = 3), see `Labeller`.

        VASP keeps the plane waves of the cell that it starts from; a second, static run at the relaxed cell
        (`folder`/end) gives the label.
        """
        wanted = {"IBRION": "2", "ISIF": "3", "NSW": str(max_steps), "EDIFFG": f"{-force_tolerance:g}"}
        tags = {"ENCUT": f"{self._settings.relaxation_cutoff_ev:g}"}
        steps = self._climb(atoms, folder, self.relaxation_method, tags | wanted)
        relaxed, last = steps[-1]
        largest = largest_gradient(relaxed, last)
        return Relaxed(
            atoms=relaxed,
            label=self._climb(relaxed, folder / "end", self.relaxation_method, tags)[-1][1],
            n_steps=len(steps),
            largest_force=largest,
            converged=largest < force_tolerance,
            start_energy=steps[0][1].energy,
        )

    def _climb(self, atoms: Atoms, folder: Path, method: str, extra: dict[str, str]) -> list[tuple[Atoms, Label]]:
        said = []
        for attempt, rung in enumerate(_LADDER):
            place = folder / f"attempt-{attempt}"
            order = write_vasp_inputs(atoms, place, self._settings, extra=extra | rung)
            try:
                run_process(shlex.split(self._settings.command or ""), place, self._settings.time_limit_s)
                found = read_vasp(place / "vasprun.xml")
            except (TimeoutError, InputError) as error:
                said.append(str(error).splitlines()[0])
                continue
            return [_in_order(one.frame.atoms, one.label, order, method) for one in found]
        raise LabelError(
            f"VASP gave no converged result: {'; '.join(said)}",
            where=str(folder),
            fix="look at OUTCAR in that folder; another frame takes this one's place",
        )


def write_vasp_inputs(
    atoms: Atoms,
    folder: Path | str,
    settings: LabelSettings,
    *,
    extra: dict[str, str] | None = None,
) -> list[int]:
    """INCAR, POSCAR, KPOINTS and POTCAR of one label.

    Args:
        atoms: any order; POSCAR has them by element.
        folder: made where it is not there.
        settings: cutoff, k-point spacing, smearing, folder of POTCARs.
        extra: INCAR tags that replace or add to those of a static label.
    Returns:
        For each line of POSCAR the atom that it is of.
    Raises:
        MissingDependency: an element's POTCAR is not in the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    elements = sorted(set(atoms.symbols))
    order = [i for element in elements for i in range(len(atoms)) if atoms.symbols[i] == element]
    tags = _STATIC | {"ENCUT": f"{settings.cutoff_ev:g}", "SIGMA": f"{settings.smearing_ev:g}"}
    write_text(folder / "INCAR", "".join(f"{k} = {v}\n" for k, v in sorted((tags | (extra or {})).items())))
    points = gamma_centred(atoms.cell.array, settings.k_spacing_per_angstrom)
    write_text(folder / "KPOINTS", f"gamma-centred\n0\nGamma\n{points[0]} {points[1]} {points[2]}\n0 0 0\n")
    write(folder / "POSCAR", atoms[order], format="vasp", direct=True)
    write_text(folder / "POTCAR", "".join(_potcar(element, settings) for element in elements))
    return order


def _potcar(element: str, settings: LabelSettings) -> str:
    name = _DATA_SETS.get(element, element)
    path = Path(settings.pseudopotentials or "") / name / "POTCAR"
    if not path.exists():
        raise MissingDependency(
            f"there is no POTCAR of {element} ({name})",
            where=str(path),
            fix="set labels.pseudopotentials to the folder that holds Li_sv/POTCAR and the others",
        )
    return path.read_text(encoding="utf-8")


def _method(settings: LabelSettings, cutoff: float) -> str:
    return (
        f"VASP {settings.functional} PW {cutoff:g} eV k {settings.k_spacing_per_angstrom:g} 1/A "
        f"smearing {settings.smearing_ev:g} eV"
    )


def _in_order(atoms: Atoms, label: Label, order: list[int], method: str) -> tuple[Atoms, Label]:
    """VASP sorts atoms by element; back to the order that was asked for."""
    back = np.argsort(order)
    restored = Atoms(atoms.numbers[back], positions=atoms.positions[back], cell=atoms.cell, pbc=True)
    provenance = label.provenance
    return restored, Label(
        energy=label.energy,
        forces=label.forces[back],
        stress=label.stress,
        provenance=type(provenance)(method=method, code=provenance.code, n_iterations=provenance.n_iterations),
    )

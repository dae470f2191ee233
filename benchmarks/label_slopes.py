"""Forces and stress of GPAW's labels are the slopes of their energies: one hot frame of each end member.

Three force components (of Li, Y and a halogen) by central differences of 0.02 Angstrom, all six components of the
stress by central differences of 1 % strain, with the preset of the labels and the k-points of the frame. Labels in
--folder are kept: a killed run goes on.

    HALION_GPAW_PYTHON=.venv-gpaw/bin/python python benchmarks/label_slopes.py --folder labels
        [--output benchmarks/results/label_slopes.md]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from cutoff import frames_of

from halion.labels import GpawLabeller, LabelledFrame, gamma_centred, label_frames
from halion.settings_learning import LabelSettings
from halion.study.provenance import machine_description, source_commit
from halion.units import GPA_PER_EV_ANGSTROM3

EXPLAINED = """A label's stress is the slope at a constant number of plane waves; the slope here is at a constant
cutoff, where a larger cell has more of them. They differ by the pressure of an incomplete basis (Pulay's), alike in
all directions and none in shear: 70 and 44 MPa against 700 eV in cutoff.md."""
STEP, STRAIN = 0.02, 0.01
SIGNS = (1, -1)
STRESSES = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}


def moved(atoms: Atoms, atom: int, axis: int, sign: int) -> Atoms:
    """One atom displaced."""
    found = atoms.copy()
    found.positions[atom, axis] += sign * STEP
    return found


def strained(atoms: Atoms, a: int, b: int, sign: int) -> Atoms:
    """Cell and atoms strained by one symmetric component."""
    strain = np.eye(3)
    strain[a, b] += sign * STRAIN / 2
    strain[b, a] += sign * STRAIN / 2
    found = atoms.copy()
    found.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    return found


def slopes(one: LabelledFrame) -> Iterator[tuple[str, Callable[[int], Atoms], float, float, float]]:
    """Name, the geometry of either sign, the label's own value, 2h, and the unit (printed per eV and Angstrom)."""
    atoms, label = one.frame.atoms, one.label
    for axis, element in enumerate(sorted(set(atoms.symbols), reverse=True)):
        atom = [symbol == element for symbol in atoms.symbols].index(True)
        name = f"force of {element} along {'xyz'[axis]}, meV/Å"
        yield name, lambda s, i=atom, k=axis: moved(atoms, i, k, s), -label.forces[atom, axis], 2 * STEP, -1e3
    to_mpa = 1e3 * GPA_PER_EV_ANGSTROM3
    for name, (a, b) in STRESSES.items():
        width = 2 * STRAIN * atoms.get_volume()
        yield (
            f"stress {name}, MPa",
            lambda s, a=a, b=b: strained(atoms, a, b, s),
            label.stress[a, b],
            width,
            to_mpa,
        )


def same_points(atoms: Atoms, frame: Atoms) -> float:
    """The largest spacing up to the preset's that gives a strained cell the k-points of its frame, 1/Angstrom."""
    preset = LabelSettings().k_spacing_per_angstrom
    wanted = gamma_centred(frame.cell.array, preset)
    for spacing in preset * np.linspace(1.0, 0.9, 101):
        if gamma_centred(atoms.cell.array, spacing) == wanted:
            return float(spacing)
    raise ValueError("no spacing gives these k-points")


def rows(one: LabelledFrame, folder: Path) -> Iterator[str]:
    """Each slope beside the label's own value."""
    for name, geometry, own, width, unit in slopes(one):
        energies = []
        for sign in SIGNS:
            frame = replace(one.frame, atoms=geometry(sign))
            place = (
                folder / f"{one.frame.atoms.get_chemical_formula()}-{name.split(',')[0].replace(' ', '-')}{sign:+d}"
            )
            spacing = same_points(frame.atoms, one.frame.atoms)
            labeller = GpawLabeller(LabelSettings(k_spacing_per_angstrom=spacing))
            energies.append(label_frames([frame], labeller, place).labelled[0].label.energy)
        slope = (energies[0] - energies[1]) / width
        yield f"| {name} | {unit * own:.1f} | {unit * slope:.1f} | {unit * (own - slope):+.1f} |"


def main() -> None:
    """Label and print, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/LYCB-PBE/train.extxyz"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        f"{machine_description()['processor']}; halion {source_commit()[:12]}; "
        f"{GpawLabeller(LabelSettings()).method}.",
        "",
        "# Labels against the slopes of their energies",
        "",
        EXPLAINED,
    ]
    for one in frames_of(options.data):
        heading = f"{one.frame.atoms.get_chemical_formula()}, {one.frame.temperature_k:g} K"
        lines += ["", f"## {heading}", "", "| | label | slope of the energy | apart |", "|---|---|---|---|"]
        for line in rows(one, options.folder):
            lines.append(line)
            print(line, flush=True)
            if options.output:
                options.output.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()

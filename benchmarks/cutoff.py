"""Plane-wave cutoff and k-points of GPAW labels: energy, forces and stress against the finest, on hot end members.

One frame of Li3YCl6 (30 atoms, P-3m1) and one of Li3YBr6 (20 atoms, C2/m) of the labelled data, labelled again at
each cutoff with the k-points of the preset, and at the preset's cutoff with denser k-points. Labels that are in
--folder already are kept, so that a killed run goes on.

    HALION_GPAW_PYTHON=.venv-gpaw/bin/python python benchmarks/cutoff.py --output benchmarks/results/cutoff.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from halion.labels import GpawLabeller, Label, LabelledFrame, label_frames, read_labels
from halion.settings_learning import LabelSettings
from halion.study.provenance import machine_description, source_commit
from halion.units import GPA_PER_EV_ANGSTROM3

CUTOFFS_EV = (350.0, 400.0, 500.0, 700.0)
DENSE_K = 0.4  # 1/Angstrom


def frames_of(path: Path) -> list[LabelledFrame]:
    """The hottest frame of each end member."""
    labelled = read_labels(path)
    found = []
    for halide in ("Cl", "Br"):
        own = [one for one in labelled if set(one.frame.atoms.symbols) == {"Li", "Y", halide}]
        found.append(max(own, key=lambda one: float(np.abs(one.label.forces).mean())))
    return found


def label(one: LabelledFrame, settings: LabelSettings, folder: Path) -> Label:
    """One label, from the folder if it is there."""
    place = folder / f"{settings.cutoff_ev:g}-{settings.k_spacing_per_angstrom:g}"
    return label_frames([one.frame], GpawLabeller(settings), place).labelled[0].label


def row(name: str, label: Label, finest: Label) -> str:
    off = np.abs(label.forces - finest.forces)
    stress = 1e3 * GPA_PER_EV_ANGSTROM3 * (label.stress - finest.stress)
    mean = np.trace(stress) / 3
    rest = np.abs(stress - mean * np.eye(3)).max()
    energy = 1e3 * (label.energy - finest.energy) / len(label.forces)
    return (
        f"| {name} | {energy:.2f} | {1e3 * off.mean():.2f} | {1e3 * off.max():.2f} | {mean:+.0f} | {rest:.0f} "
        f"| {label.provenance.wall_s:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, default=Path("data/LYCB-PBE/train.extxyz"))
    parser.add_argument("--folder", type=Path, default=Path("build/cutoff"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        f"{machine_description()['processor']}; halion {source_commit()[:12]}.",
        "",
        "# Cutoff and k-points of GPAW labels",
        "",
        "Against 700 eV with the preset's k-points (last row: against 350 eV with them). Stress: the part",
        "alike in all directions, which a fixed basis shifts, and the largest of the rest. One MPI process.",
    ]
    for one in frames_of(options.labels):
        formula = one.frame.atoms.get_chemical_formula(empirical=True)
        lines += [
            "",
            f"## {formula}, {len(one.frame.atoms)} atoms, {one.frame.group}",
            "",
            "| cutoff, k-points | meV/atom | forces, meV/Angstrom | largest | isotropic stress, MPa | rest | s |",
            "|---|---|---|---|---|---|---|",
        ]
        found = {cutoff: label(one, LabelSettings(cutoff_ev=cutoff), options.folder) for cutoff in CUTOFFS_EV}
        lines += [row(f"{cutoff:g} eV", found[cutoff], found[CUTOFFS_EV[-1]]) for cutoff in CUTOFFS_EV]
        dense = label(one, LabelSettings(k_spacing_per_angstrom=DENSE_K), options.folder)
        lines.append(row(f"350 eV, {DENSE_K:g} 1/Angstrom", dense, found[CUTOFFS_EV[0]]))
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

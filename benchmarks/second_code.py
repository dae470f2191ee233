"""Forces and stress of GPAW's labels against another code: CP2K, other pseudopotentials, another kind of basis.

The hottest labelled frame of Li3YCl6, of Li3YBr6, and of a mixed composition. CP2K (Debian: cp2k) takes Gaussians
(TZV2P-MOLOPT-PBE, GTH-PBE, 600 Ry) where GPAW takes plane waves and projectors; the k-points are the same.

    python benchmarks/second_code.py [--output benchmarks/results/second_code.md]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.cp2k import CP2K
from ase.units import Rydberg

from halion.arrays import FloatArray
from halion.labels import LabelledFrame, read_labels
from halion.labels.kpoints import gamma_centred
from halion.settings_learning import LabelSettings
from halion.study.provenance import machine_description, source_commit
from halion.units import GPA_PER_EV_ANGSTROM3

VALENCE = {"Li": 3, "Y": 11, "Cl": 7, "Br": 7}
CUTOFF_RY = 600


def frames_of(folder: Path) -> list[LabelledFrame]:
    """The frame with the largest mean force of each end member, and of the mixed ones."""
    groups: dict[frozenset[str], list[LabelledFrame]] = {}
    for name in ("train.extxyz", "test-mixed.extxyz"):
        for one in read_labels(folder / name):
            halides = frozenset(one.frame.atoms.symbols) & {"Cl", "Br"}
            if {"Li", "Y"} <= set(one.frame.atoms.symbols):
                groups.setdefault(halides, []).append(one)
    order = (frozenset({"Cl"}), frozenset({"Br"}), frozenset({"Cl", "Br"}))
    return [max(groups[kind], key=lambda one: float(np.abs(one.label.forces).mean())) for kind in order]


def cp2k_input(symbols: set[str], grid: tuple[int, int, int]) -> str:
    """What ASE leaves to us. A shift by a quarter puts an even grid on gamma."""
    shift = " ".join("0.25" if n % 2 == 0 else "0.0" for n in grid)
    kinds = "\n".join(
        f"&KIND {name}\n BASIS_SET TZV2P-MOLOPT-PBE-GTH-q{VALENCE[name]}\n POTENTIAL GTH-PBE-q{VALENCE[name]}\n"
        "&END KIND"
        for name in sorted(symbols)
    )
    return f"""
&FORCE_EVAL
 &DFT
  BASIS_SET_FILE_NAME BASIS_MOLOPT_UZH
  POTENTIAL_FILE_NAME POTENTIAL_UZH
  &KPOINTS
   SCHEME MACDONALD {grid[0]} {grid[1]} {grid[2]} {shift}
   EPS_GEO 1e-10
   FULL_GRID ON
  &END KPOINTS
  &QS
   EPS_DEFAULT 1e-12
  &END QS
  &SCF
   EPS_SCF 1e-7
   &MIXING
    METHOD BROYDEN_MIXING
    ALPHA 0.3
   &END MIXING
  &END SCF
 &END DFT
 &SUBSYS
  {kinds}
 &END SUBSYS
&END FORCE_EVAL
"""


def by_cp2k(atoms: Atoms, folder: str) -> tuple[FloatArray, FloatArray, float]:
    """Forces, stress (tensor) and seconds."""
    here = Path.cwd()
    grid = gamma_centred(atoms.cell.array, LabelSettings().k_spacing_per_angstrom)
    os.chdir(folder)
    try:
        calculator = CP2K(
            command="cp2k_shell",
            label="one",
            basis_set=None,
            basis_set_file=None,
            pseudo_potential=None,
            potential_file=None,
            cutoff=CUTOFF_RY * Rydberg,
            max_scf=200,
            xc="PBE",
            stress_tensor=True,
            inp=cp2k_input(set(atoms.symbols), grid),
        )
        copy = atoms.copy()
        copy.calc = calculator
        began = time.perf_counter()
        forces, stress = copy.get_forces(), copy.get_stress(voigt=False)
        return forces, stress, time.perf_counter() - began
    finally:
        os.chdir(here)


def row(one: LabelledFrame) -> str:
    """GPAW against CP2K on one frame."""
    with tempfile.TemporaryDirectory() as folder:
        forces, stress, seconds = by_cp2k(one.frame.atoms, folder)
    off = np.abs(one.label.forces - forces)
    per_force = float(np.sum(forces * one.label.forces) / np.sum(forces * forces))
    gap = 1e3 * GPA_PER_EV_ANGSTROM3 * (one.label.stress - stress)
    elements = np.array(one.frame.atoms.get_chemical_symbols())
    each = ", ".join(f"{name} {1e3 * off[elements == name].mean():.0f}" for name in sorted(set(elements)))
    mean = float(np.trace(gap)) / 3
    rest = float(np.abs(gap - mean * np.eye(3)).max())
    atoms = one.frame.atoms
    temperature = one.frame.temperature_k
    line = (
        f"| {atoms.get_chemical_formula()}, {temperature:g} K | {len(atoms)} | {1e3 * np.abs(forces).mean():.0f} | "
        f"{1e3 * off.mean():.1f} | {each} | {1e3 * off.max():.0f} | {per_force:.4f} | "
        f"{mean:+.0f} | {rest:.0f} | {seconds:.0f} |"
    )
    print(line, flush=True)
    return line


def main() -> None:
    """Label and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/LYCB-PBE"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    version = subprocess.run(["cp2k.psmp", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    code = version.splitlines()[0].strip()
    rows = [row(one) for one in frames_of(options.data)]
    text = "\n".join(
        [
            f"{machine_description()['processor']}; halion {source_commit()[:12]}; {code}.",
            "",
            "# GPAW's labels against CP2K, PBE both, the same k-points",
            "",
            "| frame | atoms | mean force, meV/Å | mean difference | by element | largest | slope "
            "| pressure apart, MPa | rest of the stress, at most | CP2K, s |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "*Slope*: GPAW's forces over CP2K's, least squares. *Mean*, *largest*: of the components.",
            "",
        ]
    )
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Does a framework hold for 100 ps at 800 K? Pretrained CHGNet beside the fine-tuned models, both end members.

The lowest of 20 orderings of the crystal's own cell by the potential itself, heated from 300 K in 2 ps, then NPT at
800 K and 10 kbar with 2 fs. A run that is killed goes on.

    OMP_NUM_THREADS=1 python benchmarks/hot_dynamics.py --folder hot [--output benchmarks/results/hot_dynamics.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms

from halion.crystal import builtin_crystal
from halion.dynamics import MdStage, Trajectory, run_stage
from halion.errors import PhysicsRefusal, TrajectoryError
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import Potential, load_potential
from halion.ranking import relax_batch
from halion.settings import RankingSettings, TransportSettings
from halion.study.provenance import machine_description, source_commit
from halion.transport import analyse_run

TEMPERATURE_K, PRESSURE_GPA, TIMESTEP_FS = 800.0, 1.0, 2.0
POTENTIALS = ("chgnet", "halion-LYCB-600K", "halion-LYCB-800K")


def lowest(name: str, potential: Potential) -> Atoms:
    """The relaxed ordering of lowest energy among 20 evenly spread over the list."""
    crystal = builtin_crystal(name)
    composition = choose_composition(crystal, (1, 1, 1))
    found = enumerate_orderings(crystal, composition, exclusions=exclusion_distances(crystal, 2.5), limit=100_000)
    some = np.unique(np.linspace(0, found.n_orderings - 1, 20).round())
    relaxed = relax_batch([found.structure(int(k)) for k in some], potential, RankingSettings())
    return min((one for one in relaxed if hasattr(one, "energy")), key=lambda one: one.energy).atoms


def hot(atoms: Atoms, potential: Potential, folder: Path, length_ps: float) -> Trajectory:
    """Heated, then held under pressure."""
    shared = {"timestep_fs": TIMESTEP_FS, "temperature_k": TEMPERATURE_K, "store_every_steps": 20}
    steps = round(1000 * length_ps / TIMESTEP_FS)
    heating = MdStage(ensemble="nvt", n_steps=1000, start_temperature_k=300.0, **shared)
    heated = run_stage(folder / "heating", atoms, potential, heating)
    start = atoms.copy()
    start.positions = heated.positions[-1]
    start.wrap()
    npt = MdStage(ensemble="npt", n_steps=steps, pressure_gpa=PRESSURE_GPA, seed=1, **shared)
    return run_stage(folder / "npt", start, potential, npt)


def row(material: str, name: str, folder: Path, length_ps: float) -> str:
    """One run in words and numbers."""
    potential = load_potential(name, threads=1)
    atoms = lowest(material, potential)
    at_rest = atoms.get_volume() / len(atoms)
    try:
        run = hot(atoms, potential, folder / f"{material}-{name}", length_ps)
    except PhysicsRefusal as refusal:
        return f"| {material} | {name} | {at_rest:.1f} | - | - | - | - | ended: {refusal.what} |"
    volumes = np.abs(np.linalg.det(run.cells)) / len(atoms)
    first, last = (part.mean() for part in np.array_split(volumes, 4)[::3])
    strain = np.abs(np.linalg.solve(run.cells[len(run.cells) // 10], run.cells[-1]) - np.eye(3)).max()
    head = f"| {material} | {name} | {at_rest:.1f} | {first:.1f} | {last:.1f} | {strain:.1f} |"
    try:
        found = analyse_run(run, TransportSettings())
    except TrajectoryError:  # half a cell between two frames: fractional coordinates mean nothing any more
        return f"{head} - | {'flows: the cell is sheared without end' if strain > 1 else 'cannot be followed'} |"
    at_end = {element: float(msd[-1]) for element, msd in found.framework_msd.items()}
    shown = ", ".join(f"{element} {value:.1f}" for element, value in at_end.items())
    return f"{head} {shown} | {'melted' if found.verdict == 'melted' else 'holds'} |"


def main() -> None:
    """Run and print, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--length-ps", type=float, default=100.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        f"{machine_description()['processor']}; halion {source_commit()[:12]}; NPT, {TEMPERATURE_K:g} K, "
        f"{10 * PRESSURE_GPA:g} kbar, {options.length_ps:g} ps.",
        "",
        "# Frameworks at 800 K",
        "",
        "| crystal | potential | Å³/atom, 0 K | first quarter | last quarter | largest strain of the cell "
        "| framework MSD, half of the run, Å² | framework |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for material in ("Li3YCl6", "Li3YBr6"):
        for name in POTENTIALS:
            lines.append(row(material, name, options.folder, options.length_ps))
            print(lines[-1], flush=True)
            if options.output:
                options.output.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()

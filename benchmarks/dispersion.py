"""D3 dispersion: what it costs beside a step of CHGNet, how near it is to s-dftd3, and what it does to volumes.

Cost: processor time of one evaluation, the shortest of many, one thread. Volumes at 0 K: orderings of one formula
cell relaxed with free cell; the lowest of each kind counts. Volumes at 300 K (--npt-ps 20): NPT of the lowest one.
Experiment: the refined crystals of Schlem et al. 2021 at 300 K, as they come with halion.

    pip install "halion[dispersion]"
    OMP_NUM_THREADS=1 python benchmarks/dispersion.py [--npt-ps 20] [--output benchmarks/results/dispersion.md]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units

from halion.crystal import builtin_crystal
from halion.dynamics import equilibrate_batch
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import EngineResult, Potential, load_potential
from halion.potentials.dispersion import D3Range
from halion.potentials.dispersion_engine import CompiledDispersion
from halion.potentials.dispersion_library import LibraryDispersion
from halion.potentials.from_ase import join_arrays
from halion.ranking import relax_batch
from halion.settings import DynamicsSettings, RankingSettings
from halion.study.provenance import machine_description, source_commit

SIZES = {20: (1, 1, 1), 40: (1, 1, 2), 80: (2, 1, 2), 160: (2, 2, 2), 320: (2, 2, 4), 960: (4, 3, 4)}
CONDITIONS = (("", 0.0001), ("", 1.0), ("+d3", 0.0001))
POTENTIALS = ("halion-LYCB-600K", "chgnet")


class Pressed:
    """A potential under pressure: E + P V, whose gradient by strain is virial + P V."""

    def __init__(self, base: Potential, pressure_gpa: float) -> None:
        self.name, self.weights_sha256, self.elements = base.name, base.weights_sha256, base.elements
        self._base, self._pressure = base, pressure_gpa * units.GPa

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        found = self._base.evaluate_arrays(numbers, positions, cells, counts)
        work = self._pressure * np.abs(np.linalg.det(cells))
        return EngineResult(
            energies=found.energies + work,
            forces=found.forces,
            virials=found.virials + work[:, None, None] * np.eye(3),
        )


def orderings(name: str, n: int) -> list[Atoms]:
    """Distinct orderings of a crystal's own cell, evenly spread over their list."""
    crystal = builtin_crystal(name)
    composition = choose_composition(crystal, (1, 1, 1))
    found = enumerate_orderings(crystal, composition, exclusions=exclusion_distances(crystal, 2.5), limit=100_000)
    return [found.structure(int(k)) for k in np.unique(np.linspace(0, found.n_orderings - 1, n).round())]


def milliseconds(evaluate, atoms: Atoms) -> float:
    """Processor time of the shortest of many evaluations of slightly moved atoms."""
    numbers, positions, cells, counts = join_arrays([atoms])
    rng, times = np.random.default_rng(0), []
    end = time.perf_counter() + 4.0
    while len(times) < 5 or time.perf_counter() < end:
        moved = positions + rng.normal(scale=0.01, size=positions.shape)
        began = time.process_time()
        evaluate(numbers, moved, cells, counts)
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def cost_rows(cell: Atoms) -> list[str]:
    """The table of costs."""
    network, d3, library = load_potential("chgnet", threads=1), CompiledDispersion(), LibraryDispersion()
    kernels = {name: CompiledDispersion(kernels=name) for name in ("avx2", "portable")}
    rows = []
    for n_atoms, times in SIZES.items():
        atoms = cell * times
        assert len(atoms) == n_atoms
        step, own = milliseconds(network.evaluate_arrays, atoms), milliseconds(d3.evaluate, atoms)
        theirs = milliseconds(library.evaluate, atoms)
        others = " | ".join(f"{milliseconds(one.evaluate, atoms):.2f}" for one in kernels.values())
        rows.append(
            f"| {n_atoms} | {step:.2f} | {own:.2f} | {100 * own / step:.0f} % | {others} | {theirs:.1f} | "
            f"{theirs / own:.0f} |"
        )
        print(rows[-1], flush=True)
    return rows


def errors(structures: list[Atoms]) -> list[str]:
    """Largest differences to s-dftd3: with its sharp end of coordination numbers, and as shipped."""
    arrays = join_arrays(structures)
    theirs, rows = LibraryDispersion().evaluate(*arrays), []
    for what, reach in (("sharp, as s-dftd3", D3Range(coordination_width=0.0)), ("smooth (default)", D3Range())):
        ours = CompiledDispersion(reach=reach).evaluate(*arrays)
        apart = np.abs((ours.energies - theirs.energies) / arrays[3]).max()
        stress = np.abs((ours.virials - theirs.virials) / np.linalg.det(arrays[2])[:, None, None]).max()
        forces = np.abs(ours.forces - theirs.forces).max()
        rows.append(f"| {what} | {1e3 * apart:.1e} | {1e3 * forces:.1e} | {stress / units.GPa:.1e} |")
    return rows


def volume_rows(n: int, npt_ps: float) -> list[str]:
    """Volume per atom of every material, potential and condition."""
    rows = []
    for material in ("Li3YCl6", "Li3YBr6"):
        starts = orderings(material, n)
        experiment = builtin_crystal(material)
        measured = experiment.volume / experiment.n_atoms
        for name in POTENTIALS:
            for ending, pressure in CONDITIONS:
                potential = load_potential(name + ending, threads=1)
                relaxed = relax_batch(starts, Pressed(potential, pressure), RankingSettings())
                best = min((one for one in relaxed if hasattr(one, "energy")), key=lambda one: one.energy)
                volume = best.atoms.get_volume() / len(best.atoms)
                hot = ""
                if npt_ps and name == POTENTIALS[0]:
                    hot = hot_volume(best.atoms, potential, pressure, npt_ps, measured)
                rows.append(
                    f"| {material} | {name}{ending} | {10 * pressure:.4g} | {volume:.2f} | "
                    f"{100 * (volume / measured - 1):+.1f} % | {hot or '| |'} {measured:.2f} |"
                )
                print(rows[-1], flush=True)
    return rows


def hot_volume(atoms: Atoms, potential: Potential, pressure: float, npt_ps: float, measured: float) -> str:
    """Mean volume per atom of NPT at 300 K over its second half."""
    settings = DynamicsSettings(
        pressure_gpa=pressure,
        heating_ps=1.0,
        nvt_ps=1.0,
        npt_ps=npt_ps,
        cell_average_ps=npt_ps / 2,
        repeat=(1, 1, 40 // len(atoms)),
    )
    with tempfile.TemporaryDirectory() as folder:
        (found,) = equilibrate_batch([(Path(folder) / "run", atoms, 300.0)], potential, settings)
    if not hasattr(found, "volume_per_atom"):
        return f"{type(found).__name__} | |"
    volume, error = found.volume_per_atom, found.volume_per_atom_std
    return f"{volume:.2f} +- {error:.2f} | {100 * (volume / measured - 1):+.1f} % |"


def main() -> None:
    """Measure, and write the tables as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orderings", type=int, default=24)
    parser.add_argument("--npt-ps", type=float, default=0.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bromide = orderings("Li3YBr6", 4)
    lines = [
        f"D3(BJ) with the parameters of PBE beside CHGNet. {machine_description()['processor']}, one thread, "
        f"halion {source_commit()[:12]}, `{CompiledDispersion().kernels}` kernels where none are named.",
        "",
        "| atoms | CHGNet, ms | +d3, ms | of the step | avx2, ms | portable, ms | s-dftd3, ms | s-dftd3 / +d3 |",
        "|---|---|---|---|---|---|---|---|",
        *cost_rows(bromide[0]),
        "",
        "Largest differences to s-dftd3, four orderings of Li3YBr6 and four of Li3YCl6 as refined:",
        "",
        "| end of coordination numbers | meV/atom | meV/Angstrom | GPa |",
        "|---|---|---|---|",
        *errors([*bromide, *orderings("Li3YCl6", 4)]),
    ]
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")
    lines += [
        "",
        f"Volumes, Angstrom^3 per atom: the lowest of {options.orderings} orderings of one cell at 0 K; NPT of "
        f"{options.npt_ps:g} ps at 300 K, mean of its second half; experiment at 300 K.",
        "",
        "| crystal | potential | kbar | V(0 K) | to experiment | V(300 K) | to experiment | experiment |",
        "|---|---|---|---|---|---|---|---|",
        *volume_rows(options.orderings, options.npt_ps),
    ]
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

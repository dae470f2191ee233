"""The cost of CHGNet dynamics: halion's engine, chgnet's own calculator and SevenNet-0 in the same run.

A step is energy, forces and stress plus velocity Verlet, 1 fs, of cells with thermal displacements; the same ASE
integrator drives all three through their ASE calculators, taking turns. Times are the shortest of several repeats.

Operations are those of the restructured network's matrix products (nothing else: no exponentials, no geometry, no
work done twice), forward and backward, 2 per multiply-add. With N atoms, D directed edges within 6 Angstrom, B
undirected bonds within 3 Angstrom and A ordered pairs of such bonds at one atom, the forward pass multiplies

    D/2 31 (4 128 + 64)              lengths to the four atom convolutions' inputs and weights
    + 4 (N (2 64 128 + 64 64) + D 2 64 64)
    + B 2 31 64 + A 31 64            embeddings of short bonds and of angles
    + 3 (N 64 128 + B (2 64 128 + 64 64) + A (64 128 + 2 64 64))
    + 2 (N 64 128 + B 2 64 128 + A 64 128)
    + N (3 64 64 + 64)

and the backward pass as often: about 12.5 MFLOP per atom and step in these halides. "Of peak" divides them by the
time and by the measured peak of `machine_peak.py`.

    OMP_NUM_THREADS=1 python benchmarks/engine.py [--output benchmarks/results/engine.md] [--quick]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from engine_accuracy import hot, ordered_cell
from machine_peak import peak_gflops

from halion.errors import MissingDependency
from halion.potentials import ase_calculator, load_potential
from halion.potentials.cpu_engine import neighbour_list
from halion.study.provenance import machine_description, source_commit

OURS, STOCK, OTHER = "chgnet", "chgnet-reference", "7net-0"
SIZES = {80: (2, 2, 1), 160: (2, 2, 2), 320: (4, 2, 2)}
SCALING = {30: (1, 1, 1), 120: (2, 2, 1), 480: (4, 2, 2), 1920: (4, 4, 4), 10080: (8, 7, 6)}
MEMORY = {OURS: 10080, STOCK: 480, OTHER: 480}  # atoms at which memory is measured


def cells(name: str) -> dict[int, Atoms]:
    """A built-in halide with 80, 160 and 320 atoms at 600 K.

    Trigonal Li3YCl6 has 30 atoms per cell; here it takes the monoclinic structure of Li3YBr6, whose cell of 20
    gives the same sizes, at its own volume per atom.
    """
    cell = ordered_cell("Li3YBr6")
    if name == "Li3YCl6":
        trigonal = ordered_cell("Li3YCl6")
        cell.numbers[cell.numbers == 35] = 17
        scale = (trigonal.get_volume() / len(trigonal) * len(cell) / cell.get_volume()) ** (1 / 3)
        cell.set_cell(cell.cell.array * scale, scale_atoms=True)
    return {size: hot(cell.repeat(repeat), 600, seed=0) for size, repeat in SIZES.items()}


def counts(atoms: Atoms) -> tuple[int, int, int, int]:
    """Atoms, directed edges within 6 Angstrom, undirected bonds within 3, ordered pairs of those at one atom."""
    cell = atoms.cell.array
    edges = len(neighbour_list(atoms.positions, cell, 6.0)[0])
    centres = np.bincount(neighbour_list(atoms.positions, cell, 3.0)[0], minlength=len(atoms))
    return len(atoms), edges, int(centres.sum()) // 2, int((centres * (centres - 1)).sum())


def operations(n: int, edges: int, bonds: int, angles: int) -> float:
    """Of one evaluation: see the head of this file."""
    products = edges / 2 * 31 * (4 * 128 + 64)
    products += 4 * (n * (2 * 64 * 128 + 64 * 64) + edges * 2 * 64 * 64)
    products += bonds * 2 * 31 * 64 + angles * 31 * 64
    products += 3 * (n * 64 * 128 + bonds * (2 * 64 * 128 + 64 * 64) + angles * (64 * 128 + 2 * 64 * 64))
    products += 2 * (n * 64 * 128 + bonds * 2 * 64 * 128 + angles * 64 * 128)
    products += n * (3 * 64 * 64 + 64)
    return 2 * 2 * products


def stepper(name: str, start: Atoms, threads: int) -> Callable[[int], float]:
    """A function that makes so many steps and gives the seconds that one took."""
    atoms = start.copy()
    atoms.calc = ase_calculator(name, threads=threads)
    thermalize_momenta(atoms, 300, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, timestep=units.fs)

    def run(n_steps: int) -> float:
        torch.set_num_threads(threads)
        began = time.perf_counter()
        dynamics.run(n_steps)
        return (time.perf_counter() - began) / n_steps

    run(2)
    return run


def fastest(runs: dict[str, Callable[[int], float]], repeats: int) -> dict[str, float]:
    """Seconds per step of each, taking turns; the fastest of short pieces, whatever else the machine does."""
    best = dict.fromkeys(runs, np.inf)
    for _ in range(repeats):
        for name, run in runs.items():
            best[name] = min(best[name], *(run(1) for _ in range(10 if name == OURS else 2)))
    return best


def step_table(names: list[str], repeats: int) -> tuple[list[str], list[float]]:
    """Rows of the table of full steps, and the ratios to chgnet's own calculator."""
    rows, ratios = [], []
    for threads in (2, 1):
        peak, _ = peak_gflops(threads)
        for material in ("Li3YCl6", "Li3YBr6"):
            for size, atoms in cells(material).items():
                best = fastest({name: stepper(name, atoms, threads) for name in names}, repeats)
                rate = operations(*counts(atoms)) / best[OURS] / 1e9
                ratios.append(best[STOCK] / best[OURS])
                other = f"{1e3 * best[OTHER]:.0f} | {best[OTHER] / best[OURS]:.1f}" if OTHER in best else "- | -"
                rows.append(
                    f"| {material} | {size} | {threads} | {1e3 * best[OURS]:.2f} | {1e3 * best[STOCK]:.0f} | "
                    f"{ratios[-1]:.1f} | {other} | {best[OURS] / size * 1e3:.4f} | {rate:.0f} | {rate / peak:.0%} |"
                )
                print(rows[-1], file=sys.stderr, flush=True)
    return rows, ratios


def scaling_table(sizes: dict[int, tuple[int, int, int]]) -> list[str]:
    """Cost per atom of Li3YCl6 from 30 to 10,000 atoms, one thread."""
    cell, rows = ordered_cell("Li3YCl6"), []
    for size, repeat in sizes.items():
        atoms = hot(cell.repeat(repeat), 600, seed=0)
        run = stepper(OURS, atoms, 1)
        best = min(run(1) for _ in range(5 if size > 1000 else 40))
        n, edges, bonds, angles = counts(atoms)
        mega = operations(n, edges, bonds, angles) / n / 1e6
        rows.append(
            f"| {n} | {1e6 * best / n:.0f} | {edges / n:.1f} | {bonds / n:.2f} | {angles / n:.1f} | {mega:.1f} |"
        )
    return rows


def gpu_table(repeats: int) -> list[str]:
    """Cells of 240 atoms on a CUDA device, alone and in batches: evaluations, seconds per atom and ps at 1 fs."""
    potential, rows = load_potential(OURS, device="cuda"), []
    cell = hot(ordered_cell("Li3YCl6").repeat((2, 2, 2)), 600, seed=0)
    for n_cells in (1, 8, 32, 64):
        numbers, sizes = np.tile(cell.numbers, n_cells), np.full(n_cells, len(cell))
        positions, lattices = np.tile(cell.positions, (n_cells, 1)), np.tile(cell.cell.array, (n_cells, 1, 1))
        best = np.inf
        for k in range(repeats + 3):
            began = time.perf_counter()
            potential.evaluate_arrays(numbers, positions + 1e-3 * k, lattices, sizes)
            best = min(best, time.perf_counter() - began) if k > 2 else best
        rows.append(f"| {n_cells} x {len(cell)} | {1e3 * best:.2f} | {1e3 * best / len(numbers):.5f} |")
    return rows


def memory_row(name: str) -> str:
    """Resident memory per atom, measured in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--memory-of", name]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return f"| {name} | {MEMORY[name]} | {told.strip()} |"


def memory_per_atom(name: str) -> float:
    """Resident memory that the evaluation of a large cell takes at its height, kB per atom (Linux)."""
    cell, calculator = ordered_cell("Li3YCl6"), ase_calculator(name, threads=1)

    def resident(what: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what))

    def evaluate(size: int) -> None:
        atoms = hot(cell.repeat(SCALING[size]), 600, seed=0)
        atoms.calc = calculator
        atoms.get_forces()

    evaluate(30)  # libraries loaded, first buffers made
    Path("/proc/self/clear_refs").write_text("5")  # forget the height reached so far
    before = resident("VmRSS")
    evaluate(MEMORY[name])
    return (resident("VmHWM") - before) / MEMORY[name]


def available() -> tuple[list[str], list[str]]:
    """The potentials that are here, and a line for each that is not."""
    names, notes = [], []
    for name in (OURS, STOCK, OTHER):
        try:
            load_potential(name)
        except MissingDependency as missing:
            notes.append(f"{name} is left out: {missing.what} ({missing.fix}).")
        else:
            names.append(name)
    return names, notes


def version(package: str) -> str:
    """Of an installed package; a dash where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def head() -> list[str]:
    """What this was measured on and with."""
    machine = machine_description()
    versions = ", ".join(f"{name} {version(name)}" for name in ("chgnet", "sevenn", "torch", "ase"))
    peaks = {threads: peak_gflops(threads) for threads in (1, 2)}
    told = " and ".join(f"{peak:.0f} GFLOP/s on {threads} thread(s)" for threads, (peak, _) in peaks.items())
    return [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; halion "
        f"{source_commit()[:12]} ({load_potential(OURS, threads=1).engine.rsplit(',', 1)[0]}), {versions}.",
        f"Single-precision peak, measured ({peaks[1][1]}): {told}.",
        f"Load average of the machine at the start: {os.getloadavg()[0]:.1f}.",
    ]


def report(*, quick: bool) -> list[str]:
    """All tables as lines of text."""
    names, notes = available()
    repeats = 2 if quick else 6
    told = head()
    rows, ratios = step_table(names, repeats)
    lines = [
        *told,
        *notes,
        "",
        "Full step (energy, forces, stress, velocity Verlet):",
        "",
        "| crystal | atoms | threads | halion, ms | chgnet, ms | ratio | 7net-0, ms | ratio | halion, s/atom/ps | "
        "GFLOP/s | of peak |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"chgnet's calculator takes {min(ratios):.1f} to {max(ratios):.1f} times as long as halion.",
        "",
        "Cost per atom, Li3YCl6, halion, 1 thread:",
        "",
        "| atoms | us/atom/step | edges/atom | bonds/atom | angles/atom | MFLOP/atom |",
        "|---|---|---|---|---|---|",
        *scaling_table(dict(list(SCALING.items())[:3]) if quick else SCALING),
        "",
        "Resident memory that one evaluation takes:",
        "",
        "| potential | atoms | kB/atom |",
        "|---|---|---|",
        *(memory_row(name) for name in names),
        "",
    ]
    if not torch.cuda.is_available():
        return [*lines, "No GPU on this machine, so no GPU rows."]
    return [
        *lines,
        f"Evaluations of Li3YCl6 at 600 K, {load_potential(OURS, device='cuda').engine}:",
        "",
        "| cells | ms | s/atom/ps at 1 fs |",
        "|---|---|---|",
        *gpu_table(repeats * 5),
    ]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and sizes")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(f"{memory_per_atom(options.memory_of):.0f}")
        return
    text = "\n".join(report(quick=options.quick)) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

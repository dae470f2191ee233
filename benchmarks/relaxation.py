"""Orderings relaxed with free cell: `relax_batch` against ASE's FIRE and cell filter, one structure after another.

The same potential, tolerance (0.01 eV/Angstrom) and parameters; what differs is who moves the atoms, and that one
call evaluates all structures. Both must reach the same energies within 0.1 meV/atom. chgnet's own calculator under
ASE, on the first ordering, shows what the whole was before.

    OMP_NUM_THREADS=1 python benchmarks/relaxation.py [--orderings 6] [--output benchmarks/results/relaxation.md]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from halion.crystal import builtin_crystal
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import ase_calculator, load_potential
from halion.ranking import relax_batch
from halion.settings import RankingSettings
from halion.study.provenance import machine_description, source_commit

SUPERCELLS = {20: (1, 1, 1), 40: (1, 1, 2)}
SAME_EV_PER_ATOM = 1e-4


def orderings(supercell: tuple[int, int, int], n: int) -> list[Atoms]:
    """Distinct orderings of Li3YBr6, evenly spread over their list."""
    crystal = builtin_crystal("Li3YBr6")
    composition = choose_composition(crystal, supercell)
    found = enumerate_orderings(crystal, composition, exclusions=exclusion_distances(crystal, 2.5), limit=100_000)
    return [found.structure(int(k)) for k in np.linspace(0, found.n_orderings - 1, n).round()]


def one_by_one(structures: list[Atoms], name: str, threads: int) -> tuple[float, list[float], int]:
    """ASE's FIRE: (seconds, eV/atom of each, steps)."""
    calculator, energies, n_steps = ase_calculator(name, threads=threads), [], 0
    settings, began = RankingSettings(), time.perf_counter()
    for start in structures:
        atoms = start.copy()
        atoms.calc = calculator
        optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
        optimizer.run(fmax=settings.force_tolerance_ev_per_angstrom, steps=settings.max_steps)
        energies.append(atoms.get_potential_energy() / len(atoms))
        n_steps += optimizer.nsteps
    return time.perf_counter() - began, energies, n_steps


def together(structures: list[Atoms], name: str, threads: int) -> tuple[float, list[float], int]:
    """`relax_batch`: (seconds, eV/atom of each, steps)."""
    potential, began = load_potential(name, threads=threads), time.perf_counter()
    relaxed = relax_batch(structures, potential, RankingSettings())
    return time.perf_counter() - began, [one.energy for one in relaxed], sum(one.n_steps for one in relaxed)


def rows(n: int, name: str, threads: int) -> list[str]:
    """The table, and whether both find the same minima."""
    made, apart = [], 0.0
    for size, supercell in SUPERCELLS.items():
        structures = orderings(supercell, n)
        ours, our_energies, our_steps = together(structures, name, threads)
        ase, energies, n_steps = one_by_one(structures, name, threads)
        stock, _, stock_steps = one_by_one(structures[:1], "chgnet-reference", threads)
        apart = max(apart, np.abs(np.subtract(our_energies, energies)).max())
        mine, same, before = 1e3 * ours / our_steps, 1e3 * ase / n_steps, 1e3 * stock / stock_steps
        made.append(
            f"| {n} x {size} | {our_steps} | {n_steps} | {mine:.2f} | {same:.2f} | {same / mine:.1f} | "
            f"{before:.1f} | {before / mine:.1f} |"
        )
    verdict = "the same minima" if apart < SAME_EV_PER_ATOM else "NOT the same minima"
    return [*made, "", f"Energies differ by at most {1e3 * apart:.4f} meV/atom: {verdict}."]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orderings", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = machine_description()
    lines = [
        f"Orderings of Li3YBr6 relaxed with {options.potential}, cell free, to 0.01 eV/A. {machine['processor']}, "
        f"{options.threads} thread(s), halion {source_commit()[:12]}. Steps are summed over the orderings.",
        "",
        "| orderings x atoms | steps, batch | steps, ASE | batch, ms/step | ASE, same potential, ms/step | ratio | "
        "ASE, chgnet's calculator, ms/step | ratio |",
        "|---|---|---|---|---|---|---|---|",
        *rows(options.orderings, options.potential, options.threads),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

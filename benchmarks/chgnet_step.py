"""One evaluation of CHGNet 0.3.0 (energy, forces, stress): halion against chgnet's own ASE calculator.

Both use chgnet's graph and network; halion leaves out the double-backward graph that chgnet's calculator builds
for training. Same process, same structures, alternating, median of the repeats.

    python benchmarks/chgnet_step.py [--threads 1] [--output benchmarks/results/chgnet_step.md]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from chgnet.model.dynamics import CHGNetCalculator

from halion.crystal import builtin_crystal
from halion.orderings import choose_composition, enumerate_orderings
from halion.potentials import load_potential
from halion.study.provenance import machine_description, source_commit

REPEATS = 7


def cells() -> list[Atoms]:
    """Li3YBr6 with 20 to 160 atoms, displaced by 0.05 Angstrom so that nothing is symmetric."""
    crystal = builtin_crystal("Li3YBr6")
    ordered = enumerate_orderings(
        crystal, choose_composition(crystal, (1, 1, 1)), closest_cations=2.5, limit=1000
    ).structure(0)
    made = []
    for repeat in ((1, 1, 1), (1, 1, 2), (2, 1, 2), (2, 2, 2)):
        cell = ordered.repeat(repeat)
        cell.rattle(0.05, seed=0)
        made.append(cell)
    return made


def median_ms(evaluate: object, atoms: Atoms) -> float:
    """Median time of one evaluation, ms; positions change every time so that nothing is cached."""
    times = []
    for k in range(REPEATS + 1):
        moved = atoms.copy()
        moved.positions[0, 0] += 1e-3 * k
        began = time.perf_counter()
        evaluate(moved)
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times[1:]))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ours, peer = load_potential("chgnet"), CHGNetCalculator(use_device="cpu")

    def peer_evaluate(atoms: Atoms) -> None:
        atoms.calc = peer
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.get_stress()

    machine = machine_description()
    lines = [
        f"CHGNet 0.3.0, energy + forces + stress, {options.threads} thread(s), {machine['processor']}, "
        f"halion {source_commit()[:12]}",
        "",
        "| atoms | chgnet 0.4.2 calculator, ms | halion, ms | ratio |",
        "|---|---|---|---|",
    ]
    for atoms in cells():
        theirs, mine = median_ms(peer_evaluate, atoms), median_ms(ours.evaluate, atoms)
        lines.append(f"| {len(atoms)} | {theirs:.1f} | {mine:.1f} | {theirs / mine:.2f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

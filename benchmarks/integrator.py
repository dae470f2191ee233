"""What a step of dynamics costs beside the potential: integrator, guards, frames, segments.

Whole runs (a frame every 10 steps, a segment every 1000, as in the study) of LiCl with a potential of springs to
the lattice sites, whose own time is taken and subtracted. Wall time, the shortest of several repeats; beside it
an evaluation of LiCl of that size by the CHGNet engine on one thread. The claim: below 5 % of a step.

    python benchmarks/integrator.py [--steps 2000] [--repeats 3] [--output benchmarks/results/integrator.md]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from halion.dynamics import MdRun, MdStage, run_batch
from halion.potentials import EngineResult, load_potential
from halion.study.provenance import machine_description, source_commit

SIZES = {40: (5, 1, 1), 80: (5, 2, 1), 240: (5, 3, 2)}
BATCHES = (1, 8)
STIFFNESS, BULK_MODULUS = 2.0, 0.2  # eV/Angstrom^2, eV/Angstrom^3


class Sites:
    """Springs to lattice sites that move with a stiff cell, and a clock."""

    name, weights_sha256, elements = "springs to sites", "", frozenset({"Li", "Cl"})

    def __init__(self, atoms: Atoms) -> None:
        self.scaled, self.volume, self.seconds = atoms.get_scaled_positions(), atoms.cell.volume, 0.0

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        began = time.perf_counter()
        away = positions.reshape(len(counts), -1, 3) - self.scaled @ cells
        swelling = BULK_MODULUS * (np.linalg.det(cells) - self.volume)
        result = EngineResult(
            energies=STIFFNESS / 2 * (away**2).sum(axis=(1, 2)) + swelling**2 / (2 * BULK_MODULUS * self.volume),
            forces=(-STIFFNESS * away).reshape(-1, 3),
            virials=STIFFNESS * away.swapaxes(1, 2) @ away + swelling[:, None, None] * np.eye(3),
        )
        self.seconds += time.perf_counter() - began
        return result


def microseconds_per_step(atoms: Atoms, ensemble: str, n_runs: int, n_steps: int) -> float:
    """Of the whole batch."""
    stage = MdStage(ensemble=ensemble, n_steps=n_steps, timestep_fs=1.0, temperature_k=300.0)
    potential = Sites(atoms)
    with tempfile.TemporaryDirectory() as folder:
        runs = [MdRun(folder=Path(folder) / str(k), atoms=atoms, stage=stage) for k in range(n_runs)]
        began = time.perf_counter()
        outcomes = run_batch(runs, potential, at_once=n_runs)
        took = time.perf_counter() - began
    assert outcomes == [None] * n_runs, outcomes
    return (took - potential.seconds) / n_steps * 1e6


def engine_microseconds(atoms: Atoms) -> float:
    """Of one evaluation of these atoms, displaced, on one thread."""
    potential, shaken, times = load_potential("chgnet", threads=1), atoms.copy(), []
    shaken.rattle(0.1, seed=0)
    numbers, cells, counts = shaken.numbers, shaken.cell.array[None], np.array([len(shaken)])
    for k in range(20):
        positions = shaken.positions + 1e-3 * k
        began = time.perf_counter()
        potential.evaluate_arrays(numbers, positions, cells, counts)
        times.append(time.perf_counter() - began)
    return 1e6 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    machine = machine_description()
    lines = [
        f"{machine['processor']}, {machine['cores']} cores; commit {source_commit()[:12]}.",
        "",
        "Everything but the potential, the start and end of the runs included, in microseconds of wall time",
        f"per step of the whole batch; shortest of {chosen.repeats} runs of {chosen.steps} steps:",
        "",
        "| atoms per run | ensemble | one run | 8 runs | per run of 8 | evaluation by the engine | of a step |",
        "|---|---|---|---|---|---|---|",
    ]
    for n_atoms, repeat in SIZES.items():
        atoms = bulk("LiCl", "rocksalt", a=5.1, cubic=True).repeat(repeat)
        engine = engine_microseconds(atoms)
        for ensemble in ("nve", "nvt", "npt"):
            one, many = (
                min(microseconds_per_step(atoms, ensemble, n, chosen.steps) for _ in range(chosen.repeats))
                for n in BATCHES
            )
            lines.append(
                f"| {n_atoms} | {ensemble} | {one:.0f} | {many:.0f} | {many / BATCHES[1]:.0f} | {engine:.0f} "
                f"| {one / (one + engine):.1%} |"
            )
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if chosen.output:
        chosen.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

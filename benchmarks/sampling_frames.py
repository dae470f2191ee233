"""Frames chosen for labels: the rate against a loop over frames, and what each method covers of a run.

Rate: furthest points of --frames frames of 30 atoms in the hexagonal cell of Li3YCl6, lithium walking, by halion
and by a plain loop of numpy over the frames (every frame by itself, all 27 images of every atom), which must choose
the same.

Cover: a run of Li3YCl6 with CHGNet; as many frames by each method, and frames evenly in time. How far the frames
that were not chosen are from the nearest chosen one, how uncertain the last layer stays about them, and which part
of the range of energies and forces the chosen ones span, all with the CHGNet that ran the dynamics.

    OMP_NUM_THREADS=1 python benchmarks/sampling_frames.py --output benchmarks/results/sampling_frames.md
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from itertools import product
from pathlib import Path

import numpy as np

from halion.crystal import builtin_crystal
from halion.dynamics import MdStage, Trajectory, run_stage
from halion.labels.position_error import FrameSet, gather_frames
from halion.labels.sampling import SamplingChoices, choose_frames, distance_left
from halion.labels.uncertainty import LastLayerUncertainty, structure_features
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import ChgnetPotential
from halion.ranking import relax
from halion.settings import RankingSettings
from halion.study.provenance import machine_description, source_commit

FRAMEWORK = ("Y", "Cl")
CELL = np.array([[11.2, 0.0, 0.0], [-5.6, 9.70, 0.0], [0.0, 0.0, 6.03]])
RANDOM_SEEDS = range(20)
TEMPERATURE_K = 800.0
FURTHEST = SamplingChoices(framework=FRAMEWORK)


def walking(n_frames: int) -> FrameSet:
    """Nine lithium ions that walk among 21 atoms that vibrate by 0.2 Angstrom."""
    rng = np.random.default_rng(0)
    positions = rng.random((30, 3)) @ CELL + rng.normal(scale=0.2, size=(n_frames, 30, 3))
    positions[:, :9] += np.cumsum(rng.normal(scale=0.02, size=(n_frames, 9, 3)), axis=0)
    return FrameSet(
        symbols=("Li",) * 9 + ("Y",) * 3 + ("Cl",) * 18,
        positions=positions,
        cells=np.broadcast_to(CELL, (n_frames, 3, 3)),
        trajectory=np.zeros(n_frames, dtype=int),
        frame=np.arange(n_frames),
    )


def by_loop(frames: FrameSet, n: int) -> np.ndarray:
    """The same choice from the first frame on, frame by frame: the framework's drift removed, 27 images."""
    inverse, framework = np.linalg.inv(CELL), np.isin(frames.symbols, FRAMEWORK)
    images = np.array(list(product((-1, 0, 1), repeat=3))) @ CELL
    aligned = []
    for positions in frames.positions:
        drift = (positions - frames.positions[0])[framework] @ inverse
        drift -= np.rint(drift)
        aligned.append(positions @ inverse - drift.mean(axis=0))
    left, chosen = np.full(frames.n_frames, np.inf), [0]
    for _ in range(n - 1):
        last = aligned[chosen[-1]]
        for k, fractional in enumerate(aligned):
            apart = fractional - last
            vectors = (apart - np.rint(apart)) @ CELL
            squared = ((vectors[:, None] + images) ** 2).sum(axis=2).min(axis=1).mean()
            left[k] = min(left[k], squared)
        chosen.append(int(np.argmax(left)))
    return np.array(chosen)


def rate(n_frames: int, n: int) -> list[str]:
    """Both on the same frames."""
    frames = walking(n_frames)
    choices = SamplingChoices(framework=FRAMEWORK, start="first_frame")
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        ours = choose_frames(frames, n, choices).indices
        seconds.append(time.perf_counter() - began)
    tracemalloc.start()
    choose_frames(frames, n, choices)
    held = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    began = time.perf_counter()
    theirs = by_loop(frames, n)
    loop = time.perf_counter() - began
    verdict = "the same frames" if np.array_equal(ours, theirs) else "NOT the same frames"
    print(f"{loop / min(seconds):.0f} times the rate of the loop", flush=True)
    return [
        f"{n} of {n_frames:,} frames of {len(frames.symbols)} atoms "
        f"({frames.positions.nbytes / 2**20:.0f} MiB of positions):",
        "",
        "| code | s | ratio |",
        "|---|---|---|",
        f"| loop of numpy over frames | {loop:.1f} | {loop / min(seconds):.0f} |",
        f"| halion, best of three, {held:.0f} MiB held beside the positions | {min(seconds):.1f} | 1 |",
        "",
        f"Both choose {verdict}.",
    ]


def dynamics(potential: ChgnetPotential, length_ps: float, folder: Path) -> Trajectory:
    """NVT of the first ordering of Li3YCl6 (30 atoms), relaxed, at 800 K; a frame every 10 fs."""
    crystal = builtin_crystal("Li3YCl6")
    exclusions = exclusion_distances(crystal, 2.5)
    composition = choose_composition(crystal, (1, 1, 1), exclusions=exclusions)
    found = enumerate_orderings(crystal, composition, exclusions=exclusions, limit=10**6)
    start = relax(found.structure(0), potential, RankingSettings()).atoms
    stage = MdStage(
        ensemble="nvt",
        n_steps=int(length_ps * 500),
        timestep_fs=2.0,
        temperature_k=TEMPERATURE_K,
        store_every_steps=5,
    )
    return run_stage(folder / "run", start, potential, stage)


def energies_and_forces(potential: ChgnetPotential, frames: FrameSet) -> tuple[np.ndarray, np.ndarray]:
    """(n_frames,) energies in meV/atom, (n_frames,) the largest force on an atom in eV/Angstrom."""
    energies, forces, n_atoms = [], [], len(frames.symbols)
    for start in range(0, frames.n_frames, 100):
        found = potential.evaluate_batch([frames.atoms(k) for k in range(start, min(start + 100, frames.n_frames))])
        energies += [1000 * one.energy / n_atoms for one in found]
        forces += [np.linalg.norm(one.forces, axis=1).max() for one in found]
    return np.array(energies), np.array(forces)


def cover(potential: ChgnetPotential, length_ps: float, n: int) -> list[str]:
    """What the choices of each method cover of a run."""
    with tempfile.TemporaryDirectory() as folder:
        frames = gather_frames([dynamics(potential, length_ps, Path(folder))])
    frames = _kept(frames, np.arange(100, frames.n_frames))  # without the first picosecond
    energies, forces = energies_and_forces(potential, frames)
    features = structure_features(potential, frames.atoms(0).numbers, frames.positions, frames.cells)
    last_layer = SamplingChoices(method="last_layer")
    unknown = LastLayerUncertainty(features, last_layer.ridge).values.max()

    def measured(chosen: np.ndarray) -> list[float]:
        left = distance_left(frames, chosen, FRAMEWORK)
        model = LastLayerUncertainty(features, last_layer.ridge)
        for k in chosen:
            model.add(int(k))
        span = np.ptp(energies[chosen]) / np.ptp(energies)
        gaps = np.diff(np.sort(frames.frame[chosen])) * 10
        return [
            left.max(),
            left.mean(),
            100 * model.values.max() / unknown,
            100 * span,
            energies[chosen].std() / energies.std(),
            forces[chosen].max(),
            gaps.min(),
        ]

    random = [choose_frames(frames, n, SamplingChoices(method="random", seed=k)).indices for k in RANDOM_SEEDS]
    every = np.linspace(0, frames.n_frames - 1, n).round().astype(int)
    rows = {
        "furthest points": measured(choose_frames(frames, n, FURTHEST).indices),
        "last layer": measured(choose_frames(frames, n, last_layer, potentials=[potential]).indices),
        f"random, mean of {len(random)}": np.mean([measured(one) for one in random], axis=0),
        "evenly in time": measured(every),
    }
    return [
        f"{n} of {frames.n_frames} frames, 10 fs apart, of Li3YCl6 ({len(frames.symbols)} atoms) at "
        f"{TEMPERATURE_K:g} K, NVT with {potential.name}. Energies: standard deviation {energies.std():.2f} "
        f"meV/atom, range {np.ptp(energies):.1f}; largest force {forces.max():.1f} eV/Angstrom.",
        "",
        "| method | furthest frame left, Angstrom | mean, Angstrom | largest last-layer uncertainty left, % "
        "| range of energies spanned, % | their standard deviation against all | largest force, eV/Angstrom "
        "| nearest two in time, fs |",
        "|" + "---|" * 8,
        *(f"| {name} | " + " | ".join(f"{one:.3g}" for one in values) + " |" for name, values in rows.items()),
        "",
        "No other potential stood in for DFT: SevenNet was not installed. So this tells what the chosen frames "
        "cover, not what a potential trained on them gains.",
    ]


def _kept(frames: FrameSet, indices: np.ndarray) -> FrameSet:
    return FrameSet(
        symbols=frames.symbols,
        positions=frames.positions[indices],
        cells=frames.cells[indices],
        trajectory=frames.trajectory[indices],
        frame=frames.frame[indices],
    )


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--choose", type=int, default=40)
    parser.add_argument("--length-ps", type=float, default=20.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        f"{machine_description()['processor']}, {os.environ.get('OMP_NUM_THREADS', 'all')} thread(s); "
        f"halion {source_commit()[:12]}.",
        "",
        "## Rate",
        "",
        *rate(options.frames, options.choose),
        "",
        "## Cover",
        "",
        *cover(ChgnetPotential(), options.length_ps, options.choose),
    ]
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

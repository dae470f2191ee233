"""CHGNet dynamics on a CUDA device: one cell of 240 atoms and batches of 8 to 64 of them, per precision.

A step is list, energy, forces, virial and velocity Verlet at 1 fs, in float64 on the device, replayed as a CUDA
graph of `STEPS` steps. Times are the shortest of several chunks; s/atom/ps is time per step * 1000 /
atoms. Memory is the largest allocated, per atom. Errors are those of one evaluation against the torch engine in
float64 on the same device: eV/atom, eV/Angstrom, GPa. Without a CUDA device it says so and ends.

    python benchmarks/engine_gpu.py [--output benchmarks/results/engine_gpu.md] [--tiles] [--profile]

--tiles times other tile sizes than those of halion.potentials.gpu.network.TILES; --profile lists kernels by time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from engine_accuracy import hot, ordered_cell

from halion.arrays import FloatArray, IntArray
from halion.potentials.chgnet_model import load_model
from halion.potentials.folded import FoldedWeights, fold
from halion.potentials.torch_engine import TorchEngine
from halion.units import pressure_to_gpa, time_to_ase

STEPS, CHUNKS = 20, 10
BATCHES = (1, 8, 16, 32, 64)
TARGETS = {1: 0.004, 8: 0.001}  # s/atom/ps: the study's figure (0.8) by 200, and by 800 in batches

Batch = tuple[IntArray, FloatArray, FloatArray, IntArray]


def batch_of(n_cells: int) -> Batch:
    """Li3YCl6 cells of 240 atoms with thermal displacements of 600 K, each its own."""
    cell = ordered_cell("Li3YCl6").repeat((2, 2, 2))
    frames = [hot(cell, 600, seed=seed) for seed in range(n_cells)]
    return (
        np.concatenate([one.numbers for one in frames]),
        np.concatenate([one.positions for one in frames]),
        np.stack([one.cell.array for one in frames]),
        np.array([len(one) for one in frames]),
    )


def seconds_per_step(engine, batch: Batch) -> float:
    """Shortest time of one step of velocity Verlet within a CUDA graph."""
    from ase.data import atomic_masses

    from halion.potentials.gpu.graph_steps import GraphSteps

    numbers, positions, cells, counts = batch
    engine.prepare(numbers, counts)
    device, step_time = engine.device, time_to_ase(0.001)
    masses = torch.tensor(atomic_masses[numbers], device=device)[:, None]

    def step(state: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        positions, velocities, forces, cells = state
        velocities = velocities + 0.5 * step_time * forces / masses
        positions = positions + step_time * velocities
        _, forces, _ = engine.evaluate_tensors(positions, cells)
        return positions, velocities + 0.5 * step_time * forces / masses, forces, cells

    still = np.zeros_like(positions)
    state = [torch.tensor(array, device=device) for array in (positions, still, still, cells)]
    steps = GraphSteps(engine, step, state, STEPS)
    for _ in range(2):
        steps.advance()
        _ = steps.state
    times = []
    for _ in range(CHUNKS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        steps.advance()
        _ = steps.state
        times.append((time.perf_counter() - start) / STEPS)
    return min(times)


def errors(engine, batch: Batch, exact) -> tuple[float, float, float]:
    """Energy, force and stress error of one evaluation."""
    _, _, cells, counts = batch
    result = engine.evaluate(*batch)
    volumes = np.abs(np.linalg.det(cells))[:, None, None]
    return (
        float(np.abs((result.energies - exact.energies) / counts).max()),
        float(np.abs(result.forces - exact.forces).max()),
        float(pressure_to_gpa(np.abs(result.virials - exact.virials) / volumes).max()),
    )


def rows(weights: FoldedWeights) -> Iterator[str]:
    """One line of the table per precision and batch."""
    from halion.potentials.gpu_engine import GpuEngine

    exact = TorchEngine(weights, device="cuda", dtype=torch.float64).evaluate(*batch_of(1))
    yield "| precision | cells | atoms | ms/step | s/atom/ps | target | kB/atom | dE | dF | dS |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for precision, n_cells in product(("fp32", "tf32x3", "tf32"), BATCHES):
        batch = batch_of(n_cells)
        n_atoms = len(batch[0])
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        engine = GpuEngine(weights, precision=precision)
        seconds = seconds_per_step(engine, batch)
        memory = torch.cuda.max_memory_allocated() / n_atoms / 1000
        cost, target = 1000 * seconds / n_atoms, TARGETS[min(n_cells, 8)]
        worst = " | ".join(f"{one:.1e}" for one in errors(engine, batch_of(1), exact)) if n_cells == 1 else " | | "
        yield (
            f"| {precision} | {n_cells} | {n_atoms} | {1000 * seconds:.3f} | {cost:.6f} | "
            f"{target} ({'met' if cost <= target else 'missed'}) | {memory:.0f} | {worst} |"
        )


def tile_rows(weights: FoldedWeights) -> Iterator[str]:
    """Time per step of 8 cells with other tiles."""
    from halion.potentials.gpu import network
    from halion.potentials.gpu_engine import PRECISIONS, GpuEngine

    yield "| precision | rows | warps | warps back | ms/step of 8 cells |"
    yield "|---|---|---|---|---|"
    for precision, n_rows, warps, back in product(("fp32", "tf32x3", "tf32"), (16, 32, 64), (4, 8), (4, 8)):
        dot = PRECISIONS[precision][0]
        before, network.TILES[dot] = network.TILES[dot], network.Tiles(n_rows, warps, back)
        try:
            seconds = seconds_per_step(GpuEngine(weights, precision=precision), batch_of(8))
            yield f"| {precision} | {n_rows} | {warps} | {back} | {1000 * seconds:.3f} |"
        finally:
            network.TILES[dot] = before


def profile(weights: FoldedWeights) -> str:
    """Kernels by device time, of one eager evaluation of 8 cells in tf32x3."""
    from halion.potentials.gpu_engine import GpuEngine

    engine, batch = GpuEngine(weights, precision="tf32x3"), batch_of(8)
    engine.evaluate(*batch)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        engine.evaluate(*batch)
    return seen.key_averages().table(sort_by="cuda_time_total", row_limit=30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--tiles", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(f"no CUDA device is seen by torch {torch.__version__}: nothing is measured")
    import triton

    weights = fold(load_model())
    lines = [f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}", ""]
    print(lines[0], flush=True)
    for line in [*rows(weights)] + ([*tile_rows(weights)] if options.tiles else []):
        print(line, flush=True)
        lines.append(line)
    if options.profile:
        print(profile(weights))
    if options.output is not None:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

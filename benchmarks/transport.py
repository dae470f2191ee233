"""Mean squared displacement and diffusivity of one trajectory: halion beside pymatgen-analysis-diffusion and MDAnalysis.

The trajectory is a halion HDF5 file, or a lattice walk of so many ions and frames. Each code gets the same unwrapped,
drift-free positions in memory; what differs is what it makes of them. kinisi is in `transport_errors.py`.

    pip install pymatgen-analysis-diffusion MDAnalysis tidynamics     # in an environment of their own
    OMP_NUM_THREADS=1 python benchmarks/transport.py [--trajectory production/trajectory.h5] [--output results.md]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics import Trajectory
from halion.settings import TransportSettings
from halion.study.provenance import machine_description, source_commit
from halion.transport import analyse_run, haven_ratio, ion_density, msd_tensor, read_trajectory
from halion.transport.msd import without_drift


def walk(n_frames: int) -> Trajectory:
    """36 Li that hop by 3 Angstrom among the sites of a cubic lattice, and 84 Cl at rest; one frame each 0.1 ps."""
    rng = np.random.default_rng(0)
    axes = np.vstack([np.eye(3), -np.eye(3)]) * 3.0
    positions = np.empty((n_frames, 120, 3), dtype=np.float32)
    start = rng.permutation(np.argwhere(np.ones((6, 6, 6))))[:36] * 3.0
    for ion in range(36):
        hops = axes[rng.integers(6, size=n_frames)] * (rng.random(n_frames) < 0.02)[:, None]
        positions[:, ion] = start[ion] + np.cumsum(hops, axis=0)
    positions[:, 36:] = rng.random((84, 3)) * 18.0
    for frame in range(0, n_frames, 10_000):  # vibrations
        part = positions[frame : frame + 10_000]
        part += rng.normal(0, 0.1, part.shape).astype(np.float32)
    nan = np.full(n_frames, np.nan)
    return Trajectory(
        symbols=("Li",) * 36 + ("Cl",) * 84,
        positions=positions,
        cells=np.broadcast_to(np.eye(3) * 18.0, (n_frames, 3, 3)),
        steps=np.arange(n_frames),
        time_ps=0.1 * np.arange(n_frames),
        temperature_k=np.full(n_frames, 500.0),
        potential_energy=nan,
        pressure_gpa=nan,
        target_temperature_k=500.0,
        source="walk",
    )


def timed(work: Callable[[], FloatArray]) -> tuple[float, FloatArray]:
    """Seconds and result."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def with_pymatgen(positions: FloatArray, trajectory: Trajectory, n_lags: int) -> FloatArray:
    """Its mean squared displacement; at lag times of its own choice, NaN at others."""
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    rest = np.zeros((1, len(positions), 3))  # a framework is asked for: one atom that stands still
    ions = np.concatenate([positions.transpose(1, 0, 2), rest])
    species = ["Li"] * (len(ions) - 1) + ["Cl"]
    structure = Structure(trajectory.cells[0], species, ions[:, 0], coords_are_cartesian=True)
    frame_ps = float(np.diff(trajectory.time_ps).mean())
    found = DiffusionAnalyzer(
        structure, ions - ions[:, :1], "Li", 500.0, time_step=1000 * frame_ps, step_skip=1, smoothed="max"
    )
    lags = np.arange(n_lags) * frame_ps
    # It gives some 200 lags; between them nothing is compared.
    known = np.isclose(lags[:, None], found.dt / 1000, atol=1e-6 * frame_ps)
    return np.where(known.any(axis=1), (known * found.msd).sum(axis=1), np.nan)


def with_mdanalysis(positions: FloatArray, trajectory: Trajectory, n_lags: int) -> FloatArray:
    """Its mean squared displacement by FFT."""
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    universe = MDAnalysis.Universe.empty(positions.shape[1], trajectory=True)
    universe.load_new(positions.astype(np.float32))
    return EinsteinMSD(universe, select="all", msd_type="xyz", fft=True).run().results.timeseries[:n_lags]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectory", type=Path)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--alone", type=int, default=100_000, help="frames of the walk that halion analyses alone")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    trajectory = read_trajectory(options.trajectory) if options.trajectory else walk(options.frames)
    is_li = [symbol == "Li" for symbol in trajectory.symbols]
    positions = without_drift(trajectory, "Li")[:, is_li]
    n_lags = len(positions) // 2
    ours_s, ours = timed(lambda: np.trace(msd_tensor(positions, n_lags), axis1=1, axis2=2))
    lines = [
        f"{machine_description()['processor']}, halion {source_commit()[:12]}; {positions.shape[1]} Li, "
        f"{len(positions)} frames of {options.trajectory.parent.parent.name if options.trajectory else 'a lattice walk'}.",
        "",
        "| code | mean squared displacement, s | ratio | largest relative difference to halion |",
        "|---|---|---|---|",
        f"| halion, full tensor | {ours_s:.2f} | 1 | - |",
    ]
    for name, peer in (("pymatgen-analysis-diffusion", with_pymatgen), ("MDAnalysis", with_mdanalysis)):
        seconds, theirs = timed(lambda peer=peer: peer(positions, trajectory, n_lags))
        apart = np.nanmax(np.abs(theirs[1:] / ours[1:] - 1))
        lines.append(f"| {name} | {seconds:.2f} | {seconds / ours_s:.1f} | {apart:.1e} |")
    long = walk(options.alone)
    settings = TransportSettings(hop_length_angstrom=3.0)
    parts = {
        "displacement, D, errors, verdict": lambda: analyse_run(long, settings),
        "Haven ratio": lambda: haven_ratio(long, settings),
        "density, 0.2 A": lambda: ion_density(long, "Li"),
    }
    lines += ["", f"Alone: 36 Li of 120 atoms, {options.alone} frames.", "", "| what | s |", "|---|---|"]
    lines += [f"| {name} | {timed(work)[0]:.1f} |" for name, work in parts.items()]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    text = "\n".join([*lines, "", f"Peak memory of all: {peak:.2f} GiB."]) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

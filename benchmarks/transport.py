"""Diffusivity of one trajectory: halion beside pymatgen-analysis-diffusion and MDAnalysis; a million frames alone.

The trajectory is a halion HDF5 file, or a lattice walk of so many ions and frames. Each code gets the same
unwrapped, drift-free positions in memory; what differs is what it makes of them. kinisi is in
`transport_errors.py`. The long run lies on the disk as a halion HDF5 file and is analysed by a process of its own,
whose peak of resident memory (VmHWM) is that of Python, libraries and analysis together.

    pip install pymatgen-analysis-diffusion MDAnalysis tidynamics     # in an environment of their own
    OMP_NUM_THREADS=1 python benchmarks/transport.py --alone 1000000 [--trajectory production/trajectory.h5]
        [--output benchmarks/results/transport.md]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics import Trajectory
from halion.dynamics.layout import Frames, Header, encode
from halion.settings import TransportSettings
from halion.study.provenance import machine_description, source_commit
from halion.transport import analyse_run, haven_ratio, ion_density, mobile_ions, msd_tensor, read_trajectory
from halion.transport.msd import without_drift

_BLOCK = 12_800


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


def stored(path: Path, n_frames: int) -> None:
    """The walk as halion's own file."""
    run = walk(n_frames)
    header = Header(
        inputs_digest="",
        symbols=run.symbols,
        ensemble="nvt",
        n_steps=n_frames - 1,
        timestep_fs=100.0,
        target_temperature_k=500.0,
        target_pressure_gpa=float("nan"),
        store_every_steps=1,
        potential="walk",
        weights_sha256="",
        written_by="benchmarks/transport.py",
    )

    def blocks() -> Iterator[Frames]:
        for first in range(0, n_frames, _BLOCK):
            part = slice(first, first + _BLOCK)
            yield {
                "step": run.steps[part],
                "time_ps": run.time_ps[part],
                "temperature_k": run.temperature_k[part],
                "potential_energy_ev": run.potential_energy[part],
                "pressure_gpa": run.pressure_gpa[part],
                "conserved_energy_ev": run.pressure_gpa[part],
                "cell_angstrom": run.cells[part],
                "positions_angstrom": run.positions[part],
            }

    path.write_bytes(encode(header, blocks(), {"step": np.array([float(n_frames - 1)])}))


def peak_gib() -> float:
    """Most resident memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def alone(path: Path) -> None:
    """What a process of its own does with a long run; seconds and memory as JSON."""
    settings = TransportSettings(hop_length_angstrom=3.0)
    base = peak_gib()
    long = read_trajectory(path)
    opened = peak_gib()
    kept = []
    parts = {
        "frames read and checked, drift removed": lambda: kept.append(mobile_ions(long, "Li")),
        "MSD tensor, fit, all errors, verdict": lambda: analyse_run(long, settings, kept[0]),
        "density of Li, 0.2 Angstrom": lambda: ion_density(long, "Li", ions=kept[0]),
        "Haven ratio": lambda: haven_ratio(long, settings, kept[0]),
    }
    rows = []
    for name, work in parts.items():
        began = time.perf_counter()
        found = work()
        rows.append((name, time.perf_counter() - began, peak_gib()))
        if name.startswith("MSD"):
            truth = 0.02 * 9.0 / 6.0 / 0.1
            rows[-1] += ((found.diffusivity / truth - 1, found.diffusivity_std / truth),)
    print(json.dumps({"base": base, "opened": opened, "rows": rows}))


PEERS = {"pymatgen-analysis-diffusion": with_pymatgen, "MDAnalysis": with_mdanalysis}


def displacement_alone(path: Path, name: str) -> None:
    """One code's mean squared displacement of the mobile ions of a long run, which are in memory; JSON."""
    long = read_trajectory(path)
    positions = mobile_ions(long, "Li").positions
    n_lags = 5001
    before = peak_gib()
    if name == "halion":
        seconds, found = timed(lambda: np.trace(msd_tensor(positions, n_lags), axis1=1, axis2=2))
    else:
        seconds, found = timed(lambda: PEERS[name](positions, long, n_lags))
    print(json.dumps({"seconds": seconds, "before": before, "peak": peak_gib(), "msd": found[:n_lags].tolist()}))


def displacement_lines(path: Path) -> list[str]:
    """All codes on the mobile ions of the long run."""
    names = ("halion", *PEERS)
    seen = {name: json.loads(in_its_own_process("--measure", str(path), "--code", name)) for name in names}
    ours = np.array(seen["halion"]["msd"])
    lines = [
        "",
        "Mean squared displacement of its 36 Li alone, whose paths are in memory before the clock starts:",
        "",
        "| code | s | ratio | peak memory, GiB | largest relative difference to halion, 500 ps |",
        "|---|---|---|---|---|",
    ]
    for name, one in seen.items():
        apart = np.nanmax(np.abs(np.array(one["msd"], dtype=float)[1:] / ours[1:] - 1))
        ratio = one["seconds"] / seen["halion"]["seconds"]
        lines.append(f"| {name} | {one['seconds']:.1f} | {ratio:.1f} | {one['peak']:.2f} | {apart:.1e} |")
    return lines


def in_its_own_process(*arguments: str) -> str:
    """This script once more, in a fresh process."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def alone_lines(n_frames: int) -> list[str]:
    """Table of the long run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trajectory.h5"
        in_its_own_process("--write", str(path), "--alone", str(n_frames))
        size = path.stat().st_size / 2**30
        seen = json.loads(in_its_own_process("--measure", str(path)))
        peers = displacement_lines(path)
    apart, error = seen["rows"][1][3]
    seconds = sum(row[1] for row in seen["rows"][:3])
    return [
        "",
        f"Alone: a run of {n_frames} frames of 120 atoms, 36 Li, from its file of {size:.2f} GiB.",
        "",
        "| what | s | peak memory so far, GiB |",
        "|---|---|---|",
        f"| Python and libraries | - | {seen['base']:.2f} |",
        f"| file opened | - | {seen['opened']:.2f} |",
        *(f"| {row[0]} | {row[1]:.1f} | {row[2]:.2f} |" for row in seen["rows"]),
        "",
        f"Reading, displacement, fit, errors and density together: {seconds:.1f} s. All lags up to 500 ps, "
        f"from all time origins; D differs from the walk's own by {100 * apart:+.1f} %, its error is "
        f"{100 * error:.1f} %.",
        *peers,
    ]


def comparison_lines(options: argparse.Namespace) -> list[str]:
    """Table of all codes on one trajectory."""
    trajectory = read_trajectory(options.trajectory) if options.trajectory else walk(options.frames)
    is_li = [symbol == "Li" for symbol in trajectory.symbols]
    positions = without_drift(trajectory, "Li")[:, is_li]
    n_lags = len(positions) // 2
    ours_s, ours = timed(lambda: np.trace(msd_tensor(positions, n_lags), axis1=1, axis2=2))
    origin = options.trajectory.parent.parent.name if options.trajectory else "a lattice walk"
    lines = [
        f"{machine_description()['processor']}, {os.cpu_count()} cores, one thread, halion {source_commit()[:12]}; "
        f"{positions.shape[1]} Li, {len(positions)} frames of {origin}, {n_lags} lags.",
        "",
        "| code | mean squared displacement, s | ratio | largest relative difference to halion |",
        "|---|---|---|---|",
        f"| halion, full tensor | {ours_s:.2f} | 1 | - |",
    ]
    for name, peer in PEERS.items():
        seconds, theirs = timed(lambda peer=peer: peer(positions, trajectory, n_lags))
        apart = np.nanmax(np.abs(theirs[1:] / ours[1:] - 1))
        lines.append(f"| {name} | {seconds:.2f} | {seconds / ours_s:.1f} | {apart:.1e} |")
    return lines


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectory", type=Path)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--alone", type=int, default=100_000, help="frames of the walk that halion analyses alone")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--code", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        stored(options.write, options.alone)
    elif options.measure and options.code:
        displacement_alone(options.measure, options.code)
    elif options.measure:
        alone(options.measure)
    else:
        command = f"    OMP_NUM_THREADS=1 python benchmarks/transport.py --alone {options.alone}"
        text = "\n".join([*comparison_lines(options), *alone_lines(options.alone), "", command]) + "\n"
        print(text)
        if options.output:
            options.output.write_text(text)


if __name__ == "__main__":
    main()

"""How often an error bar holds the true diffusivity: halion's, kinisi's, and that of naive least squares.

Replicas of ions that hop and vibrate, whose diffusivity is known. Per method: mean over the truth, scatter of the
replicas, the error that it claims (mean), the share of replicas whose error bar holds the truth (68 % if it is
right), and seconds per run. kinisi, where it is installed, gets the same lags; "naive" is the least-squares error
that takes lags for independent, as pymatgen-analysis-diffusion prints it.

    python benchmarks/transport_errors.py [--replicas 150] [--output benchmarks/results/transport_errors.md]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "transport"))  # processes as the tests have them
from transport_walks import lattice_walk

from halion.study.provenance import machine_description, source_commit
from halion.transport.fit import fit_slopes, rsd_he
from halion.transport.independence import ion_statistics
from halion.transport.msd import msd_tensor

HOP, FIRST, N_KINISI_LAGS, CELL = 3.0, 25, 24, 15.0
Answer = tuple[float, float]  # diffusivity and its error, Angstrom^2 per frame


@dataclass(frozen=True)
class Process:
    """Ions whose diffusivity is known, Angstrom^2 per frame."""

    name: str
    diffusivity: float
    positions: Callable[[int], np.ndarray]


def hopping(n_ions: int, n_frames: int, rate: float, copies: int = 1) -> Process:
    """Lattice walks in cages of 0.4 Angstrom; `copies` of each ion move as one."""

    def positions(seed: int) -> np.ndarray:
        walk = np.repeat(lattice_walk(seed, n_ions=n_ions, n_frames=n_frames, rate=rate), copies, axis=1)
        return walk + np.random.default_rng(seed + 10**6).normal(0, 0.4, walk.shape)

    name = f"{n_ions * copies} ions" + (f" that move in groups of {copies}" if copies > 1 else "")
    hops = rate * n_frames
    return Process(f"{name}, {n_frames} frames, {hops:.0f} hops each", rate * HOP**2 / 6, positions)


PROCESSES = (hopping(12, 1200, 0.02), hopping(36, 2000, 0.02), hopping(36, 2000, 0.2), hopping(6, 1200, 0.04, 4))


def by_halion(positions: np.ndarray) -> dict[str, Answer]:
    """Both fits with the covariance's error; He's and the naive error of ordinary least squares."""
    n_frames, n_ions = positions.shape[:2]
    msd = np.trace(msd_tensor(positions, n_frames // 2 + 1), axis1=1, axis2=2)
    lags = np.arange(FIRST, n_frames // 2 + 1)
    fits = fit_slopes(lags, msd[lags], n_frames, ion_statistics(positions, FIRST, HOP))
    centred = lags - lags.mean()
    residuals = msd[lags] - msd[lags].mean() - fits.ols.slope * centred
    naive = np.sqrt(residuals @ residuals / (len(lags) - 2) / (centred @ centred))
    he = rsd_he(msd[lags].max() * n_ions / HOP**2) * fits.ols.slope
    return {
        "halion, generalised least squares": (fits.gls.slope / 6, fits.gls_std / 6),
        "halion, ordinary least squares, covariance": (fits.ols.slope / 6, fits.ols_std / 6),
        "ordinary least squares, He 2018": (fits.ols.slope / 6, he / 6),
        "ordinary least squares, naive error": (fits.ols.slope / 6, naive / 6),
    }


def by_kinisi(positions: np.ndarray) -> dict[str, Answer]:
    """Mean and standard deviation of its posterior, among a framework at rest."""
    import scipp
    from ase import Atoms
    from kinisi.analyze import DiffusionAnalyzer

    warnings.filterwarnings("ignore")
    n_frames, n_ions = positions.shape[:2]
    framework = np.random.default_rng(0).uniform(0, CELL, (8, 3))
    frames = [
        Atoms(f"Li{n_ions}Cl8", positions=np.concatenate([part, framework]), cell=np.eye(3) * CELL, pbc=True)
        for part in positions
    ]
    lags = np.unique(np.geomspace(FIRST, n_frames // 2, N_KINISI_LAGS).round()).astype(float)
    found = DiffusionAnalyzer.from_ase(
        frames,
        specie="Li",
        time_step=scipp.scalar(1.0, unit="ps"),
        step_skip=scipp.scalar(1),
        dt=scipp.array(dims=["time interval"], values=lags, unit="ps"),
        progress=False,
    )
    np.random.seed(0)  # noqa: NPY002  (its only way to a seed)
    found.diffusion(start_dt=scipp.scalar(float(lags[0]), unit="ps"), progress=False)
    values = found.D.values * 1e4  # cm^2/s to Angstrom^2/ps
    return {"kinisi": (float(values.mean()), float(values.std()))}


def table(process: Process, n_replicas: int, methods: list[Callable]) -> list[str]:
    """One row per method."""
    answers: dict[str, list[Answer]] = {}
    seconds: dict[str, float] = {}
    for seed in range(n_replicas):
        positions = process.positions(seed)
        for method in methods:
            start = time.perf_counter()
            found = method(positions)
            used = time.perf_counter() - start
            for name, answer in found.items():
                answers.setdefault(name, []).append(answer)
                seconds[name] = min(seconds.get(name, np.inf), used)
    lines = [
        f"\n{process.name}, {n_replicas} replicas:\n",
        "| method | mean / truth | scatter | error claimed | holds the truth | s |",
        "|---|---|---|---|---|---|",
    ]
    for name, pairs in answers.items():
        value, error = np.array(pairs).T
        inside = np.mean(np.abs(value - process.diffusivity) < error)
        parts = (value.mean(), value.std(), error.mean())
        shown = " | ".join(f"{part / process.diffusivity:.3f}" for part in parts)
        lines.append(f"| {name} | {shown} | {100 * inside:.0f} % | {seconds[name]:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=150)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    methods: list[Callable] = [by_halion]
    try:
        import kinisi

        methods.append(by_kinisi)
        peer = f"kinisi {kinisi.__version__}"
    except ImportError:
        peer = "kinisi is not installed"
    lines = [
        f"{machine_description()['processor']}, one core; halion {source_commit()[:12]}; {peer}.",
        "\n# Error bars of the diffusivity\n\nA right one holds the truth in 68 % of the replicas.",
    ]
    for process in PROCESSES:
        lines += table(process, options.replicas, methods)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Real trajectories: what halion, pymatgen-analysis-diffusion, kinisi and MDAnalysis make of the same positions.

Each code gets the unwrapped, drift-free Li of halion's own reader. Displacements must be equal; diffusivities
differ by the lags that a code fits and by how it weighs them, errors by what a code takes for independent.

    pip install pymatgen-analysis-diffusion MDAnalysis tidynamics kinisi
    OMP_NUM_THREADS=1 python benchmarks/transport_real.py runs/Li3YBr6 [--output results/transport_real.md]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from halion.arrays import FloatArray
from halion.settings import TransportSettings
from halion.study.provenance import machine_description, source_commit
from halion.transport import RunTransport, analyse_run, mobile_ions, msd_tensor, read_trajectory
from halion.units import diffusivity_to_cm2_per_s

N_KINISI_LAGS = 40


@dataclass(frozen=True)
class Case:
    """A run, and what every code gets of it."""

    positions: FloatArray
    cell: FloatArray
    frame_ps: float
    run: RunTransport
    msd: FloatArray


def case(path: Path) -> Case:
    """Of a trajectory that halion wrote."""
    settings = TransportSettings()
    trajectory = read_trajectory(path)
    ions = mobile_ions(trajectory, settings.mobile_species)
    positions = np.asarray(ions.positions[:], dtype=float)
    tensor = msd_tensor(positions, len(positions) // 2)
    return Case(
        positions=positions,
        cell=np.asarray(trajectory.cells).mean(axis=0),
        frame_ps=float(np.diff(trajectory.time_ps).mean()),
        run=analyse_run(trajectory, settings, ions),
        msd=np.trace(tensor, axis1=1, axis2=2),
    )


Answer = tuple[float, float, float]  # D and its error, Angstrom^2/ps; largest relative difference of a displacement


def by_halion(one: Case) -> dict[str, Answer]:
    """Both estimators, the largest error."""
    run = one.run
    return {
        "halion, ordinary least squares, largest error": (run.diffusivity, run.diffusivity_std, 0.0),
        "halion, generalised least squares, covariance": (run.diffusivity_gls, run.diffusivity_gls_std, 0.0),
    }


def by_pymatgen(one: Case) -> dict[str, Answer]:
    """Its D and error: weighted least squares through all of its lags, the vibration included."""
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    rest = np.zeros((1, len(one.positions), 3))  # a framework is asked for: one atom that stands still
    ions = np.concatenate([one.positions.transpose(1, 0, 2), rest])
    species = ["Li"] * (len(ions) - 1) + ["Cl"]
    structure = Structure(one.cell, species, ions[:, 0], coords_are_cartesian=True)
    found = DiffusionAnalyzer(
        structure, ions - ions[:, :1], "Li", 500.0, time_step=1000 * one.frame_ps, step_skip=1, smoothed="max"
    )
    lags = np.rint(found.dt / 1000 / one.frame_ps).astype(int)
    inside = (lags > 0) & (lags < len(one.msd))
    apart = np.max(np.abs(found.msd[inside] / one.msd[lags[inside]] - 1))
    unit = 1e4  # cm^2/s to Angstrom^2/ps
    return {"pymatgen-analysis-diffusion": (found.diffusivity * unit, found.diffusivity_std_dev * unit, apart)}


def by_mdanalysis(one: Case) -> dict[str, Answer]:
    """Its displacement by FFT; it fits nothing itself, so neither is anything here."""
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    universe = MDAnalysis.Universe.empty(one.positions.shape[1], trajectory=True)
    universe.load_new(one.positions.astype(np.float32))
    found = EinsteinMSD(universe, select="all", msd_type="xyz", fft=True).run().results.timeseries
    apart = np.max(np.abs(found[1 : len(one.msd)] / one.msd[1:] - 1))
    return {"MDAnalysis": (np.nan, np.nan, apart)}


def by_kinisi(one: Case) -> dict[str, Answer]:
    """Mean and standard deviation of its posterior, from the first lag of halion's fit on."""
    import scipp
    from ase import Atoms
    from kinisi.analyze import DiffusionAnalyzer

    n_ions = one.positions.shape[1]
    rest = np.random.default_rng(0).uniform(size=(8, 3)) @ one.cell
    frames = [
        Atoms(f"Li{n_ions}Cl8", positions=np.concatenate([part, rest]), cell=one.cell, pbc=True)
        for part in one.positions
    ]
    first, last = (round(value / one.frame_ps) for value in one.run.fit_window_ps)
    lags = np.unique(np.geomspace(1, min(last, len(one.msd) - 1), N_KINISI_LAGS).round())
    found = DiffusionAnalyzer.from_ase(
        frames,
        specie="Li",
        time_step=scipp.scalar(one.frame_ps, unit="ps"),
        step_skip=scipp.scalar(1),
        dt=scipp.array(dims=["time interval"], values=lags * one.frame_ps, unit="ps"),
        progress=False,
    )
    np.random.seed(0)  # noqa: NPY002  (its only way to a seed)
    start = float(lags[lags >= first][0]) * one.frame_ps
    found.diffusion(start_dt=scipp.scalar(start, unit="ps"), progress=False)
    values = found.D.values * 1e4
    seen = found.msd.values
    apart = np.max(np.abs(seen / one.msd[lags.astype(int)] - 1))
    return {"kinisi": (float(values.mean()), float(values.std()), apart)}


CODES: dict[str, Callable[[Case], dict[str, Answer]]] = {
    "halion": by_halion,
    "pymatgen-analysis-diffusion": by_pymatgen,
    "kinisi": by_kinisi,
    "MDAnalysis": by_mdanalysis,
}


def lines_of(one: Case) -> list[str]:
    """The table of one run."""
    run = one.run
    first, last = run.fit_window_ps
    lines = [
        f"\n{run.temperature_k:.0f} K, {run.n_ions} Li, {run.length_ps:g} ps, {run.n_frames} frames: "
        f"{run.verdict}, {run.n_eff:.0f} hops; fitted from {first:.3g} to {last:.3g} ps.\n",
        "| code | D, 10⁻⁶ cm²/s | over halion's | displacement apart by at most |",
        "|---|---|---|---|",
    ]
    for name, code in CODES.items():
        try:
            found = code(one)
        except ImportError:
            lines.append(f"| {name} | not installed | | |")
            continue
        for what, (value, error, apart) in found.items():
            shown = [diffusivity_to_cm2_per_s(part) * 1e6 for part in (value, error)]
            known = np.isfinite(value)
            cell = f"{shown[0]:.3g} ± {shown[1]:.2g}" if known else "-"
            ratio = f"{value / run.diffusivity:.2f}" if known else "-"
            lines.append(f"| {what} | {cell} | {ratio} | {'-' if what.startswith('halion') else f'{apart:.1e}'} |")
    return lines


def versions() -> str:
    """Of the peers that are installed."""
    found = []
    for name in ("pymatgen-analysis-diffusion", "kinisi", "MDAnalysis"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path, help="folders of studies; their production runs are read")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    lines = [
        f"{machine_description()['processor']}, one core; halion {source_commit()[:12]}; {versions()}.",
        "\n# Real trajectories: four codes on the same positions",
    ]
    for study in options.studies:
        lines.append(f"\n## {study.name}")
        for path in sorted(study.glob("steps/*-dynamics/*/production/trajectory.h5")):
            lines += lines_of(case(path))
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

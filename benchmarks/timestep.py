"""Whether 2 fs is as good as the study's 1 fs: energy drift of NVE, and averages of NVT, at several time steps.

NVE (ASE's velocity Verlet, the compiled CHGNet): slope of the total energy over time, per atom, and its root mean
square ripple, which falls with the square of the time step. NVT: mean potential energy and pressure, with block
errors, and the mean squared displacement of lithium's neighbours in the framework (their vibration).

    python benchmarks/timestep.py [--nve-ps 10] [--nvt-ps 40] [--output benchmarks/results/timestep.md]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from halion.crystal import builtin_crystal
from halion.dynamics import MdStage, run_stage, thermal_momenta
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import PotentialCalculator, load_potential
from halion.ranking import relax
from halion.settings import RankingSettings
from halion.study.provenance import machine_description, source_commit

MATERIALS = {"Li3YBr6": (1, 1, 2), "Li3YCl6": (1, 1, 2)}
TIMESTEPS_FS = (0.5, 1.0, 2.0, 3.0)
COMPARED_FS = (1.0, 2.0)
TEMPERATURE_K = 600.0
SAMPLE_FS = 12.0  # a multiple of every time step
N_BLOCKS = 8


def relaxed(name: str, supercell: tuple[int, int, int]) -> Atoms:
    """The first ordering of a built-in material, relaxed."""
    crystal = builtin_crystal(name)
    composition = choose_composition(crystal, supercell, exclusions=exclusion_distances(crystal, 2.5))
    found = enumerate_orderings(crystal, composition, exclusions=exclusion_distances(crystal, 2.5), limit=10**6)
    return relax(found.structure(0), load_potential("chgnet"), RankingSettings()).atoms


def nve(start: Atoms, timestep_fs: float, length_ps: float) -> tuple[float, float]:
    """Drift in meV/atom/ps and ripple in meV/atom of the total energy."""
    atoms = start.copy()
    atoms.calc = PotentialCalculator(load_potential("chgnet"))
    dynamics = VelocityVerlet(atoms, timestep_fs * units.fs)
    stride, energies = round(SAMPLE_FS / timestep_fs), []
    for _ in range(int(length_ps * 1000 / SAMPLE_FS)):
        energies.append(atoms.get_total_energy() / len(atoms))
        dynamics.run(stride)
    time_ps = np.arange(len(energies)) * SAMPLE_FS / 1000
    slope, offset = np.polyfit(time_ps, energies, 1)
    return 1e3 * slope, 1e3 * float(np.std(np.array(energies) - slope * time_ps - offset))


def nvt(start: Atoms, timestep_fs: float, length_ps: float) -> dict[str, tuple[float, float]]:
    """Means with block errors over the last three quarters of an NVT run."""
    stage = MdStage(
        ensemble="nvt",
        n_steps=round(length_ps * 1000 / timestep_fs),
        timestep_fs=timestep_fs,
        temperature_k=TEMPERATURE_K,
        store_every_steps=round(20 / timestep_fs),
        checkpoint_every_steps=round(2000 / timestep_fs),
    )
    with tempfile.TemporaryDirectory() as folder:
        trajectory = run_stage(folder, start, load_potential("chgnet"), stage)
    late = slice(trajectory.n_frames // 4, None)
    framework = np.array([symbol != "Li" for symbol in trajectory.symbols])
    positions = trajectory.positions[late][:, framework]
    swing = ((positions - positions.mean(axis=0)) ** 2).sum(axis=2).mean(axis=1)
    series = {
        "potential energy, meV/atom": 1e3 * trajectory.potential_energy[late] / len(start),
        "temperature, K": trajectory.temperature_k[late],
        "pressure, GPa": trajectory.pressure_gpa[late],
        "framework's swing, A^2": swing,
    }
    return {name: with_error(values) for name, values in series.items()}


def with_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and its standard error from block means."""
    blocks = np.array([block.mean() for block in np.array_split(np.asarray(values), N_BLOCKS)])
    return float(np.mean(values)), float(blocks.std(ddof=1) / np.sqrt(N_BLOCKS))


def main() -> None:
    """Measure, print and, where asked, write the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--nve-ps", type=float, default=10.0)
    options.add_argument("--nvt-ps", type=float, default=40.0)
    options.add_argument("--output", type=Path)
    chosen = options.parse_args()
    lines = [
        f"CHGNet 0.3.0, compiled engine, {TEMPERATURE_K:g} K. {machine_description()['processor']}, halion "
        f"{source_commit()[:12] or 'of no repository'}; NVE {chosen.nve_ps:g} ps, NVT {chosen.nvt_ps:g} ps.",
        "",
        "| material | atoms | time step, fs | NVE drift, meV/atom/ps | ripple, meV/atom |",
        "|---|---|---|---|---|",
    ]
    averages = []
    for name, supercell in MATERIALS.items():
        start = relaxed(name, supercell)
        start.set_momenta(thermal_momenta(start.get_masses(), 2 * TEMPERATURE_K, seed=0))  # half goes into motion
        for timestep_fs in TIMESTEPS_FS:
            drift, ripple = nve(start, timestep_fs, chosen.nve_ps)
            lines.append(f"| {name} | {len(start)} | {timestep_fs:g} | {drift:+.4f} | {ripple:.3f} |")
            print(lines[-1], flush=True)
        start.set_momenta(thermal_momenta(start.get_masses(), TEMPERATURE_K, seed=1))
        found = [nvt(start, timestep_fs, chosen.nvt_ps) for timestep_fs in COMPARED_FS]
        for quantity in found[0]:
            (one, one_std), (two, two_std) = (each[quantity] for each in found)
            off = abs(two - one) / np.hypot(one_std, two_std)
            averages.append(
                f"| {name} | {quantity} | {one:.4f} ± {one_std:.4f} | {two:.4f} ± {two_std:.4f} | {off:.1f} |"
            )
            print(averages[-1], flush=True)
    lines += [
        "",
        "| material | NVT mean | 1 fs | 2 fs | difference / its error |",
        "|---|---|---|---|---|",
        *averages,
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if chosen.output:
        chosen.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

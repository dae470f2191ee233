"""How far each CHGNet engine, and chgnet's own calculator, is from CHGNet in double precision.

`chgnet-float64` is the oracle; tests/potentials/test_potentials_torch_engine.py shows that it equals chgnet's own
model in double precision to 1e-10. Frames: Li3YX6 with random displacements of the size of 300, 600 and 1000 K,
mixed halides, a sheared cell, and cells smaller than the cutoff. Asked for: |dE| < 1e-6 eV/atom, |dF| < 2e-5
eV/Angstrom, |dstress| < 1e-4 GPa, and at most twice chgnet's own error.

    python benchmarks/engine_accuracy.py [--device cpu] [--output benchmarks/results/engine_accuracy.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from halion.crystal import builtin_crystal
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import Evaluation, load_potential
from halion.study.provenance import machine_description, source_commit
from halion.units import pressure_to_gpa

ORACLE, STOCK = "chgnet-float64", "chgnet-reference"
NAMES = ("chgnet", "chgnet-torch", STOCK)
ASKED = (1e-6, 2e-5, 1e-4)  # eV/atom, eV/Angstrom, GPa
# Root mean square displacement per direction of 0.1 Angstrom at 300 K, growing with the square root of temperature.
TEMPERATURES_K = (300, 600, 1000)
FRAMES_EACH = 3


def hot(cell: Atoms, temperature_k: float, seed: int) -> Atoms:
    """The cell with random displacements of about this temperature."""
    frame = cell.copy()
    scale = 0.1 * np.sqrt(temperature_k / 300)
    frame.positions += np.random.default_rng(seed).normal(scale=scale, size=frame.positions.shape)
    return frame


def ordered_cell(name: str) -> Atoms:
    """One ordering of a built-in material in its unit cell."""
    crystal = builtin_crystal(name)
    composition = choose_composition(crystal, (1, 1, 1))
    return enumerate_orderings(
        crystal, composition, exclusions=exclusion_distances(crystal, 2.5), limit=1000
    ).structure(0)


def mixed(cell: Atoms, seed: int) -> Atoms:
    """Half of the bromides as chlorides."""
    frame = cell.copy()
    bromides = np.flatnonzero(frame.numbers == 35)
    frame.numbers[np.random.default_rng(seed).permutation(bromides)[: len(bromides) // 2]] = 17
    return frame


def systems() -> dict[str, list[Atoms]]:
    """Frames by what they are."""
    bromide, chloride = ordered_cell("Li3YBr6"), ordered_cell("Li3YCl6")
    large = bromide.repeat((2, 1, 2))
    made = {}
    for temperature_k in TEMPERATURES_K:
        frames = [hot(mixed(large, seed), temperature_k, seed) for seed in range(FRAMES_EACH)]
        made[f"Li3Y(Cl,Br)6, {temperature_k} K"] = frames
    made["Li3YCl6, 600 K"] = [hot(chloride.repeat((1, 1, 2)), 600, seed) for seed in range(FRAMES_EACH)]
    sheared = []
    for seed in range(FRAMES_EACH):
        frame = hot(large, 600, seed)
        strain = np.eye(3) + np.random.default_rng(seed).normal(scale=0.05, size=(3, 3))
        frame.set_cell(frame.cell.array @ strain, scale_atoms=True)
        sheared.append(frame)
    made["Li3YBr6, 600 K, sheared"] = sheared
    made["Li3YBr6, 600 K, unit cell"] = [hot(bromide, 600, seed) for seed in range(FRAMES_EACH)]
    rocksalt = bulk("LiCl", "rocksalt", a=5.14)
    made["LiCl, 600 K, primitive cell"] = [hot(rocksalt, 600, seed) for seed in range(FRAMES_EACH)]
    return made


def errors(one: Evaluation, exact: Evaluation) -> np.ndarray:
    """|dE| in eV/atom, max |dF| in eV/Angstrom, max |dstress| in GPa."""
    return np.array(
        [
            abs(one.energy - exact.energy) / len(exact.forces),
            np.abs(one.forces - exact.forces).max(),
            pressure_to_gpa(float(np.abs(one.stress - exact.stress).max())),
        ]
    )


Errors = dict[str, dict[str, np.ndarray]]


def measure(frames: dict[str, list[Atoms]], device: str) -> Errors:
    """Largest errors by what the frames are and by potential."""
    oracle = load_potential(ORACLE)
    potentials = {name: load_potential(name, device=device) for name in NAMES}
    found: Errors = {}
    for title, cells in frames.items():
        exact = oracle.evaluate_batch(cells)
        found[title] = {
            name: np.max([errors(potential.evaluate(c), x) for c, x in zip(cells, exact, strict=True)], axis=0)
            for name, potential in potentials.items()
        }
    return found


def verdict(found: Errors, name: str) -> str:
    """The largest errors of a potential, and whether it is as close as asked for on all frames."""
    worst = np.max([one[name] for one in found.values()], axis=0)
    numbers = f"{name}: at most " + ", ".join(f"{value:.1e}" for value in worst)
    if name == STOCK:
        return numbers + "."
    kept = all((one[name] < ASKED).all() and (one[name] <= 2 * one[STOCK]).all() for one in found.values())
    return f"{numbers}; {'as close as asked for' if kept else 'NOT as close as asked for'}."


def main() -> None:
    """Measure and print the table, and whether every engine is as close as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    frames = systems()
    found = measure(frames, options.device)
    engines = [f"{name} = {load_potential(name, device=options.device).engine}" for name in NAMES if name != STOCK]
    lines = [
        f"Largest errors of {FRAMES_EACH} frames against CHGNet 0.3.0 in double precision. "
        f"{machine_description()['processor']}, halion {source_commit()[:12]}; {'; '.join(engines)}; "
        f"{STOCK} = chgnet's own ASE calculator.",
        "",
        "| frames | atoms | potential | dE, eV/atom | dF, eV/A | dstress, GPa |",
        "|---|---|---|---|---|---|",
    ]
    for title, one in found.items():
        for name, worst in one.items():
            numbers = " | ".join(f"{value:.1e}" for value in worst)
            lines.append(f"| {title} | {len(frames[title][0])} | {name} | {numbers} |")
    for name in NAMES:
        lines += ["", verdict(found, name)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

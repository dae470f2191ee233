"""Random orderings per second, and how often replica exchange meets the same lowest ordering.

Sets that are far too large to list: draws of distinct orderings (canonical form, multiplicities and bookkeeping
included), the time to count them exactly under exclusions, and the peak memory above that of the imports. Then the
search for low Coulomb energies: seconds, starts that met the lowest, and whether other seeds meet the same.

    python benchmarks/sampling.py [--draws 20000] [--output benchmarks/results/sampling.md]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "orderings"))  # crystals as the tests have them
from orderings_crystals import crystal, li3ybr6, li3ycl6

from halion.crystal.types import DisorderedCrystal
from halion.orderings import compositions_for, exclusions_for, sample_orderings
from halion.orderings.pool import count_distinct_allowed
from halion.orderings.sites import supercell_sites
from halion.ranking.electrostatics import electrostatic_energies, ewald_matrix
from halion.settings import OrderingSettings
from halion.study.provenance import machine_description, source_commit

SEEDS = (0, 1, 2)


def rutile() -> DisorderedCrystal:
    """FeSbO4, metals only."""
    return crystal("P 42/m n m", (4.6, 4.6, 3.1, 90, 90, 90), [("M", (0, 0, 0), {"Fe": 0.5, "Sb": 0.5})])


DRAWN = {
    "Li3YCl6 2x2x1": (li3ycl6, {"supercell": (2, 2, 1), "closest_cations_angstrom": 0}),
    "Li3YCl6 2x2x1, exclusions": (li3ycl6, {"supercell": (2, 2, 1)}),
    "Li3YCl6 2x2x2, exclusions": (li3ycl6, {"supercell": (2, 2, 2)}),
    "Li3YCl6 1x1x2, Li and Y pooled, exclusions": (li3ycl6, {"supercell": (1, 1, 2), "pool": ("Li", "Y")}),
    "FeSbO4 3x3x3": (rutile, {"supercell": (3, 3, 3), "closest_cations_angstrom": 0}),
    "Li3YBr6 2x1x2, exclusions": (li3ybr6, {"supercell": (2, 1, 2)}),
}
WALKED = {
    "Li3YCl6 1x1x2, Li and Y pooled": (li3ycl6, {"supercell": (1, 1, 2), "pool": ("Li", "Y")}),
    "Li3YBr6 2x1x2": (li3ybr6, {"supercell": (2, 1, 2)}),
    "Li3YCl6 2x2x1": (li3ycl6, {"supercell": (2, 2, 1)}),
    "Li3YCl6 2x2x1, Li and Y pooled": (li3ycl6, {"supercell": (2, 2, 1), "pool": ("Li", "Y")}),
}


def peak_mib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def drawn(name: str, n_draws: int) -> str:
    """A line of the table of draws."""
    make, values = DRAWN[name]
    parent, cells, before = make(), [], peak_mib()
    for measure in ("orderings", "colourings"):
        settings = OrderingSettings(**values, sample=measure, sample_size=n_draws)
        compositions, exclusions = compositions_for(parent, settings), exclusions_for(parent, settings)
        began = time.perf_counter()
        count_distinct_allowed(parent, compositions, exclusions)
        counting = time.perf_counter() - began
        began = time.perf_counter()
        found = sample_orderings(parent, compositions, exclusions=exclusions, settings=settings)
        cells.append(n_draws / (time.perf_counter() - began - counting))
    distinct = found.sample.n_distinct
    return (
        f"| {name} | {found.composition.n_atoms} | {len(compositions)} | {found.count.group_order} "
        f"| {distinct:.3g} | {counting:.2f} | {cells[0]:.0f} | {cells[1]:.0f} | {peak_mib() - before:.0f} |"
    )


def walked(name: str, _: int) -> str:
    """A line of the table of low energies."""
    make, values = WALKED[name]
    parent, lowest, seconds, starts = make(), [], [], []
    for seed in SEEDS:
        settings = OrderingSettings(**values, sample="low-energy", sample_size=100, seed=seed)
        compositions, exclusions = compositions_for(parent, settings), exclusions_for(parent, settings)
        sites = supercell_sites(parent, compositions[0].supercell)
        matrix = ewald_matrix(sites.cell, sites.fractional)
        began = time.perf_counter()
        found = sample_orderings(parent, compositions, exclusions=exclusions, settings=settings, matrix=matrix)
        seconds.append(time.perf_counter() - began)
        lowest.append(electrostatic_energies(found)[0] * found.composition.n_atoms)
        starts.append(f"{found.sample.n_starts_lowest}/{found.sample.n_starts}")
    return (
        f"| {name} | {found.composition.n_atoms} | {found.sample.n_distinct or found.count.distinct:.3g} "
        f"| {' '.join(f'{one:.1f}' for one in seconds)} | {' '.join(starts)} "
        f"| {' '.join(f'{one - min(lowest):.3f}' for one in lowest)} |"
    )


def in_processes(function, names: list[str], n: int) -> list[str]:
    """Each line from a process of its own, for its peak memory."""
    lines = []
    for name in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            lines.append(pool.apply(function, (name, n)))
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    machine = machine_description()
    lines = [
        f"{machine['processor']}, one core; halion {source_commit()[:12]}; {options.draws} draws.",
        "",
        "## Exactly uniform draws",
        "",
        "| set | atoms | compositions | group | distinct | counted, s | orderings, 1/s | colourings, 1/s | MiB |",
        "|" + "---|" * 9,
        *in_processes(drawn, list(DRAWN), options.draws),
        "",
        f"## Lowest by replica exchange, under exclusions, seeds {', '.join(map(str, SEEDS))}",
        "",
        "| set | atoms | distinct | s | starts that met the lowest | above the lowest of all, eV per cell |",
        "|" + "---|" * 6,
        *in_processes(walked, list(WALKED), options.draws),
    ]
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Electrostatic energies of orderings: halion's quadratic form against pymatgen's EwaldSummation, in the same run.

Random orderings of Li3YCl6 in a 120-atom supercell. pymatgen sums each structure anew (`EwaldSummation`), or builds
one matrix for all sites and takes its part for a structure (`compute_sub_structure`); both are timed on a few. Then
the best 20 are chosen from a memory map of --rows orderings, and the memory that this takes is measured.

    OMP_NUM_THREADS=2 python benchmarks/electrostatics.py --output benchmarks/results/electrostatics.md
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure

from halion.crystal import builtin_crystal
from halion.orderings import Composition, OrderingCount, OrderingSet, choose_composition
from halion.orderings.sites import supercell_sites
from halion.ranking.electrostatics import OrderingEnergies
from halion.ranking.lowest import lowest_orderings
from halion.study.provenance import machine_description, source_commit

SUPERCELL = ((2, 0, 0), (0, 1, 0), (0, 0, 2))  # 140 sites, 120 of them filled
ON_PYMATGEN = 3
SAME_EV = 1e-6
BEST = 20


def random_orderings(n: int, path: Path) -> OrderingSet:
    """n orderings of 120 atoms drawn site by site, in a memory map: equivalent ones are not sorted out."""
    crystal = builtin_crystal("Li3YCl6")
    composition = choose_composition(crystal, SUPERCELL)
    sites = supercell_sites(crystal, SUPERCELL)
    species = ("", *crystal.charges)
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, len(sites.site_orbit)))
    rng = np.random.default_rng(0)
    for start in range(0, n, 100_000):
        rows[start : start + 100_000] = draw(composition, sites.site_orbit, species, min(100_000, n - start), rng)
    rows.flush()
    return OrderingSet(
        crystal_name=crystal.name,
        compositions=(composition,),
        count=OrderingCount(total=n, distinct=n, group_order=1),
        exclusions=(),
        total_allowed=n,
        cell=sites.cell,
        fractional=sites.fractional,
        site_orbit=sites.site_orbit,
        species=species,
        charges=np.array([0.0, *crystal.charges.values()]),
        occupation=np.load(path, mmap_mode="r"),
        multiplicity=np.ones(n, dtype=np.int64),
    )


def draw(
    composition: Composition, site_orbit: np.ndarray, species: tuple[str, ...], n: int, rng: np.random.Generator
) -> np.ndarray:
    """(n, n_sites) each orbit's atoms on random sites of it."""
    made = np.zeros((n, len(site_orbit)), dtype=np.uint8)
    for orbit in composition.orbits:
        held = [species.index(element) for element, count in orbit.counts.items() for _ in range(count)]
        filled = np.array(held + [0] * (orbit.n_sites - len(held)), dtype=np.uint8)
        where = np.flatnonzero(site_orbit == orbit.orbit)
        made[:, where] = (
            filled if len(set(held)) == 1 and 0 not in filled else rng.permuted(np.tile(filled, (n, 1)), axis=1)
        )
    return made


def halion_rate(found: OrderingSet) -> tuple[float, float]:
    """(seconds to build the form, orderings per second after that), the best of five."""
    forms, rates = [], []
    for _ in range(5):
        began = time.perf_counter()
        energies = OrderingEnergies(found)
        built = time.perf_counter()
        for _ in energies.batches():
            pass
        rates.append(found.n_orderings / (time.perf_counter() - built))
        forms.append(built - began)
    return min(forms), max(rates)


def by_pymatgen(found: OrderingSet) -> tuple[float, float, float]:
    """(s per EwaldSummation, s per compute_sub_structure, largest difference to halion in eV per cell)."""
    charge_of = dict(zip(found.species, found.charges, strict=True))
    _, ours = OrderingEnergies(found).batch(0)
    whole, part, apart = [], [], 0.0
    everywhere = Structure(found.cell, ["Li"] * len(found.fractional), found.fractional)
    everywhere.add_oxidation_state_by_site([1.0] * len(found.fractional))
    all_sites = EwaldSummation(everywhere, acc_factor=15)
    _ = all_sites.total_energy_matrix  # built once, not timed
    for k in range(ON_PYMATGEN):
        atoms = found.structure(k)
        structure = Structure(found.cell, atoms.get_chemical_symbols(), atoms.get_scaled_positions())
        structure.add_oxidation_state_by_site([charge_of[symbol] for symbol in atoms.get_chemical_symbols()])
        began = time.perf_counter()
        energy = EwaldSummation(structure, acc_factor=15).total_energy
        whole.append(time.perf_counter() - began)
        began = time.perf_counter()
        all_sites.compute_sub_structure(structure)
        part.append(time.perf_counter() - began)
        apart = max(apart, abs(energy - ours[k] * len(atoms)))
    return min(whole), min(part), apart


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = random_orderings(200_000, Path(folder) / "few.npy")
        form_s, rate = halion_rate(found)
        whole_s, part_s, apart = by_pymatgen(found)
        many = random_orderings(options.rows, Path(folder) / "many.npy")
        began = time.perf_counter()
        lowest = lowest_orderings(many, BEST)
        taken = time.perf_counter() - began
        tracemalloc.start()
        lowest_orderings(many, BEST)
        held = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    verdict = "equal" if apart < SAME_EV else "NOT equal"
    lines = [
        f"Random orderings of Li3YCl6, {found.composition.n_atoms} atoms on {len(found.fractional)} sites, "
        f"{len(OrderingEnergies(found)._form.sites)} of which vary. {machine_description()['processor']}, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} thread(s), halion {source_commit()[:12]}.",
        "",
        "| code | orderings per second | ratio |",
        "|---|---|---|",
        f"| pymatgen, `EwaldSummation` of each structure | {1 / whole_s:.2f} | {rate * whole_s:,.0f} |",
        f"| pymatgen, `compute_sub_structure` of one matrix | {1 / part_s:.0f} | {rate * part_s:,.0f} |",
        f"| halion, the form built once in {form_s:.2f} s | {rate:,.0f} | 1 |",
        "",
        f"Energies differ by at most {apart:.1e} eV per cell of {found.composition.n_atoms} atoms: {verdict}.",
        "",
        f"The {BEST} lowest of {options.rows:,} orderings in a memory map of "
        f"{options.rows * len(found.fractional) / 2**30:.1f} GiB: {taken:.1f} s, at most {held:.1f} MiB held; "
        f"{lowest.n_tied} tie(s) with the last.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

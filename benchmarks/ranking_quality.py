"""How good is the choice by electrostatic energy? Orderings of Li3YCl6 and Li3YBr6 relaxed with several potentials.

With CHGNet every distinct ordering is relaxed, so that the recall of the choice is known and the estimate from a
control group can be held against it. With slower potentials the lowest in electrostatic energy and a control group
are relaxed. What is relaxed is kept in --state and not repeated; results are written after every case.

    nice python benchmarks/ranking_quality.py --potentials chgnet 7net-0 --output results.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from halion.crystal import builtin_crystal
from halion.errors import PhysicsRefusal
from halion.files import digest, read_json, write_json
from halion.orderings import OrderingSet, compositions_for, enumerate_orderings, exclusions_for
from halion.orderings.types import Supercell, as_supercell, supercell_name
from halion.potentials import Potential, load_potential
from halion.ranking import Relaxation, electrostatic_energies, measure_prefilter, plan_round, relax_each, spearman
from halion.ranking.control import control_group
from halion.ranking.lowest import lowest_orderings
from halion.ranking.quality import recall_at
from halion.ranking.rank import is_duplicate
from halion.ranking.splits import split_of
from halion.records import from_record, to_record
from halion.settings import OrderingSettings, RankingSettings
from halion.study.provenance import machine_description, source_commit

# Pretrained CHGNet at 0 K in the study, Angstrom^3/atom (arXiv:2510.09861, tables of lattice parameters).
STUDY_VOLUME = {"Li3YCl6": 22.8, "Li3YBr6": 29.3}
EXHAUSTED = 1500  # distinct orderings that CHGNet relaxes all
DEPTHS = (1, 5, 10, 20)
KEPT_ANGSTROM = 1.0  # an atom that moved less still has its site; neighbouring cation sites lie 2 A apart or more
CONTROL, DRAWS = 10, 1000


@dataclass(frozen=True)
class Case:
    """One ordering problem."""

    crystal: str
    supercell: Supercell
    pool: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.crystal} {supercell_name(self.supercell)}, " + (
            f"{' and '.join(self.pool)} pooled" if self.pool else "refined"
        )


CASES = (
    Case("Li3YCl6", as_supercell((1, 1, 1))),
    Case("Li3YCl6", as_supercell((1, 1, 1)), ("Li", "Y")),
    Case("Li3YBr6", as_supercell((1, 1, 1))),
    Case("Li3YBr6", as_supercell((1, 1, 1)), ("Li", "Y")),
    Case("Li3YBr6", as_supercell((1, 1, 2))),
)


def orderings(case: Case) -> OrderingSet:
    """All distinct orderings of a case."""
    crystal = builtin_crystal(case.crystal)
    settings = OrderingSettings(supercell=case.supercell, pool=case.pool)
    return enumerate_orderings(
        crystal,
        compositions_for(crystal, settings),
        exclusions=exclusions_for(crystal, settings),
        limit=settings.limit,
    )


def relaxations(
    structures: dict[int, Atoms], potential: Potential, settings: RankingSettings, state: Path
) -> dict[int, Relaxation]:
    """Orderings relaxed, now or in an earlier run; those that physics refused are left out."""
    paths = {}
    for index, atoms in structures.items():
        key = digest([to_record(atoms), potential.weights_sha256, settings.force_tolerance_ev_per_angstrom])
        paths[index] = state / f"{potential.name}-{key[:24]}.json"
    missing = [index for index, path in paths.items() if not path.exists()]
    for place, outcome in relax_each([structures[index] for index in missing], potential, settings):
        is_refused = isinstance(outcome, PhysicsRefusal)
        write_json(paths[missing[place]], {"refused": outcome.what} if is_refused else to_record(outcome))
    records = {index: read_json(path) for index, path in paths.items()}
    return {index: from_record(Relaxation, one) for index, one in records.items() if "refused" not in one}


def wanted(found: OrderingSet, name: str, settings: RankingSettings) -> list[int]:
    """Which orderings are relaxed with this potential."""
    if name == "chgnet" and found.n_orderings <= EXHAUSTED:
        return list(range(found.n_orderings))
    selection = plan_round(found, {}, settings)
    return [one.ordering for one in selection.candidates]


def recall_rows(found: OrderingSet, energies: np.ndarray) -> Iterator[str]:
    """The recall of the K lowest in electrostatic energy, which is known, and what control groups say of it."""
    n = len(energies)
    for depth in (k for k in DEPTHS if k < n):
        chosen = lowest_orderings(found, depth).orderings
        rest = np.setdiff1d(np.arange(n), chosen)
        truth = recall_at(depth, energies[chosen], energies[rest], len(rest))[0]
        estimates, covered = [], 0
        for seed in range(DRAWS):
            control = control_group(n, chosen, CONTROL, seed)
            estimate, low, high = recall_at(depth, energies[chosen], energies[control], len(rest))
            estimates.append(estimate)
            covered += low <= truth <= high
        yield f"| {depth} | {truth:.2f} | {np.mean(estimates):.2f} | {100 * covered / DRAWS:.1f} % |"


class Report:
    """The tables as they grow."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.text = path, []

    def add(self, *lines: str) -> None:
        """More lines, on disk at once."""
        self.text += lines
        print("\n".join(lines), flush=True)
        if self.path:
            self.path.write_text("\n".join(self.text).rstrip() + "\n")


def correlation_row(
    name: str, known: dict[int, Relaxation], first: dict[int, Relaxation], ewald: np.ndarray
) -> str:
    """One potential against the electrostatic energy, its own static energy and the first potential."""
    members = sorted(known)
    energies = np.array([known[k].energy for k in members])
    static = np.array([known[k].static_energy for k in members])
    common = [k for k in members if k in first]
    other = spearman(np.array([first[k].energy for k in common]), np.array([known[k].energy for k in common]))
    unconverged = sum(not one.is_converged for one in known.values())
    return (
        f"| {name} | {len(members)} | {unconverged} | {spearman(ewald[members], energies):.2f} | "
        f"{spearman(static, energies):.2f} | {other:.2f} |"
    )


def best_rows(case: Case, name: str, known: dict[int, Relaxation], found: OrderingSet) -> Iterator[str]:
    """The three lowest structures of one potential, and the lowest in which every atom kept its site."""
    lowest = min(one.energy for one in known.values())
    seen: list[Relaxation] = []
    for index, one in sorted(known.items(), key=lambda pair: pair[1].energy):
        is_kept = one.max_displacement < KEPT_ANGSTROM
        needed = len(seen) < 3 or (is_kept and all(other.max_displacement >= KEPT_ANGSTROM for other in seen))
        if not needed or any(is_duplicate(one, other) for other in seen):
            continue
        seen.append(one)
        yield (
            f"| {name} | {index} | {split_of(found, index)} | {1000 * (one.energy - lowest):.1f} | "
            f"{one.energy_per_formula_unit:.3f} | {one.space_group_before} | {one.space_group_after} | "
            f"{one.volume_per_atom:.2f} | {STUDY_VOLUME[case.crystal]} | {one.max_displacement:.2f} |"
        )


def measure(case: Case, names: list[str], potentials: dict[str, Potential], state: Path, report: Report) -> None:
    """All tables of one case."""
    found = orderings(case)
    ewald = electrostatic_energies(found)
    n_atoms = len(found.structure(0))
    settings = RankingSettings(relax_best=12, control=12, relax_most=24)
    report.add(
        f"## {case.name}: {n_atoms} atoms, {found.n_orderings} distinct orderings of {found.total_allowed}", ""
    )
    correlations, best, notes, known = [], [], [], {}
    for name in names:
        began = time.perf_counter()
        structures = {k: found.structure(k) for k in wanted(found, name, settings)}
        known[name] = relaxations(structures, potentials[name], settings, state)
        print(f"{case.name} {name}: {time.perf_counter() - began:.0f} s", flush=True)
        correlations.append(correlation_row(name, known[name], known[names[0]], ewald))
        best.extend(best_rows(case, name, known[name], found))
        if len(known[name]) < found.n_orderings:
            energies = {k: (one.static_energy, one.energy) for k, one in known[name].items()}
            energies |= {k: (np.nan, np.inf) for k in structures if k not in energies}
            notes.append(f"{name}: {measure_prefilter(found, energies, settings).note}")
    report.add(
        f"| potential | relaxed | not converged | rho(Ewald, relaxed) | rho(static, relaxed) | rho({names[0]}) |",
        "|---|---|---|---|---|---|",
        *correlations,
        "",
        "| potential | ordering | atoms per orbit | above the best, meV/atom | eV/formula unit | "
        "space group before | after | volume, A^3/atom | the study's | largest displacement, A |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *best,
        "",
        *(line for note in notes for line in (note, "")),
    )
    every = known[names[0]]
    if len(every) == found.n_orderings and found.n_orderings > DEPTHS[1]:
        energies = np.array([every[k].energy for k in range(found.n_orderings)])
        report.add(
            f"Recall of the K lowest in electrostatic energy among the K lowest of all ({names[0]}, all relaxed); "
            f"estimates of {DRAWS} control groups of {CONTROL}, and how often their 95 % interval holds the truth:",
            "",
            "| K | recall | mean estimate | covered |",
            "|---|---|---|---|",
            *recall_rows(found, energies),
            "",
        )


def main() -> None:
    """Relax what is not relaxed yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--potentials", nargs="+", default=["chgnet"])
    parser.add_argument("--state", type=Path, default=Path("ranking_quality_state"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.state.mkdir(parents=True, exist_ok=True)
    potentials = {name: load_potential(name, threads=1) for name in options.potentials}
    report = Report(options.output)
    report.add(
        "Orderings relaxed, cell free, to 0.01 eV/A, ranked by electrostatic energy and by potentials. "
        f"{machine_description()['processor']}, halion {source_commit()[:12]}. "
        "Static: the potential's energy before relaxation. rho: Spearman's rank correlation. Of each potential the "
        f"three lowest structures, and the lowest in which no atom moved by {KEPT_ANGSTROM:g} A, if there is one. "
        "The study's volume: pretrained CHGNet at 0 K.",
        "",
    )
    for case in CASES:
        measure(case, options.potentials, potentials, options.state, report)


if __name__ == "__main__":
    main()

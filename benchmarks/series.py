"""The composition series Li3YCl(6-x)Br(x) of both parents with CHGNet: how each structure was chosen, how surely.

The parents' cations are ordered first: all orderings with Li pooled over its sites, the lowest in electrostatic
energy relaxed, the best taken. Then every x on both frameworks. For the compositions named by --exhaust all
distinct arrangements are relaxed afterwards, and the search is held against them.

    OMP_NUM_THREADS=1 python benchmarks/series.py --folder RUN [--evaluate 100] [--exhaust LYC1 LYB2 LYB3]
        [--output benchmarks/results/series.md]

The same command goes on from what RUN holds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from halion.crystal import builtin_crystal
from halion.orderings import compositions_for, enumerate_orderings, exclusions_for
from halion.potentials import Potential, load_potential
from halion.ranking import (
    ParentPhase,
    Relaxation,
    Representatives,
    SeriesEntry,
    build_framework,
    build_series,
    read_series,
    recall_of_lowest,
    relax_batch,
    relax_ends,
    search_arrangements,
    select_candidates,
    write_series,
)
from halion.ranking.arrangements import ListedArrangements
from halion.ranking.substitution import count_substitutions
from halion.settings import OrderingSettings, RankingSettings, SeriesSettings
from halion.study.provenance import machine_description, source_commit

PARENTS = {"LYC": "Li3YCl6", "LYB": "Li3YBr6"}
CATIONS = OrderingSettings(supercell=(1, 1, 1), pool=("Li",))
CATIONS_RELAXED = 12
RANKING = RankingSettings(max_steps=400)


def parent(name: str, potential: Potential) -> tuple[ParentPhase, str]:
    """The best of the cation orderings lowest in electrostatic energy, and how it was found."""
    crystal = builtin_crystal(PARENTS[name])
    found = enumerate_orderings(
        crystal, compositions_for(crystal, CATIONS), exclusions=exclusions_for(crystal, CATIONS), limit=1_000_000
    )
    candidates = select_candidates(found, RankingSettings(relax_best=CATIONS_RELAXED)).candidates
    outcomes = relax_batch([one.atoms for one in candidates], potential, RANKING)
    relaxed = sorted((one for one in outcomes if isinstance(one, Relaxation)), key=lambda one: one.energy)
    best = relaxed[0]
    volume, gap = best.atoms.get_volume() / len(best.atoms), 1000 * (relaxed[1].energy - best.energy)
    text = (
        f"{name}: {PARENTS[name]}, {found.n_orderings} distinct cation orderings (Li pooled), {len(relaxed)} "
        f"relaxed, best {best.energy:.4f} eV/atom in {best.space_group_after}, {volume:.2f} A^3/atom, second "
        f"{gap:.2f} meV/atom above"
    )
    return ParentPhase(name=name, structures=(best.atoms,)), text


def row(entry: SeriesEntry, seconds: float) -> str:
    """One line of the table."""
    quality = entry.surrogate
    cells = [
        entry.plan.name,
        f"{entry.plan.n_atoms}",
        f"{sum(count.total for count in entry.counts)}",
        f"{sum(count.distinct for count in entry.counts)}",
        f"{entry.n_evaluated}",
        "-" if quality is None else f"{1000 * quality.cv_error:.2f}",
        "-" if quality is None else f"{quality.cv_spearman:.2f}",
        "-"
        if quality is None or not quality.n_random
        else f"{1000 * quality.random_error:.2f} ({quality.n_random})",
        f"{entry.relaxation.energy:.5f}",
        f"{1000 * entry.mixing_energy:+.1f}",
        f"{entry.relaxation.atoms.get_volume() / entry.plan.n_atoms:.2f}",
        entry.verdict,
        f"{seconds:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def held_against_all(entry: SeriesEntry, phase: ParentPhase, potential: Potential, settings: SeriesSettings) -> str:
    """The same search against relaxing every arrangement, from several seeds."""
    ends = relax_ends(phase, potential, settings, RANKING)
    made = build_framework(ends[0], entry.plan.supercell, settings)
    rows = Representatives().rows(made.sublattice, entry.plan.n_guests, settings.list_at_most)
    outcomes = relax_batch([made.start(one) for one in rows], potential, RANKING)
    energies = np.array([one.energy if isinstance(one, Relaxation) else np.nan for one in outcomes])
    known = {one.tobytes(): energy for one, energy in zip(rows, energies)}
    count = count_substitutions(made.sublattice, entry.plan.n_guests)
    above, recalls, asked = [], [], []
    for seed in range(8):
        search = search_arrangements(
            ListedArrangements(made.sublattice, rows, count),
            lambda some: np.array([known[one.tobytes()] for one in some]),
            settings.model_copy(update={"seed": seed}),
        )
        evaluated = {one.tobytes() for one in search.rows}
        found = np.array([one.tobytes() in evaluated for one in rows])
        above.append(1000 * (search.energies[0] - np.nanmin(energies)))
        recalls.append([recall_of_lowest(np.nan_to_num(energies, nan=np.inf), found, k) for k in (1, 5, 10)])
        asked.append(search.n_evaluated)
    recall = np.mean(recalls, axis=0)
    return (
        f"| {entry.plan.name} | {len(rows)} | {1000 * np.nanstd(energies):.2f} | {np.mean(asked):.0f} | "
        f"{np.mean(np.array(above) < 1e-3):.2f} | {np.mean(above):.3f} | {max(above):.3f} | "
        f"{recall[0]:.2f} | {recall[1]:.2f} | {recall[2]:.2f} |"
    )


def main() -> None:
    """Build the series, hold some of it against all arrangements, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--evaluate", type=int, default=100)
    parser.add_argument("--exhaust", nargs="*", default=["LYC1", "LYB2", "LYB3"])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    potential = load_potential("chgnet", threads=1)
    settings = SeriesSettings(evaluate_at_most=options.evaluate)
    machine = machine_description()
    phases, texts = zip(*(parent(name, potential) for name in PARENTS))
    done, entries, lines = read_series(options.folder), [], []
    began = time.perf_counter()
    for entry in build_series(phases, potential, settings, RANKING, done=done):
        entries.append(entry)
        lines.append(row(entry, time.perf_counter() - began))
        print(lines[-1], entry.evidence, flush=True)
        write_series(entries, options.folder)
        began = time.perf_counter()
    by_name = {entry.plan.name: entry for entry in entries}
    against = [
        held_against_all(
            by_name[name], next(each for each in phases if name.startswith(each.name)), potential, settings
        )
        for name in options.exhaust
    ]
    text = "\n".join(report(machine["processor"], texts, lines, against, entries)) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


def report(
    processor: str, parents: tuple[str, ...], lines: list[str], against: list[str], entries: list[SeriesEntry]
) -> list[str]:
    """The page of results."""
    return [
        f"The series Li3YCl(6-x)Br(x), CHGNet 0.3.0, one thread of {processor}, halion {source_commit()[:12]}. "
        "Energies are of cells relaxed to 0.01 eV/A. Surrogate errors in meV/atom: cv, leaving each energy out in "
        "turn; random, on arrangements drawn at random and predicted before (their number). Mixing energies in meV "
        "per formula unit (ten atoms) against both ends on the same framework; phases are compared elsewhere. "
        "Seconds are wall time on a machine with other work.",
        "",
        *(f"- {text}" for text in parents),
        "",
        "| name | atoms | arrangements | distinct | evaluated | cv | rho | random | eV/atom | mixing | A^3/atom | "
        "verdict | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *lines,
        "",
        "The search against relaxing every distinct arrangement, eight seeds: how often the lowest was found, how "
        "far above it the found one lay (meV/atom), and the share of the lowest 1, 5, 10 that were evaluated.",
        "",
        "| name | distinct | spread, meV/atom | evaluated | lowest found | above, mean | above, most | recall 1 | "
        "recall 5 | recall 10 |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *against,
        "",
        "The evidence, as the catalogue has it:",
        "",
        *(f"- {entry.plan.name}: {entry.evidence}" for entry in entries),
    ]


if __name__ == "__main__":
    main()

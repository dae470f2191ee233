"""A potential's ranking of Li3YBr6 against DFT: labels of the best orderings, and relaxations of the very best.

The 20-atom cell with Li over all its sites (80 orderings), ranked with CHGNet 0.3.0; GPAW, PBE: labels of the
potential's structures at 350 eV, relaxations (forces and cell) at 520 eV. What is in --folder already is kept, so
that a killed run goes on. A label takes a minute on one core, a relaxation an hour or more.

    HALION_GPAW_PYTHON=.venv-gpaw/bin/python python benchmarks/ranking_dft.py \\
        --output benchmarks/results/ranking_dft.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from halion.crystal import load_crystal
from halion.files import read_json, write_json
from halion.labels import GpawLabeller
from halion.potentials import load_potential
from halion.ranking import Ranking, rank_orderings
from halion.records import from_record, to_record
from halion.settings import OrderingSettings, RankingSettings
from halion.settings_learning import LabelSettings
from halion.study import CheckChoices, OrderComparison, RankingCheck, check_ranking, make_orderings, write_check
from halion.study.provenance import machine_description, source_commit


def ranking_of(folder: Path) -> Ranking:
    """The ranking of the folder, made where it is not there."""
    path = folder / "ranking.json"
    if path.exists():
        return from_record(Ranking, read_json(path))
    wanted = OrderingSettings(supercell=(1, 1, 1), pool=("Li",))
    found = make_orderings(load_crystal("Li3YBr6"), wanted, None)
    ranking = rank_orderings(found, load_potential("chgnet"), RankingSettings(relax_best=10, control=0))
    write_json(path, to_record(ranking))
    return ranking


def order_lines(order: OrderComparison) -> list[str]:
    best = (
        "The best is the same."
        if order.is_best_same
        else f"The potential's best is number {order.best_rank} by DFT, {1e3 * order.best_above:.2f} meV/atom "
        "above its best."
    )
    return [
        "",
        f"Spearman {order.spearman:.2f} (95 %: {order.spearman_low:.2f} to {order.spearman_high:.2f}), Kendall "
        f"{order.kendall:.2f} (p = {order.kendall_p:.2g}); mean absolute error of the relative energies "
        f"{1e3 * order.mean_absolute_error:.2f} meV/atom.",
        f"{best} {order.verdict}",
    ]


def label_lines(check: RankingCheck) -> list[str]:
    lines = [
        "",
        f"## Labels of the potential's structures: {check.method}",
        "",
        "| rank | by DFT | ordering | meV/atom | by DFT | largest force, eV/Angstrom | pressure, GPa |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.rank} | {row.code_rank} | {row.ordering} | {1e3 * row.potential_above_best:.2f} "
        f"| {1e3 * row.above_best:.2f} | {row.start_force:.2f} | {row.start_pressure_gpa:+.2f} |"
        for row in check.rows
    ]
    return lines + order_lines(check.order)


def relaxation_lines(check: RankingCheck) -> list[str]:
    lines = [
        "",
        f"## Relaxed by DFT: {check.method}",
        "",
        "| rank | by DFT | ordering | meV/atom | by DFT | steps | volume | moved, A | space group | changed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.rank} | {row.code_rank} | {row.ordering} | {1e3 * row.potential_above_best:.2f} "
        f"| {1e3 * row.above_best:.2f} | {row.n_steps} | {100 * row.volume_change:+.1f} % "
        f"| {row.max_displacement:.2f} | {row.space_group_before} to {row.space_group_after} "
        f"| {'another structure; ' if row.is_transformed else ''}{row.coordination_change} |"
        for row in check.rows
        if not row.failure
    ]
    lines += [f"\nNot relaxed: {row.failure}" for row in check.rows if row.failure]
    assert check.start_order is not None
    return [*lines, *order_lines(check.order), f"Before relaxing: Spearman {check.start_order.spearman:.2f}."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/ranking_dft"))
    parser.add_argument("--labels", type=int, default=10, help="orderings labelled")
    parser.add_argument("--relaxations", type=int, default=5, help="orderings relaxed; 0: none")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    ranking, labeller = ranking_of(options.folder), GpawLabeller(LabelSettings())
    place = options.folder / "validation-gpaw"
    lines = [
        f"The best orderings of Li3YBr6 (20 atoms, Li over all its sites) by {ranking.potential} against DFT. "
        f"{machine_description()['processor']}, halion {source_commit()[:12]}."
    ]
    check = check_ranking(ranking, labeller, place, CheckChoices(top=options.labels, relaxes=False))
    write_check(check, place)
    lines += label_lines(check)
    if options.relaxations:
        check = check_ranking(ranking, labeller, place, CheckChoices(top=options.relaxations))
        write_check(check, place)
        lines += relaxation_lines(check)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()

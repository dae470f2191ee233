"""The tables of a study's structures: sites, whole atoms, the ranking, and occupancies of the relaxed orderings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from halion.report.table import Table, number, word
from halion.report.text import fixed
from halion.report.types import StudyResults

__all__ = ["structure_tables"]


def structure_tables(results: StudyResults) -> tuple[Table, ...]:
    """Tables orbits, composition, ranking and occupancies.

    Checked by tests/report/test_report_page.py.
    """
    return (_orbits(results), _composition(results), _ranking(results), _occupancies(results))


def _orbits(results: StudyResults) -> Table:
    charges = results.crystal.charges
    rows = []
    for orbit in results.crystal.orbits:
        elements = ", ".join(f"{element} ({charges.get(element, math.nan):+g})" for element in orbit.occupancy)
        x, y, z = orbit.fractional[0]
        rows.append(
            (
                word(", ".join(orbit.labels)),
                word(orbit.wyckoff),
                number(orbit.n_sites, lambda n: str(n)),
                word(elements.replace("-", "−")),
                word(_amounts(orbit.occupancy)),
                number(orbit.vacancy, lambda part: fixed(part, 3)),
                word(f"{fixed(x, 4)}, {fixed(y, 4)}, {fixed(z, 4)}"),
            )
        )
    columns = (
        "Site",
        "Wyckoff",
        "Sites in cell",
        "Element (charge, e)",
        "Occupancy",
        "Vacant",
        "First site (fractional)",
    )
    return Table(name="orbits", columns=columns, rows=tuple(rows))


def _amounts(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{element} {amount:g}" for element, amount in amounts.items())


def _composition(results: StudyResults) -> Table:
    crystal = results.crystal
    rows = tuple(
        (
            word(", ".join(crystal.orbits[part.orbit].labels)),
            word(part.wyckoff),
            number(part.n_sites, lambda n: str(n)),
            word(_amounts(part.counts) or "none"),
            number(part.n_sites - sum(part.counts.values()), lambda n: str(n)),
            word(_amounts({element: n / part.n_sites for element, n in _fractions(part.counts).items()}) or "none"),
            word(_amounts(part.refined)),
            number(part.deviation, lambda off: fixed(off, 3)),
        )
        for part in results.composition.orbits
    )
    columns = (
        "Site",
        "Wyckoff",
        "Sites",
        "Atoms",
        "Vacant",
        "Occupancy here",
        "Occupancy refined",
        "Largest deviation",
    )
    return Table(name="composition", columns=columns, rows=rows)


def _fractions(counts: Mapping[str, int]) -> dict[str, float]:
    return {element: float(n) for element, n in counts.items()}


def _ranking(results: StudyResults) -> Table:
    columns = (
        "Rank",
        "Ordering",
        "Multiplicity",
        "Above best (meV/atom)",
        "Energy (eV/atom)",
        "Electrostatic (eV/atom)",
        f"Weight at {results.ranking.temperature_k:g} K (%)",
        "Space group",
        "Volume (Å³/atom)",
        "Volume change (%)",
        "Displaced (Å)",
        "Steps",
        "Force (eV/Å)",
        "Converged",
        "Merged",
        "Chosen",
    )
    rows = tuple(
        (
            number(row.rank, lambda n: str(n)),
            number(row.ordering, lambda n: str(n)),
            number(row.multiplicity, lambda n: str(n)),
            number(1000 * row.energy_above_best, lambda energy: fixed(energy, 1)),
            number(row.relaxation.energy, lambda energy: fixed(energy, 4)),
            number(row.electrostatic_energy, lambda energy: fixed(energy, 4)),
            number(100 * row.boltzmann_weight, lambda percent: fixed(percent, 1)),
            word(f"{row.relaxation.space_group_before} → {row.relaxation.space_group_after}"),
            number(row.relaxation.volume_per_atom, lambda volume: fixed(volume, 2)),
            number(100 * row.relaxation.volume_change, lambda percent: fixed(percent, 1)),
            number(row.relaxation.max_displacement, lambda length: fixed(length, 2)),
            number(row.relaxation.n_steps, lambda n: str(n)),
            number(row.relaxation.max_force, lambda force: fixed(force, 4)),
            word("yes" if row.relaxation.is_converged else "no"),
            word(", ".join(map(str, row.duplicates)) or "–"),
            word("at random" if row.is_control else "electrostatic"),
        )
        for row in results.ranking.rows
    )
    return Table(name="ranking", columns=columns, rows=rows, is_sortable=True, highlighted=0)


def _occupancies(results: StudyResults) -> Table:
    check = results.ranking.back_check
    temperature = f"{check.temperature_k:g} K" if check else ""
    columns = ("Site", "Wyckoff", "Element", "Refined", f"Relaxed orderings, {temperature}", "All orderings alike")
    rows = tuple(
        (
            word(", ".join(results.crystal.orbits[one.orbit].labels)),
            word(one.wyckoff),
            word(one.element),
            number(one.refined, lambda part: fixed(part, 3)),
            number(one.weighted, lambda part: fixed(part, 3)),
            number(one.infinite, lambda part: fixed(part, 3) if math.isfinite(part) else "–"),
        )
        for one in (check.occupancies if check else ())
    )
    return Table(name="occupancies", columns=columns, rows=rows)

"""Orderings as `halion enumerate` shows them: one record for programs, the same facts for readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from halion.cli.terminal import Shown, Table

if TYPE_CHECKING:
    from halion.crystal import DisorderedCrystal
    from halion.orderings import CandidateSupercell, Composition, OrderingCount, OrderingSet
    from halion.settings import OrderingSettings

__all__ = ["candidates_shown", "orderings_shown"]


def orderings_shown(
    crystal: DisorderedCrystal,
    settings: OrderingSettings,
    found: OrderingSet | None,
    output: Path | None,
    *,
    part: tuple[int, int] | None = None,
    as_json: bool,
) -> Shown:
    """What was asked for and found; without orderings the exact counts alone.

    `part` is the part that was listed, and how many there are, where others are not there yet.
    """
    from halion.orderings import compositions_for, count_distinct_allowed, count_orderings, exclusions_for
    from halion.records import to_record
    from halion.study import shard_path

    compositions = compositions_for(crystal, settings) if found is None else found.compositions
    count = count_orderings(crystal, compositions) if found is None else found.count
    record = _record(crystal, compositions, count, found)
    record["pool"] = list(settings.pool)
    record["refined"], record["pooled"] = _both_counts(crystal, compositions[0], settings)
    exclusions = exclusions_for(crystal, settings)
    record["exclusions"] = to_record(exclusions)
    if found is None or found.sample:
        record["distinct_after_exclusions"] = count_distinct_allowed(crystal, compositions, exclusions)
    record["output"] = str(shard_path(output, part) if part else output) if output else None
    record["part"] = list(part) if part else None
    if part:
        record["total_after_exclusions"] = None
        record["distinct_after_exclusions"] = count_distinct_allowed(crystal, compositions, exclusions)
    return Shown(record=record, text=_text(crystal, compositions[0], record), as_json=as_json)


def _both_counts(
    crystal: DisorderedCrystal, composition: Composition, settings: OrderingSettings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The counts with the occupancies of every orbit kept, and with the mobile ions pooled over theirs."""
    from halion.orderings import count_orderings, count_pooled, pooled_elements

    elements = pooled_elements(crystal, settings)
    refined = count_orderings(crystal, composition)
    pooled = count_pooled(crystal, composition, elements, window=settings.window)
    return (
        {"total": refined.total, "distinct": refined.distinct},
        {"elements": list(elements), "total": pooled.total, "distinct": pooled.distinct},
    )


def _record(
    crystal: DisorderedCrystal,
    compositions: tuple[Composition, ...],
    count: OrderingCount,
    found: OrderingSet | None,
) -> dict[str, Any]:
    from halion.records import to_record

    nearest = compositions[0]
    return {
        "crystal": crystal.name,
        "space_group": crystal.space_group,
        "supercell": to_record(nearest.supercell),
        "composition": nearest.formula,
        "n_compositions": len(compositions),
        "n_atoms": nearest.n_atoms,
        "deviation": nearest.deviation,
        "ties": nearest.ties,
        "orbits": to_record(nearest.orbits),
        "total": count.total,
        "distinct": count.distinct,
        "group_order": count.group_order,
        "excluded_below_angstrom": found.excluded_below if found else None,
        "total_after_exclusions": int(found.total_allowed) if found and not found.sample else None,
        "distinct_after_exclusions": found.n_orderings if found and not found.sample else None,
        "sample": to_record(found.sample) if found else None,
        "n_orderings": found.n_orderings if found else None,
        "notes": list(crystal.notes),
    }


def _text(crystal: DisorderedCrystal, composition: Composition, record: dict[str, Any]) -> list[str | Table]:
    from halion.orderings import supercell_name

    rows = tuple(
        (
            orbit.wyckoff,
            " ".join(crystal.orbits[orbit.orbit].labels),
            str(orbit.n_sites),
            " ".join(f"{element} {occupancy:.4g}" for element, occupancy in orbit.refined.items()),
            " ".join(f"{element} {number}" for element, number in orbit.counts.items()) or "empty",
            f"{orbit.deviation:.3f}",
        )
        for orbit in composition.orbits
    )
    size = supercell_name(composition.supercell)
    text: list[str | Table] = [
        f"{crystal.name}  {crystal.space_group}  {size} cell: {composition.formula}, {composition.n_atoms} atoms",
        Table(headings=("site", "labels", "sites", "refined", "atoms", "deviation"), rows=rows),
        *_counts(record),
    ]
    if record["distinct_after_exclusions"] is not None:
        text.append(f"distinct after exclusions {record['distinct_after_exclusions']:>20,}")
    if record["exclusions"]:
        text += _rules(record["exclusions"])
    if record["sample"]:
        text += _sample(record)
    if record["ties"]:
        text.append(f"note: {record['ties']} other compositions lie equally near to the refinement")
    text += [f"note: {note}" for note in record["notes"]]
    if record["part"]:
        text.append(
            f"{record['n_orderings']:,} distinct orderings in part {record['part'][0]} of {record['part'][1]}, "
            f"stored in {record['output']}   (the part that ends last joins all)"
        )
    elif record["output"]:
        text.append(f"stored in {record['output']}   (next: halion rank {record['output']})")
    return text


def _counts(record: dict[str, Any]) -> list[str]:
    """The counts asked for, and those of the other way to read the refinement."""
    refined, pooled = record["refined"], record["pooled"]
    is_refined = record["n_compositions"] == 1
    lines = [
        f"orderings                 {record['total']:>20,}",
        f"distinct under symmetry   {record['distinct']:>20,}   ({record['group_order']} operations)",
    ]
    names = ",".join(pooled["elements"])
    other = pooled if is_refined else refined
    if other["distinct"] == record["distinct"] or not names:
        return lines
    if is_refined:
        ways = f"with {names} pooled over all of its sites (--pool {names})"
    else:
        ways = "with each site's refined occupancy kept"
    return [*lines, f"{ways}: {other['total']:,}, {other['distinct']:,} distinct"]


def _rules(exclusions: list[dict[str, Any]]) -> list[str]:
    """One line per rule that excludes pairs, with the closest pair that it excludes."""
    closest: dict[tuple[str, float], dict[str, Any]] = {}
    for pair in exclusions:  # nearest first
        closest.setdefault((pair["reason"], round(pair["below"], 3)), pair)
    return [
        f"excluded: {reason}, pairs nearer than {below:.2f} Angstrom, e.g. "
        f"{'-'.join(pair['elements'])} at {pair['distance']:.2f} Angstrom"
        for (reason, below), pair in closest.items()
    ]


def _sample(record: dict[str, Any]) -> list[str]:
    sample = record["sample"]
    measure = {
        "colourings": "every ordering equally likely",
        "orderings": "every distinct ordering equally likely",
        "low-energy": "biased to low electrostatic energy: not to be averaged over",
    }[sample["measure"]]
    lines = [f"sampled: {record['n_orderings']:,} distinct orderings in {sample['n_draws']:,} draws, {measure}"]
    if sample["unseen_mass"] is not None:
        lines.append(f"the next draw would be new with a probability of {sample['unseen_mass']:.3f} (Good-Turing)")
    return lines


def candidates_shown(crystal: DisorderedCrystal, settings: OrderingSettings, *, as_json: bool) -> Shown:
    """Every supercell that could be taken, with its exact counts and what listing would cost."""
    from halion.orderings import candidate_supercells, supercell_name

    found = candidate_supercells(crystal, settings)
    record = {"crystal": crystal.name, "candidates": [_candidate(one) for one in found]}
    rows = tuple(
        (
            supercell_name(one.supercell),
            str(one.composition.n_atoms),
            f"{one.composition.deviation:.3f}",
            f"{one.image_distance:.1f}",
            _amount(one.refined.total),
            _amount(one.refined.distinct),
            _amount(one.pooled.distinct),
            f"{one.n_bytes / 2**20:.3g}",
            f"{one.seconds:.2g}",
            "list" if one.is_exhaustive else "sample",
        )
        for one in found
    )
    pooled = f"pooled {','.join(found[0].pooled_elements)}" if found else "pooled"
    headings = ("supercell", "atoms", "deviation", "images A", "orderings", "distinct", pooled, "MiB", "s", "")
    text: list[str | Table] = [
        f"{crystal.name}: supercells of at most {settings.max_atoms} atoms, the nearest to the refinement first; "
        "exact counts, before exclusions",
        Table(headings=headings, rows=rows),
    ]
    return Shown(record=record, text=text, as_json=as_json)


def _candidate(one: CandidateSupercell) -> dict[str, Any]:
    from halion.records import to_record

    return to_record(one) | {"formula": one.composition.formula, "n_atoms": one.composition.n_atoms}


def _amount(n: int) -> str:
    """All digits of a number that can be read, the size of one that cannot."""
    if n < 10**9:
        return f"{n:,}"
    exponent = len(str(n)) - 1
    return f"{n / 10**exponent:.2f}e{exponent}" if exponent < 300 else f"1e{exponent}"

"""halion enumerate: how many orderings, how many of them distinct, and which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import (
    AsJson,
    ClosestCations,
    Limit,
    MaxAtoms,
    Supercell,
    given,
    new_file,
    room_settings,
    supercell_of,
)
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.crystal import DisorderedCrystal
    from halion.orderings import Composition, OrderingCount, OrderingSet
    from halion.settings import OrderingSettings

__all__ = ["command", "enumerated", "orderings_options"]


def command(
    crystal: Annotated[str, typer.Argument(help="A built-in material (Li3YBr6) or the path of a CIF.")],
    supercell: Supercell = None,
    max_atoms: MaxAtoms = None,
    closest_cations: ClosestCations = None,
    limit: Limit = None,
    count_only: Annotated[bool, typer.Option("--count-only", help="Exact counts; nothing is enumerated.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.h5", help="Store the orderings, for `halion rank`.")
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Count and list the symmetry-distinct orderings of a disordered crystal."""
    settings = orderings_options(supercell, max_atoms, closest_cations, limit)
    if output and count_only:
        raise SettingsError("--count-only has no orderings to store", fix="leave out --count-only or --output")
    if output:
        new_file(output)

    from halion.crystal import load_crystal
    from halion.orderings import composition_for, count_orderings, exclusions_for, save_orderings
    from halion.records import to_record

    loaded = load_crystal(crystal)
    composition = composition_for(loaded, settings)
    count = count_orderings(loaded, composition)
    found = None if count_only else enumerated(loaded, composition, settings)
    if output and found:
        save_orderings(found, output)
    record = _record(loaded, composition, count, found)
    record["exclusions"] = to_record(exclusions_for(loaded, settings))
    record["output"] = str(output) if output else None
    return Shown(record=record, text=_text(loaded, composition, record), as_json=as_json)


def orderings_options(
    supercell: str | None, max_atoms: int | None, closest_cations: float | None, limit: int | None
) -> OrderingSettings:
    """Settings from the options that name orderings."""
    return room_settings(
        orderings=given(
            supercell=supercell_of(supercell, "--supercell"),
            max_atoms=max_atoms,
            closest_cations_angstrom=closest_cations,
            limit=limit,
        )
    ).orderings


def enumerated(crystal: DisorderedCrystal, composition: Composition, settings: OrderingSettings) -> OrderingSet:
    """The distinct orderings, with their progress shown."""
    from halion.orderings import enumerate_orderings, exclusions_for

    with Watcher() as watcher, stop_on_signal() as stop:
        return enumerate_orderings(
            crystal,
            composition,
            exclusions=exclusions_for(crystal, settings),
            limit=settings.limit,
            progress=watcher.stage("orderings"),
            stop=stop,
        )


def _record(
    crystal: DisorderedCrystal, composition: Composition, count: OrderingCount, found: OrderingSet | None
) -> dict[str, Any]:
    from halion.records import to_record

    return {
        "crystal": crystal.name,
        "space_group": crystal.space_group,
        "supercell": to_record(composition.supercell),
        "composition": composition.formula,
        "n_atoms": composition.n_atoms,
        "deviation": composition.deviation,
        "ties": composition.ties,
        "orbits": to_record(composition.orbits),
        "total": count.total,
        "distinct": count.distinct,
        "group_order": count.group_order,
        "excluded_below_angstrom": found.excluded_below if found else None,
        "total_after_exclusions": int(found.total_allowed) if found else None,
        "distinct_after_exclusions": found.n_orderings if found else None,
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
        f"orderings                 {record['total']:>16,}",
        f"distinct under symmetry   {record['distinct']:>16,}   ({record['group_order']} operations)",
    ]
    if record["distinct_after_exclusions"] is not None:
        text.append(f"distinct after exclusions {record['distinct_after_exclusions']:>16,}")
        text += _rules(record["exclusions"])
    if record["ties"]:
        text.append(f"note: {record['ties']} other compositions lie equally near to the refinement")
    text += [f"note: {note}" for note in record["notes"]]
    if record["output"]:
        text.append(f"stored in {record['output']}   (next: halion rank {record['output']})")
    return text


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

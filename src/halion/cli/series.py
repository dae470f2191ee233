"""halion series: one element replaced by another, step by step, in every parent phase."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson, Device, MaxSteps, Potential, given, numbers, room_settings, two_elements
from halion.cli.ordering_options import ClosestCations, Exclude, MaxAtoms, OrderingOverrides, Pool
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.ranking import SeriesEntry
    from halion.settings import SeriesSettings
    from halion.study import SeriesResults

__all__ = ["command"]


def command(
    parents: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=CRYSTAL...", help="Parents and the names of theirs, e.g. LYC=Li3YCl6 LYB=Li3YBr6."
        ),
    ],
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the catalogue is made, and gone on with.")],
    elements: Annotated[
        str | None,
        typer.Option(metavar="OLD,NEW", help="The element replaced and the one that replaces it. (default: Cl,Br)"),
    ] = None,
    steps: Annotated[
        str | None, typer.Option(metavar="X,X,...", help="Contents x per formula unit; not given: 0, 0.5 ... 6.")
    ] = None,
    cation_orderings: Annotated[
        int | None, typer.Option("--cations", metavar="N", help="Cation orderings that take part. (default: 1)")
    ] = None,
    evaluate_at_most: Annotated[
        int | None,
        typer.Option("--evaluate", metavar="N", help="Most arrangements evaluated per composition. (default: 120)"),
    ] = None,
    max_atoms: MaxAtoms = None,
    pool: Pool = None,
    exclude: Exclude = None,
    closest_cations: ClosestCations = None,
    relax_best: Annotated[
        int | None, typer.Option("--top", metavar="N", help="Orderings of each parent relaxed. (default: 20)")
    ] = None,
    potential: Potential = None,
    max_steps: MaxSteps = None,
    device: Device = None,
    as_json: AsJson = False,
) -> Shown:
    """Order the cations of each parent, then find the best arrangement at every composition."""
    settings = room_settings(
        ranking=given(potential=potential, relax_best=relax_best, max_steps=max_steps), machine=given(device=device)
    )
    # A parent's cell is doubled where it cannot hold an x, so it starts small.
    overrides = OrderingOverrides(
        max_atoms=_PARENT_ATOMS if max_atoms is None else max_atoms,
        pool=pool,
        exclude=exclude,
        closest_cations=closest_cations,
    )
    wanted = _series(elements, steps, cation_orderings, evaluate_at_most)

    from halion.crystal import load_crystal
    from halion.study import SeriesStudy, run_series

    study = SeriesStudy(
        parents={name: load_crystal(source) for name, source in map(_parent, parents)},
        orderings=overrides.settings(),
        ranking=settings.ranking,
        series=wanted,
        device=settings.machine.device,
    )
    with Watcher() as watcher, stop_on_signal() as stop:
        results = run_series(study, folder, observe=watcher, stop=stop)
    return Shown(record=_record(results, folder), text=_text(results, folder), as_json=as_json)


_PARENT_ATOMS = 40


def _parent(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    if equals and name.isidentifier() and source:
        return name, source
    raise SettingsError(
        f"a parent is a name and a crystal, got '{text}'",
        fix="halion series LYC=Li3YCl6 LYB=Li3YBr6 --folder series",
    )


def _series(elements: str | None, steps: str | None, cations: int | None, evaluate: int | None) -> SeriesSettings:
    from pydantic import ValidationError

    from halion.settings import SeriesSettings

    pair = None if elements is None else two_elements(elements, "--elements")
    values: dict[str, Any] = given(
        elements=pair,
        steps=numbers(steps, "--steps", "atoms per formula unit"),
        cation_orderings=cations,
        evaluate_at_most=evaluate,
    )
    try:
        return SeriesSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}", fix="halion series --help"
        ) from error


def _record(results: SeriesResults, folder: Path) -> dict[str, Any]:
    from halion.ranking import ranking_table, series_table
    from halion.records import to_record

    return {
        "folder": str(folder),
        "parents": {name: to_record(ranking_table(table)) for name, table in results.rankings.items()},
        "series": to_record(series_table(results.entries)),
    }


def _text(results: SeriesResults, folder: Path) -> list[str | Table]:
    headings = (
        "name",
        "x",
        "atoms",
        "distinct",
        "evaluated",
        "cv meV/atom",
        "mixing meV/f.u.",
        "A^3/atom",
        "group",
        "",
    )
    lines: list[str | Table] = [
        f"{name}: {table.n_relaxed} of {table.n_orderings} cation orderings relaxed with {table.potential}"
        for name, table in results.rankings.items()
    ]
    rows = tuple(_row(entry) for entry in results.entries)
    return [*lines, Table(headings=headings, rows=rows), f"written to {folder}"]


def _row(entry: SeriesEntry) -> tuple[str, ...]:
    return (
        entry.plan.name,
        f"{entry.plan.x:g}",
        str(entry.plan.n_atoms),
        f"{sum(count.distinct for count in entry.counts):,}",
        str(entry.n_evaluated),
        "" if entry.surrogate is None else f"{1000 * entry.surrogate.cv_error:.2f}",
        f"{1000 * entry.mixing_energy:.1f}",
        f"{entry.relaxation.volume_per_atom:.2f}",
        entry.relaxation.space_group_after,
        entry.verdict,
    )

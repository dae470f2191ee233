"""halion stability: which phase of a series is stable at which x, whether it mixes, whether it decomposes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson, csv_text, existing_file, new_file, numbers, two_elements
from halion.cli.terminal import Shown, Table
from halion.errors import InputError

if TYPE_CHECKING:
    from halion.report.figures_stability import PublishedDifference
    from halion.stability import Compound, EnergyError, SeriesEnergies, Stability

__all__ = ["command"]


def command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="SERIES...", help="Folders that `halion series` wrote, of one series.")
    ],
    error: Annotated[
        float | None,
        typer.Option(
            "--energy-error", metavar="MEV/ATOM", help="Measured error of the potential. (otherwise: no bands)"
        ),
    ] = None,
    temperatures: Annotated[
        str | None, typer.Option(metavar="K,K,...", help="Temperatures of mixing. (otherwise: 300)")
    ] = None,
    compounds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV of compounds to decompose into: formula, energy_ev_per_atom, potential."
        ),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV of others' differences: source, x, difference_mev_per_atom."),
    ] = None,
    mobile: Annotated[
        str | None, typer.Option(metavar="ELEMENT", help="Mobile ion: no part of the framework. (default: Li)")
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option("--arranged", metavar="OLD,NEW", help="The element replaced and its guest, if not recorded."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="New folder: tables as CSV, all results as JSON, figures as SVG."),
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Say which phase is stable over x, where it changes, and whether the series mixes or decomposes."""
    kelvin = numbers(temperatures, "--temperatures", "K")
    pair = None if elements is None else two_elements(elements, "--arranged")
    if folder:
        new_file(folder)

    from halion.stability import StabilityQuestions, assess_stability, read_series_energies

    band = _error(error)
    series, _ = read_series_energies(folders, elements=pair, mobile=("Li",) if mobile is None else (mobile,))
    into = () if compounds is None else _compounds(compounds, series)
    found = assess_stability(
        series, StabilityQuestions(error=band, temperatures_k=tuple(kelvin or (300.0,)), compounds=into)
    )
    others = () if published is None else _published(published)
    files = _write(found, others, folder) if folder else []
    record = _record(found) | {"files": [str(path) for path in files]}
    return Shown(record=record, text=_text(found, folder), as_json=as_json)


def _error(mev: float | None) -> EnergyError | None:
    from halion.stability import EnergyError

    return None if mev is None else EnergyError(std=mev / 1000)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with existing_file(path).open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    lacking = [name for name in columns if not rows or rows[0].get(name) is None]
    if lacking:
        raise InputError(
            f"this table has no column {', '.join(lacking)}",
            where=str(path),
            fix=f"first line: {','.join(columns)}",
        )
    return rows


def _number(row: dict[str, str], name: str, path: Path) -> float:
    try:
        return float(row[name])
    except ValueError as error:
        raise InputError(f"'{row[name]}' is no number", where=f"{path}, {name}", fix="write a number") from error


def _compounds(path: Path, series: SeriesEnergies) -> tuple[Compound, ...]:
    """A compound made with the series' potential takes the provenance of the series; another keeps its own."""
    from halion.stability import Compound

    made = series.points[0].provenance
    name = made.split(" ")[0]
    return tuple(
        Compound(
            formula=row["formula"],
            energy=_number(row, "energy_ev_per_atom", path),
            provenance=made if row["potential"].lower() == name.lower() else row["potential"],
        )
        for row in _rows(path, ("formula", "energy_ev_per_atom", "potential"))
    )


def _published(path: Path) -> tuple[PublishedDifference, ...]:
    import numpy as np

    from halion.report.figures_stability import PublishedDifference

    rows = _rows(path, ("source", "x", "difference_mev_per_atom"))
    return tuple(
        PublishedDifference(
            source=source,
            x=np.array([_number(row, "x", path) for row in rows if row["source"] == source]),
            difference=np.array(
                [_number(row, "difference_mev_per_atom", path) / 1000 for row in rows if row["source"] == source]
            ),
        )
        for source in dict.fromkeys(row["source"] for row in rows)
    )


def _write(found: Stability, published: tuple[PublishedDifference, ...], folder: Path) -> list[Path]:
    from halion.files import write_json, write_text
    from halion.records import to_record
    from halion.report.draw_matplotlib import figure_svg
    from halion.report.figure import figure_csv
    from halion.report.figures_stability import stability_figures
    from halion.stability import stability_tables

    files = [
        write_text(folder / f"{name}.csv", csv_text([_without_nan(row) for row in rows]))
        for name, rows in stability_tables(found).items()
    ]
    for figure in stability_figures(found, published):
        files.append(write_text(folder / "figures" / f"{figure.name}.svg", figure_svg(figure)))
        files.append(write_text(folder / "figures" / f"{figure.name}.csv", figure_csv(figure)))
    files.append(write_json(folder / "stability.json", to_record(found)))
    return files


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """An empty field where there is no number."""
    return {key: "" if value != value else value for key, value in row.items()}


def _record(found: Stability) -> dict[str, Any]:
    from halion.records import to_record
    from halion.stability import stability_tables

    # The curves of free energy are in the tables (--folder): the answer would drown.
    tables = {name: rows for name, rows in stability_tables(found).items() if name != "free-energy"}
    return {
        "phases": list(found.phases),
        "ends": list(found.ends),
        "provenance": found.provenance,
        "findings": list(found.findings),
        "tables": to_record(tables),
    }


def _text(found: Stability, folder: Path | None) -> list[str | Table]:
    above = {(point.phase, point.x): point.above for point in found.hull.points}
    volume = {(point.phase, point.x): point.volume for point in found.structure.points}
    rows = tuple(
        (
            point.phase,
            f"{point.x:g}",
            f"{point.energy:.5f}",
            _mev(point.own),
            _mev(point.common),
            _mev(above[point.phase, point.x]),
            f"{volume[point.phase, point.x]:.2f}",
            "left out" if point.left_out else "",
        )
        for point in found.formation.points
    )
    headings = ("phase", "x", "eV/atom", "from own ends", "from lowest ends", "above hull", "A^3/atom", "")
    text: list[str | Table] = [
        f"{found.ends[0]} to {found.ends[1]}, {found.provenance or 'potential not recorded'}",
        Table(headings=headings, rows=rows, title="Energies per atom; differences in meV/atom"),
    ]
    text += [_difference_table(found, k) for k in range(len(found.differences))]
    text += list(found.findings)
    return [*text, f"written to {folder}"] if folder else text


def _mev(value: float) -> str:
    return "" if value != value else f"{1000 * value:.2f}"


def _difference_table(found: Stability, k: int) -> Table:
    one = found.differences[k]
    rows = tuple(
        (f"{x:g}", _mev(one.difference[n]), _mev(one.std[n]), one.first if one.difference[n] < 0 else one.second)
        for n, x in enumerate(one.x)
    )
    return Table(headings=("x", f"E({one.first}) - E({one.second})", "+-", "lower"), rows=rows, title="meV/atom")

"""halion evaluate: errors of potentials on labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from halion.cli.options import AsJson, new_file
from halion.cli.terminal import Shown, Table, Watcher
from halion.errors import SettingsError

__all__ = ["command"]

# --by -> stem of the table, the column that it adds.
_BY = {
    "": ("errors", ""),
    "group": ("errors", ""),
    "temperature": ("errors-by-temperature", "temperature_k"),
    "composition": ("errors-by-composition", "composition"),
}


def command(
    labels: Annotated[
        list[Path], typer.Argument(metavar="LABELS...", help="Sets of labelled frames, each a row of the table.")
    ],
    potential: Annotated[
        list[str] | None,
        typer.Option("--potential", metavar="NAME|PATH", help="Potentials to compare. (otherwise: chgnet)"),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="temperature|composition|group", help="A row for each. (otherwise: each set)")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="New folder for tables and figures.")
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Mean absolute and root mean square errors of energy, forces and stress, and the slope of the forces."""
    from halion.labels import read_labels
    from halion.potentials import load_potential
    from halion.report import MeasuredErrors, error_rows, write_errors
    from halion.training import compare, method_of

    if by not in _BY:
        raise SettingsError(f"there are no errors by '{by}'", fix=f"--by {'|'.join(filter(None, _BY))}")
    if folder is not None:
        new_file(folder)
    sets, methods = {}, {}
    for path in labels:
        frames = read_labels(path)
        methods[str(path)] = method_of(frames) or "a method that they do not name"
        for group in sorted({one.frame.group for one in frames}) if by == "group" else [""]:
            name = f"{path.parent.name}/{path.stem}" + (f" {group}" if group else "")
            sets[name] = [one for one in frames if not group or one.frame.group == group]
    measured = []
    with Watcher() as watcher:
        for choice in potential or ["chgnet"]:
            loaded = load_potential(choice)
            for name, frames in sets.items():
                comparison = compare(frames, loaded, watcher.stage(f"{loaded.name}: {name}"))
                measured.append(MeasuredErrors(potential=loaded.name, set_name=name, comparison=comparison))
    tables = error_rows(measured)
    if folder is not None:
        write_errors(measured, folder)
    said = [f"{path}: labels of {method}" for path, method in methods.items()]
    record = {"methods": methods} | {stem.replace("-", "_"): rows for stem, rows in tables.items()}
    return Shown(record=record, text=[*_text(tables, by, folder), *said], as_json=as_json)


def _text(tables: dict[str, list[dict[str, Any]]], by: str, folder: Path | None) -> list[str | Table]:
    stem, key = _BY[by]
    rows = tuple(
        (
            str(row["potential"]),
            str(row["set"]),
            *([f"{row[key]:g}" if key == "temperature_k" else str(row[key])] if key else []),
            str(row["n_frames"]),
            f"{row['energy_mae']:.1f}",
            f"{row['energy_shifted_mae']:.1f}",
            f"{row['energy_shifted_rmse']:.1f}",
            f"{row['force_mae']:.0f}",
            f"{row['force_rmse']:.0f}",
            f"{row['stress_mae']:.0f}",
            f"{row['stress_rmse']:.0f}",
            f"{row['force_slope']:.2f}",
        )
        for row in tables[stem]
    )
    extra = {"": (), "temperature_k": ("K",), "composition": ("composition",)}[key]
    units = ("meV/atom", "shifted", "rmse", "meV/Angstrom", "rmse", "MPa", "rmse", "force slope")
    table = Table(headings=("potential", "set", *extra, "frames", *units), rows=rows, title="Mean absolute errors")
    lines: list[str | Table] = [table] if rows else ["no frame says its temperature"]
    lines.append("shifted: without a constant per composition; force slope below 1: the potential is too soft")
    return [*lines, f"tables and figures written to {folder}"] if folder is not None else lines

"""halion evaluate: errors of potentials on labelled frames."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halion.cli.options import AsJson, csv_text, new_file
from halion.cli.terminal import Shown, Table, Watcher

if TYPE_CHECKING:
    from halion.training import Comparison, PotentialErrors

__all__ = ["command"]


def command(
    labels: Annotated[
        list[Path], typer.Argument(metavar="LABELS...", help="Sets of labelled frames, each a row of the table.")
    ],
    potential: Annotated[
        list[str] | None,
        typer.Option("--potential", metavar="NAME|PATH", help="Potentials to compare. (otherwise: chgnet)"),
    ] = None,
    by_group: Annotated[bool, typer.Option("--by-group", help="A row for each group of a file.")] = False,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="New folder for the tables and the parity data.")
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Mean absolute and root mean square errors of energy, forces and stress, and the slope of the forces."""
    from halion.labels import read_labels
    from halion.potentials import load_potential
    from halion.training import compare, errors

    if folder is not None:
        new_file(folder)
    sets = {}
    for path in labels:
        frames = read_labels(path)
        groups = sorted({one.frame.group for one in frames}) if by_group else [""]
        for group in groups:
            name = f"{path.parent.name}/{path.stem}" + (f" {group}" if group else "")
            sets[name] = [one for one in frames if not group or one.frame.group == group]
    found: dict[tuple[str, str], tuple[Comparison, PotentialErrors]] = {}
    with Watcher() as watcher:
        for choice in potential or ["chgnet"]:
            loaded = load_potential(choice)
            for name, frames in sets.items():
                comparison = compare(frames, loaded, watcher.stage(f"{loaded.name}: {name}"))
                found[loaded.name, name] = comparison, errors(comparison)
    rows = [
        {"potential": key[0], "set": key[1], **{k: round(v, 4) for k, v in asdict(one).items()}}
        for key, (_, one) in found.items()
    ]
    if folder is not None:
        _write(found, rows, folder)
    return Shown(record={"errors": rows}, text=_text(found, folder), as_json=as_json)


def _write(
    found: dict[tuple[str, str], tuple[Comparison, PotentialErrors]], rows: list[dict[str, object]], folder: Path
) -> None:
    from halion.files import write_json, write_text

    write_text(folder / "errors.csv", csv_text(rows))
    write_json(folder / "errors.json", rows)
    for k, ((name, of), (comparison, _)) in enumerate(found.items()):
        units = {"energies": "ev_per_atom", "forces": "ev_per_angstrom", "stresses": "gpa"}
        for quantity, unit in units.items():
            pairs = getattr(comparison, quantity)
            table = [{f"label_{unit}": f"{a:.6f}", f"predicted_{unit}": f"{b:.6f}"} for a, b in pairs]
            write_text(folder / f"parity-{k:02d}-{quantity}.csv", csv_text(table))
        write_json(folder / f"parity-{k:02d}.json", {"potential": name, "set": of})


def _text(
    found: dict[tuple[str, str], tuple[Comparison, PotentialErrors]], folder: Path | None
) -> list[str | Table]:
    rows = tuple(
        (
            *key,
            str(one.n_frames),
            f"{one.energy_mae:.1f}",
            f"{one.energy_shifted_mae:.1f}",
            f"{one.force_mae:.0f}",
            f"{one.force_rmse:.0f}",
            f"{one.stress_mae:.0f}",
            f"{one.force_slope:.2f}",
        )
        for key, (_, one) in found.items()
    )
    headings = (
        "potential",
        "set",
        "frames",
        "meV/atom",
        "shifted",
        "meV/Angstrom",
        "rmse",
        "MPa",
        "force slope",
    )
    lines: list[str | Table] = [Table(headings=headings, rows=rows, title="Mean absolute errors")]
    lines.append("shifted: without a constant per composition; force slope below 1: the potential is too soft")
    return [*lines, f"written to {folder}"] if folder is not None else lines

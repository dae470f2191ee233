"""halion relax: ordered cells to their nearest minima."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import (
    AsJson,
    Device,
    Folder,
    ForceTolerance,
    MaxSteps,
    Potential,
    given,
    new_file,
    room_settings,
)
from halion.cli.structures import read_ordered
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal

if TYPE_CHECKING:
    from halion.ranking import Relaxation

__all__ = ["command"]


def command(
    structures: Annotated[
        list[Path], typer.Argument(metavar="STRUCTURE...", help="Ordered cells in any format that ASE reads.")
    ],
    potential: Potential = None,
    force_tolerance: ForceTolerance = None,
    max_steps: MaxSteps = None,
    device: Device = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> Shown:
    """Relax positions and cell of ordered structures with FIRE; writes NAME-relaxed.extxyz and .cif."""
    settings = room_settings(
        ranking=given(potential=potential, force_tolerance_ev_per_angstrom=force_tolerance, max_steps=max_steps),
        machine=given(device=device),
    )
    targets = [new_file(folder / f"{path.stem}-relaxed.extxyz") for path in structures]
    cells = [read_ordered(path) for path in structures]

    from halion.potentials import load_potential
    from halion.ranking import relax

    loaded = load_potential(settings.ranking.potential, device=settings.machine.device)
    records, relaxed = [], []
    with Watcher() as watcher, stop_on_signal() as stop:
        for path, atoms, target in zip(structures, cells, targets, strict=True):
            one = relax(atoms, loaded, settings.ranking, progress=watcher.stage(path.name), stop=stop)
            _write(one, target)
            relaxed.append(one)
            records.append(_record(path, one, target))
    record = {"potential": loaded.name, "structures": records}
    return Shown(record=record, text=_text(structures, relaxed, targets), as_json=as_json)


def _write(one: Relaxation, target: Path) -> None:
    import ase.io

    from halion.files import atomic_path

    atoms = one.atoms.copy()
    atoms.info["energy_ev"] = one.energy * len(atoms)
    for path, file_format in ((target.with_suffix(".cif"), "cif"), (target, "extxyz")):
        with atomic_path(path) as part:
            ase.io.write(part, atoms, format=file_format)


def _record(path: Path, one: Relaxation, target: Path) -> dict[str, Any]:
    from halion.records import to_record

    return {"structure": str(path), "output": str(target), **to_record(one)}


def _text(structures: list[Path], relaxed: list[Relaxation], targets: list[Path]) -> list[str | Table]:
    rows = tuple(
        (
            path.name,
            f"{one.energy:.5f}",
            "yes" if one.is_converged else f"no, {one.max_force:.3f} eV/Angstrom left",
            str(one.n_steps),
            f"{100 * one.volume_change:+.2f}",
            f"{one.max_displacement:.2f}",
            f"{one.space_group_before} -> {one.space_group_after}",
            str(target),
        )
        for path, one, target in zip(structures, relaxed, targets, strict=True)
    )
    headings = ("structure", "eV/atom", "converged", "steps", "volume %", "moved A", "space group", "written to")
    return [Table(headings=headings, rows=rows)]

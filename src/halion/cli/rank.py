"""halion rank: the orderings of a crystal, relaxed and ranked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.enumerate import made_orderings
from halion.cli.label_options import CodeCommand, Processes, Pseudopotentials
from halion.cli.options import (
    AsJson,
    Device,
    ForceTolerance,
    MaxSteps,
    Potential,
    csv_text,
    given,
    new_file,
    room_settings,
    two_elements,
)
from halion.cli.ordering_options import (
    ClosestCations,
    Exclude,
    Limit,
    MaxAtoms,
    OrderingOverrides,
    Pool,
    Primitive,
    SampleBy,
    SampleSeed,
    SampleSize,
    Shapes,
    Supercell,
    Tolerance,
    Window,
)
from halion.cli.rank_check import (
    Limits,
    Static,
    Validate,
    ValidateSteps,
    ValidateTop,
    Validation,
    ValidationCutoff,
    asked,
)
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal

if TYPE_CHECKING:
    from halion.orderings import OrderingSet
    from halion.ranking import RankedOrdering, Ranking
    from halion.settings import OrderingSettings, StudySettings

__all__ = ["command"]


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CRYSTAL|ORDERINGS.h5|FOLDER",
            help="A crystal, a file of `halion enumerate --output`, or with --validate the folder of a ranking.",
        ),
    ],
    supercell: Supercell = None,
    max_atoms: MaxAtoms = None,
    primitive: Primitive = False,
    shapes: Shapes = None,
    tolerance: Tolerance = None,
    pool: Pool = None,
    window: Window = None,
    exclude: Exclude = None,
    closest_cations: ClosestCations = None,
    limit: Limit = None,
    sample: SampleBy = None,
    sample_size: SampleSize = None,
    seed: SampleSeed = None,
    relax_best: Annotated[
        int | None,
        typer.Option(
            "--top",
            "--relax-best",
            metavar="N",
            help="Relax so many, lowest in electrostatic energy first. (default: 20)",
        ),
    ] = None,
    control: Annotated[
        int | None,
        typer.Option(metavar="N", help="Relax so many others too, drawn at random: what was missed. (default: 20)"),
    ] = None,
    arrange: Annotated[
        str | None,
        typer.Option(
            metavar="ONE,OTHER",
            help="Two elements of one charge that share sites, e.g. Cl,Br: ordered after the cations.",
        ),
    ] = None,
    potential: Potential = None,
    force_tolerance: ForceTolerance = None,
    max_steps: MaxSteps = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="K", help="Temperature of the Boltzmann weights. (default: 300)")
    ] = None,
    device: Device = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="New folder for the ranked cells (CIF, POSCAR) and the table."),
    ] = None,
    validate: Validate = None,
    static: Static = False,
    validate_top: ValidateTop = None,
    validate_steps: ValidateSteps = None,
    cutoff: ValidationCutoff = None,
    code_command: CodeCommand = None,
    pseudopotentials: Pseudopotentials = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> Shown:
    """Relax the orderings lowest in electrostatic energy and rank them."""
    settings = room_settings(
        ranking=given(
            potential=potential,
            relax_best=relax_best,
            control=control,
            force_tolerance_ev_per_angstrom=force_tolerance,
            max_steps=max_steps,
            temperature_k=temperature,
        ),
        machine=given(device=device),
    )
    wanted = OrderingOverrides(
        supercell=supercell,
        max_atoms=max_atoms,
        primitive=primitive,
        shapes=shapes,
        tolerance=tolerance,
        pool=pool,
        window=window,
        exclude=exclude,
        closest_cations=closest_cations,
        limit=limit,
        sample=sample,
        sample_size=sample_size,
        seed=seed,
    ).settings()
    if validate:
        code = given(command=code_command, pseudopotentials=pseudopotentials, processes=processes)
        limits = Limits(cutoff, validate_top or settings.ranking.relax_best, validate_steps, force_tolerance)
        check = Validation(code=validate, options=code, limits=limits, static=static, arrange=arrange)
        make = partial(_ranked, source, settings, wanted, as_json=as_json)
        return check.run(source, folder, make, asked(source, settings.ranking, wanted), as_json=as_json)
    if folder:
        new_file(folder)
    if arrange:
        elements = two_elements(arrange, "--arrange")
        return _arranged(source, settings, wanted, elements, folder, as_json=as_json)
    return _ranked(source, settings, wanted, folder, as_json=as_json)


def _ranked(
    source: str, settings: StudySettings, wanted: OrderingSettings, folder: Path | None, *, as_json: bool
) -> Shown:
    """Orderings read or made, relaxed and ranked."""
    from halion.potentials import load_potential
    from halion.ranking import rank_orderings

    found = _orderings(source, wanted)
    loaded = load_potential(settings.ranking.potential, device=settings.machine.device)
    with Watcher() as watcher, stop_on_signal() as stop:
        table = rank_orderings(found, loaded, settings.ranking, progress=watcher.stage("relaxation"), stop=stop)
    files = _write(table, folder) if folder else []
    record = _record(table, found.crystal_name) | {"files": [str(path) for path in files]}
    return Shown(record=record, text=_text(table, folder), as_json=as_json)


def _arranged(
    source: str,
    settings: StudySettings,
    wanted: OrderingSettings,
    elements: tuple[str, str],
    folder: Path | None,
    *,
    as_json: bool,
) -> Shown:
    """Cation orderings ranked, then the two elements arranged on the best of them."""
    from halion.crystal import load_crystal
    from halion.potentials import load_potential
    from halion.ranking import rank_mixed, series_table, write_series
    from halion.records import to_record
    from halion.settings import SeriesSettings

    crystal = load_crystal(source, primitive=wanted.primitive)
    loaded = load_potential(settings.ranking.potential, device=settings.machine.device)
    with Watcher() as watcher, stop_on_signal() as stop:
        found = rank_mixed(
            crystal,
            loaded,
            wanted,
            settings.ranking,
            SeriesSettings(elements=elements),
            progress=watcher.stage("relaxation"),
            stop=stop,
        )
    files = [*_write(found.cations, folder), *write_series([found.entry], folder)] if folder else []
    record = _record(found.cations, crystal.name) | {
        "arrangement": to_record(series_table([found.entry])[0]),
        "files": [str(path) for path in files],
    }
    text = _text(found.cations, None)
    text += [f"{elements[0]} and {elements[1]} on the best of them: {found.entry.evidence}"]
    return Shown(record=record, text=[*text, f"written to {folder}"] if folder else text, as_json=as_json)


def _orderings(source: str, settings: OrderingSettings) -> OrderingSet:
    from halion.orderings import load_orderings

    if Path(source).suffix in (".h5", ".hdf5"):
        return load_orderings(Path(source))

    from halion.crystal import load_crystal

    return made_orderings(load_crystal(source, primitive=settings.primitive), settings, None)


def _write(table: Ranking, folder: Path) -> list[Path]:
    from halion.files import write_json, write_text
    from halion.ranking import back_check_table, quality_table, ranking_table, relaxed_table, write_structures
    from halion.records import to_record

    tables = {"ranking": ranking_table(table), "relaxed": relaxed_table(table)}
    if table.quality:
        tables["prefilter"] = quality_table(table.quality)
    if table.back_check and table.back_check.occupancies:
        tables["occupancies"] = back_check_table(table.back_check)
    written = [write_text(folder / f"{name}.csv", csv_text(rows)) for name, rows in tables.items()]
    # Last, for it stands for all: whole numbers, so that another command takes up the ranking bit for bit.
    return [*write_structures(table, folder), *written, write_json(folder / "ranking.json", to_record(table))]


def _record(table: Ranking, crystal_name: str) -> dict[str, Any]:
    from halion.ranking import ranking_table
    from halion.records import to_record

    return {
        "crystal": crystal_name,
        "potential": table.potential,
        "temperature_k": table.temperature_k,
        "n_orderings": table.n_orderings,
        "n_relaxed": table.n_relaxed,
        "spearman": to_record(table.spearman),
        "rows": to_record(ranking_table(table)),
        "refused": to_record(table.refused),
        "quality": to_record(table.quality),
        "back_check": to_record(table.back_check),
        "notes": list(table.notes),
    }


def _remarks(row: RankedOrdering) -> list[str]:
    remarks = ["drawn at random"] if row.is_control else []
    return (
        remarks if row.relaxation.is_converged else [*remarks, f"not converged in {row.relaxation.n_steps} steps"]
    )


def _text(table: Ranking, folder: Path | None) -> list[str | Table]:
    rows = tuple(
        (
            str(row.rank),
            str(row.ordering),
            str(row.multiplicity),
            f"{1000 * row.energy_above_best:.2f}",
            f"{row.boltzmann_weight:.3f}",
            f"{row.relaxation.volume_per_atom:.2f}",
            row.relaxation.space_group_after,
            "; ".join(_remarks(row)),
        )
        for row in table.rows
    )
    headings = ("rank", "ordering", "multiplicity", "meV/atom", "weight", "A^3/atom", "space group", "")
    text: list[str | Table] = [
        f"{table.n_relaxed} of {table.n_orderings} distinct orderings relaxed with {table.potential}; "
        f"weights at {table.temperature_k:g} K",
        Table(headings=headings, rows=rows),
    ]
    text += [table.quality.note] if table.quality else []
    text += [table.back_check.note] if table.back_check else []
    text += table.notes
    text += [f"refused: ordering {one.ordering}: {one.reason}" for one in table.refused]
    return [*text, f"written to {folder}"] if folder else text

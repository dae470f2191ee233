"""The catalogue on disk: one table, the structures, and a record to go on from."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import ase.io
from ase import Atoms

from halion.files import atomic_path, read_json, write_json, write_text
from halion.orderings.types import supercell_name
from halion.ranking.series_types import SeriesEntry
from halion.records import from_record, to_record

__all__ = ["read_series", "series_table", "write_series"]

_RECORD = "series.json"


def series_table(entries: Sequence[SeriesEntry]) -> list[dict[str, int | float | str | bool]]:
    """One row per entry, for CSV: energies in eV, errors in meV/atom, lengths in Angstrom."""
    return [
        {
            "name": entry.plan.name,
            "parent": entry.plan.parent,
            "x": entry.plan.x,
            "supercell": supercell_name(entry.plan.supercell),
            "n_atoms": entry.plan.n_atoms,
            "n_arrangements": sum(count.total for count in entry.counts),
            "n_distinct": sum(count.distinct for count in entry.counts),
            "n_evaluated": entry.n_evaluated,
            "n_refused": entry.n_refused,
            "verdict": entry.verdict,
            "cation_ordering": entry.cations,
            "energy_ev_per_atom": entry.relaxation.energy,
            "mixing_energy_ev_per_formula_unit": entry.mixing_energy,
            "second_lowest_above_ev_per_atom": entry.runner_up,
            "surrogate_cv_error_mev_per_atom": _of(entry, "cv_error", 1000),
            "surrogate_cv_spearman": _of(entry, "cv_spearman"),
            "surrogate_random_error_mev_per_atom": _of(entry, "random_error", 1000),
            "volume_angstrom3_per_atom": float(entry.relaxation.atoms.get_volume()) / entry.plan.n_atoms,
            "space_group": entry.relaxation.space_group_after,
            "is_converged": entry.relaxation.is_converged,
            "max_displacement_angstrom": entry.relaxation.max_displacement,
            "mirror": entry.plan.mirror,
            "evidence": entry.evidence,
        }
        for entry in entries
    ]


def _of(entry: SeriesEntry, name: str, unit: float = 1.0) -> float:
    return float("nan") if entry.surrogate is None else unit * getattr(entry.surrogate, name)


def write_series(entries: Sequence[SeriesEntry], folder: Path | str) -> list[Path]:
    """Write the catalogue: `series.csv`, `series.json`, and for each entry NAME.cif, NAME.vasp, NAME-start.vasp.

    NAME is the relaxed cell, NAME-start the arrangement before relaxation. POSCARs keep sixteen decimals, their
    atoms grouped by element. Called again with more entries it writes all anew; `read_series` gives them back.

    Raises:
        DiskFull: what was written before is whole.

    Checked by tests/ranking/test_ranking_series.py: read back equal.
    """
    folder = Path(folder)
    written = []
    for entry in entries:
        stem = folder / entry.plan.name
        written += [
            _write(entry.relaxation.atoms, Path(f"{stem}.cif"), "cif"),
            _write(entry.relaxation.atoms, Path(f"{stem}.vasp"), "vasp"),
            _write(entry.start, Path(f"{stem}-start.vasp"), "vasp"),
        ]
    written.append(write_text(folder / "series.csv", _csv(series_table(entries))))
    written.append(write_json(folder / _RECORD, {"entries": to_record(list(entries))}))
    return written


def read_series(folder: Path | str) -> dict[str, SeriesEntry]:
    """Entries by name that `write_series` wrote, for `build_series` to go on from; none where there is no file.

    Raises:
        TornFile: the record is damaged.
    """
    path = Path(folder) / _RECORD
    if not path.is_file():
        return {}
    entries = [from_record(SeriesEntry, record) for record in read_json(path)["entries"]]
    return {entry.plan.name: entry for entry in entries}


def _write(atoms: Atoms, path: Path, file_format: str) -> Path:
    options = {"direct": True, "sort": True} if file_format == "vasp" else {}
    with atomic_path(path) as part:
        ase.io.write(part, atoms, format=file_format, **options)
    return path


def _csv(rows: Sequence[Mapping[str, int | float | str | bool]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    # An empty field where there is no number.
    writer.writerows({key: "" if value != value else value for key, value in row.items()} for row in rows)
    return text.getvalue()

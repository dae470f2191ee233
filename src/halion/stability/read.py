"""What `halion series` wrote, as a series of energies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.formula import Formula

from halion.errors import InputError
from halion.files import read_json
from halion.ranking import SeriesEntry, read_series
from halion.stability.check import series_energies
from halion.stability.frameworks import FrameworkFinding, FrameworkRules, find_transformed
from halion.stability.types import PhasePoint, SeriesEnergies

__all__ = ["read_series_energies"]


def read_series_energies(
    folders: Sequence[Path | str],
    *,
    elements: tuple[str, str] | None = None,
    mobile: Sequence[str] = ("Li",),
) -> tuple[SeriesEnergies, tuple[FrameworkFinding, ...]]:
    """Read one or more folders of `halion series` as one series.

    Points whose relaxation did not converge, and those that left the framework of their phase (`find_transformed`),
    are kept with the reason and are in no curve. The provenance of an energy is the potential, the digest of its
    weights and the force tolerance, from the folder's records.

    Args:
        folders: written by `halion series`; the parents may be in one folder or in several.
        elements: the one replaced and the one that replaces it, where a folder has no record of them.
        mobile: elements that are no part of the framework.
    Returns:
        the series, and one finding per point in its order.
    Raises:
        InputError: no series in a folder, other elements in another folder, several folders without a record of
            their potential, and as `series_energies`.
        TornFile: a damaged record.

    Checked by tests/stability/test_stability_read.py.
    """
    entries: list[tuple[SeriesEntry, str]] = []
    kinds: set[tuple[tuple[str, str], tuple[str, str], float]] = set()
    for folder in map(Path, folders):
        found = read_series(folder)
        if not found:
            raise InputError(
                "there is no series here", where=str(folder), fix=f"halion series NAME=CRYSTAL --folder {folder}"
            )
        mixed = _elements(folder, elements)
        kinds |= {(mixed, *_ends(entry, mixed)) for entry in found.values()}
        entries += [(entry, _provenance(folder)) for entry in found.values()]
    _check_one_series(kinds, [made for _, made in entries], folders)
    mixed, ends, most = kinds.pop()
    points = [_point(entry, made) for entry, made in entries]
    series = series_energies(points, ends, most)
    return _judged(series, {_key(p): entry for p, (entry, _) in zip(points, entries)}, mixed, tuple(mobile))


def _check_one_series(
    kinds: set[tuple[tuple[str, str], tuple[str, str], float]], made: list[str], folders: Sequence[Path | str]
) -> None:
    if not kinds:
        raise InputError("no folder of a series was given", fix="halion stability FOLDER")
    if len(kinds) > 1:
        raise InputError(
            f"these are series of different end members: {'; '.join(sorted(' to '.join(k[1]) for k in kinds))}",
            where=", ".join(map(str, folders)),
            fix="compare phases of one series",
        )
    if len(folders) > 1 and not all(made):
        raise InputError(
            "a folder has no record of its potential, so its energies compare with no other",
            where=", ".join(map(str, folders)),
            fix="look at one folder alone, or make the series anew",
        )


def _key(point: PhasePoint) -> tuple[str, float]:
    return point.phase, point.x


def _judged(
    series: SeriesEnergies,
    entries: dict[tuple[str, float], SeriesEntry],
    mixed: tuple[str, str],
    mobile: tuple[str, ...],
) -> tuple[SeriesEnergies, tuple[FrameworkFinding, ...]]:
    members = [entries[_key(point)] for point in series.points]
    findings = find_transformed(
        [point.phase for point in series.points],
        [entry.start for entry in members],
        [entry.relaxation.atoms for entry in members],
        FrameworkRules(mixed=mixed, mobile=mobile),
    )
    points = tuple(
        replace(point, left_out=finding.reason or _unconverged(entry))
        for point, finding, entry in zip(series.points, findings, members, strict=True)
    )
    return replace(series, points=points), findings


def _unconverged(entry: SeriesEntry) -> str:
    if entry.relaxation.is_converged:
        return ""
    return f"not converged: largest force {entry.relaxation.max_force:.3f} eV/Angstrom"


def _point(entry: SeriesEntry, provenance: str) -> PhasePoint:
    atoms = entry.relaxation.atoms
    return PhasePoint(
        phase=entry.plan.parent,
        x=entry.plan.x,
        energy=entry.relaxation.energy,
        formula_units=entry.plan.formula_units,
        provenance=provenance,
        atoms=atoms,
        parent_cell=np.linalg.solve(np.array(entry.plan.supercell, float), atoms.cell.array),
        n_arrangements=sum(count.total for count in entry.counts),
    )


def _provenance(folder: Path) -> str:
    """Potential, digest of its weights and force tolerance; empty where the folder does not say."""
    path = folder / "inputs.json"
    if not path.is_file():
        return ""
    parts = [f"to {read_json(path)['ranking']['force_tolerance_ev_per_angstrom']:g} eV/Angstrom"]
    made = {
        " ".join(part[:12] if len(part) == 64 else part for part in read_json(record)["potential"])
        for record in sorted(folder.glob("parents/*/inputs.json"))
    }
    return ", ".join([*sorted(made), *parts]) if made else ""


def _elements(folder: Path, elements: tuple[str, str] | None) -> tuple[str, str]:
    path = folder / "inputs.json"
    if path.is_file():
        recorded = tuple(read_json(path)["series"]["elements"])
        if elements not in (None, recorded):
            raise InputError(
                f"this series replaces {recorded[0]} by {recorded[1]}, not {elements[0]} by {elements[1]}",
                where=str(folder),
                fix="leave the elements out: the folder knows them",
            )
        return recorded
    if elements is None:
        raise InputError(
            "this folder does not record which element replaces which",
            where=str(folder),
            fix="give the elements, e.g. Cl,Br",
        )
    return elements


def _ends(entry: SeriesEntry, elements: tuple[str, str]) -> tuple[tuple[str, str], float]:
    """(formulas of the ends per formula unit, largest x) from any cell of the series."""
    units = entry.plan.formula_units
    counts = Counter(entry.relaxation.atoms.get_chemical_symbols())
    rest = {symbol: n // units for symbol, n in counts.items() if symbol not in elements}
    most = entry.plan.n_sites / units
    first, second = (Formula.from_dict(rest | {element: round(most)}).format("metal") for element in elements)
    return (first, second), most

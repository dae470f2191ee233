"""Series, stability, evaluations and benchmarks for a reproduction, as the verbs that made them write them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.files import read_json
from halion.ranking import SeriesEntry, read_series
from halion.records import from_record
from halion.report.reproduction import Benchmark, ComputedSeries, Evaluation, Model, Origin, SeriesPoint
from halion.settings import SeriesSettings
from halion.stability import Stability, assess_stability, read_series_energies
from halion.study.reproduction_runs import model_named
from halion.training import PotentialErrors

__all__ = ["read_benchmark", "read_evaluations", "read_series_folder", "read_stability"]

_PHASES = ("trigonal", "monoclinic")
# Angles of a cell in hexagonal axes; relaxation moves them by about one degree.
_HEXAGONAL, _WITHIN = (90.0, 90.0, 120.0), 6.0
_NAMES = {"LYC": "trigonal", "Li3YCl6": "trigonal", "LYB": "monoclinic", "Li3YBr6": "monoclinic"}
_PARITY = ("energies", "forces", "stresses")


def read_stability(folder: Path, name: str) -> tuple[ComputedSeries, ...]:
    """A folder of `halion stability`."""
    found = from_record(Stability, read_json(folder / "stability.json"))
    return (_series(found, Origin(name=name, what="stability"), ()),)


def read_series_folder(folder: Path, name: str) -> tuple[ComputedSeries, ...]:
    """A folder of `halion series`, put to the question that `halion stability` answers."""
    entries = tuple(read_series(folder).values())
    origin = Origin(name=name, what="series", state=_missing_entries(folder, entries))
    try:
        series, _ = read_series_energies([folder])
        return (_series(assess_stability(series), origin, entries),)
    except InputError as error:
        if not origin.state:
            raise
        refused = Origin(name=name, what="series", state=f"{origin.state}; {error.what}".removeprefix("; "))
        return (ComputedSeries(origin=refused, model=_model_of(folder), points=()),)


def _missing_entries(folder: Path, entries: Sequence[SeriesEntry]) -> str:
    """How far a series is by what was asked for; empty where it is done or does not say."""
    path = folder / "inputs.json"
    asked = read_json(path) if path.is_file() else {}
    steps = asked.get("series", {}).get("steps", SeriesSettings().steps)
    n_wanted = len(asked.get("parents", ())) * len(steps or SeriesSettings().steps)
    return f"{len(entries)} of {n_wanted} compositions" if len(entries) < n_wanted else ""


def _model_of(folder: Path) -> Model:
    records = sorted(folder.glob("parents/*/inputs.json"))
    return model_named(read_json(records[0])["potential"][0] if records else "not recorded")


def _series(found: Stability, origin: Origin, entries: Sequence[SeriesEntry]) -> ComputedSeries:
    kinds = _kinds(found, origin.name)
    volumes = {
        (kinds[one.phase], round(one.x, 6)): one.volume for one in found.structure.points if not one.left_out
    }
    xs = sorted({round(one.x, 6) for one in found.structure.points})
    reasons = {(kinds[phase], round(x, 6)): reason for phase, x, reason in found.left_out}
    energies, transitions, verdict = _difference(found, kinds)
    points = tuple(
        SeriesPoint(
            x=x,
            volumes=tuple(volumes.get((phase, x), math.nan) for phase in _PHASES),
            difference=energies.get(x, (math.nan, math.nan))[0],
            std=energies.get(x, (math.nan, math.nan))[1],
            left_out="; ".join(f"{phase}: {reasons[phase, x]}" for phase in _PHASES if (phase, x) in reasons),
        )
        for x in xs
    )
    atoms = [entry.plan.n_atoms for entry in entries]
    tried = [entry.n_evaluated for entry in entries]
    return ComputedSeries(
        origin=origin,
        model=model_named(found.provenance.split(" ")[0].rstrip(",") or "not recorded"),
        points=points,
        transitions=transitions,
        verdict=verdict,
        n_atoms=(min(atoms), max(atoms)) if atoms else (0, 0),
        n_evaluated=(min(tried), max(tried)) if tried else (0, 0),
    )


def _difference(
    found: Stability, kinds: dict[str, str]
) -> tuple[dict[float, tuple[float, float]], tuple[float, ...], str]:
    """x -> E(trigonal) - E(monoclinic) with its error, where it changes sign, and the finding in words."""
    for one in found.differences:
        if {kinds[one.first], kinds[one.second]} != set(_PHASES):
            continue
        sign = 1.0 if kinds[one.first] == "trigonal" else -1.0
        values = zip(one.x, one.difference, one.std, strict=True)
        energies = {round(float(x), 6): (sign * float(value), float(std)) for x, value, std in values}
        return energies, tuple(change.x for change in one.transitions), str(one.verdict)
    return {}, (), ""


def _kinds(found: Stability, name: str) -> dict[str, str]:
    """Phase -> trigonal or monoclinic, by the angles of its cells; by the parents' names where these are alike.

    Raises:
        InputError: two phases are of one kind, so the difference that the study has is not theirs.
    """
    kinds = {phase: _PHASES[0] if _is_hexagonal(found, phase) else _PHASES[1] for phase in found.phases}
    named = {phase: kind for phase in found.phases for word, kind in _NAMES.items() if phase.startswith(word)}
    if len(set(kinds.values())) < len(kinds) and len(named) == len(kinds):
        kinds = named
    if len(set(kinds.values())) < len(kinds):
        raise InputError(
            f"of the phases {', '.join(kinds)} two are {max(kinds.values(), key=list(kinds.values()).count)}; the "
            "study has trigonal minus monoclinic",
            where=name,
            fix="give a series with one parent of each kind, e.g. halion series LYC=Li3YCl6 LYB=Li3YBr6",
        )
    return kinds


def _is_hexagonal(found: Stability, phase: str) -> bool:
    """Whether a and b enclose 120 degrees and c stands upright: a primitive cell of C2/m leans."""
    angles = np.mean([one.angles for one in found.structure.points if one.phase == phase], axis=0)
    return bool(np.all(np.abs(angles - _HEXAGONAL) < _WITHIN))


def read_evaluations(path: Path, name: str) -> list[Evaluation]:
    """A folder of `halion evaluate`, or the file with what it printed."""
    folder = path if path.is_dir() else path.parent
    record: Any = read_json(folder / "errors.json" if path.is_dir() else path)
    rows = record["errors"] if isinstance(record, dict) else record
    origin, parity = Origin(name=name, what="evaluation"), _parity_places(folder) if path.is_dir() else {}
    beside = folder / "errors-by-temperature.json"
    by_kelvin: Any = read_json(beside) if path.is_dir() and beside.is_file() else []
    if isinstance(record, dict):
        by_kelvin = record.get("errors_by_temperature", [])
    return [_evaluation(row, origin, parity, by_kelvin) for row in rows]


def _evaluation(
    row: dict[str, Any], origin: Origin, parity: dict[tuple[str, str], Path], by_kelvin: list[dict[str, Any]]
) -> Evaluation:
    numbers = {field.name: _number(row.get(field.name)) for field in fields(PotentialErrors)}
    stem = parity.get((row["potential"], row["set"]))
    return Evaluation(
        origin=origin,
        model=model_named(str(row["potential"])),
        set_name=str(row["set"]),
        kind=_set_kind(str(row["set"])),
        errors=PotentialErrors(**numbers | {"n_frames": int(row["n_frames"])}),
        parity={} if stem is None else dict(_parity(stem)),
        over_temperature=tuple(
            tuple(_number(one[key]) for key in ("temperature_k", "energy_shifted_mae", "force_mae", "stress_mae"))
            for one in by_kelvin
            if (one["potential"], one["set"]) == (row["potential"], row["set"])
        ),
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _set_kind(name: str) -> Literal["ends", "mixed", "rest", "training", "other"]:
    """Which of the study's sets a name stands for, by its words."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    for kind, meant in (
        ("training", {"train", "training", "learned"}),
        ("mixed", {"mixed", "mix"}),
        ("ends", {"ends", "end", "endmembers"}),
        ("rest", {"rest", "relaxed", "equilibrium", "enumerated"}),
    ):
        if words & meant:
            return kind
    return "other"


def _parity_places(folder: Path) -> dict[tuple[str, str], Path]:
    """(potential, set) -> beginning of the names of its parity files."""
    found = {}
    for path in sorted(folder.glob("parity-*.json")):
        record = read_json(path)
        found[str(record["potential"]), str(record["set"])] = path.with_suffix("")
    return found


def _parity(stem: Path) -> Iterator[tuple[str, FloatArray]]:
    for quantity in _PARITY:
        path = stem.with_name(f"{stem.name}-{quantity}.csv")
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as handle:
                rows = [[float(cell) for cell in row[:2]] for row in list(csv.reader(handle))[1:]]
            yield quantity, np.array(rows, float).reshape(-1, 2)


_COST, _RATIO = "s/atom/ps", "ratio"


def read_benchmark(path: Path, name: str) -> list[Benchmark]:
    """The costs in the tables of `benchmarks/results`: dynamics in s/atom/ps, of the largest cell of each crystal
    and number of threads, and DFT labels over steps of dynamics.

    Raises:
        InputError: no table of it has such a column.
    """
    text = path.read_text(encoding="utf-8")
    origin = Origin(name=name, what="benchmark", machine=text.partition("\n")[0].partition(";")[0].strip()[:160])
    found: dict[tuple[str, ...], tuple[float, Benchmark]] = {}
    for row in _table_rows(text):
        cost = next((column for column in row if _COST in column), "")
        is_label = "label, s" in row and _is_number(row.get(_RATIO, ""))
        if not is_label and not _is_number(row.get(cost, "")):
            continue
        kept = {key: row[key] for key in ("cell", "crystal", "threads", "device") if key in row}
        words = [f"{value} thread(s)" if key == "threads" else value for key, value in kept.items()]
        atoms = _read(row["atoms"]) if _is_number(row.get("atoms", "")) else 0.0
        measured = {"label_over_step": _read(row[_RATIO])} if is_label else {"s_per_atom_ps": _read(row[cost])}
        what = ", ".join([*([] if is_label else [cost.partition(",")[0]]), *words, f"{atoms:.0f} atoms"])
        if atoms >= found.get(tuple(kept.values()), (-1.0, None))[0]:
            found[tuple(kept.values())] = (atoms, Benchmark(origin=origin, what=what, **measured))
    if not found:
        raise InputError(
            f"no table of this file has a column in {_COST}, or one of labels over steps",
            where=str(path),
            fix="give one that benchmarks/engine.py or benchmarks/label_cost.py wrote",
        )
    return [one for _, one in found.values()]


def _table_rows(text: str) -> Iterator[dict[str, str]]:
    """Rows of the Markdown tables of a text, by their headings."""
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not header or not cells:
            header = cells
        else:
            yield dict(zip(header, cells))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d[\d,]*(\.\d+)?(e-?\d+)?", text) is not None


def _read(text: str) -> float:
    return float(text.replace(",", ""))

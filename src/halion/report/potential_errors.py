"""Errors of potentials on labelled frames: tables by set, temperature and composition, and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.files import write_json, write_text
from halion.report.draw_matplotlib import figures_svg
from halion.report.figure import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, Axis, Figure, Series, figure_csv
from halion.report.table import Table, number, table_csv, word
from halion.training import Comparison, errors, without_mean_of

__all__ = ["MeasuredErrors", "error_rows", "errors_by_temperature", "parity_figures", "write_errors"]

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
# A drawing of more points says no more and takes long to open; the CSV files hold all.
_MOST_POINTS = 4000
_UNITS = {"energies": "ev_per_atom", "forces": "ev_per_angstrom", "stresses": "gpa"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredErrors:
    """One potential on one set of labelled frames.

    Attributes:
        potential, set_name: for tables and figures.
        comparison: its predictions beside the labels.
    """

    potential: str
    set_name: str
    comparison: Comparison


def error_rows(measured: Sequence[MeasuredErrors]) -> dict[str, list[dict[str, object]]]:
    """Errors as tables of plain values, by the stem of their files.

    Returns:
        "errors": a row per potential and set; "errors-by-temperature": also per temperature, `temperature_k`, of
        frames that say one; "errors-by-composition": per reduced formula. Columns as in `PotentialErrors`; energies
        are shifted by the mean over all frames of a composition in the set, at all temperatures.
    """
    tables: dict[str, list[dict[str, object]]] = {
        "errors": [],
        "errors-by-temperature": [],
        "errors-by-composition": [],
    }
    for one in measured:
        name: dict[str, object] = {"potential": one.potential, "set": one.set_name}
        tables["errors"].append(name | _rounded(one.comparison))
        for kelvin, part in one.comparison.by_temperature().items():
            tables["errors-by-temperature"].append(name | {"temperature_k": kelvin} | _rounded(part))
        for formula, part in one.comparison.by_composition().items():
            tables["errors-by-composition"].append(name | {"composition": formula} | _rounded(part))
    return tables


def write_errors(measured: Sequence[MeasuredErrors], folder: Path | str) -> Path:
    """Write the errors of potentials, tables and figures.

    Args:
        measured: potentials on sets; one potential on several sets, or several on one, or all on all.
        folder: for `errors.csv` and `.json`, the same by temperature and by composition, `parity-NN-*.csv` with the
            pairs behind them (`parity-NN.json` says whose), and `figures/*.svg`: the parity of energy, forces and
            stress with the potentials side by side, and the errors over temperature.
    Raises:
        InputError: nothing was measured.
        DiskFull: each file is whole or not there.
    Checked by tests/report/test_report_potential_errors.py.
    """
    if not measured:
        raise InputError("there are no errors to write", fix="evaluate a potential on labelled frames first")
    folder = Path(folder)
    for stem, rows in error_rows(measured).items():
        if rows:
            write_text(folder / f"{stem}.csv", _csv(stem, rows))
            write_json(folder / f"{stem}.json", rows)
    for k, one in enumerate(measured):
        for quantity, unit in _UNITS.items():
            pairs = [(number(a, ""), number(b, "")) for a, b in np.round(getattr(one.comparison, quantity), 6)]
            table = Table(name=quantity, columns=(f"label_{unit}", f"predicted_{unit}"), rows=tuple(pairs))
            write_text(folder / f"parity-{k:02d}-{quantity}.csv", table_csv(table))
        write_json(folder / f"parity-{k:02d}.json", {"potential": one.potential, "set": one.set_name})
    for row in (*parity_figures(measured), *errors_by_temperature(measured)):
        write_text(folder / "figures" / f"{row[0].name}.svg", figures_svg(row))
    for row in errors_by_temperature(measured):
        for figure, quantity in zip(row, ("energy", "forces", "stress"), strict=True):
            write_text(folder / f"{figure.name}-{quantity}.csv", figure_csv(figure))
    return folder


def parity_figures(measured: Sequence[MeasuredErrors]) -> Iterator[tuple[Figure, ...]]:
    """Prediction against label: for every set and quantity one row of figures, a potential each, on the same scale.

    Energies are without the mean of their composition, label and prediction each: between the compositions of a set
    lie volts, and two codes have other zeros.
    """
    for k, name in enumerate(dict.fromkeys(one.set_name for one in measured)):
        of_set = [one for one in measured if one.set_name == name]
        for quantity, title, unit in (
            ("energy", "Energy in its composition", "meV/atom"),
            ("forces", "Force component", "eV/Å"),
            ("stress", "Stress component", "GPa"),
        ):
            pairs = [_pairs(one.comparison, quantity) for one in of_set]
            ends = (min(float(each.min()) for each in pairs), max(float(each.max()) for each in pairs))
            margin = 0.03 * max(ends[1] - ends[0], 1e-6)
            limits = (ends[0] - margin, ends[1] + margin)
            yield tuple(
                _parity(f"parity-{quantity}-{k:02d}", one, each, Axis(title=title, unit=unit, limits=limits))
                for one, each in zip(of_set, pairs, strict=True)
            )


def errors_by_temperature(measured: Sequence[MeasuredErrors]) -> Iterator[tuple[Figure, ...]]:
    """Mean absolute errors over temperature, for every set whose frames say two or more: energy, forces, stress.

    Bars: the standard error of the mean over the frames of a temperature; none where there is one frame.
    """
    for k, name in enumerate(dict.fromkeys(one.set_name for one in measured)):
        of_set = [one for one in measured if one.set_name == name and len(one.comparison.by_temperature()) > 1]
        if of_set:
            yield tuple(
                Figure(
                    name=f"errors-over-temperature-{k:02d}",
                    title=name,
                    caption="Mean absolute errors; bars: standard error of the mean over frames.",
                    x=Axis(title="Temperature", unit="K"),
                    y=Axis(title=title, unit=unit, limits=(0.0, _highest(of_set, column))),
                    series=tuple(
                        _over_temperature(one, column, _COLOURS[m % len(_COLOURS)]) for m, one in enumerate(of_set)
                    ),
                )
                for column, (title, unit) in enumerate(
                    (("Energy, shifted", "meV/atom"), ("Forces", "meV/Å"), ("Stress", "MPa"))
                )
            )


def _parity(name: str, one: MeasuredErrors, pairs: FloatArray, axis: Axis) -> Figure:
    shown = pairs[:: math.ceil(len(pairs) / _MOST_POINTS)]
    low, high = axis.limits or (0.0, 1.0)
    line = np.array([low, high])
    return Figure(
        name=name,
        title=f"{one.potential}\n{one.set_name}",
        caption=f"{len(shown)} of {len(pairs)} points, evenly chosen.",
        x=Axis(title=f"{axis.title}, label", unit=axis.unit, limits=axis.limits),
        y=Axis(title=f"{axis.title}, potential", unit=axis.unit, limits=axis.limits),
        series=(
            Series(label="frames", x=shown[:, 0], y=shown[:, 1], style="points", width=0.0),
            Series(label="equal", x=line, y=line, style="dashed", colour=INK, width=1.0),
        ),
    )


def _pairs(comparison: Comparison, quantity: str) -> FloatArray:
    if quantity != "energy":
        return comparison.forces if quantity == "forces" else comparison.stresses
    label = 1e3 * without_mean_of(comparison.compositions, comparison.energies[:, 0])
    return np.stack([label, label + 1e3 * comparison.shifted], axis=1)


def _over_temperature(one: MeasuredErrors, column: int, colour: str) -> Series:
    parts = {kelvin: part.frame_errors()[:, column] for kelvin, part in one.comparison.by_temperature().items()}
    mean = np.array([each.mean() for each in parts.values()])
    bar = np.array([each.std(ddof=1) / math.sqrt(len(each)) if len(each) > 1 else 0.0 for each in parts.values()])
    return Series(
        label=one.potential,
        x=np.array(list(parts)),
        y=mean,
        y_low=mean - bar,
        y_high=mean + bar,
        style="points",
        colour=colour,
    )


def _highest(measured: Sequence[MeasuredErrors], column: int) -> float:
    ends = [np.max(_over_temperature(one, column, INK).y_high) for one in measured]
    return 1.08 * max(float(max(ends)), 1e-9)


def _rounded(comparison: Comparison) -> dict[str, object]:
    return {key: round(value, 4) for key, value in asdict(errors(comparison)).items()}


def _csv(name: str, rows: Sequence[Mapping[str, object]]) -> str:
    cells = [
        tuple(word(each) if isinstance(each, str) else number(each, "") for each in row.values()) for row in rows
    ]
    return table_csv(Table(name=name, columns=tuple(rows[0]), rows=tuple(cells)))

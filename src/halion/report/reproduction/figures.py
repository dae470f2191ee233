"""Figures of a reproduction: what was computed here as points, the study's numbers as lines and diamonds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, cycle

import numpy as np

from halion.report.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Axis,
    Figure,
    Marker,
    Series,
)
from halion.report.figures import published_volumes
from halion.report.figures_arrhenius import fit_curve, kelvin_ticks
from halion.report.reproduction.inputs import ComputedRun, ReproductionInputs
from halion.report.reproduction.lines_series import PHASES
from halion.report.reproduction.lines_tables import study_model_rows
from halion.report.reproduction.lines_transport import composition_name
from halion.report.reproduction.published import END_MEMBERS, Published, published_diffusivity
from halion.report.reproduction.types import Exhibit
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["figures_of_exhibit"]

_COLOURS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY)
_MARKERS: tuple[Marker, ...] = ("circle", "square", "triangle-down", "star", "diamond")
# Points of one parity series in a figure; more only hide each other.
_MOST_POINTS = 400
_ERRORS = (
    ("energy", "Energy error, a constant per composition taken away", "meV/atom", "energy_mev_per_atom"),
    ("forces", "Force error", "meV/Å", "force_mev_per_angstrom"),
    ("stress", "Stress error", "MPa", "stress_mpa"),
)
_PARITY = {"energies": ("Energy", "eV/atom"), "forces": ("Force", "eV/Å"), "stresses": ("Stress", "GPa")}


def figures_of_exhibit(exhibit: Exhibit, study: Published, inputs: ReproductionInputs) -> tuple[Figure, ...]:
    """The figures of one exhibit that something was computed for.

    Checked by tests/report/test_reproduction_page.py: every point is a number of the lines.
    """
    make: dict[str, Callable[[], Iterator[Figure]]] = {
        "table-1": lambda: _volume_over_t(study, inputs, "Li3YCl6"),
        "table-2": lambda: _volume_over_t(study, inputs, "Li3YBr6"),
        "table-3": lambda: _over_x(exhibit, "difference", "E(trigonal) − E(monoclinic)"),
        "figure-2": lambda: chain(_errors_over_t(study, inputs), _parity(inputs)),
        "figure-5": lambda: _transport(exhibit, study, inputs),
        "figure-s4": lambda: _volume_over_x(inputs),
    }
    return tuple(make[exhibit.key]()) if exhibit.key in make else ()


def _look() -> Iterator[tuple[str, Marker]]:
    return cycle(zip(_COLOURS * len(_MARKERS), sorted(_MARKERS * len(_COLOURS), key=_MARKERS.index)))


def _points(label: str, values: Sequence[Sequence[float]], look: tuple[str, Marker]) -> Series:
    """Points (x, y, low, high) under one label; bars where both ends are known."""
    x, y, low, high = (np.array(column, float) for column in zip(*values, strict=True))
    has_bars = bool(np.isfinite(low).all() and np.isfinite(high).all())
    return Series(
        label=label,
        x=x,
        y=y,
        y_low=low if has_bars else None,
        y_high=high if has_bars else None,
        style="points",
        marker=look[1],
        colour=look[0],
        width=2.2,
    )


def _volume_over_t(study: Published, inputs: ReproductionInputs, material: str) -> Iterator[Figure]:
    found: dict[str, list[tuple[float, ...]]] = {}
    for run in inputs.runs:
        for point in run.volumes if run.material == material else ():
            std = 0.0 if math.isnan(point.std) else point.std
            where = "relaxed" if point.temperature_k == 0 else f"{10 * point.pressure_gpa:g} kbar"
            label = f"{run.origin.name}, {point.model.name}, {where}"
            found.setdefault(label, []).append(
                (point.temperature_k, point.volume, point.volume - std, point.volume + std)
            )
    if not found:
        return
    series = [_points(label, values, look) for (label, values), look in zip(found.items(), _look())]
    yield Figure(
        name=f"volume-{material}",
        title=f"Volume of {material} against temperature",
        caption="Bars: one standard deviation of the mean. Published points come without errors.",
        x=Axis(title="Temperature", unit="K"),
        y=Axis(title="Volume per atom", unit="Å³"),
        series=(*published_volumes(study.rows[material]), *series),
    )


def _over_x(exhibit: Exhibit, name: str, title: str) -> Iterator[Figure]:
    found: dict[str, list[tuple[float, ...]]] = {}
    for line in exhibit.lines:
        _, _, x = line.quantity.partition("x = ")
        for one in line.computed if x else ():
            found.setdefault(f"{one.run}, {one.model}", []).append((float(x), one.value, one.low, one.high))
    if not found:
        return
    xs = [point[0] for points in found.values() for point in points]
    zero = Series(
        label="equal", x=np.array([min(xs), max(xs)]), y=np.zeros(2), style="dashed", colour=INK, width=1.0
    )
    yield Figure(
        name=name,
        title=f"{title} over x",
        caption="Below zero the trigonal phase is stable. Bars: one standard deviation from the error of the "
        "potential, where one was given. The study's numbers are not at hand.",
        x=Axis(title="x"),
        y=Axis(title=title, unit="meV/atom"),
        series=(zero, *(_points(label, points, look) for (label, points), look in zip(found.items(), _look()))),
    )


def _volume_over_x(inputs: ReproductionInputs) -> Iterator[Figure]:
    series = []
    look = _look()
    for one in inputs.series:
        for k, phase in enumerate(PHASES):
            values = [
                (point.x, point.volumes[k], math.nan, math.nan)
                for point in one.points
                if math.isfinite(point.volumes[k])
            ]
            if values:
                series.append(_points(f"{one.origin.name}, {phase}, {one.model.name}", values, next(look)))
    if series:
        yield Figure(
            name="volume-over-x",
            title="Volume of the relaxed cells over x",
            caption="At 0 K, without errors: differences between orderings are not shown.",
            x=Axis(title="x"),
            y=Axis(title="Volume per atom", unit="Å³"),
            series=tuple(series),
        )


def _errors_over_t(study: Published, inputs: ReproductionInputs) -> Iterator[Figure]:
    """Energy, forces and stress over temperature, each with the limits of the study's fine-tuned potential."""
    limits = study.accuracy["fine-tuned"]
    told = [one for one in inputs.evaluations if one.over_temperature and one.kind != "training"]
    for column, (name, title, unit, key) in enumerate(_ERRORS, start=1) if told else ():
        series = [
            _points(
                f"{one.model.name}, {one.set_name}",
                [(row[0], row[column], math.nan, math.nan) for row in one.over_temperature],
                look,
            )
            for one, look in zip(told, _look())
        ]
        ends = np.array(study.protocol.test_temperatures_k)
        lines = [
            Series(label=f"study: {words} at most", x=ends, y=np.full(2, limits[of][key]), style=style, colour=INK)
            for of, words, style in (("ends", "end members", "dashed"), ("all", "all sets", "dotted"))
        ]
        yield Figure(
            name=f"errors-{name}",
            title=f"{title} over temperature",
            caption="Mean absolute errors of the frames at each temperature; few frames scatter. Lines: what the "
            "study's fine-tuned potential does not exceed.",
            x=Axis(title="Temperature", unit="K"),
            y=Axis(title=title, unit=unit, is_log=True),
            series=(*series, *lines),
        )


def _parity(inputs: ReproductionInputs) -> Iterator[Figure]:
    for quantity, (title, unit) in _PARITY.items():
        series, ends = [], []
        for one, look in zip(inputs.evaluations, _look()):
            pairs = one.parity.get(quantity)
            if pairs is None or len(pairs) == 0:
                continue
            if quantity == "energies":  # without the constant that another code's zero of energy is
                pairs = pairs - pairs.mean(axis=0)
            shown = pairs[:: math.ceil(len(pairs) / _MOST_POINTS)]
            label = f"{one.model.name}, {one.set_name}"
            series.append(_points(label, [(x, y, math.nan, math.nan) for x, y in shown], look))
            ends += [float(shown.min()), float(shown.max())]
        if not series:
            continue
        line = np.array([min(ends), max(ends)])
        equal = Series(label="equal", x=line, y=line, style="dashed", colour=INK, width=1.0)
        shifted = " Both without the mean of their set." if quantity == "energies" else ""
        yield Figure(
            name=f"parity-{quantity}",
            title=f"{title}: potential against label",
            caption=f"At most {_MOST_POINTS} evenly chosen points of each set.{shifted}",
            x=Axis(title=f"{title}, label", unit=unit),
            y=Axis(title=f"{title}, potential", unit=unit),
            series=(*series, equal),
        )


def _transport(exhibit: Exhibit, study: Published, inputs: ReproductionInputs) -> Iterator[Figure]:
    for x in sorted({*END_MEMBERS, *(run.x for run in inputs.runs if math.isfinite(run.x))}):
        runs = [run for run in inputs.runs if run.x == x and any(one.is_diffusive for one in run.runs)]
        if runs:
            yield _arrhenius(composition_name(x), runs, study)
    yield from _conductivity_over_x(exhibit)


def _arrhenius(name: str, runs: Sequence[ComputedRun], study: Published) -> Figure:
    kelvins = [300.0, *(one.temperature_k for run in runs for one in run.runs)]
    inverse = np.linspace(1 / max(kelvins), 1 / 300.0, 41)
    series = []
    for (condition, row), colour, style in zip(
        study_model_rows(study, name).items(), cycle((SKY, GREY, INK)), cycle(("dashed", "dotted"))
    ):
        values = np.array([diffusivity_to_cm2_per_s(published_diffusivity(row, 1 / each)) for each in inverse])
        if np.isfinite(values).all():
            label = f"study: {condition}"
            series.append(Series(label=label, x=1000 * inverse, y=values, style=style, colour=colour, width=1.6))
    for run, look in zip(runs, _look()):
        series += _of_run(run, look)
    margin = 0.06 * (1000 / 300 - 1000 / max(kelvins))
    return Figure(
        name="diffusivity-" + name.replace(" = ", ""),
        title=f"Tracer diffusivity of {name}",
        caption="Bars: one standard deviation of the logarithm; lines of runs: their fits. The study's lines are "
        "made from its activation energies and conductivities at 300 K, by Nernst-Einstein.",
        x=Axis(title="1000 / T", unit="1/K", limits=(1000 / max(kelvins) - margin, 1000 / 300 + margin)),
        y=Axis(title="Diffusivity", unit="cm²/s", is_log=True),
        series=tuple(series),
        top_title="Temperature (K)",
        top_ticks=kelvin_ticks(300.0, max(kelvins)),
    )


def _of_run(run: ComputedRun, look: tuple[str, Marker]) -> list[Series]:
    factor = diffusivity_to_cm2_per_s(1.0)
    moved = [one for one in run.runs if one.is_diffusive]
    label = f"{run.origin.name}, {run.condition}"
    value = factor * np.array([one.diffusivity for one in moved])
    relative = np.array([one.diffusivity_std / one.diffusivity for one in moved])
    ends = zip(
        [1000 / one.temperature_k for one in moved], value, value * np.exp(-relative), value * np.exp(relative)
    )
    series = [_points(label, list(ends), look)]
    if run.arrhenius is not None:
        inverse, middle, *_ = fit_curve(run.arrhenius, 300.0, float(np.max(run.arrhenius.temperatures_k)), 41)
        series.append(Series(label=f"{label}, fit", x=1000 * inverse, y=factor * middle, colour=look[0], width=1.4))
    return series


def _conductivity_over_x(exhibit: Exhibit) -> Iterator[Figure]:
    """Of all lines of the exhibit that name a conductivity: values here, published, measured."""
    xs = {name: x for x, name in END_MEMBERS.items()}
    here: dict[str, list[tuple[float, ...]]] = {}
    others: dict[str, list[tuple[float, ...]]] = {}
    for line in exhibit.lines:
        quantity, _, name = line.quantity.partition(", ")
        if not quantity.startswith("conductivity"):
            continue
        x = xs[name] if name in xs else float(name.removeprefix("x = "))
        for one in line.computed:
            if math.isfinite(one.value):
                label = f"{line.condition}, {one.run}"
                here.setdefault(label, []).append((x, one.value, one.low, one.high))
        if math.isfinite(line.published):
            label = "measured, or AIMD" if line.state == "by others" else f"study: {line.condition}"
            others.setdefault(label, []).append((x, line.published, math.nan, math.nan))
    if not here:
        return
    look = _look()
    series = [_points(label, values, next(look)) for label, values in here.items()]
    greys = cycle([(INK, "circle-open"), (GREY, "square-open"), (GREY, "diamond"), (SKY, "diamond")])
    series += [_points(label, values, next(greys)) for label, values in sorted(others.items())]
    yield Figure(
        name="conductivity-over-x",
        title="Conductivity at 300 K over x",
        caption="Bars: 68 %. Upper bounds are in the table alone. Published points come without errors.",
        x=Axis(title="x"),
        y=Axis(title="Conductivity at 300 K", unit="mS/cm", is_log=True),
        series=tuple(series),
    )

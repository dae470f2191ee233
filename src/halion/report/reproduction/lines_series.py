"""Table 3, Figure 3 and Figure S4: energies of the two phases over x, and the volumes of their relaxed cells."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from halion.report.reproduction.inputs import ComputedSeries, ReproductionInputs, SeriesPoint
from halion.report.reproduction.lines_transport import NOT_AT_HAND, composition_name
from halion.report.reproduction.published import Published
from halion.report.reproduction.types import Computed, Line

__all__ = ["difference_lines", "volume_lines"]

_NO_SERIES = "no series was given (halion series, halion stability)"
PHASES = ("trigonal", "monoclinic")


def _xs(study: Published, inputs: ReproductionInputs) -> list[float]:
    """The study's compositions, and those computed here."""
    step = study.protocol.substitution_step_x
    own = {round(point.x, 6) for one in inputs.series for point in one.points}
    return sorted({*np.arange(0.0, 6.0 + step / 2, step).round(6).tolist(), *own})


def _at(one: ComputedSeries, x: float) -> SeriesPoint | None:
    return next((point for point in one.points if abs(point.x - x) < 1e-6), None)


def difference_lines(study: Published, inputs: ReproductionInputs) -> list[Line]:
    """E(trigonal) - E(monoclinic) per atom at each x, and the x at which it changes sign."""
    lines = [
        Line(
            quantity=f"E(trigonal) - E(monoclinic), x = {x:g}",
            condition="relaxed, 0 K",
            unit="meV/atom",
            published=math.nan,
            source=NOT_AT_HAND,
            computed=(computed := tuple(_differences(inputs, x))),
            why="" if computed else _why_not(inputs, x, "difference"),
        )
        for x in _xs(study, inputs)
    ]
    changes = tuple(
        Computed(value=x, run=one.origin.name, model=one.model.name, words=one.verdict)
        for one in inputs.series
        for x in one.transitions
    )
    told = "; ".join(f"{one.origin.name}: {one.verdict}" for one in inputs.series if one.verdict)
    change = Line(
        quantity="x where the stable phase changes",
        condition="relaxed, 0 K",
        unit="",
        published=math.nan,
        source=NOT_AT_HAND,
        computed=changes,
        why="" if changes else told or _why_not(inputs, math.nan, "difference"),
    )
    return [*lines, change]


def _differences(inputs: ReproductionInputs, x: float) -> Iterator[Computed]:
    for one in inputs.series:
        point = _at(one, x)
        if point is None or not math.isfinite(point.difference):
            continue
        value, std = 1000 * point.difference, 1000 * point.std
        lower = "trigonal" if value < 0 else "monoclinic"
        yield Computed(
            value=value,
            low=value - std,
            high=value + std,
            run=one.origin.name,
            model=one.model.name,
            words=f"{lower} is lower" + ("" if math.isfinite(std) else "; no error of the potential was given"),
        )


def _why_not(inputs: ReproductionInputs, x: float, what: str) -> str:
    if not inputs.series:
        return _NO_SERIES
    return "; ".join(f"{one.origin.name}: {_why_not_in(one, x, what)}" for one in inputs.series)


def _why_not_in(one: ComputedSeries, x: float, what: str) -> str:
    point = _at(one, x)
    if point is None:
        unfinished = f", {one.origin.state}" if one.origin.state else ""
        return f"it has x = {', '.join(f'{each.x:g}' for each in one.points)}{unfinished}"
    if point.left_out:
        return point.left_out
    return "only one of the phases is there" if what == "difference" else "this phase is not there"


def volume_lines(study: Published, inputs: ReproductionInputs) -> list[Line]:
    """Volume per atom of each phase at each x, by the potential; by DFT where somebody relaxed with it."""
    lines: list[Line] = []
    for k, phase in enumerate(PHASES):
        for x in _xs(study, inputs):
            computed = tuple(_volumes(inputs, x, k))
            lines.append(
                Line(
                    quantity=f"volume of the {phase} phase, {composition_name(x)}",
                    condition="relaxed by the potential, 0 K",
                    unit="Å³/atom",
                    published=math.nan,
                    source=NOT_AT_HAND,
                    computed=computed,
                    why="" if computed else _why_not(inputs, x, "volume"),
                )
            )
    return lines


def _volumes(inputs: ReproductionInputs, x: float, phase: int) -> Iterator[Computed]:
    for one in inputs.series:
        point = _at(one, x)
        if point is not None and math.isfinite(point.volumes[phase]):
            yield Computed(value=point.volumes[phase], run=one.origin.name, model=one.model.name, words=_size(one))


def _size(one: ComputedSeries) -> str:
    fewest, most = one.n_atoms
    return "" if not most else f"{fewest} to {most} atoms" if fewest < most else f"{most} atoms"

"""Figures of the stability of a series over its composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from halion.arrays import FloatArray
from halion.report.figure import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    Axis,
    Band,
    Figure,
    Marker,
    Series,
    Span,
)
from halion.stability import FreeEnergyCurve, PhaseDifference, Stability

__all__ = ["PublishedDifference", "stability_figures"]

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
_MARKERS: tuple[Marker, ...] = ("circle", "square", "diamond", "triangle-down")
_OTHERS: tuple[Marker, ...] = ("square-open", "circle-open")
_LEFT_OUT = "left out: transformed or not converged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDifference:
    """Differences of two phases that somebody else gives.

    Attributes:
        source: who, e.g. "DFT, arXiv:2510.09861".
        x: (n,) compositions.
        difference: (n,) E(first) - E(second), eV/atom, the phases in the order of the computed difference.
    """

    source: str
    x: FloatArray
    difference: FloatArray


def stability_figures(found: Stability, published: Sequence[PublishedDifference] = ()) -> tuple[Figure, ...]:
    """Formation energy, differences of phases, hull, free energy and volume over x; one without data is left out.

    Args:
        found: from `assess_stability`.
        published: differences of others, drawn beside those computed of the first pair of phases.

    Checked by tests/report/test_report_figures_stability.py: every value is drawn, both drawers take them.
    """
    figures = [_formation(found), _hull(found), _volume(found)]
    for k, one in enumerate(found.differences):
        figures.insert(1 + k, _difference(one, published if k == 0 else ()))
    figures += [_free_energy(found, curve) for curve in found.free_energies]
    return tuple(figures)


def _x_axis(found: Stability) -> Axis:
    return Axis(title=f"x, from {found.ends[0]} to {found.ends[1]}")


def _look(found: Stability) -> dict[str, tuple[str, Marker]]:
    return dict(zip(found.phases, zip(cycle(_COLOURS), cycle(_MARKERS))))


def _formation(found: Stability) -> Figure:
    series: list[Series] = []
    for phase, (colour, marker) in _look(found).items():
        every = [p for p in found.formation.points if p.phase == phase]
        points = [p for p in every if not p.left_out]
        x, y = np.array([p.x for p in points]), 1000 * np.array([p.common for p in points])
        std = 1000 * np.array([p.common_std for p in points])
        has_band = bool(np.isfinite(std).all())
        series.append(Series(label=phase, x=x, y=y, colour=colour, width=1.2))
        series.append(
            Series(
                label=phase,
                x=x,
                y=y,
                y_low=y - std if has_band else None,
                y_high=y + std if has_band else None,
                style="points",
                marker=marker,
                colour=colour,
            )
        )
        series += _left_out([p.x for p in every if p.left_out], [1000 * p.common for p in every if p.left_out])
    return Figure(
        name="formation-energy",
        title="Formation energy from the lowest end members",
        caption="Relaxed cells at 0 K. Bars: one standard deviation from the potential's error"
        + ("." if any(np.isfinite(p.common_std) for p in found.formation.points) else "; none was given."),
        x=_x_axis(found),
        y=Axis(title="Formation energy", unit="meV/atom"),
        series=tuple(series),
    )


def _left_out(x: list[float], y: list[float]) -> list[Series]:
    if not x:
        return []
    return [
        Series(label=_LEFT_OUT, x=np.array(x), y=np.array(y), style="points", marker="circle-open", colour=GREY)
    ]


def _difference(found: PhaseDifference, published: Sequence[PublishedDifference]) -> Figure:
    y, label = 1000 * found.difference, f"E({found.first}) − E({found.second})"
    zero = Series(label="equal energies", x=found.x[[0, -1]], y=np.zeros(2), style="dashed", colour=INK, width=1.0)
    others = tuple(
        Series(label=one.source, x=one.x, y=1000 * one.difference, style="points", marker=marker, colour=colour)
        for one, colour, marker in zip(published, cycle(_COLOURS[1:]), cycle(_OTHERS))
    )
    spans = tuple(
        Span(label="transition, 68 %", start=error.low68, stop=error.high68, colour=ORANGE)
        for transition in found.transitions
        for error in transition.errors[:1]
        if np.isfinite([error.low68, error.high68]).all()
    )
    computed = (
        Series(label=label, x=found.x, y=y, width=1.2),
        Series(label=label, x=found.x, y=y, style="points"),
    )
    return Figure(
        name=f"difference-{found.first}-{found.second}",
        title=f"{label} over x",
        caption=f"Below zero {found.first} is stable. {found.verdict}",
        x=Axis(title="x"),
        y=Axis(title=label, unit="meV/atom"),
        series=(zero, *computed, *others),
        bands=_difference_bands(found),
        spans=spans,
    )


def _difference_bands(found: PhaseDifference) -> tuple[Band, ...]:
    """One standard deviation; equal bands are drawn once."""
    y = 1000 * found.difference
    bands = tuple(
        Band(label=text, x=found.x, low=y - 1000 * std, high=y + 1000 * std, opacity=opacity)
        for text, std, opacity in (
            ("one standard deviation", found.std, 0.18),
            ("the same, one error per phase", found.std_shift, 0.10),
        )
        if np.isfinite(std).all() and std.any()
    )
    return bands[:1] if len(bands) == 2 and np.allclose(bands[0].low, bands[1].low) else bands


def _hull(found: Stability) -> Figure:
    corners = Series(
        label="lower hull", x=found.hull.x, y=1000 * found.hull.formation, colour=INK, style="dashed", width=1.2
    )
    series = [corners]
    for phase, (colour, marker) in _look(found).items():
        points = [p for p in found.hull.points if p.phase == phase and not p.left_out]
        series.append(
            Series(
                label=phase,
                x=np.array([p.x for p in points]),
                y=1000 * np.array([p.formation for p in points]),
                style="points",
                marker=marker,
                colour=colour,
            )
        )
    return Figure(
        name="hull",
        title="Lower convex hull",
        caption=found.hull.verdict,
        x=_x_axis(found),
        y=Axis(title="Formation energy", unit="meV/atom"),
        series=tuple(series),
    )


def _free_energy(found: Stability, curve: FreeEnergyCurve) -> Figure:
    look = _look(found)
    spans = tuple(
        Span(label=f"{gap.phase_left} + {gap.phase_right}", start=gap.x_left, stop=gap.x_right, colour=ORANGE)
        for gap in curve.gaps
    )
    return Figure(
        name=f"free-energy-{curve.temperature_k:g}K",
        title=f"Free energy of mixing at {curve.temperature_k:g} K",
        caption=" ".join(
            [
                "Above the lowest ends, per formula unit.",
                curve.verdict,
                *curve.notes,
                *(["Shaded: two phases."] if spans else []),
            ]
        ),
        x=_x_axis(found),
        y=Axis(title="Free energy of mixing", unit="meV/f.u."),
        series=tuple(
            Series(label=phase, x=curve.x, y=1000 * values, colour=look[phase][0], width=1.6)
            for phase, values in curve.free_energy.items()
        ),
        spans=spans,
    )


def _volume(found: Stability) -> Figure:
    series: list[Series] = []
    for phase, (colour, marker) in _look(found).items():
        points = [p for p in found.structure.points if p.phase == phase and not p.left_out]
        if not points:
            continue
        x, y = np.array([p.x for p in points]), np.array([p.volume for p in points])
        series.append(Series(label=phase, x=x, y=y, style="points", marker=marker, colour=colour))
        if np.isfinite([p.volume_vegard for p in points]).all():
            line = y - [p.volume_vegard for p in points]
            series.append(Series(label=f"{phase}, Vegard", x=x, y=line, style="dotted", colour=colour, width=1.4))
    return Figure(
        name="volume",
        title="Volume over x",
        caption="Relaxed cells at 0 K; dotted: the straight line between the ends of each phase.",
        x=_x_axis(found),
        y=Axis(title="Volume per atom", unit="Å³"),
        series=tuple(series),
    )

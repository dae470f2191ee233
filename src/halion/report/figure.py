"""One description of a figure, drawn twice elsewhere: plotly in the page, matplotlib beside it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halion.arrays import FloatArray

__all__ = ["Axis", "Band", "Figure", "Note", "Series", "Span", "figure_csv", "temperature_colours"]

Style = Literal["line", "dashed", "dotted", "points"]
Marker = Literal["circle", "square", "diamond", "star", "triangle-down", "circle-open", "square-open"]

# Okabe and Ito's palette: told apart in every common kind of colour blindness, and in print.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, INK, GREY = "#E69F00", "#56B4E9", "#1D2733", "#7A8694"

# Dark blue to amber with steadily rising lightness, so that the order of temperatures survives grey print.
_COLD_TO_HOT = ((30, 42, 120), (92, 38, 140), (168, 44, 118), (214, 82, 60), (232, 150, 30))


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Attributes:
        title: the quantity, without its unit.
        unit: its unit; empty for a pure number.
        is_log: logarithmic scale.
        limits: lowest and highest value shown; None: chosen from the data.
    """

    title: str
    unit: str = ""
    is_log: bool = False
    limits: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        """Title and unit, as printed beside the axis and in table headers."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points or a line.

    Attributes:
        label: name in the legend; series that share it share the legend's entry.
        x, y: (n,) values.
        y_low, y_high, x_low, x_high: (n,) ends of the error bars (values, not lengths); None: no bars.
        style: "points" or a kind of line.
        marker: symbol of points.
        colour: as #RRGGBB.
        width: of a line; points take 3 + 3 * width.
    """

    label: str
    x: FloatArray
    y: FloatArray
    y_low: FloatArray | None = None
    y_high: FloatArray | None = None
    x_low: FloatArray | None = None
    x_high: FloatArray | None = None
    style: Style = "line"
    marker: Marker = "circle"
    colour: str = BLUE
    width: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An area between two curves, e.g. one standard deviation."""

    label: str
    x: FloatArray
    low: FloatArray
    high: FloatArray
    colour: str = BLUE
    opacity: float = 0.18


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A shaded stretch of the x axis, e.g. a fit window."""

    label: str
    start: float
    stop: float
    colour: str = BLUE
    opacity: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A short text that stands above a point of the figure and ends there."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure, independent of who draws it.

    Attributes:
        name: stem of its files.
        title: what it shows.
        caption: how to read it; says where an error bar is missing.
        x, y: axes.
        series, bands, spans, notes: what is drawn.
        top_title, top_ticks: second labelling of the x axis, (position, text) each; e.g. kelvin over 1000/T.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    bands: tuple[Band, ...] = ()
    spans: tuple[Span, ...] = ()
    notes: tuple[Note, ...] = ()
    top_title: str = ""
    top_ticks: tuple[tuple[float, str], ...] = ()


def temperature_colours(n: int) -> list[str]:
    """Colours for n temperatures, cold to hot."""
    anchors = np.array(_COLD_TO_HOT, float)
    places = np.linspace(0, len(anchors) - 1, n) if n > 1 else np.array([(len(anchors) - 1) / 2])
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, k]) for k in range(3)]
    return ["#{:02X}{:02X}{:02X}".format(*(round(value) for value in rgb)) for rgb in zip(*channels)]


def figure_csv(figure: Figure) -> str:
    """Everything that a figure draws as one table in long form; numbers in shortest round-trip decimals.

    Columns: series, role (points, line, band, span), x, y, low and high of y, low and high of x.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    x, y = figure.x.label, figure.y.label
    writer.writerow(["series", "role", x, y, f"low {y}", f"high {y}", f"low {x}", f"high {x}"])
    writer.writerows(_rows(figure))
    return text.getvalue()


def _rows(figure: Figure) -> Iterator[list[str]]:
    for series in figure.series:
        role = "points" if series.style == "points" else "line"
        ends = (series.y_low, series.y_high, series.x_low, series.x_high)
        for k in range(len(series.x)):
            values = [series.x[k], series.y[k], *(math.nan if end is None else end[k] for end in ends)]
            yield [series.label, role, *map(_cell, values)]
    for band in figure.bands:
        for x, low, high in zip(band.x, band.low, band.high, strict=True):
            yield [band.label, "band", _cell(x), "", _cell(low), _cell(high), "", ""]
    for span in figure.spans:
        yield [span.label, "span", "", "", "", "", _cell(span.start), _cell(span.stop)]


def _cell(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""

"""A `Figure` as a plotly specification, and the plotly.js that draws it, taken once from the plotly package."""

from __future__ import annotations

import html
import math
from importlib import resources
from typing import Any

from halion.arrays import FloatArray
from halion.report.figure import GREY, INK, Axis, Band, Figure, Series

__all__ = ["plotly_javascript", "plotly_specification"]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'
_DASH = {"line": "solid", "dashed": "dash", "dotted": "dot"}
_GRID = "#E6EAEF"


def plotly_javascript() -> str:
    """The source of plotly.js."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def plotly_specification(figure: Figure) -> dict[str, Any]:
    """Traces and layout of a figure, as plain values ready for JSON.

    Texts are HTML-escaped, because plotly reads tags in them.
    Checked by tests/report/test_report_figures.py: plotly's own schema accepts it, every number is there.
    """
    seen: set[str] = set()
    traces = [trace for band in figure.bands for trace in _band(band)]
    for series in figure.series:
        traces.append(_series(series, show=series.label not in seen))
        seen.add(series.label)
    layout = _layout(figure)
    if figure.top_ticks:
        traces.append(_top_axis_holder(figure))
        layout["xaxis2"] = _top_axis(figure)
    return {"data": traces, "layout": layout}


def _series(series: Series, *, show: bool) -> dict[str, Any]:
    is_points = series.style == "points"
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers" if is_points else "lines",
        "name": html.escape(series.label),
        "legendgroup": html.escape(series.label),
        "showlegend": show,
        "x": _values(series.x),
        "y": _values(series.y),
    }
    if is_points:
        size = 3 + 3 * series.width
        trace["marker"] = {"symbol": series.marker, "size": size, "color": series.colour}
        trace["marker"]["line"] = {"width": 1.6 if series.marker.endswith("open") else 0, "color": series.colour}
    else:
        trace["line"] = {"color": series.colour, "width": series.width, "dash": _DASH[series.style]}
    for axis, middle, low, high in (
        ("error_y", series.y, series.y_low, series.y_high),
        ("error_x", series.x, series.x_low, series.x_high),
    ):
        if low is not None and high is not None:
            trace[axis] = {
                "type": "data",
                "symmetric": False,
                "array": _values(high - middle),
                "arrayminus": _values(middle - low),
                "color": series.colour,
                "thickness": 1.5,
                "width": 4,
            }
    return trace


def _band(band: Band) -> list[dict[str, Any]]:
    shared = {"type": "scatter", "mode": "lines", "x": _values(band.x), "line": {"width": 0}, "hoverinfo": "skip"}
    name = html.escape(band.label)
    fill = {"fill": "tonexty", "fillcolor": _transparent(band.colour, band.opacity), "name": name}
    return [
        {**shared, "y": _values(band.low), "showlegend": False, "legendgroup": name},
        {**shared, "y": _values(band.high), **fill, "legendgroup": name},
    ]


def _layout(figure: Figure) -> dict[str, Any]:
    return {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "#FFFFFF",
        "margin": {"l": 64, "r": 16, "t": 52 if figure.top_ticks else 16, "b": 56},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#9AA5B1", "activecolor": INK},
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "font": {"size": 12}},
        "xaxis": _axis(figure.x, [one.x for one in figure.series]),
        "yaxis": _axis(figure.y, [one.y for one in figure.series]),
        "shapes": [
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": span.start,
                "x1": span.stop,
                "y0": 0,
                "y1": 1,
                "fillcolor": _transparent(span.colour, span.opacity),
                "line": {"width": 0},
                "layer": "below",
            }
            for span in figure.spans
        ],
        "annotations": [
            {
                "x": math.log10(note.x) if figure.x.is_log else note.x,
                "y": math.log10(note.y) if figure.y.is_log else note.y,
                "text": html.escape(note.text),
                "showarrow": False,
                "xanchor": "right",
                "yanchor": "bottom",
                "xshift": 14,
                "yshift": 3,
                "font": {"size": 12, "color": INK},
            }
            for note in figure.notes
        ],
    }


def _axis(axis: Axis, values: list[FloatArray]) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "title": {"text": html.escape(axis.label), "standoff": 8, "font": {"size": 13}},
        "type": "log" if axis.is_log else "linear",
        "gridcolor": _GRID,
        "linecolor": GREY,
        "ticks": "outside",
        "tickcolor": GREY,
        "showline": True,
        "zeroline": False,
        "automargin": True,
    }
    if axis.is_log:
        lowest, highest = (edge(edge(part) for part in values if len(part)) for edge in (min, max))
        # Under one and a half decades, 2 and 5 are labelled too: else there may be one label or none.
        steps = "D2" if highest < 30 * lowest else 1
        drawn |= {"dtick": steps, "exponentformat": "power", "minor": {"ticks": "outside", "ticklen": 3}}
    if axis.limits is not None:
        drawn["range"] = [math.log10(end) for end in axis.limits] if axis.is_log else list(axis.limits)
    return drawn


def _top_axis(figure: Figure) -> dict[str, Any]:
    return {
        "overlaying": "x",
        "matches": "x",
        "side": "top",
        "title": {"text": html.escape(figure.top_title), "standoff": 6, "font": {"size": 13}},
        "tickvals": [place for place, _ in figure.top_ticks],
        "tickangle": 0,
        "ticktext": [html.escape(text) for _, text in figure.top_ticks],
        "showgrid": False,
        "showline": True,
        "linecolor": GREY,
        "ticks": "outside",
        "tickcolor": GREY,
        "zeroline": False,
    }


def _top_axis_holder(figure: Figure) -> dict[str, Any]:
    """An invisible trace: plotly shows a second x axis only if something uses it."""
    first = figure.series[0]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": _values(first.x[:1]),
        "y": _values(first.y[:1]),
        "xaxis": "x2",
        "marker": {"opacity": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _values(array: Any) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in array]


def _transparent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"

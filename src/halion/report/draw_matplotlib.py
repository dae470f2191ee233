"""A `Figure` as an SVG file by matplotlib: the same bytes for the same figure, no date, no random ids."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from halion.report.figure import GREY, INK, Axis, Figure, Series
from halion.report.text import superscript

__all__ = ["figure_svg", "figures_svg"]

_DASH = {"line": "-", "dashed": (0, (5, 3)), "dotted": (0, (1.5, 2))}
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "star": "*",
    "triangle-down": "v",
    "circle-open": "o",
    "square-open": "s",
}
_STYLE = {
    "svg.fonttype": "path",  # looks the same where the font is missing
    "text.parse_math": False,  # a dollar sign in a crystal's name is a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#E6EAEF",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def figure_svg(figure: Figure) -> str:
    """The figure as SVG text, 16 cm wide, legend below.

    Checked by tests/report/test_report_figures.py: valid XML, identical on a second run.
    """
    return _svg([figure], (6.3, 3.9), is_titled=False)


def figures_svg(figures: Sequence[Figure]) -> str:
    """Figures side by side as SVG text, each 8 cm wide under its title, one legend below.

    Checked by tests/report/test_report_potential_errors.py.
    """
    return _svg(figures, (3.15 * len(figures), 3.2), is_titled=True)


def _svg(figures: Sequence[Figure], size: tuple[float, float], *, is_titled: bool) -> str:
    labels = {part.label for figure in figures for part in (*figure.series, *figure.bands)}
    height = size[1] + 0.19 * math.ceil(len(labels) / 2)
    first, unique = figures[0], {}
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": first.name}):
        canvas = Canvas(figsize=(size[0], height), layout="constrained")
        for axes, figure in zip(canvas.subplots(1, len(figures), squeeze=False)[0], figures, strict=True):
            _draw(axes, figure)
            if is_titled:
                axes.set_title(figure.title, fontsize=8)
            handles, names = axes.get_legend_handles_labels()
            unique |= dict(zip(names, handles, strict=True))
        canvas.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=2)
        text = io.StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": "halion", "Title": first.title})
    # The DOCTYPE names a DTD on the web, which a reader of XML may fetch.
    return re.sub(r"<!DOCTYPE.*?>\s*", "", text.getvalue(), flags=re.DOTALL)


def _draw(axes: Axes, figure: Figure) -> None:
    for span in figure.spans:
        axes.axvspan(span.start, span.stop, color=span.colour, alpha=span.opacity, linewidth=0)
    for band in figure.bands:
        axes.fill_between(
            band.x,
            band.low,
            band.high,
            color=band.colour,
            alpha=band.opacity,
            linewidth=0,
            label=_legend(band.label),
        )
    for series in figure.series:
        _draw_series(axes, series)
    for note in figure.notes:
        place = {"xytext": (9, 4), "textcoords": "offset points", "ha": "right", "va": "bottom"}
        axes.annotate(note.text, (note.x, note.y), fontsize=8, **place)
    _dress(axes, figure.x, "x")
    _dress(axes, figure.y, "y")
    if figure.top_ticks:
        top = axes.secondary_xaxis("top")
        top.set_xticks([place for place, _ in figure.top_ticks], [text for _, text in figure.top_ticks])
        top.set_xlabel(figure.top_title)


def _draw_series(axes: Axes, series: Series) -> None:
    is_points = series.style == "points"
    look = {"color": series.colour, "label": _legend(series.label)}
    if is_points:
        is_open = series.marker.endswith("open")
        look |= {
            "linestyle": "none",
            "marker": _MARKERS[series.marker],
            "markersize": (2.2 + 1.6 * series.width) * (1.5 if series.marker == "star" else 1.0),
            "markerfacecolor": "white" if is_open else series.colour,
        }
    else:
        look |= {"linestyle": _DASH[series.style], "linewidth": 0.75 * series.width}
    axes.errorbar(
        series.x,
        series.y,
        xerr=_lengths(series.x, series.x_low, series.x_high),
        yerr=_lengths(series.y, series.y_low, series.y_high),
        capsize=2.5,
        elinewidth=1.1,
        **look,
    )


def _lengths(middle: np.ndarray, low: np.ndarray | None, high: np.ndarray | None) -> np.ndarray | None:
    if low is None or high is None:
        return None
    # Rounding may leave an end a hair on the wrong side of its value, which matplotlib refuses.
    return np.clip([middle - low, high - middle], 0.0, None)


def _dress(axes: Axes, axis: Axis, which: str) -> None:
    side = axes.xaxis if which == "x" else axes.yaxis
    side.set_label_text(axis.label)
    if axis.is_log:
        getattr(axes, f"set_{which}scale")("log")
        low, high = getattr(axes, f"get_{which}lim")()
        few = high < 30 * low  # a scale this short would else have one label or none
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=12))
        side.set_major_formatter(FuncFormatter(_log_label))
        side.set_minor_formatter(NullFormatter())
    if axis.limits is not None:
        getattr(axes, f"set_{which}lim")(*axis.limits)


def _log_label(value: float, _position: int) -> str:
    if value <= 0:
        return ""
    exponent = math.floor(math.log10(value) + 1e-9)
    mantissa = round(value / 10.0**exponent)
    if 0 <= exponent <= 3:
        return f"{mantissa * 10**exponent}"
    return f"10{superscript(exponent)}" if mantissa == 1 else f"{mantissa}×10{superscript(exponent)}"


def _legend(label: str) -> str:
    # matplotlib hides labels that begin with an underscore.
    return f" {label}" if label.startswith("_") else label

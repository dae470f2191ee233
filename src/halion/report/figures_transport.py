"""Figures of the motion: mean squared displacements of the mobile ions and of the framework."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halion.arrays import FloatArray
from halion.report.figure import BLUE, GREY, INK, Axis, Figure, Series, Span, Style, temperature_colours
from halion.report.text import plain
from halion.transport.types import RunTransport

__all__ = ["framework_figure", "msd_figures"]

_LAG = "Lag time"
_MSD = "Mean squared displacement"
MOST_POINTS = 400  # per curve: finer than the width of a page, and light to draw
_FRAMEWORK_STYLES: tuple[Style, ...] = ("line", "dashed", "dotted")


def msd_figures(runs: Sequence[RunTransport]) -> tuple[Figure, ...]:
    """Mean squared displacement against lag time, linear and on logarithmic scales."""
    if not runs:
        return ()
    runs = sorted(runs, key=lambda run: run.target_temperature_k)
    colours = temperature_colours(len(runs))
    species = runs[0].species
    curves = [
        Series(
            label=f"{plain(run.target_temperature_k, 'K')}", x=run.lag_time_ps[kept], y=run.msd[kept], colour=colour
        )
        for run, colour in zip(runs, colours)
        for kept in [_thinned(run.lag_time_ps)]
    ]
    fits = [line for run in runs if run.is_diffusive for line in _fitted_line(run)]
    spans = _windows(runs)
    linear = Figure(
        name="msd",
        title=f"Mean squared displacement of {species}",
        caption="Fit windows shaded, fitted lines dashed. Curves carry no error bars of their own; "
        "the error of each slope is in the table of runs.",
        x=Axis(title=_LAG, unit="ps"),
        y=Axis(title=_MSD, unit="Å²"),
        series=(*curves, *fits),
        spans=spans,
    )
    logarithmic = Figure(
        name="msd-log",
        title=f"Mean squared displacement of {species}, logarithmic",
        caption="A diffusing ion follows the dotted guide of slope 1; a caged one stays flat.",
        x=Axis(title=_LAG, unit="ps", is_log=True),
        y=Axis(title=_MSD, unit="Å²", is_log=True),
        series=(*(_positive(curve) for curve in curves), _guide(runs)),
        spans=spans,
    )
    return linear, logarithmic


def framework_figure(runs: Sequence[RunTransport]) -> Figure | None:
    """Mean squared displacement of every framework element: flat while the framework is intact."""
    runs = sorted((run for run in runs if run.framework_msd), key=lambda run: run.target_temperature_k)
    if not runs:
        return None
    elements = list(dict.fromkeys(element for run in runs for element in run.framework_msd))
    series = [
        Series(
            label=f"{element}, {plain(run.target_temperature_k, 'K')}",
            x=run.lag_time_ps[kept],
            y=run.framework_msd[element][kept],
            style=_FRAMEWORK_STYLES[elements.index(element) % len(_FRAMEWORK_STYLES)],
            colour=colour,
            width=1.6,
        )
        for run, colour in zip(runs, temperature_colours(len(runs)))
        for kept in [_thinned(run.lag_time_ps)]
        for element in run.framework_msd
    ]
    return Figure(
        name="framework",
        title="Does the framework hold?",
        caption="Framework atoms that only vibrate stay flat; a steady rise is melting. No error bars are known.",
        x=Axis(title=_LAG, unit="ps"),
        y=Axis(title=_MSD, unit="Å²"),
        series=tuple(series),
    )


def _thinned(lags: FloatArray) -> FloatArray:
    """Indices of at most so many lags: all early ones, then evenly in log time; first and last kept."""
    if len(lags) <= MOST_POINTS:
        return np.arange(len(lags))
    return np.unique(np.round(np.geomspace(1, len(lags), MOST_POINTS)).astype(int) - 1)


def _positive(series: Series) -> Series:
    """Without what has no logarithm (lag zero)."""
    kept = (series.x > 0) & (series.y > 0)
    return Series(label=series.label, x=series.x[kept], y=series.y[kept], colour=series.colour, width=series.width)


def _fitted_line(run: RunTransport) -> list[Series]:
    ends = np.array(run.fit_window_ps)
    if not np.all(np.isfinite(ends)):
        return []
    line = run.intercept + 6 * run.diffusivity * ends
    return [Series(label="fits", x=ends, y=line, style="dashed", colour=INK, width=1.4)]


def _windows(runs: Sequence[RunTransport]) -> tuple[Span, ...]:
    """Each different fit window once, the lighter the more there are."""
    windows = sorted({run.fit_window_ps for run in runs if np.all(np.isfinite(run.fit_window_ps))})
    opacity = 0.12 / max(1.0, 0.6 * len(windows))
    return tuple(Span(label="fit window", start=a, stop=b, colour=BLUE, opacity=opacity) for a, b in windows)


def _guide(runs: Sequence[RunTransport]) -> Series:
    """A line of slope 1 at half the lowest end of the curves, so that it crosses none of the late ones."""
    usable = [(run.lag_time_ps > 0) & (run.msd > 0) for run in runs]
    ends = [float(run.msd[kept][-1]) for run, kept in zip(runs, usable) if kept.any()]
    longest = max((float(run.lag_time_ps[-1]) for run in runs), default=1.0)
    x = longest * np.array([1 / 30, 1.0])
    y = min(ends, default=1.0) / 2 * np.array([1 / 30, 1.0])
    return Series(label="slope 1", x=x, y=y, style="dotted", colour=GREY, width=2.4)

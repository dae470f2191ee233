"""Arrhenius plots: conductivity times temperature, and diffusivity, with fit, band, extrapolation and answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.report.figure import BLUE, GREY, VERMILION, Axis, Band, Figure, Note, Series, Style
from halion.report.text import short
from halion.report.types import StudyResults
from halion.transport.arrhenius import ln_diffusivity_quantiles
from halion.transport.types import Arrhenius, Conductivity, RunTransport
from halion.units import BOLTZMANN_EV_PER_K, conductivity_to_ms_per_cm, diffusivity_to_cm2_per_s

__all__ = ["arrhenius_figures", "fit_curve", "kelvin_ticks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What turns a diffusivity (Angstrom^2/ps) into the plotted quantity: a factor, for all temperatures alike."""

    name: str
    title: str
    axis: Axis
    factor: float
    remark: str


def arrhenius_figures(results: StudyResults) -> tuple[Figure, ...]:
    """sigma T, and the diffusivity, against 1000 / T, with the fit, its one-sigma band and the answer."""
    if not results.runs:
        return ()
    scales = [_conductivity_scale(results), _diffusivity_scale()]
    return tuple(_arrhenius(results, scale) for scale in scales if scale is not None)


def _diffusivity_scale() -> _Scale:
    return _Scale(
        name="diffusivity",
        title="Tracer diffusivity",
        axis=Axis(title="Diffusivity", unit="cm²/s", is_log=True),
        factor=diffusivity_to_cm2_per_s(1.0),
        remark="",
    )


def _conductivity_scale(results: StudyResults) -> _Scale | None:
    """sigma T = n q^2 D / (V kB): one volume for all temperatures, so that points, line and answer agree."""
    sigma, coldest = results.conductivity, min(results.runs, key=lambda run: run.target_temperature_k)
    charge = results.crystal.charges.get(coldest.species)
    if charge is None:
        return None
    volume, n_ions = (sigma.volume, sigma.n_ions) if sigma else (coldest.volume, coldest.n_ions)
    if not (math.isfinite(volume) and volume > 0):
        volume, n_ions = coldest.volume, coldest.n_ions
    factor = conductivity_to_ms_per_cm(n_ions * charge**2 / (volume * BOLTZMANN_EV_PER_K)) / 1000.0
    return _Scale(
        name="arrhenius",
        title="Arrhenius plot of the conductivity",
        axis=Axis(title="σT", unit="S K/cm", is_log=True),
        factor=factor,
        remark=f" Nernst–Einstein with {n_ions} ions in {volume:.1f} Å³ at all temperatures.",
    )


def _arrhenius(results: StudyResults, scale: _Scale) -> Figure:
    fit, sigma = results.arrhenius, results.conductivity
    series = [*_run_points(results.runs, scale)]
    bands: list[Band] = []
    report_k = sigma.temperature_k if sigma else 300.0
    temperatures = [report_k, *(run.temperature_k for run in results.runs)]
    if fit is not None:
        lines, band = _fit_lines(fit, scale, min(temperatures), max(temperatures))
        series += lines
        bands.append(band)
    notes: tuple[Note, ...] = ()
    if sigma is not None:
        answer = _answer_point(sigma, fit, scale)
        series += answer
        if answer and scale.name == "arrhenius":
            notes = (_answer_note(sigma, answer[0]),)
    inverse = [1000.0 / kelvin for kelvin in temperatures]
    margin = 0.06 * (max(inverse) - min(inverse)) + 0.01
    return Figure(
        name=scale.name,
        title=scale.title,
        caption="Bars: one standard deviation of the logarithm; band: 68 %; dashed: extrapolated. "
        f"Triangles: 95 % upper bounds{_entered(fit)}.{scale.remark}",
        x=Axis(title="1000 / T", unit="1/K", limits=(min(inverse) - margin, max(inverse) + margin)),
        y=scale.axis,
        series=tuple(series),
        bands=tuple(bands),
        notes=notes,
        top_title="Temperature (K)",
        top_ticks=kelvin_ticks(min(temperatures), max(temperatures)),
    )


def _entered(fit: Arrhenius | None) -> str:
    return ", which entered the fit as such" if fit is not None and fit.bounded_k is not None else ", not fitted"


def _run_points(runs: Sequence[RunTransport], scale: _Scale) -> list[Series]:
    moved = [run for run in runs if run.is_diffusive]
    bounded = [run for run in runs if not run.is_diffusive and math.isfinite(run.upper_bound)]
    series = []
    if moved:
        value = scale.factor * np.array([run.diffusivity for run in moved])
        error = scale.factor * np.array([run.diffusivity_std for run in moved])
        series.append(
            Series(
                label="diffusive runs",
                x=np.array([1000.0 / run.temperature_k for run in moved]),
                y=value,
                # The fit is to ln D, whose standard deviation is the relative error of D.
                y_low=value * np.exp(-error / value),
                y_high=value * np.exp(error / value),
                style="points",
                colour=BLUE,
                width=2.2,
            )
        )
    if bounded:
        series.append(
            Series(
                label="upper bounds",
                x=np.array([1000.0 / run.temperature_k for run in bounded]),
                y=scale.factor * np.array([run.upper_bound for run in bounded]),
                style="points",
                marker="triangle-down",
                colour=GREY,
                width=2.4,
            )
        )
    return series


def _fit_lines(fit: Arrhenius, scale: _Scale, coldest: float, hottest: float) -> tuple[list[Series], Band]:
    """The line solid inside the fitted range and dashed outside; its band everywhere."""
    inside = float(np.min(fit.temperatures_k)), float(np.max(fit.temperatures_k))
    label = "fit"
    parts: list[tuple[float, float, Style, str]] = [(*inside, "line", label)]
    if coldest < inside[0]:
        parts.append((coldest, inside[0], "dashed", "extrapolation"))
    if hottest > inside[1]:
        parts.append((inside[1], hottest, "dashed", "extrapolation"))
    lines = []
    for low, high, style, name in parts:
        inverse, middle, _, _ = fit_curve(fit, low, high, 41)
        lines.append(Series(label=name, x=1000 * inverse, y=scale.factor * middle, style=style, colour=BLUE))
    inverse, _, low, high = fit_curve(fit, min(coldest, inside[0]), max(hottest, inside[1]), 81)
    band = Band(label="68 % interval", x=1000 * inverse, low=scale.factor * low, high=scale.factor * high)
    return lines, band


def fit_curve(fit: Arrhenius, low: float, high: float, n: int) -> tuple[FloatArray, ...]:
    """1/T, and D(T) with the ends of its 68 % interval, which upper bounds make asymmetric."""
    inverse = np.linspace(1.0 / high, 1.0 / low, n)
    levels = np.array([ln_diffusivity_quantiles(fit, 1.0 / each)[:3] for each in inverse])
    return inverse, np.exp(levels[:, 1]), np.exp(levels[:, 0]), np.exp(levels[:, 2])


def _answer_point(sigma: Conductivity, fit: Arrhenius | None, scale: _Scale) -> list[Series]:
    """The reported temperature: value with its 68 % interval, or the upper bound."""
    x = np.array([1000.0 / sigma.temperature_k])
    if math.isfinite(sigma.conductivity_ms_per_cm):
        if scale.name == "arrhenius":
            per_unit = sigma.temperature_k / 1000.0
        elif fit is not None:
            middle = scale.factor * float(fit_curve(fit, sigma.temperature_k, sigma.temperature_k, 1)[1][0])
            per_unit = middle / sigma.conductivity_ms_per_cm
        else:
            return []
        ends = (sigma.conductivity_ms_per_cm, sigma.low_ms_per_cm, sigma.high_ms_per_cm)
        value, low, high = (np.array([per_unit * end]) for end in ends)
        star = {"style": "points", "marker": "star", "colour": VERMILION, "width": 3.5}
        return [Series(label=f"at {sigma.temperature_k:g} K, 68 %", x=x, y=value, y_low=low, y_high=high, **star)]
    if math.isfinite(sigma.upper_bound_ms_per_cm) and scale.name == "arrhenius":
        bound = np.array([sigma.upper_bound_ms_per_cm * sigma.temperature_k / 1000.0])
        down = {"style": "points", "marker": "triangle-down", "colour": VERMILION, "width": 3.0}
        return [Series(label=f"95 % upper bound at {sigma.temperature_k:g} K", x=x, y=bound, **down)]
    return []


def _answer_note(sigma: Conductivity, point: Series) -> Note:
    top = point.y if point.y_high is None else point.y_high
    value = sigma.conductivity_ms_per_cm
    text = f"σ = {short(value, 2)}" if math.isfinite(value) else f"σ < {short(sigma.upper_bound_ms_per_cm, 2)}"
    return Note(x=float(point.x[0]), y=float(top[0]), text=f"{text} mS/cm")


def kelvin_ticks(coldest: float, hottest: float) -> tuple[tuple[float, str], ...]:
    """Round temperatures, at most seven, none nearer than a tenth of the axis to the one before."""
    step = next(step for step in (25, 50, 100, 200, 500, 1000, 10000) if (hottest - coldest) / step <= 7)
    first = math.ceil(coldest / step - 1e-9) * step
    apart = 0.1 * (1000.0 / coldest - 1000.0 / hottest)
    ticks: list[tuple[float, str]] = []
    for kelvin in range(first, math.floor(hottest) + 1, step):
        if not ticks or ticks[-1][0] - 1000.0 / kelvin >= apart:
            ticks.append((1000.0 / kelvin, str(kelvin)))
    return tuple(ticks)

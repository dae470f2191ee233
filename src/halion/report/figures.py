"""The figures of a study, described once each."""

from __future__ import annotations

import math

import numpy as np

from halion.report.figure import GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION, Axis, Figure, Series
from halion.report.figures_arrhenius import arrhenius_figures
from halion.report.figures_transport import framework_figure, msd_figures
from halion.report.study_rows import StudyRow, reduced_formula, study_rows
from halion.report.types import StudyResults

__all__ = ["figures_of", "published_volumes"]

_MODEL_COLOURS = (SKY, ORANGE, GREEN, PURPLE, GREY)
_EXPERIMENT_MARKERS = ("circle-open", "square-open", "circle", "square", "diamond")


def figures_of(results: StudyResults) -> tuple[Figure, ...]:
    """All figures that a study has data for, in the order of the report.

    Names: ranking, volume, msd, msd-log, framework, arrhenius, diffusivity, comparison.
    Checked by tests/report/test_report_figures.py.
    """
    rows = study_rows(reduced_formula(results.crystal.composition))
    figures = [
        _ranking(results),
        _volume(results, rows),
        *msd_figures(results.runs),
        framework_figure(results.runs),
        *arrhenius_figures(results),
        _comparison(results, rows),
    ]
    return tuple(figure for figure in figures if figure is not None)


def _ranking(results: StudyResults) -> Figure | None:
    table = results.ranking.rows
    if len(table) < 2:
        return None
    best = table[0].electrostatic_energy
    spearman = results.ranking.spearman
    agreement = f" (Spearman {spearman:.2f})" if math.isfinite(spearman) else ""
    groups = {
        "lowest in electrostatic energy": [row for row in table if not row.is_control],
        "drawn at random": [row for row in table if row.is_control],
    }
    return Figure(
        name="ranking",
        title="Relaxed orderings",
        caption=f"Energy after relaxation with {results.ranking.potential} against the electrostatic energy, "
        f"relative to rank 1{agreement}. Errors of the potential are not part of it.",
        x=Axis(title="Electrostatic energy", unit="meV/atom"),
        y=Axis(title="Energy above the best", unit="meV/atom"),
        series=tuple(
            Series(
                label=label,
                x=np.array([1000 * (row.electrostatic_energy - best) for row in rows]),
                y=np.array([1000 * row.energy_above_best for row in rows]),
                style="points",
                marker=marker,
            )
            for (label, rows), marker in zip(groups.items(), ("circle", "square-open"), strict=True)
            if rows
        ),
    )


def _volume(results: StudyResults, rows: tuple[StudyRow, ...]) -> Figure | None:
    relaxed = results.ranking.best.relaxation.atoms
    crystal = results.crystal
    series = [
        *published_volumes(rows),
        Series(
            label="This work: relaxed, 0 K",
            x=np.array([0.0]),
            y=np.array([relaxed.get_volume() / len(relaxed)]),
            style="points",
            marker="square",
            colour=VERMILION,
        ),
        *_equilibrated(results),
        Series(
            label="refined crystal",
            x=np.array([0.0, max([600.0, *(one.temperature_k for one in results.equilibrations)])]),
            y=np.full(2, crystal.volume / crystal.n_atoms),
            style="dotted",
            colour=INK,
            width=1.2,
        ),
    ]
    return Figure(
        name="volume",
        title="Volume against temperature",
        caption="Bars of this work: one standard deviation of the mean over the averaging window. "
        "Published points come without errors; "
        "the temperature of the refined crystal is not in its file.",
        x=Axis(title="Temperature", unit="K"),
        y=Axis(title="Volume per atom", unit="Å³"),
        series=tuple(series),
    )


def published_volumes(rows: tuple[StudyRow, ...]) -> list[Series]:
    """Models with several temperatures as lines, dotted under pressure; all others as points."""
    lines = [row for row in rows if row.kind == "model" and len(row.volume) > 1]
    points = [row for row in rows if row.kind == "experiment" and row.volume]
    points += [row for row in rows if row.kind == "model" and len(row.volume) == 1]
    drawn = [
        Series(
            label=f"{row.label} (published)",
            **_points(row),
            style="dotted" if row.pressure_gpa >= 0.01 else "dashed",
            colour=_MODEL_COLOURS[k % len(_MODEL_COLOURS)],
            width=1.6,
        )
        for k, row in enumerate(lines)
    ]
    for k, row in enumerate(points):
        is_model = row.kind == "model"
        drawn.append(
            Series(
                label=f"{row.label} (published)" if is_model else row.label,
                **_points(row),
                style="points",
                marker="diamond" if is_model else _EXPERIMENT_MARKERS[k % len(_EXPERIMENT_MARKERS)],
                colour=GREY if is_model else INK,
                width=1.6,
            )
        )
    return drawn


def _points(row: StudyRow) -> dict[str, np.ndarray]:
    return {"x": np.array([kelvin for kelvin, _ in row.volume]), "y": np.array([value for _, value in row.volume])}


def _equilibrated(results: StudyResults) -> list[Series]:
    reached = sorted(results.equilibrations, key=lambda one: one.temperature_k)
    if not reached:
        return []
    middle = np.array([one.volume_per_atom for one in reached])
    error = np.array([one.volume_per_atom_std for one in reached])
    return [
        Series(
            label=f"This work: dynamics at {reached[0].pressure_gpa:g} GPa",
            x=np.array([one.temperature_k for one in reached]),
            y=middle,
            y_low=middle - error,
            y_high=middle + error,
            style="points",
            colour=VERMILION,
            width=2.2,
        )
    ]


def _comparison(results: StudyResults, rows: tuple[StudyRow, ...]) -> Figure | None:
    complete = [row for row in rows if not math.isnan(row.activation_energy_ev * row.conductivity_ms_per_cm)]
    if not complete:
        return None
    series = [
        Series(
            label=label,
            x=np.array([row.activation_energy_ev for row in complete if row.kind == kind]),
            y=np.array([row.conductivity_ms_per_cm for row in complete if row.kind == kind]),
            style="points",
            marker=marker,
            colour=colour,
        )
        for kind, label, marker, colour in (
            ("experiment", "experiments", "circle-open", INK),
            ("model", "published models", "diamond", SKY),
        )
        if any(row.kind == kind for row in complete)
    ]
    return Figure(
        name="comparison",
        title="Beside published values",
        caption="Bars of this work: one standard deviation and the 68 % interval. "
        "Published points come without errors.",
        x=Axis(title="Activation energy", unit="eV"),
        y=Axis(title="Conductivity at 300 K", unit="mS/cm", is_log=True),
        series=(*series, *_own_value(results)),
    )


def _own_value(results: StudyResults) -> list[Series]:
    sigma, fit = results.conductivity, results.arrhenius
    # The study's conductivities are at 300 K: another temperature is not comparable.
    if sigma is None or fit is None or not math.isfinite(sigma.conductivity_ms_per_cm):
        return []
    if abs(sigma.temperature_k - 300.0) > 5.0:
        return []
    energy, error = fit.activation_energy, fit.activation_energy_std
    return [
        Series(
            label="this work",
            x=np.array([energy]),
            y=np.array([sigma.conductivity_ms_per_cm]),
            x_low=np.array([energy - error]),
            x_high=np.array([energy + error]),
            y_low=np.array([sigma.low_ms_per_cm]),
            y_high=np.array([sigma.high_ms_per_cm]),
            style="points",
            marker="star",
            colour=VERMILION,
            width=3.5,
        )
    ]

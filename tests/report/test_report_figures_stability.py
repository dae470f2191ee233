"""Figures of stability: every value is drawn, both drawers take them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from halion.report.draw_matplotlib import figure_svg
from halion.report.draw_plotly import plotly_specification
from halion.report.figure import figure_csv
from halion.report.figures_stability import PublishedDifference, stability_figures
from halion.stability import EnergyError, PhasePoint, StabilityQuestions, assess_stability, series_energies

LEFT_OUT = "transformed on relaxation"


def found(error: float | None = 0.0005):
    """Two phases with a gap, a transition and one cell that transformed; energies by hand."""
    points = []
    for phase, shift, slope in (("T", 0.0, 0.0), ("M", 0.002, -0.001)):
        for x in map(float, range(7)):
            y = x / 6
            energy = -4.1 + 0.4 * y + shift + slope * x + (0.03 * y * (1 - y) if phase == "T" else 0.0)
            left_out = LEFT_OUT if (phase, x) == ("M", 4.0) else ""
            points.append(PhasePoint(phase=phase, x=x, energy=energy, formula_units=2, left_out=left_out))
    series = series_energies(points, ("Li3YCl6", "Li3YBr6"), 6.0)
    band = None if error is None else EnergyError(std=error)
    return assess_stability(series, StabilityQuestions(error=band, temperatures_k=(100.0,)))


PUBLISHED = PublishedDifference(source="somebody", x=np.array([0.0, 6.0]), difference=np.array([-0.001, 0.002]))


@pytest.fixture(scope="module")
def figures():
    return {figure.name: figure for figure in stability_figures(found(), [PUBLISHED])}


def test_names(figures):
    assert list(figures) == ["formation-energy", "difference-T-M", "hull", "volume", "free-energy-100K"]


def test_every_value_is_drawn_and_what_is_left_out_apart(figures):
    result = found()
    drawn = [one for one in figures["formation-energy"].series if one.style == "points"]
    values = {(x, y) for one in drawn for x, y in zip(one.x, one.y)}
    assert values == {(p.x, 1000 * p.common) for p in result.formation.points}
    apart = next(one for one in drawn if one.label.startswith("left out"))
    assert list(apart.x) == [4.0]
    line = next(one for one in figures["difference-T-M"].series if one.style == "points")
    assert np.allclose(line.y, 1000 * result.differences[0].difference)
    assert 4.0 not in line.x
    assert list(figures["hull"].series[0].x) == list(result.hull.x)


def test_others_and_bands_stand_beside(figures):
    difference = figures["difference-T-M"]
    other = next(one for one in difference.series if one.label == "somebody")
    assert list(other.y) == [-1.0, 2.0]
    (band,) = difference.bands  # both kinds of error are as wide: drawn once
    assert np.allclose(band.high - band.low, 2 * 1000 * np.sqrt(2) * 0.0005)
    assert len(difference.spans) == len(found().differences[0].transitions) == 1
    plain = {figure.name: figure for figure in stability_figures(found(None))}
    assert plain["difference-T-M"].bands == ()
    assert all(one.y_low is None for one in plain["formation-energy"].series)
    assert "none was given" in plain["formation-energy"].caption


def test_gaps_are_shaded(figures):
    gaps = found().free_energies[0].gaps
    assert [(span.start, span.stop) for span in figures["free-energy-100K"].spans] == [
        (gap.x_left, gap.x_right) for gap in gaps
    ]


@pytest.mark.parametrize("name", ["formation-energy", "difference-T-M", "hull", "volume", "free-energy-100K"])
def test_both_drawers_take_them(figures, name):
    figure = figures[name]
    assert ElementTree.fromstring(figure_svg(figure)).tag.endswith("svg")
    assert plotly_specification(figure)["data"] or name == "volume"  # these points have no cells
    assert figure_csv(figure).count("\n") > (0 if name == "volume" else 5)

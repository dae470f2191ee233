"""Figures: their data, their two drawings, their CSV."""

import csv
import io
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import plotly.graph_objects
import pytest
import report_sample as sample

from halion.report import figures_of
from halion.report.draw_matplotlib import figure_svg
from halion.report.draw_plotly import plotly_specification
from halion.report.figure import Axis, Figure, Series, figure_csv, temperature_colours
from halion.report.figures_transport import MOST_POINTS, msd_figures
from halion.report.scene import scene_of, scene_record, scene_svg
from halion.units import BOLTZMANN_EV_PER_K

NAMES = ["ranking", "volume", "msd", "msd-log", "framework", "arrhenius", "diffusivity", "comparison"]


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {figure.name: figure for figure in figures_of(sample.complete())}


def series(figure: Figure, label: str) -> Series:
    return next(one for one in figure.series if one.label == label)


def test_all_figures_come_in_the_order_of_the_report(figures):
    assert list(figures) == NAMES


def test_every_axis_has_a_unit(figures):
    assert all(axis.unit for figure in figures.values() for axis in (figure.x, figure.y))


def test_arrhenius_agrees_with_the_fit_and_the_answer(figures):
    results = sample.complete()
    fit, sigma, figure = results.arrhenius, results.conductivity, figures["diffusivity"]
    line = series(figure, "fit")
    expected = np.exp(fit.ln_prefactor - fit.activation_energy / (BOLTZMANN_EV_PER_K * 1000 / line.x)) * 1e-4
    # Both are the same closed form in double precision.
    np.testing.assert_allclose(line.y, expected, rtol=1e-12)
    star = series(figures["arrhenius"], "at 300 K, 68 %")
    assert star.x[0] == pytest.approx(1000 / 300)
    # mS/cm times K is 1000 S K/cm.
    assert star.y[0] * 1000 / 300 == pytest.approx(sigma.conductivity_ms_per_cm, rel=1e-12)
    assert star.y_low[0] * 1000 / 300 == pytest.approx(sigma.low_ms_per_cm, rel=1e-12)
    assert star.y_high[0] * 1000 / 300 == pytest.approx(sigma.high_ms_per_cm, rel=1e-12)


def test_the_star_lies_on_the_extrapolated_line_and_its_bar_on_the_band(figures):
    figure = figures["arrhenius"]
    star, line, band = series(figure, "at 300 K, 68 %"), series(figure, "extrapolation"), figure.bands[0]
    cold = int(np.argmax(line.x))
    assert line.style == "dashed"
    # Nernst-Einstein and the fit are evaluated by two routes here: rounding only.
    assert line.y[cold] == pytest.approx(star.y[0], rel=1e-9)
    edge = int(np.argmax(band.x))
    assert (band.low[edge], band.high[edge]) == pytest.approx((star.y_low[0], star.y_high[0]), rel=1e-9)


def test_no_fit_is_drawn_without_one():
    found = {figure.name: figure for figure in figures_of(sample.without_value())}
    arrhenius = found["arrhenius"]
    assert not arrhenius.bands
    assert {one.label for one in arrhenius.series} == {"upper bounds", "95 % upper bound at 300 K"}
    bound = series(arrhenius, "95 % upper bound at 300 K")
    assert bound.y[0] == pytest.approx(3.75 * 300 / 1000)
    assert not any(one.label == "fits" for one in found["msd"].series)


def test_failures_only_leaves_the_figures_of_structure():
    assert [figure.name for figure in figures_of(sample.failures_only())] == ["ranking", "volume", "comparison"]


def test_the_study_is_shown_for_its_materials_only():
    whole = sample.complete()
    orbits = [replace(orbit, occupancy={"Na" if e == "Li" else e: n for e, n in orbit.occupancy.items()})
              for orbit in whole.crystal.orbits]  # fmt: skip
    sodium = replace(whole.crystal, name="Na3YBr6", orbits=tuple(orbits), charges={"Na": 1.0, "Y": 3.0, "Br": -1.0})
    found = {figure.name: figure for figure in figures_of(replace(whole, crystal=sodium))}
    assert "comparison" not in found
    assert not any("published" in one.label for one in found["volume"].series)


def test_fit_windows_are_shaded(figures):
    assert [(span.start, span.stop) for span in figures["msd"].spans] == [(0.74, 6.0)]


def test_long_curves_are_thinned_with_both_ends_kept():
    run = sample.run(600.0)
    lags = np.arange(20_000) * 0.02
    long = replace(run, lag_time_ps=lags, msd=0.07 * lags, framework_msd={"Br": 0 * lags})
    curve = msd_figures([long])[0].series[0]
    assert len(curve.x) <= MOST_POINTS
    assert (curve.x[0], curve.x[-1]) == (lags[0], lags[-1])
    np.testing.assert_array_equal(curve.y, 0.07 * curve.x)


def test_logarithmic_figures_hold_positive_numbers_only(figures):
    for figure in figures.values():
        for one in figure.series:
            for axis, values in ((figure.x, one.x), (figure.y, one.y), (figure.y, one.y_low)):
                assert not axis.is_log or values is None or np.all(values > 0), (figure.name, one.label)


@pytest.mark.parametrize("name", NAMES)
def test_csv_holds_exactly_what_is_drawn(figures, name):
    figure = figures[name]
    rows = list(csv.DictReader(io.StringIO(figure_csv(figure))))
    x, y = figure.x.label, figure.y.label
    for one in figure.series:
        role = "points" if one.style == "points" else "line"
        same = [row for row in rows if (row["series"], row["role"]) == (one.label, role)]
        pairs = {(float(row[x]), float(row[y])) for row in same}
        assert pairs >= set(zip(one.x.tolist(), one.y.tolist())), "shortest decimals give the same floats back"
        if one.y_low is not None:
            assert {float(row[f"low {y}"]) for row in same if row[f"low {y}"]} >= set(one.y_low.tolist())
    for band in figure.bands:
        assert [float(row[f"high {y}"]) for row in rows if row["role"] == "band"] == band.high.tolist()
    n_rows = sum(len(one.x) for one in (*figure.series, *figure.bands)) + len(figure.spans)
    assert len(rows) == n_rows


@pytest.mark.parametrize("name", NAMES)
def test_plotly_accepts_the_specification_and_has_every_number(figures, name):
    figure = figures[name]
    specification = plotly_specification(figure)
    plotly.graph_objects.Figure(specification)  # raises on what the schema does not know
    drawn = {(x, y) for trace in specification["data"] for x, y in zip(trace["x"], trace["y"])}
    for one in figure.series:
        assert drawn >= set(zip(one.x.tolist(), one.y.tolist()))


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_xml_the_same_each_time_and_loads_nothing(figures, name):
    svg = figure_svg(figures[name])
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert figure_svg(figures[name]) == svg
    links = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")]
    assert all(link.startswith("#") for link in links)
    assert "<!DOCTYPE" not in svg
    assert "date" not in svg.lower().replace("metadata", "")


def test_hostile_labels_are_drawn_as_they_are():
    attack = '_$x$ <a href="https://example.org">&</a>'
    figure = Figure(
        name="hostile",
        title=attack,
        caption="",
        x=Axis(title=attack, unit="K"),
        y=Axis(title=attack, is_log=True),
        series=(Series(label=attack, x=np.array([1.0, 2.0]), y=np.array([0.1, 10.0])),),
    )
    ElementTree.fromstring(figure_svg(figure))
    assert "<a" not in str(plotly_specification(figure)["data"]) + str(plotly_specification(figure)["layout"])


def test_missing_numbers_are_empty_in_csv_and_null_for_plotly():
    figure = Figure(
        name="gap",
        title="gap",
        caption="",
        x=Axis(title="x", unit="K"),
        y=Axis(title="y", unit="eV"),
        series=(Series(label="a", x=np.array([1.0, 2.0]), y=np.array([math.nan, 3.0])),),
    )
    assert figure_csv(figure).splitlines()[1] == "a,line,1.0,,,,,"
    assert plotly_specification(figure)["data"][0]["y"] == [None, 3.0]


def test_temperature_colours_get_lighter_and_differ():
    colours = temperature_colours(8)
    lightness = [
        sum(int(colour[k : k + 2], 16) * w for k, w in ((1, 0.3), (3, 0.59), (5, 0.11))) for colour in colours
    ]
    assert lightness == sorted(lightness)
    assert len(set(colours)) == 8
    assert len(temperature_colours(1)) == 1


def test_scene_holds_the_cell_its_images_and_closed_polyhedra():
    results = sample.complete()
    scene = scene_of(results)
    atoms = results.ranking.best.relaxation.atoms
    assert scene.counts == {"Br": 24, "Li": 12, "Y": 4}
    shown = set(map(tuple, np.round(scene.positions, 2) + 0.0))
    wrapped = atoms.copy()
    wrapped.wrap(eps=1e-3)
    assert shown >= set(map(tuple, np.round(wrapped.positions, 2) + 0.0))
    assert scene.polyhedra
    for _, triangles in scene.polyhedra:
        # Outward faces: the divergence theorem gives a positive volume, an octahedron has eight.
        volume = np.einsum("fi,fi->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
        assert len(triangles) == 8
        assert 15 < volume < 40, "an octahedron of Y-Br 2.8 Å: 4/3 * 2.8**3 = 29 Å³"
    assert len(scene_record(scene)["edges"]) == 12
    ElementTree.fromstring(scene_svg(scene))


def test_figures_lie_beside_the_page(figures, pages):
    folder = pages["complete"].parent
    for name, figure in figures.items():
        assert (folder / "figures" / f"{name}.svg").read_text(encoding="utf-8") == figure_svg(figure)
        assert (folder / "tables" / f"figure-{name}.csv").read_text(encoding="utf-8") == figure_csv(figure)
    assert (folder / "figures" / "structure.svg").exists()

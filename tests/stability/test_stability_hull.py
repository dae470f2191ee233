"""The hull against two independent codes, and what must hold for every hull."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from scipy.spatial import ConvexHull
from stability_series import ENDS, drawn, made

from halion.stability import EnergyError, PhasePoint, convex_hull, formation_energies, series_energies
from halion.stability.hull import lower_hull


def oracle(x, y):
    """Corners of the lower hull by scipy's qhull: facets whose outward normal points down."""
    hull = ConvexHull(np.column_stack([x, y]))
    below = [simplex for simplex, plane in zip(hull.simplices, hull.equations) if plane[1] < -1e-12]
    return {int(k) for simplex in below for k in simplex}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 30))
def test_corners_are_those_of_qhull(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.random(n), rng.normal(size=n)
    assert set(lower_hull(x, y)) == oracle(x, y)


@pytest.mark.parametrize(
    ("x", "y", "corners"),
    [
        ([0, 1, 2], [0, 0, 0], [0, 2]),
        ([0, 1, 2], [0, -1, 0], [0, 1, 2]),
        ([0, 1, 1, 2], [0, -1, -2, 0], [0, 2, 3]),
        ([0, 0, 2], [1, 0, 0], [1, 2]),
        ([2, 0, 1], [0, 0, -1], [1, 2, 0]),
    ],
)
def test_corners_by_hand(x, y, corners):
    assert lower_hull(np.array(x, float), np.array(y, float)) == corners


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_energies_above_the_hull_are_those_of_pymatgen(seed):
    """pymatgen's diagram over the compounds Li3YCl6 and Li3YBr6 as its components."""
    series = drawn(seed)
    entries = [
        # Two elements stand for the two end members, energies are per formula unit of ten atoms.
        PDEntry(Composition({"Li": 1 - p.x / 6, "Br": p.x / 6}), 10 * p.energy)
        for p in series.points
    ]
    diagram = PhaseDiagram(entries)
    found = convex_hull(series)
    for point, entry in zip(found.points, entries):
        # Composition drops what is below 1e-8 and keeps energies as sums of 40 eV: nine digits remain.
        assert point.above == pytest.approx(diagram.get_e_above_hull(entry) / 10, abs=1e-9)
        assert point.is_stable == (entry in diagram.stable_entries)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_what_holds_for_every_hull(seed, n_phases):
    series = drawn(seed, n_phases)
    found = convex_hull(series)
    assert all(point.above >= 0 for point in found.points)
    assert all((point.above == 0) >= point.is_stable for point in found.points)
    assert found.mixes == (len(found.x) > 2)
    slopes = np.diff(found.formation) / np.diff(found.x)
    assert (np.diff(slopes) > 0).all()
    assert all((point.reaction == "") == point.is_stable for point in found.points)
    assert np.allclose(
        [p.formation for p in found.points], [p.common for p in formation_energies(series).points], atol=0, rtol=0
    )


def test_a_formula_unit_that_grows():
    """Per atom the tie line of Li2O and Li2O2 is curved; per formula unit it is straight."""
    energy = (0.5 * 3 * -3.0 + 0.5 * 4 * -1.0) / 3.5
    for shift, stable in ((-1e-6, True), (1e-6, False)):
        points = [
            PhasePoint(phase="a", x=x, energy=e, formula_units=2)
            for x, e in ((0.0, -3.0), (0.5, energy + shift), (1.0, -1.0))
        ]
        middle = convex_hull(series_energies(points, ("Li2O", "Li2O2"), 1.0)).points[1]
        assert middle.is_stable == stable
        assert middle.above == pytest.approx(max(shift, 0), abs=1e-12)


def test_words_of_a_hull():
    up = convex_hull(made({"T": lambda x: -4.0 + 0.001 * x * (6 - x), "M": lambda x: -3.0}), EnergyError(std=0.002))
    assert not up.mixes and up.phases == ("T", "T")
    assert "nothing between Li3YCl6 (T) and Li3YBr6 (T) is stable" in up.verdict
    assert "5.00 meV/atom" in up.verdict
    middle = up.points[3]
    assert middle.reaction == "Li3YCl3Br3 (T) -> 0.5 Li3YCl6 (T) + 0.5 Li3YBr6 (T)"
    assert middle.above_std == pytest.approx(0.002 * np.sqrt(1.5))
    assert up.points[7].reaction == "Li3YCl6 (M) -> Li3YCl6 (T)"
    down = convex_hull(made({"T": lambda x: -4.0 - 0.001 * x * (6 - x)}))
    assert down.mixes and "x = 3 (T)" in down.verdict
    assert "nothing is known of mixtures" in convex_hull(made({"T": lambda x: -4.0}, (0.0, 6.0))).verdict


def test_what_is_left_out_shapes_no_hull():
    series = made({"T": lambda x: -4.0 + (0 if x in (0, 6) else 0.01)})
    points = [replace(p, energy=-5.0, left_out="it became M") if p.x == 3 else p for p in series.points]
    found = convex_hull(series_energies(points, ENDS, 6.0))
    assert list(found.x) == [0, 6]
    assert np.isnan(found.points[3].above) and found.points[3].left_out == "it became M"

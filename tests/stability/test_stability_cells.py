"""Cells over x in one setting, whatever supercell they came in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import cellpar_to_cell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from stability_series import ENDS

from halion.errors import InputError
from halion.stability import PhasePoint, series_energies, structure_over_x

FIRST = np.array([11.2, 11.2, 6.0, 90.0, 90.0, 120.0])
LAST = np.array([11.9, 11.9, 6.4, 90.0, 90.0, 120.0])


def cells(xs, bend: float = 0.0, seed: int | None = None):
    """Cells of three formula units whose lengths go straight from one end to the other, and bend by so much."""
    points = []
    for x in xs:
        y = x / 6
        parameters = (1 - y) * FIRST + y * LAST
        parameters[2] += bend * y * (1 - y)
        cell = cellpar_to_cell(parameters)
        supercell = np.eye(3)
        if seed is not None:
            cell = cell @ Rotation.random(rng=seed + int(10 * x)).as_matrix()
            supercell = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 2]])
        units = 3 * round(np.linalg.det(supercell))
        symbols = f"Li{3 * units}Y{units}" + "".join(
            f"{e}{n}" for e, n in (("Cl", round((6 - x) * units)), ("Br", round(x * units))) if n
        )
        atoms = Atoms(symbols, positions=np.zeros((10 * units, 3)), cell=supercell @ cell, pbc=True)
        parent = np.linalg.solve(supercell, atoms.cell.array)
        points.append(PhasePoint(phase="T", x=x, energy=-4.0, formula_units=units, atoms=atoms, parent_cell=parent))
    return series_energies(points, ENDS, 6.0)


def test_straight_lines_have_no_deviation_and_bent_ones_theirs():
    found = structure_over_x(cells((0.0, 2.0, 3.0, 6.0), bend=0.4)).points
    for point in found:
        y = point.x / 6
        assert point.lengths_vegard == pytest.approx([0, 0, 0.4 * y * (1 - y)], abs=1e-12)
        assert point.angles == pytest.approx([90, 90, 120])
        wanted = np.linalg.det(cellpar_to_cell([*point.lengths, *point.angles])) / 30
        assert point.volume == pytest.approx(wanted, rel=1e-12)
    assert found[0].volume_vegard == found[-1].volume_vegard == 0
    assert found[1].lengths == pytest.approx(FIRST[:3] + (LAST - FIRST)[:3] / 3 + [0, 0, 0.4 * 2 / 9])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_neither_supercell_nor_turn_matters(seed):
    plain, turned = (structure_over_x(cells((0.0, 1.0, 6.0), 0.2, each)).points for each in (None, seed))
    for one, other in zip(plain, turned, strict=True):
        assert other.volume == pytest.approx(one.volume, rel=1e-12)
        assert other.lengths == pytest.approx(one.lengths, rel=1e-10)
        assert other.angles == pytest.approx(one.angles, rel=1e-10)


def test_another_setting():
    """The orthohexagonal cell: a, a + 2b, c."""
    found = structure_over_x(cells((0.0, 6.0)), {"T": np.array([[1, 0, 0], [1, 2, 0], [0, 0, 1]])})
    assert found.points[0].lengths == pytest.approx([11.2, 11.2 * np.sqrt(3), 6.0])
    assert found.points[0].angles == pytest.approx([90, 90, 90])


def test_without_an_end_or_a_cell_there_is_no_deviation():
    series = cells((0.0, 3.0, 6.0))
    part = series_energies([p for p in series.points if p.x != 6.0], ENDS, 6.0)
    assert all(np.isnan(p.volume_vegard) for p in structure_over_x(part).points)
    bare = series_energies([replace(p, parent_cell=None) for p in series.points], ENDS, 6.0)
    found = structure_over_x(bare).points
    assert np.isnan(found[1].lengths).all() and np.isfinite(found[1].volume_vegard)


def test_what_is_in_no_one_setting():
    series = cells((0.0, 3.0, 6.0))
    swapped = [replace(p, parent_cell=p.parent_cell[[2, 1, 0]]) if p.x == 3 else p for p in series.points]
    with pytest.raises(InputError, match="not in one setting"):
        structure_over_x(series_energies(swapped, ENDS, 6.0))
    with pytest.raises(InputError, match="no phase of the series"):
        structure_over_x(series, {"Z": np.eye(3)})
    with pytest.raises(InputError, match="no invertible"):
        structure_over_x(series, {"T": np.zeros((3, 3))})

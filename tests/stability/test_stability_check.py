"""What does not belong together is refused, and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from stability_series import ENDS, made

from halion.errors import InputError
from halion.stability import EnergyError, PhasePoint, series_energies
from halion.stability.check import check_formula, formula_text

SERIES = made({"A": lambda x: -4.0 - 0.001 * x, "B": lambda x: -4.001})


def changed(k: int, **values) -> list[PhasePoint]:
    points = list(SERIES.points)
    points[k] = replace(points[k], **values)
    return points


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "needs points"),
        (changed(2, energy=np.nan), "must be numbers"),
        (changed(2, x=np.inf), "must be numbers"),
        (changed(2, x=7.0), "not between 0 and 6"),
        (changed(2, x=-1.0), "not between 0 and 6"),
        (changed(2, x=2.25), "cannot hold x = 2.25"),
        (changed(2, x=2.5, formula_units=1), r"3\.500 Cl"),
        (changed(2, formula_units=0), "at least one formula unit"),
        (changed(2, x=3.0), "two points of one phase at one x"),
        (changed(2, provenance="chgnet"), "different potentials or settings"),
        (changed(2, atoms=Atoms("Li6Y2Cl12")), "is not 2 formula units of Li3YCl4Br2"),
    ],
)
def test_bad_points(points, said):
    with pytest.raises(InputError, match=said) as error:
        series_energies(points, ENDS, 6.0)
    assert error.value.fix


def test_good_points_are_sorted_and_kept():
    again = series_energies(reversed(SERIES.points), ENDS, 6.0)
    assert again.phases == ("B", "A")
    assert [point.x for point in again.curve("A")] == [0, 1, 2, 3, 4, 5, 6]
    held = changed(2, atoms=Atoms("Li6Y2Cl8Br4"))
    assert series_energies(held, ENDS, 6.0).points[2].atoms is not None


def test_what_is_left_out_is_in_no_curve():
    series = series_energies(changed(2, left_out="transformed"), ENDS, 6.0)
    assert [point.x for point in series.curve("A")] == [0, 1, 3, 4, 5, 6]
    assert len(series.points) == 14 and len(series.used) == 13


def test_a_largest_x_of_zero_is_no_series():
    with pytest.raises(InputError, match="largest x above zero"):
        series_energies(SERIES.points, ENDS, 0.0)


@pytest.mark.parametrize("std", [-0.001, np.nan, np.inf])
def test_an_error_is_a_number(std):
    with pytest.raises(InputError, match="zero or more"):
        EnergyError(std=std)


def test_correlations_are_shares():
    with pytest.raises(InputError, match="between 0 and 1"):
        EnergyError(std=0.001, correlation=1.5)


@pytest.mark.parametrize("text", ["", "Xx2", "li", "LiCl)"])
def test_what_is_no_formula(text):
    with pytest.raises(InputError, match="no chemical formula"):
        check_formula(text)


def test_formulas_as_text():
    assert check_formula("Li3YBr6") == {"Li": 3, "Y": 1, "Br": 6}
    assert formula_text(SERIES.composition(1.5)) == "Li3YCl4.5Br1.5"
    assert formula_text(SERIES.composition(6.0)) == "Li3YBr6"

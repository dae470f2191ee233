"""Numbers, type symbols and labels."""

from __future__ import annotations

import contextlib

import pytest
from crystal_files import cif, write
from hypothesis import given
from hypothesis import strategies as st

from halion.crystal import read_crystal
from halion.crystal.cif_sites import read_element
from halion.crystal.cif_values import is_unknown, read_number
from halion.errors import CrystalError


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.3336(2)", 0.3336), ("-0.01(12)", -0.01), ("1", 1.0), ("1.", 1.0), (".25", 0.25), ("+0.5", 0.5),
        ("1.2e-3", 0.0012), ("6.7520(6)", 6.752), ("12(3)", 12.0), ("0.5()", 0.5), ("1.5(1.2)", 1.5),
    ],
)  # fmt: skip
def test_numbers(text, number):
    assert read_number(text, "x", "here") == number


@pytest.mark.parametrize(
    "text", ["", "?", "nan", "inf", "1e999", "1(2", "1)2(", "0,5", "1/3", "a", "1 2", "--1", "1e", "٣"]
)
def test_no_numbers(text):
    with pytest.raises(CrystalError) as caught:
        read_number(text, "fract_x of Li1", "here")
    assert "fract_x of Li1" in caught.value.what
    assert caught.value.where == "here"


def test_a_comma_is_explained():
    with pytest.raises(CrystalError) as caught:
        read_number("0,5", "x", "here")
    assert "decimal point" in caught.value.fix


@given(st.floats(-1e6, 1e6))
def test_round_trip(number):
    assert read_number(repr(number), "x", "here") == number


@given(st.integers(-99999, 99999), st.integers(0, 99))
def test_uncertainties_change_nothing(digits, uncertainty):
    text = f"{digits / 10000:.4f}"
    assert read_number(f"{text}({uncertainty})", "x", "here") == read_number(text, "x", "here")


@given(st.text(max_size=12))
def test_any_text_is_a_finite_number_or_an_error(text):
    with contextlib.suppress(CrystalError):
        assert abs(read_number(text, "x", "here")) < float("inf")


def test_unknown_marks():
    assert all(is_unknown(mark) for mark in ("?", ".", ""))
    assert not is_unknown("0")


@pytest.mark.parametrize(
    ("symbol", "element", "charge"),
    [
        ("Li", "Li", None), ("LI", "Li", None), ("li", "Li", None), ("Li+", "Li", 1),
        ("Li1+", "Li", 1), ("Li+1", "Li", 1), ("Y3+", "Y", 3), ("Y+3", "Y", 3),
        ("Cl-", "Cl", -1), ("CL1-", "Cl", -1), ("O2-", "O", -2),
        ("S", "S", None), ("H", "H", None), ("D", "H", None), ("D1+", "H", 1), ("T", "H", None),
        ("Li0", "Li", None),
        ("Fe2.5+", "Fe", 2.5), ("Li0+", "Li", 0), ("U4+", "U", 4),
    ],
)  # fmt: skip
def test_type_symbols(symbol, element, charge):
    assert read_element(symbol, "A1", "here") == (element, charge)


@pytest.mark.parametrize("symbol", ["", "X", "Xx", "Q1", "Li12", "Va", "M", "Wat", "Li-Na", "123", "L", "Zz3+"])
def test_no_elements(symbol):
    with pytest.raises(CrystalError):
        read_element(symbol, "A1", "here")


@given(st.text(max_size=6))
def test_any_symbol_is_an_element_or_an_error(symbol):
    try:
        element, _ = read_element(symbol, "A1", "here")
        assert element[0].isupper() and len(element) <= 2
    except CrystalError:
        pass


@pytest.mark.parametrize(
    ("label", "element"),
    [
        ("Li1", "Li"),
        ("LI1A", "Li"),
        ("Li(2)", "Li"),
        ("li", "Li"),
        ("Na_1", "Na"),
        ("NA2", "Na"),
        ("K1", "K"),
        ("K", "K"),
    ],
)
def test_elements_from_labels(tmp_path, label, element):
    columns = ("label", "fract_x", "fract_y", "fract_z", "occupancy")
    rows = [(label, "", (0, 0, 0), 1), ("Cl1", "", (0.5, 0, 0), 1)]
    text = cif(rows, (6.0, 6.0, 6.0, 90, 90, 90), "F m -3 m", columns=columns)
    crystal = read_crystal(write(tmp_path, text))
    assert crystal.formula == f"{element}4 Cl4"


@pytest.mark.parametrize("label", ["M1", "X", "1Li", "?", "Zz1"])
def test_labels_without_an_element(tmp_path, label):
    columns = ("label", "fract_x", "fract_y", "fract_z", "occupancy")
    rows = [(label, "", (0, 0, 0), 1), ("Cl1", "", (0.5, 0, 0), 1)]
    text = cif(rows, (6.0, 6.0, 6.0, 90, 90, 90), "F m -3 m", columns=columns)
    with pytest.raises(CrystalError, match="no chemical element"):
        read_crystal(write(tmp_path, text))

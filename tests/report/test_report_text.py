"""Numbers as text: digits follow the error, nothing missing is silent."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion.report.text import between, fixed, plain, plus_minus, scientific, short, superscript

FINITE = st.floats(min_value=1e-9, max_value=1e9)


def value_of(text: str) -> float:
    """Read a printed number back."""
    plain = text.replace("−", "-").replace(" × 10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(plain)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.31234, 0.0268, "0.312 ± 0.027"),
        (12.345, 3.2, "12.3 ± 3.2"),
        (4512.0, 130.0, "4512 ± 130"),
        (1.9876, 0.995, "1.99 ± 0.99"),
        (-4.2183, 0.0102, "−4.218 ± 0.010"),
        (0.0, 0.013, "0.000 ± 0.013"),
        (3.1e-6, 0.4e-6, "(3.10 ± 0.40) × 10⁻⁶"),
        (0.31, 0.0, "0.310 ± 0"),
        (0.31, math.nan, "0.31 (error unknown)"),
        (math.nan, 0.1, "missing"),
    ],
)
def test_value_and_error(value, error, text):
    assert plus_minus(value, error) == text


def test_units_follow_the_number():
    assert plus_minus(0.31, 0.02, "eV") == "0.310 ± 0.020 eV"
    assert short(3.14159, 3, "Å") == "3.14 Å"
    assert between(0.4, 12.3, "mS/cm") == "0.40 to 12 mS/cm"
    assert plain(450.0, "K") == "450 K"
    assert plain(math.nan, "K") == "missing"
    assert fixed(-0.0001, 2) == "0.00", "no minus zero"
    assert superscript(-12) == "⁻¹²"
    assert scientific(3.06e-6) == "3.1 × 10⁻⁶"


@pytest.mark.parametrize("call", [lambda x: short(x), lambda x: fixed(x, 2), lambda x: scientific(x)])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_said_to_be_missing(call, value):
    assert call(value) == "missing"


@given(FINITE)
def test_short_keeps_three_digits(value):
    # Half a unit in the third digit is at most 0.5 %.
    assert value_of(short(value, 3)) == pytest.approx(value, rel=0.0051)


@given(st.floats(min_value=1e-6, max_value=1e4), st.floats(min_value=0.01, max_value=1.0))
def test_the_printed_error_keeps_two_digits(value, relative):
    numbers = re.findall(r"[−\d.]+", plus_minus(value, relative * value))
    printed = value_of(numbers[1]) / value_of(numbers[0])
    # Value and error are each rounded at the error's second digit: 5 % of the error at worst, twice.
    assert printed == pytest.approx(relative, rel=0.11)

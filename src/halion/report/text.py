"""Numbers as people write them: with as many digits as their error allows, and never a silent nan."""

from __future__ import annotations

import math

__all__ = ["between", "fixed", "plain", "plus_minus", "scientific", "short", "superscript"]

MISSING = "missing"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def superscript(exponent: int) -> str:
    """An exponent in Unicode superscripts, e.g. ⁻⁵."""
    return str(exponent).translate(_SUPERSCRIPTS)


def plain(value: float, unit: str = "") -> str:
    """A number that somebody chose, as chosen: 450, 0.5."""
    return f"{value:g}{_unit(unit)}" if math.isfinite(value) else MISSING


def fixed(value: float, decimals: int, unit: str = "") -> str:
    """A number with so many decimals, and its unit; "missing" if it is not finite."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    if float(text) == 0:  # no minus zero
        text = text.lstrip("-")
    return _minus(text) + _unit(unit)


def short(value: float, digits: int = 3, unit: str = "") -> str:
    """A number with so many significant digits; powers of ten outside 0.001 ... 100000."""
    if not math.isfinite(value):
        return MISSING
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return scientific(value, digits) + _unit(unit)
    decimals = max(0, digits - 1 - _exponent(value, digits))
    return _minus(f"{_rounded(value, digits):.{decimals}f}") + _unit(unit)


def scientific(value: float, digits: int = 2) -> str:
    """A number as mantissa times a power of ten, e.g. 3.1 × 10⁻⁶."""
    if not math.isfinite(value):
        return MISSING
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{_minus(mantissa)} × 10{superscript(int(exponent))}"


def plus_minus(value: float, error: float, unit: str = "") -> str:
    """Value and standard deviation, both cut at the second significant digit of the error."""
    if not math.isfinite(value):
        return MISSING
    if not math.isfinite(error):
        return f"{short(value, 2)}{_unit(unit)} (error unknown)"
    if error <= 0:
        return f"{short(value, 3)} ± 0{_unit(unit)}"
    largest = max(abs(value), error)
    if not 1e-3 <= largest < 1e5:
        exponent = _exponent(largest, 2)
        inner = plus_minus(value / 10**exponent, error / 10**exponent)
        return f"({inner}) × 10{superscript(exponent)}{_unit(unit)}"
    decimals = max(0, 1 - _exponent(error, 2))
    return f"{fixed(value, decimals)} ± {fixed(error, decimals)}{_unit(unit)}"


def between(low: float, high: float, unit: str = "") -> str:
    """An interval, two significant digits at either end."""
    return f"{short(low, 2)} to {short(high, 2)}{_unit(unit)}"


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _exponent(value: float, digits: int) -> int:
    """Power of ten of the first digit after rounding (9.99 to two digits is 10)."""
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""

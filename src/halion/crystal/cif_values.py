"""Numbers as CIFs write them: "0.3336(2)", "?", ".", and what is no number."""

from __future__ import annotations

import math
import re

from halion.errors import CrystalError

__all__ = ["is_unknown", "read_number"]

# A CIF number: decimal or exponent form, with its standard uncertainty in units of the last digit.
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)(?:\(\d*\.?\d*\))?", re.ASCII)

# Matching takes time that grows as the square of the length; no refined number is nearly as long.
_LONGEST_NUMBER = 60


def is_unknown(value: str) -> bool:
    """Whether a CIF value says nothing: "?" (unknown), "." (not applicable) or empty."""
    return value in {"?", ".", ""}


def read_number(value: str, quantity: str, where: str) -> float:
    """The number in a CIF value, its uncertainty dropped.

    Args:
        value: e.g. "0.3336(2)".
        quantity: what it is, for the error, e.g. "fract_x of Li1".
        where: file and place, for the error.
    Raises:
        CrystalError: the value is not a finite number.
    """
    match = _NUMBER.fullmatch(value) if len(value) <= _LONGEST_NUMBER else None
    number = float(match.group(1)) if match else math.nan
    if not math.isfinite(number):
        hint = "write a decimal point, not a comma" if "," in value else "write a decimal number, e.g. 0.3333(2)"
        raise CrystalError(f"{quantity} is '{value[:_LONGEST_NUMBER]}', not a number", where=where, fix=hint)
    return number

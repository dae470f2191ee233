"""Results as JSON and back: frozen dataclasses of numbers, texts, arrays, `ase.Atoms` and each other.

`to_record(result)` gives plain JSON values, `from_record(cls, record)` the equal dataclass. Floating-point
numbers survive bit for bit (shortest round-trip decimal form); NaN and infinities become null.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["decode", "from_record", "to_record"]


def to_record(value: Any) -> Any:
    """Plain JSON values of a dataclass, array, `ase.Atoms`, mapping, sequence, number or text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_record(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return to_record(value.tolist())
    if isinstance(value, np.generic):
        return to_record(value.item())
    if isinstance(value, Mapping):
        return {str(key): to_record(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_record(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if type(value).__name__ == "Atoms":
        return {
            "symbols": value.get_chemical_symbols(),
            "positions": to_record(value.positions),
            "cell": to_record(value.cell.array),
        }
    raise TypeError(f"{type(value).__name__} has no record form")


def from_record(cls: type, record: Any) -> Any:
    """The dataclass `cls` whose record this is; the inverse of `to_record`."""
    hints = typing.get_type_hints(cls)
    return cls(
        **{
            field.name: decode(hints[field.name], record[field.name])
            for field in dataclasses.fields(cls)
            if field.name in record
        }
    )


def decode(hint: Any, value: Any) -> Any:
    """The value of type `hint` (a dataclass, `ase.Atoms`, tuple, array, number ...) whose record this is."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        options = [argument for argument in arguments if argument is not type(None)]
        return None if value is None and len(options) < len(arguments) else decode(options[0], value)
    if origin is tuple:
        inner = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
        if inner is not None:
            return tuple(decode(inner, item) for item in value)
        return tuple(decode(argument, item) for argument, item in zip(arguments, value, strict=True))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {key: decode(arguments[1], item) for key, item in value.items()}
    if origin is list:
        return [decode(arguments[0], item) for item in value]
    if origin is np.ndarray or hint is np.ndarray:
        return _decode_array(arguments, value)
    if dataclasses.is_dataclass(hint):
        return from_record(hint, value)
    if hint is float:
        return math.nan if value is None else float(value)
    if getattr(hint, "__name__", "") == "Atoms":
        return hint(value["symbols"], positions=value["positions"], cell=value["cell"], pbc=True)
    return value


def _decode_array(arguments: tuple, value: Any) -> np.ndarray:
    dtype = typing.get_args(arguments[1])[0] if len(arguments) > 1 and typing.get_args(arguments[1]) else None
    array = np.array(value, dtype=object)
    if dtype is None:
        return np.array(value)
    if np.issubdtype(dtype, np.floating):
        array = np.where(array == None, math.nan, array)  # noqa: E711  (element-wise)
    return array.astype(dtype)

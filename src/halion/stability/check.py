"""A series of energies put together: what cannot be compared is refused before anything is computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from ase.data import atomic_numbers
from ase.formula import Formula

from halion.errors import InputError
from halion.stability.types import PhasePoint, SeriesEnergies

__all__ = ["check_formula", "formula_text", "series_energies"]

_SAME_X = 1e-6


def series_energies(points: Iterable[PhasePoint], ends: tuple[str, str], most: float) -> SeriesEnergies:
    """Check points and put them together as one series.

    Args:
        points: relaxed cells of all phases.
        ends: formulas of both end members per formula unit, x = 0 first.
        most: x of the second end.
    Raises:
        InputError: no points; a NaN; x outside 0 to `most` or not held by its cell; two points of one phase at one
            x; a cell of another composition; energies of different provenance.

    Checked by tests/stability/test_stability_check.py.
    """
    points = tuple(points)
    if not points or not (math.isfinite(most) and most > 0):
        raise InputError(
            "a series needs points and a largest x above zero", fix="give relaxed cells and the x of the second end"
        )
    series = SeriesEnergies(ends=ends, most=float(most), points=_sorted(points))
    _check_provenance(series.points)
    for point in series.points:
        _check_numbers(point, series)
        _check_cell(point, series)
    _check_twice(series.points)
    return series


def _sorted(points: tuple[PhasePoint, ...]) -> tuple[PhasePoint, ...]:
    order = list(dict.fromkeys(point.phase for point in points))
    return tuple(sorted(points, key=lambda point: (order.index(point.phase), point.x)))


def _where(point: PhasePoint) -> str:
    return f"{point.phase}, x = {point.x:g}"


def _check_numbers(point: PhasePoint, series: SeriesEnergies) -> None:
    if not (math.isfinite(point.x) and math.isfinite(point.energy)):
        raise InputError(
            f"x and energy must be numbers, got x = {point.x} and {point.energy} eV/atom",
            where=_where(point),
            fix="leave this point out, or relax it anew",
        )
    if not -_SAME_X <= point.x <= series.most + _SAME_X:
        raise InputError(
            f"x = {point.x:g} is not between 0 and {series.most:g}",
            where=_where(point),
            fix=f"the series goes from {series.ends[0]} to {series.ends[1]}",
        )


def _check_cell(point: PhasePoint, series: SeriesEnergies) -> None:
    wanted = {element: n * point.formula_units for element, n in series.composition(point.x).items()}
    broken = {element: n for element, n in wanted.items() if abs(n - round(n)) > _SAME_X * point.formula_units}
    if point.formula_units < 1 or broken:
        raise InputError(
            f"a cell of {point.formula_units} formula units cannot hold x = {point.x:g}: it would need "
            + (", ".join(f"{n:.3f} {element}" for element, n in broken.items()) or "at least one formula unit"),
            where=_where(point),
            fix="take a larger cell, or an x that it holds",
        )
    if point.atoms is None:
        return
    found = Counter(point.atoms.get_chemical_symbols())
    if found != Counter({element: round(n) for element, n in wanted.items()}):
        raise InputError(
            f"the cell {point.atoms.get_chemical_formula()} is not {point.formula_units} formula units of "
            f"{formula_text(series.composition(point.x))}",
            where=_where(point),
            fix="check x, the formula units and the end members",
        )


def _check_twice(points: tuple[PhasePoint, ...]) -> None:
    for first, second in pairwise(points):
        if first.phase == second.phase and abs(first.x - second.x) < _SAME_X:
            raise InputError(
                f"two points of one phase at one x, {first.energy:.6f} and {second.energy:.6f} eV/atom",
                where=_where(first),
                fix="keep one of them, the lower where both belong to the same search",
            )


def _check_provenance(points: tuple[PhasePoint, ...]) -> None:
    by_provenance: dict[str, PhasePoint] = {}
    for point in points:
        by_provenance.setdefault(point.provenance, point)
    if len(by_provenance) > 1:
        told = "; ".join(f"{_where(point)}: {made or 'not recorded'}" for made, point in by_provenance.items())
        raise InputError(
            f"energies made with different potentials or settings do not compare: {told}",
            fix="make all of them with one potential and the same settings",
        )


def formula_text(composition: dict[str, float]) -> str:
    """A composition as text, e.g. Li3YCl4.5Br1.5, in the order given."""
    return "".join(f"{element}{'' if abs(n - 1) < 1e-9 else f'{n:.4g}'}" for element, n in composition.items())


def check_formula(text: str) -> dict[str, int]:
    """Atoms of each element in a formula.

    Raises:
        InputError: it cannot be read.
    """
    try:
        counts = Formula(text).count()
    except (ValueError, KeyError) as error:
        raise InputError(f"'{text}' is no chemical formula", fix="write it like LiCl or Li3YBr6") from error
    if not counts or not set(counts) <= set(atomic_numbers) - {"X"}:
        raise InputError(f"'{text}' is no chemical formula", fix="write it like LiCl or Li3YBr6")
    return counts

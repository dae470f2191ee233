"""The lower convex hull over x: what is stable at 0 K, and into what the rest falls apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.stability.check import formula_text
from halion.stability.formation import end_weights, lowest_end
from halion.stability.types import EnergyError, PhasePoint, SeriesEnergies

__all__ = ["Hull", "HullPoint", "convex_hull", "lower_hull"]

# Rounding of formation energies made of energies near 10 eV/atom.
_ON_THE_HULL = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class HullPoint:
    """One point against the hull.

    Attributes:
        phase, x: which point.
        formation: formation energy from the common ends, eV/atom.
        above: energy above the hull, eV/atom; zero on it; NaN for a point that is left out.
        above_std: of `above` from the potential's error, the neighbours on the hull held; NaN without an error.
        is_stable: whether it is a corner of the hull.
        reaction: into what it falls apart; empty for what is stable.
        left_out: why it is no point of its phase's curve.
    """

    phase: str
    x: float
    formation: float
    above: float
    above_std: float
    is_stable: bool
    reaction: str
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hull:
    """The lower hull of all phases over x.

    Attributes:
        points: every point of the series against it, by phase and x.
        x, formation: (n,) its corners.
        phases: (n,) the phase of each corner.
        mixes: whether any corner lies between the ends: an ordered mixture that is stable at 0 K.
        verdict: the finding in words.
    """

    points: tuple[HullPoint, ...]
    x: FloatArray
    formation: FloatArray
    phases: tuple[str, ...]
    mixes: bool
    verdict: str


def convex_hull(series: SeriesEnergies, error: EnergyError | None = None) -> Hull:
    """Energies above the lower convex hull of all phases together, eV/atom.

    The hull is taken of formation energies per formula unit over x/X, where tie lines are straight whatever the
    number of atoms. What is left out of its curve is no part of the hull. Energies are those of relaxed cells at
    0 K: that something lies above the hull says nothing of it at a temperature where entropy mixes it.

    Args:
        series: from `series_energies`.
        error: of the potential; None gives no band.
    Raises:
        InputError: no phase has an end member.

    Checked by tests/stability/test_stability_hull.py: against scipy's ConvexHull and pymatgen's PhaseDiagram.
    """
    ends = (lowest_end(series, 0.0), lowest_end(series, series.most))
    used = series.used
    energies = {id(point): _formation(series, point, ends) for point in used}
    x = np.array([point.x for point in used])
    per_unit = np.array([energies[id(point)] * series.atoms_per_unit(point.x) for point in used])
    corners = lower_hull(x, per_unit)
    hull = [used[k] for k in corners]
    points = tuple(_judge(series, point, ends, hull, error) for point in series.points)
    corner_x = x[corners]
    return Hull(
        points=points,
        x=corner_x,
        formation=np.array([energies[id(point)] for point in hull]),
        phases=tuple(point.phase for point in hull),
        mixes=len(hull) > 2,
        verdict=_verdict(series, hull, points),
    )


def lower_hull(x: FloatArray, y: FloatArray, tolerance: float = _ON_THE_HULL) -> list[int]:
    """Indices of the corners of the lower convex hull of points, by x.

    Points less than `tolerance` below the line of their neighbours are no corners.

    Source: Andrew, Inf. Process. Lett. 9, 216 (1979).
    """
    # Where two points share x the lower one counts.
    order = [int(k) for k in np.lexsort((y, x))]
    order = [k for place, k in enumerate(order) if place == 0 or x[k] != x[order[place - 1]]]
    corners: list[int] = []
    for k in order:
        while len(corners) > 1:
            a, b = corners[-2:]
            left = (y[b] - y[a]) * (x[k] - x[a])
            if left + tolerance * (x[k] - x[a]) < (y[k] - y[a]) * (x[b] - x[a]):
                break
            corners.pop()
        corners.append(k)
    return corners


def _formation(series: SeriesEnergies, point: PhasePoint, ends: tuple[PhasePoint, PhasePoint]) -> float:
    if any(point is end for end in ends):
        return 0.0
    return point.energy - float(end_weights(series, point.x) @ [end.energy for end in ends])


def _judge(
    series: SeriesEnergies,
    point: PhasePoint,
    ends: tuple[PhasePoint, PhasePoint],
    hull: list[PhasePoint],
    error: EnergyError | None,
) -> HullPoint:
    is_stable = any(point is corner for corner in hull)
    left, right, share = _neighbours(point.x, hull)
    parts = np.array([1 - share, share])
    atoms = np.array([series.atoms_per_unit(left.x), series.atoms_per_unit(right.x)])
    weights = np.array([1.0, *(-parts * atoms / series.atoms_per_unit(point.x))])
    above = float(weights @ [point.energy, left.energy, right.energy])
    std = float("nan")
    if error is not None:
        covariance = error.covariance((point, left, right))
        std = 0.0 if is_stable else float(np.sqrt(max(weights @ covariance @ weights, 0.0)))
    return HullPoint(
        phase=point.phase,
        x=point.x,
        formation=_formation(series, point, ends),
        above=float("nan") if point.left_out else 0.0 if is_stable or abs(above) < _ON_THE_HULL else above,
        above_std=float("nan") if point.left_out else std,
        is_stable=is_stable,
        reaction="" if is_stable else _reaction(series, point, (left, right), parts),
        left_out=point.left_out,
    )


def _neighbours(x: float, hull: list[PhasePoint]) -> tuple[PhasePoint, PhasePoint, float]:
    """Corners on both sides of x (one twice where x is its own), and the part of the right one."""
    for corner in hull:
        if abs(corner.x - x) < 1e-9:
            return corner, corner, 0.0
    right = next(k for k, corner in enumerate(hull) if corner.x > x)
    left = right - 1
    return hull[left], hull[right], (x - hull[left].x) / (hull[right].x - hull[left].x)


def _reaction(
    series: SeriesEnergies, point: PhasePoint, into: tuple[PhasePoint, PhasePoint], parts: FloatArray
) -> str:
    terms = [
        f"{'' if abs(part - 1) < 1e-9 else f'{part:.4g} '}{formula_text(series.composition(one.x))} ({one.phase})"
        for one, part in zip(into, parts, strict=True)
        if part > 1e-9
    ]
    return f"{formula_text(series.composition(point.x))} ({point.phase}) -> {' + '.join(terms)}"


def _verdict(series: SeriesEnergies, hull: list[PhasePoint], points: tuple[HullPoint, ...]) -> str:
    first, last = hull[0], hull[-1]
    inner = [f"x = {corner.x:g} ({corner.phase})" for corner in hull[1:-1]]
    ends = f"{series.ends[0]} ({first.phase}) and {series.ends[1]} ({last.phase})"
    if inner:
        return f"At 0 K ordered mixtures are stable between {ends}: {', '.join(inner)}."
    between = [point for point in points if 0 < point.x < series.most and not point.left_out]
    if not between:
        return f"Only the ends {ends} were computed: nothing is known of mixtures."
    low = min(between, key=lambda point: point.above)
    return (
        f"At 0 K nothing between {ends} is stable: the lowest mixture, x = {low.x:g} ({low.phase}), lies "
        f"{1000 * low.above:.2f} meV/atom above their mixture."
    )

"""Formation energy of every point from the end members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.stability.types import EnergyError, PhasePoint, SeriesEnergies

__all__ = ["FormationEnergies", "FormationPoint", "end_weights", "formation_energies", "lowest_end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormationPoint:
    """One point, referred to end members.

    Attributes:
        phase, x: which point.
        energy: of the point, eV/atom.
        own: formation energy from the ends of its own phase, eV/atom; NaN where the phase lacks one.
        own_std: standard deviation of `own` from the potential's error; NaN where no error is given.
        common: from the lowest ends of all phases.
        common_std: of `common`.
        left_out: why it is no point of its phase's curve; empty where it is one.
    """

    phase: str
    x: float
    energy: float
    own: float
    own_std: float
    common: float
    common_std: float
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormationEnergies:
    """Formation energies over x.

    Attributes:
        points: by phase and x, those left out included.
        common_ends: phases that hold the lowest end at x = 0 and at the largest x.
        notes: what a reader must know, e.g. that a phase lacks an end.
    """

    points: tuple[FormationPoint, ...]
    common_ends: tuple[str, str]
    notes: tuple[str, ...]


def formation_energies(series: SeriesEnergies, error: EnergyError | None = None) -> FormationEnergies:
    """E_f(x) = [N(x) E(x) - (1 - x/X) N(0) E(0) - (x/X) N(X) E(X)] / N(x), eV/atom, N atoms per formula unit.

    Energies per atom enter, so cell and number of formula units do not matter. Referred to the ends of the point's
    own phase it is zero at both ends; referred to the common, lowest ends it is zero or more there. The standard
    deviation is sqrt(w C w) with the weights w above and the covariance C of `EnergyError`: an error common to a
    phase cancels against its own ends.

    Args:
        series: from `series_energies`.
        error: of the potential; None gives no band.
    Raises:
        InputError: no phase has the end at x = 0, or none that at the largest x.

    Checked by tests/stability/test_stability_formation.py: zero at the ends, cells, energy zeros of elements, bands
    against drawn errors.
    """
    common = tuple(lowest_end(series, x) for x in (0.0, series.most))
    notes: list[str] = []
    own: dict[str, tuple[PhasePoint, PhasePoint] | None] = {}
    for phase in series.phases:
        try:
            own[phase] = (series.end(phase, 0.0), series.end(phase, series.most))
        except InputError as missing:
            own[phase] = None
            notes.append(missing.what)
    points = []
    for point in series.points:
        ends = own[point.phase]
        points.append(
            FormationPoint(
                phase=point.phase,
                x=point.x,
                energy=point.energy,
                own=float("nan") if ends is None else _energy(series, point, ends),
                own_std=float("nan") if ends is None else _std(series, point, ends, error),
                common=_energy(series, point, common),
                common_std=_std(series, point, common, error),
                left_out=point.left_out,
            )
        )
    return FormationEnergies(
        points=tuple(points), common_ends=(common[0].phase, common[1].phase), notes=tuple(notes)
    )


def lowest_end(series: SeriesEnergies, x: float) -> PhasePoint:
    """The lowest of all phases at x = 0 or at the largest x; what is left out does not count.

    Raises:
        InputError: no phase has it.
    """
    found = [point for point in series.used if np.isclose(point.x, x, atol=1e-9)]
    if not found:
        series.end(series.phases[0], x)  # says which one is missing, or why it is left out
    return min(found, key=lambda point: point.energy)


def end_weights(series: SeriesEnergies, x: float) -> FloatArray:
    """(2,) weights of the energies per atom of both ends in a mechanical mixture of content x, per atom of it."""
    share = x / series.most
    units = np.array([1 - share, share])
    atoms = np.array([series.atoms_per_unit(0.0), series.atoms_per_unit(series.most)])
    return units * atoms / series.atoms_per_unit(x)


def _energy(series: SeriesEnergies, point: PhasePoint, ends: tuple[PhasePoint, PhasePoint]) -> float:
    if any(point is end for end in ends):
        return 0.0  # exactly, not to rounding
    return point.energy - float(end_weights(series, point.x) @ [end.energy for end in ends])


def _std(
    series: SeriesEnergies, point: PhasePoint, ends: tuple[PhasePoint, PhasePoint], error: EnergyError | None
) -> float:
    if error is None:
        return float("nan")
    if any(point is end for end in ends):
        return 0.0
    weights = np.array([1.0, *(-end_weights(series, point.x))])
    return float(np.sqrt(max(weights @ error.covariance((point, *ends)) @ weights, 0.0)))

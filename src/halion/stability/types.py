"""Energies of several phases over the content x: what every question of stability starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.formula import Formula

from halion.arrays import FloatArray
from halion.errors import InputError

__all__ = ["EnergyError", "PhasePoint", "SeriesEnergies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasePoint:
    """One relaxed cell of one phase at one content x.

    Attributes:
        phase: its name, e.g. "LYC".
        x: guests per formula unit.
        energy: eV/atom.
        formula_units: in the cell.
        provenance: what the energy was made with (potential, its weights, settings); energies compare only where
            it is the same.
        left_out: why it is no point of its phase's curve; empty where it is one.
        atoms: the relaxed cell; None where only energies are known.
        parent_cell: (3, 3) row vectors, Angstrom: the cell in the setting that all x of the phase share; None
            where it is not known.
        n_arrangements: arrangements of the mixed sites in this cell, equivalent ones counted; 0: not known.
    """

    phase: str
    x: float
    energy: float
    formula_units: int = 1
    provenance: str = ""
    left_out: str = ""
    atoms: Atoms | None = None
    parent_cell: FloatArray | None = None
    n_arrangements: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEnergies:
    """A series from one end member to the other in several phases.

    Attributes:
        ends: formulas of the end members, x = 0 first, e.g. ("Li3YCl6", "Li3YBr6").
        most: x of the second end, e.g. 6.
        points: all relaxed cells, by phase and x.
    """

    ends: tuple[str, str]
    most: float
    points: tuple[PhasePoint, ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases, as they come."""
        return tuple(dict.fromkeys(point.phase for point in self.points))

    def curve(self, phase: str) -> tuple[PhasePoint, ...]:
        """Points of a phase's curve by x; those left out are not among them."""
        points = [point for point in self.points if point.phase == phase and not point.left_out]
        return tuple(sorted(points, key=lambda point: point.x))

    @property
    def used(self) -> tuple[PhasePoint, ...]:
        """Points of all curves, phase after phase."""
        return tuple(point for phase in self.phases for point in self.curve(phase))

    def composition(self, x: float) -> dict[str, float]:
        """Atoms of each element per formula unit at x: linear between the ends."""
        share = x / self.most
        first, second = (Formula(formula).count() for formula in self.ends)
        mixed = {
            symbol: (1 - share) * first.get(symbol, 0) + share * second.get(symbol, 0)
            for symbol in dict.fromkeys([*first, *second])
        }
        return {symbol: count for symbol, count in mixed.items() if count > 1e-12}

    def atoms_per_unit(self, x: float) -> float:
        """Atoms of a formula unit at x."""
        return sum(self.composition(x).values())

    def end(self, phase: str, x: float) -> PhasePoint:
        """The end member of a phase at x = 0 or at the largest x.

        Raises:
            InputError: it is missing or left out.
        """
        found = [point for point in self.points if point.phase == phase and np.isclose(point.x, x, atol=1e-9)]
        formula = self.ends[0] if np.isclose(x, 0, atol=1e-9) else self.ends[1]
        if not found:
            raise InputError(
                f"the end member {formula} (x = {x:g}) of phase {phase} is missing: nothing can be referred to it",
                fix=f"make the series with x = {x:g} among its steps",
            )
        if found[0].left_out:
            raise InputError(
                f"the end member {formula} (x = {x:g}) of phase {phase} is left out: {found[0].left_out}",
                fix="refer to the common ends, or relax this end member anew",
            )
        return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyError:
    """The error of the potential's energies as a Gaussian over all points.

    cov(e_i, e_j) = std^2 [(1 - rho) delta_ij + rho (1 if of one phase, beta between phases)]

    Attributes:
        std: of one energy, eV/atom, e.g. the measured test error.
        correlation: rho, between different x of one phase: 0, every point errs alone; 1, one shift per phase.
        between_phases: beta, the part of the correlated error that all phases share and that cancels between them.
    """

    std: float
    correlation: float = 0.0
    between_phases: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.std) and self.std >= 0):
            raise InputError(
                f"the error of energies must be a number of eV/atom, zero or more; got {self.std}",
                fix="give the measured test error of the potential, e.g. 0.002",
            )
        if not (0 <= self.correlation <= 1 and 0 <= self.between_phases <= 1):
            raise InputError(
                f"correlations lie between 0 and 1; got {self.correlation} and {self.between_phases}",
                fix="give 0 for points that err alone, 1 for one shift of a whole phase",
            )

    def covariance(self, points: tuple[PhasePoint, ...]) -> FloatArray:
        """(n, n) covariance of the energies of points, (eV/atom)^2."""
        phase = np.array([point.phase for point in points])
        same = phase[:, None] == phase[None, :]
        shared = np.where(same, 1.0, self.between_phases)
        return self.std**2 * ((1 - self.correlation) * np.eye(len(points)) + self.correlation * shared)

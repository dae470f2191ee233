"""Decomposition against other compounds: the lowest mixture of them with the same atoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.stability.check import check_formula, formula_text
from halion.stability.types import EnergyError, PhasePoint, SeriesEnergies

__all__ = ["Compound", "Decomposition", "decompositions"]

_SMALLEST_AMOUNT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """A competing compound.

    Attributes:
        formula: e.g. "LiCl" or "YBr3".
        energy: of its relaxed cell, eV/atom.
        provenance: as `PhasePoint.provenance`: it must be that of the series.
    """

    formula: str
    energy: float
    provenance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """One point of the series against the lowest mixture of compounds.

    Attributes:
        phase, x: which point.
        energy: E(point) - E(mixture), eV per atom: positive, it decomposes; negative, it is stable by so much.
        std: its standard deviation, every energy erring alone, the products held; NaN where no error was given.
        products: formula and amount per formula unit of the point, by falling amount.
        reaction: with amounts.
        is_stable: whether `energy` is zero or less.
        left_out: why it is no point of its phase's curve.
    """

    phase: str
    x: float
    energy: float
    std: float
    products: tuple[tuple[str, float], ...]
    reaction: str
    is_stable: bool
    left_out: str


def decompositions(
    series: SeriesEnergies, compounds: Sequence[Compound], error: EnergyError | None = None
) -> tuple[Decomposition, ...]:
    """Minimise sum_k n_k E_k over amounts n_k >= 0 of compounds with the atoms of each point: a linear programme.

    For Li3YCl6-xBrx with LiCl, LiBr, YCl3 and YBr3 this settles which salt takes the bromide. The compounds stand
    as they are given: no phase missing in the list is thought of.

    Args:
        series: from `series_energies`.
        compounds: with energies of the same potential.
        error: of the potential; the compounds err by as much, each alone, for they are other crystals.
    Raises:
        InputError: no compounds, a formula twice or unreadable, a NaN, energies of another provenance, or compounds
            that cannot make up a composition.

    Checked by tests/stability/test_stability_decomposition.py: every mixture tried, pymatgen's PhaseDiagram.
    """
    formulas = [check_formula(one.formula) for one in compounds]
    _check(series, compounds, formulas)
    per_unit = np.array([one.energy * sum(atoms.values()) for one, atoms in zip(compounds, formulas)])
    mixtures = _Mixtures(compounds, formulas, per_unit)
    return tuple(_decompose(series, point, mixtures, error) for point in series.points)


@dataclass(frozen=True, slots=True)
class _Mixtures:
    """Compounds with their atoms and energies per formula unit."""

    compounds: Sequence[Compound]
    formulas: list[dict[str, int]]
    per_unit: FloatArray

    def lowest(self, composition: dict[str, float]) -> FloatArray | None:
        """Amounts of the lowest mixture with these atoms; None where there is none."""
        elements = sorted({*composition, *(element for atoms in self.formulas for element in atoms)})
        balance = np.array([[atoms.get(element, 0) for atoms in self.formulas] for element in elements], float)
        wanted = np.array([composition.get(element, 0.0) for element in elements])
        # Energies near -10 eV per formula unit hide differences of 1e-7 of them from the solver: the common part,
        # linear in the atoms, is taken out first and changes nothing.
        common, *_ = np.linalg.lstsq(balance.T, self.per_unit, rcond=None)
        cost = self.per_unit - balance.T @ common
        found = linprog(cost, A_eq=balance, b_eq=wanted, bounds=(0, None), method="highs")
        return found.x if found.success else None


def _check(series: SeriesEnergies, compounds: Sequence[Compound], formulas: list[dict[str, int]]) -> None:
    if not compounds:
        raise InputError("no compounds to decompose into", fix="give at least LiCl, LiBr, YCl3 and YBr3")
    reduced = [_reduced(atoms) for atoms in formulas]
    for k, one in enumerate(compounds):
        if not math.isfinite(one.energy):
            raise InputError(
                f"the energy of {one.formula} must be a number, got {one.energy}",
                fix="relax it anew, or leave it out",
            )
        if reduced[k] in reduced[:k]:
            raise InputError(f"{one.formula} is given twice", fix="keep the lower one")
        if one.provenance != series.points[0].provenance:
            raise InputError(
                f"the energy of {one.formula} was made with '{one.provenance or 'not recorded'}', those of the "
                f"series with '{series.points[0].provenance or 'not recorded'}': they do not compare",
                fix="relax the compounds with the potential and settings of the series",
            )


def _reduced(atoms: dict[str, int]) -> frozenset[tuple[str, int]]:
    common = math.gcd(*atoms.values())
    return frozenset((element, n // common) for element, n in atoms.items())


def _decompose(
    series: SeriesEnergies, point: PhasePoint, mixtures: _Mixtures, error: EnergyError | None
) -> Decomposition:
    composition = series.composition(point.x)
    amounts = mixtures.lowest(composition)
    names = [one.formula for one in mixtures.compounds]
    if amounts is None:
        raise InputError(
            f"no mixture of {', '.join(names)} has the atoms of {formula_text(composition)}",
            where=f"{point.phase}, x = {point.x:g}",
            fix="add the compounds that are missing, e.g. a chloride and a bromide of each cation",
        )
    n_atoms = series.atoms_per_unit(point.x)
    energy = point.energy - float(mixtures.per_unit @ amounts) / n_atoms
    shares = amounts * [sum(atoms.values()) for atoms in mixtures.formulas] / n_atoms
    products = sorted(
        ((name, float(n)) for name, n in zip(names, amounts) if n > _SMALLEST_AMOUNT), key=lambda each: -each[1]
    )
    terms = [f"{'' if abs(n - 1) < 1e-9 else f'{n:.4g} '}{formula}" for formula, n in products]
    return Decomposition(
        phase=point.phase,
        x=point.x,
        energy=energy,
        std=math.nan if error is None else error.std * math.sqrt(1 + float(shares @ shares)),
        products=tuple(products),
        reaction=f"{formula_text(composition)} ({point.phase}) -> {' + '.join(terms)}",
        is_stable=energy <= 0,
        left_out=point.left_out,
    )

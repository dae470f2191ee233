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
from halion.stability.types import PhasePoint, SeriesEnergies

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
        products: formula and amount per formula unit of the point, by falling amount.
        reaction: with amounts.
        is_stable: whether `energy` is zero or less.
        left_out: why it is no point of its phase's curve.
    """

    phase: str
    x: float
    energy: float
    products: tuple[tuple[str, float], ...]
    reaction: str
    is_stable: bool
    left_out: str


def decompositions(series: SeriesEnergies, compounds: Sequence[Compound]) -> tuple[Decomposition, ...]:
    """Minimise sum_k n_k E_k over amounts n_k >= 0 of compounds with the atoms of each point: a linear programme.

    For Li3YCl6-xBrx with LiCl, LiBr, YCl3 and YBr3 this settles which salt takes the bromide. The compounds stand
    as they are given: no phase missing in the list is thought of.

    Args:
        series: from `series_energies`.
        compounds: with energies of the same potential.
    Raises:
        InputError: no compounds, a formula twice or unreadable, a NaN, energies of another provenance, or compounds
            that cannot make up a composition.

    Checked by tests/stability/test_stability_decomposition.py: every mixture tried, pymatgen's PhaseDiagram.
    """
    formulas = [check_formula(one.formula) for one in compounds]
    _check(series, compounds, formulas)
    per_unit = np.array([one.energy * sum(atoms.values()) for one, atoms in zip(compounds, formulas)])
    return tuple(_decompose(series, point, compounds, formulas, per_unit) for point in series.points)


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
    series: SeriesEnergies,
    point: PhasePoint,
    compounds: Sequence[Compound],
    formulas: list[dict[str, int]],
    per_unit: FloatArray,
) -> Decomposition:
    composition = series.composition(point.x)
    elements = sorted({*composition, *(element for atoms in formulas for element in atoms)})
    balance = np.array([[atoms.get(element, 0) for atoms in formulas] for element in elements], float)
    wanted = np.array([composition.get(element, 0.0) for element in elements])
    # Energies near -10 eV per formula unit hide differences of 1e-7 of them from the solver: the common part,
    # linear in the atoms, is taken out first and changes nothing.
    common, *_ = np.linalg.lstsq(balance.T, per_unit, rcond=None)
    found = linprog(per_unit - balance.T @ common, A_eq=balance, b_eq=wanted, bounds=(0, None), method="highs")
    if not found.success:
        raise InputError(
            f"no mixture of {', '.join(one.formula for one in compounds)} has the atoms of "
            f"{formula_text(composition)}",
            where=f"{point.phase}, x = {point.x:g}",
            fix="add the compounds that are missing, e.g. a chloride and a bromide of each cation",
        )
    energy = point.energy - float(per_unit @ found.x) / series.atoms_per_unit(point.x)
    products = sorted(
        ((one.formula, float(n)) for one, n in zip(compounds, found.x) if n > _SMALLEST_AMOUNT),
        key=lambda product: -product[1],
    )
    terms = [f"{'' if abs(n - 1) < 1e-9 else f'{n:.4g} '}{formula}" for formula, n in products]
    return Decomposition(
        phase=point.phase,
        x=point.x,
        energy=energy,
        products=tuple(products),
        reaction=f"{formula_text(composition)} ({point.phase}) -> {' + '.join(terms)}",
        is_stable=energy <= 0,
        left_out=point.left_out,
    )

"""Whole atoms on every orbit of a supercell: neutral, of the nearest formula, nearest to the refined occupancies.

Two questions, answered one after the other and each exactly. First the formula: the neutral numbers of atoms per
element nearest to the refined ones, sum_e (N_e - N_e,refined)^2 least, so that a refinement whose cell holds whole
formula units keeps its formula. Then their places: among all ways to put these atoms on the orbits the one with

    d^2 = sum over orbits o, elements e of  m_o (n_oe / m_o - occupancy_oe)^2   least

(m_o sites of orbit o in the supercell, n_oe atoms of e on it): the squared misfit of the occupancy summed over all
sites. Sites are never filled twice; orbits refined as full stay full. Rounding each occupancy alone would neither
be neutral nor keep the formula.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from halion.crystal.types import DisorderedCrystal, Orbit
from halion.errors import OrderingError
from halion.orderings.feasible import has_ordering
from halion.orderings.lattice import cell_count
from halion.orderings.placement import FULL, TIE, Split, cheapest_split, splits_by_cost
from halion.orderings.types import (
    Composition,
    OrbitComposition,
    PairExclusion,
    Supercell,
    as_supercell,
    supercell_name,
)

__all__ = ["choose_composition", "composition_of"]

_NEUTRAL = 1e-6  # e; formal charges are whole or simple fractions
# Mean charges that moving every disordered occupancy by this much would repair are rounding and refinement errors
# (standard uncertainties of occupancies are 0.01 to 0.05); a larger charge is another compound or a wrong charge.
_LARGEST_REPAIR = 0.1
_MOST_TRIALS = 500_000  # formulas looked at before a crystal is refused as never neutral
# Splits looked through when cations are too close in the nearest: their number, and their squared misfit.
_MOST_SPLITS, _FARTHEST = 32, 4.0
_TRY_CELLS = 8  # cells looked through for a supercell to suggest


def choose_composition(
    crystal: DisorderedCrystal,
    supercell: Supercell | Sequence[int],
    *,
    exclusions: tuple[PairExclusion, ...] = (),
) -> Composition:
    """The neutral whole-atom composition of a supercell nearest to the refinement (measure: module docstring).

    Args:
        crystal: the disordered crystal.
        supercell: repeats of its cell along a, b, c, or a matrix whose rows are the supercell's vectors.
        exclusions: pass over compositions all of whose orderings fill excluded pairs (see `exclusions_for`). When
            the nearest few dozen are all impossible the nearest is given, and `enumerate_orderings` says why it
            cannot be ordered.
    Returns:
        Atoms per orbit, deviation from the refinement, and how many other compositions are equally near.
    Raises:
        OrderingError: the refinement is charged beyond rounding, or this supercell has no neutral composition.

    Source: exact integer least squares (enumeration over formulas, dynamic programming over orbits). Checked by
    tests/orderings/test_orderings_composition.py against trying all compositions, and the published cells.
    """
    _refuse_charged(crystal)
    supercell = as_supercell(supercell)
    found = _nearest(crystal, cell_count(supercell))
    if found is None:
        raise _not_neutral(crystal, supercell)
    nearest = composition_of(crystal, supercell, *found)
    if not exclusions or has_ordering(crystal, nearest, exclusions):
        return nearest
    return _nearest_possible(crystal, nearest, exclusions) or nearest


def composition_of(crystal: DisorderedCrystal, supercell: Supercell, split: Split, ties: int) -> Composition:
    """The composition that puts a split, atoms per orbit and element, into a supercell."""
    orbits = tuple(
        _orbit_composition(index, orbit, cell_count(supercell), counts)
        for index, (orbit, counts) in enumerate(zip(crystal.orbits, split))
    )
    amounts: dict[str, int] = {}
    for orbit in orbits:
        for element, count in orbit.counts.items():
            amounts[element] = amounts.get(element, 0) + count
    charge = sum(crystal.charges[element] * count for element, count in amounts.items())
    return Composition(
        supercell=supercell,
        orbits=orbits,
        formula=_formula(amounts, crystal.charges),
        charge=round(charge, 9) + 0.0,
        deviation=max(orbit.deviation for orbit in orbits),
        ties=ties,
    )


def _nearest_possible(
    crystal: DisorderedCrystal, nearest: Composition, exclusions: tuple[PairExclusion, ...]
) -> Composition | None:
    """The nearest composition of the same formula that has an ordering, among the next few dozen."""
    elements = list(dict.fromkeys(element for orbit in crystal.orbits for element in orbit.occupancy))
    totals = tuple(sum(orbit.counts.get(element, 0) for orbit in nearest.orbits) for element in elements)
    splits = splits_by_cost(
        crystal, elements, totals, cell_count(nearest.supercell), bound=_FARTHEST, most=_MOST_SPLITS
    )
    first: tuple[float, Composition] | None = None
    ties = 0
    for cost, split in splits:
        if first is not None and cost > first[0] + TIE:
            break
        candidate = composition_of(crystal, nearest.supercell, split, 0)
        if has_ordering(crystal, candidate, exclusions):
            ties += first is not None
            first = first or (cost, candidate)
    return None if first is None else replace(first[1], ties=ties)


def _orbit_composition(index: int, orbit: Orbit, n_cells: int, counts: tuple[int, ...]) -> OrbitComposition:
    n_sites = orbit.n_sites * n_cells
    per_element = dict(zip(orbit.occupancy, counts))
    return OrbitComposition(
        orbit=index,
        wyckoff=orbit.wyckoff,
        n_sites=n_sites,
        counts={element: count for element, count in per_element.items() if count},
        refined=dict(orbit.occupancy),
        deviation=max(abs(count / n_sites - orbit.occupancy[element]) for element, count in per_element.items()),
    )


def _formula(amounts: Mapping[str, int], charges: Mapping[str, float]) -> str:
    """Cations first, each group by size of charge: "Li12 Y4 Br24"."""
    order = sorted(amounts, key=lambda element: (charges[element] <= 0, abs(charges[element]), element))
    return " ".join(f"{element}{amounts[element]}" for element in order if amounts[element])


def _nearest(crystal: DisorderedCrystal, n_cells: int) -> tuple[Split, int] | None:
    """The best split and how many others tie with it; None if no composition is neutral."""
    elements = list(dict.fromkeys(element for orbit in crystal.orbits for element in orbit.occupancy))
    best: tuple[float, Split] | None = None
    best_miss, ways = math.inf, 0
    for miss, totals in _neutral_totals(crystal, elements, n_cells):
        if miss > best_miss + TIE:
            break
        placed = cheapest_split(crystal, elements, totals, n_cells)
        if placed is None:
            continue
        cost, n, split = placed
        best_miss = min(best_miss, miss)
        if best is None or cost < best[0] - TIE:
            best, ways = (cost, split), n
        elif cost < best[0] + TIE:
            ways += n
    return None if best is None else (best[1], ways - 1)


def _neutral_totals(
    crystal: DisorderedCrystal, elements: list[str], n_cells: int
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """(sum of squares, atoms per element) of neutral formulas, the nearest to the refined amounts first.

    A box of half-width r around the refined amounts holds every formula within r of them, so growing boxes give
    all of them in order.
    """
    fixed, most = _amount_limits(crystal, elements, n_cells)
    composition = crystal.composition
    refined = np.array([composition[element] * n_cells for element in elements])
    charges = np.array([crystal.charges[element] for element in elements])
    given, radius = -1.0, 0.25
    while True:
        ranges = [
            range(max(low, math.ceil(x - radius)), min(high, math.floor(x + radius)) + 1) if low < high else (low,)
            for x, low, high in zip(refined, fixed, most)
        ]
        if math.prod(len(each) for each in ranges) > _MOST_TRIALS:
            return
        totals = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(elements))
        totals = totals[np.abs(totals @ charges) < _NEUTRAL]
        free = np.array([low < high for low, high in zip(fixed, most)])
        miss = np.sum(((totals - refined) * free) ** 2, axis=1)
        complete = all(len(each) == high - low + 1 for each, low, high in zip(ranges, fixed, most))
        inside = (miss > given) & ((miss <= radius**2) | complete)
        for k in sorted(np.flatnonzero(inside), key=lambda k: (miss[k], tuple(-totals[k]))):
            yield float(miss[k]), tuple(int(n) for n in totals[k])
        if complete:
            return
        given, radius = radius**2, radius * 2


def _amount_limits(crystal: DisorderedCrystal, elements: list[str], n_cells: int) -> tuple[list[int], list[int]]:
    """Fewest and most atoms of each element that the sites allow."""
    fewest, most = dict.fromkeys(elements, 0), dict.fromkeys(elements, 0)
    for orbit in crystal.orbits:
        for element in orbit.occupancy:
            most[element] += orbit.n_sites * n_cells
            if orbit.is_ordered:
                fewest[element] += orbit.n_sites * n_cells
    return list(fewest.values()), list(most.values())


def _refuse_charged(crystal: DisorderedCrystal) -> None:
    """Refuse a refinement whose mean charge no rounding can repair."""
    reach = 0.0
    for orbit in crystal.orbits:
        if not orbit.is_ordered:
            charges = [crystal.charges[element] for element in orbit.occupancy]
            charges += [0.0] if orbit.vacancy >= FULL else []
            reach += orbit.n_sites * (max(charges) - min(charges))
    if abs(crystal.charge) > _LARGEST_REPAIR * reach + 1e-3:
        charges = ", ".join(f"{element} {charge:+g}" for element, charge in crystal.charges.items())
        raise OrderingError(
            f"the refined cell {crystal.formula} carries a charge of {crystal.charge:+.2f} e with {charges}; "
            f"no supercell makes it neutral without moving occupancies by more than {_LARGEST_REPAIR:g}",
            where=crystal.name,
            fix="correct the occupancies or the oxidation states (_atom_type_oxidation_number) in the crystal file",
        )


def _not_neutral(crystal: DisorderedCrystal, supercell: Supercell) -> OrderingError:
    n_here = cell_count(supercell)
    other = next((n for n in range(1, _TRY_CELLS + 1) if n != n_here and _nearest(crystal, n) is not None), None)
    if other is None:
        fix = f"correct the occupancies or charges: no supercell of up to {_TRY_CELLS} cells is neutral either"
    else:
        fix = f"orderings: {{supercell: [1, 1, {other}]}}   (the smallest other number of cells that is neutral)"
    return OrderingError(
        f"no whole-atom composition of the {supercell_name(supercell)} supercell is neutral: the refined "
        f"{crystal.formula} per cell carries {crystal.charge * n_here:+.3f} e in it before rounding",
        where=crystal.name,
        fix=fix,
    )

"""The plan of a composition series: cells, exact counts and mirrors of every composition, before any energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from ase.build import make_supercell

from halion.errors import InputError
from halion.ranking.framework import ParentPhase, best_supercell, formula_units
from halion.ranking.series_types import PlannedComposition
from halion.ranking.sublattice import find_sublattice
from halion.ranking.substitution import count_substitutions
from halion.settings import SeriesSettings

__all__ = ["most_listed", "plan_series"]

_LARGEST_DENOMINATOR = 64  # an x is a fraction of small numbers; 0.3333 is taken for 1/3


def plan_series(parents: Sequence[ParentPhase], settings: SeriesSettings) -> tuple[PlannedComposition, ...]:
    """Every composition of every parent: its cell, exact counts and mirror, before anything is evaluated.

    A cell that cannot hold x exactly is enlarged: the fewest cells that can, in the supercell of farthest images.
    The ends of each parent come first: all others are built between them.

    Raises:
        InputError: a parent without a structure, two of one name, x outside 0 to the shared sites of a formula
            unit, or one that no cell within `max_atoms` holds.
        OrderingError: no consistent symmetry at the tolerance.

    Checked by tests/ranking/test_ranking_series.py: cells, counts, names and mirrors of both parents.
    """
    names = [parent.name for parent in parents]
    if len(set(names)) < len(names) or not all(parent.structures for parent in parents):
        raise InputError(
            "every parent of a series needs a name of its own and at least one ordered structure",
            fix="rank the orderings of each parent and give its best structure",
        )
    return tuple(planned for parent in parents for planned in _plan_parent(parent, settings))


def most_listed(settings: SeriesSettings) -> int:
    """Distinct arrangements up to which all are listed: those that can all be evaluated always are."""
    return max(settings.list_at_most, settings.evaluate_at_most)


def _plan_parent(parent: ParentPhase, settings: SeriesSettings) -> list[PlannedComposition]:
    _, per_unit = formula_units(parent.structures[0], settings.elements)
    steps = sorted(set(settings.steps), key=lambda x: (x not in (0, per_unit), x))
    planned = []
    for x in steps:
        if not 0 <= x <= per_unit:
            raise InputError(
                f"x = {x:g} is not between 0 and {per_unit}, the {settings.elements[0]} and "
                f"{settings.elements[1]} of one formula unit",
                where=parent.name,
                fix=f"series: {{steps: [0, ..., {per_unit}]}}",
            )
        mirror = next((y for y in steps if abs(x + y - per_unit) < 1e-9 and y != x), None)
        mirror_name = "" if mirror is None else f"{parent.name}{mirror:g}"
        planned.append(_plan_one(parent, x, mirror_name, settings))
    return planned


def _plan_one(parent: ParentPhase, x: float, mirror: str, settings: SeriesSettings) -> PlannedComposition:
    structures = parent.structures[: settings.cation_orderings]
    units, per_unit = formula_units(structures[0], settings.elements)
    share = Fraction(x).limit_denominator(_LARGEST_DENOMINATOR) / per_unit
    n_cells = share.denominator // math.gcd(share.denominator, units * per_unit)
    n_atoms = n_cells * len(structures[0])
    if n_atoms > settings.max_atoms and n_cells > 1:
        raise InputError(
            f"x = {x:g} needs a cell of {n_atoms} atoms to be exact",
            where=parent.name,
            fix=f"series: {{max_atoms: {n_atoms}}}, or leave this x out",
        )
    supercell = best_supercell(structures, n_cells)
    n_sites = n_cells * units * per_unit
    n_guests = int(share * n_sites)
    counts = tuple(
        count_substitutions(
            find_sublattice(
                make_supercell(structure, np.array(supercell)),
                settings.elements,
                symprec=settings.symmetry_tolerance_angstrom,
            ),
            n_guests,
        )
        for structure in structures
    )
    return PlannedComposition(
        name=f"{parent.name}{x:g}",
        parent=parent.name,
        x=float(x),
        supercell=supercell,
        n_atoms=n_atoms,
        n_sites=n_sites,
        n_guests=n_guests,
        formula_units=n_cells * units,
        counts=counts,
        mirror=mirror,
        is_listed=all(count.distinct <= most_listed(settings) for count in counts),
        most_evaluated=sum(min(count.distinct, settings.evaluate_at_most) for count in counts),
    )

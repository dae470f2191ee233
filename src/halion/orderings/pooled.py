"""Every way to put the atoms of a composition on the orbits, where elements are pooled or may shift by a window.

The symmetry group never mixes orbits. So the orderings of atoms pooled over several orbits are those of every
split of these atoms over the orbits, and none of two splits are equivalent: counts add up, and a pool is a list of
ordinary compositions.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence

from halion.crystal.types import DisorderedCrystal, Orbit
from halion.errors import OrderingError, nearest
from halion.orderings.composition import composition_of
from halion.orderings.lattice import cell_count
from halion.orderings.placement import FULL, TIE, Split
from halion.orderings.types import Composition

__all__ = ["MOST_COMPOSITIONS", "pooled_compositions"]

MOST_COMPOSITIONS = 5000  # each is counted, searched and stored by itself

_Left = tuple[int, ...]  # atoms of each element still to be placed


def pooled_compositions(
    crystal: DisorderedCrystal, around: Composition, pool: Sequence[str], *, window: int = 0
) -> tuple[Composition, ...]:
    """All compositions with the atoms of `around` whose pooled elements lie on their orbits in any numbers.

    On each orbit the number of a pooled element is free, that of any other differs from `around` by at most
    `window`; the atoms per element, and with them formula and charge, stay. Orbits refined as full stay full, and
    sites are never filled twice: splits that mixed occupancy makes impossible are left out.

    Args:
        crystal: the disordered crystal.
        around: the composition to start from; it comes first.
        pool: elements to pool.
        window: atoms by which the number of an element that is not pooled may differ on each orbit.
    Returns:
        `around`, then the others, the nearest to the refinement first (squared misfit of composition.py); `ties` of
        each says how many others among them are as near.
    Raises:
        OrderingError: a pooled element is none of the crystal's; more than `MOST_COMPOSITIONS` splits.

    Checked by tests/orderings/test_orderings_pooled.py against trying all splits, and the counts of Li3YCl6.
    """
    for element in pool:
        if element not in crystal.charges:
            raise OrderingError(
                f"orderings.pool: there is no {element} in this crystal: {nearest(element, crystal.charges)}",
                where=crystal.name,
                fix=f"orderings: {{pool: [{next(iter(crystal.charges))}]}}",
            )
    elements = list(crystal.charges)
    n_cells = cell_count(around.supercell)
    options = []
    for part, orbit in zip(around.orbits, crystal.orbits):
        given = tuple(part.counts.get(element, 0) for element in orbit.occupancy)
        options.append(_fillings(orbit, orbit.n_sites * n_cells, given, (pool, window)))
    totals = tuple(sum(part.counts.get(element, 0) for part in around.orbits) for element in elements)
    splits = _splits(crystal, elements, totals, options)
    first = tuple(
        tuple(part.counts.get(element, 0) for element in orbit.occupancy)
        for part, orbit in zip(around.orbits, crystal.orbits)
    )
    costs = {split: _misfit(crystal, split, n_cells) for split in splits}
    others = sorted((split for split in splits if split != first), key=lambda split: (costs[split], split))
    ordered = sorted(costs.values())
    return tuple(
        composition_of(crystal, around.supercell, split, _number_near(ordered, costs[split]) - 1)
        for split in (first, *others)
    )


def _fillings(
    orbit: Orbit, n_sites: int, given: tuple[int, ...], freedom: tuple[Sequence[str], int]
) -> list[tuple[int, ...]]:
    """Atoms per element that the sites of one orbit can hold."""
    if orbit.is_ordered:
        return [given]
    pool, window = freedom
    ranges = [
        range(n_sites + 1) if element in pool else range(max(0, n - window), min(n_sites, n + window) + 1)
        for element, n in zip(orbit.occupancy, given)
    ]
    is_full = orbit.vacancy < FULL
    return [
        counts
        for counts in itertools.product(*ranges)
        if sum(counts) == n_sites or (sum(counts) < n_sites and not is_full)
    ]


def _splits(
    crystal: DisorderedCrystal, elements: list[str], totals: _Left, options: list[list[tuple[int, ...]]]
) -> list[Split]:
    """All choices of one filling per orbit that use up the atoms; counted before they are listed."""
    columns = [[elements.index(element) for element in orbit.occupancy] for orbit in crystal.orbits]
    zero = (0,) * len(totals)
    # endings[k]: what the orbits from k on can use up -> in how many ways.
    endings: list[dict[_Left, int]] = [{zero: 1}]
    for place, choices in zip(reversed(columns), reversed(options)):
        following: dict[_Left, int] = {}
        for used, ways in endings[0].items():
            for counts in choices:
                key = _plus(used, place, counts)
                if all(n <= most for n, most in zip(key, totals)):
                    following[key] = following.get(key, 0) + ways
        endings.insert(0, following)
    number = endings[0].get(totals, 0)
    if number > MOST_COMPOSITIONS:
        raise OrderingError(
            f"there are {number} ways to share the atoms among the orbits, more than the {MOST_COMPOSITIONS} that "
            "are searched one by one",
            where=crystal.name,
            fix="pool fewer elements (orderings.pool), a smaller orderings.window, or a smaller supercell",
        )
    begun: list[tuple[_Left, Split]] = [(totals, ())]
    for k, (place, choices) in enumerate(zip(columns, options)):
        begun = [
            (left, (*split, counts))
            for before, split in begun
            for counts in choices
            if (left := _plus(before, place, counts, -1)) in endings[k + 1]
        ]
    return [split for _, split in begun]


def _plus(used: _Left, columns: list[int], counts: tuple[int, ...], sign: int = 1) -> _Left:
    after = list(used)
    for column, count in zip(columns, counts):
        after[column] += sign * count
    return tuple(after)


def _misfit(crystal: DisorderedCrystal, split: Split, n_cells: int) -> float:
    """sum over orbits o, elements e of m_o (n_oe / m_o - occupancy_oe)^2, disordered orbits alone."""
    return sum(
        orbit.n_sites * n_cells * (n / (orbit.n_sites * n_cells) - x) ** 2
        for orbit, counts in zip(crystal.orbits, split)
        if not orbit.is_ordered
        for n, x in zip(counts, orbit.occupancy.values())
    )


def _number_near(ordered: list[float], cost: float) -> int:
    """How many of the sorted costs equal this one, itself among them."""
    return bisect.bisect_right(ordered, cost + TIE) - bisect.bisect_left(ordered, cost - TIE)

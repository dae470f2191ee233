"""Every way to put the atoms of a composition on the orbits, where elements are pooled or may shift by a window.

The symmetry group never mixes orbits. So the orderings of atoms pooled over several orbits are those of every
split of these atoms over the orbits, and none of two splits are equivalent: counts add up, and a pool is a list of
ordinary compositions.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from halion.crystal.types import DisorderedCrystal, Orbit
from halion.errors import OrderingError, nearest
from halion.orderings.composition import composition_of
from halion.orderings.cycles import CycleType, colourings, cycle_types
from halion.orderings.lattice import cell_count
from halion.orderings.placement import FULL, TIE, Split
from halion.orderings.sites import site_permutations
from halion.orderings.types import Composition, OrderingCount

__all__ = ["MOST_COMPOSITIONS", "count_pooled", "pooled_compositions"]

MOST_COMPOSITIONS = 5000  # each is counted, searched and stored by itself

_Left = tuple[int, ...]  # atoms of each element still to be placed
_Block = tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...]]  # sites, columns of its elements, its fillings


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
    n_cells = cell_count(around.supercell)
    options = _options(crystal, around, pool, window)
    splits = _splits(crystal, _atoms(crystal, around), options)
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


def count_pooled(
    crystal: DisorderedCrystal, around: Composition, pool: Sequence[str], *, window: int = 0
) -> OrderingCount:
    """Exact numbers of orderings over all compositions of `pooled_compositions`, without listing these.

    Burnside's sum over the splits is taken orbit after orbit: what matters is how many atoms of each element are
    left for the orbits to come.

    Raises:
        OrderingError: a pooled element is none of the crystal's.

    Checked by tests/orderings/test_orderings_pooled.py against the sum over the list.
    """
    options = _options(crystal, around, pool, window)
    spare = _atoms(crystal, around)
    blocks: list[_Block] = []
    orbits = []
    for k, (orbit, part) in enumerate(zip(crystal.orbits, around.orbits)):
        columns = _columns(crystal, k)
        if orbit.is_ordered:
            spare = _plus(spare, columns, options[k][0], -1)
        else:
            orbits.append(k)
            blocks.append((part.n_sites, tuple(columns), tuple(options[k])))
    permutations = site_permutations(crystal, around.supercell, orbits)
    kinds = Counter(cycle_types(permutations, [size for size, _, _ in blocks]))
    identity = tuple(((1, size),) for size, _, _ in blocks)
    order = len(permutations)
    fixed = sum(number * _fixed(kind, tuple(blocks), spare) for kind, number in kinds.items())
    if fixed % order:
        raise AssertionError(f"Burnside's sum {fixed} is no multiple of the group order {order}: not a group")
    total = _fixed(identity, tuple(blocks), spare)
    return OrderingCount(total=total, distinct=fixed // order, group_order=order)


@lru_cache(maxsize=4096)  # shapes of one size share most of their cycle types, the identity first
def _fixed(kind: tuple[CycleType, ...], blocks: tuple[_Block, ...], spare: _Left) -> int:
    """Colourings that permutations with these cycles leave as they are, over all splits."""
    states = {spare: 1}
    for cycles, (size, columns, fillings) in zip(kind, blocks):
        following: dict[_Left, int] = {}
        for counts in fillings:
            ways = colourings(cycles, tuple(sorted((*counts, size - sum(counts)))))
            for left, number in states.items() if ways else ():
                key = _plus(left, columns, counts, -1)
                if min(key) >= 0:
                    following[key] = following.get(key, 0) + ways * number
        states = following
    return states.get((0,) * len(spare), 0)


def _atoms(crystal: DisorderedCrystal, composition: Composition) -> _Left:
    """Atoms of each element of the crystal."""
    return tuple(sum(part.counts.get(element, 0) for part in composition.orbits) for element in crystal.charges)


def _columns(crystal: DisorderedCrystal, index: int) -> list[int]:
    """Where the elements of an orbit stand among those of the crystal."""
    elements = list(crystal.charges)
    return [elements.index(element) for element in crystal.orbits[index].occupancy]


def _options(
    crystal: DisorderedCrystal, around: Composition, pool: Sequence[str], window: int
) -> list[list[tuple[int, ...]]]:
    """Fillings of each orbit that pool and window allow."""
    for element in pool:
        if element not in crystal.charges:
            raise OrderingError(
                f"orderings.pool: there is no {element} in this crystal: {nearest(element, crystal.charges)}",
                where=crystal.name,
                fix=f"orderings: {{pool: [{next(iter(crystal.charges))}]}}",
            )
    options = []
    for part, orbit in zip(around.orbits, crystal.orbits):
        given = tuple(part.counts.get(element, 0) for element in orbit.occupancy)
        options.append(_fillings(orbit, part.n_sites, given, (pool, window)))
    return options


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


def _splits(crystal: DisorderedCrystal, totals: _Left, options: list[list[tuple[int, ...]]]) -> list[Split]:
    """All choices of one filling per orbit that use up the atoms; counted before they are listed."""
    columns = [_columns(crystal, k) for k in range(len(crystal.orbits))]
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


def _plus(used: _Left, columns: Sequence[int], counts: tuple[int, ...], sign: int = 1) -> _Left:
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

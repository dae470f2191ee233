"""How many orderings there are, before and after symmetry, exactly and without making one (Burnside's lemma)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from halion.crystal.types import DisorderedCrystal
from halion.orderings.cycles import CycleType, colourings, cycle_types
from halion.orderings.sites import site_permutations
from halion.orderings.types import Composition, OrbitComposition, OrderingCount

__all__ = ["count_orderings", "count_under_group", "disordered_orbits", "species_counts"]


def count_orderings(crystal: DisorderedCrystal, compositions: Composition | Sequence[Composition]) -> OrderingCount:
    """Exact numbers of orderings with fixed atoms per orbit, before and after the supercell's symmetry.

        total    = prod_o m_o! / prod_s n_os!
        distinct = 1/|G| sum_{g in G} prod_o [prod_s x_s^n_os] prod_{cycles of g on o} (sum_s x_s^length)

    s runs over the elements and the vacancy of orbit o. Superperiodic orderings are included: their weight in the
    ensemble of this supercell is right only so. Of several compositions, of one supercell, both are the sums: no
    operation takes an ordering of one to one of another.

    Args:
        crystal: the disordered parent, whose operations make G together with its lattice translations.
        compositions: atoms per orbit, as `choose_composition` and `compositions_for` give them.

    Source: Burnside's lemma; Polya 1937. Checked by tests/orderings/test_orderings_count.py against published
    counts, and by brute force.
    """
    several = (compositions,) if isinstance(compositions, Composition) else tuple(compositions)
    orbits = sorted({index for each in several for index in disordered_orbits(each)})
    permutations = site_permutations(crystal, several[0].supercell, orbits)
    counts = [{index: tuple(species_counts(each.orbits[index]).values()) for index in orbits} for each in several]
    kinds = Counter(cycle_types(permutations, [several[0].orbits[index].n_sites for index in orbits]))
    order = len(permutations)
    found = [_count(kinds, order, list(each.values())) for each in counts]
    return OrderingCount(
        total=sum(each.total for each in found), distinct=sum(each.distinct for each in found), group_order=order
    )


def count_under_group(permutations: NDArray[np.int32], blocks: list[tuple[int, ...]]) -> OrderingCount:
    """Burnside's count for a group given as permutations of sites, block after block.

    Args:
        permutations: (group_order, n_sites), each maps every block to itself.
        blocks: atoms per species (vacancies among them) of each block; a block has as many sites as their sum.
    """
    return _count(Counter(cycle_types(permutations, [sum(block) for block in blocks])), len(permutations), blocks)


def _count(types: Counter[tuple[CycleType, ...]], order: int, blocks: list[tuple[int, ...]]) -> OrderingCount:
    fixed = sum(
        n * math.prod(colourings(cycles, tuple(sorted(block))) for cycles, block in zip(kinds, blocks))
        for kinds, n in types.items()
    )
    if fixed % order:
        raise AssertionError(f"Burnside's sum {fixed} is no multiple of the group order {order}: not a group")
    total = math.prod(math.factorial(sum(block)) // math.prod(map(math.factorial, block)) for block in blocks)
    return OrderingCount(total=total, distinct=fixed // order, group_order=order)


def disordered_orbits(composition: Composition) -> list[int]:
    """Indices of the orbits whose sites can be filled in more than one way."""
    return [orbit.orbit for orbit in composition.orbits if len(species_counts(orbit)) > 1]


def species_counts(orbit: OrbitComposition) -> dict[str, int]:
    """Element -> atoms, "" -> vacancies; those with none left out."""
    counts = {"": orbit.n_sites - sum(orbit.counts.values()), **orbit.counts}
    return {species: count for species, count in counts.items() if count}

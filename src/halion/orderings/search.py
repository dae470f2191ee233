"""The compiled search called with a stated problem: as a stream, or until the first ordering."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings import _enumerator
from halion.orderings.problem import Problem, state_problem
from halion.orderings.types import Composition, PairExclusion

__all__ = ["distinct_up_to", "has_ordering", "search"]

_BATCH = 16_384  # orderings handed over at once: some MiB
# Ticks (some 10 ms each) after which a composition counts as impossible when an ordering is only looked for. A
# count and not a time: the same question has the same answer on every machine.
_MOST_TICKS = 5


def search(
    problem: Problem, take: Callable[[bytes, bytes], bool], tick: Callable[[int], bool], batch: int = _BATCH
) -> None:
    """Stream every distinct ordering of a problem.

    Args:
        problem: sites, symmetry, blocks and conflicts.
        take: called with batches of rows (uint8, one byte per site) and multiplicities (int64); False ends it.
        tick: called with the number found, each few million group elements looked at; False ends it.
        batch: orderings handed over at once.
    """
    n_species = len(problem.species)
    lists: list[list[int]] = [[] for _ in range(len(problem.row_site) * n_species)]
    for (site, species), others in problem.conflicts.items():
        lists[site * n_species + species] = sorted(other * n_species + s for other, s in others)
    _enumerator.enumerate(
        permutations=np.ascontiguousarray(problem.permutations, dtype=np.int32),
        blocks=problem.blocks,
        conflict_begin=np.cumsum([0, *map(len, lists)], dtype=np.int32),
        conflicts=np.array([node for each in lists for node in each], dtype=np.int32),
        forbidden=np.array(sorted(site * n_species + s for site, s in problem.forbidden), dtype=np.int32),
        row=problem.row,
        row_site=problem.row_site,
        n_species=n_species,
        take=take,
        tick=tick,
        batch=batch,
    )


def has_ordering(
    crystal: DisorderedCrystal, composition: Composition, exclusions: tuple[PairExclusion, ...]
) -> bool:
    """Whether an ordering under the exclusions is found within a bounded search."""
    try:
        return bool(distinct_up_to(crystal, composition, exclusions, 1))
    except OrderingError:
        return False  # two full sites too close


def distinct_up_to(
    crystal: DisorderedCrystal, composition: Composition, exclusions: tuple[PairExclusion, ...], most: int
) -> int | None:
    """Number of distinct orderings under the exclusions, counted by the search up to `most`.

    Returns:
        The number, exact below `most`; None when a bounded search found fewer than `most` and did not end.
    Raises:
        OrderingError: two full sites are too close.
    """
    problem = state_problem(crystal, composition, exclusions)
    found: list[int] = []
    ticks: list[int] = []

    def take(rows: bytes, multiplicities: bytes) -> bool:
        found.append(len(multiplicities) // 8)
        return sum(found) < most

    def tick(n_orderings: int) -> bool:
        ticks.append(n_orderings)
        return len(ticks) < _MOST_TICKS

    search(problem, take, tick, batch=min(most, _BATCH))
    if sum(found) >= most:
        return most
    return None if len(ticks) >= _MOST_TICKS else sum(found)

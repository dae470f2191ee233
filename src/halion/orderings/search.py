"""The compiled search called with a stated problem: as a stream on all cores, or up to a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halion.cores import usable_cores
from halion.crystal.types import DisorderedCrystal
from halion.orderings import _search
from halion.orderings.problem import Problem, state_problem
from halion.orderings.types import Composition, PairExclusion
from halion.progress import Stop, never

__all__ = ["NO_LIMIT", "NUMBERING", "WORK", "Outcome", "Share", "Take", "distinct_up_to", "search"]

NUMBERING: int = _search.NUMBERING  # of the tasks: what was stored half-way under another cannot be continued
WORK = 1 << 22  # group elements looked at in some 10 ms
NO_LIMIT = 2**62
# Work after which orderings are no longer counted. Work and not time: the same question has the same answer on
# every machine.
_MOST_WORK = 5 * WORK

# Called with rows (uint8, one byte per site), multiplicities (int64) and, when a task is complete, the first task
# that is not; False ends the search.
Take = Callable[[bytes, bytes, int | None], bool]


@dataclass(frozen=True, slots=True)
class Share:
    """Which of a search's numbered tasks are done: number >= first and (number + offset) % of == shard."""

    first: int = 0
    shard: int = 0
    of: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search handed on, the first task that is not complete, why it ended, and its work."""

    n_orderings: int
    position: int
    reason: Literal["end", "stopped", "orderings", "work"]
    work: int


def search(
    problem: Problem,
    take: Take,
    *,
    share: Share = Share(),
    most: tuple[int, int] = (NO_LIMIT, NO_LIMIT),
    threads: int | None = None,
    stop: Stop = never,
) -> Outcome:
    """Stream every distinct ordering of a problem, in an order that does not depend on the number of threads.

    Args:
        problem: sites, symmetry, blocks and conflicts.
        take: is given the orderings, some 1 MiB at a time.
        share: a part of the tasks; all by default.
        most: orderings and work (group elements looked at) after which the search ends; a few orderings more than
            the first number may be handed on.
        threads: that search; all usable cores by default.
        stop: asked some fifty times a second.

    Checked by tests/orderings/test_orderings_stream.py: threads, shards, and a restart from every position.
    """
    n_species = len(problem.species)
    lists: list[list[int]] = [[] for _ in range(len(problem.row_site) * n_species)]
    for (site, species), others in problem.conflicts.items():
        lists[site * n_species + species] = sorted(other * n_species + s for other, s in others)
    return Outcome(
        *_search.enumerate(
            permutations=np.ascontiguousarray(problem.permutations, dtype=np.int32),
            blocks=problem.blocks,
            conflict_begin=np.cumsum([0, *map(len, lists)], dtype=np.int32),
            conflicts=np.array([node for each in lists for node in each], dtype=np.int32),
            forbidden=np.array(sorted(site * n_species + s for site, s in problem.forbidden), dtype=np.int32),
            row=problem.row,
            row_site=problem.row_site,
            n_species=n_species,
            share=(share.first, share.shard, share.of, share.offset),
            limits=most,
            threads=threads or usable_cores(),
            take=take,
            poll=lambda: not stop(),
        )
    )


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
    found = search(problem, lambda rows, multiplicities, position: True, most=(most - 1, _MOST_WORK), threads=1)
    if found.n_orderings >= most:
        return most
    return None if found.reason == "work" else found.n_orderings

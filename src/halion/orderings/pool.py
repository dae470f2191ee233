"""Compositions of one formula on common blocks of sites, to be counted and drawn from together under exclusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.count import disordered_orbits, species_counts
from halion.orderings.dixon_wilf import Draws
from halion.orderings.problem import Problem, state_problem
from halion.orderings.stream import Question
from halion.orderings.transfer import Block, Restrictions
from halion.orderings.types import Composition, PairExclusion

__all__ = ["Pool", "count_distinct_allowed", "number_expected"]

_MOST_STATES = 600_000  # of the transfer-matrix count: some seconds and some hundred MiB


def count_distinct_allowed(
    crystal: DisorderedCrystal,
    compositions: Composition | Sequence[Composition],
    exclusions: Sequence[PairExclusion],
) -> int | None:
    """Exact number of distinct orderings that exclusions leave, without making one (Burnside's lemma).

    Returns:
        The number; None where counting would need too many states.
    Raises:
        OrderingError: two ordered sites, always filled, are too close already, in the only composition.

    Checked by tests/orderings/test_orderings_sampling.py against the enumeration.
    """
    return number_expected(Question.of(crystal, compositions, exclusions))


def number_expected(question: Question) -> int | None:
    """`count_distinct_allowed` of a question: what a search for its orderings has to find."""
    if not question.exclusions:
        return question.count.distinct
    try:
        return Pool.of(question).n_distinct
    except OrderingError:
        if len(question.compositions) == 1:
            raise
        return 0


@dataclass(frozen=True, kw_only=True)
class Pool:
    """One or several compositions on common blocks of sites.

    Attributes:
        question: what is asked.
        problem: sites and exclusions, every site that is not the same in all orderings among the disordered ones.
        blocks: per composition.
        restrictions: what the exclusions forbid.
    """

    question: Question
    problem: Problem
    blocks: tuple[tuple[Block, ...], ...]
    restrictions: Restrictions

    @classmethod
    def of(cls, question: Question) -> Pool:
        """All compositions of a question.

        Raises:
            OrderingError: two ordered sites, always filled, are too close already.
        """
        several = question.compositions
        orbits = sorted(
            {k for each in several for k in disordered_orbits(each)}
            | {
                k
                for k in range(len(several[0].orbits))
                if len({tuple(species_counts(each.orbits[k])) for each in several}) > 1
            }
        )
        problem = state_problem(question.crystal, several[0], question.exclusions, question.species, orbits)
        spans = [(begin, end) for begin, end, _ in problem.counts]
        blocks = tuple(
            tuple(
                (begin, end, {question.species.index(s): n for s, n in species_counts(each.orbits[k]).items()})
                for k, (begin, end) in zip(orbits, spans)
            )
            for each in several
        )
        restrictions = Restrictions(conflicts=problem.conflicts, forbidden=problem.forbidden)
        return cls(question=question, problem=problem, blocks=blocks, restrictions=restrictions)

    @property
    def is_restricted(self) -> bool:
        """Whether exclusions forbid anything."""
        return bool(self.restrictions.conflicts or self.restrictions.forbidden)

    def draws(self, permutations: NDArray[np.int32], *, is_exact: bool = True) -> Draws:
        """Random colourings under a group; of all, allowed or not, where not `is_exact`."""
        restrictions = self.restrictions if is_exact and self.is_restricted else None
        return Draws(permutations, self.blocks, restrictions, most_states=_MOST_STATES)

    @cached_property
    def draws_of_orderings(self) -> Draws:
        """Random distinct orderings; infeasible where counting would need too many states."""
        return self.draws(self.problem.permutations)

    @property
    def n_distinct(self) -> int | None:
        """Exact number of distinct orderings allowed; None where counting would need too many states."""
        return self.draws_of_orderings.n_distinct if self.draws_of_orderings.is_feasible else None

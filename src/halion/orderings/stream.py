"""Every distinct ordering of one or several compositions as one stream, which certifies itself and can be resumed.

The order is that of the compositions, and within each that of the search; it depends on nothing else. A position in
it, (composition, task), is where an interrupted stream goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.allowed import count_allowed
from halion.orderings.count import count_orderings
from halion.orderings.problem import Problem, species_of, state_problem
from halion.orderings.search import NO_LIMIT, Outcome, Share, search
from halion.orderings.types import Composition, OrderingCount, PairExclusion
from halion.progress import Stop, never

__all__ = ["Certificate", "Position", "Question", "Tally", "certify", "stream"]


@dataclass(frozen=True, slots=True)
class Position:
    """The first task that is not complete, in the order of compositions and tasks."""

    composition: int = 0
    task: int = 0


@dataclass(slots=True)
class Tally:
    """Orderings of one composition found so far, and how many they stand for."""

    n_orderings: int = 0
    stands_for: int = 0

    def add(self, multiplicities: bytes) -> None:
        """Adds a batch of int64 multiplicities; their sum has no largest value."""
        numbers = np.frombuffer(multiplicities, dtype=np.int64)
        self.n_orderings += len(numbers)
        # A multiplicity is at most the group order, so a batch's sum is far below 2^63.
        self.stands_for += int(numbers.sum())


@dataclass(frozen=True, slots=True)
class Certificate:
    """What must have been found of one composition; None where it cannot be known."""

    n_orderings: int | None
    stands_for: int | None


@dataclass(frozen=True)
class Question:
    """Which orderings are wanted."""

    crystal: DisorderedCrystal
    compositions: tuple[Composition, ...]
    exclusions: tuple[PairExclusion, ...]

    @classmethod
    def of(
        cls,
        crystal: DisorderedCrystal,
        compositions: Composition | Sequence[Composition],
        exclusions: Sequence[PairExclusion],
    ) -> Question:
        """One composition, or several of one supercell."""
        several = (compositions,) if isinstance(compositions, Composition) else tuple(compositions)
        if len({each.supercell for each in several}) != 1:
            raise ValueError("compositions listed together are of one supercell")
        return cls(crystal, several, tuple(exclusions))

    @cached_property
    def species(self) -> tuple[str, ...]:
        """Names that the rows refer to, the vacancy first."""
        return species_of(self.compositions)

    @cached_property
    def count(self) -> OrderingCount:
        """Exact numbers before exclusions, over all compositions."""
        return count_orderings(self.crystal, self.compositions)

    def problem(self, index: int) -> Problem | None:
        """Sites, symmetry, blocks and conflicts of one composition.

        None: two ordered sites, always filled, are too close in this composition, one of several.

        Raises:
            OrderingError: they are in the only one.
        """
        try:
            return state_problem(self.crystal, self.compositions[index], self.exclusions, self.species)
        except OrderingError:
            if len(self.compositions) == 1:
                raise
            return None

    def certificate(self, index: int, problem: Problem | None) -> Certificate:
        """Burnside's numbers; under exclusions an independent count of what they leave, where it is feasible."""
        if problem is None:
            return Certificate(0, 0)
        if problem.conflicts or problem.forbidden:
            return Certificate(None, count_allowed(problem))
        count = count_orderings(self.crystal, self.compositions[index])
        return Certificate(count.distinct, count.total)


def certify(found: Tally, expected: Certificate) -> None:
    """Stop at a wrong result: it would be a bug of this room, and nobody downstream could see it."""
    for what, number, known in (
        ("orderings", found.n_orderings, expected.n_orderings),
        ("orderings before symmetry", found.stands_for, expected.stands_for),
    ):
        if known is not None and number != known:
            raise AssertionError(f"the search found {number} {what}, an independent count says {known}")


# Called with the index of a composition, rows, multiplicities and, where all before it is complete, a position.
Deliver = Callable[[int, bytes, bytes, Position | None], bool]


def stream(
    question: Question,
    deliver: Deliver,
    *,
    start: Position = Position(),
    shard: tuple[int, int] = (0, 1),
    most: tuple[int, int] = (NO_LIMIT, NO_LIMIT),
    finish: Callable[[int, Problem | None], None],
    stop: Stop = never,
) -> Outcome:
    """Hand on every distinct ordering of a question, some 1 MiB at a time.

    Args:
        question: crystal, compositions, exclusions.
        deliver: takes the batches; False ends the stream.
        start: where to go on; everything by default.
        shard: (k, n): of each composition the tasks number + its index = k modulo n.
        most: orderings and work after which to end, as for `search`.
        finish: called with the index of a composition that is complete.
        stop: asked some fifty times a second.
    Returns:
        Orderings and work of this call, and why it ended.
    Raises:
        OrderingError: two ordered sites, always filled, are too close in the only composition.
    """
    n_orderings = work = 0
    outcome = Outcome(0, 0, "end", 0)
    for index in range(start.composition, len(question.compositions)):
        problem = question.problem(index)
        outcome = Outcome(0, 0, "end", 0)

        def take(rows: bytes, multiplicities: bytes, task: int | None, index: int = index) -> bool:
            return deliver(index, rows, multiplicities, None if task is None else Position(index, task))

        if problem is not None:
            first = start.task if index == start.composition else 0
            left = (most[0] - n_orderings, most[1] - work)
            outcome = search(problem, take, share=Share(first, *shard, index), most=left, stop=stop)
        n_orderings, work = n_orderings + outcome.n_orderings, work + outcome.work
        if outcome.reason != "end":
            break
        finish(index, problem)
        if not deliver(index, b"", b"", Position(index + 1, 0)):
            outcome = Outcome(0, 0, "stopped", 0)
            break
    return Outcome(n_orderings, outcome.position, outcome.reason, work)

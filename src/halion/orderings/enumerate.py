"""Every symmetry-distinct ordering, once, with its multiplicity; certified before it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from halion.arrays import IntArray
from halion.crystal.types import DisorderedCrystal
from halion.errors import Interrupted
from halion.orderings.pool import number_expected
from halion.orderings.problem import Problem
from halion.orderings.refusals import gave_up, impossible, too_many
from halion.orderings.search import NO_LIMIT, WORK
from halion.orderings.sites import supercell_sites
from halion.orderings.stream import Certificate, Position, Question, Tally, certify, stream
from halion.orderings.types import Composition, OrderingSet, PairExclusion
from halion.progress import Progress, Stop, never, silent

__all__ = ["enumerate_orderings", "ordering_set"]

# Work (some half a minute) after which a search under exclusions that neither ends nor reaches the limit is given
# up, e.g. lithium in a garnet, where nearly every partial filling is a dead end. Work and not time: the same
# question has the same answer on every machine.
_MOST_WORK = 3000 * WORK


def enumerate_orderings(
    crystal: DisorderedCrystal,
    compositions: Composition | Sequence[Composition],
    *,
    exclusions: Sequence[PairExclusion] = (),
    limit: int,
    progress: Progress = silent,
    stop: Stop = never,
) -> OrderingSet:
    """All symmetry-distinct orderings of one or several compositions, with how many orderings each stands for.

    A depth-first search over (orbit, species) blocks under a chain of stabilisers on all cores (see
    enumerator/search.hpp); pairs of sites that are excluded never meet in it. Orderings pooled over orbits are
    those of several compositions, one after the other: no operation takes one to another. Every composition
    certifies itself: without exclusions the orderings are as many as Burnside's lemma says and their multiplicities
    add up to the total; with exclusions both numbers have to equal independent counts of what is allowed
    (`count_distinct_allowed`), where these are feasible.

    Args:
        crystal: the disordered crystal.
        compositions: atoms per orbit, from `choose_composition` or `compositions_for`, of one supercell.
        exclusions: pairs of sites never filled together, from `exclusions_for`.
        limit: most distinct orderings; more are refused. `store_orderings` takes any number, to disk.
        progress: told the orderings found, the number there are (where only that is known, at most), and a text.
        stop: asked some fifty times a second; True ends the search.
    Returns:
        The orderings in a fixed order: the same input gives the same set on every machine with any number of cores.
    Raises:
        OrderingError: more than `limit` distinct orderings; or none, because sites are too close in all.
        Interrupted: `stop` said so; nothing is kept.

    Source: stabiliser chain as in Morgan, Hart, Forcade, Comput. Mater. Sci. 136, 144 (2017); orderly generation,
    Read, Ann. Discrete Math. 2, 107 (1978). Checked by tests/orderings/test_orderings_enumerate.py against listing
    all colourings, and published counts.
    """
    question = Question.of(crystal, compositions, exclusions)
    expected = number_expected(question)
    if expected is not None and expected > limit:
        raise too_many(question, limit, expected)
    if expected == 0:
        raise impossible(question)
    kept = _Kept(question, question.count.distinct if expected is None else expected, progress)
    # Where the number is known, or Burnside's is within the limit, the work is bounded by that.
    is_bounded = expected is not None or question.count.distinct <= limit
    bounds = (NO_LIMIT, NO_LIMIT) if is_bounded else (limit, _MOST_WORK)
    outcome = stream(question, kept.deliver, most=bounds, finish=kept.finish, stop=kept.watched(stop))
    if outcome.reason == "stopped":
        raise Interrupted(
            f"stopped after {kept.n_orderings} distinct orderings; a part of them is of no use and was not kept",
            where=crystal.name,
            fix="type the same command again to start over",
        )
    if outcome.reason == "work":
        raise gave_up(question, kept.n_orderings)
    if outcome.reason == "orderings":
        raise too_many(question, limit)
    if not kept.n_orderings:
        raise impossible(question)
    certify(Tally(n_orderings=kept.n_orderings), Certificate(expected, None))
    found = ordering_set(question, *kept.arrays())
    progress(found.n_orderings, found.n_orderings, f"{found.n_orderings} distinct of {found.count.total}")
    return found


def ordering_set(question: Question, occupation: NDArray[np.uint8], multiplicity: IntArray) -> OrderingSet:
    """Orderings together with what they are orderings of."""
    crystal, species = question.crystal, question.species
    sites = supercell_sites(crystal, question.compositions[0].supercell)
    return OrderingSet(
        crystal_name=crystal.name,
        compositions=question.compositions,
        count=question.count,
        exclusions=question.exclusions,
        total_allowed=sum(multiplicity.tolist()),
        cell=sites.cell,
        fractional=sites.fractional,
        site_orbit=sites.site_orbit,
        species=species,
        charges=np.array([0.0, *(crystal.charges[element] for element in species[1:])]),
        occupation=occupation,
        multiplicity=multiplicity,
    )


class _Kept:
    """Keeps the batches of a stream in memory and certifies each composition."""

    def __init__(self, question: Question, n_most: int, progress: Progress) -> None:
        self.question, self.n_most, self.progress = question, n_most, progress
        self.rows, self.multiplicities = bytearray(), bytearray()
        self.n_orderings = 0
        self.tally = Tally()

    def deliver(self, index: int, rows: bytes, multiplicities: bytes, position: Position | None) -> bool:
        self.rows += rows
        self.multiplicities += multiplicities
        self.tally.add(multiplicities)
        self.n_orderings += len(multiplicities) // 8
        return True

    def finish(self, index: int, problem: Problem | None) -> None:
        certify(self.tally, self.question.certificate(index, problem))
        self.tally = Tally()

    def watched(self, stop: Stop) -> Stop:
        """`stop`, which tells the progress before it is asked."""

        def asked() -> bool:
            text = f"{self.n_orderings} distinct orderings"
            self.progress(self.n_orderings, self.n_most, text)
            return stop()

        return asked

    def arrays(self) -> tuple[NDArray[np.uint8], IntArray]:
        multiplicity = np.frombuffer(self.multiplicities, dtype=np.int64)
        return np.frombuffer(self.rows, dtype=np.uint8).reshape(len(multiplicity), -1), multiplicity

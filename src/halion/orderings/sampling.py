"""A sample of the orderings where there are too many to list: under one of three measures, each told by its name.

"colourings" draws every ordering with the same probability, "orderings" every distinct one, both exactly; of
"low-energy" nothing may be averaged. The same seed and more draws give the smaller sample and more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.crystal.types import DisorderedCrystal
from halion.errors import Interrupted
from halion.orderings.canonical import canonical_rows
from halion.orderings.enumerate import ordering_set
from halion.orderings.exchange import Exchange, lowest_by_exchange
from halion.orderings.feasible import has_ordering
from halion.orderings.pool import Pool
from halion.orderings.refusals import (
    hopeless_rejection,
    impossible,
    no_matrix,
    no_measure,
    none_met,
    too_large_sample,
)
from halion.orderings.stream import Question
from halion.orderings.swaps import Swaps
from halion.orderings.types import Composition, OrderingSet, PairExclusion, Sample
from halion.progress import Progress, Stop, never, silent
from halion.settings import OrderingSettings

__all__ = ["sample_orderings"]

_BATCH = 1024  # colourings drawn together; a constant, for the sample of a seed must not depend on its size
_MOST_BYTES = 2**31  # of the rows of a sample
# Draws after which rejection is judged, and the least acceptance with which it goes on.
_PILOT, _LEAST_ACCEPTANCE = 200_000, 1e-4


def sample_orderings(
    crystal: DisorderedCrystal,
    compositions: Composition | Sequence[Composition],
    *,
    exclusions: Sequence[PairExclusion] = (),
    settings: OrderingSettings,
    matrix: FloatArray | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> OrderingSet:
    """Distinct orderings drawn under a measure, with exact multiplicities and what is known of those not drawn.

    "colourings" and "orderings" make `settings.sample_size` independent draws, exactly uniform over all orderings
    or over all distinct ones; with exclusions over the allowed ones, by a transfer-matrix count where its states
    are few enough, else by rejection. Several compositions have their exact shares. "low-energy" keeps the
    `settings.sample_size` lowest distinct orderings that replica exchange meets on E = 1/2 q A q.

    Args:
        crystal: the disordered crystal.
        compositions: atoms per orbit, from `choose_composition` or `compositions_for`, of one supercell.
        exclusions: pairs of sites never filled together, from `exclusions_for`.
        settings: `sample`, `sample_size` and `seed` are used.
        matrix: (n_sites, n_sites) eV/e^2, the interaction A of charges on the sites of the supercell in the order
            of the set's `fractional`, as `halion.ranking.electrostatics.ewald_matrix` gives it; for "low-energy".
        progress: told the draws or rounds done, their number, and a text.
        stop: asked between batches; True ends it.
    Returns:
        Canonical orderings, each once: in the order of their first draw, or the lowest first.
    Raises:
        OrderingError: no ordering is allowed; rejection would not end; no measure or matrix; too large a sample.
        Interrupted: `stop` said so; nothing is kept.

    Source: Dixon and Wilf, J. Algorithms 4, 205 (1983); Good, Biometrika 40, 237 (1953), for the unseen mass.
    Checked by tests/orderings/test_orderings_sampling.py against the enumeration, and the chi-square tests of
    test_orderings_draws.py.
    """
    question = Question.of(crystal, compositions, exclusions)
    pool = Pool.of(question)
    _refuse_settings(pool, settings, matrix)
    n_distinct = pool.n_distinct
    if n_distinct == 0:
        raise impossible(question)
    if settings.sample == "low-energy":
        rows, multiplicity, sample = _low_energy(pool, settings, matrix, progress, stop)
    else:
        rows, multiplicity, sample = _Drawing(pool, settings).result(progress, stop)
    occupation = np.tile(pool.problem.row, (len(rows), 1))
    occupation[:, pool.problem.row_site] = rows
    coverage = len(rows) / (question.count.distinct if n_distinct is None else n_distinct)
    sample = replace(sample, n_distinct=n_distinct, coverage=coverage)
    return replace(ordering_set(question, occupation, multiplicity), sample=sample)


class _Drawing:
    """Independent draws until there are enough."""

    def __init__(self, pool: Pool, settings: OrderingSettings) -> None:
        group = pool.problem.permutations
        self.pool, self.settings = pool, settings
        chosen = group if settings.sample == "orderings" else group[:1]
        self.draws = pool.draws_of_orderings if settings.sample == "orderings" else pool.draws(group[:1])
        self.rejects = not self.draws.is_feasible
        if self.rejects:
            self.draws = pool.draws(chosen, is_exact=False)
        self.rng = np.random.default_rng(settings.seed)
        self.n_tried = self.n_drawn = 0
        self.times: dict[bytes, int] = {}
        self.multiplicities: list[int] = []

    def result(self, progress: Progress, stop: Stop) -> tuple[NDArray[np.uint8], IntArray, Sample]:
        size = self.settings.sample_size
        while self.n_drawn < size:
            if stop():
                raise _interrupted(self.pool, f"{self.n_drawn} of {size} draws")
            rows = self.draws.draw(self.rng, _BATCH)
            self.n_tried += len(rows)
            if self.rejects:
                rows = rows[self.pool.restrictions.allow(rows)]
            self._keep(rows[: size - self.n_drawn])
            self._refuse_hopeless()
            progress(self.n_drawn, size, f"{len(self.times)} distinct orderings")
        n_once = sum(times == 1 for times in self.times.values())
        rows = np.frombuffer(b"".join(self.times), dtype=np.uint8)
        sample = Sample(
            measure=self.settings.sample,
            n_draws=self.n_drawn,
            n_once=n_once,
            seed=self.settings.seed,
            coverage=0.0,
            unseen_mass=n_once / self.n_drawn,
        )
        rows = rows.reshape(len(self.times), len(self.pool.problem.row_site))
        return rows, np.array(self.multiplicities, dtype=np.int64), sample

    def _keep(self, rows: NDArray[np.uint8]) -> None:
        self.n_drawn += len(rows)
        for row, n in zip(*canonical_rows(self.pool.problem.permutations, rows)):
            text = row.tobytes()
            if text not in self.times:
                self.multiplicities.append(int(n))
            self.times[text] = self.times.get(text, 0) + 1

    def _refuse_hopeless(self) -> None:
        is_done = self.n_drawn == self.settings.sample_size
        if is_done or self.n_tried < _PILOT or self.n_drawn >= _LEAST_ACCEPTANCE * self.n_tried:
            return
        question = self.pool.question
        if not self.n_drawn and not _any_ordering(question):
            raise impossible(question)
        raise hopeless_rejection(question, self.n_drawn, self.n_tried)


def _low_energy(
    pool: Pool, settings: OrderingSettings, matrix: FloatArray | None, progress: Progress, stop: Stop
) -> tuple[NDArray[np.uint8], IntArray, Sample]:
    problem, question = pool.problem, pool.question
    charges = np.array([0.0, *(question.crystal.charges[element] for element in question.species[1:])])
    fixed = charges[problem.row]
    fixed[problem.row_site] = 0.0
    sites = problem.row_site
    form = (float(fixed @ matrix @ fixed / 2), matrix[sites] @ fixed, matrix[np.ix_(sites, sites)])
    found = lowest_by_exchange(
        Swaps(pool.blocks, charges, form, pool.restrictions),
        problem.permutations,
        size=settings.sample_size,
        seed=settings.seed,
        progress=progress,
        stop=stop,
    )
    if found is None:
        raise _interrupted(pool, "the search for low orderings")
    if not len(found.rows):
        if not _any_ordering(question):
            raise impossible(question)
        raise none_met(question)
    return found.rows, found.multiplicity, _exchange_sample(found, settings)


def _exchange_sample(found: Exchange, settings: OrderingSettings) -> Sample:
    return Sample(
        measure="low-energy",
        n_draws=found.n_met,
        n_once=0,
        seed=settings.seed,
        coverage=0.0,
        unseen_mass=math.nan,
        n_starts=found.n_starts,
        n_starts_lowest=found.n_lowest,
        is_settled=found.is_settled,
    )


def _any_ordering(question: Question) -> bool:
    return any(has_ordering(question.crystal, each, question.exclusions) for each in question.compositions)


def _refuse_settings(pool: Pool, settings: OrderingSettings, matrix: FloatArray | None) -> None:
    n_sites = len(pool.problem.row)
    if settings.sample is None:
        raise no_measure(pool.question)
    if settings.sample_size * n_sites > _MOST_BYTES:
        raise too_large_sample(pool.question, settings.sample_size, n_sites, _MOST_BYTES)
    if settings.sample == "low-energy" and (matrix is None or matrix.shape != (n_sites, n_sites)):
        raise no_matrix(pool.question, n_sites, None if matrix is None else matrix.shape)


def _interrupted(pool: Pool, what: str) -> Interrupted:
    return Interrupted(
        f"stopped during {what}; nothing was kept",
        where=pool.question.crystal.name,
        fix="type the same command again to start over",
    )

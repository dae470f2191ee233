"""The arrangement of lowest energy on a sublattice: all evaluated where few, else found by a fitted surrogate.

Where there are too many arrangements for the potential, some random ones are evaluated, a cluster surrogate is
fitted (`surrogate.py`), those that it predicts lowest are evaluated and a few random ones beside them, and so on
until all that it predicts lowest have been, or the budget is met. What it says of the rest is stated with its
errors: left out one by one, and on random arrangements predicted before they were evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from halion.arrays import FloatArray, IntArray
from halion.errors import Interrupted, PhysicsRefusal
from halion.orderings.types import OrderingCount
from halion.progress import Progress, Stop, never, silent
from halion.ranking.arrangements import Candidates
from halion.ranking.clusters import cluster_blocks
from halion.ranking.correlation import spearman
from halion.ranking.lowest import TIE_EV_PER_ATOM
from halion.ranking.surrogate import Surrogate, fit_surrogate
from halion.settings import SeriesSettings

__all__ = ["ArrangementSearch", "SurrogateQuality", "recall_of_lowest", "search_arrangements"]

Rows = NDArray[np.uint8]
_RANDOM_PER_ROUND = 2  # evaluated beside the predicted lowest: an unbiased sample of the surrogate's errors
_FEWEST = 8  # energies below which nothing is fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateQuality:
    """How far the surrogate can be trusted; energies in eV/atom.

    Attributes:
        cv_error: root mean square error of predicting each energy from all others (leave-one-out; the variances of
            the model are those of the fit to all).
        cv_spearman: rank correlation of these predictions with the energies.
        random_error: root mean square error on random arrangements, predicted before they were evaluated; NaN
            without any.
        n_random: how many these were.
        expected_missed: sum over the listed arrangements not evaluated of the probability that they lie below the
            lowest one found, were errors independent and normal with `cv_error`; NaN where they are not listed.
        explained: block of cluster functions -> its share of the variance of the fit.
    """

    cv_error: float
    cv_spearman: float
    random_error: float
    n_random: int
    expected_missed: float
    explained: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrangementSearch:
    """Arrangements of one content that were evaluated, lowest first.

    Attributes:
        count: exact numbers of all arrangements.
        rows: (n_evaluated, n_sites) one where the guest stands.
        energies: (n_evaluated,) eV/atom; NaN, last, where physics refused.
        order: (n_evaluated,) when each was evaluated, from 0.
        verdict: "exhausted" (all were evaluated), "settled" (all that the surrogate predicts lowest were) or
            "budget" (it ended before).
        surrogate: None where all were evaluated.
    """

    count: OrderingCount
    rows: Rows
    energies: FloatArray
    order: IntArray
    verdict: str
    surrogate: SurrogateQuality | None

    @property
    def n_evaluated(self) -> int:
        """Arrangements whose energy was asked for."""
        return len(self.rows)


def search_arrangements(
    candidates: Candidates,
    evaluate: Callable[[Rows], FloatArray],
    settings: SeriesSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> ArrangementSearch:
    """Find the arrangements of lowest energy.

    Args:
        candidates: the arrangements there are, of one sublattice and content.
        evaluate: rows -> energies, eV/atom; NaN for what physics refuses.
        settings: `evaluate_at_most`, `settle_best` and `seed` are used.
        progress: told the arrangements evaluated, of the most there can be.
        stop: asked between batches.
    Raises:
        PhysicsRefusal: every arrangement was refused.
        Interrupted: `stop` said so.

    Checked by tests/ranking/test_ranking_arrange.py: the true lowest of an exact pair model, all of small sets, the
    budget, and by tests/ranking/test_ranking_series.py against all relaxations of a cell with CHGNet.
    """
    search = _Search(candidates, evaluate, settings, progress, stop)
    if candidates.is_listed and candidates.n_distinct <= settings.evaluate_at_most:
        search.take(candidates.everything())
        return search.result("exhausted", None)
    search.take(candidates.random(max(_FEWEST, settings.evaluate_at_most // 3), search.generator, set()))
    verdict, model = "budget", search.fit(None)
    while model is not None:
        lowest = candidates.lowest(model, settings.settle_best, search.best_rows(settings.settle_best))
        wanted = search.unknown(lowest)
        if not len(wanted):
            verdict = "settled"
            break
        room = settings.evaluate_at_most - search.n_evaluated
        if room <= 0:
            break
        random = candidates.random(
            min(_RANDOM_PER_ROUND, max(0, room - len(wanted))), search.generator, search.known
        )
        search.take(wanted[:room], random=random, model=model)
        model = search.fit(model)
    return search.result(verdict, model)


class _Search:
    """What is known so far."""

    def __init__(
        self,
        candidates: Candidates,
        evaluate: Callable[[Rows], FloatArray],
        settings: SeriesSettings,
        progress: Progress,
        stop: Stop,
    ) -> None:
        self.candidates, self.evaluate, self.settings = candidates, evaluate, settings
        self.progress, self.stop = progress, stop
        self.generator = np.random.default_rng(settings.seed)
        self.blocks = cluster_blocks(candidates.sublattice)
        self.rows = np.empty((0, candidates.sublattice.n_sites), dtype=np.uint8)
        self.energies = np.empty(0)
        self.known: set[bytes] = set()
        self.surprises: list[float] = []  # random arrangements: evaluated - predicted

    @property
    def n_evaluated(self) -> int:
        return len(self.rows)

    def take(self, rows: Rows, *, random: Rows | None = None, model: Surrogate | None = None) -> None:
        if self.n_evaluated and self.stop():
            raise Interrupted(
                f"the search was stopped after {self.n_evaluated} arrangements",
                where=self.candidates.sublattice.atoms.get_chemical_formula(),
                fix="type the same command again: finished compositions are kept, this one starts anew",
            )
        n_chosen = len(rows)
        if random is not None and len(random):
            rows = np.concatenate([rows, random])
        energies = self.evaluate(rows)
        if model is not None and len(rows) > n_chosen:
            errors = energies[n_chosen:] - model.predict(rows[n_chosen:])
            self.surprises += errors[np.isfinite(errors)].tolist()
        self.rows = np.concatenate([self.rows, rows])
        self.energies = np.concatenate([self.energies, energies])
        self.known.update(row.tobytes() for row in rows)
        most = min(self.settings.evaluate_at_most, self.candidates.n_distinct)
        self.progress(self.n_evaluated, most, f"{self.n_evaluated} arrangements")

    def fit(self, before: Surrogate | None) -> Surrogate | None:
        finite = np.isfinite(self.energies)
        if finite.sum() < 3:
            return None
        start = None if before is None else before.log_variances
        return fit_surrogate(self.blocks, self.rows[finite], self.energies[finite], start=start)

    def best_rows(self, n: int) -> Rows:
        return self.rows[np.argsort(self.energies)[:n]]  # NaN sorts last

    def unknown(self, rows: Rows) -> Rows:
        return rows[[row.tobytes() not in self.known for row in rows]]

    def result(self, verdict: str, model: Surrogate | None) -> ArrangementSearch:
        if not np.isfinite(self.energies).any():
            raise PhysicsRefusal(
                f"none of the {self.n_evaluated} arrangements could be evaluated",
                where=self.candidates.sublattice.atoms.get_chemical_formula(),
                fix="choose another potential, or check the starting structure",
            )
        order = np.argsort(self.energies, kind="stable")
        return ArrangementSearch(
            count=self.candidates.count,
            rows=self.rows[order],
            energies=self.energies[order],
            order=order,
            verdict=verdict,
            surrogate=None if model is None else self.quality(model),
        )

    def quality(self, model: Surrogate) -> SurrogateQuality:
        finite = self.energies[np.isfinite(self.energies)]
        surprises = np.array(self.surprises)
        return SurrogateQuality(
            cv_error=model.cv_error,
            cv_spearman=spearman(model.left_out, finite),
            random_error=float(np.sqrt(np.mean(surprises**2))) if len(surprises) else float("nan"),
            n_random=len(surprises),
            expected_missed=self.expected_missed(model, float(finite.min())),
            explained=model.explained,
        )

    def expected_missed(self, model: Surrogate, lowest: float) -> float:
        if not self.candidates.is_listed or model.cv_error <= 0:
            return float("nan")
        rest = self.unknown(self.candidates.everything())
        return float(ndtr((lowest - model.predict(rest)) / model.cv_error).sum())


def recall_of_lowest(energies: FloatArray, found: NDArray[np.bool_], k: int) -> float:
    """Share of the k lowest energies that were found; of those that tie with the k-th any will do.

    Args:
        energies: (n,) of all arrangements, eV/atom; ties are within 1e-6.
        found: (n,) whether each was evaluated in a search.
        k: how many lowest.

    Checked by tests/ranking/test_ranking_arrange.py by hand.
    """
    last = np.sort(energies)[k - 1]
    below = energies < last - TIE_EV_PER_ATOM
    tied = np.abs(energies - last) <= TIE_EV_PER_ATOM
    places = k - int(below.sum())
    return (int(found[below].sum()) + min(places, int(found[tied].sum()))) / k

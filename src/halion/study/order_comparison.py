"""How well one energy puts structures into the order of another: rank correlations, errors, a verdict in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, rankdata

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.ranking import spearman

__all__ = ["OrderComparison", "compare_orders"]

# eV/atom: energies closer than this are one energy, as in the ranking (numerical noise of a relaxation).
_TIE = 1e-6
_RESAMPLES = 2000
_SEED = 0
_FEWEST_FOR_INTERVAL, _FEWEST_FOR_VERDICT = 5, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderComparison:
    """The order by a potential against that by a reference, over the same structures; energies in eV/atom.

    Attributes:
        n: structures.
        spearman: rank correlation; NaN below three structures.
        spearman_low, spearman_high: ends of its 95 % interval by bootstrap; NaN below five structures.
        kendall: tau-b: pairs in the same order less pairs in the other, over all, ties allowed for.
        kendall_p: probability of a tau at least as far from zero if the orders had nothing to do with each other,
            exact without ties.
        mean_absolute_error: of the energies, their constant difference (the mean) taken off.
        pair_error: root mean square, over all pairs, of the error of their energy difference.
        n_pairs_apart: pairs that the potential puts further apart than `pair_error`.
        n_pairs_reversed: those of them that stand the other way round in the reference.
        is_best_same: the lowest of both is one structure.
        best_rank: rank, by the reference, of the potential's lowest; 1: it is the lowest.
        best_above: how far that one lies above the reference's lowest.
        verdict: in words.
    """

    n: int
    spearman: float
    spearman_low: float
    spearman_high: float
    kendall: float
    kendall_p: float
    mean_absolute_error: float
    pair_error: float
    n_pairs_apart: int
    n_pairs_reversed: int
    is_best_same: bool
    best_rank: int
    best_above: float
    verdict: str


def compare_orders(potential: FloatArray, reference: FloatArray) -> OrderComparison:
    """Compare the orders that two energies give.

    Args:
        potential, reference: (n,) eV/atom of the same structures; finite, at least one.
    Returns:
        With d = potential - reference: mean absolute error <|d - <d>|>, and pair error
        sqrt(<(d_i - d_j)^2>_{i<j}) = sqrt(2) s, s the sample standard deviation of d. The order holds within this
        error where no pair that the potential puts further apart stands the other way round in the reference.
    Raises:
        InputError: no energies, not as many of each, or one that is not finite.
    Source: Kendall, Biometrika 30, 81 (1938); Efron, Ann. Statist. 7, 1 (1979).
    Checked by tests/study/test_study_order_comparison.py.
    """
    if len(potential) != len(reference) or not len(reference) or not np.isfinite([potential, reference]).all():
        raise InputError(
            f"{len(potential)} energies are to be compared with {len(reference)}",
            fix="give as many finite energies of each, at least one",
        )
    error = potential - reference
    pair_error = math.sqrt(2) * float(np.std(error, ddof=1)) if len(error) > 1 else math.nan
    first, second = np.triu_indices(len(error), 1)
    ours, theirs = potential[first] - potential[second], reference[first] - reference[second]
    is_apart = np.abs(ours) > pair_error
    is_reversed = is_apart & (ours * theirs < 0) & (np.abs(theirs) > _TIE)
    low, high = _interval(potential, reference)
    tau, p = _kendall(potential, reference)
    best = int(np.argmin(potential))
    above = float(reference[best] - reference.min())
    return OrderComparison(
        n=len(error),
        spearman=spearman(potential, reference),
        spearman_low=low,
        spearman_high=high,
        kendall=tau,
        kendall_p=p,
        mean_absolute_error=float(np.abs(error - error.mean()).mean()),
        pair_error=pair_error,
        n_pairs_apart=int(is_apart.sum()),
        n_pairs_reversed=int(is_reversed.sum()),
        is_best_same=above <= _TIE,
        best_rank=1 + int((reference < reference[best] - _TIE).sum()),
        best_above=above,
        verdict=_verdict(potential, pair_error, int(is_apart.sum()), int(is_reversed.sum())),
    )


def _interval(potential: FloatArray, reference: FloatArray) -> tuple[float, float]:
    """Percentiles of Spearman's correlation over structures drawn with replacement."""
    n = len(potential)
    if n < _FEWEST_FOR_INTERVAL:
        return math.nan, math.nan
    draws = np.random.default_rng(_SEED).integers(n, size=(_RESAMPLES, n))
    first, second = (rankdata(_levels(values)[draws], axis=1) - (n + 1) / 2 for values in (potential, reference))
    norm = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    # A draw of one structure alone, or of one energy, has no order.
    found = (first * second).sum(axis=1)[norm > 0] / norm[norm > 0]
    if not len(found):
        return math.nan, math.nan
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def _kendall(potential: FloatArray, reference: FloatArray) -> tuple[float, float]:
    if len(potential) < _FEWEST_FOR_VERDICT:
        return math.nan, math.nan
    found = kendalltau(_levels(potential), _levels(reference))
    return float(found.statistic), float(found.pvalue)


def _levels(values: FloatArray) -> FloatArray:
    """Numbers in the same order, equal where energies tie."""
    order = np.argsort(values)
    levels = np.empty(len(values))
    levels[order] = np.concatenate([[0.0], np.cumsum(np.diff(values[order]) > _TIE)])
    return levels


def _verdict(potential: FloatArray, pair_error: float, n_apart: int, n_reversed: int) -> str:
    n = len(potential)
    if n < _FEWEST_FOR_VERDICT:
        return f"{n} structures are too few to judge an order by."
    error = f"its error of {1000 * pair_error:.2f} meV/atom for the difference of two structures"
    if n_apart == 0:
        return (
            "Whether the potential's order holds cannot be told: its energies lie within "
            f"{1000 * np.ptp(potential):.2f} meV/atom, less than {error}."
        )
    if n_reversed == 0:
        pairs = "the one pair" if n_apart == 1 else f"all {n_apart} pairs"
        return f"The potential's order holds within {error}: {pairs} further apart keep their order."
    stand = "stands" if n_reversed == 1 else "stand"
    return (
        f"The potential's order does not hold within {error}: of {n_apart} pairs further apart {n_reversed} "
        f"{stand} the other way round."
    )

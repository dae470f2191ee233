"""How many of the best orderings the electrostatic energy left out, estimated from a control group.

The chosen and the rest are given; the control group is a random draw of m of the n_rest others. Of the rest, M_j
relax below the j-th lowest of the chosen, so that this one stands in place j + M_j of all. If c_j control orderings
do, M_j is estimated as c_j n_rest / m, without bias, and c_j follows the hypergeometric distribution: its exact
confidence bounds (Clopper and Pearson's construction, Biometrika 26, 404 (1934), in a finite population) hold for
any m. Of the k lowest of all, those j are among the chosen whose place is k or better:

    recall(k) = (number of j with j + M_j <= k) / k

As c_j grows with j, bounds on each M_j give bounds on the recall with the same confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.stats import hypergeom

from halion.arrays import FloatArray
from halion.ranking.correlation import spearman
from halion.ranking.types import PrefilterQuality

__all__ = ["LOWER_EV_PER_ATOM", "Recall", "prefilter_quality", "recall_at", "rest_below"]

_CONFIDENCE = 0.95
# Two relaxations into one minimum to 0.01 eV/Angstrom differ by less: (0.01 eV/Angstrom)^2 / (1 eV/Angstrom^2).
# Who ends within it of another does not lie below it.
LOWER_EV_PER_ATOM = 1e-4

Recall = tuple[float, float, float]


@lru_cache(maxsize=4096)
def rest_below(n_below: int, n_control: int, n_rest: int) -> tuple[float, int, int]:
    """How many of the rest lie below a given energy: (estimate, least, most) at 95 % confidence.

    Args:
        n_below: control orderings below it.
        n_control: size of the control group, at least 1.
        n_rest: orderings it was drawn from, itself included.
    Returns:
        n_below n_rest / n_control; the least M for which as many as n_below are not improbable (2.5 %), and the
        most M for which as few are not.
    Checked by tests/ranking/test_ranking_quality.py: all draws of small populations, and the whole rest drawn.
    """
    tail = (1 - _CONFIDENCE) / 2
    least, most = n_below, n_rest - (n_control - n_below)

    def at_least(m: int) -> float:
        return float(hypergeom.sf(n_below - 1, n_rest, m, n_control))

    def at_most(m: int) -> float:
        return float(hypergeom.cdf(n_below, n_rest, m, n_control))

    low = _first(lambda m: at_least(m) > tail, least, most)
    high = _first(lambda m: at_most(m) <= tail, least, most + 1) - 1
    return n_below * n_rest / n_control, low, high


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest whole number from low on for which it holds, `high` taken for granted."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def recall_at(depth: int, chosen: FloatArray, control: FloatArray, n_rest: int) -> Recall:
    """Part of the `depth` lowest of all orderings that is among the chosen: (estimate, low, high).

    Args:
        depth: k; at most all orderings.
        chosen: relaxed energies of the chosen, eV/atom; infinite where a relaxation was refused.
        control: those of the control group.
        n_rest: orderings that the control group was drawn from, itself included.
    Returns:
        NaN, 0 and 1 where there is a rest and no control group. Each control ordering stands for n_rest / m
        others: where that is more than `depth`, a group without a better one proves little. The estimate then
        leans high, and the interval says so.
    Checked by tests/ranking/test_ranking_quality.py against lists of which every energy is known.
    """
    lowest = np.sort(chosen)[:depth]
    if n_rest == 0:
        return (len(lowest) / depth,) * 3
    if not len(control):
        return np.nan, 0.0, 1.0
    below = np.searchsorted(np.sort(control), lowest - LOWER_EV_PER_ATOM, side="left")
    bounds = {count: rest_below(count, len(control), n_rest) for count in set(below.tolist())}
    places = np.arange(1, len(lowest) + 1)[:, None] + np.array([bounds[count] for count in below.tolist()])
    estimate, most, least = (places <= depth).sum(axis=0) / depth
    return float(estimate), float(least), float(most)


def prefilter_quality(
    depth: int, chosen: FloatArray, control: FloatArray, members: Sequence[int], n_orderings: int
) -> PrefilterQuality:
    """The recall of a choice by electrostatic energy, in numbers and words.

    Args:
        depth: the recall is asked for this many of the lowest of all.
        chosen: (n, 3) electrostatic, static and relaxed energy of the chosen, eV/atom; the last infinite where
            a relaxation was refused.
        control: (m, 3) the same of the control group.
        members: (m,) the orderings of the control group.
        n_orderings: distinct orderings there were.
    Checked by tests/ranking/test_ranking_quality.py.
    """
    depth, n_rest = min(depth, n_orderings), n_orderings - len(chosen)
    estimate, low, high = recall_at(depth, chosen[:, 2], control[:, 2], n_rest)
    ends = np.sort(chosen[:, 2])
    ends = ends[np.isfinite(ends)][:depth]
    below = [int((control[:, 2] < end - LOWER_EV_PER_ATOM).sum()) for end in (ends[[0, -1]] if len(ends) else ())]
    both = np.concatenate([chosen, control])
    both = both[np.isfinite(both[:, 2])]
    alone = control[np.isfinite(control[:, 2])]
    found = PrefilterQuality(
        n_orderings=n_orderings,
        n_chosen=len(chosen),
        control=tuple(members),
        n_rest=n_rest,
        depth=depth,
        recall=estimate,
        recall_low=low,
        recall_high=high,
        below_best=below[0] if below else len(alone),
        below_depth=below[1] if below else len(alone),
        spearman=spearman(both[:, 0], both[:, 2]),
        spearman_control=spearman(alone[:, 0], alone[:, 2]),
        spearman_static=spearman(both[:, 1], both[:, 2]),
        note="",
    )
    return replace(found, note=_words(found))


def _words(found: PrefilterQuality) -> str:
    if found.n_rest == 0:
        return f"All {found.n_orderings} distinct orderings were relaxed: none was missed."
    if found.n_control == 0:
        return (
            f"{found.n_rest} of {found.n_orderings} distinct orderings were not relaxed, and no control group was "
            "drawn from them: how many of the best they hold is not known."
        )
    each = found.n_rest / found.n_control
    coarse = (
        f" Each control ordering stands for {each:.0f} others: the estimate is coarse."
        if each > found.depth
        else ""
    )
    least, most = (round(found.depth * (1 - part)) for part in (found.recall_high, found.recall_low))
    return (
        f"{found.below_best} of {found.n_control} control orderings, drawn at random from the {found.n_rest} that "
        f"were not chosen, relaxed below the best of the {found.n_chosen} chosen, {found.below_depth} below their "
        f"number {found.depth}: about {found.missed:.0f} of the best {found.depth} were probably missed (95 %: "
        f"{least} to {most}).{coarse}"
    )

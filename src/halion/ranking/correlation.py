"""Spearman's rank correlation of energies."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from halion.arrays import FloatArray
from halion.ranking.lowest import TIE_EV_PER_ATOM

__all__ = ["spearman"]


def spearman(one: FloatArray, other: FloatArray) -> float:
    """Spearman's rank correlation of two energies of the same orderings, eV/atom.

    Ties (within 1e-6 eV/atom) stand at their mean rank; NaN below three orderings, or if one energy is flat or
    not known for all.

    Checked by test_spearman_equals_scipy in tests/ranking/test_ranking_rank.py.
    """
    if len(other) < 3 or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("nan")
    first, second = _ranks(one), _ranks(other)
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / norm) if norm > 0 else float("nan")


def _ranks(values: FloatArray) -> FloatArray:
    order = np.argsort(values)
    level = np.concatenate([[0], np.cumsum(np.diff(values[order]) > TIE_EV_PER_ATOM)])
    levels = np.empty(len(values))
    levels[order] = level
    return rankdata(levels)

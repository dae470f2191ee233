"""The control group: orderings drawn at random from all that were not chosen, to see what the choice missed.

Every ordering has a random number that only the seed and its index decide; the control group is those of the rest
with the smallest ones. Whatever else is taken out of the rest later, who stays in the group stays a fair draw from
what is left, and the same members are drawn again when a study is resumed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from halion.arrays import IntArray

__all__ = ["control_group"]

_BLOCK = 1 << 18
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def control_group(n_orderings: int, taken: IntArray, n: int, seed: int) -> IntArray:
    """n orderings drawn at random, without repeats, from those not taken; all are equally likely.

    Args:
        n_orderings: there are; no array of this length is held.
        taken: indices of those that are not to be drawn.
        n: how many; fewer where fewer are left.
        seed: of the random numbers.
    Returns:
        their indices, in the order of their random numbers: the first m are the group of m.
    Checked by tests/ranking/test_ranking_control.py: every subset equally often, groups nested.
    """
    # Of the smallest numbers, at most all taken ones fall away.
    wanted = n + len(taken)
    kept, orderings = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    for start in range(0, n_orderings, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, n_orderings))
        numbers = _random_numbers(block, seed)
        if len(kept) == wanted and wanted:
            enters = numbers < kept[-1]
            block, numbers = block[enters], numbers[enters]
        kept, orderings = np.concatenate([kept, numbers]), np.concatenate([orderings, block])
        order = np.argsort(kept, kind="stable")[:wanted]
        kept, orderings = kept[order], orderings[order]
    return orderings[~np.isin(orderings, taken)][:n]


def _random_numbers(orderings: IntArray, seed: int) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): output number `ordering` of the stream of this seed."""
    start = _mixed(np.array([seed], dtype=np.uint64))
    with np.errstate(over="ignore"):
        return _mixed(start + (orderings.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

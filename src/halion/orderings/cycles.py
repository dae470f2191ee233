"""Cycles of permutations of sites, and how many colourings a permutation leaves as they are.

A colouring is left as it is when all sites of a cycle carry one species. So what counts is only how many cycles of
which length a permutation has on each block of sites: its cycle type (Polya, Acta Math. 68, 145, 1937).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["CycleType", "colourings", "cycle_types", "shares"]

CycleType = tuple[tuple[int, int], ...]  # (length, number of cycles of it), ascending


def cycle_types(permutations: NDArray[np.int32], sizes: list[int]) -> list[tuple[CycleType, ...]]:
    """Per permutation (group_order, n_sites) its cycle type on each block of sites; blocks follow each other."""
    lengths = _cycle_lengths(permutations)
    ends = np.cumsum(sizes, dtype=int)
    return [tuple(_cycle_type(row[end - size : end]) for size, end in zip(sizes, ends)) for row in lengths]


def _cycle_lengths(permutations: NDArray[np.int32]) -> NDArray[np.int32]:
    """(group_order, n_sites) length of the cycle that each site is on."""
    sites = np.arange(permutations.shape[1])
    lengths = np.zeros(permutations.shape, dtype=np.int32)
    power, step = permutations.copy(), 1
    while True:
        back = (power == sites) & (lengths == 0)
        lengths[back] = step
        if lengths.all():
            return lengths
        power, step = np.take_along_axis(permutations, power, axis=1), step + 1


def _cycle_type(lengths: NDArray[np.int32]) -> CycleType:
    """A cycle of length L marks L sites."""
    return tuple((int(length), int(n // length)) for length, n in zip(*np.unique(lengths, return_counts=True)))


@lru_cache(maxsize=100_000)
def colourings(cycles: CycleType, counts: tuple[int, ...]) -> int:
    """Coefficient of prod_s x_s^counts_s in prod_cycles (sum_s x_s^length), exact.

    Checked by tests/orderings/test_orderings_count.py through Burnside's lemma.
    """
    if not cycles:
        return int(not any(counts))
    (length, n), shorter = cycles[-1], cycles[:-1]
    if not shorter:  # the last cycles must fill the counts exactly: one multinomial instead of a sum
        given = [count // length for count in counts]
        exact = all(count % length == 0 for count in counts) and sum(given) == n
        return math.factorial(n) // math.prod(map(math.factorial, given)) if exact else 0
    return sum(
        ways * colourings(shorter, tuple(count - length * k for count, k in zip(counts, given)))
        for ways, given in shares(n, tuple(count // length for count in counts))
    )


def shares(n: int, most: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """All ways to give n cycles to species that take so many at most: (multinomial coefficient, cycles of each)."""
    if len(most) == 1:
        return [(1, (n,))] if n <= most[0] else []
    return [
        (math.comb(n, first) * ways, (first, *others))
        for first in range(max(0, n - sum(most[1:])), min(n, most[0]) + 1)
        for ways, others in shares(n - first, most[1:])
    ]

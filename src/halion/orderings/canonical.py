"""One ordering for all that symmetry makes equal: the first of its images, and how many different ones there are.

An image is read as a number whose digits are the species, a few dozen sites to a word: all words of all images
are then one matrix product of whole numbers, exact in double precision below 2^53, instead of a comparison site by
site.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray

__all__ = ["canonical_rows"]

_WORD_BITS = 53  # whole numbers up to 2^53 are exact as doubles, and so are sums that stay below
_IMAGES_AT_ONCE = 2_000_000  # 16 MiB of words


def canonical_rows(permutations: NDArray[np.int32], rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], IntArray]:
    """The lexicographically smallest image of each ordering under a group, and the number of its different images.

    The images of a row x are x[p] for each permutation p. The group holds the inverse of each, so these are all
    orderings that symmetry makes equal to x. The permutations that give the smallest image are a coset of its
    stabiliser, so their number divides the group's order into the multiplicity.

    Args:
        permutations: (group_order, n_sites) of a group, no row twice, as `site_permutations` gives them.
        rows: (n_rows, n_sites) species of each site.
    Returns:
        (n_rows, n_sites) canonical rows and (n_rows,) multiplicities.
    Raises:
        AssertionError: the permutations are no group.

    Checked by tests/orderings/test_orderings_canonical.py against trying all images, and the enumeration.
    """
    order, n_sites = permutations.shape
    canonical = np.ascontiguousarray(rows, dtype=np.uint8).copy()
    multiplicity = np.ones(len(rows), dtype=np.int64)
    if order == 1 or not len(rows) or not n_sites:
        return canonical, multiplicity
    words = _word_weights(permutations, int(canonical.max()) + 1)
    step = max(1, _IMAGES_AT_ONCE // order)
    for begin in range(0, len(rows), step):
        chunk = canonical[begin : begin + step].copy()
        first, ties = _smallest_image(chunk, words)
        canonical[begin : begin + step] = np.take_along_axis(chunk, permutations[first], axis=1)
        if np.any(order % ties):
            raise AssertionError("the images of an ordering do not divide the order of the group: not a group")
        multiplicity[begin : begin + step] = order // ties
    return canonical, multiplicity


def _word_weights(permutations: NDArray[np.int32], base: int) -> list[FloatArray]:
    """Per word (n_sites, group_order): what species k on a site adds to that word of each image, divided by k."""
    order, n_sites = permutations.shape
    per_word = max(1, int(_WORD_BITS / math.log2(max(base, 2))))
    elements = np.arange(order)
    words = []
    for begin in range(0, n_sites, per_word):
        weights = np.zeros((n_sites, order))
        end = min(begin + per_word, n_sites)
        for place in range(begin, end):
            weights[permutations[:, place], elements] = float(base ** (end - 1 - place))
        words.append(weights)
    return words


def _smallest_image(rows: NDArray[np.uint8], words: list[FloatArray]) -> tuple[IntArray, IntArray]:
    """(a permutation that gives the smallest image, how many do) of each row."""
    digits = rows.astype(float)
    word = digits @ words[0]
    ties = word == word.min(axis=1, keepdims=True)
    for weights in words[1:]:
        open_rows = np.flatnonzero(ties.sum(axis=1) > 1)  # most are decided by their first word
        if not len(open_rows):
            break
        word = np.where(ties[open_rows], digits[open_rows] @ weights, np.inf)
        ties[open_rows] = word == word.min(axis=1, keepdims=True)
    return ties.argmax(axis=1), ties.sum(axis=1)

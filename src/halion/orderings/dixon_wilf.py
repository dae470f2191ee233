"""Random orderings without a list of them: every colouring, or every distinct ordering, exactly equally likely.

Burnside's sum over the group counts pairs of an operation g and a colouring that g leaves as it is. Each orbit of
colourings is in |G| such pairs, whatever its size. So a uniformly random pair gives each distinct ordering with
probability 1/distinct (Dixon and Wilf, J. Algorithms 4, 205, 1983): a class of g with probability proportional to
its size times the colourings that it fixes, then one of those. A class may be stood for by one g, because the
colourings fixed by a conjugate are equivalent ones. Only whole numbers decide: no probability is ever rounded.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from halion.arrays import IntArray
from halion.orderings.cycles import CycleType, colourings, cycle_types, shares
from halion.orderings.transfer import AllowedColourings, Block, Restrictions

__all__ = ["Draws", "conjugacy_classes", "whole_numbers_below"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Term:
    """Colourings of one composition that one operation fixes.

    Attributes:
        element: the operation, an index into the group.
        size: operations conjugate to it.
        composition: index.
        free: per block without exclusions, its colourings.
        allowed: of the blocks with exclusions.
        restricted: allowed colourings of those blocks.
    """

    element: int
    size: int
    composition: int
    free: tuple[int, ...]
    allowed: AllowedColourings | None
    restricted: int

    @property
    def fixed(self) -> int:
        """Colourings that the operation fixes."""
        return math.prod(self.free) * self.restricted


class Draws:
    """Random colourings fixed by random operations of a group.

    Attributes:
        n_colourings: all colourings, allowed ones if there are exclusions.
        n_distinct: orbits of them under the group.
        is_feasible: False when exclusions need more states than allowed; then nothing can be drawn.
    """

    def __init__(
        self,
        permutations: NDArray[np.int32],
        compositions: Sequence[Sequence[Block]],
        restrictions: Restrictions | None = None,
        *,
        most_states: int = 0,
    ) -> None:
        """Count them.

        Args:
            permutations: (group_order, n_sites) of a group, the identity first; the identity alone makes every
                colouring equally likely.
            compositions: blocks of sites with the number of each species, the same blocks in all.
            restrictions: what exclusions forbid, invariant under the group; None: nothing.
            most_states: memories kept over all classes of operations (see transfer.py).

        Checked by tests/orderings/test_orderings_draws.py: chi-square over all orbits, with and without exclusions.
        """
        self._permutations, self._compositions = permutations, compositions
        touched = restrictions.sites if restrictions else set()
        self._free, self._restricted = _sorted_blocks(compositions[0], touched)
        self._restrictions, self._states_left = restrictions, most_states
        sizes = [end - begin for begin, end, _ in compositions[0]]
        classes = conjugacy_classes(permutations)
        self._types = dict(zip((k for k, _ in classes), cycle_types(permutations[[k for k, _ in classes]], sizes)))
        self._terms = [term for element, size in classes for term in self._terms_of(element, size)]
        self.is_feasible = self._states_left >= 0
        self._ends = list(itertools.accumulate(term.size * term.fixed for term in self._terms))
        self.n_colourings = sum(term.fixed for term in self._terms if term.element == 0)
        pairs = self._ends[-1] if self._ends else 0
        self.n_distinct, rest = divmod(pairs, len(permutations))
        if rest and self.is_feasible:
            raise AssertionError(
                f"Burnside's sum {pairs} is no multiple of the order {len(permutations)}: no group"
            )

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.uint8]:
        """(n, n_sites) colourings of random pairs, independent of each other."""
        rows = np.zeros((n, self._permutations.shape[1]), dtype=np.uint8)
        of_term: dict[int, list[tuple[int, int]]] = {}
        for k, number in enumerate(whole_numbers_below(rng, self._ends[-1], n)):
            index = bisect.bisect_right(self._ends, number)
            # What is left of the number is uniform below size * fixed: enough to choose everything else.
            of_term.setdefault(index, []).append((k, number - (self._ends[index - 1] if index else 0)))
        for index, chosen in sorted(of_term.items()):
            self._fill(self._terms[index], rows, chosen, rng)
        return rows

    def _terms_of(self, element: int, size: int) -> list[_Term]:
        kinds = self._types[element]
        allowed = self._allowed(element) if self._restricted and self._states_left >= 0 else None
        if allowed is not None:
            self._states_left -= allowed.n_states
        terms = []
        for k, blocks in enumerate(self._compositions):
            free = tuple(colourings(kinds[b], tuple(blocks[b][2].values())) for b in self._free)
            restricted = (allowed.ways(k) or 0) if allowed else int(not self._restricted)
            term = _Term(
                element=element, size=size, composition=k, free=free, allowed=allowed, restricted=restricted
            )
            if term.fixed:
                terms.append(term)
        return terms

    def _allowed(self, element: int) -> AllowedColourings | None:
        cycles = [
            cycle
            for b in self._restricted
            for cycles in _cycles(self._permutations[element], *self._compositions[0][b][:2]).values()
            for cycle in cycles
        ]
        blocks = [[composition[b] for b in self._restricted] for composition in self._compositions]
        found = AllowedColourings(cycles, blocks, self._restrictions, most_states=max(self._states_left, 1))
        if found.ways(0) is None:
            self._states_left = -1
            return None
        return found

    def _fill(
        self, term: _Term, rows: NDArray[np.uint8], chosen: list[tuple[int, int]], rng: np.random.Generator
    ) -> None:
        """Colour some rows; each comes with a whole number that decides what is not shuffled."""
        blocks = self._compositions[term.composition]
        places = np.array([k for k, _ in chosen])
        numbers = [number % term.fixed for _, number in chosen]
        if term.allowed is not None:
            for k, number in zip(places, numbers):
                term.allowed.fill(rows[k], term.composition, number % term.restricted)
            numbers = [number // term.restricted for number in numbers]
        for b, ways in zip(self._free, term.free):
            begin, end, counts = blocks[b]
            kinds = self._types[term.element][b]
            given = [_shares_numbered(kinds, tuple(counts.values()), number % ways) for number in numbers]
            numbers = [number // ways for number in numbers]
            cycles = _cycles(self._permutations[term.element], begin, end)
            for level, (length, _) in enumerate(kinds):
                shuffled = rng.permuted(_repeated(tuple(counts), [each[level] for each in given]), axis=1)
                rows[np.ix_(places, cycles[length].ravel())] = np.repeat(shuffled, length, axis=1)


def _sorted_blocks(blocks: Sequence[Block], touched: set[int]) -> tuple[list[int], list[int]]:
    """Indices of the blocks without and with exclusions."""
    restricted = [k for k, (begin, end, _) in enumerate(blocks) if any(begin <= site < end for site in touched)]
    return [k for k in range(len(blocks)) if k not in restricted], restricted


def _repeated(species: tuple[int, ...], given: list[tuple[int, ...]]) -> NDArray[np.uint8]:
    """Per row each species as often as it has cycles."""
    if len(set(given)) == 1:
        row = np.repeat(np.array(species, dtype=np.uint8), given[0])
        return np.tile(row, (len(given), 1))
    return np.array([np.repeat(np.array(species, dtype=np.uint8), each) for each in given])


def _cycles(permutation: NDArray[np.int32], begin: int, end: int) -> dict[int, IntArray]:
    """{length: (number of cycles, length) sites} of one block."""
    found: dict[int, list[list[int]]] = {}
    seen: set[int] = set()
    for start in range(begin, end):
        if start not in seen:
            cycle = [start]
            while (following := int(permutation[cycle[-1]])) != start:
                cycle.append(following)
            seen.update(cycle)
            found.setdefault(len(cycle), []).append(cycle)
    return {length: np.array(cycles) for length, cycles in found.items()}


def _shares_numbered(cycles: CycleType, counts: tuple[int, ...], number: int) -> list[tuple[int, ...]]:
    """How many cycles of each length each species gets, in the colouring of this number below `colourings`."""
    given = []
    while len(cycles) > 1:
        ends, choices = _share_ends(cycles, counts)
        index = bisect.bisect_right(ends, number)
        ways, share = choices[index]
        number = (number - (ends[index - 1] if index else 0)) // ways
        given.append(share)
        length = cycles[-1][0]
        counts = tuple(count - length * k for count, k in zip(counts, share))
        cycles = cycles[:-1]
    given.extend(tuple(count // length for count in counts) for length, _ in cycles)
    return given[::-1]


@lru_cache(maxsize=10_000)
def _share_ends(cycles: CycleType, counts: tuple[int, ...]) -> tuple[list[int], list[tuple[int, tuple[int, ...]]]]:
    """Running sums of the colourings that each share of the longest cycles allows, and the shares."""
    length, n = cycles[-1]
    choices = shares(n, tuple(count // length for count in counts))
    weights = [
        ways * colourings(cycles[:-1], tuple(count - length * k for count, k in zip(counts, share)))
        for ways, share in choices
    ]
    return list(itertools.accumulate(weights)), choices


def conjugacy_classes(permutations: NDArray[np.int32]) -> list[tuple[int, int]]:
    """(an element, number of elements) of each class h g h^-1 of a group (group_order, n_sites)."""
    index = {row.tobytes(): k for k, row in enumerate(permutations)}
    left = dict.fromkeys(range(len(permutations)))
    lines = np.arange(len(permutations))[:, None]
    classes = []
    while left:
        element = next(iter(left))
        conjugates = np.empty_like(permutations)
        conjugates[lines, permutations] = permutations[:, permutations[element]]
        members = {index[row.tobytes()] for row in conjugates}
        classes.append((element, len(members)))
        for member in members:
            del left[member]
    return classes


def whole_numbers_below(rng: np.random.Generator, end: int, n: int) -> list[int]:
    """n independent whole numbers, each of 0 ... end - 1 equally likely, however large `end` is."""
    if end <= 2**63:
        return rng.integers(end, size=n).tolist()
    n_bytes = -(-end.bit_length() // 8)
    surplus = 8 * n_bytes - end.bit_length()
    found: list[int] = []
    while len(found) < n:
        drawn = rng.bytes(n_bytes * n)
        numbers = (
            int.from_bytes(drawn[k : k + n_bytes], "little") >> surplus for k in range(0, len(drawn), n_bytes)
        )
        found += [number for number in numbers if number < end]
    return found[:n]

"""Colourings that exclusions leave, counted state by state so that each can be drawn by its number.

Cycles of a permutation are filled one after another, each with one species (with the identity a cycle is a site).
What must be remembered of a partial filling is how many sites each species holds on each block, and which species
the exclusions forbid on cycles still to come. Partial fillings with the same memory are counted together (a
transfer-matrix count). All counts are kept, so that the colouring of any number is found by walking back: a uniform
whole number gives a uniform colouring, in exact arithmetic (Nijenhuis and Wilf, Combinatorial Algorithms, 1978).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halion.arrays import IntArray

__all__ = ["AllowedColourings", "Block", "Restrictions"]

Block = tuple[int, int, dict[int, int]]  # first site, end, {species: number}, as Problem.counts
_Node = tuple[int, int]  # cycle and species, or site and species


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """What exclusions forbid.

    Attributes:
        conflicts: {(site, species): set of (site, species) never beside it}, symmetric.
        forbidden: (site, species) that are never filled.
    """

    conflicts: dict[_Node, set[_Node]]
    forbidden: frozenset[_Node]

    @property
    def sites(self) -> set[int]:
        """Sites that they say something of."""
        return {site for site, _ in self.conflicts} | {site for site, _ in self.forbidden}

    def allow(self, rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """(n_rows,) whether nothing forbidden is in each row (n_rows, n_sites)."""
        good = np.ones(len(rows), dtype=bool)
        for site, species in self.forbidden:
            good &= rows[:, site] != species
        for (site, species), others in self.conflicts.items():
            here = rows[:, site] == species
            for other, kind in others:
                if (site, species) < (other, kind):
                    good &= ~(here & (rows[:, other] == kind))
        return good


class AllowedColourings:
    """Colourings fixed by one permutation that no exclusion forbids, for several compositions at once.

    Attributes:
        n_states: memories kept.
    """

    def __init__(
        self,
        cycles: Sequence[IntArray],
        compositions: Sequence[Sequence[Block]],
        restrictions: Restrictions,
        *,
        most_states: int,
    ) -> None:
        """Count them.

        Args:
            cycles: the sites of each cycle, over the blocks of the compositions.
            compositions: blocks of each, with the same sites in all.
            restrictions: what is forbidden.
            most_states: most memories kept; with more `ways` is None for every composition.

        Checked by tests/orderings/test_orderings_transfer.py against listing and the search.
        """
        self._compositions = compositions
        conflicts, forbidden = _on_cycles(cycles, restrictions)
        self._cycles = [cycles[k] for k in _partners_close(len(cycles), conflicts)]
        place = {id(cycle): k for k, cycle in enumerate(self._cycles)}
        to_place = [place[id(cycle)] for cycle in cycles]
        self._slots = _slots(compositions)
        self._options = self._all_options(conflicts, forbidden, to_place)
        self._ways: list[list[int]] = [[1]]
        self._edges: list[list[list[tuple[int, int]]]] = []
        self._last: dict[tuple[int, int], int] | None = self._count(most_states)
        self.n_states = sum(map(len, self._ways))

    def ways(self, composition: int) -> int | None:
        """Number of allowed colourings of one composition; None when there were too many states."""
        if self._last is None:
            return None
        final = self._last.get((self._filled(composition), 0))
        return 0 if final is None else self._ways[-1][final]

    def fill(self, row: NDArray[np.uint8], composition: int, number: int) -> None:
        """Write the colouring of this number, below `ways`, into a row of all sites."""
        state = self._last[self._filled(composition), 0]
        for step in range(len(self._cycles) - 1, -1, -1):
            ways = self._ways[step]
            for before, species in self._edges[step][state]:
                if number < ways[before]:
                    row[self._cycles[step]] = species
                    state = before
                    break
                number -= ways[before]

    def _filled(self, composition: int) -> int:
        """The number of sites per block and species as one whole number."""
        return sum(
            n * self._slots[begin, species][0]
            for begin, _, numbers in self._compositions[composition]
            for species, n in numbers.items()
        )

    def _all_options(
        self, conflicts: dict[_Node, set[_Node]], forbidden: set[_Node], to_place: list[int]
    ) -> list[list[tuple[int, int, int, int, int]]]:
        """Per cycle: (bit that forbids it, bits it forbids, what it adds, unit of its slot, species)."""
        n_species = 1 + max(species for _, species in self._slots)
        from_place = {k: cycle for cycle, k in enumerate(to_place)}
        possible: list[list[tuple[int, int]]] = []  # per cycle (species, unit of its slot)
        for k, cycle in enumerate(self._cycles):
            begin = next(b for b, e, _ in self._compositions[0] if b <= cycle[0] < e)
            slots = [(species, unit) for (block, species), (unit, _, _) in self._slots.items() if block == begin]
            possible.append([each for each in slots if (from_place[k], each[0]) not in forbidden])
        bit_of = {
            (from_place[k], species): 1 << (k * n_species + species)
            for k, mine in enumerate(possible)
            for species, _ in mine
        }
        options = []
        for k, mine in enumerate(possible):
            later = -1 << ((k + 1) * n_species)  # the cycles before have been asked already
            forbids = [
                sum(bit_of.get(other, 0) for other in conflicts.get((from_place[k], s), ())) for s, _ in mine
            ]
            options.append(
                [
                    (bit_of[from_place[k], s], bits & later, len(self._cycles[k]) * unit, unit, s)
                    for (s, unit), bits in zip(mine, forbids)
                ]
            )
        self._later = [-1 << ((k + 1) * n_species) for k in range(len(options))]
        return options

    def _count(self, most_states: int) -> dict[tuple[int, int], int] | None:
        """Fill cycle after cycle; the index of each last memory, None when there are too many."""
        base = {unit: (size, most) for unit, size, most in self._slots.values()}
        index, kept = {(0, 0): 0}, 1
        for options, later in zip(self._options, self._later):
            following: dict[tuple[int, int], int] = {}
            ways: list[int] = []
            edges: list[list[tuple[int, int]]] = []
            before = self._ways[-1]
            for (filled, blocked), k in index.items():
                for bit, bits, adds, unit, species in options:
                    size, most = base[unit]
                    if blocked & bit or (filled + adds) // unit % size > most:
                        continue
                    key = (filled + adds, (blocked & later) | bits)
                    found = following.setdefault(key, len(ways))
                    if found == len(ways):
                        ways.append(0)
                        edges.append([])
                    ways[found] += before[k]
                    edges[found].append((k, species))
            kept += len(ways)
            if kept > most_states:
                return None
            self._ways.append(ways)
            self._edges.append(edges)
            index = following
        return index


def _slots(compositions: Sequence[Sequence[Block]]) -> dict[tuple[int, int], tuple[int, int, int]]:
    """{(first site of a block, species): (unit, digits, most sites)} of a mixed-radix number."""
    most: dict[tuple[int, int], int] = {}
    for blocks in compositions:
        for begin, _, numbers in blocks:
            for species, n in numbers.items():
                most[begin, species] = max(n, most.get((begin, species), 0))
    size = {begin: end - begin + 1 for begin, end, _ in compositions[0]}
    slots, unit = {}, 1
    for (begin, species), n in sorted(most.items()):
        # Twice the size: a count one cycle too high must still be read as too high, not carried on.
        slots[begin, species] = (unit, 2 * size[begin], n)
        unit *= 2 * size[begin]
    return slots


def _on_cycles(
    cycles: Sequence[IntArray], restrictions: Restrictions
) -> tuple[dict[_Node, set[_Node]], set[_Node]]:
    """Restrictions between whole cycles of one species each."""
    cycle_of = {int(site): k for k, cycle in enumerate(cycles) for site in cycle}
    conflicts: dict[_Node, set[_Node]] = {}
    forbidden = {(cycle_of[site], species) for site, species in restrictions.forbidden if site in cycle_of}
    for (site, species), others in restrictions.conflicts.items():
        here = cycle_of.get(site)
        for other, kind in others if here is not None else ():
            there = cycle_of[other]
            if here != there:
                conflicts.setdefault((here, species), set()).add((there, kind))
            elif species == kind:
                forbidden.add((here, species))
    return conflicts, forbidden


def _partners_close(n: int, conflicts: dict[_Node, set[_Node]]) -> list[int]:
    """An order in which few cycles at a time wait for partners: next the one that brings the fewest new ones."""
    partners: list[set[int]] = [set() for _ in range(n)]
    for (here, _), others in conflicts.items():
        partners[here].update(there for there, _ in others)
    order: list[int] = []
    left, waiting = set(range(n)), set()
    while left:
        chosen = min(waiting or left, key=lambda k: (len((partners[k] & left) - waiting), k))
        order.append(chosen)
        left.discard(chosen)
        waiting = (waiting | partners[chosen]) & left
    return order

"""Fixed numbers of atoms on the orbits of a supercell, nearest to the refined occupancies: which split is cheapest.

The cost of a split is d^2 = sum over orbits o, elements e of m_o (n_oe / m_o - occupancy_oe)^2, see composition.py.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.optimize import linprog

from halion.crystal.types import DisorderedCrystal, Orbit

__all__ = ["FULL", "TIE", "Split", "cheapest_split", "splits_by_cost"]

FULL = 1e-3  # vacancy below which a refinement means "full"; as Orbit.is_ordered
TIE = 1e-6  # costs closer than this are equal

Split = tuple[tuple[int, ...], ...]  # atoms per orbit and element, in the orders of the orbits and their elements
Part = tuple[float, tuple[int, ...]]  # cost and atoms per element of one orbit


def cheapest_split(
    crystal: DisorderedCrystal, elements: list[str], totals: tuple[int, ...], n_cells: int
) -> tuple[float, int, Split] | None:
    """Cheapest way to put fixed numbers of atoms on the orbits: (cost, ways as cheap, split); None if impossible.

    A solution of cost c uses only parts of cost <= c each, so the least over parts of cost <= bound is the least
    of all as soon as it does not exceed the bound.
    """
    if not _fits(crystal, elements, totals, n_cells):
        return None
    bound = 1.0
    while True:
        parts = [_parts(orbit, orbit.n_sites * n_cells, bound) for orbit in crystal.orbits]
        placed = _least_sum(crystal, elements, totals, parts)
        if placed is not None and placed[0] <= bound:
            return placed
        bound *= 4


def _parts(orbit: Orbit, n_sites: int, bound: float) -> list[Part]:
    """(cost, atoms per element) of one orbit, cost at most `bound`, cheapest first."""
    if orbit.is_ordered:
        return [(0.0, (n_sites,))]
    reach = math.sqrt(bound * n_sites)
    ranges = [
        range(max(0, math.ceil(x * n_sites - reach)), min(n_sites, math.floor(x * n_sites + reach)) + 1)
        for x in orbit.occupancy.values()
    ]
    parts = []
    for counts in itertools.product(*ranges):
        left = n_sites - sum(counts)
        if left < 0 or (left > 0 and orbit.vacancy < FULL):
            continue
        cost = sum((n - x * n_sites) ** 2 for n, x in zip(counts, orbit.occupancy.values())) / n_sites
        if cost <= bound:
            parts.append((cost, counts))
    return sorted(parts, key=lambda part: (part[0], tuple(-n for n in part[1])))


def _least_sum(
    crystal: DisorderedCrystal,
    elements: list[str],
    totals: tuple[int, ...],
    parts: list[list[Part]],
) -> tuple[float, int, Split] | None:
    """Dynamic programming over orbits; the state is what is left of each element."""
    states: dict[tuple[int, ...], tuple[float, int, Split]] = {totals: (0.0, 1, ())}
    for orbit, options in zip(crystal.orbits, parts):
        columns = [elements.index(element) for element in orbit.occupancy]
        following: dict[tuple[int, ...], tuple[float, int, Split]] = {}
        for left, (cost, ways, split) in states.items():
            for extra, counts in options:
                key, sum_ = _taken(left, columns, counts), cost + extra
                if min(key) < 0:
                    continue
                known = following.get(key)
                if known is None or sum_ < known[0] - TIE:
                    following[key] = (sum_, ways, (*split, counts))
                elif sum_ < known[0] + TIE:
                    following[key] = (known[0], known[1] + ways, known[2])
        states = following
    return states.get((0,) * len(totals))


def _fits(crystal: DisorderedCrystal, elements: list[str], totals: tuple[int, ...], n_cells: int) -> bool:
    """Whether the atoms find places: a transport problem, whose corners are whole numbers."""
    places = [(o, e) for o, orbit in enumerate(crystal.orbits) for e in orbit.occupancy]
    per_element = np.array([[float(e == element) for _, e in places] for element in elements])
    per_orbit = np.array([[float(o == orbit) for o, _ in places] for orbit in range(len(crystal.orbits))])
    sites = np.array([orbit.n_sites * n_cells for orbit in crystal.orbits], dtype=float)
    full = np.array([orbit.vacancy < FULL for orbit in crystal.orbits])
    solution = linprog(
        np.zeros(len(places)),
        A_ub=per_orbit[~full] if (~full).any() else None,
        b_ub=sites[~full] if (~full).any() else None,
        A_eq=np.concatenate([per_element, per_orbit[full]]),
        b_eq=np.concatenate([np.array(totals, dtype=float), sites[full]]),
    )
    return bool(solution.status == 0)


def splits_by_cost(
    crystal: DisorderedCrystal,
    elements: list[str],
    totals: tuple[int, ...],
    n_cells: int,
    *,
    bound: float,
    most: int,
) -> list[tuple[float, Split]]:
    """The `most` cheapest splits of cost at most `bound`, cheapest first (`cheapest_split` keeps one)."""
    states: dict[tuple[int, ...], list[tuple[float, Split]]] = {totals: [(0.0, ())]}
    for orbit in crystal.orbits:
        columns = [elements.index(element) for element in orbit.occupancy]
        following: dict[tuple[int, ...], list[tuple[float, Split]]] = {}
        for extra, counts in _parts(orbit, orbit.n_sites * n_cells, bound):
            for left, splits in states.items():
                key = _taken(left, columns, counts)
                if min(key) >= 0:
                    longer = [(cost + extra, (*split, counts)) for cost, split in splits if cost + extra <= bound]
                    following.setdefault(key, []).extend(longer)
        # The `most` cheapest of the whole begin with one of the `most` cheapest of each state.
        states = {key: sorted(splits, key=lambda each: each[0])[:most] for key, splits in following.items()}
    return states.get((0,) * len(totals), [])


def _taken(left: tuple[int, ...], columns: list[int], counts: tuple[int, ...]) -> tuple[int, ...]:
    after = list(left)
    for column, count in zip(columns, counts):
        after[column] -= count
    return tuple(after)

"""Whether any ordering fills no excluded pair: a question of whole numbers, answered by branch and bound.

A search that lists orderings finds out about a dead end only after walking into it. Here each (site, species) with
a conflict is a variable of 0 or 1, each orbit's number of atoms an equation, each excluded pair an inequality, and
the linear relaxation cuts off what cannot be filled (scipy's HiGHS).
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.problem import Problem, state_problem
from halion.orderings.types import Composition, PairExclusion

__all__ = ["has_ordering", "is_feasible"]

# Nodes of the tree after which an ordering that was not found counts as none. A count and not a time: the same
# question has the same answer on every machine.
_MOST_NODES = 2000


def has_ordering(
    crystal: DisorderedCrystal, composition: Composition, exclusions: tuple[PairExclusion, ...]
) -> bool:
    """Whether a composition has an ordering that fills no excluded pair.

    Checked by tests/orderings/test_orderings_feasible.py against the search and against listing all.
    """
    try:
        problem = state_problem(crystal, composition, exclusions)
    except OrderingError:
        return False  # two full sites are an excluded pair
    return is_feasible(problem)


def is_feasible(problem: Problem) -> bool:
    """Whether the atoms of a stated problem find sites without a conflict."""
    restricted = {site for site, _ in (*problem.conflicts, *problem.forbidden)}
    if not restricted:
        return True
    number: dict[tuple[int, int], int] = {}  # of each (site, species), on restricted sites alone
    rows: list[tuple[list[int], int, int]] = []  # variables, and the least and most of their sum
    for begin, end, counts in problem.counts:
        sites = [site for site in range(begin, end) if site in restricted]
        number |= {node: len(number) + k for k, node in enumerate(itertools.product(sites, counts))}
        # A site carries one species, or the vacancy; what is left of each goes to the other sites of the orbit.
        rows += [([number[(site, species)] for species in counts], 1, 1) for site in sites]
        rows += [([number[(site, species)] for site in sites], 0, n) for species, n in counts.items()]
    for node, partners in problem.conflicts.items():
        rows += [
            ([number[node], number[other]], 0, 1)
            for other in partners
            if node < other and {node, other} <= number.keys()
        ]
    place = np.repeat(np.arange(len(rows)), [len(members) for members, _, _ in rows])
    column = np.array([k for members, _, _ in rows for k in members])
    matrix = coo_matrix((np.ones(len(column)), (place, column)), shape=(len(rows), len(number)))
    never = [node in problem.forbidden or node in problem.conflicts.get(node, ()) for node in number]
    solved = milp(
        np.zeros(len(number)),
        integrality=np.ones(len(number)),
        bounds=Bounds(0, 1.0 - np.array(never)),
        constraints=LinearConstraint(matrix.tocsr(), [row[1] for row in rows], [row[2] for row in rows]),
        options={"node_limit": _MOST_NODES},
    )
    return solved.x is not None

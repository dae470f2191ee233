"""The diagonal supercell that represents the refined occupancies best within a number of atoms."""

from __future__ import annotations

import itertools
import math

import numpy as np

from halion.arrays import FloatArray
from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.composition import choose_composition
from halion.orderings.count import count_orderings
from halion.orderings.exclusions import exclusion_distances
from halion.orderings.search import distinct_up_to
from halion.orderings.types import Composition, PairExclusion, Supercell, as_supercell

__all__ = ["choose_supercell"]

# Deviations closer than this are equal: refined occupancies are not known to better than a few 0.001.
_SAME_DEVIATION = 1e-3


def choose_supercell(
    crystal: DisorderedCrystal, max_atoms: int, *, limit: int | None = None, closest_cations: float = 0.0
) -> Supercell:
    """The diagonal supercell of at most `max_atoms` atoms whose best neutral composition deviates least.

    Ties (deviations within 0.001) go to fewer atoms, then to the longest shortest distance between periodic
    images, then to the smallest ratio of longest to shortest edge, then to repeats along c before b before a.

    Args:
        crystal: the disordered crystal.
        max_atoms: most atoms in the supercell.
        limit: leave out supercells with more distinct orderings than this; None: keep all.
        closest_cations: as for `choose_composition` and `enumerate_orderings`, Angstrom: what they would find in
            each supercell is what is compared; 0: do not look.
    Raises:
        OrderingError: one cell holds more atoms already; no supercell up to the limit is neutral, or has few enough
            orderings.

    Checked by tests/orderings/test_orderings_composition.py.
    """
    exclusions = exclusion_distances(crystal, closest_cations)
    candidates: list[tuple[Composition, tuple[int, int, int]]] = []
    reasons: list[OrderingError] = []
    for n_cells in range(1, max(1, int(max_atoms / (0.5 * crystal.n_atoms))) + 1):
        try:
            nearest = choose_composition(crystal, (1, 1, n_cells))
        except OrderingError as error:
            reasons.append(error)
            continue
        if nearest.n_atoms > max_atoms:
            continue
        for supercell in _factors(n_cells):
            composition = choose_composition(crystal, supercell, exclusions=exclusions)
            if limit is None or _is_within(crystal, composition, exclusions, limit):
                candidates.append((composition, supercell))
    if not candidates:
        raise _no_supercell(crystal, max_atoms, limit, reasons)
    least = min(composition.deviation for composition, _ in candidates)
    best = min(
        (composition.n_atoms, *_anisotropy(crystal.cell, supercell), supercell)
        for composition, supercell in candidates
        if composition.deviation <= least + _SAME_DEVIATION
    )[-1]
    return as_supercell(best)


def _is_within(
    crystal: DisorderedCrystal, composition: Composition, exclusions: tuple[PairExclusion, ...], limit: int
) -> bool:
    """Whether a composition has between one and `limit` distinct orderings under the exclusions."""
    if not exclusions:
        return count_orderings(crystal, composition).distinct <= limit
    try:
        found = distinct_up_to(crystal, composition, exclusions, limit + 1)
    except OrderingError:
        return False
    return found is not None and 0 < found <= limit


def _factors(n_cells: int) -> list[tuple[int, int, int]]:
    """All (p, q, r) with p q r = n_cells."""
    divisors = [n for n in range(1, n_cells + 1) if n_cells % n == 0]
    return [(p, q, n_cells // (p * q)) for p in divisors for q in divisors if n_cells % (p * q) == 0]


def _anisotropy(cell: FloatArray, supercell: tuple[int, int, int]) -> tuple[float, float]:
    """(- shortest distance between images, longest / shortest edge), small for a cell near a cube."""
    vectors = cell * np.array(supercell)[:, None]
    steps = np.array([step for step in itertools.product((-2, -1, 0, 1, 2), repeat=3) if any(step)])
    edges = np.linalg.norm(vectors, axis=1)
    shortest = np.linalg.norm(steps @ vectors, axis=1).min()
    return -round(float(shortest), 6), round(float(edges.max() / edges.min()), 6)


def _no_supercell(
    crystal: DisorderedCrystal, max_atoms: int, limit: int | None, reasons: list[OrderingError]
) -> OrderingError:
    if crystal.n_atoms > max_atoms and not reasons:
        needed = math.ceil(crystal.n_atoms)
        return OrderingError(
            f"one cell of this crystal holds {crystal.n_atoms:.1f} atoms, more than the {max_atoms} allowed",
            where=crystal.name,
            fix=f"orderings: {{max_atoms: {needed}}}   (or more)",
        )
    if not reasons:
        return OrderingError(
            f"every supercell of at most {max_atoms} atoms has more than {limit} distinct orderings, or none",
            where=crystal.name,
            fix="raise orderings.limit or orderings.max_atoms, or lower orderings.closest_cations_angstrom",
        )
    first = reasons[0]
    return OrderingError(
        f"no supercell of at most {max_atoms} atoms has a neutral whole-atom composition: {first.what}",
        where=crystal.name,
        fix=f"orderings: {{max_atoms: {2 * max_atoms}}}; or {first.fix}",
    )

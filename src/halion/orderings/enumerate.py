"""Every symmetry-distinct ordering of a composition, once, with its multiplicity; certified before it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from halion.arrays import IntArray
from halion.crystal.types import DisorderedCrystal
from halion.errors import Interrupted, OrderingError
from halion.orderings.allowed import count_allowed
from halion.orderings.count import count_orderings
from halion.orderings.exclusions import exclusion_distances
from halion.orderings.problem import Problem, describe, state_problem
from halion.orderings.search import has_ordering, search
from halion.orderings.types import Composition, OrderingCount, OrderingSet, PairExclusion, supercell_name
from halion.progress import Progress, Stop, never, silent

__all__ = ["enumerate_orderings"]

# Ticks (some 10 ms each) after which a search under exclusions that neither ends nor reaches the limit is given up,
# e.g. lithium in a garnet, where nearly every partial filling is a dead end. A count and not a time: the same
# question has the same answer on every machine.
_MOST_TICKS = 3000


def enumerate_orderings(
    crystal: DisorderedCrystal,
    composition: Composition,
    *,
    closest_cations: float,
    limit: int,
    progress: Progress = silent,
    stop: Stop = never,
) -> OrderingSet:
    """All symmetry-distinct orderings of a composition, with the number of orderings each stands for.

    A depth-first search over (orbit, species) blocks under a chain of stabilisers (see _enumerator.cpp); pairs of
    cations that are too close (see `exclusion_distances`) never meet in it. Every run certifies itself: without
    exclusions the orderings are as many as Burnside's lemma says and their multiplicities add up to the total;
    with exclusions they add up to an independent count of what is allowed, wherever that count is feasible.

    Args:
        crystal: the disordered crystal.
        composition: atoms per orbit, from `choose_composition`.
        closest_cations: two cation sites closer than this are never filled together, Angstrom; 0: no exclusions.
        limit: most distinct orderings; more are refused.
        progress: told the orderings found, the number there are at most, and a text.
        stop: asked some hundred times a second; True ends the search.
    Returns:
        The orderings in a fixed order: the same input gives the same set on every machine.
    Raises:
        OrderingError: more than `limit` distinct orderings; or none, because cations are too close in all.
        Interrupted: `stop` said so; nothing is kept.

    Source: stabiliser chain as in Morgan, Hart, Forcade, Comput. Mater. Sci. 136, 144 (2017); orderly generation,
    Read, Ann. Discrete Math. 2, 107 (1978). Checked by tests/orderings/test_orderings_enumerate.py against listing
    all colourings, and published counts.
    """
    count = count_orderings(crystal, composition)
    exclusions = exclusion_distances(crystal, closest_cations)
    if not exclusions and count.distinct > limit:
        raise _too_many(crystal, composition, count, limit)
    problem = state_problem(crystal, composition, exclusions)
    kept = _Kept(limit=limit, most=count.distinct, progress=progress, stop=stop)
    search(problem, kept.take, kept.tick)
    if kept.stopped:
        raise Interrupted(
            f"stopped after {kept.n_orderings} distinct orderings; a part of them is of no use and was not kept",
            where=crystal.name,
            fix="type the same command again to start over",
        )
    if kept.gave_up:
        raise OrderingError(
            f"the search was given up: {kept.n_orderings} orderings in which no cations are too close were found "
            f"among {count.distinct}, and nearly all of its work led to none",
            where=f"{crystal.name}, supercell {supercell_name(composition.supercell)}",
            fix="a smaller orderings.supercell, or a smaller orderings.closest_cations_angstrom",
        )
    if kept.n_orderings > limit:
        raise _too_many(crystal, composition, count, limit)
    occupation, multiplicity = kept.arrays(len(problem.row))
    _certify(problem, count, multiplicity)
    if not len(multiplicity):
        raise _impossible(crystal, composition, exclusions)
    progress(len(multiplicity), len(multiplicity), f"{len(multiplicity)} distinct of {count.total}")
    return OrderingSet(
        crystal_name=crystal.name,
        compositions=(composition,),
        count=count,
        excluded_below=float(closest_cations),
        total_allowed=sum(multiplicity.tolist()),
        cell=problem.sites.cell,
        fractional=problem.sites.fractional,
        site_orbit=problem.sites.site_orbit,
        species=problem.species,
        charges=np.array([0.0, *(crystal.charges[element] for element in problem.species[1:])]),
        occupation=occupation,
        multiplicity=multiplicity,
    )


class _Kept:
    """Takes batches from the search, watches the limit, and asks whether to go on."""

    def __init__(self, *, limit: int, most: int, progress: Progress, stop: Stop) -> None:
        self.limit, self.most, self.progress, self.stop = limit, most, progress, stop
        self.rows: list[bytes] = []
        self.multiplicities: list[bytes] = []
        self.n_orderings = self.n_ticks = 0
        self.stopped = self.gave_up = False

    def take(self, rows: bytes, multiplicities: bytes) -> bool:
        self.rows.append(rows)
        self.multiplicities.append(multiplicities)
        self.n_orderings += len(multiplicities) // 8
        return self.n_orderings <= self.limit and self.tick(self.n_orderings)

    def tick(self, n_orderings: int) -> bool:
        self.progress(n_orderings, self.most, f"{n_orderings} distinct orderings")
        self.stopped = self.stop()
        self.n_ticks += 1
        # Without exclusions, or when Burnside's count is within the limit, the work is bounded by that count.
        self.gave_up = self.most > self.limit and self.n_ticks > _MOST_TICKS
        return not self.stopped and not self.gave_up

    def arrays(self, n_sites: int) -> tuple[NDArray[np.uint8], IntArray]:
        multiplicity = np.frombuffer(b"".join(self.multiplicities), dtype=np.int64).copy()
        rows = np.frombuffer(b"".join(self.rows), dtype=np.uint8)
        return rows.reshape(len(multiplicity), n_sites).copy(), multiplicity


def _certify(problem: Problem, count: OrderingCount, multiplicity: IntArray) -> None:
    """Stop at a wrong result: it would be a bug of this room, and nobody downstream could see it."""
    found, stands_for = len(multiplicity), sum(multiplicity.tolist())
    if not problem.conflicts and not problem.forbidden:
        if (found, stands_for) != (count.distinct, count.total):
            raise AssertionError(
                f"the search found {found} orderings standing for {stands_for}, Burnside's lemma says "
                f"{count.distinct} and {count.total}"
            )
        return
    allowed = count_allowed(problem)
    if allowed is not None and stands_for != allowed:
        raise AssertionError(f"the search's orderings stand for {stands_for}, but {allowed} are allowed")


def _too_many(
    crystal: DisorderedCrystal, composition: Composition, count: OrderingCount, limit: int
) -> OrderingError:
    mib = count.distinct * sum(orbit.n_sites for orbit in composition.orbits) / 2**20
    return OrderingError(
        f"the {supercell_name(composition.supercell)} supercell {composition.formula} has more than {limit} "
        f"distinct orderings ({count.distinct} of {count.total} before exclusions, {mib:.3g} MiB)",
        where=crystal.name,
        fix=f"lower orderings.max_atoms (this cell has {composition.n_atoms}), choose a smaller "
        "orderings.supercell, or raise orderings.limit",
    )


def _impossible(
    crystal: DisorderedCrystal, composition: Composition, exclusions: tuple[PairExclusion, ...]
) -> OrderingError:
    """Names the pairs, and the largest distance that leaves an ordering."""
    lines = "; ".join(describe(crystal, each) for each in exclusions)
    fix = "a larger orderings.supercell, or a smaller orderings.closest_cations_angstrom"
    for distance in sorted({each.distance for each in exclusions}, reverse=True):
        below = np.floor(distance * 100) / 100
        relaxed = tuple(replace(each, below=min(each.below, below)) for each in exclusions if each.distance < below)
        if has_ordering(crystal, composition, relaxed):
            fix = f"orderings: {{closest_cations_angstrom: {below:g}}}   (leaves orderings), or a larger supercell"
            break
    return OrderingError(
        f"two sites are too close in every ordering of {composition.formula}; pairs never filled together: {lines}",
        where=f"{crystal.name}, supercell {supercell_name(composition.supercell)}",
        fix=fix,
    )

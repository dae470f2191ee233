"""Occupancies of the relaxed orderings against the refinement: does the ordered model give the disorder back?

Where the numbers of atoms are fixed per orbit, occupancies cannot move; pooled over orbits they can. An ordering i
weighs g_i exp(-E_i/kT), with the energy of the cell and its multiplicity. In a sample it also weighs one
over the probability that it was drawn at all (Horvitz and Thompson, J. Am. Stat. Assoc. 47, 663 (1952)).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.orderings.types import Composition, OrderingSet
from halion.ranking.types import BackCheck, OrbitOccupancy, PrefilterQuality, Ranking
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["check_occupancies"]

_ROWS_PER_BATCH = 8192


def check_occupancies(
    ranking: Ranking, ordering_set: OrderingSet, quality: PrefilterQuality | None = None
) -> BackCheck | None:
    """Boltzmann-weighted occupancies of the disordered orbits, beside the refined ones and those at T -> infinity.

    An ordering counts on the sites where it started: the occupancies are those of the model that was refined.
    The weight of what was not relaxed is estimated from the control group, where `quality` knows of one.

    Returns:
        None where the set does not say what was refined.
    Checked by tests/ranking/test_ranking_back_check.py: closed forms, exhausted sets, samples.
    """
    if not ordering_set.composition.orbits:
        return None
    orderings, energies = _relaxed(ranking)
    multiplicity = np.asarray(ordering_set.multiplicity)[orderings]
    factors = multiplicity * np.exp(-(energies - energies.min()) / (BOLTZMANN_EV_PER_K * ranking.temperature_k))
    factors /= _probability_of_being_drawn(ordering_set, multiplicity)
    weights = factors / factors.sum()
    means = _mean_occupancy(ordering_set, np.asarray(ordering_set.occupation)[orderings], weights)
    infinite = _at_infinite_temperature(ordering_set)
    return BackCheck(
        temperature_k=ranking.temperature_k,
        occupancies=tuple(
            OrbitOccupancy(
                orbit=orbit.orbit,
                wyckoff=orbit.wyckoff,
                element=element,
                refined=refined,
                weighted=float(means[orbit.orbit, ordering_set.species.index(element)]),
                infinite=float(infinite[orbit.orbit, ordering_set.species.index(element)]),
            )
            for orbit in ordering_set.composition.orbits
            for element, refined in orbit.refined.items()
            if refined < 1 - 1e-3 and element in ordering_set.species
        ),
        multiplicity_share=float(multiplicity.sum() / ordering_set.total_allowed),
        weight_share=_weight_share(orderings, factors, quality),
        note=_note(ordering_set),
    )


def _relaxed(ranking: Ranking) -> tuple[IntArray, FloatArray]:
    """(orderings, energies of their cells in eV) of all relaxed ones."""
    n_atoms = len(ranking.best.relaxation.atoms)
    of_row = {row.ordering: row.relaxation.energy * n_atoms for row in ranking.rows}
    orderings = [*of_row, *(one.ordering for one in ranking.merged)]
    energies = [*of_row.values(), *(of_row[one.collapsed_to] for one in ranking.merged)]
    return np.array(orderings), np.array(energies)


def _probability_of_being_drawn(ordering_set: OrderingSet, multiplicity: IntArray) -> FloatArray:
    """Of each ordering, in at least one of the sample's draws; one where all orderings are listed.

    Exclusions make every draw of an allowed ordering likelier, all alike: for small probabilities a common factor.
    """
    sample = ordering_set.sample
    if sample is None or sample.measure == "low-energy":
        return np.ones(len(multiplicity))
    once = (
        multiplicity / float(ordering_set.count.total)
        if sample.measure == "colourings"
        else np.full(len(multiplicity), 1 / float(ordering_set.count.distinct))
    )
    return -np.expm1(sample.n_draws * np.log1p(-np.minimum(once, 1 - 1e-12)))


def _mean_occupancy(ordering_set: OrderingSet, occupation: NDArray[np.uint8], weights: FloatArray) -> FloatArray:
    """(n_orbits, n_species) sum over orderings of weight times occupancy."""
    n_orbits = len(ordering_set.composition.orbits)
    means = np.zeros((n_orbits, len(ordering_set.species)))
    for orbit in range(n_orbits):
        on_orbit = occupation[:, ordering_set.site_orbit == orbit]
        for k in range(len(ordering_set.species)):
            means[orbit, k] = weights @ (on_orbit == k).mean(axis=1)
    return means


def _at_infinite_temperature(ordering_set: OrderingSet) -> FloatArray:
    """(n_orbits, n_species) occupancies of all orderings alike; NaN where only a sample or a part is known.

    Without exclusions a composition has as many orderings as its orbits have colourings, listed or not.
    """
    if len(ordering_set.compositions) == 1:
        return _occupancies(ordering_set, ordering_set.composition)
    if not ordering_set.exclusions:
        totals = [_colourings(composition) for composition in ordering_set.compositions]
        every = sum(totals)
        return sum(
            n / every * _occupancies(ordering_set, composition)
            for n, composition in zip(totals, ordering_set.compositions, strict=True)
        )
    means = np.zeros((len(ordering_set.composition.orbits), len(ordering_set.species)))
    if ordering_set.sample is not None or ordering_set.shard != (0, 1):
        return np.full_like(means, np.nan)
    for start in range(0, ordering_set.n_orderings, _ROWS_PER_BATCH):
        rows = slice(start, start + _ROWS_PER_BATCH)
        share = np.asarray(ordering_set.multiplicity[rows]) / ordering_set.total_allowed
        means += _mean_occupancy(ordering_set, np.asarray(ordering_set.occupation[rows]), share)
    return means


def _occupancies(ordering_set: OrderingSet, composition: Composition) -> FloatArray:
    """(n_orbits, n_species) of one composition."""
    means = np.zeros((len(composition.orbits), len(ordering_set.species)))
    for orbit in composition.orbits:
        for element, count in orbit.counts.items():
            means[orbit.orbit, ordering_set.species.index(element)] = count / orbit.n_sites
    return means


def _colourings(composition: Composition) -> int:
    """Ways to put the atoms of each orbit on its sites."""
    ways = 1
    for orbit in composition.orbits:
        left = orbit.n_sites
        for count in orbit.counts.values():
            ways *= math.comb(left, count)
            left -= count
    return ways


def _weight_share(orderings: IntArray, factors: FloatArray, quality: PrefilterQuality | None) -> float:
    """Part of the whole partition function that the relaxed orderings make up, each control one for many."""
    if quality is None:
        return math.nan
    if quality.n_rest == 0:
        return 1.0
    if not quality.n_control:
        return math.nan
    is_control = np.isin(orderings, quality.control)
    rest = factors[is_control].sum() * quality.n_rest / quality.n_control
    return float(factors.sum() / (factors[~is_control].sum() + rest))


def _note(ordering_set: OrderingSet) -> str:
    if ordering_set.sample is not None and ordering_set.sample.measure == "low-energy":
        return (
            "Orderings found by a search for low energies are no ensemble: their mean says nothing of the crystal."
        )
    if len(ordering_set.compositions) == 1:
        return "The number of atoms on each orbit is fixed: the occupancies are those of the composition."
    if ordering_set.sample is not None:
        return "Means over a sample, each ordering weighted by one over its probability of being drawn."
    return "Means over the relaxed orderings, Boltzmann-weighted."

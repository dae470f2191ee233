"""Every supercell that could be taken, with its exact counts and its cost, before anything is listed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from halion.crystal.types import DisorderedCrystal
from halion.orderings.composition import choose_composition
from halion.orderings.count import count_orderings
from halion.orderings.lattice import image_distances
from halion.orderings.pooled import count_pooled
from halion.orderings.supercell import list_sizes, no_size, out_of_reach, shapes_by_image_distance, within
from halion.orderings.types import CandidateSupercell, Composition
from halion.settings import OrderingSettings

__all__ = ["ORDERINGS_PER_SECOND", "candidate_supercells", "pooled_elements"]

# Distinct orderings that the compiled search lists in a second where most have no symmetry of their own, two cores
# (benchmarks/orderings.py). Under exclusions and large stabilisers it is slower.
ORDERINGS_PER_SECOND = 1e6
_BYTES_PER_MULTIPLICITY = 8
_DIGITS = 3  # deviations are compared to 0.001, as in the choice of a supercell


def candidate_supercells(crystal: DisorderedCrystal, settings: OrderingSettings) -> tuple[CandidateSupercell, ...]:
    """The supercell that the settings name, or all of at most `max_atoms` atoms, best first.

    Best is the least deviation from the refinement (to 0.001), then fewer atoms, then the larger image distance.

    Each with both counts, refined (atoms per orbit as nearest to the experiment) and pooled (see
    `pooled_elements`), exact and before exclusions, which can only lower them; with the memory and the time that
    listing would take, and whether the limit allows it.

    Args:
        crystal: the disordered crystal.
        settings: `supercell`, or `max_atoms` and `shapes`; `pool`, `window`, `limit`; a `tolerance` leaves the
            farther ones out.
    Raises:
        OrderingError: one cell holds more atoms already, or no supercell up to `max_atoms` is neutral or lies
            within the tolerance.

    Checked by tests/orderings/test_orderings_supercell.py against counting each composition, and the published
    deviations.
    """
    if settings.supercell is not None:
        composition = choose_composition(crystal, settings.supercell)
        cell = np.array(composition.supercell) @ crystal.cell
        return (_candidate(crystal, composition, float(image_distances(cell[None])[0]), settings),)
    sizes, reasons = list_sizes(crystal, settings.max_atoms)
    if not sizes:
        raise no_size(crystal, settings.max_atoms, reasons)
    near = sizes if settings.tolerance is None else within(sizes, settings.tolerance)
    if not near:
        raise out_of_reach(crystal, settings, sizes)
    found = [
        _candidate(crystal, replace(size.nearest, supercell=shape), distance, settings)
        for size in near
        for distance, shape in shapes_by_image_distance(crystal, size.n_cells, settings)
    ]
    return tuple(
        sorted(found, key=lambda each: (round(each.deviation, _DIGITS), each.n_atoms, -each.image_distance))
    )


def _candidate(
    crystal: DisorderedCrystal, composition: Composition, image_distance: float, settings: OrderingSettings
) -> CandidateSupercell:
    elements = pooled_elements(crystal, settings)
    refined = count_orderings(crystal, composition)
    pooled = count_pooled(crystal, composition, elements, window=settings.window)
    wanted = pooled if settings.pool or settings.window else refined
    n_sites = sum(orbit.n_sites for orbit in composition.orbits)
    return CandidateSupercell(
        supercell=composition.supercell,
        composition=composition,
        image_distance=image_distance,
        refined=refined,
        pooled=pooled,
        pooled_elements=elements,
        n_bytes=wanted.distinct * (n_sites + _BYTES_PER_MULTIPLICITY),
        seconds=wanted.distinct / ORDERINGS_PER_SECOND,
        is_exhaustive=wanted.distinct <= settings.limit,
    )


def pooled_elements(crystal: DisorderedCrystal, settings: OrderingSettings) -> tuple[str, ...]:
    """The elements of `orderings.pool`; where none are named, every cation that is disordered over several orbits.

    How these share their orbits is what a ground state is free to change: in 30 atoms of Li3YCl6 the electrostatic
    minimum needs other numbers of Li and of Y per orbit than the refinement, and pooling Li alone misses it.
    """
    if settings.pool or settings.window:
        return settings.pool
    orbits = [orbit.occupancy for orbit in crystal.orbits if not orbit.is_ordered]
    return tuple(
        element
        for element, charge in sorted(crystal.charges.items())
        if charge > 0 and sum(element in occupancy for occupancy in orbits) > 1
    )

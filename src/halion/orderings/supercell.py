"""The supercell that represents the refined occupancies best within a number of atoms, of all shapes there are.

Atoms per orbit, and with them the deviation from the refinement, depend on the number of cells alone; the shape
decides how far apart images are, how many orderings differ, and whether excluded pairs leave one at all. So sizes
are ranked first, and of each size that is still in question the shapes are tried one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from halion.crystal.primitive import centrings
from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.composition import choose_composition
from halion.orderings.count import count_orderings, species_counts
from halion.orderings.exclusions import exclusions_for
from halion.orderings.feasible import has_ordering
from halion.orderings.lattice import cell_count, hermite_form, image_distances, is_diagonal
from halion.orderings.pool import count_distinct_allowed
from halion.orderings.pooled import pooled_compositions
from halion.orderings.refusals import impossible
from halion.orderings.search import distinct_up_to
from halion.orderings.shapes import distinct_supercells
from halion.orderings.stream import Question as ListingQuestion
from halion.orderings.types import Composition, PairExclusion, Supercell
from halion.settings import OrderingSettings

__all__ = [
    "Size",
    "choose_supercell",
    "list_sizes",
    "no_size",
    "out_of_reach",
    "shapes_by_image_distance",
    "within",
]

# Deviations closer than this are equal: refined occupancies are not known to better than a few 0.001.
_SAME_DEVIATION = 1e-3
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A number of cells, and the composition nearest to the refinement in it, whatever the shape."""

    n_cells: int
    nearest: Composition


def choose_supercell(crystal: DisorderedCrystal, settings: OrderingSettings) -> Supercell:
    """The supercell of at most `max_atoms` atoms whose best neutral composition deviates least.

    With a `tolerance`: the smallest one whose composition deviates by no more than that. Ties (deviations within
    0.001) go to fewer atoms, then to the longest shortest distance between periodic images, then to the smallest
    ratio of longest to shortest edge, then to repeats along c before b before a. Supercells are left out whose
    orderings all fill excluded pairs, or of which there are more than `limit` (where all are to be listed, and
    over all splits where atoms are pooled).

    Args:
        crystal: the disordered crystal.
        settings: `max_atoms`, `shapes`, `tolerance`, `limit`, and what excludes and pools.
    Raises:
        OrderingError: one cell holds more atoms already; no supercell up to `max_atoms` is neutral, lies within the
            tolerance, or has few enough orderings.

    Checked by tests/orderings/test_orderings_supercell.py against comparing all.
    """
    sizes, reasons = list_sizes(crystal, settings.max_atoms)
    if not sizes:
        raise no_size(crystal, settings.max_atoms, reasons)
    question = _Question(crystal, settings)
    if settings.tolerance is not None:
        return _smallest_within(question, sizes, settings.tolerance)
    fits: list[Composition] = []
    for size in sorted(sizes, key=lambda size: (size.nearest.deviation, size.n_cells)):
        if fits and size.nearest.deviation > min(fit.deviation for fit in fits) + _SAME_DEVIATION:
            break  # larger deviations only from here on
        fits += question.first_fit(size)
    if not fits:
        raise _no_fit(question, sizes)
    least = min(fit.deviation for fit in fits)
    near = [fit for fit in fits if fit.deviation <= least + _SAME_DEVIATION]
    return min(near, key=lambda fit: fit.n_atoms).supercell


def _smallest_within(question: _Question, sizes: list[Size], tolerance: float) -> Supercell:
    near = within(sizes, tolerance)
    for size in sorted(near, key=lambda size: size.nearest.n_atoms):
        for fit in question.first_fit(size):
            if fit.deviation <= tolerance + _ROUNDING:
                return fit.supercell
    if near:
        raise _no_fit(question, near)
    raise out_of_reach(question.crystal, question.settings, sizes)


def within(sizes: list[Size], tolerance: float) -> list[Size]:
    """Those sizes whose nearest composition deviates by no more than the tolerance."""
    return [size for size in sizes if size.nearest.deviation <= tolerance + _ROUNDING]


def out_of_reach(crystal: DisorderedCrystal, settings: OrderingSettings, sizes: list[Size]) -> OrderingError:
    """No size lies within the tolerance: the error names the best."""
    best = min(sizes, key=lambda size: (size.nearest.deviation, size.n_cells))
    reached = math.ceil(best.nearest.deviation * 1e4) / 1e4
    return OrderingError(
        f"no supercell of at most {settings.max_atoms} atoms has all occupancies within {settings.tolerance:g} of "
        f"the refinement; the best, {best.n_cells} cells with {best.nearest.n_atoms} atoms, comes to {reached:g}",
        where=crystal.name,
        fix=f"orderings: {{tolerance: {reached:g}}}, or a larger orderings.max_atoms",
    )


def list_sizes(crystal: DisorderedCrystal, max_atoms: int) -> tuple[list[Size], list[OrderingError]]:
    """All numbers of cells with a neutral composition of at most `max_atoms` atoms, and why others have none."""
    sizes, reasons = [], []
    for n_cells in range(1, max(1, int(max_atoms / (0.5 * crystal.n_atoms))) + 1):
        try:
            nearest = choose_composition(crystal, (1, 1, n_cells))
        except OrderingError as error:
            reasons.append(error)
            continue
        if nearest.n_atoms <= max_atoms:
            sizes.append(Size(n_cells=n_cells, nearest=nearest))
    return sizes, reasons


def shapes_by_image_distance(
    crystal: DisorderedCrystal, n_cells: int, settings: OrderingSettings
) -> list[tuple[float, Supercell]]:
    """(shortest distance between images in Angstrom, supercell) of every shape asked for, the best first."""
    shapes = [
        shape
        for shape in distinct_supercells(crystal, n_cells)
        if settings.shapes == "all" or is_diagonal(hermite_form(shape))
    ]
    cells = np.array(shapes) @ crystal.cell
    distances = np.round(image_distances(cells), 6)
    edges = np.linalg.norm(cells, axis=2)
    ratios = np.round(edges.max(axis=1) / edges.min(axis=1), 6)
    ranked = sorted(zip(-distances, ratios, shapes))
    return [(float(-distance), shape) for distance, _, shape in ranked]


class _Question:
    """Whether a composition can be ordered within the limits, under the exclusions."""

    def __init__(self, crystal: DisorderedCrystal, settings: OrderingSettings) -> None:
        self.crystal, self.settings = crystal, settings
        self.exclusions = exclusions_for(crystal, settings)
        # A sample has no limit: of too many orderings it is drawn.
        self.limit = settings.limit if settings.sample is None else None

    def first_fit(self, size: Size) -> Iterator[Composition]:
        """The best shape of a size, with its composition; nothing if none will do.

        The nearest composition in any shape goes before a farther one in the best shape: only where every shape
        leaves the nearest without an ordering are farther ones looked at.
        """
        shapes = [shape for _, shape in shapes_by_image_distance(self.crystal, size.n_cells, self.settings)]
        is_never_ordered = True
        for shape in shapes:
            composition = replace(size.nearest, supercell=shape)
            number = self._number(composition)
            if number:
                yield composition
                return
            is_never_ordered = is_never_ordered and number == 0
        for shape in shapes if is_never_ordered else ():
            composition = choose_composition(self.crystal, shape, exclusions=self.exclusions)
            if self._number(composition):
                yield composition
                return

    def _number(self, composition: Composition) -> int | None:
        """Distinct orderings under the exclusions; None if more than the limit, or if a bounded search cannot tell.

        Where there is no limit, 1 stands for any.
        """
        crystal, settings, limit = self.crystal, self.settings, self.limit
        if limit is not None and _distinct_at_least(crystal, composition, self.exclusions) > limit:
            return None
        several: tuple[Composition, ...] = (composition,)
        if settings.pool or settings.window:
            several = pooled_compositions(crystal, composition, settings.pool, window=settings.window)
        if not self.exclusions:
            distinct = count_orderings(crystal, several).distinct
            return distinct if limit is None or distinct <= limit else None
        return _number_allowed(crystal, several, self.exclusions, limit)


def _distinct_at_least(
    crystal: DisorderedCrystal, composition: Composition, exclusions: tuple[PairExclusion, ...]
) -> int:
    """Fewest distinct orderings of a composition that has any: orbits without exclusions are filled in all ways.

    No class has more orderings than the group has operations.
    """
    restricted = {orbit for each in exclusions for orbit in each.orbits}
    free = [part for part in composition.orbits if part.orbit not in restricted]
    blocks = [tuple(species_counts(part).values()) for part in free]
    ways = math.prod(math.factorial(sum(block)) // math.prod(map(math.factorial, block)) for block in blocks)
    return ways // (len(crystal.rotations) * cell_count(composition.supercell))


def _number_allowed(
    crystal: DisorderedCrystal,
    compositions: tuple[Composition, ...],
    exclusions: tuple[PairExclusion, ...],
    limit: int | None,
) -> int | None:
    if limit is None:
        return int(any(has_ordering(crystal, each, exclusions) for each in compositions))
    if (exact := count_distinct_allowed(crystal, compositions, exclusions)) is not None:
        return exact if exact <= limit else None
    total = 0
    for composition in compositions:
        try:
            found = distinct_up_to(crystal, composition, exclusions, limit + 1 - total)
        except OrderingError:
            found = 0  # two full sites are an excluded pair
        if found is None and not has_ordering(crystal, composition, exclusions):
            found = 0  # where the search walks from one dead end into the next
        if found is None or total + found > limit:
            return None
        total += found
    return total


def no_size(crystal: DisorderedCrystal, max_atoms: int, reasons: list[OrderingError]) -> OrderingError:
    """Why there is no supercell at all."""
    if not reasons:
        needed, smaller = math.ceil(crystal.n_atoms), math.ceil(crystal.n_atoms / len(centrings(crystal)))
        fix = f"orderings: {{max_atoms: {needed}}}   (or more)"
        if smaller < needed:
            fix = f"orderings: {{cell: primitive}}   (a cell of {smaller} atoms); or {fix}"
        return OrderingError(
            f"one cell of this crystal holds {crystal.n_atoms:.4g} atoms, more than the {max_atoms} allowed",
            where=crystal.name,
            fix=fix,
        )
    first = reasons[0]
    return OrderingError(
        f"no supercell of at most {max_atoms} atoms has a neutral whole-atom composition: {first.what}",
        where=crystal.name,
        fix=f"orderings: {{max_atoms: {2 * max_atoms}}}; or {first.fix}",
    )


def _no_fit(question: _Question, sizes: list[Size]) -> OrderingError:
    """Sizes there are, but none with orderings that can be listed: because sites are too close, or too many."""
    crystal, settings = question.crystal, question.settings
    smallest = min(sizes, key=lambda size: size.nearest.n_atoms).nearest
    if question.exclusions and not has_ordering(crystal, smallest, question.exclusions):
        return impossible(ListingQuestion.of(crystal, smallest, question.exclusions))
    kinds = "supercell" if settings.tolerance is None else f"supercell within {settings.tolerance:g}"
    return OrderingError(
        f"every {kinds} of at most {settings.max_atoms} atoms has more than {settings.limit} distinct orderings, "
        "or none",
        where=crystal.name,
        fix="orderings: {sample: orderings}   (draws from them, each equally likely); or raise orderings.limit or "
        "orderings.max_atoms, or lower orderings.closest_cations_angstrom",
    )

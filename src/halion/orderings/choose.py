"""From the settings of a study to the whole atoms of its ordered cell: one choice, for every caller."""

from __future__ import annotations

from halion.crystal.types import DisorderedCrystal
from halion.orderings.composition import choose_composition
from halion.orderings.exclusions import exclusions_for
from halion.orderings.pooled import pooled_compositions
from halion.orderings.supercell import choose_supercell
from halion.orderings.types import Composition
from halion.settings import OrderingSettings

__all__ = ["composition_for", "compositions_for"]


def composition_for(crystal: DisorderedCrystal, settings: OrderingSettings) -> Composition:
    """Whole atoms in the supercell that the settings name, or in the best one within `max_atoms`.

    Raises:
        OrderingError: no supercell holds a neutral composition with an allowed ordering.
    """
    supercell = settings.supercell or choose_supercell(crystal, settings)
    return choose_composition(crystal, supercell, exclusions=exclusions_for(crystal, settings))


def compositions_for(crystal: DisorderedCrystal, settings: OrderingSettings) -> tuple[Composition, ...]:
    """All compositions that the settings ask for, the one of `composition_for` first.

    One, refined, where nothing is pooled: its atoms per orbit represent the experiment. With `pool` or `window`
    every split of these atoms over the orbits that they allow, for ground states (see `pooled_compositions`).

    Raises:
        OrderingError: as `composition_for`; a pooled element that the crystal has not; too many splits.

    Checked by tests/orderings/test_orderings_pooled.py.
    """
    nearest = composition_for(crystal, settings)
    if not settings.pool and not settings.window:
        return (nearest,)
    return pooled_compositions(crystal, nearest, settings.pool, window=settings.window)

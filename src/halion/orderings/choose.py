"""From the settings of a study to the whole atoms of its ordered cell: one choice, for every caller."""

from __future__ import annotations

from halion.crystal.types import DisorderedCrystal
from halion.orderings.composition import choose_composition
from halion.orderings.supercell import choose_supercell
from halion.orderings.types import Composition
from halion.settings import OrderingSettings

__all__ = ["composition_for"]


def composition_for(crystal: DisorderedCrystal, settings: OrderingSettings) -> Composition:
    """Whole atoms in the supercell that the settings name, or in the best one within `max_atoms`.

    Raises:
        OrderingError: no supercell holds a neutral composition with an allowed ordering.
    """
    closest = settings.closest_cations_angstrom
    supercell = settings.supercell or choose_supercell(
        crystal, settings.max_atoms, limit=settings.limit, closest_cations=closest
    )
    return choose_composition(crystal, supercell, closest_cations=closest)

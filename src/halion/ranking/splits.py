"""Which composition an ordering has, where atoms are pooled over orbits."""

from __future__ import annotations

import numpy as np

from halion.orderings.types import Composition, OrderingSet

__all__ = ["split_name", "split_of"]


def split_of(ordering_set: OrderingSet, index: int) -> str:
    """How this ordering's atoms are spread over the orbits, in words; empty where all orderings are spread alike.

    Checked by test_rows_say_which_split in tests/ranking/test_ranking_back_check.py.
    """
    if len(ordering_set.compositions) < 2:
        return ""
    occupation = np.asarray(ordering_set.occupation[index])
    shape = (len(ordering_set.compositions[0].orbits), len(ordering_set.species))
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (ordering_set.site_orbit, occupation), 1)
    for composition in ordering_set.compositions:
        if all(
            counts[orbit.orbit, k] == orbit.counts.get(element, 0)
            for orbit in composition.orbits
            for k, element in enumerate(ordering_set.species)
            if element
        ):
            return split_name(composition)
    return "of no composition of the set"


def split_name(composition: Composition) -> str:
    """The disordered orbits of a composition: "6g Li 3/6, 6h Li 6/6"."""
    parts = []
    for orbit in composition.orbits:
        is_disordered = len(orbit.refined) > 1 or sum(orbit.refined.values()) < 1 - 1e-3
        if is_disordered:
            held = " ".join(
                f"{element} {count}/{orbit.n_sites}" for element, count in orbit.counts.items() if count
            )
            parts.append(f"{orbit.wyckoff} {held or 'vacant'}")
    return ", ".join(parts)

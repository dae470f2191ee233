"""What a ranking is worth: the quality of its prefilter, occupancies against the refinement, words on the set."""

from __future__ import annotations

import math
from dataclasses import replace

from halion.orderings.types import OrderingSet
from halion.ranking.back_check import check_occupancies
from halion.ranking.rounds import measure_prefilter
from halion.ranking.types import Ranking
from halion.settings import RankingSettings

__all__ = ["assess", "notes_on"]


def assess(ranking: Ranking, ordering_set: OrderingSet, settings: RankingSettings) -> Ranking:
    """The same ranking with `quality`, `back_check` and `notes`.

    Args:
        ranking: as `rank` gives it.
        ordering_set: the orderings that it ranks.
        settings: those that chose the relaxed orderings.
    Checked by tests/ranking/test_ranking_back_check.py.
    """
    energies = {row.ordering: (row.relaxation.static_energy, row.relaxation.energy) for row in ranking.rows}
    energies |= {one.ordering: (one.static_energy, one.energy) for one in ranking.merged}
    energies |= {one.ordering: (math.nan, math.inf) for one in ranking.refused}
    quality = measure_prefilter(ordering_set, energies, settings)
    return replace(
        ranking,
        quality=quality,
        back_check=check_occupancies(ranking, ordering_set, quality),
        notes=notes_on(ordering_set),
    )


def notes_on(ordering_set: OrderingSet) -> tuple[str, ...]:
    """What a reader must know about the set of orderings: pooled atoms, and what a sample left unseen."""
    notes = []
    if len(ordering_set.compositions) > 1:
        notes.append(
            f"Atoms are pooled over orbits: orderings of {len(ordering_set.compositions)} ways to spread "
            f"{ordering_set.composition.formula} over the orbits are ranked together."
        )
    part, parts = ordering_set.shard
    if parts > 1:
        notes.append(f"These are the orderings of part {part + 1} of {parts}; the best may be in another part.")
    sample = ordering_set.sample
    if sample is None:
        return tuple(notes)
    n, drawn = ordering_set.n_orderings, f"{sample.n_draws} draws (seed {sample.seed})"
    if sample.measure == "low-energy":
        notes.append(
            f"The {n} orderings are the lowest in electrostatic energy that a biased search of {drawn} found; they "
            "are no ensemble, and means over them stand for themselves alone."
        )
    else:
        alike = "ordering, equivalent ones counted," if sample.measure == "colourings" else "distinct ordering"
        notes.append(
            f"The {n} orderings are a sample: {drawn}, every {alike} equally likely. It holds "
            f"{100 * sample.coverage:.3g} % of all distinct orderings, and the next draw would be a new one with a "
            f"probability of {100 * sample.unseen_mass:.3g} %. The best of the sample need not be the best of all."
        )
    return tuple(notes)

"""A crystal disordered in its cations and in two anions alike: the cations are ordered first, then the anions.

Together they are too many: Li3YCl3Br3 has, in its 20-atom cell, as many joint orderings as cation orderings times
arrangements of the halides. Charges tell the cations' orderings apart and are blind to Cl and Br.
"""

from __future__ import annotations

from dataclasses import dataclass

from halion.crystal.types import DisorderedCrystal
from halion.errors import InputError
from halion.orderings import compositions_for, enumerate_orderings, exclusions_for
from halion.potentials import Potential
from halion.progress import Progress, Stop, never, silent
from halion.ranking.framework import formula_units, parent_phase
from halion.ranking.rank import rank_orderings
from halion.ranking.series import build_series
from halion.ranking.series_types import SeriesEntry
from halion.ranking.substitution import as_one_element
from halion.ranking.types import Ranking
from halion.settings import OrderingSettings, RankingSettings, SeriesSettings

__all__ = ["MixedRanking", "rank_mixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRanking:
    """A mixed crystal ordered in two stages.

    Attributes:
        cations: its cation orderings, ranked with one element on all shared sites.
        entry: the lowest arrangement of the two elements over the first of them.
    """

    cations: Ranking
    entry: SeriesEntry


def rank_mixed(
    crystal: DisorderedCrystal,
    potential: Potential,
    orderings: OrderingSettings,
    ranking: RankingSettings,
    settings: SeriesSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> MixedRanking:
    """Order the cations of a crystal, then two elements on the sites that they share.

    (i) Cation orderings, with both elements taken as the first, are ranked as ever: the lowest in electrostatic
    energy relaxed. (ii) On each of the `settings.cation_orderings` lowest, the arrangement of the two elements of
    lowest energy is searched under the symmetry that is left (`search_arrangements`), with the whole number of
    guests nearest to the refinement.

    Args:
        crystal: with two elements of one charge on its sites.
        potential: evaluates and relaxes.
        orderings: supercell, exclusions, pools and limit of the cations' orderings.
        ranking: how they are relaxed.
        settings: the two elements, the budget; `steps` is not used.
        progress: told the relaxations of the first stage, then the arrangements of the second.
        stop: asked between batches.
    Raises:
        InputError: the elements are not in the crystal, or have different charges.
        OrderingError: too many cation orderings, or none.
        PhysicsRefusal: all relaxations of a stage were refused.
        Interrupted: `stop` said so.

    Checked by tests/ranking/test_ranking_mixed.py against relaxing all joint orderings.
    """
    host, guest = settings.elements
    missing = [element for element in settings.elements if element not in crystal.composition]
    if missing:
        raise InputError(
            f"there is no {' and no '.join(missing)} to arrange: this crystal has {', '.join(crystal.composition)}",
            where=crystal.name,
            fix="name two of these that share sites; or rank it as it is",
        )
    plain = as_one_element(crystal, settings.elements)
    found = enumerate_orderings(
        plain,
        compositions_for(plain, orderings),
        exclusions=exclusions_for(plain, orderings),
        limit=orderings.limit,
        stop=stop,
    )
    cations = rank_orderings(found, potential, ranking, progress=progress, stop=stop)
    parent = parent_phase(f"{crystal.name}-x", cations, settings.cation_orderings)
    units, per_unit = formula_units(parent.structures[0], settings.elements)
    amounts = crystal.composition
    share = amounts.get(guest, 0.0) / (amounts.get(guest, 0.0) + amounts.get(host, 0.0))
    x = round(share * units * per_unit) / units
    one = settings.model_copy(update={"steps": (x,)})
    (entry,) = build_series([parent], potential, one, ranking, progress=progress, stop=stop)
    return MixedRanking(cations=cations, entry=entry)

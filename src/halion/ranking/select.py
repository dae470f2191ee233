"""Which orderings are relaxed: the lowest in electrostatic energy, no tie cut in silence."""

from __future__ import annotations

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.orderings.types import OrderingSet
from halion.progress import Progress, silent
from halion.ranking.electrostatics import electrostatic_energies
from halion.ranking.types import Candidate, Selection
from halion.settings import RankingSettings

__all__ = ["TIE_EV_PER_ATOM", "select_candidates"]

# Orderings whose formal charges are arranged alike (Cl and Br exchanged, say) have the same energy exactly;
# rounding parts them by 1e-13 eV/atom, coordinates of five digits by less than this.
TIE_EV_PER_ATOM = 1e-6


def select_candidates(
    ordering_set: OrderingSet, settings: RankingSettings, progress: Progress = silent
) -> Selection:
    """The `relax_best` orderings lowest in electrostatic energy.

    Where the last places fall inside a tie (energies within 1e-6 eV/atom) that has more members than places,
    members are drawn evenly along their cumulative multiplicity: a fixed choice that represents all orderings
    of the tie, equivalent ones included. The note says so and how many were left out.

    Args:
        ordering_set: the distinct orderings.
        settings: `relax_best` is used.
        progress: told the orderings whose energy is known.
    Raises:
        InputError, OrderingError: as `electrostatic_energies`.
    Checked by tests/ranking/test_ranking_select.py.
    """
    energies = electrostatic_energies(ordering_set, progress)
    n_places = min(settings.relax_best, len(energies))
    order = np.lexsort((np.arange(len(energies)), energies))
    at_cut = energies[order[n_places - 1]]
    below = order[energies[order] < at_cut - TIE_EV_PER_ATOM]
    tied = np.sort(order[np.abs(energies[order] - at_cut) <= TIE_EV_PER_ATOM])
    drawn = _spread(tied, ordering_set.multiplicity[tied], n_places - len(below))
    chosen = np.concatenate([below, drawn])
    n_left_out = len(tied) - len(drawn)
    return Selection(
        candidates=tuple(_candidate(ordering_set, int(k), energies) for k in chosen),
        note=_note(len(energies), len(chosen), len(tied), n_left_out, np.ptp(energies)),
        n_tied_left_out=n_left_out,
    )


def _spread(members: IntArray, multiplicity: IntArray, n_places: int) -> IntArray:
    """`n_places` of the members, in their order, evenly along the cumulative multiplicity.

    The k-th mark lies at (k + 1/2)/n of the total. A member so multiple that two marks fall on it takes one
    place; the places left over go to the most multiple of the rest.
    """
    if n_places >= len(members):
        return members
    upper = np.cumsum(multiplicity)
    marks = (np.arange(n_places) + 0.5) * upper[-1] / n_places
    chosen = np.unique(np.searchsorted(upper, marks, side="right"))
    rest = np.setdiff1d(np.arange(len(members)), chosen)
    by_multiplicity = rest[np.argsort(-multiplicity[rest], kind="stable")]
    filled = np.concatenate([chosen, by_multiplicity[: n_places - len(chosen)]])
    return members[np.sort(filled)]


def _candidate(ordering_set: OrderingSet, index: int, energies: FloatArray) -> Candidate:
    return Candidate(
        ordering=index,
        multiplicity=int(ordering_set.multiplicity[index]),
        electrostatic_energy=float(energies[index]),
        atoms=ordering_set.structure(index),
    )


def _note(n_orderings: int, n_chosen: int, n_tied: int, n_left_out: int, spread: float) -> str:
    if n_chosen == n_orderings:
        return f"All {n_orderings} distinct orderings are relaxed."
    note = f"The {n_chosen} of {n_orderings} distinct orderings lowest in electrostatic energy are relaxed."
    if n_left_out:
        note += (
            f" The last places fall inside a tie of {n_tied} orderings of equal electrostatic energy: "
            f"{n_tied - n_left_out} of them were drawn evenly along their multiplicities, {n_left_out} left out."
        )
    if spread <= TIE_EV_PER_ATOM:
        note += " All orderings have the same electrostatic energy: it does not tell them apart."
    return note

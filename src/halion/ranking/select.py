"""Which orderings are relaxed: the lowest in electrostatic energy, no tie cut in silence."""

from __future__ import annotations

from halion.orderings.types import OrderingSet
from halion.progress import Progress, silent
from halion.ranking.lowest import TIE_EV_PER_ATOM, Lowest, lowest_orderings
from halion.ranking.splits import split_of
from halion.ranking.types import Candidate, Selection
from halion.settings import RankingSettings

__all__ = ["candidate", "choice_in_words", "select_candidates"]


def select_candidates(
    ordering_set: OrderingSet, settings: RankingSettings, progress: Progress = silent
) -> Selection:
    """The `relax_best` orderings lowest in electrostatic energy; ties at the cut as `lowest_orderings` draws them.

    The note says what was chosen, and how many of a tie were left out. Orderings are read as a stream: the set's
    `occupation` may be a memory map of many millions.

    Args:
        ordering_set: the distinct orderings.
        settings: `relax_best` is used.
        progress: told the orderings whose energy is known.
    Raises:
        InputError, OrderingError: as `electrostatic_energies`.
    Checked by tests/ranking/test_ranking_select.py.
    """
    lowest = lowest_orderings(ordering_set, settings.relax_best, progress)
    pairs = zip(lowest.orderings.tolist(), lowest.energies.tolist(), strict=True)
    return Selection(
        candidates=tuple(candidate(ordering_set, index, energy) for index, energy in pairs),
        note=choice_in_words(ordering_set.n_orderings, lowest),
        n_tied_left_out=lowest.n_left_out,
    )


def candidate(ordering_set: OrderingSet, index: int, energy: float, *, is_control: bool = False) -> Candidate:
    """An ordering of the set, ready to be relaxed."""
    return Candidate(
        ordering=index,
        multiplicity=int(ordering_set.multiplicity[index]),
        electrostatic_energy=energy,
        atoms=ordering_set.structure(index),
        is_control=is_control,
        split=split_of(ordering_set, index),
    )


def choice_in_words(n_orderings: int, lowest: Lowest) -> str:
    """Which orderings were chosen, and what the electrostatic energy could not tell."""
    n_chosen = len(lowest.orderings)
    if n_chosen == n_orderings:
        return f"All {n_orderings} distinct orderings are relaxed."
    note = f"The {n_chosen} of {n_orderings} distinct orderings lowest in electrostatic energy are relaxed."
    if lowest.n_left_out:
        note += (
            f" The last places fall inside a tie of {lowest.n_tied} orderings of equal electrostatic energy: "
            f"{lowest.n_tied - lowest.n_left_out} of them were drawn evenly along their multiplicities, "
            f"{lowest.n_left_out} left out."
        )
    if lowest.spread <= TIE_EV_PER_ATOM:
        note += " All orderings have the same electrostatic energy: it does not tell them apart."
    return note

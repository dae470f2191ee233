"""The n lowest of an ordering set in electrostatic energy, read as a stream, and no tie cut in silence.

Two passes over the orderings: the first keeps the n lowest energies, and with them the cut; the second goes through
what ties with the cut, which may be millions of orderings, and keeps only their number and how multiple they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.orderings.types import OrderingSet
from halion.progress import Progress, silent
from halion.ranking.electrostatics import OrderingEnergies

__all__ = ["TIE_EV_PER_ATOM", "Lowest", "lowest_orderings"]

# Orderings whose formal charges are arranged alike (Cl and Br exchanged, say) have the same energy exactly;
# rounding parts them by 1e-13 eV/atom, coordinates of five digits by less than this.
TIE_EV_PER_ATOM = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowest:
    """The lowest orderings of a set.

    Attributes:
        orderings: (n,) their indices: those below the cut by energy, then those drawn from the tie at the cut.
        energies: (n,) eV/atom.
        n_tied: orderings that tie with the last one.
        n_left_out: orderings of that tie that are not among these.
        spread: highest minus lowest energy of the whole set, eV/atom.
    """

    orderings: IntArray
    energies: FloatArray
    n_tied: int
    n_left_out: int
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _FirstPass:
    orderings: IntArray  # the lowest, by energy, then by index
    energies: FloatArray
    batch_least: FloatArray  # least energy of each batch: most batches hold nothing of the tie
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tie:
    """What is known of a tie after the second pass."""

    n_members: int
    multiplicity: int  # of all members
    batches: IntArray  # (n, 2) the batches that hold members, and the multiplicity before each
    most_multiple: IntArray  # the most multiple members; equal ones by index


def lowest_orderings(ordering_set: OrderingSet, n: int, progress: Progress = silent) -> Lowest:
    """The n orderings lowest in electrostatic energy, or all where there are fewer.

    Where the last places fall inside a tie (energies within 1e-6 eV/atom of the n-th lowest) that has more members
    than places, members are drawn evenly along their cumulative multiplicity, in the order of their indices: the
    k-th of m marks lies at (k + 1/2)/m of the total. A member so multiple that two marks fall on it takes one
    place; the places left over go to the most multiple of the rest.

    Args:
        ordering_set: its `occupation` may be a memory map.
        n: how many.
        progress: told the orderings whose energy is known.
    Raises:
        InputError, OrderingError: as `electrostatic_energies`.
    Checked by tests/ranking/test_ranking_lowest.py against a sort of all energies.
    """
    energies = OrderingEnergies(ordering_set)
    n_places = min(n, ordering_set.n_orderings)
    first = _first_pass(energies, n_places, progress)
    cut = first.energies[-1]
    is_below = first.energies < cut - TIE_EV_PER_ATOM
    n_drawn = n_places - int(is_below.sum())
    tie = _second_pass(energies, first.batch_least, cut, ordering_set.multiplicity, n_drawn)
    if tie.n_members == n_drawn:
        drawn = np.sort(first.orderings[~is_below])
    else:
        drawn = _draw(energies, tie, cut, ordering_set.multiplicity, n_drawn)
    return Lowest(
        orderings=np.concatenate([first.orderings[is_below], drawn]),
        energies=np.concatenate([first.energies[is_below], energies.of(drawn)]),
        n_tied=tie.n_members,
        n_left_out=tie.n_members - n_drawn,
        spread=first.spread,
    )


def _first_pass(energies: OrderingEnergies, n_places: int, progress: Progress) -> _FirstPass:
    kept, orderings = np.empty(0), np.empty(0, dtype=np.int64)
    least, most = [], -np.inf
    for start, batch in energies.batches(progress):
        least.append(batch.min())
        most = max(most, batch.max())
        enters = np.flatnonzero(batch < kept[-1]) if len(kept) == n_places else np.arange(len(batch))
        if not len(enters):
            continue
        kept, orderings = np.concatenate([kept, batch[enters]]), np.concatenate([orderings, start + enters])
        # Stable, and indices grow: of equal energies the first ordering stands first.
        order = np.argsort(kept, kind="stable")[:n_places]
        kept, orderings = kept[order], orderings[order]
    return _FirstPass(
        orderings=orderings, energies=kept, batch_least=np.array(least), spread=float(most - min(least))
    )


def _members(energies: OrderingEnergies, k: int, cut: float) -> IntArray:
    start, batch = energies.batch(k)
    return start + np.flatnonzero((batch >= cut - TIE_EV_PER_ATOM) & (batch <= cut + TIE_EV_PER_ATOM))


def _second_pass(
    energies: OrderingEnergies, batch_least: FloatArray, cut: float, multiplicity: IntArray, n_drawn: int
) -> _Tie:
    n_members, total, batches = 0, 0, []
    richest, riches = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for k in np.flatnonzero(batch_least <= cut + TIE_EV_PER_ATOM):
        members = _members(energies, int(k), cut)
        if not len(members):
            continue
        counts = np.asarray(multiplicity[members])
        batches.append((k, total))
        n_members += len(members)
        total += int(counts.sum())
        richest, riches = np.concatenate([richest, members]), np.concatenate([riches, counts])
        # The marks take at most n_drawn members, so the best n_drawn of the rest are among these.
        order = np.argsort(-riches, kind="stable")[: 2 * n_drawn]
        richest, riches = richest[order], riches[order]
    return _Tie(
        n_members=n_members,
        multiplicity=total,
        batches=np.array(batches, dtype=np.int64),
        most_multiple=richest,
    )


def _draw(energies: OrderingEnergies, tie: _Tie, cut: float, multiplicity: IntArray, n: int) -> IntArray:
    """n members of the tie, in their order, evenly along the cumulative multiplicity."""
    marks = (np.arange(n) + 0.5) * tie.multiplicity / n
    holder = np.searchsorted(tie.batches[:, 1], marks, side="right") - 1
    found = []
    for k in np.unique(holder):
        batch, before = tie.batches[k]
        members = _members(energies, int(batch), cut)
        upper = before + np.cumsum(multiplicity[members])
        found.append(members[np.searchsorted(upper, marks[holder == k], side="right")])
    chosen = np.unique(np.concatenate(found))
    rest = tie.most_multiple[~np.isin(tie.most_multiple, chosen)]
    return np.sort(np.concatenate([chosen, rest[: n - len(chosen)]]))

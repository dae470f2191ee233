"""Which orderings to relax next: the lowest in electrostatic energy, a control group, more while many are missed.

Everything follows from the ordering set, the settings and the energies relaxed so far: a study can ask again at any
moment, after a kill too, and is told the same.

Round 0 chooses the `relax_best` orderings lowest in electrostatic energy and draws `control` others at random.
While the estimated recall (see `quality.py`) of the best `relax_best` stays below `least_recall`, the next round
chooses twice as many, up to `relax_most` with the control group. Control orderings that are chosen later leave the
control group; drawn without a look at any energy, those that stay are a fair draw from the smaller rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.orderings.types import OrderingSet
from halion.progress import Progress, silent
from halion.ranking.control import control_group
from halion.ranking.electrostatics import OrderingEnergies
from halion.ranking.lowest import lowest_orderings
from halion.ranking.quality import prefilter_quality, recall_at
from halion.ranking.select import candidate, choice_in_words
from halion.ranking.types import PrefilterQuality, Selection
from halion.settings import RankingSettings

__all__ = ["measure_prefilter", "plan_round"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """Who is to be relaxed in one round, those of earlier rounds included."""

    width: int  # lowest orderings asked for
    chosen: IntArray
    control: IntArray
    note: str
    n_tied_left_out: int

    @property
    def members(self) -> list[int]:
        return [*self.chosen.tolist(), *self.control.tolist()]


def plan_round(
    ordering_set: OrderingSet,
    done: Mapping[int, float],
    settings: RankingSettings,
    progress: Progress = silent,
) -> Selection | None:
    """The orderings to relax next, given what is relaxed; None when that is enough.

    Args:
        ordering_set: the distinct orderings; its `occupation` may be a memory map.
        done: ordering -> relaxed energy, eV/atom; infinite or NaN where the relaxation was refused.
        settings: `relax_best`, `control`, `least_recall`, `relax_most` and `seed` are used.
        progress: told the orderings whose electrostatic energy is known.
    Returns:
        those still missing in the present round, lowest electrostatic energy first and the control group last,
        and why they are wanted, in words.
    Raises:
        InputError, OrderingError: as `electrostatic_energies`.
    Checked by tests/ranking/test_ranking_rounds.py against lists of which every energy is known.
    """
    for design in _designs(ordering_set, settings, progress):
        missing = [index for index in design.members if index not in done]
        if missing:
            return _selection(ordering_set, design, missing)
        if _recall(ordering_set, design, done, settings) >= settings.least_recall:
            break
    return None


def measure_prefilter(
    ordering_set: OrderingSet, energies: Mapping[int, tuple[float, float]], settings: RankingSettings
) -> PrefilterQuality:
    """What the choice by electrostatic energy missed, of the last round that was relaxed.

    Args:
        ordering_set: the distinct orderings.
        energies: ordering -> (static, relaxed) energy, eV/atom; the last infinite or NaN where a relaxation was
            refused.
        settings: as `plan_round`.
    Checked by tests/ranking/test_ranking_rounds.py.
    """
    relaxed = {index: pair[1] for index, pair in energies.items()}
    last = None
    for design in _designs(ordering_set, settings, silent):
        if not all(index in energies for index in design.members):
            break
        last = design
        if _recall(ordering_set, design, relaxed, settings) >= settings.least_recall:
            break
    if last is None:
        # Relaxed by some other choice: there is no control group among them.
        last = _Design(
            width=0,
            chosen=np.array(sorted(energies)),
            control=np.empty(0, dtype=np.int64),
            note="",
            n_tied_left_out=0,
        )
    electrostatic = OrderingEnergies(ordering_set)

    def table(orderings: IntArray) -> FloatArray:
        pairs = np.array([energies[index] for index in orderings.tolist()]).reshape(-1, 2)
        pairs[:, 1] = np.where(np.isfinite(pairs[:, 1]), pairs[:, 1], np.inf)
        return np.column_stack([electrostatic.of(orderings), pairs])

    found = prefilter_quality(
        settings.relax_best,
        table(last.chosen),
        table(last.control),
        last.control.tolist(),
        ordering_set.n_orderings,
    )
    return replace(found, note=_widened(last.width, settings) + found.note)


def _designs(ordering_set: OrderingSet, settings: RankingSettings, progress: Progress) -> Iterator[_Design]:
    """Round after round, up to `relax_most`."""
    chosen = np.empty(0, dtype=np.int64)
    for width in _widths(settings, ordering_set.n_orderings):
        lowest = lowest_orderings(ordering_set, width, progress)
        # Who was drawn from a tie in an earlier round stays, though a wider draw might have passed it over.
        chosen = np.concatenate([lowest.orderings, chosen[~np.isin(chosen, lowest.orderings)]])
        if width > settings.relax_best and len(chosen) + settings.control > settings.relax_most:
            return
        yield _Design(
            width=width,
            chosen=chosen,
            control=control_group(ordering_set.n_orderings, chosen, settings.control, settings.seed),
            note=choice_in_words(ordering_set.n_orderings, lowest),
            n_tied_left_out=lowest.n_left_out,
        )


def _widths(settings: RankingSettings, n_orderings: int) -> Iterator[int]:
    width, most = settings.relax_best, settings.relax_most - settings.control
    yield width
    while settings.control and width < min(most, n_orderings):
        width = min(2 * width, most, n_orderings)
        yield width


def _recall(
    ordering_set: OrderingSet, design: _Design, done: Mapping[int, float], settings: RankingSettings
) -> float:
    def energies(orderings: IntArray) -> FloatArray:
        found = np.array([done[index] for index in orderings.tolist()])
        return np.where(np.isfinite(found), found, np.inf)

    n_orderings = ordering_set.n_orderings
    depth = min(settings.relax_best, n_orderings)
    n_rest = n_orderings - len(design.chosen)
    return recall_at(depth, energies(design.chosen), energies(design.control), n_rest)[0]


def _selection(ordering_set: OrderingSet, design: _Design, missing: list[int]) -> Selection:
    control = set(design.control.tolist())
    energies = OrderingEnergies(ordering_set).of(np.array(missing)).tolist()
    n_drawn = len(control.intersection(missing))
    note = design.note
    if n_drawn:
        n_rest = ordering_set.n_orderings - len(design.chosen)
        note += f" {n_drawn} of the {n_rest} others, drawn at random, are relaxed beside them as a control group."
    return Selection(
        candidates=tuple(
            candidate(ordering_set, index, energy, is_control=index in control)
            for index, energy in zip(missing, energies, strict=True)
        ),
        note=note,
        n_tied_left_out=design.n_tied_left_out,
    )


def _widened(width: int, settings: RankingSettings) -> str:
    if width <= settings.relax_best:
        return ""
    note = f"The choice was widened from {settings.relax_best} to {width}, as too many of the best were missed. "
    if width >= settings.relax_most - settings.control:
        note += f"There it ends: ranking.relax_most is {settings.relax_most}. "
    return note

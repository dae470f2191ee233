"""The composition series: one anion replaced by another, step by step, in every parent, as one catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from halion.arrays import FloatArray
from halion.errors import PhysicsRefusal
from halion.potentials import Potential
from halion.progress import Progress, Stop, never, silent
from halion.ranking.arrange import ArrangementSearch, search_arrangements
from halion.ranking.arrangements import Candidates, ListedArrangements, UnlistedArrangements
from halion.ranking.evidence import evidence, weakest
from halion.ranking.framework import Framework, FrameworkEnds, ParentPhase, build_framework, relax_ends
from halion.ranking.relax import relax_batch
from halion.ranking.series_plan import most_listed, plan_series
from halion.ranking.series_types import PlannedComposition, SeriesEntry
from halion.ranking.static import static_energies
from halion.ranking.sublattice import Sublattice
from halion.ranking.substitution import count_substitutions, guest_rows, substitutions
from halion.ranking.types import Relaxation
from halion.settings import RankingSettings, SeriesSettings

__all__ = ["Representatives", "build_entry", "build_series"]

Rows = NDArray[np.uint8]


class Representatives:
    """Distinct arrangements, enumerated once for x and for its mirror: n guests on N sites, and N - n."""

    def __init__(self) -> None:
        self._rows: dict[tuple[bytes, int], Rows] = {}
        self.n_enumerated = 0

    def rows(self, sublattice: Sublattice, n_guests: int, limit: int) -> Rows:
        """(n_distinct, n_sites) one representative of each arrangement."""
        few = min(n_guests, sublattice.n_sites - n_guests)
        key = (sublattice.permutations.tobytes(), few)
        if key not in self._rows:
            charges = dict.fromkeys([*sublattice.atoms.get_chemical_symbols(), *sublattice.elements], 0.0)
            found = substitutions(sublattice, few, limit=limit, charges=charges)
            self._rows[key] = guest_rows(found, sublattice)
            self.n_enumerated += 1
        rows = self._rows[key]
        return rows if few == n_guests else 1 - rows


def build_series(
    parents: Sequence[ParentPhase],
    potential: Potential,
    settings: SeriesSettings,
    ranking: RankingSettings,
    *,
    done: Mapping[str, SeriesEntry] | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> Iterator[SeriesEntry]:
    """The catalogue, entry by entry as they are finished: parent after parent, its ends first.

    Args:
        parents: the phases with their ordered cells, e.g. LYC from Li3YCl6 and LYB from Li3YBr6, relaxed.
        potential: evaluates and relaxes.
        settings: elements, contents, budget.
        ranking: force tolerance and most steps of relaxations.
        done: entries by name that an earlier run finished; they are given again, not made again.
        progress: told the compositions finished, fractions included.
        stop: asked between steps of relaxations.
    Raises:
        InputError, OrderingError: as `plan_series`.
        PhysicsRefusal: an end of a parent, or every arrangement of a composition, was refused.
        Interrupted: `stop` said so; what was given before is whole.

    Checked by tests/ranking/test_ranking_series.py: against relaxing every arrangement, and resumed.
    """
    done = done or {}
    planned = plan_series(parents, settings)
    ends: dict[str, tuple[FrameworkEnds, ...]] = {}
    representatives = Representatives()
    for place, composition in enumerate(planned):
        if composition.name in done:
            yield done[composition.name]
            continue
        if composition.parent not in ends:
            parent = next(each for each in parents if each.name == composition.parent)
            ends[composition.parent] = relax_ends(parent, potential, settings, ranking, stop=stop)

        def tell(
            part: float, of: float, state: str = "", /, *, place: int = place, name: str = composition.name
        ) -> None:
            progress(place + part / of, len(planned), f"{name}: {state}")

        yield build_entry(
            composition,
            ends[composition.parent],
            potential,
            settings,
            ranking,
            representatives,
            progress=tell,
            stop=stop,
        )


def build_entry(
    composition: PlannedComposition,
    ends: Sequence[FrameworkEnds],
    potential: Potential,
    settings: SeriesSettings,
    ranking: RankingSettings,
    representatives: Representatives,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> SeriesEntry:
    """One composition: the lowest arrangement over the cation orderings of its parent.

    Args:
        composition: from `plan_series`.
        ends: from `relax_ends` of its parent.
        potential: evaluates and relaxes.
        settings: budget, lists, seed.
        ranking: force tolerance and most steps.
        representatives: enumerations kept for mirrors; a new one for a composition alone.
        progress: told the arrangements evaluated, of the most there are to be.
        stop: asked between steps of relaxations.
    Raises:
        PhysicsRefusal: every arrangement was refused.
        Interrupted: `stop` said so.
    """
    found: list[_Found] = []
    for each in ends:
        made = build_framework(each, composition.supercell, settings)
        n_before = sum(one.search.n_evaluated for one in found)

        def tell(part: float, of: float, state: str = "", /, *, n_before: int = n_before) -> None:
            progress(min(n_before + part, composition.most_evaluated), composition.most_evaluated, state)

        candidates = _candidates(made.sublattice, composition, settings, representatives)
        energies = _Energies(made, potential, settings, ranking, stop)
        search = search_arrangements(candidates, energies, settings, progress=tell, stop=stop)
        found.append(_Found(each.cations, made, search, energies.relaxed_best(search)))
    return _entry(composition, ends, found)


class _Found:
    """What came of one cation ordering."""

    def __init__(
        self, cations: int, made: Framework, search: ArrangementSearch, relaxed: list[tuple[Rows, Relaxation]]
    ) -> None:
        self.cations, self.framework, self.search, self.relaxed = cations, made, search, relaxed


def _candidates(
    sublattice: Sublattice,
    composition: PlannedComposition,
    settings: SeriesSettings,
    representatives: Representatives,
) -> Candidates:
    count = count_substitutions(sublattice, composition.n_guests)
    most = most_listed(settings)
    if count.distinct > most:
        return UnlistedArrangements(sublattice, composition.n_guests, seed=settings.seed)
    rows = representatives.rows(sublattice, composition.n_guests, most)
    return ListedArrangements(sublattice, rows, count)


class _Energies:
    """Energies of arrangements, relaxed or not; relaxed cells are kept."""

    def __init__(
        self, made: Framework, potential: Potential, settings: SeriesSettings, ranking: RankingSettings, stop: Stop
    ) -> None:
        self.framework, self.potential, self.settings, self.ranking = made, potential, settings, ranking
        self.stop = stop
        self.relaxations: dict[bytes, Relaxation | PhysicsRefusal] = {}

    def __call__(self, rows: Rows) -> FloatArray:
        if self.settings.energies == "static":
            return static_energies(self._starts(rows), self.potential)
        return self._relaxed(rows)

    def _starts(self, rows: Rows) -> list[Atoms]:
        return [self.framework.start(row) for row in rows]

    def _relaxed(self, rows: Rows) -> FloatArray:
        outcomes = relax_batch(self._starts(rows), self.potential, self.ranking, stop=self.stop)
        self.relaxations.update({row.tobytes(): outcome for row, outcome in zip(rows, outcomes)})
        return np.array([one.energy if isinstance(one, Relaxation) else np.nan for one in outcomes])

    def relaxed_best(self, search: ArrangementSearch) -> list[tuple[Rows, Relaxation]]:
        """The lowest arrangements relaxed, lowest first; what was evaluated unrelaxed is relaxed now."""
        rows = search.rows[: self.settings.settle_best]
        missing = [row for row in rows if row.tobytes() not in self.relaxations]
        if missing:
            self._relaxed(np.array(missing))
        pairs = [(row, self.relaxations[row.tobytes()]) for row in rows]
        relaxed = [(row, one) for row, one in pairs if isinstance(one, Relaxation)]
        return sorted(relaxed, key=lambda pair: pair[1].energy)


def _entry(composition: PlannedComposition, ends: Sequence[FrameworkEnds], found: Sequence[_Found]) -> SeriesEntry:
    everyone = sorted(
        ((one.energy, k, place) for k, each in enumerate(found) for place, (_, one) in enumerate(each.relaxed))
    )
    if not everyone:
        raise PhysicsRefusal(
            "none of the lowest arrangements could be relaxed",
            where=composition.name,
            fix="choose another potential, or check the parent's structure",
        )
    energy, k, place = everyone[0]
    chosen = found[k]
    row, relaxation = chosen.relaxed[place]
    searches = [each.search for each in found]
    share = composition.n_guests / composition.n_sites
    between = (1 - share) * min(end.host.energy for end in ends) + share * min(end.guest.energy for end in ends)
    per_unit = composition.n_atoms / composition.formula_units
    entry = SeriesEntry(
        plan=composition,
        counts=tuple(search.count for search in searches),
        cations=chosen.cations,
        start=chosen.framework.start(row),
        relaxation=relaxation,
        n_evaluated=sum(search.n_evaluated for search in searches),
        n_refused=sum(int(np.isnan(search.energies).sum()) for search in searches),
        verdict=weakest(search.verdict for search in searches),
        surrogate=chosen.search.surrogate,
        mixing_energy=(energy - between) * per_unit,
        runner_up=everyone[1][0] - energy if len(everyone) > 1 else float("nan"),
        evidence="",
    )
    return evidence(entry)

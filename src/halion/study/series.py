"""A composition series in a folder: every parent's cations ordered, then every x, resumed entry by entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from halion.crystal import DisorderedCrystal
from halion.orderings import pooled_elements
from halion.potentials import Potential, load_potential
from halion.progress import Stop, never
from halion.ranking import (
    ParentPhase,
    Ranking,
    SeriesEntry,
    build_series,
    parent_phase,
    rank_orderings,
    read_series,
    write_series,
)
from halion.records import from_record, to_record
from halion.settings import OrderingSettings, RankingSettings, SeriesSettings
from halion.study.inputs import ordering_inputs
from halion.study.observe import Observer, unobserved
from halion.study.orderings import make_orderings
from halion.study.run_folder import RunFolder
from halion.study.step import Step

__all__ = ["SeriesResults", "SeriesStudy", "run_series"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStudy:
    """What a series is made of.

    Attributes:
        parents: name -> disordered crystal, e.g. "LYC" -> Li3YCl6.
        orderings: of the parents' cations; without a pool their mobile ions are pooled, as a ground state asks for.
        ranking: of these orderings, and how everything is relaxed.
        series: the elements, the steps, the budget.
        device: where the potential runs.
    """

    parents: Mapping[str, DisorderedCrystal]
    orderings: OrderingSettings
    ranking: RankingSettings
    series: SeriesSettings
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesResults:
    """The parents' rankings and the catalogue."""

    rankings: Mapping[str, Ranking]
    entries: tuple[SeriesEntry, ...]


def run_series(
    study: SeriesStudy, folder: Path | str, *, observe: Observer = unobserved, stop: Stop = never
) -> SeriesResults:
    """Make the catalogue of a composition series, or go on with it.

    `series.csv`, `series.json` and each structure are written as soon as they are found; the same call again keeps
    them and goes on with the next.

    Raises:
        RunFolderError: the folder is in use or holds another series.
        InputError, OrderingError, PhysicsRefusal: as `rank_orderings` and `build_series`.
        Interrupted: `stop` said so; what is finished is kept.
    Checked by tests/study/test_study_series.py.
    """
    folder = Path(folder)
    with RunFolder(folder).locked():
        Step(folder, _inputs(study)).begin()
        potential = load_potential(study.ranking.potential, device=study.device)
        rankings = {name: _ranked(study, name, potential, folder, observe, stop) for name in study.parents}
        parents = [parent_phase(name, found, study.series.cation_orderings) for name, found in rankings.items()]
        return SeriesResults(rankings=rankings, entries=_entries(study, parents, potential, folder, observe, stop))


def _inputs(study: SeriesStudy) -> dict[str, object]:
    return {
        "parents": {name: to_record(replace(crystal, source="")) for name, crystal in study.parents.items()},
        "orderings": ordering_inputs(study.orderings),
        "ranking": study.ranking.model_dump(mode="json"),
        "series": study.series.model_dump(mode="json"),
        "device": study.device,
    }


def _ranked(
    study: SeriesStudy, name: str, potential: Potential, folder: Path, observe: Observer, stop: Stop
) -> Ranking:
    crystal = study.parents[name]
    step = Step(folder / "parents" / name, {"potential": [potential.name, potential.weights_sha256]})
    if not step.is_done:
        pool = study.orderings.pool or pooled_elements(crystal, study.orderings)
        wanted = study.orderings.model_copy(update={"pool": pool})
        found = make_orderings(crystal, wanted, stop=stop)

        def tell(done: float, total: float, state: str = "", /) -> None:
            observe(f"{name}: cations", done, total, state)

        table = rank_orderings(found, potential, study.ranking, progress=tell, stop=stop)
        step.begin().commit(to_record(table))
    return from_record(Ranking, step.value())


def _entries(
    study: SeriesStudy,
    parents: list[ParentPhase],
    potential: Potential,
    folder: Path,
    observe: Observer,
    stop: Stop,
) -> tuple[SeriesEntry, ...]:
    entries: list[SeriesEntry] = []

    def tell(done: float, total: float, state: str = "", /) -> None:
        observe("series", done, total, state)

    known = read_series(folder)
    for entry in build_series(
        parents, potential, study.series, study.ranking, done=known, progress=tell, stop=stop
    ):
        entries.append(entry)
        if entry.plan.name not in known:
            write_series(entries, folder)
    return tuple(entries)

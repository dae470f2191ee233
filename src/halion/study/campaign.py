"""A campaign: the structures of a composition series, which phase is stable, and a study of each that conducts.

Everything is made of parts that resume by themselves: `series/` as `halion series` makes it, one run folder per
member and replica below `studies/` as `halion run` makes it, and `report/`. A campaign that is killed anywhere goes
on there.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from halion.crystal import load_crystal
from halion.errors import Interrupted, PhysicsRefusal
from halion.files import locked_folder, write_json
from halion.progress import Stop, never
from halion.ranking import SeriesEntry
from halion.report.campaign import CampaignResults, write_campaign
from halion.settings import OrderingSettings, StudySettings
from halion.settings_campaign import CampaignSettings
from halion.study.campaign_results import collect_campaign, read_refusal
from halion.study.engine import Engine, EngineMaker, local_engine
from halion.study.observe import Observer, unobserved
from halion.study.run import run_study
from halion.study.series import SeriesStudy, run_series
from halion.study.step import Step

__all__ = ["member_settings", "run_campaign", "studied_entries"]


def run_campaign(
    settings: CampaignSettings,
    folder: Path | str,
    *,
    observe: Observer = unobserved,
    stop: Stop = never,
    engine: EngineMaker = local_engine,
) -> CampaignResults:
    """Run a campaign, or go on with it where it stopped.

    Args:
        settings: the resolved settings.
        folder: of the campaign; created if absent.
        observe: told the progress of each stage of each member.
        stop: asked about twice a second; True stops cleanly.
        engine: what relaxations and dynamics of the studies run on; on one with many workers several studies are
            under way at once.
    Returns:
        the results; the report lies in `folder/report/report.html`, each member's own in its run folder.
    Raises:
        RunFolderError: the folder is in use, or holds another campaign.
        Interrupted: `stop` said so.
        HalionError: what the rooms raise. What physics refuses in one member is told in the report, and the others
            go on.
    Checked by tests/study/test_study_campaign.py: kills, replicas, refusals.
    """
    folder = Path(folder)
    with locked_folder(folder, fix="wait for the other process, or choose another --folder"):
        Step(folder, campaign_identity(settings)).begin()
        write_json(folder / "campaign.json", settings.model_dump(mode="json"))
        found = run_series(_series(settings), folder / "series", observe=observe, stop=stop)
        members = [
            (entry, replica)
            for entry in studied_entries(found.entries, settings)
            for replica in range(settings.replicas)
        ]
        with engine(settings.study.machine, folder) as shared:
            _studies(settings, folder, members, shared, (observe, stop))
        results = collect_campaign(settings, folder)
        write_campaign(results, folder / "report")
    return results


def campaign_identity(settings: CampaignSettings) -> dict[str, object]:
    """What makes a campaign this one: other processes or more replicas do not make it another."""
    plain = settings.model_dump(mode="json", exclude={"replicas"})
    plain["study"]["machine"] = {"device": settings.study.machine.device}
    return plain


def studied_entries(entries: tuple[SeriesEntry, ...], settings: CampaignSettings) -> list[SeriesEntry]:
    """The structures that are set in motion: of the phases that the settings name."""
    by_x: dict[float, list[SeriesEntry]] = {}
    for entry in sorted(entries, key=lambda one: (one.plan.x, one.relaxation.energy)):
        by_x.setdefault(entry.plan.x, []).append(entry)
    wanted = settings.phases
    return [
        entry
        for same in by_x.values()
        for entry in same
        if entry.plan.parent in wanted or ("stable" in wanted and entry is same[0])
    ]


def member_folder(folder: Path, entry: SeriesEntry, replica: int) -> Path:
    """The run folder of one member and replica."""
    name = entry.plan.name if replica == 0 else f"{entry.plan.name}-{replica + 1}"
    return folder / "studies" / name


def member_settings(settings: CampaignSettings, folder: Path, entry: SeriesEntry, replica: int) -> StudySettings:
    """The study of one ordered structure: its cations stand where they relaxed."""
    study = settings.study
    return study.model_copy(
        update={
            "crystal": str(folder / "series" / f"{entry.plan.name}.cif"),
            "orderings": OrderingSettings(supercell=(1, 1, 1), closest_cations_angstrom=0.0),
            "dynamics": study.dynamics.model_copy(update={"seed": study.dynamics.seed + replica}),
        }
    )


def _series(settings: CampaignSettings) -> SeriesStudy:
    study = settings.study
    return SeriesStudy(
        parents={name: load_crystal(source) for name, source in settings.parents.items()},
        orderings=study.orderings,
        ranking=study.ranking,
        series=settings.series,
        device=study.machine.device,
    )


def _studies(
    settings: CampaignSettings,
    folder: Path,
    members: Sequence[tuple[SeriesEntry, int]],
    engine: Engine,
    watched: tuple[Observer, Stop],
) -> None:
    """All of them on one engine: as many at once as keep its workers busy; the first error ends those that wait."""
    observe, stop = watched
    failed = threading.Event()

    def one(member: tuple[SeriesEntry, int]) -> None:
        if failed.is_set():
            return
        try:
            _study(settings, folder, member, engine, (observe, lambda: stop() or failed.is_set()))
        except BaseException:
            failed.set()
            raise

    on_gpu = settings.study.machine.device == "cuda"
    slots, n_jobs = (engine.devices, 1) if on_gpu else (engine.workers, len(settings.study.dynamics.temperatures_k))
    at_once = max(1, min(len(members), math.ceil(slots / n_jobs)))
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(one, member) for member in members]
    errors = [error for future in futures if (error := future.exception())]
    # Those that were only told to stop because of another say nothing about why.
    raise_first = [error for error in errors if not isinstance(error, Interrupted)] or errors
    if raise_first:
        raise raise_first[0]


def _study(
    settings: CampaignSettings,
    folder: Path,
    member: tuple[SeriesEntry, int],
    engine: Engine,
    watched: tuple[Observer, Stop],
) -> None:
    entry, replica = member
    observe, stop = watched
    place = member_folder(folder, entry, replica)
    if read_refusal(place):
        return

    def tell(stage: str, done: float, total: float, state: str = "", /) -> None:
        observe(f"{place.name}: {stage}", done, total, state)

    try:
        run_study(
            member_settings(settings, folder, entry, replica),
            place,
            observe=tell,
            stop=stop,
            engine=lambda machine, folder: nullcontext(engine),
        )
    except PhysicsRefusal as refusal:
        write_json(place / "refusal.json", {"what": refusal.what, "where": refusal.where, "fix": refusal.fix})

"""What a campaign's folders hold, gathered into its results: nothing is computed that is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from halion.errors import InputError
from halion.files import read_json
from halion.ranking import SeriesEntry, read_series
from halion.report import Failure, StudyResults
from halion.report.campaign import CampaignMember, CampaignResults
from halion.settings_campaign import CampaignSettings
from halion.stability import Stability, assess_stability, read_series_energies
from halion.study.run import collect_results
from halion.study.run_folder import RunFolder
from halion.transport import RunTransport, summarise_runs, with_replica_scatter

__all__ = ["collect_campaign", "read_refusal"]


def collect_campaign(settings: CampaignSettings, folder: Path | str) -> CampaignResults:
    """The results that a campaign's folder holds, complete or as far as they got.

    All replicas of an x enter one line; none is chosen.

    Raises:
        TornFile: a damaged record.
    """
    folder = Path(folder)
    entries = sorted(read_series(folder / "series").values(), key=lambda one: (one.plan.x, one.plan.parent))
    lowest = {
        x: min(one.relaxation.energy for one in entries if one.plan.x == x) for x in {e.plan.x for e in entries}
    }
    members, waiting, notes = [], [], list[str]()
    for entry in entries:
        folders = sorted(_folders(folder, entry.plan.name))
        done = [(place, collect_results(RunFolder(place))) for place in folders if _is_ranked(place)]
        refusals = [Failure(step=place.name, message=text) for place in folders if (text := read_refusal(place))]
        if done or refusals:
            members.append(_member(settings, folder, entry, lowest[entry.plan.x], done, refusals))
            notes += [caveat for _, results in done for caveat in results.caveats]
        elif folders:
            waiting.append(entry.plan.name)
    stability, why_not = _stability(settings, folder)
    every = dict.fromkeys([*why_not, *notes])
    ends = [load for load in (stability.ends if stability else ()) if load]
    return CampaignResults(
        title=" to ".join(ends) or " and ".join(settings.parents.values()),
        potential=settings.study.dynamics.potential,
        preset=settings.study.preset,
        members=tuple(members),
        waiting=tuple(waiting),
        stability=stability,
        notes=tuple(every),
        settings=settings.model_dump(mode="json"),
    )


def read_refusal(place: Path) -> str:
    """Why physics refused a whole member; empty where it did not."""
    path = place / "refusal.json"
    return str(read_json(path)["what"]) if path.exists() else ""


def _folders(folder: Path, name: str) -> Iterator[Path]:
    """Run folders of all replicas of a member."""
    for place in (folder / "studies").glob(f"{name}*"):
        ending = place.name.removeprefix(name)
        if place.is_dir() and (not ending or (ending.startswith("-") and ending[1:].isdigit())):
            yield place


def _is_ranked(place: Path) -> bool:
    return (place / "steps" / "4-ranking" / "result.json").exists()


def _member(
    settings: CampaignSettings,
    folder: Path,
    entry: SeriesEntry,
    lowest: float,
    done: Sequence[tuple[Path, StudyResults]],
    refusals: Sequence[Failure],
) -> CampaignMember:
    runs = with_replica_scatter(
        [replace(run, source=f"{place.name}/{run.source}") for place, results in done for run in results.runs]
    )
    transport = settings.study.transport
    charge = done[0][1].crystal.charges[transport.mobile_species] if done else 1.0
    failures = [
        replace(one, step=f"{place.name}, {one.step}") for place, results in done for one in results.failures
    ]
    return CampaignMember(
        name=entry.plan.name,
        phase=entry.plan.parent,
        x=entry.plan.x,
        n_atoms=len(done[0][1].equilibrations[0].atoms)
        if done and done[0][1].equilibrations
        else entry.plan.n_atoms,
        above=entry.relaxation.energy - lowest,
        volume_per_atom=entry.relaxation.volume_per_atom,
        evidence=entry.evidence,
        studies=tuple(str(place.relative_to(folder)) for place, _ in done),
        runs=runs,
        summary=summarise_runs(runs, transport, charge=charge) if runs else None,
        mean_volumes=_mean_volumes(runs, entry),
        failures=(*failures, *refusals),
        caveats=tuple(dict.fromkeys(caveat for _, results in done for caveat in results.caveats)),
    )


def _mean_volumes(runs: Sequence[RunTransport], entry: SeriesEntry) -> dict[float, float]:
    """Of the productions at each temperature, per atom: mobile ions tell how many cells a run has."""
    atoms = entry.relaxation.atoms
    found: dict[float, list[float]] = {}
    for run in runs:
        share = list(atoms.symbols).count(run.species) / len(atoms)
        found.setdefault(run.target_temperature_k, []).append(run.volume * share / run.n_ions)
    return {kelvin: float(np.mean(values)) for kelvin, values in sorted(found.items())}


def _stability(settings: CampaignSettings, folder: Path) -> tuple[Stability | None, list[str]]:
    mobile = (settings.study.transport.mobile_species,)
    try:
        series, _ = read_series_energies([folder / "series"], elements=settings.series.elements, mobile=mobile)
        return assess_stability(series), []
    except InputError as error:
        return None, [f"Stability was not assessed: {error.what}."]

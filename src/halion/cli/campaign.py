"""A composition series through `halion run` and `halion plan`: a study file with parents, or LYCB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from halion.cli.study_options import StudyOverrides, default_folder, with_best_potential
from halion.cli.terminal import Shown, Watcher, duration, say, stop_on_signal
from halion.errors import EXIT_DONE, EXIT_PHYSICS

if TYPE_CHECKING:
    from halion.settings_campaign import CampaignSettings
    from halion.study import CampaignPlan

__all__ = ["is_campaign_source", "plan_shown", "run_shown"]

_SETTINGS = "campaign.json"  # of a campaign's folder


def is_campaign_source(source: str) -> bool:
    """Whether what is asked for is a series: a name that stands for one, a study file with parents, its folder."""
    from halion.settings_campaign import CAMPAIGNS, is_campaign
    from halion.study_file import read_values

    path = Path(source)
    if path.is_dir():
        return (path / _SETTINGS).is_file()
    if path.suffix.lower() in (".yaml", ".yml"):
        return path.is_file() and is_campaign(read_values(path))
    return source in CAMPAIGNS


def _settings(source: str, overrides: StudyOverrides) -> CampaignSettings:
    from halion.files import read_json
    from halion.settings_campaign import CAMPAIGNS, STUDY_PRESETS, resolve_campaign
    from halion.study_file import merged_values, read_values

    path, given = Path(source), overrides.values()
    if path.is_dir():
        record = read_json(path / _SETTINGS)
        study = {key: value for key, value in record.pop("study").items() if key != "crystal"}
        return resolve_campaign(merged_values(record | study, given), where=str(path / _SETTINGS))
    if source in CAMPAIGNS:
        found = resolve_campaign(merged_values(CAMPAIGNS[source], given))
        said = merged_values(STUDY_PRESETS.get(found.study.preset, {}), given)
        return found.model_copy(update={"study": with_best_potential(found.study, said)})
    return resolve_campaign(merged_values(read_values(path), given), where=source)


def run_shown(
    source: str, overrides: StudyOverrides, folder: Path | None, *, site: Path | None = None, as_json: bool
) -> Shown:
    """Run the series, or go on with it."""
    settings = _settings(source, overrides)
    folder = folder or default_folder(source)

    from halion.report.campaign import campaign_text
    from halion.study import engine_of_site, run_campaign

    engine = engine_of_site(site)
    with Watcher() as watcher, stop_on_signal() as stop:
        results = run_campaign(settings, folder, observe=watcher, stop=stop, engine=engine)
    page = folder / "report" / "report.html"
    answered = any(member.summary and member.summary.conductivity for member in results.members)
    record: dict[str, Any] = {
        "title": results.title,
        "folder": str(folder),
        "report": str(page),
        "members": [member.name for member in results.members],
        "record": str(folder / "report" / "campaign.json"),
    }
    return Shown(
        record=record,
        text=[campaign_text(results), f"report: {page}"],
        as_json=as_json,
        exit_code=EXIT_DONE if answered else EXIT_PHYSICS,
    )


def plan_shown(source: str, overrides: StudyOverrides, folder: Path | None, *, as_json: bool) -> Shown:
    """Say what the series would cost."""
    settings = _settings(source, overrides)
    say("counting orderings, timing the potential ...")
    from halion.records import to_record
    from halion.study import plan_campaign

    plan = plan_campaign(settings, folder or default_folder(source))
    return Shown(record=to_record(plan), text=_text(plan, settings), as_json=as_json)


def _text(plan: CampaignPlan, settings: CampaignSettings) -> list[str]:
    steps = ", ".join(f"{x:g}" for x in settings.series.steps)
    low, high = plan.series_hours
    parents = [
        f"{name:11} {one.title}, {one.n_atoms} atoms, {one.count.distinct:,} distinct orderings, "
        f"{1000 * one.seconds_per_step:.1f} ms per step, measured here"
        for name, one in plan.parents.items()
    ]
    which = f"{', '.join(settings.phases)} at each x"
    temperatures = ", ".join(f"{kelvin:g}" for kelvin in settings.study.dynamics.temperatures_k)
    return [
        *parents,
        f"series      x = {steps}: {plan.n_compositions} structures, at most {plan.n_evaluated:,} relaxations",
        f"studies     {plan.n_studies}: {which}, {settings.replicas} replica(s), {temperatures} K, "
        f"{settings.study.dynamics.production_ps:g} ps each",
        f"relaxation  {duration(low)} to {duration(high)}   (assumed: 60 to 400 steps each)",
        f"dynamics    {duration(plan.dynamics_hours)}   (measured speed times steps; no GPU was measured)",
        f"disk        {1024 * plan.disk_gib:,.0f} MiB of {plan.disk_free_gib:,.1f} GiB free",
    ]

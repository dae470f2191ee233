"""What a campaign would cost on this machine, before it does anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from halion.settings_campaign import CampaignSettings
from halion.study.plan import StudyPlan, plan_study

__all__ = ["CampaignPlan", "plan_campaign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """The cost of a campaign.

    Attributes:
        parents: name -> the plan of a study of that parent, from which the costs below are scaled.
        n_compositions: structures of the series, all parents together.
        n_evaluated: arrangements relaxed for them at most.
        n_studies: studies of members, replicas included; at most, where the stable phase may be one that is named.
        series_hours: (low, high): cations of the parents and arrangements, from the assumed range of FIRE steps.
        dynamics_hours: of all studies; for the stable phase the dearest parent counts.
        disk_gib: trajectories, before compression.
        disk_free_gib: free where the campaign would be.
    """

    parents: dict[str, StudyPlan]
    n_compositions: int
    n_evaluated: int
    n_studies: int
    series_hours: tuple[float, float]
    dynamics_hours: float
    disk_gib: float
    disk_free_gib: float


def plan_campaign(settings: CampaignSettings, folder: Path | str = ".") -> CampaignPlan:
    """Count, measure each parent, and add up; nothing is written.

    One process relaxes the series, so its hours are those of the parents' relaxations on one worker, scaled to its
    number of arrangements; the larger cells that some x need are not known yet.

    Raises:
        HalionError: what a run would meet at once.
    Checked by tests/study/test_study_campaign.py against the sum by hand.
    """
    parents = {
        name: plan_study(settings.study.model_copy(update={"crystal": source}), folder)
        for name, source in settings.parents.items()
    }
    plans = list(parents.values())
    n_x, each = len(settings.series.steps), settings.series.evaluate_at_most * settings.series.cation_orderings
    low, high = (sum(_one_by_one(plan, end) * (plan.n_relaxed + n_x * each) for plan in plans) for end in (0, 1))
    named = [plan for name, plan in parents.items() if name in settings.phases]
    if "stable" in settings.phases and len(named) < len(plans):  # not known which: the dearest of the others
        named.append(max((p for p in plans if p not in named), key=lambda plan: plan.dynamics_hours))
    times = n_x * settings.replicas
    return CampaignPlan(
        parents=parents,
        n_compositions=n_x * len(plans),
        n_evaluated=n_x * len(plans) * each,
        n_studies=times * len(named),
        series_hours=(low, high),
        dynamics_hours=sum(plan.dynamics_hours for plan in named) * times,
        disk_gib=sum(plan.disk_gib for plan in named) * times,
        disk_free_gib=plans[0].disk_free_gib,
    )


def _one_by_one(plan: StudyPlan, end: int) -> float:
    """Hours of one relaxation on one worker."""
    return plan.relaxation_hours[end] * plan.workers / max(plan.n_relaxed, 1)

"""The corridor: plan a study, run it, resume it, report it.

Names are loaded on first use: `halion status` reads one file and must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from halion.study.campaign import run_campaign
    from halion.study.campaign_plan import CampaignPlan, plan_campaign
    from halion.study.cluster import cluster_engine
    from halion.study.cluster_labels import ClusterLabeller
    from halion.study.compare import read_studies
    from halion.study.engine import engine_of_site
    from halion.study.loop import run_loop
    from halion.study.loop_types import LoopRound, LoopStudy
    from halion.study.order_comparison import OrderComparison, compare_orders
    from halion.study.orderings import make_orderings, shard_path
    from halion.study.plan import StudyPlan, plan_study
    from halion.study.rank_check import CheckChoices, CheckedOrdering, RankingCheck, check_ranking
    from halion.study.rank_check_files import check_figure, check_table, write_check
    from halion.study.reproduction_inputs import read_reproduction_inputs
    from halion.study.run import collect_results, report_study, run_study
    from halion.study.run_folder import RunFolder, study_status
    from halion.study.series import SeriesResults, SeriesStudy, run_series
    from halion.study.status import Part, WorkStatus, current_answer, work_status

__all__ = [
    "CampaignPlan",
    "CheckChoices",
    "CheckedOrdering",
    "ClusterLabeller",
    "LoopRound",
    "LoopStudy",
    "OrderComparison",
    "Part",
    "RankingCheck",
    "RunFolder",
    "SeriesResults",
    "SeriesStudy",
    "StudyPlan",
    "WorkStatus",
    "check_figure",
    "check_ranking",
    "check_table",
    "cluster_engine",
    "collect_results",
    "compare_orders",
    "current_answer",
    "engine_of_site",
    "make_orderings",
    "plan_campaign",
    "plan_study",
    "read_reproduction_inputs",
    "read_studies",
    "report_study",
    "run_campaign",
    "run_loop",
    "run_series",
    "run_study",
    "shard_path",
    "study_status",
    "work_status",
    "write_check",
]

_HOMES = {
    "CampaignPlan": "campaign_plan",
    "CheckChoices": "rank_check",
    "CheckedOrdering": "rank_check",
    "ClusterLabeller": "cluster_labels",
    "LoopRound": "loop_types",
    "LoopStudy": "loop_types",
    "OrderComparison": "order_comparison",
    "Part": "status",
    "RankingCheck": "rank_check",
    "RunFolder": "run_folder",
    "SeriesResults": "series",
    "SeriesStudy": "series",
    "StudyPlan": "plan",
    "WorkStatus": "status",
    "check_figure": "rank_check_files",
    "check_ranking": "rank_check",
    "check_table": "rank_check_files",
    "cluster_engine": "cluster",
    "collect_results": "run",
    "compare_orders": "order_comparison",
    "current_answer": "status",
    "engine_of_site": "engine",
    "make_orderings": "orderings",
    "plan_campaign": "campaign_plan",
    "plan_study": "plan",
    "read_reproduction_inputs": "reproduction_inputs",
    "read_studies": "compare",
    "report_study": "run",
    "run_campaign": "campaign",
    "run_loop": "loop",
    "run_series": "series",
    "run_study": "run",
    "shard_path": "orderings",
    "study_status": "run_folder",
    "work_status": "status",
    "write_check": "rank_check_files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'halion.study' has no attribute '{name}'")
    return getattr(import_module(f"halion.study.{_HOMES[name]}"), name)

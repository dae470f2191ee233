"""The corridor: plan a study, run it, resume it, report it.

Names are loaded on first use: `halion status` reads one file and must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from halion.study.loop import run_loop
    from halion.study.loop_types import LoopRound, LoopStudy
    from halion.study.orderings import make_orderings, shard_path
    from halion.study.plan import StudyPlan, plan_study
    from halion.study.run import collect_results, report_study, run_study
    from halion.study.run_folder import RunFolder, study_status
    from halion.study.series import SeriesResults, SeriesStudy, run_series

__all__ = [
    "LoopRound",
    "LoopStudy",
    "RunFolder",
    "SeriesResults",
    "SeriesStudy",
    "StudyPlan",
    "collect_results",
    "make_orderings",
    "plan_study",
    "report_study",
    "run_loop",
    "run_series",
    "run_study",
    "shard_path",
    "study_status",
]

_HOMES = {
    "LoopRound": "loop_types",
    "LoopStudy": "loop_types",
    "RunFolder": "run_folder",
    "SeriesResults": "series",
    "SeriesStudy": "series",
    "StudyPlan": "plan",
    "collect_results": "run",
    "make_orderings": "orderings",
    "plan_study": "plan",
    "report_study": "run",
    "run_loop": "loop",
    "run_series": "series",
    "run_study": "run",
    "shard_path": "orderings",
    "study_status": "run_folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'halion.study' has no attribute '{name}'")
    return getattr(import_module(f"halion.study.{_HOMES[name]}"), name)

"""The corridor: plan a study, run it, resume it, report it."""

from halion.study.observe import Observer, StatusBoard
from halion.study.plan import StudyPlan, plan_study
from halion.study.run import collect_results, report_study, run_study, study_status
from halion.study.run_folder import RunFolder

__all__ = [
    "Observer",
    "RunFolder",
    "StatusBoard",
    "StudyPlan",
    "collect_results",
    "plan_study",
    "report_study",
    "run_study",
    "study_status",
]

"""From the results of a study to one offline page, figures and tables."""

from halion.report.answer import Answer, answer_of, report_text
from halion.report.citations import Citation, bibtex, citations_for
from halion.report.comparison import ComparedStudy, comparison_text, write_comparison
from halion.report.figure import Figure
from halion.report.figures import figures_of
from halion.report.potential_errors import MeasuredErrors, error_rows, write_errors
from halion.report.types import Failure, StudyResults
from halion.report.write import write_report

__all__ = [
    "Answer",
    "Citation",
    "ComparedStudy",
    "Failure",
    "Figure",
    "MeasuredErrors",
    "StudyResults",
    "answer_of",
    "bibtex",
    "citations_for",
    "comparison_text",
    "error_rows",
    "figures_of",
    "report_text",
    "write_comparison",
    "write_errors",
    "write_report",
]

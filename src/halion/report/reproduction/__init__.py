"""The study's tables and figures made again: its numbers, those computed here, and why they differ."""

from halion.report.reproduction.compare import compare_study
from halion.report.reproduction.inputs import (
    Benchmark,
    ComputedRun,
    ComputedSeries,
    Evaluation,
    Model,
    Origin,
    ReproductionInputs,
    SeriesPoint,
    VolumePoint,
)
from halion.report.reproduction.published import Published, published_study
from halion.report.reproduction.types import Cause, Computed, Exhibit, Line, Reproduction
from halion.report.reproduction.write import write_reproduction

__all__ = [
    "Benchmark",
    "Cause",
    "Computed",
    "ComputedRun",
    "ComputedSeries",
    "Evaluation",
    "Exhibit",
    "Line",
    "Model",
    "Origin",
    "Published",
    "Reproduction",
    "ReproductionInputs",
    "SeriesPoint",
    "VolumePoint",
    "compare_study",
    "published_study",
    "write_reproduction",
]

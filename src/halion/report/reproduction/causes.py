"""What was done otherwise than in the study, read from the provenance of each input: the causes of differences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from halion.report.reproduction.inputs import (
    Benchmark,
    ComputedRun,
    ComputedSeries,
    Evaluation,
    Model,
    ReproductionInputs,
)
from halion.report.reproduction.published import Protocol, Published
from halion.report.reproduction.types import Cause

__all__ = ["causes_of"]

_NOT_RECORDED = "not recorded"


def causes_of(study: Published, inputs: ReproductionInputs) -> dict[str, tuple[Cause, ...]]:
    """Name of each origin -> what was done otherwise there; what was done alike is left out.

    Checked by tests/report/test_reproduction_causes.py: a run that follows the protocol has no cause of length.
    """
    found: dict[str, dict[Cause, None]] = {origin.name: {} for origin in inputs.origins}
    for run in inputs.runs:
        found[run.origin.name] |= dict.fromkeys(_of_run(run, study.protocol))
    for series in inputs.series:
        found[series.origin.name] |= dict.fromkeys(_of_series(series, study.protocol))
    for evaluation in inputs.evaluations:
        found[evaluation.origin.name] |= dict.fromkeys(_of_evaluation(evaluation, study.protocol))
    for benchmark in inputs.benchmarks:
        found[benchmark.origin.name] |= dict.fromkeys(_of_benchmark(benchmark))
    return {name: tuple(causes) for name, causes in found.items()}


def _of_model(model: Model, protocol: Protocol) -> Iterator[Cause]:
    if model.dispersion:
        yield Cause(name="functional", here=f"{protocol.functional} + D3(BJ)", there=protocol.functional)
    if model.kind == "other":
        yield Cause(name="potential", here=model.name, there="CHGNet 0.3.0, pretrained and fine-tuned")
    if model.kind != "fine-tuned":
        return
    theirs = f"{protocol.functional} by {protocol.code}, {protocol.static_cutoff_ev:g} eV"
    if model.labels != theirs:
        yield Cause(name="labels of the potential", here=model.labels or _NOT_RECORDED, there=theirs)
    if model.trained_to_k != protocol.trained_to_k:
        here = _NOT_RECORDED if math.isnan(model.trained_to_k) else f"frames up to {model.trained_to_k:g} K"
        yield Cause(
            name="training", here=f"{here} ({model.name})", there=f"frames up to {protocol.trained_to_k:g} K"
        )


def _of_run(run: ComputedRun, protocol: Protocol) -> Iterator[Cause]:
    yield from _of_model(run.model, protocol)
    for name, here, there, unit in (
        ("run length", run.production_ps, protocol.production_ps, "ps"),
        ("equilibration of the cell", run.npt_ps, protocol.npt_ps, "ps"),
        ("time step", run.timestep_fs, protocol.timestep_fs, "fs"),
    ):
        if math.isfinite(here) and here != there:
            yield Cause(name=name, here=f"{here:g} {unit}", there=f"{there:g} {unit}")
    coldest, hottest = protocol.temperatures_k
    own = run.temperatures_k
    if own and (min(own), max(own)) != (coldest, hottest):
        here = f"{len(own)} from {min(own):g} to {max(own):g} K"
        yield Cause(name="temperatures", here=here, there=f"{coldest:g} to {hottest:g} K")
    there = f"{protocol.supercells}; their size is not at hand"
    yield Cause(name="cell", here=f"{run.n_atoms} atoms", there=there)
    theirs = f"best by DFT of the {protocol.kept_for_dft} best by {protocol.ranked_by}"
    yield Cause(name="ordering", here=run.ordering, there=theirs)
    if math.isfinite(run.pressure_gpa) and not _is_a_study_pressure(run.pressure_gpa):
        yield Cause(name="pressure", here=f"{10 * run.pressure_gpa:g} kbar", there="1 bar and 10 kbar")
    if run.origin.state:
        yield Cause(name="unfinished", here=run.origin.state, there="finished")
    for failure in run.failures:
        yield Cause(name="refused", here=f"{failure.step}: {failure.message}", there="not said")


def _is_a_study_pressure(pressure_gpa: float) -> bool:
    return pressure_gpa < 0.01 or abs(pressure_gpa - 1.0) < 1e-6


def _of_series(series: ComputedSeries, protocol: Protocol) -> Iterator[Cause]:
    yield from _of_model(series.model, protocol)
    yield Cause(
        name="energies",
        here=f"of {series.model.name} throughout",
        there=f"{protocol.functional} by {protocol.code} on the best cells, {protocol.relaxation_cutoff_ev:g} eV",
    )
    fewest, most = series.n_atoms
    if most:
        size = f"{fewest} to {most} atoms" if fewest < most else f"{most} atoms"
        yield Cause(name="cell", here=size, there=f"{protocol.supercells}; their size is not at hand")
    fewest, most = series.n_evaluated
    if most:
        yield Cause(
            name="ordering",
            here=f"{fewest} to {most} arrangements evaluated at one x",
            there=f"{protocol.kept_for_dft} best by {protocol.ranked_by} kept for DFT",
        )
    n_theirs = round(6 / protocol.substitution_step_x) + 1
    if len(series.points) < n_theirs:
        yield Cause(name="compositions", here=f"{len(series.points)}", there=f"{n_theirs}")


def _of_evaluation(evaluation: Evaluation, protocol: Protocol) -> Iterator[Cause]:
    yield from _of_model(evaluation.model, protocol)
    coldest, hottest = protocol.test_temperatures_k
    n_temperatures = round((hottest - coldest) / 50) + 1
    yield Cause(
        name=f"size of {evaluation.set_name}",
        here=f"{evaluation.errors.n_frames} frames",
        there=f"{protocol.test_structures_per_temperature} at each of {n_temperatures} temperatures",
    )
    if evaluation.model.kind == "pretrained":
        yield Cause(
            name="zero of energy",
            here="labels and pretrained potential come from different codes: compare what is left when a constant "
            "per composition is taken away",
            there=f"labels of {protocol.code}",
        )


def _of_benchmark(benchmark: Benchmark) -> Iterator[Cause]:
    yield Cause(name="device", here=benchmark.origin.machine or _NOT_RECORDED, there="a GPU")

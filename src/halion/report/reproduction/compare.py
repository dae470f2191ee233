"""The comparison: a pure function from what was given to the study's tables and figures, line by line."""

from __future__ import annotations

import math
from dataclasses import replace

from halion.report.reproduction.causes import causes_of
from halion.report.reproduction.inputs import ComputedRun, ReproductionInputs
from halion.report.reproduction.lines_cost import cost_lines
from halion.report.reproduction.lines_errors import error_lines
from halion.report.reproduction.lines_series import difference_lines, volume_lines
from halion.report.reproduction.lines_tables import table_lines
from halion.report.reproduction.lines_transport import pathway_lines, transport_lines
from halion.report.reproduction.published import PHASES, Published, published_study
from halion.report.reproduction.types import Exhibit, Reproduction

__all__ = ["compare_study"]


def compare_study(inputs: ReproductionInputs, study: Published | None = None) -> Reproduction:
    """Each number of the study beside those computed here, with a state and the causes of differences.

    Args:
        inputs: what was computed; several answers to one number are all kept.
        study: what the study gives; None: as the package has it.

    Checked by tests/report/test_reproduction_compare.py: differences recomputed plainly, every line has a state.
    """
    study = study or published_study()
    given, inputs = inputs, replace(inputs, runs=tuple(run for run in inputs.runs if not _other_phase(run)))
    lines = {
        "table-1": table_lines(study, inputs, "Li3YCl6"),
        "table-2": table_lines(study, inputs, "Li3YBr6"),
        "table-3": difference_lines(study, inputs),
        "figure-1": cost_lines(study, inputs),
        "figure-2": error_lines(study, inputs),
        "figure-4": pathway_lines(study, inputs),
        "figure-5": transport_lines(study, inputs),
        "figure-s4": volume_lines(study, inputs),
    }
    return Reproduction(
        exhibits=tuple(
            Exhibit(key=one.key, name=one.name, title=one.title, lines=tuple(lines[one.key]))
            for one in study.exhibits
        ),
        causes=causes_of(study, given),
        notes=_notes(given),
    )


def _other_phase(run: ComputedRun) -> str:
    """The phase of the study's end member, where a run of it is in the other one; empty otherwise."""
    theirs = PHASES.get(run.material)
    is_other = theirs is not None and run.space_group in set(PHASES.values()) - {theirs}
    return theirs if is_other else ""


def _notes(inputs: ReproductionInputs) -> tuple[str, ...]:
    notes = [
        f"{one.name} is unfinished ({one.state}): used as far as it goes." for one in inputs.origins if one.state
    ]
    mixed = [
        f"{run.origin.name} relaxed its cell with {names[0]} and moved it with {run.model.name}: each number "
        "stands under its own potential."
        for run in inputs.runs
        if (names := sorted({point.model.name for point in run.volumes} - {run.model.name}))
    ]
    fine_tuned = sorted(
        {one.model.name for one in (*inputs.runs, *inputs.series) if one.model.kind == "fine-tuned"}
    )
    if len(fine_tuned) > 1:
        mixed.append(
            f"Fine-tuned potentials of different training answer to the same lines: {', '.join(fine_tuned)}. "
            "Each number names its own."
        )
    notes += [
        f"{run.origin.name} is {run.material} in {run.space_group}, the study's is in {theirs}: on no line."
        for run in inputs.runs
        if (theirs := _other_phase(run))
    ]
    other = sorted({run.material for run in inputs.runs if math.isnan(run.x)})
    if other:
        notes.append(f"Not of the study, and on no line: {', '.join(other)}.")
    return tuple(notes + mixed)

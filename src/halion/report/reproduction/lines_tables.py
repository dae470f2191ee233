"""Tables 1 and 2: volume, activation energy and conductivity of the end members."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from halion.report.reproduction.inputs import ComputedRun, ReproductionInputs, VolumePoint, condition_of
from halion.report.reproduction.published import BY_STUDY, Published
from halion.report.reproduction.types import Computed, Line
from halion.report.study_rows import StudyRow

__all__ = [
    "conductivity_of",
    "energy_of",
    "is_models_own",
    "row_condition",
    "study_model_rows",
    "table_lines",
    "why_no_run",
    "why_no_transport",
]

STUDY_TEMPERATURES_K = (0.0, 200.0, 300.0, 400.0, 600.0)
# A mean temperature lies this near to its target; the report takes the same for "at 300 K".
_SAME_K = 5.0
NO_ROW = "the study has no such row"


def row_condition(row: StudyRow) -> str:
    """Model and pressure of a row, as `ComputedRun.condition` has them."""
    pressure = "1 bar" if row.pressure_gpa < 0.01 else f"{10 * row.pressure_gpa:g} kbar"
    return f"{row.name.partition(' to ')[0]}, {pressure}"


def is_models_own(row: StudyRow) -> bool:
    """Whether a row is of a potential that the study ran; AIMD and experiments are others'."""
    return row.kind == "model" and not math.isnan(row.pressure_gpa)


def study_model_rows(study: Published, material: str) -> dict[str, StudyRow]:
    """Condition -> row of the potentials that the study ran."""
    return {row_condition(row): row for row in study.rows.get(material, ()) if is_models_own(row)}


def table_lines(study: Published, inputs: ReproductionInputs, material: str) -> list[Line]:
    """Volumes, activation energy and conductivity under each condition of the study, then those of others.

    Conditions that were computed here alone come after the study's.
    """
    runs = [run for run in inputs.runs if run.material == material]
    rows = study_model_rows(study, material)
    lines: list[Line] = []
    for condition in dict.fromkeys([*rows, *_conditions(runs)]):
        row = rows.get(condition)
        lines += _volumes(runs, material, condition, row)
        lines += _volumes_between(runs, condition, row)
        lines += _transport(runs, material, condition, row)
    return lines + [line for row in study.rows.get(material, ()) if not is_models_own(row) for line in _others(row)]


def _conditions(runs: Sequence[ComputedRun]) -> list[str]:
    """Of all volumes and dynamics computed, in a fixed order."""
    found = {condition_of(point.model, point.pressure_gpa) for run in runs for point in run.volumes}
    return sorted(found | {run.condition for run in runs if run.runs})


def _volumes(runs: list[ComputedRun], material: str, condition: str, row: StudyRow | None) -> Iterator[Line]:
    published = dict(row.volume) if row else {}
    for kelvin in STUDY_TEMPERATURES_K:
        computed = tuple(_volumes_of(runs, condition, kelvin))
        if kelvin not in published and not computed:
            continue
        yield Line(
            quantity=f"volume at {kelvin:g} K",
            condition=condition,
            unit="Å³/atom",
            published=published.get(kelvin, math.nan),
            source=BY_STUDY if kelvin in published else _no_number(row),
            computed=computed,
            why="" if computed else _why_no_volume(runs, material, condition, kelvin),
        )


def _volumes_between(runs: list[ComputedRun], condition: str, row: StudyRow | None) -> Iterator[Line]:
    """Volumes at temperatures of ours, beside the straight line between the study's."""
    own = {point.temperature_k for run in runs for point in run.volumes if _is_under(point, condition)}
    known = np.array(row.volume if row else (), float).reshape(-1, 2)
    for kelvin in sorted(k for k in own if all(abs(k - each) > _SAME_K for each in STUDY_TEMPERATURES_K)):
        is_between = len(known) > 1 and known[0, 0] <= kelvin <= known[-1, 0]
        span = f"{known[0, 0]:g} and {known[-1, 0]:g} K" if len(known) else ""
        yield Line(
            quantity=f"volume at {kelvin:g} K",
            condition=condition,
            unit="Å³/atom",
            published=float(np.interp(kelvin, *known.T)) if is_between else math.nan,
            source=f"published: straight lines between the values of {BY_STUDY}"
            if is_between
            else (f"the study gives values between {span}" if row else NO_ROW),
            computed=tuple(_volumes_of(runs, condition, kelvin)),
        )


def _is_under(point: VolumePoint, condition: str) -> bool:
    return condition_of(point.model, point.pressure_gpa) == condition


def _no_number(row: StudyRow | None) -> str:
    return NO_ROW if row is None else "the study gives none"


def _volumes_of(runs: Sequence[ComputedRun], condition: str, kelvin: float) -> Iterator[Computed]:
    for run in runs:
        for point in run.volumes:
            if not _is_under(point, condition) or abs(point.temperature_k - kelvin) > _SAME_K:
                continue
            words = f"relaxed, {run.ordering}" if kelvin == 0 else f"{run.npt_ps:g} ps of NPT"
            if any(one.verdict == "melted" and one.target_temperature_k == point.temperature_k for one in run.runs):
                words += ", then it melted"
            yield Computed(
                value=point.volume,
                low=point.volume - point.std,
                high=point.volume + point.std,
                run=run.origin.name,
                model=point.model.name,
                words=f"{words}, {run.n_atoms} atoms",
            )


def _transport(runs: list[ComputedRun], material: str, condition: str, row: StudyRow | None) -> Iterator[Line]:
    there = [run for run in runs if run.condition == condition]
    energies = tuple(one for run in there for one in energy_of(run))
    values = tuple(one for run in there for one in conductivity_of(run))
    for quantity, unit, published, computed, is_ratio in (
        ("activation energy", "eV", row.activation_energy_ev if row else math.nan, energies, False),
        ("conductivity at 300 K", "mS/cm", row.conductivity_ms_per_cm if row else math.nan, values, True),
    ):
        if not computed and math.isnan(published):
            continue
        yield Line(
            quantity=quantity,
            condition=condition,
            unit=unit,
            published=published,
            source=_no_number(row) if math.isnan(published) else BY_STUDY,
            computed=computed,
            why="" if computed else why_no_transport(runs, material, condition),
            is_ratio=is_ratio,
        )


def energy_of(run: ComputedRun) -> Iterator[Computed]:
    """The activation energy of a run, if a line was fitted."""
    fit = run.arrhenius
    if fit is None:
        return
    n_bounds = 0 if fit.bounded_k is None else np.size(fit.bounded_k)
    cell = ", ".join(text for text in (f"{run.n_atoms} atoms", run.space_group) if text)
    words = f"{cell}: {len(fit.temperatures_k)} runs of {run.production_ps:g} ps, {_kelvins(fit.temperatures_k)}"
    yield Computed(
        value=fit.activation_energy,
        low=fit.activation_energy - fit.activation_energy_std,
        high=fit.activation_energy + fit.activation_energy_std,
        run=run.origin.name,
        model=run.model.name,
        words=words + (f", and {n_bounds} as upper bound(s)" if n_bounds else ""),
    )


def conductivity_of(run: ComputedRun) -> Iterator[Computed]:
    """The conductivity of a run near 300 K, value or bound, with its verdict."""
    found = run.conductivity
    if found is None or abs(found.temperature_k - 300.0) > _SAME_K:
        return
    if not (math.isfinite(found.conductivity_ms_per_cm) or math.isfinite(found.upper_bound_ms_per_cm)):
        return
    yield Computed(
        value=found.conductivity_ms_per_cm,
        low=found.low_ms_per_cm,
        high=found.high_ms_per_cm,
        upper_bound=found.upper_bound_ms_per_cm,
        run=run.origin.name,
        model=run.model.name,
        words=str(found.verdict),
    )


def _others(row: StudyRow) -> Iterator[Line]:
    """Volumes, energy and conductivity of a row that is not for halion to compute."""
    by = {"unit": "Å³/atom", "condition": row.name, "source": f"{row.name}, as quoted in the study"}
    for kelvin, volume in row.volume:
        yield Line(quantity=f"volume at {kelvin:g} K", published=volume, **by)
    if not math.isnan(row.activation_energy_ev):
        yield Line(quantity="activation energy", published=row.activation_energy_ev, **by | {"unit": "eV"})
    if not math.isnan(row.conductivity_ms_per_cm):
        named = by | {"unit": "mS/cm"}
        yield Line(quantity="conductivity at 300 K", published=row.conductivity_ms_per_cm, is_ratio=True, **named)


def why_no_run(runs: Sequence[ComputedRun], of_what: str, condition: str) -> str:
    """Why nothing answers to a condition."""
    if not runs:
        return f"no run of {of_what} was given"
    given = "; ".join(dict.fromkeys(run.condition for run in runs))
    return f"no run of {of_what} with {condition} was given (there is: {given})"


def _why_no_volume(runs: list[ComputedRun], material: str, condition: str, kelvin: float) -> str:
    if kelvin == 0:
        models = {condition_of(point.model, point.pressure_gpa) for run in runs for point in run.volumes}
        is_there = condition in models
        return f"no relaxed cell of {material} with {condition} was given" if not is_there else "not relaxed"
    there = [run for run in runs if run.condition == condition]
    if not there:
        return why_no_run(runs, material, condition)
    return "; ".join(_why_not_at(run, kelvin) for run in there)


def _why_not_at(run: ComputedRun, kelvin: float) -> str:
    for failure in run.failures:
        if failure.step == f"dynamics at {kelvin:g} K":
            return f"{run.origin.name}: {failure.message}"
    ran = f"ran at {_kelvins(run.temperatures_k)}" if run.temperatures_k else "has no dynamics"
    unfinished = f", unfinished: {run.origin.state}" if run.origin.state else ""
    return f"{run.origin.name} {ran}{unfinished}"


def why_no_transport(runs: Sequence[ComputedRun], of_what: str, condition: str) -> str:
    """Why no activation energy or conductivity came out: no run, or what its runs said."""
    there = [run for run in runs if run.condition == condition]
    if not there:
        return why_no_run(runs, of_what, condition)
    return "; ".join(f"{run.origin.name}: {_why_no_answer(run)}" for run in there)


def _why_no_answer(run: ComputedRun) -> str:
    parts = [f"unfinished, {run.origin.state}"] if run.origin.state else []
    parts += [f"{one.target_temperature_k:g} K {one.verdict}" for one in run.runs]
    parts += [f"{failure.step}: {failure.message}" for failure in run.failures]
    if run.conductivity is not None and abs(run.conductivity.temperature_k - 300.0) > _SAME_K:
        parts.append(f"its conductivity is at {run.conductivity.temperature_k:g} K")
    return ", ".join(parts) or ("no dynamics" if not run.temperatures_k else "no production has ended")


def _kelvins(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{kelvin:.0f}" for kelvin in sorted(values)) + " K"

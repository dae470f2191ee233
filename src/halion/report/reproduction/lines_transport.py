"""Figures 4 and 5: pathways, diffusivity over temperature, activation energy and conductivity over x."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from halion.report.reproduction.inputs import ComputedRun, ReproductionInputs
from halion.report.reproduction.lines_tables import (
    NO_ROW,
    conductivity_of,
    energy_of,
    is_models_own,
    study_model_rows,
    why_no_transport,
)
from halion.report.reproduction.published import BY_STUDY, END_MEMBERS, Published, published_diffusivity
from halion.report.reproduction.types import Computed, Line
from halion.report.study_rows import StudyRow
from halion.transport.mechanism import MechanismSummary
from halion.transport.types import RunTransport
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["NOT_AT_HAND", "composition_name", "pathway_lines", "transport_lines"]

NOT_AT_HAND = "no number of the study at hand"
_DERIVED = f"published: from activation energy and conductivity of {BY_STUDY}, by Nernst-Einstein"
_DEFAULT = "CHGNet fine-tuned, 10 kbar"
_ANISOTROPY = "D along c* over D in the ab plane"


def composition_name(x: float) -> str:
    """ "Li3YCl6", "Li3YBr6", or "x = 3"."""
    return END_MEMBERS.get(x, f"x = {x:g}")


def _by_composition(study: Published, inputs: ReproductionInputs) -> dict[float, list[ComputedRun]]:
    """Compositions of the study and those computed here, by x."""
    given = {round(run.x, 3) for run in inputs.runs if math.isfinite(run.x)}
    every = sorted({*END_MEMBERS, *study.protocol.test_compositions_x, *given})
    return {x: [run for run in inputs.runs if abs(run.x - x) < 1e-3] for x in every}


def transport_lines(study: Published, inputs: ReproductionInputs) -> list[Line]:
    """Activation energy, conductivity at 300 K and D(T) at each x, each condition; then the experiments."""
    lines: list[Line] = []
    for x, runs in _by_composition(study, inputs).items():
        name = composition_name(x)
        rows = {
            condition: row
            for condition, row in study_model_rows(study, name).items()
            if not math.isnan(row.conductivity_ms_per_cm)
        }
        for condition in dict.fromkeys([*(rows or [_DEFAULT]), *sorted(r.condition for r in runs if r.runs)]):
            lines += _answers(runs, name, condition, rows.get(condition))
            lines += _diffusivities(runs, name, condition, rows.get(condition))
    return lines + list(_measured(study))


def _answers(runs: list[ComputedRun], name: str, condition: str, row: StudyRow | None) -> Iterator[Line]:
    there = [run for run in runs if run.condition == condition]
    source = BY_STUDY if row else (NO_ROW if name in END_MEMBERS.values() else NOT_AT_HAND)
    for quantity, unit, published, answer in (
        ("activation energy", "eV", row.activation_energy_ev if row else math.nan, energy_of),
        ("conductivity at 300 K", "mS/cm", row.conductivity_ms_per_cm if row else math.nan, conductivity_of),
    ):
        computed = tuple(one for run in there for one in answer(run))
        yield Line(
            quantity=f"{quantity}, {name}",
            condition=condition,
            unit=unit,
            published=published,
            source=source,
            computed=computed,
            why="" if computed else why_no_transport(runs, name, condition),
            is_ratio=unit == "mS/cm",
        )


def _diffusivities(runs: list[ComputedRun], name: str, condition: str, row: StudyRow | None) -> Iterator[Line]:
    there = [(run, one) for run in runs if run.condition == condition for one in run.runs]
    for kelvin in sorted({one.target_temperature_k for _, one in there if math.isfinite(one.target_temperature_k)}):
        at = [(run, one) for run, one in there if one.target_temperature_k == kelvin]
        published = math.nan if row is None else diffusivity_to_cm2_per_s(published_diffusivity(row, kelvin))
        computed = tuple(_diffusivity(run, one) for run, one in at)
        has_number = any(math.isfinite(one.value) or math.isfinite(one.upper_bound) for one in computed)
        yield Line(
            quantity=f"D at {kelvin:g} K, {name}",
            condition=condition,
            unit="cm²/s",
            published=published,
            source=NOT_AT_HAND if math.isnan(published) else _DERIVED,
            computed=computed,
            why="" if has_number else "; ".join(f"{run.origin.name}: {one.verdict}" for run, one in at),
            is_ratio=True,
        )


def _diffusivity(run: ComputedRun, one: RunTransport) -> Computed:
    value, std = diffusivity_to_cm2_per_s(one.diffusivity), diffusivity_to_cm2_per_s(one.diffusivity_std)
    is_value = one.is_diffusive
    return Computed(
        value=value if is_value else math.nan,
        # Errors of the logarithm, as in the Arrhenius fit.
        low=value * math.exp(-std / value) if is_value else math.nan,
        high=value * math.exp(std / value) if is_value else math.nan,
        # Where the framework melted, what moved was a liquid.
        upper_bound=math.nan if is_value or one.verdict == "melted" else diffusivity_to_cm2_per_s(one.upper_bound),
        run=run.origin.name,
        model=run.model.name,
        words=f"{one.verdict}, {one.length_ps:g} ps, {one.n_ions} ions",
    )


def _measured(study: Published) -> Iterator[Line]:
    """Conductivities that others measured or computed, over x."""
    found = [
        (x, row.conductivity_ms_per_cm, f"{row.name}, as quoted in the study")
        for x, material in END_MEMBERS.items()
        for row in study.rows.get(material, ())
        if not is_models_own(row) and not math.isnan(row.conductivity_ms_per_cm)
    ]
    for x, value, source in sorted([*found, *study.conductivity], key=lambda one: one[0]):
        yield Line(
            quantity=f"conductivity near 300 K, {composition_name(x)}",
            condition=source.partition(", as ")[0],
            unit="mS/cm",
            published=value,
            source=source,
            is_ratio=True,
        )


def pathway_lines(study: Published, inputs: ReproductionInputs) -> list[Line]:
    """How ions move: dimensions, kinds of hops, returns, anisotropy, of the hottest run of each that diffused."""
    lines: list[Line] = []
    for x, runs in _by_composition(study, inputs).items():
        name = composition_name(x)
        chosen = [(run, best) for run in runs if (best := _best(run)) is not None]
        if x not in END_MEMBERS and not chosen:
            continue
        for quantity, unit, computed in _quantities(chosen):
            # What the study says in words is whether all directions are alike.
            text = study.pathways.get(name, "") if quantity == _ANISOTROPY else ""
            has_number = any(math.isfinite(one.value) for one in computed)
            why = _why_no_pathway(runs, name) if not chosen else "no anisotropy was resolved from these runs"
            lines.append(
                Line(
                    quantity=f"{quantity}, {name}",
                    condition="hottest run that diffused",
                    unit=unit,
                    published=math.nan,
                    source=f"{BY_STUDY}, in words" if text else NOT_AT_HAND,
                    computed=computed,
                    why="" if has_number else why,
                    is_ratio=quantity == _ANISOTROPY,
                    text=text,
                )
            )
    return lines


def _best(run: ComputedRun) -> MechanismSummary | None:
    """The mechanism of the hottest run that diffused: in a melt, or where nothing moves, there are no pathways."""
    diffusive = {one.source for one in run.runs if one.is_diffusive}
    found = [one for one in run.mechanisms if one.source in diffusive]
    return max(found, key=lambda one: one.temperature_k, default=None)


def _quantities(
    chosen: Sequence[tuple[ComputedRun, MechanismSummary]],
) -> Iterator[tuple[str, str, tuple[Computed, ...]]]:
    def each(values: list[float], *, verdicts: bool = False) -> tuple[Computed, ...]:
        return tuple(
            Computed(value=value, run=run.origin.name, model=run.model.name, words=_told(run, one, verdicts))
            for (run, one), value in zip(chosen, values, strict=True)
        )

    ways = [one.network for _, one in chosen]
    yield (
        "dimensions that hops lead through",
        "",
        each([float(one.by_hops.dimension) for one in ways], verdicts=True),
    )
    for kind in ("face", "edge", "corner"):
        values = [_share(one.by_kind, kind) for one in ways]
        if any(values) or kind == "face":
            yield f"hops across a shared {kind}", "%", each(values)
    yield "hops that led straight back next", "%", each([100 * one.returned for _, one in chosen])
    yield (
        _ANISOTROPY,
        "",
        tuple(
            Computed(
                value=run.anisotropy[0],
                low=run.anisotropy[1],
                high=run.anisotropy[2],
                run=run.origin.name,
                model=run.model.name,
                words="all runs that diffused together",
            )
            for run, _ in chosen
        ),
    )


def _share(rates: dict[str, float], kind: str) -> float:
    """Percent of the hops whose kind ends with this word."""
    total = sum(rates.values())
    return 100 * sum(rate for name, rate in rates.items() if name.endswith(kind)) / total if total else math.nan


def _told(run: ComputedRun, one: MechanismSummary, with_verdict: bool) -> str:
    where = f"{run.condition}, {one.temperature_k:.0f} K"
    return f"{where}: {one.verdict}" if with_verdict else where


def _why_no_pathway(runs: Sequence[ComputedRun], name: str) -> str:
    if not runs:
        return f"no run of {name} was given"
    return "; ".join(
        f"{run.origin.name}: "
        + ("no mechanism is recorded" if any(one.is_diffusive for one in run.runs) else "no run diffused")
        for run in runs
    )

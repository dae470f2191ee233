"""Figure 2 and Figures S1 to S3: errors of pretrained and fine-tuned potentials on test sets."""

from __future__ import annotations

import math
from collections.abc import Iterator

from halion.report.reproduction.inputs import Evaluation, ReproductionInputs
from halion.report.reproduction.lines_transport import NOT_AT_HAND
from halion.report.reproduction.published import BY_STUDY, Published
from halion.report.reproduction.types import Computed, Line

__all__ = ["SETS", "error_lines"]

SETS = {
    "rest": "relaxed structures over x",
    "ends": "end members at 300 to 700 K",
    "mixed": "x = 1.5, 3, 4.5 at 300 to 700 K",
}
_LABELS = {"pretrained": "CHGNet pretrained", "fine-tuned": "CHGNet fine-tuned"}
# Quantity -> (name in the data file, field of `PotentialErrors`, unit). "Shifted" stands beside the study's number
# too: a constant per composition is what codes with other zeros of energy differ by.
_QUANTITIES = {
    "energy": ("energy_mev_per_atom", "energy_mae", "meV/atom"),
    "energy, a constant per composition taken away": ("energy_mev_per_atom", "energy_shifted_mae", "meV/atom"),
    "forces": ("force_mev_per_angstrom", "force_mae", "meV/Å"),
    "stress": ("stress_mpa", "stress_mae", "MPa"),
}


def error_lines(study: Published, inputs: ReproductionInputs) -> list[Line]:
    """Mean absolute errors of each kind of potential on each set of the study, then on the sets of others."""
    lines: list[Line] = []
    for kind, label in _LABELS.items():
        for name, text in SETS.items():
            found = [one for one in inputs.evaluations if (one.model.label, one.kind) == (label, name)]
            lines += _of_set(study, inputs, (kind, name), text, found)
    beside = [one for one in inputs.evaluations if one.model.label not in _LABELS.values() or one.kind not in SETS]
    for label, text in dict.fromkeys((one.model.label, _text(one)) for one in beside):
        found = [one for one in beside if (one.model.label, _text(one)) == (label, text)]
        lines += [_line(quantity, label, text, found) for quantity in _QUANTITIES]
    return lines


def _text(one: Evaluation) -> str:
    if one.kind == "training":
        return f"{one.set_name}, frames that potentials learned from"
    return SETS.get(one.kind, one.set_name)


def _of_set(
    study: Published, inputs: ReproductionInputs, key: tuple[str, str], text: str, found: list[Evaluation]
) -> Iterator[Line]:
    kind, name = key
    given = study.accuracy.get(kind, {})
    limits = given.get(name, given.get("all", {}))
    for quantity, (field, *_) in _QUANTITIES.items():
        published = limits.get(field, math.nan)
        why = "" if found else _why_not(inputs, kind, name)
        if found or not math.isnan(published):
            yield _line(quantity, _LABELS[kind], text, found, published=published, why=why)


def _line(
    quantity: str, label: str, text: str, found: list[Evaluation], published: float = math.nan, why: str = ""
) -> Line:
    _, field, unit = _QUANTITIES[quantity]
    has_number = not math.isnan(published)
    return Line(
        quantity=f"{quantity}, {text}",
        condition=label,
        unit=unit,
        published=published,
        source=BY_STUDY if has_number else NOT_AT_HAND,
        computed=tuple(
            Computed(
                value=getattr(one.errors, field),
                run=one.origin.name,
                model=one.model.name,
                words=f"{one.set_name}, {one.errors.n_frames} frames, force slope {one.errors.force_slope:.2f}",
            )
            for one in found
        ),
        why=why,
        is_limit=has_number,
    )


def _why_not(inputs: ReproductionInputs, kind: str, name: str) -> str:
    if not inputs.evaluations:
        return "no evaluation was given (halion evaluate LABELS --folder)"
    models = [one for one in inputs.evaluations if one.kind == name]
    if not models:
        return f"no evaluation on such a set was given (there is: {_names(inputs)})"
    others = ", ".join(dict.fromkeys(one.model.name for one in models))
    return f"no {_LABELS[kind]} was evaluated on this set (there is: {others})"


def _names(inputs: ReproductionInputs) -> str:
    return ", ".join(dict.fromkeys(one.set_name for one in inputs.evaluations))

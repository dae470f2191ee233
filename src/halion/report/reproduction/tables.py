"""Tables of a reproduction: what a reader sees of each exhibit, and everything at once for a program."""

from __future__ import annotations

import math
from collections.abc import Iterator

from halion.report.reproduction.inputs import Origin
from halion.report.reproduction.types import Cause, Computed, Exhibit, Line, Reproduction, State
from halion.report.table import Cell, Table, number, word
from halion.report.text import between, plus_minus, short

__all__ = ["causes_table", "complete_table", "exhibit_table", "overview_table", "sources_table"]

_STATES: tuple[State, ...] = ("computed here", "bounded here", "by others", "not reached")
_NOTHING = Computed(value=math.nan, run="", model="")


def overview_table(found: Reproduction) -> Table:
    """How many lines of each exhibit are in each state."""
    return Table(
        name="overview",
        columns=("In the study", "What it shows", *_STATES),
        rows=tuple(
            (word(one.name), word(one.title), *(number(one.count(state), str) for state in _STATES))
            for one in found.exhibits
        ),
    )


def exhibit_table(exhibit: Exhibit) -> Table:
    """One row per number and answer: computed here, and by which run; published, and by whom; the difference."""
    columns = (
        "Quantity",
        "Condition",
        "State",
        "Computed here",
        "Run, potential",
        "Published",
        "Difference",
        "Notes",
    )
    rows = [_row(line, one) for line in exhibit.lines for one in line.computed or (_NOTHING,)]
    return Table(name=exhibit.key, columns=columns, rows=tuple(rows))


def _row(line: Line, one: Computed) -> tuple[Cell, ...]:
    by = f"{one.run}, {one.model}" if one.run else ""
    without = "" if math.isfinite(line.published) or line.text else line.source
    notes = "; ".join(text for text in (one.words, line.agreement(one), line.why, without) if text)
    quantity = f"{line.quantity} ({line.unit})" if line.unit else line.quantity
    return (
        word(quantity),
        word(line.condition),
        word(line.state),
        number(one.value, _value(line, one)),
        word(by),
        number(line.published, _published(line)),
        number(line.difference(one), _difference(line, one)),
        word(notes),
    )


def _published(line: Line) -> str:
    """The number as it is printed, and by whom."""
    if math.isfinite(line.published):
        return f"{'≤ ' if line.is_limit else ''}{line.published:.3g} ({line.source})"
    return f"{line.text} ({line.source})" if line.text else "–"


def _value(line: Line, one: Computed) -> str:
    if not math.isfinite(one.value):
        return f"< {short(one.upper_bound, 2)} (95 %)" if math.isfinite(one.upper_bound) else "–"
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        return short(one.value, 4)
    if line.is_ratio:
        return f"{short(one.value, 2)} ({between(one.low, one.high)})"
    return plus_minus(one.value, (one.high - one.low) / 2)


def _difference(line: Line, one: Computed) -> str:
    value = line.difference(one)
    if not math.isfinite(value):
        return "–"
    if line.is_ratio:
        return f"× {short(value, 2)}"
    sign = "+" if value > 0 else ""
    percent = f" ({sign}{short(100 * value / line.published, 2)} %)" if line.published else ""
    return f"{sign}{short(value, 2)}{percent}"


def complete_table(found: Reproduction) -> Table:
    """Every line with every answer, exact numbers, one column for each fact."""
    columns = (
        "exhibit",
        "quantity",
        "condition",
        "unit",
        "state",
        "value",
        "low68",
        "high68",
        "upper_bound95",
        "run",
        "potential",
        "published",
        "published_is_limit",
        "published_by",
        "difference",
        "ratio",
        "words",
        "why_not",
    )
    return Table(name="reproduction", columns=columns, rows=tuple(_complete_rows(found)))


def _complete_rows(found: Reproduction) -> Iterator[tuple[Cell, ...]]:
    for exhibit in found.exhibits:
        for line in exhibit.lines:
            for one in line.computed or (_NOTHING,):
                ratio = one.value / line.published if line.published else math.nan
                values = (one.value, one.low, one.high, one.upper_bound)
                yield (
                    *map(word, (exhibit.name, line.quantity, line.condition, line.unit, line.state)),
                    *(number(value, short) for value in values),
                    *map(word, (one.run, one.model)),
                    number(line.published, short),
                    word("yes" if line.is_limit else "no"),
                    word(line.source),
                    number(one.value - line.published, short),
                    number(ratio, short),
                    *map(word, (one.words, line.why)),
                )


def sources_table(origins: tuple[Origin, ...]) -> Table:
    """Where the numbers computed here come from."""
    columns = ("Name", "Kind", "State", "Command", "Wall time (s)", "Machine", "halion")
    rows = tuple(
        (
            word(one.name),
            word(one.what),
            word(one.state or "finished"),
            word(one.command or "not recorded"),
            number(one.wall_s, short(one.wall_s, 4) if math.isfinite(one.wall_s) else "not recorded"),
            word(one.machine or "not recorded"),
            word(one.commit[:12] or "not recorded"),
        )
        for one in origins
    )
    return Table(name="sources", columns=columns, rows=rows)


def causes_table(name: str, causes: tuple[Cause, ...]) -> Table:
    """What was done otherwise in one input."""
    rows = tuple((word(one.name), word(one.here), word(one.there)) for one in causes)
    return Table(name=name, columns=("What differs", "Here", "In the study"), rows=rows)

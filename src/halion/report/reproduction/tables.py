"""Tables of a reproduction: what a reader sees of each exhibit, and everything at once for a program."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from halion.report.reproduction.inputs import Origin
from halion.report.reproduction.lines_tables import STUDY_TEMPERATURES_K
from halion.report.reproduction.published import BY_STUDY
from halion.report.reproduction.types import Cause, Computed, Exhibit, Line, Reproduction, State
from halion.report.table import Cell, Table, number, word
from halion.report.text import between, plus_minus, scientific, short

__all__ = ["causes_table", "complete_table", "exhibit_tables", "overview_table", "sources_table"]

_STATES: tuple[State, ...] = ("computed here", "bounded here", "by others", "not reached")
_NOTHING = Computed(value=math.nan, run="", model="")
# Columns of the study's Tables 1 and 2.
_GRID = (
    *(f"volume at {kelvin:g} K" for kelvin in STUDY_TEMPERATURES_K),
    "activation energy",
    "conductivity at 300 K",
)


def overview_table(found: Reproduction) -> Table:
    """How many lines of each exhibit are in each state."""
    return Table(
        name="overview",
        columns=("In the study", "What it shows", *_STATES),
        rows=tuple(
            (word(one.name), word(one.title), *(number(one.count(state), str) for state in _STATES))
            for one in found.exhibits
        ),
        wraps=True,
    )


def exhibit_tables(exhibit: Exhibit) -> tuple[Table, ...]:
    """The grid of Tables 1 and 2, what was computed here, what was not reached and why, what others published."""
    tables = (_grid(exhibit), _here(exhibit), _missing(exhibit), _others(exhibit))
    return tuple(table for table in tables if table.rows)


def _grid(exhibit: Exhibit) -> Table:
    """One row per condition, as the study prints it: computed here, and the published number in brackets."""
    lines = {(line.condition, line.quantity): line for line in exhibit.lines if line.quantity in _GRID}
    conditions = dict.fromkeys(condition for condition, _ in lines)
    units = {line.quantity: line.unit for line in lines.values()}
    return Table(
        name=f"{exhibit.key}-grid",
        columns=("", *(f"{name} ({units[name]})" for name in _GRID if name in units)),
        rows=tuple(
            (word(each), *(word(_both(lines.get((each, name)))) for name in _GRID if name in units))
            for each in conditions
        ),
        wraps=True,
    )


def _both(line: Line | None) -> str:
    if line is None:
        return "–"
    # Beside a value a bound of another run says nothing; both have their rows below.
    told = [one for one in line.computed if math.isfinite(one.value)] or line.computed
    answers = ", ".join(dict.fromkeys(_value(line, one) for one in told))
    published = f"[{_plain(line.published)}]" if math.isfinite(line.published) else ""
    return " ".join(text for text in (answers, published) if text)


def _here(exhibit: Exhibit) -> Table:
    """One row per number computed here: by which run, beside what was published and by whom, the difference."""
    by = f"Published, {BY_STUDY}"
    columns = ("Quantity", "Condition", "Computed here", "Run, potential", by, "Difference", "Notes")
    rows = [_row(line, one) for line in exhibit.lines for one in line.computed if _is_answer(one)]
    return Table(name=f"{exhibit.key}-here", columns=columns, rows=tuple(rows), wraps=True)


def _is_answer(one: Computed) -> bool:
    return math.isfinite(one.value) or math.isfinite(one.upper_bound)


def _row(line: Line, one: Computed) -> tuple[Cell, ...]:
    source = "" if line.source == BY_STUDY else line.source
    texts = (one.words.removesuffix("."), line.agreement(one), line.why, source)
    return (
        word(f"{line.quantity} ({line.unit})" if line.unit else line.quantity),
        word(line.condition),
        number(one.value, _value(line, one)),
        word(f"{one.run}, {one.model}"),
        number(line.published, _published(line)),
        number(line.difference(one), _difference(line, one)),
        word("; ".join(text for text in texts if text)),
    )


def _missing(exhibit: Exhibit) -> Table:
    """What was not reached: quantities of one condition with one reason share a row."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in exhibit.lines:
        if line.state == "not reached":
            groups.setdefault((line.condition, line.why, line.source), []).append(line)
    return Table(
        name=f"{exhibit.key}-not-reached",
        columns=("Condition", "Not reached here", "Why", "Published by"),
        rows=tuple(
            (word(condition), word(_listed(lines)), word(why), word(source))
            for (condition, why, source), lines in groups.items()
        ),
        wraps=True,
    )


def _listed(lines: Sequence[Line]) -> str:
    """Quantities with their published numbers."""
    return "; ".join(
        f"{line.quantity}: {_limit(line)}{_plain(line.published)} {line.unit}".rstrip()
        if math.isfinite(line.published)
        else line.quantity
        for line in lines
    )


def _others(exhibit: Exhibit) -> Table:
    lines = [line for line in exhibit.lines if line.state == "by others"]
    return Table(
        name=f"{exhibit.key}-others",
        columns=("Quantity", "Published", "By"),
        rows=tuple(
            (word(f"{line.quantity} ({line.unit})"), number(line.published, _plain), word(line.source))
            for line in lines
        ),
        wraps=True,
    )


def _plain(value: float) -> str:
    """A published number as it was printed: it has two to four digits."""
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e5 or value == 0 else scientific(value, 3)


def _limit(line: Line) -> str:
    return "≤ " if line.is_limit else ""


def _published(line: Line) -> str:
    """The number as it is printed, or the words where there is none."""
    return f"{_limit(line)}{_plain(line.published)}" if math.isfinite(line.published) else line.text or "–"


def _value(line: Line, one: Computed) -> str:
    if not math.isfinite(one.value):
        confidence = f" ({one.confidence})" if one.confidence else ""
        return f"< {short(one.upper_bound, 2)}{confidence}" if math.isfinite(one.upper_bound) else "–"
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        return _plain(one.value)
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
    names = (
        *("exhibit", "quantity", "condition", "unit", "state", "value", "low68", "high68", "upper_bound"),
        *("run", "potential", "published", "published_is_limit", "published_by", "difference", "ratio"),
        *("words", "why_not"),
    )
    return Table(name="reproduction", columns=names, rows=tuple(_complete_rows(found)))


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
            number(one.wall_s, f"{one.wall_s:.0f}" if math.isfinite(one.wall_s) else "not recorded"),
            word(one.machine or "not recorded"),
            word(one.commit[:12] or "not recorded"),
        )
        for one in origins
    )
    return Table(name="sources", columns=columns, rows=rows, wraps=True)


def causes_table(name: str, causes: tuple[Cause, ...]) -> Table:
    """What was done otherwise in one input."""
    rows = tuple((word(one.name), word(one.here), word(one.there)) for one in causes)
    return Table(name=name, columns=("What differs", "Here", "In the study"), rows=rows, wraps=True)

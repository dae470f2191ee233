"""One description of a table, written as HTML in the page, as CSV beside it, and as Markdown."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Cell", "Table", "markdown_text", "number", "table_csv", "table_html", "table_markdown", "word"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: the exact value for CSV and sorting, the text for reading."""

    value: float | int | str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: stem of its file.
        columns: headers with units.
        rows: cells, one per column.
        is_sortable: a click on a header sorts the rows.
        highlighted: index of the row that stands out; -1: none.
        wraps: texts are long, and break into lines.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_sortable: bool = False
    highlighted: int = -1
    wraps: bool = False


def number(value: float, text: str | Callable[[float], str]) -> Cell:
    """A number and how it reads."""
    return Cell(value=value, text=text if isinstance(text, str) else text(value))


def word(text: str) -> Cell:
    """A text."""
    return Cell(value=text, text=text)


def table_csv(table: Table) -> str:
    """The table as CSV: exact numbers, an empty cell for a missing one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_plain(cell.value) for cell in row] for row in table.rows)
    return text.getvalue()


def _plain(value: float | int | str) -> str:
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else ""
    return str(value)


def table_markdown(table: Table) -> str:
    """The table in Markdown, as it reads; no text of it can end a cell or become markup."""
    lines = [[markdown_text(column) for column in table.columns], ["---"] * len(table.columns)]
    lines += [[markdown_text(cell.text) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def markdown_text(text: str) -> str:
    """A text of one line, in which the signs of Markdown and HTML stand for themselves."""
    return re.sub(r"([\\|<>\[\]*_`])", r"\\\1", " ".join(text.split()))


def table_html(table: Table) -> str:
    """The table as HTML, all text escaped; each cell carries its header for narrow screens."""
    kinds = [name for name, is_so in (("sortable", table.is_sortable), ("wrapping", table.wraps)) if is_so]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    numeric = [_is_numeric(table, k) for k in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{_class(numeric[k])}>{_header(column, table.is_sortable)}</th>'
        for k, column in enumerate(table.columns)
    )
    body = "\n".join(_row(table, k, numeric) for k in range(len(table.rows)))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="table {html.escape(table.name)}">'
        f'<table id="table-{html.escape(table.name)}"{kind}>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(table: Table, index: int, numeric: list[bool]) -> str:
    mark = ' class="ours"' if index == table.highlighted else ""
    cells = "".join(
        f'<td{_class(is_number)} data-value="{html.escape(_plain(cell.value))}">{html.escape(cell.text)}</td>'
        for cell, is_number in zip(table.rows[index], numeric, strict=True)
    )
    return f"<tr{mark}>{cells}</tr>"


def _is_numeric(table: Table, column: int) -> bool:
    return bool(table.rows) and all(not isinstance(row[column].value, str) for row in table.rows)


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _header(column: str, is_sortable: bool) -> str:
    text = html.escape(column)
    return f'<button type="button">{text}</button>' if is_sortable else text

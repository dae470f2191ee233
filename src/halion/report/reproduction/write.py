"""Write a reproduction: one offline page, the same as Markdown, CSV and JSON, figures beside."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from halion.errors import InputError
from halion.files import read_json, write_json, write_text
from halion.records import to_record
from halion.report.draw_matplotlib import figure_svg
from halion.report.figure import Figure, figure_csv
from halion.report.page import Material, Section, figure_block, page_html, paragraphs, table_block
from halion.report.reproduction.compare import compare_study
from halion.report.reproduction.figures import figures_of_exhibit
from halion.report.reproduction.inputs import ReproductionInputs
from halion.report.reproduction.published import published_study
from halion.report.reproduction.tables import (
    causes_table,
    complete_table,
    exhibit_tables,
    overview_table,
    sources_table,
)
from halion.report.reproduction.types import Exhibit, Reproduction
from halion.report.table import markdown_text, table_csv, table_markdown

__all__ = ["write_reproduction"]

_TITLE = "The study of Li3YCl6-xBrx, made again"
_PAGE, _RECORD = "reproduction.html", "reproduction.json"
_LEAD = (
    "Tables 1 to 3 and Figures 1 to 5 and S1 to S4 of arXiv:2510.09861, side by side with what was computed with "
    "halion. Each line is computed here (by the run and potential named), bounded here, published by others, or "
    "not reached, with the reason. Bars and intervals are 68 %, bounds 95 %."
)
_CAPTIONS = {
    "grid": "Computed here [published]. Brackets alone: not reached here, or for others to say; a dash: neither.",
    "here": "Computed here, one row for each answer. Notes say where a published number is of another source.",
    "not-reached": "Numbers are those published.",
    "others": "Measured, or computed by others.",
}
_SUMMARIES = {"not-reached": "Not reached here, and why", "others": "Published by others"}


def write_reproduction(
    inputs: ReproductionInputs, folder: Path | str, *, notes: Sequence[str] = ()
) -> tuple[Reproduction, Path]:
    """Compare what was computed with the study and write the page.

    Args:
        inputs: what was computed.
        folder: new, empty, or of an earlier call, whose files are replaced.
        notes: on inputs that were not used.
    Returns:
        the comparison, and `folder/reproduction.html`, one file that needs nothing beside it and no network. Beside
        it lie the same as `reproduction.md`, `reproduction.json` and `tables/*.csv` (`tables/reproduction.csv` has
        everything), and `figures/*.svg`.
    Raises:
        InputError: the folder holds something else.
        DiskFull: each file is whole or as it was.

    Checked by tests/report/test_reproduction_page.py: every number appears, nothing is loaded from outside.
    """
    folder = Path(folder)
    earlier = _earlier_files(folder)
    study = published_study()
    found = compare_study(inputs, study)
    told = (*found.notes, *notes)
    figures = {one.key: figures_of_exhibit(one, study, inputs) for one in found.exhibits}
    drawn = [figure for group in figures.values() for figure in group]
    material = _material(found, inputs, drawn)
    written = [write_text(folder / "figures" / f"{name}.svg", svg) for name, svg in material.pictures.items()]
    written += [write_text(folder / "tables" / f"figure-{one.name}.csv", figure_csv(one)) for one in drawn]
    every = [*material.tables.values(), complete_table(found)]
    written += [write_text(folder / "tables" / f"{table.name}.csv", table_csv(table)) for table in every]
    written.append(write_text(folder / "reproduction.md", _markdown(found, material, figures, told)))
    page = write_text(folder / _PAGE, _page(found, material, figures, told))
    names = [str(path.relative_to(folder)) for path in (*written, page)]
    write_json(folder / _RECORD, _record(found, inputs, told) | {"files": names})
    for name in set(earlier) - set(names):  # of an earlier call, and true no more
        (folder / name).unlink(missing_ok=True)
    return found, page


def _earlier_files(folder: Path) -> list[str]:
    """Files that an earlier call wrote into this folder; refuses a folder of anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return []
    if not (folder / _RECORD).is_file():
        raise InputError(
            "this is there already and is no reproduction; halion overwrites only what it wrote",
            where=str(folder),
            fix="choose a new folder with --folder",
        )
    names = read_json(folder / _RECORD).get("files", [])
    return [name for name in names if isinstance(name, str) and _is_ours(name)]


def _is_ours(name: str) -> bool:
    """Whether it is where this module writes: a record that was tampered with deletes nothing else."""
    parts = Path(name).parts
    return len(parts) == 2 and parts[0] in ("figures", "tables") and parts[1] != ".."


def _record(found: Reproduction, inputs: ReproductionInputs, notes: Sequence[str]) -> dict[str, Any]:
    record = to_record(found) | {"notes": list(notes), "sources": to_record(inputs.origins)}
    for exhibit, plain in zip(found.exhibits, record["exhibits"], strict=True):
        for line, row in zip(exhibit.lines, plain["lines"], strict=True):
            row["state"] = line.state
            for one, answer in zip(line.computed, row["computed"], strict=True):
                answer["difference"] = to_record(line.difference(one))
                answer["agreement"] = line.agreement(one)
    return record


def _material(found: Reproduction, inputs: ReproductionInputs, drawn: Sequence[Figure]) -> Material:
    tables = [overview_table(found), sources_table(inputs.origins)]
    tables += [table for exhibit in found.exhibits for table in exhibit_tables(exhibit)]
    tables += [causes_table(f"causes-{k}", causes) for k, causes in enumerate(found.causes.values(), 1)]
    return Material(
        figures={figure.name: figure for figure in drawn},
        pictures={figure.name: figure_svg(figure) for figure in drawn},
        tables={table.name: table for table in tables if table.rows},
    )


def _page(
    found: Reproduction, material: Material, figures: dict[str, tuple[Figure, ...]], notes: Sequence[str]
) -> str:
    items = "\n".join(f"<li>{html.escape(note)}</li>" for note in notes)
    aside = (
        f'<aside class="caveats" role="note"><h2>Know this first</h2>\n<ul>{items}</ul></aside>' if notes else ""
    )
    top = f"""{aside}
<header><p class="kicker">Reproduction</p>
<h1>{html.escape(_TITLE)}</h1>
<p class="about">{html.escape(_LEAD)}</p></header>"""
    overview = table_block(material, "overview", "Lines in each state.")
    sections = [
        Section(anchor="overview", name="Overview", heading="What was reached", body=overview),
        *(_section(one, material, figures[one.key]) for one in found.exhibits),
        Section(anchor="causes", name="Causes", heading="Why numbers differ", body=_causes(found, material)),
        Section(anchor="sources", name="Sources", heading="What was given", body=_sources(material)),
    ]
    drawn = tuple(material.figures.values())
    return page_html(f"{_TITLE} · halion", tuple(sections), top, drawn, {})


def _section(exhibit: Exhibit, material: Material, figures: tuple[Figure, ...]) -> Section:
    drawings = "".join(figure_block(material, figure.name) for figure in figures)
    body = f'<div class="grid">{drawings}</div>' if drawings else ""
    body += table_block(material, f"{exhibit.key}-grid", _CAPTIONS["grid"])
    body += table_block(material, f"{exhibit.key}-here", _CAPTIONS["here"])
    for part, state in (("not-reached", "not reached"), ("others", "by others")):
        table = table_block(material, f"{exhibit.key}-{part}", _CAPTIONS[part])
        if table:
            count = exhibit.count(state)
            body += f"<details><summary>{_SUMMARIES[part]}: {count}</summary>{table}</details>"
    return Section(anchor=exhibit.key, name=exhibit.name, heading=f"{exhibit.name}: {exhibit.title}", body=body)


def _causes(found: Reproduction, material: Material) -> str:
    if not found.causes:
        return paragraphs("Nothing was computed here, so nothing differs.")
    parts = [
        f"<h3>{html.escape(name)}</h3>" + table_block(material, f"causes-{k}", "From its own record.")
        for k, (name, causes) in enumerate(found.causes.items(), 1)
        if causes
    ]
    return "\n".join(parts)


def _sources(material: Material) -> str:
    if "sources" not in material.tables:
        return paragraphs("Nothing was given.")
    return table_block(material, "sources", "Folders and files, by the ends of their names.")


def _markdown(
    found: Reproduction, material: Material, figures: dict[str, tuple[Figure, ...]], notes: Sequence[str]
) -> str:
    parts = [f"# {_TITLE}", _LEAD]
    if notes:
        parts.append("\n".join(f"- {markdown_text(note)}" for note in notes))
    parts += ["## What was reached", table_markdown(material.tables["overview"])]
    for exhibit in found.exhibits:
        parts.append(f"## {exhibit.name}: {exhibit.title}")
        parts += [f"![{markdown_text(figure.title)}](figures/{figure.name}.svg)" for figure in figures[exhibit.key]]
        for part, caption in _CAPTIONS.items():
            if f"{exhibit.key}-{part}" in material.tables:
                title = _SUMMARIES.get(part, "")
                parts += [f"**{title}.** {caption}" if title else caption]
                parts.append(table_markdown(material.tables[f"{exhibit.key}-{part}"]))
    parts.append("## Why numbers differ")
    for k, name in enumerate(found.causes, 1):
        if f"causes-{k}" in material.tables:
            parts += [f"### {markdown_text(name)}", table_markdown(material.tables[f"causes-{k}"])]
    if "sources" in material.tables:
        parts += ["## What was given", table_markdown(material.tables["sources"])]
    return "\n\n".join(parts) + "\n"

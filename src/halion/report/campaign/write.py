"""Write the page of a campaign, its figures, tables and record."""

from __future__ import annotations

import html
from pathlib import Path

from halion.files import write_json, write_text
from halion.records import to_record
from halion.report.campaign.figures import bound_of, campaign_figures, conductivity_of, members_table, runs_table
from halion.report.campaign.types import CampaignMember, CampaignResults
from halion.report.draw_matplotlib import figure_svg
from halion.report.figure import figure_csv
from halion.report.figures_stability import stability_figures
from halion.report.page import Material, Section, figure_block, page_html, paragraphs, table_block
from halion.report.table import table_csv
from halion.report.text import between, short

__all__ = ["campaign_text", "write_campaign"]

_MOTION = ("conductivity-over-x", "activation-energy-over-x")


def write_campaign(found: CampaignResults, folder: Path | str) -> Path:
    """Write the report of a campaign, complete or as far as it got.

    Args:
        found: of the campaign.
        folder: created if absent; files of an earlier report are replaced.
    Returns:
        `folder/report.html`, one file that needs no network; each member's own report is linked. Beside it lie
        `figures/*.svg`, `tables/*.csv` and `campaign.json`.
    Raises:
        DiskFull: each file is whole or as it was.
    Checked by tests/report/test_report_campaign.py: every number appears, nothing is loaded from outside.
    """
    folder = Path(folder)
    drawn = [*campaign_figures(found), *(stability_figures(found.stability) if found.stability else ())]
    tables = [table for table in (members_table(found), runs_table(found)) if table.rows]
    material = Material(
        figures={figure.name: figure for figure in drawn},
        pictures={figure.name: figure_svg(figure) for figure in drawn},
        tables={table.name: table for table in tables},
    )
    for figure in drawn:
        write_text(folder / "figures" / f"{figure.name}.svg", material.pictures[figure.name])
        write_text(folder / "tables" / f"figure-{figure.name}.csv", figure_csv(figure))
    for table in tables:
        write_text(folder / "tables" / f"{table.name}.csv", table_csv(table))
    write_json(folder / "campaign.json", _record(found))
    sections = _sections(found, material)
    return write_text(
        folder / "report.html", page_html(f"{found.title} · halion", sections, _top(found), tuple(drawn), {})
    )


def _record(found: CampaignResults) -> dict[str, object]:
    """Everything but the curves and the draws, which are in each member's own results."""
    record = to_record(found)
    for member in record["members"]:
        for run in member["runs"]:
            for name in ("lag_time_ps", "msd", "msd_components", "framework_msd"):
                run.pop(name)
        for line in _lines(member["summary"]):
            line["draws"] = line["draw_weights"] = None
        if member["summary"]:
            member["summary"]["haven"] = []
    return record


def _lines(summary: dict[str, object] | None) -> list[dict[str, object]]:
    if summary is None:
        return []
    published = summary["published"] or [None]
    return [line for line in (summary["arrhenius"], published[0]) if line]


def _top(found: CampaignResults) -> str:
    items = "\n".join(f"<li>{html.escape(note)}</li>" for note in found.notes)
    aside = (
        f'<aside class="caveats" role="note"><h2>Know this first</h2>\n<ul>{items}</ul></aside>' if items else ""
    )
    about = f"{len(found.members)} structures · {found.potential} · preset {found.preset}"
    return f"""{aside}
<header><p class="kicker">Composition series</p>
<h1>{html.escape(found.title)}</h1>
<p class="about">{html.escape(about)}</p></header>"""


def _sections(found: CampaignResults, material: Material) -> tuple[Section, ...]:
    motion = "".join(figure_block(material, name) for name in _MOTION)
    answer = f'<div class="grid">{motion}</div>' if motion else ""
    answer += table_block(material, "members", "Every member; intervals are of all its runs together.")
    answer += _links(found) + _waiting(found)
    budget = paragraphs(*_variance(found))
    runs = table_block(material, "runs", "Every run of every replica; none was chosen or left out.") + _failures(
        found
    )
    sections = [
        Section(anchor="members", name="Conductivity", heading="Conductivity over x", body=answer),
        Section(anchor="runs", name="Runs", heading="All runs", body=budget + runs),
    ]
    if found.stability is not None:
        others = [name for name in material.figures if name not in _MOTION]
        drawings = "".join(figure_block(material, name) for name in others)
        body = paragraphs(*found.stability.findings) + f'<div class="grid">{drawings}</div>'
        sections.append(Section(anchor="stability", name="Stability", heading="Which phase is stable", body=body))
    evidence = paragraphs(*(f"{member.name}: {member.evidence}" for member in found.members))
    sections.append(Section(anchor="structures", name="Structures", heading="Why these structures", body=evidence))
    return tuple(sections)


def _links(found: CampaignResults) -> str:
    rows = [
        f'<a href="../{html.escape(study)}/report/report.html">{html.escape(Path(study).name)}</a>'
        for member in found.members
        for study in member.studies
    ]
    return f"<p>Reports of the members: {', '.join(rows)}.</p>" if rows else ""


def _waiting(found: CampaignResults) -> str:
    return paragraphs(f"Not begun, or not far enough to show: {', '.join(found.waiting)}.") if found.waiting else ""


def _failures(found: CampaignResults) -> str:
    told = [f"{member.name}, {one.step}: {one.message}" for member in found.members for one in member.failures]
    return paragraphs(*told) if told else paragraphs("No step refused or failed.")


def _variance(found: CampaignResults) -> list[str]:
    """Where the uncertainty of the members comes from, as far as it can be told."""
    runs = [run for member in found.members for run in member.runs if run.is_diffusive]
    if not runs:
        return ["No run was diffusive: there is no value whose uncertainty could be split."]
    hops = sum((run.diffusivity_std / run.diffusivity) ** 2 for run in runs) / len(runs)
    text = f"One run leaves {100 * hops**0.5:.0f} % in D on average (root mean square): the number of hops it saw."
    replicas = [run.rsd_replica for run in runs if run.rsd_replica == run.rsd_replica]
    if replicas:
        mean = (sum(value**2 for value in replicas) / len(replicas)) ** 0.5
        seeds = f"Replicas from other velocities scatter by {100 * mean:.0f} %."
    else:
        seeds = "Fewer than four replicas at a temperature: their scatter is not known."
    return [
        f"{text} {seeds} One ordering stands for each x: the scatter between orderings, and the error of the "
        "potential, are in no bar."
    ]


def campaign_text(found: CampaignResults) -> str:
    """The answer for a terminal."""
    lines = [f"{found.title}: {len(found.members)} structures, {found.potential}"]
    lines += [f"  {_told(member)}" for member in found.members]
    if found.waiting:
        lines.append(f"  not far enough to show: {', '.join(found.waiting)}")
    return "\n".join([*lines, *(f"  caveat: {note}" for note in found.notes)])


def _told(member: CampaignMember) -> str:
    middle, low, high = conductivity_of(member)
    head = f"x = {member.x:<4g} {member.name:8}"
    moved = sum(run.is_diffusive for run in member.runs)
    tail = f"{moved} of {len(member.runs)} runs diffusive"
    if middle == middle:
        return f"{head} σ = {short(middle, 2)} mS/cm (68 %: {between(low, high)}), {tail}"
    bound = bound_of(member)
    return f"{head} σ < {short(bound, 2)} mS/cm (95 %), {tail}" if bound == bound else f"{head} no value, {tail}"

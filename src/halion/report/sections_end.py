"""The later sections: motion, Arrhenius, comparison, method, citations, provenance."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping

from halion.report.citations import bibtex, citations_for
from halion.report.method import method_paragraph, repeat_command, study_yaml
from halion.report.page import Material, Section, figure_block, paragraphs, table_block
from halion.report.study_rows import STUDY_SOURCE, reduced_formula
from halion.report.types import StudyResults

__all__ = [
    "arrhenius_section",
    "comparison_section",
    "method_section",
    "motion_section",
    "provenance_section",
]


def motion_section(results: StudyResults, material: Material) -> Section:
    """Mean squared displacements of the mobile ions and of the framework."""
    if not results.runs:
        body = paragraphs("No run has ended: there are no displacements to show.")
    else:
        pair = figure_block(material, "msd") + figure_block(material, "msd-log")
        body = f'<div class="grid">{pair}</div>' + figure_block(material, "framework")
    return Section(anchor="motion", name="Motion", heading="How the ions moved", body=body)


def arrhenius_section(results: StudyResults, material: Material) -> Section:
    """Arrhenius plots, or why there is no line."""
    parts = []
    if not results.runs:
        parts.append(paragraphs("No run has ended: there is nothing to plot."))
    elif results.arrhenius is None:
        diffusive = sum(run.is_diffusive for run in results.runs)
        parts.append(
            paragraphs(
                f"No straight line was fitted: {diffusive} of {len(results.runs)} runs diffused, "
                "and a line needs two."
            )
        )
    drawn = figure_block(material, "arrhenius") + figure_block(material, "diffusivity")
    parts.append(f'<div class="grid">{drawn}</div>')
    return Section(anchor="arrhenius", name="Arrhenius", heading="Temperature dependence", body="\n".join(parts))


def comparison_section(results: StudyResults, material: Material) -> Section:
    """This work's numbers above the rows of the published study for the same material."""
    formula = reduced_formula(results.crystal.composition)
    if "study" not in material.tables:
        body = paragraphs(f"The published study ({STUDY_SOURCE}) has no rows for {formula}.")
    else:
        caption = f"Source: {STUDY_SOURCE}. A dash stands where it gives no value; it gives no errors."
        body = figure_block(material, "comparison") + table_block(material, "study", caption)
    return Section(
        anchor="comparison", name="Comparison", heading=f"Beside the published values of {formula}", body=body
    )


def method_section(results: StudyResults) -> Section:
    """The method, ready to paste, and what to cite."""
    citations = citations_for(results)
    items = "".join(
        f"<li>{html.escape(citation.text)} <small>{html.escape(citation.reason)}</small></li>"
        for citation in citations
    )
    body = f"""<blockquote id="method-text">{html.escape(method_paragraph(results))}</blockquote>
<p><button type="button" class="copy" data-copy="method-text">Copy the method</button></p>
<h3>Cite</h3><ol class="citations">{items}</ol>
<details><summary>BibTeX</summary><pre id="bibtex">{html.escape(bibtex(citations))}</pre>
<p><button type="button" class="copy" data-copy="bibtex">Copy the BibTeX</button></p></details>"""
    return Section(anchor="method", name="Method", heading="Method and citations", body=body)


def provenance_section(results: StudyResults) -> Section:
    """Where the numbers come from, the settings, and the command that makes them again."""
    rows = "".join(
        f'<tr><th scope="row">{html.escape(key)}</th><td>{html.escape(text)}</td></tr>'
        for key, text in _flat(results.provenance)
    )
    table = f'<div class="scroll"><table class="provenance"><tbody>{rows}</tbody></table></div>'
    if not rows:
        table = paragraphs("No provenance was recorded with these results.")
    again = ""
    if results.settings:
        again = f"""<p>To make this study again, with <code>study.yaml</code> from beside this report:</p>
<pre id="command">{html.escape(repeat_command(results))}</pre>
<p><button type="button" class="copy" data-copy="command">Copy the command</button></p>
<details><summary>study.yaml, every setting</summary><pre>{html.escape(study_yaml(results))}</pre></details>"""
    body = again + "<h3>Versions, hashes, machine, times</h3>" + table
    return Section(anchor="provenance", name="Provenance", heading="Where it comes from", body=body)


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Nested records as rows: key.key, text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for k, item in enumerate(value, start=1):
            yield from _flat(item, f"{path} {k}")
    elif isinstance(value, list | tuple):
        yield path, ", ".join(map(str, value))
    else:
        yield path, "not recorded" if value in (None, "") else str(value)

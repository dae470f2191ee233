"""The later sections: motion, Arrhenius, comparison, method, citations, provenance."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping

from halion.report.citations import bibtex, citations_for
from halion.report.density import density_block
from halion.report.mechanism import mechanism_block
from halion.report.method import method_paragraph, repeat_command, study_yaml
from halion.report.page import Material, Section, figure_block, paragraphs, table_block
from halion.report.study_rows import STUDY_SOURCE, reduced_formula
from halion.report.text import between, plus_minus, short
from halion.report.types import StudyResults
from halion.transport.summary import TransportSummary

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
        below = figure_block(material, "framework") + _directions(results, material) + density_block(results)
        below += mechanism_block(results, material)
        body = f'<div class="grid">{pair}</div>{below}'
    return Section(anchor="motion", name="Motion", heading="How the ions moved", body=body)


def _directions(results: StudyResults, material: Material) -> str:
    """D along the axes, and whether one of them is faster."""
    found = results.summary.anisotropy if results.summary else None
    if found is None:
        return ""
    return (
        "<h3>Along the axes of the cell</h3>"
        + paragraphs(found.verdict)
        + table_block(
            material, "directions", "a, b, c: along the cell vectors; ab: in their plane; c*: normal to it."
        )
    )


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
    parts += _judgement(results, material)
    return Section(anchor="arrhenius", name="Arrhenius", heading="Temperature dependence", body="\n".join(parts))


def _judgement(results: StudyResults, material: Material) -> list[str]:
    """Whether one line is enough, what hangs on single temperatures, the published way, and what to run next."""
    summary = results.summary
    if summary is None:
        return []
    parts = []
    if summary.regimes is not None:
        parts += ["<h3>One activation energy or two?</h3>", paragraphs(summary.regimes.words)]
    if summary.influence:
        caption = "The fit without each temperature in turn; a shift above one standard deviation moves the answer."
        parts += ["<h3>Without one temperature</h3>", table_block(material, "influence", caption)]
    if summary.published is not None and summary.published[0] is not None:
        parts += ["<h3>As the literature prints it</h3>", paragraphs(_published(summary))]
    if summary.haven:
        caption = (
            "D of one ion by itself and of the sum over all, over the same lags; their ratio is the Haven ratio."
        )
        parts += ["<h3>Do ions move together?</h3>", paragraphs(*_together(summary))]
        parts.append(table_block(material, "haven", caption))
    if summary.plan is not None:
        parts += ["<h3>What to run next</h3>", paragraphs(summary.plan.words)]
    return parts


def _together(summary: TransportSummary) -> list[str]:
    texts = [f"{one.temperature_k:.0f} K: {one.verdict}" for one in summary.haven]
    sigma = summary.with_haven
    if sigma is not None and math.isfinite(sigma.conductivity_ms_per_cm):
        texts.append(
            f"Divided by the best known of them, the conductivity at {sigma.temperature_k:g} K would be "
            f"{short(sigma.conductivity_ms_per_cm, 2)} mS/cm "
            f"({between(sigma.low_ms_per_cm, sigma.high_ms_per_cm)}, 68 %), if it does not depend on temperature."
        )
    else:
        texts.append("None is known well enough to correct the conductivity: it is Nernst-Einstein's.")
    return texts


def _published(summary: TransportSummary) -> str:
    line, sigma = summary.published
    energy = plus_minus(line.activation_energy, line.activation_energy_std, "eV")
    value = (
        f"{short(sigma.conductivity_ms_per_cm, 2)} mS/cm ({between(sigma.low_ms_per_cm, sigma.high_ms_per_cm)})"
        if math.isfinite(sigma.conductivity_ms_per_cm)
        else "no value"
    )
    return (
        f"With He 2018's errors and without the covariance of prefactor and energy, as the study and He 2018 print "
        f"them: Ea {energy}, conductivity at {sigma.temperature_k:g} K {value}. For comparison only: the interval "
        "is wider than the data are uncertain."
    )


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

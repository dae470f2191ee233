"""The first sections: the answer, and what speaks for and against believing it."""

from __future__ import annotations

import html

from halion.report.answer import Answer, answer_of
from halion.report.checks import Check, Light, checks_of
from halion.report.page import Material, Section, paragraphs, table_block
from halion.report.shipped_errors import shipped_errors_block
from halion.report.text import plain, plus_minus, short
from halion.report.types import StudyResults
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["answer_section", "page_top", "trust_section"]

_WORDS: dict[Light, str] = {"good": "good", "fair": "doubtful", "bad": "bad"}
# Shapes beside colours, so that the lights are told apart without colour.
_SHAPES: dict[Light, str] = {"good": "●", "fair": "▲", "bad": "■"}


def light(grade: Light) -> str:
    """A traffic light: a coloured shape, with its meaning for screen readers."""
    return (
        f'<span class="light {grade}" role="img" aria-label="{_WORDS[grade]}" title="{_WORDS[grade]}">'
        f"{_SHAPES[grade]}</span>"
    )


def page_top(results: StudyResults) -> str:
    """Heading, and before everything else the caveats."""
    banner = ""
    if results.caveats:
        items = "\n".join(f"<li>{html.escape(caveat)}</li>" for caveat in results.caveats)
        banner = f'<aside class="caveats" role="note"><h2>Know this first</h2>\n<ul>{items}</ul></aside>'
    preset = results.settings.get("preset", "") if results.settings else ""
    about = " · ".join(
        text
        for text in (
            results.crystal.space_group,
            results.composition.formula,
            f"{results.composition.n_atoms} atoms",
            results.ranking.potential,
            f"preset {preset}" if preset else "",
        )
        if text
    )
    return f"""{banner}
<header><p class="kicker">Ionic conductivity report</p>
<h1>{html.escape(results.title)}</h1>
<p class="about">{html.escape(about)}</p></header>"""


def answer_section(results: StudyResults) -> Section:
    """The answer with its error bar and a verdict in words."""
    answer = answer_of(results)
    intervals = "".join(f"<li>{html.escape(text)}</li>" for text in answer.intervals)
    body = f"""<div class="answer {answer.light}">
<div class="headline">
<div><p class="label">{html.escape(answer.quantity)}, ionic conductivity</p>
<p class="value">{html.escape(answer.value)}</p>
<ul class="intervals">{intervals}</ul></div>
{_energy(results, answer)}
</div>
<p class="verdict">{html.escape(answer.verdict)}</p>
<p class="reliance">{light(answer.light)} {html.escape(answer.light_reason)}</p>
</div>"""
    return Section(anchor="answer", name="Answer", heading="The answer", body=body)


def _energy(results: StudyResults, answer: Answer) -> str:
    fit = results.arrhenius
    if fit is None:
        return (
            '<div><p class="label">Activation energy</p>'
            f'<p class="value small">{html.escape(answer.activation_energy)}</p></div>'
        )
    points = f"one standard deviation; {len(fit.temperatures_k)} temperatures"
    quality = f"χ²/dof {short(fit.chi2_per_dof, 2)}" if len(fit.temperatures_k) > 2 else "χ² has no meaning for two"
    left_out = ""
    if len(fit.left_out_k):
        left_out = "<li>left out: " + ", ".join(f"{kelvin:.0f} K" for kelvin in fit.left_out_k) + "</li>"
    return (
        '<div><p class="label">Activation energy</p>'
        f'<p class="value">{html.escape(answer.activation_energy)}</p>'
        f'<ul class="intervals"><li>{points}</li><li>{quality}</li>{left_out}</ul></div>'
    )


def trust_section(results: StudyResults, material: Material) -> Section:
    """Per temperature a row of lights with their numbers, then the reasons, then what failed."""
    parts = []
    if results.runs:
        parts = [_legend(), _lights(results), _reasons(results)]
        parts.append(
            "<details><summary>All numbers of every run</summary>"
            + table_block(material, "runs", "One row per run; a dash stands where a quantity has no meaning.")
            + table_block(material, "errors", "Relative errors of D by every method, and D by both estimators.")
            + table_block(material, "diffusivity-tensor", "Cartesian components of D, each with its own error.")
            + "</details>"
        )
    else:
        parts = [paragraphs("No run has ended: there is nothing to check yet.")]
    parts += [shipped_errors_block(results, material), _failures(results)]
    return Section(
        anchor="trust", name="Believe it?", heading="What speaks for and against it", body="\n".join(parts)
    )


def _legend() -> str:
    words = " ".join(f"<span>{light(grade)} {_WORDS[grade]}</span>" for grade in _WORDS)
    return f'<p class="legend">{words} <span class="hint">each number is explained under the table</span></p>'


def _lights(results: StudyResults) -> str:
    runs = sorted(results.runs, key=lambda run: run.target_temperature_k)
    names = [check.name for check in checks_of(runs[0])]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = []
    for run in runs:
        value = "–"
        if run.is_diffusive:
            micro = 1e6 * diffusivity_to_cm2_per_s(1.0)
            value = plus_minus(micro * run.diffusivity, micro * run.diffusivity_std)
        elif run.upper_bound == run.upper_bound:
            value = f"< {short(1e6 * diffusivity_to_cm2_per_s(run.upper_bound), 2)}"
        cells = "".join(_cell(check) for check in checks_of(run))
        rows.append(
            f'<tr><th scope="row">{plain(run.target_temperature_k, "K")}</th>'
            f'<td data-label="D (10⁻⁶ cm²/s)">{html.escape(value)}</td>{cells}</tr>'
        )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="checks"><table class="lights">'
        f'<thead><tr><th scope="col">run</th><th scope="col">D (10⁻⁶ cm²/s)</th>{head}</tr></thead>\n'
        "<tbody>" + "\n".join(rows) + "</tbody></table></div>"
    )


def _cell(check: Check) -> str:
    return (
        f'<td data-label="{html.escape(check.name)}" title="{html.escape(check.words)}">'
        f"{light(check.light)} {html.escape(check.value)}</td>"
    )


def _reasons(results: StudyResults) -> str:
    """The sentences behind the lights, run by run; those that are not green come first and open."""
    blocks = []
    for run in sorted(results.runs, key=lambda run: run.target_temperature_k):
        checks = checks_of(run)
        against = [check for check in checks if check.light != "good"]
        items = "".join(
            f"<li>{light(check.light)} <b>{html.escape(check.name)}</b>: {html.escape(check.words)}</li>"
            for check in sorted(checks, key=lambda check: ("bad", "fair", "good").index(check.light))
            if check.words
        )
        state = "all checks pass" if not against else f"{len(checks) - len(against)} of {len(checks)} checks pass"
        blocks.append(
            f'<details class="reasons"><summary>{plain(run.target_temperature_k, "K")}: '
            f"{html.escape(run.verdict)}, {state}</summary><ul>{items}</ul></details>"
        )
    return "\n".join(blocks)


def _failures(results: StudyResults) -> str:
    if not results.failures:
        return "<p class='fine'>No step refused or failed.</p>"
    items = "\n".join(
        f"<li>{light('bad')} <b>{html.escape(failure.step)}</b><pre>{html.escape(failure.message)}</pre></li>"
        for failure in results.failures
    )
    return f'<h3>What refused or failed</h3><ul class="failures">{items}</ul>'

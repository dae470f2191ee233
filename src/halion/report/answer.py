"""The answer of a study in words: a value with its intervals, an upper bound, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from halion.report.checks import Light, checks_of
from halion.report.text import between, fixed, plus_minus, short
from halion.report.types import StudyResults
from halion.transport.types import RunTransport

__all__ = ["Answer", "answer_of", "report_text"]

UNIT = "mS/cm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first thing a reader sees.

    Attributes:
        light: how much it can be relied on.
        quantity: e.g. "σ(300 K)".
        value: e.g. "3.2 mS/cm", "< 4 mS/cm", "no answer".
        intervals: sentences with the 68 % and 95 % intervals; empty where there are none.
        activation_energy: e.g. "0.31 ± 0.03 eV", or why it is missing.
        verdict: in words.
        light_reason: why this light.
    """

    light: Light
    quantity: str
    value: str
    intervals: tuple[str, ...]
    activation_energy: str
    verdict: str
    light_reason: str


def answer_of(results: StudyResults) -> Answer:
    """The answer of a study, complete or not."""
    sigma, fit = results.conductivity, results.arrhenius
    quantity = f"σ({short(sigma.temperature_k) if sigma else '300'} K)"
    energy = "missing: fewer than two temperatures diffused"
    if fit is not None:
        energy = plus_minus(fit.activation_energy, fit.activation_energy_std, "eV")
    light, reason = _light(results)
    value, intervals, verdict = "no answer", (), f"No answer, because {_why_none(results)}"
    if sigma is not None and math.isfinite(sigma.conductivity_ms_per_cm):
        value = short(sigma.conductivity_ms_per_cm, 2, UNIT)
        intervals = (
            f"68 %: {between(sigma.low_ms_per_cm, sigma.high_ms_per_cm, UNIT)}",
            f"95 %: {between(sigma.low95_ms_per_cm, sigma.high95_ms_per_cm, UNIT)}",
        )
        verdict = sigma.verdict
    elif sigma is not None and math.isfinite(sigma.upper_bound_ms_per_cm):
        value = f"< {short(sigma.upper_bound_ms_per_cm, 2, UNIT)}"
        intervals = ("95 % upper bound; no value can be given",)
        verdict = sigma.verdict
    elif sigma is not None and sigma.verdict:
        verdict = sigma.verdict
    return Answer(
        light=light,
        quantity=quantity,
        value=value,
        intervals=intervals,
        activation_energy=energy,
        verdict=verdict,
        light_reason=reason,
    )


def _why_none(results: StudyResults) -> str:
    if results.failures:
        others = f" ({len(results.failures) - 1} more below)" if len(results.failures) > 1 else ""
        first = results.failures[0]
        return f"{first.step} refused: {' '.join(first.message.split())}{others}"
    if not results.runs:
        return "no run has ended yet."
    if not any(run.is_diffusive for run in results.runs):
        return "no run diffused."
    return "one diffusive temperature gives no activation energy; at least two are needed."


def _light(results: StudyResults) -> tuple[Light, str]:
    """Red without a value, green only if nothing speaks against it."""
    checks = [check for run in results.runs for check in checks_of(run)]
    passed = f"{sum(check.light == 'good' for check in checks)} of {len(checks)} checks pass"
    sigma = results.conductivity
    if sigma is None or not math.isfinite(sigma.conductivity_ms_per_cm):
        kind = "an upper bound, not a value" if sigma and math.isfinite(sigma.upper_bound_ms_per_cm) else "no value"
        return "bad", kind + (f"; {passed}" if checks else "")
    against = []
    if sigma.is_extrapolated and results.arrhenius is not None:
        hot = results.arrhenius.temperatures_k
        against.append(f"extrapolated from {fixed(min(hot), 0)}–{fixed(max(hot), 0)} K")
    if results.caveats:
        against.append(f"{len(results.caveats)} caveat{'s' if len(results.caveats) > 1 else ''}")
    if results.failures:
        against.append(f"{len(results.failures)} failed step{'s' if len(results.failures) > 1 else ''}")
    if sigma.high95_ms_per_cm > 10 * sigma.low95_ms_per_cm:
        against.append("95 % interval wider than a factor of ten")
    weak = any(check.light == "bad" for check in checks)
    light: Light = "good" if not against and not weak else "fair"
    return light, "; ".join([passed, *against])


def report_text(results: StudyResults) -> str:
    """A short plain-text report for a terminal: answer, verdict, caveats, table of temperatures, failures."""
    answer = answer_of(results)
    joined = {"<": " ", "n": ": "}.get(answer.value[0], " = ")  # an upper bound, no answer, a value
    lines = [f"{results.title}: {answer.quantity}{joined}{answer.value}"]
    lines += [f"  {interval}" for interval in answer.intervals]
    lines += [f"  Ea: {answer.activation_energy}", f"  {answer.verdict}", f"  ({answer.light_reason})"]
    lines += [f"  {results.extension}"] if results.extension else []
    lines += [f"  caveat: {caveat}" for caveat in results.caveats]
    if results.runs:
        lines += ["", *_aligned([_HEADER, *(_row(run) for run in _by_temperature(results))])]
    lines += [f"\nfailed: {failure.step}: {' '.join(failure.message.split())}" for failure in results.failures]
    return "\n".join(lines) + "\n"


_HEADER = ("T (K)", "D (10⁻⁶ cm²/s)", "hops", "hopped", "slope", "verdict")


def _row(run: RunTransport) -> tuple[str, ...]:
    if run.is_diffusive:
        # 1 Angstrom^2/ps is 1e-4 cm^2/s, hence 100 of the header's unit.
        diffusivity = plus_minus(100 * run.diffusivity, 100 * run.diffusivity_std)
    else:
        diffusivity = f"< {short(100 * run.upper_bound, 2)}" if math.isfinite(run.upper_bound) else "none"
    return (
        fixed(run.temperature_k, 0),
        diffusivity,
        short(run.n_eff),
        fixed(100 * run.hopped_fraction, 0, "%"),
        fixed(run.log_slope, 2),
        run.verdict,
    )


def _by_temperature(results: StudyResults) -> list[RunTransport]:
    return sorted(results.runs, key=lambda run: run.target_temperature_k)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]

"""All questions of stability put to one series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from halion.errors import InputError
from halion.stability.cells import StructureOverX, structure_over_x
from halion.stability.decomposition import Compound, Decomposition, decompositions
from halion.stability.difference import PhaseDifference, phase_difference
from halion.stability.formation import FormationEnergies, formation_energies
from halion.stability.free_energy import FreeEnergyCurve, FreeEnergyModel, free_energy_curve
from halion.stability.hull import Hull, convex_hull
from halion.stability.mixing import CriticalPoint, MixingFit, critical_point, fit_mixing
from halion.stability.types import EnergyError, SeriesEnergies

__all__ = ["Stability", "StabilityQuestions", "assess_stability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityQuestions:
    """What is asked.

    Attributes:
        error: of the potential; None: no bands.
        temperatures_k: of the free energies.
        compounds: to decompose into; empty: not asked.
        mixed_sites: sites per formula unit that both elements share; None: the x of the second end.
        energies: as `FreeEnergyModel.energies`.
    """

    error: EnergyError | None = None
    temperatures_k: tuple[float, ...] = (300.0,)
    compounds: tuple[Compound, ...] = ()
    mixed_sites: float | None = None
    energies: Literal["lowest", "random"] = "lowest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The stability of a series.

    Attributes:
        phases: names.
        ends: formulas of the end members.
        provenance: what all energies were made with.
        formation: formation energies.
        differences: of each pair of phases with an x in common.
        hull: at 0 K.
        decompositions: against compounds; empty: not asked.
        fits: mixing energies of the phases that have ends and mixtures.
        critical: top of the miscibility gap of each of them.
        free_energies: one per temperature.
        structure: cells over x.
        left_out: (phase, x, reason) of what is in no curve.
        findings: everything found, in sentences.
    """

    phases: tuple[str, ...]
    ends: tuple[str, str]
    provenance: str
    formation: FormationEnergies
    differences: tuple[PhaseDifference, ...]
    hull: Hull
    decompositions: tuple[Decomposition, ...]
    fits: tuple[MixingFit, ...]
    critical: tuple[CriticalPoint, ...]
    free_energies: tuple[FreeEnergyCurve, ...]
    structure: StructureOverX
    left_out: tuple[tuple[str, float, str], ...]
    findings: tuple[str, ...]


def assess_stability(series: SeriesEnergies, questions: StabilityQuestions | None = None) -> Stability:
    """Formation energies, differences, hull, decomposition, free energies and cells of a series.

    A phase without an end or without a mixture has no mixing curve, and the findings say so.

    Raises:
        InputError: as the functions that it calls.

    Checked by tests/stability/test_stability_assess.py: each part is that of its function; a series that is
    regular solutions in closed form.
    """
    asked = questions or StabilityQuestions()
    formation = formation_energies(series, asked.error)
    differences = _differences(series, asked.error)
    hull = convex_hull(series, asked.error)
    into = decompositions(series, asked.compounds, asked.error) if asked.compounds else ()
    fits, unfitted = _fits(series, asked.error)
    sites = series.most if asked.mixed_sites is None else asked.mixed_sites
    critical = tuple(critical_point(fit, sites) for fit in fits)
    curves = tuple(
        free_energy_curve(
            fits, series.most, FreeEnergyModel(temperature_k=kelvin, mixed_sites=sites, energies=asked.energies)
        )
        for kelvin in asked.temperatures_k
        if fits
    )
    left_out = tuple((point.phase, point.x, point.left_out) for point in series.points if point.left_out)
    findings = [f"Left out: {phase} at x = {x:g}, {reason}." for phase, x, reason in left_out]
    findings += [each.verdict for each in differences] + [hull.verdict] + _of_decomposition(into)
    findings += [_of_critical(each) for each in critical] + [each.verdict for each in curves]
    findings += unfitted + ([] if not curves else list(curves[0].notes))
    if asked.error is None:
        findings.append("No error of the potential was given, so nothing has a band.")
    return Stability(
        phases=series.phases,
        ends=series.ends,
        provenance=series.points[0].provenance,
        formation=formation,
        differences=differences,
        hull=hull,
        decompositions=into,
        fits=fits,
        critical=critical,
        free_energies=curves,
        structure=structure_over_x(series),
        left_out=left_out,
        findings=tuple(findings),
    )


def _differences(series: SeriesEnergies, error: EnergyError | None) -> tuple[PhaseDifference, ...]:
    found = []
    for first, second in combinations(series.phases, 2):
        shared = {round(p.x, 6) for p in series.curve(first)} & {round(p.x, 6) for p in series.curve(second)}
        if shared:
            found.append(phase_difference(series, first, second, error))
    return tuple(found)


def _fits(series: SeriesEnergies, error: EnergyError | None) -> tuple[tuple[MixingFit, ...], list[str]]:
    fits, told = [], []
    for phase in series.phases:
        try:
            fits.append(fit_mixing(series, phase, error))
        except InputError as reason:
            told.append(f"No mixing curve of {phase}: {reason.what}.")
    return tuple(fits), told


def _of_decomposition(found: Sequence[Decomposition]) -> list[str]:
    """Of the lowest phase at each x."""
    lowest: dict[float, Decomposition] = {}
    for each in found:
        if not each.left_out and (each.x not in lowest or each.energy < lowest[each.x].energy):
            lowest[each.x] = each
    if not lowest:
        return []
    worst = max(lowest.values(), key=lambda each: each.energy)
    band = f" (± {1000 * worst.std:.1f})" if worst.std == worst.std else ""
    if worst.is_stable:
        return [
            f"No lowest phase decomposes into the compounds given; nearest to it is {worst.reaction}, which costs "
            f"{-1000 * worst.energy:.1f}{band} meV/atom."
        ]
    n = sum(not each.is_stable for each in lowest.values())
    return [
        f"At {n} of {len(lowest)} compositions the lowest phase decomposes at 0 K; most gained is "
        f"{1000 * worst.energy:.1f}{band} meV/atom: {worst.reaction}."
    ]


def _of_critical(point: CriticalPoint) -> str:
    band = f" (68 %: {point.low_k:.0f} to {point.high_k:.0f} K)" if point.low_k == point.low_k else ""
    if point.temperature_k == 0:
        return f"{point.phase}: its mixing energy bends upward at every x: no spinodal at any temperature{band}."
    return f"{point.phase}: its miscibility gap closes at {point.temperature_k:.0f} K{band}."

"""How the ions move from site to site: tables and words."""

from __future__ import annotations

import html
import math

import numpy as np

from halion.report.page import Material, table_block
from halion.report.table import Cell, Table, number, word
from halion.report.text import fixed, plus_minus, short
from halion.report.types import StudyResults
from halion.transport.mechanism import MechanismSummary
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["mechanism_block", "mechanism_tables"]

_MICRO = 1e6 * diffusivity_to_cm2_per_s(1.0)


def mechanism_tables(results: StudyResults) -> tuple[Table, ...]:
    """Ways through the crystal, kinds of hops, sites, and every edge of the network."""
    return (_ways(results), _kinds(results), _sites(results), _edges(results))


def mechanism_block(results: StudyResults, material: Material) -> str:
    """What the hops of each run say; nothing where ions have no sites."""
    if not results.mechanisms:
        return ""
    items = "".join(
        f"<li>{fixed(one.temperature_k, 0)} K: {html.escape(one.verdict)}</li>" for one in results.mechanisms
    )
    return (
        f"<h3>From site to site</h3><ul>{items}</ul>"
        + table_block(
            material,
            "mechanism",
            "Barriers: kT ln of the highest density over that of the highest pass on a way along a, b, c; a dash "
            "where none leads through. D of independent hops is what the hops would give if none led back.",
        )
        + "<details><summary>Kinds of hops, and the sites</summary>"
        + table_block(material, "hop-kinds", "Sites at both ends, and what their polyhedra share.")
        + table_block(material, "sites", "Peaks of the density, in fractions of the run's cell.")
        + "</details>"
    )


def _ways(results: StudyResults) -> Table:
    columns = (
        "T (K)",
        "Sites",
        "Hops",
        "Hops per ion (1/ns)",
        "Led back (%)",
        "Dimensions",
        "Weakest link (hops)",
        *(f"Barrier along {axis} (eV)" for axis in "abc"),
        "D of independent hops (10⁻⁶ cm²/s)",
    )
    return Table(name="mechanism", columns=columns, rows=tuple(_way(one) for one in results.mechanisms))


def _way(one: MechanismSummary) -> tuple[Cell, ...]:
    ways = one.network.by_hops
    return (
        number(one.temperature_k, lambda kelvin: fixed(kelvin, 0)),
        number(len(one.sites), lambda n: str(n)),
        number(one.n_hops, lambda n: str(n)),
        number(1000 * one.rate_per_ps, lambda rate: short(rate, 3)),
        number(100 * one.returned, lambda percent: fixed(percent, 0) if math.isfinite(percent) else "–"),
        number(ways.dimension, lambda n: str(n)),
        number(
            ways.strength[-1] if ways.strength else math.nan, lambda n: fixed(n, 0) if math.isfinite(n) else "–"
        ),
        *(
            number(barrier, lambda value: fixed(value, 3) if math.isfinite(value) else "–")
            for barrier in one.network.barrier_along_ev
        ),
        number(_MICRO * float(np.trace(one.network.hop_diffusivity)) / 3, lambda value: short(value, 3)),
    )


def _kinds(results: StudyResults) -> Table:
    columns = ("T (K)", "Kind", "Hops per ion (1/ns)", "Share (%)", "Share of D of independent hops (%)")
    rows = []
    for one in results.mechanisms:
        whole = float(np.trace(one.network.hop_diffusivity))
        for kind, rate in sorted(one.network.by_kind.items(), key=lambda item: -item[1]):
            part = float(np.trace(np.asarray(one.network.kind_diffusivity[kind])))
            rows.append(
                (
                    number(one.temperature_k, lambda kelvin: fixed(kelvin, 0)),
                    word(kind),
                    number(1000 * rate, lambda value: short(value, 3)),
                    number(100 * rate / one.rate_per_ps, lambda percent: fixed(percent, 0)),
                    number(100 * part / whole if whole else math.nan, lambda percent: fixed(percent, 0)),
                )
            )
    return Table(name="hop-kinds", columns=columns, rows=tuple(rows))


def _sites(results: StudyResults) -> Table:
    columns = ("T (K)", "a", "b", "c", "Ions", "Kind", "Anions at (Å)")
    rows = tuple(
        (
            number(one.temperature_k, lambda kelvin: fixed(kelvin, 0)),
            *(number(float(x), lambda value: fixed(value, 3)) for x in site.fractional),
            number(site.occupancy, lambda value: fixed(value, 2)),
            word(site.kind),
            number(site.anion_distance, lambda value: fixed(value, 2) if math.isfinite(value) else "–"),
        )
        for one in results.mechanisms
        for site in one.sites
    )
    return Table(name="sites", columns=columns, rows=rows, is_sortable=True)


def _edges(results: StudyResults) -> Table:
    columns = (
        "T (K)",
        "From",
        "To",
        "Cell of the second",
        "Length (Å)",
        "Hops there",
        "Hops back",
        "Rate there (1/ps)",
        "σ of it (1/ps)",
        "Rate back (1/ps)",
        "σ of it back (1/ps)",
        "Barrier (eV)",
        "Kind",
    )
    rows = tuple(
        (
            number(one.temperature_k, lambda kelvin: fixed(kelvin, 0)),
            number(edge.first, lambda n: str(n)),
            number(edge.second, lambda n: str(n)),
            word(" ".join(map(str, edge.image))),
            number(edge.length, lambda value: fixed(value, 2)),
            number(edge.n_forward, lambda n: str(n)),
            number(edge.n_back, lambda n: str(n)),
            number(edge.rate_forward, plus_minus(edge.rate_forward, edge.rate_forward_std)),
            number(edge.rate_forward_std, lambda value: short(value, 2)),
            number(edge.rate_back, plus_minus(edge.rate_back, edge.rate_back_std)),
            number(edge.rate_back_std, lambda value: short(value, 2)),
            number(edge.barrier_ev, lambda value: fixed(value, 3) if math.isfinite(value) else "–"),
            word(edge.kind),
        )
        for one in results.mechanisms
        for edge in one.network.edges
    )
    return Table(name="hops", columns=columns, rows=rows)

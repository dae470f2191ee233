"""Conductivity, activation energy and volume over x, and the table that holds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np

from halion.report.campaign.types import CampaignMember, CampaignResults
from halion.report.figure import BLUE, GREEN, GREY, INK, PURPLE, VERMILION, Axis, Figure, Marker, Series
from halion.report.reproduction.published import END_MEMBERS, published_study
from halion.report.table import Cell, Table, number, word
from halion.report.text import short
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["campaign_figures", "members_table", "runs_table"]

_COLOURS = (VERMILION, BLUE, GREEN, PURPLE)
_MARKERS: tuple[Marker, ...] = ("square", "circle", "diamond", "triangle-down")
_BY_OTHERS = "measured (see the reproduction's sources)"

# Middle, low and high end of the 68 % interval; NaN: none.
_Value = Callable[[CampaignMember], tuple[float, float, float]]


def campaign_figures(found: CampaignResults) -> tuple[Figure, ...]:
    """Conductivity at the report temperature and activation energy over x; the measured points beside the first.

    Checked by tests/report/test_report_campaign.py: every value is drawn.
    """
    conductivity = Figure(
        name="conductivity-over-x",
        title="Conductivity over x",
        caption="Bars: 68 %, all replicas of an x together. Triangles without bars: upper bounds (95 %).",
        x=_axis(found),
        y=Axis(title="Conductivity at 300 K", unit="mS/cm", is_log=True),
        series=(*_phases(found, conductivity_of), *_bounds(found), *_measured(found)),
    )
    energy = Figure(
        name="activation-energy-over-x",
        title="Activation energy over x",
        caption="Bars: one standard deviation.",
        x=_axis(found),
        y=Axis(title="Activation energy", unit="eV"),
        series=tuple(_phases(found, energy_of)),
    )
    return tuple(figure for figure in (conductivity, energy) if any(len(one.x) for one in figure.series))


def conductivity_of(member: CampaignMember) -> tuple[float, float, float]:
    """mS/cm at the report temperature, and its 68 % interval."""
    value = member.summary.conductivity if member.summary else None
    if value is None:
        return math.nan, math.nan, math.nan
    return value.conductivity_ms_per_cm, value.low_ms_per_cm, value.high_ms_per_cm


def bound_of(member: CampaignMember) -> float:
    """Upper bound of the conductivity (95 %), mS/cm; NaN where there is a value or nothing."""
    value = member.summary.conductivity if member.summary else None
    return math.nan if value is None else value.upper_bound_ms_per_cm


def energy_of(member: CampaignMember) -> tuple[float, float, float]:
    """Activation energy, eV, and one standard deviation either way."""
    line = member.summary.arrhenius if member.summary else None
    if line is None:
        return math.nan, math.nan, math.nan
    value, std = line.activation_energy, line.activation_energy_std
    return value, value - std, value + std


def _axis(found: CampaignResults) -> Axis:
    return Axis(title=f"x in {found.title}")


def _phases(found: CampaignResults, value: _Value) -> Iterator[Series]:
    names = dict.fromkeys(member.phase for member in found.members)
    for phase, colour, marker in zip(names, cycle(_COLOURS), cycle(_MARKERS)):
        rows = [(m.x, *value(m)) for m in found.members if m.phase == phase]
        known = np.array([row for row in rows if math.isfinite(row[1])], dtype=float).reshape(-1, 4)
        yield Series(
            label=phase,
            x=known[:, 0],
            y=known[:, 1],
            y_low=known[:, 2],
            y_high=known[:, 3],
            style="points",
            marker=marker,
            colour=colour,
        )


def _bounds(found: CampaignResults) -> Iterator[Series]:
    rows = [(m.x, bound_of(m)) for m in found.members if math.isfinite(bound_of(m))]
    if rows:
        x, y = np.array(rows, dtype=float).T
        yield Series(label="upper bound (95 %)", x=x, y=y, style="points", marker="triangle-down", colour=GREY)


def _measured(found: CampaignResults) -> Iterator[Series]:
    """Experiments on this very series, from the data of the reproduction."""
    ends = tuple(END_MEMBERS.values())
    if found.title != " to ".join(ends):
        return
    study = published_study()
    rows = [(x, value) for x, value, _ in study.conductivity]
    rows += [
        (x, row.conductivity_ms_per_cm)
        for x, name in END_MEMBERS.items()
        for row in study.rows[name]
        if row.kind == "experiment" and math.isfinite(row.conductivity_ms_per_cm)
    ]
    if rows:
        x, y = np.array(rows, dtype=float).T
        yield Series(label=_BY_OTHERS, x=x, y=y, style="points", marker="circle-open", colour=INK)


def members_table(found: CampaignResults) -> Table:
    """One row per member: its structure, its energy and its transport."""
    columns = (
        *("member", "x", "phase", "atoms", "above the lowest phase (meV/atom)", "volume at rest (Å³/atom)"),
        *("conductivity (mS/cm)", "68 % low", "68 % high", "upper bound (95 %)"),
        *("activation energy (eV)", "std (eV)", "D0 (cm²/s)", "along c* over in ab", "diffusive runs", "runs"),
    )
    return Table(
        name="members", columns=columns, rows=tuple(map(_member_row, found.members)), is_sortable=True, wraps=True
    )


def _member_row(member: CampaignMember) -> tuple[Cell, ...]:
    middle, low, high = conductivity_of(member)
    energy, _, end = energy_of(member)
    line = member.summary.arrhenius if member.summary else None
    across = member.summary.anisotropy if member.summary else None
    prefactor = math.nan if line is None else diffusivity_to_cm2_per_s(math.exp(line.ln_prefactor))
    values = (middle, low, high, bound_of(member), energy, end - energy, prefactor)
    moved = sum(run.is_diffusive for run in member.runs)
    return (
        word(member.name),
        number(member.x, f"{member.x:g}"),
        word(member.phase),
        number(member.n_atoms, str(member.n_atoms)),
        number(1000 * member.above, f"{1000 * member.above:.1f}"),
        number(member.volume_per_atom, f"{member.volume_per_atom:.2f}"),
        *(number(value, _shown(value)) for value in values),
        number(across.ratio if across else math.nan, _shown(across.ratio if across else math.nan)),
        number(moved, str(moved)),
        number(len(member.runs), str(len(member.runs))),
    )


def runs_table(found: CampaignResults) -> Table:
    """Every run of every member: nothing is chosen."""
    columns = ("member", "T (K)", "D (10⁻⁶ cm²/s)", "std", "upper bound (95 %)", "hops", "verdict", "run")
    rows = []
    for member in found.members:
        for run in member.runs:
            known = (run.diffusivity, run.diffusivity_std) if run.is_diffusive else (math.nan, math.nan)
            shown = [1e6 * diffusivity_to_cm2_per_s(one) for one in (*known, run.upper_bound)]
            rows.append(
                (
                    word(member.name),
                    number(run.temperature_k, f"{run.temperature_k:.0f}"),
                    *(number(one, _shown(one)) for one in (*shown, run.n_eff)),
                    word(run.verdict),
                    word(run.source),
                )
            )
    return Table(name="runs", columns=columns, rows=tuple(rows), is_sortable=True)


def _shown(value: float) -> str:
    return short(value, 2) if math.isfinite(value) else ""

"""The tables of a study."""

from __future__ import annotations

import math

from halion.report.mechanism import mechanism_tables
from halion.report.shipped_errors import shipped_errors_table
from halion.report.study_rows import reduced_formula, study_rows
from halion.report.table import Cell, Table, number, word
from halion.report.tables_structure import structure_tables
from halion.report.tables_transport import transport_tables
from halion.report.text import between, fixed, plus_minus, short
from halion.report.types import StudyResults

__all__ = ["tables_of"]


def tables_of(results: StudyResults) -> dict[str, Table]:
    """All tables of a study by name; a table without rows is left out."""
    tables = (
        *transport_tables(results),
        *mechanism_tables(results),
        *structure_tables(results),
        _volumes(results),
        shipped_errors_table(results),
        _study(results),
    )
    return {table.name: table for table in tables if table.rows}


def _volumes(results: StudyResults) -> Table:
    reached = sorted(results.equilibrations, key=lambda one: one.temperature_k)
    columns = (
        "Target (K)",
        "Volume per atom (Å³)",
        "σ of volume (Å³)",
        "Mean T (K)",
        "Target pressure (GPa)",
        "Mean pressure (GPa)",
    )
    rows = tuple(
        (
            number(one.temperature_k, short),
            number(one.volume_per_atom, plus_minus(one.volume_per_atom, one.volume_per_atom_std)),
            number(one.volume_per_atom_std, lambda error: short(error, 2)),
            number(one.mean_temperature_k, lambda kelvin: fixed(kelvin, 1)),
            number(one.pressure_gpa, lambda pressure: short(pressure, 2)),
            number(one.mean_pressure_gpa, lambda pressure: fixed(pressure, 2)),
        )
        for one in reached
    )
    return Table(name="volumes", columns=columns, rows=rows)


def _study(results: StudyResults) -> Table:
    rows = study_rows(reduced_formula(results.crystal.composition))
    columns = ("Source", "Kind", "Volume near 300 K (Å³/atom)", "Activation energy (eV)", "σ(300 K) (mS/cm)")
    if not rows:
        return Table(name="study", columns=columns, rows=())
    others = tuple(
        (
            word(row.label),
            word(row.kind),
            _volume_at_300(row.volume),
            number(row.activation_energy_ev, _or_dash),
            number(row.conductivity_ms_per_cm, _or_dash),
        )
        for row in rows
    )
    return Table(name="study", columns=columns, rows=(_own_row(results), *others), highlighted=0, is_sortable=True)


def _own_row(results: StudyResults) -> tuple[Cell, ...]:
    fit, sigma = results.arrhenius, results.conductivity
    energy = number(math.nan, "no answer")
    if fit is not None:
        energy = number(fit.activation_energy, plus_minus(fit.activation_energy, fit.activation_energy_std))
    value = number(math.nan, "no answer")
    # The study's conductivities are at 300 K: another temperature is not comparable.
    if sigma is not None and abs(sigma.temperature_k - 300.0) <= 5.0:
        if math.isfinite(sigma.conductivity_ms_per_cm):
            interval = between(sigma.low_ms_per_cm, sigma.high_ms_per_cm)
            value = number(sigma.conductivity_ms_per_cm, f"{short(sigma.conductivity_ms_per_cm, 2)} ({interval})")
        elif math.isfinite(sigma.upper_bound_ms_per_cm):
            value = number(math.nan, f"< {short(sigma.upper_bound_ms_per_cm, 2)}")
    near = [one for one in results.equilibrations if abs(one.temperature_k - 300.0) <= 5.0]
    volume = number(math.nan, "–")
    if near:
        volume = number(near[0].volume_per_atom, plus_minus(near[0].volume_per_atom, near[0].volume_per_atom_std))
    return (word("this work"), word("this work"), volume, energy, value)


def _volume_at_300(volume: tuple[tuple[float, float], ...]) -> Cell:
    return number(dict(volume).get(300.0, math.nan), _or_dash)


def _or_dash(value: float) -> str:
    return f"{value:g}" if math.isfinite(value) else "–"

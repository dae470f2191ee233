"""The tables of a study."""

from __future__ import annotations

import math

from halion.report.study_rows import reduced_formula, study_rows
from halion.report.table import Cell, Table, number, word
from halion.report.tables_structure import structure_tables
from halion.report.text import between, fixed, plus_minus, short
from halion.report.types import StudyResults
from halion.transport.types import RunTransport
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["tables_of"]


def tables_of(results: StudyResults) -> dict[str, Table]:
    """All tables of a study by name; a table without rows is left out."""
    tables = (
        _runs(results),
        _tensors(results),
        *structure_tables(results),
        _volumes(results),
        _study(results),
    )
    return {table.name: table for table in tables if table.rows}


def _runs(results: StudyResults) -> Table:
    columns = (
        "Target (K)",
        "Mean T (K)",
        "D (10⁻⁶ cm²/s)",
        "σ of D (10⁻⁶ cm²/s)",
        "Upper bound of D (10⁻⁶ cm²/s)",
        "Error by He 2018 (%)",
        "Brownian error (%)",
        "n_eff",
        "Hop length (Å)",
        "Ions that hopped (%)",
        "Log slope",
        "Drift (Å)",
        "Fit from (ps)",
        "Fit to (ps)",
        "Intercept (Å²)",
        "Run (ps)",
        "Frames",
        "Ions",
        "Volume (Å³)",
        "Verdict",
    )
    return Table(name="runs", columns=columns, rows=tuple(_run(run) for run in _sorted(results)))


def _run(run: RunTransport) -> tuple[Cell, ...]:
    micro = 1e6 * diffusivity_to_cm2_per_s(1.0)
    value = run.diffusivity if run.is_diffusive else math.nan
    error = run.diffusivity_std if run.is_diffusive else math.nan
    return (
        number(run.target_temperature_k, short),
        number(run.temperature_k, lambda kelvin: fixed(kelvin, 1)),
        number(micro * value, _with_error(micro * value, micro * error)),
        number(micro * error, lambda spread: short(spread, 2)),
        number(micro * run.upper_bound, lambda bound: short(bound, 2) if math.isfinite(bound) else "–"),
        number(100 * run.rsd_he, lambda percent: fixed(percent, 0)),
        number(100 * run.rsd_brownian, lambda percent: fixed(percent, 0)),
        number(run.n_eff, short),
        number(run.hop_length, short),
        number(100 * run.hopped_fraction, lambda percent: fixed(percent, 0)),
        number(run.log_slope, lambda slope: fixed(slope, 2)),
        number(run.drift, lambda length: short(length, 2)),
        number(run.fit_window_ps[0], short),
        number(run.fit_window_ps[1], short),
        number(run.intercept, lambda area: short(area, 2)),
        number(run.length_ps, short),
        number(run.n_frames, lambda n: str(n)),
        number(run.n_ions, lambda n: str(n)),
        number(run.volume, lambda volume: fixed(volume, 1)),
        word(run.verdict),
    )


def _with_error(value: float, error: float) -> str:
    return plus_minus(value, error) if math.isfinite(value) else "–"


def _tensors(results: StudyResults) -> Table:
    micro = 1e6 * diffusivity_to_cm2_per_s(1.0)
    names = (("xx", 0, 0), ("yy", 1, 1), ("zz", 2, 2), ("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2))
    return Table(
        name="diffusivity-tensor",
        columns=("Target (K)", *(f"D {name} (10⁻⁶ cm²/s)" for name, _, _ in names)),
        rows=tuple(
            (
                number(run.target_temperature_k, short),
                *(
                    number(micro * float(run.diffusivity_tensor[i, j]), lambda value: short(value, 2))
                    for _, i, j in names
                ),
            )
            for run in _sorted(results)
            if run.is_diffusive
        ),
    )


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


def _sorted(results: StudyResults) -> list[RunTransport]:
    return sorted(results.runs, key=lambda run: run.target_temperature_k)

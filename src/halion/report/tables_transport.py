"""Tables of transport: runs, their errors, directions, and what the answer would be without a temperature."""

from __future__ import annotations

import math

from halion.report.table import Cell, Table, number, word
from halion.report.text import fixed, plus_minus, short
from halion.report.types import StudyResults
from halion.transport.types import RunTransport
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["transport_tables"]

_MICRO = 1e6 * diffusivity_to_cm2_per_s(1.0)
_METHODS = {
    "he2018": "He 2018",
    "covariance": "covariance of the lags",
    "block": "parts of the run",
    "replica": "replicas",
}


def transport_tables(results: StudyResults) -> tuple[Table, ...]:
    """All tables of transport; those without rows are left out by whoever shows them."""
    return (
        _runs(results),
        _errors(results),
        _directions(results),
        _tensors(results),
        _influence(results),
        _haven(results),
    )


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
    return Table(name="runs", columns=columns, rows=tuple(_run(run) for run in sorted_runs(results)))


def _run(run: RunTransport) -> tuple[Cell, ...]:
    value = run.diffusivity if run.is_diffusive else math.nan
    error = run.diffusivity_std if run.is_diffusive else math.nan
    return (
        number(run.target_temperature_k, short),
        number(run.temperature_k, lambda kelvin: fixed(kelvin, 1)),
        number(_MICRO * value, _with_error(_MICRO * value, _MICRO * error)),
        number(_MICRO * error, lambda spread: short(spread, 2)),
        number(_MICRO * run.upper_bound, lambda bound: short(bound, 2) if math.isfinite(bound) else "–"),
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


def _errors(results: StudyResults) -> Table:
    columns = (
        "Target (K)",
        "He 2018 (%)",
        "Covariance of the lags (%)",
        "Parts of the run (%)",
        "Replicas (%)",
        "Counts",
        "Independent ions",
        "D, ordinary least squares (10⁻⁶ cm²/s)",
        "D, generalised least squares (10⁻⁶ cm²/s)",
        "Agree",
    )
    return Table(
        name="errors",
        columns=columns,
        rows=tuple(
            (
                number(run.target_temperature_k, short),
                *(number(100 * rsd, _percent) for rsd in (run.rsd_he, run.rsd_covariance, run.rsd_block)),
                number(100 * run.rsd_replica, _percent),
                word(_METHODS.get(run.error_method, run.error_method)),
                number(run.n_independent, lambda n: fixed(n, 1) if math.isfinite(n) else "–"),
                _diffusivity(run.diffusivity, run.diffusivity_std),
                _diffusivity(run.diffusivity_gls, run.diffusivity_gls_std),
                word("yes" if run.estimators_agree else "no"),
            )
            for run in sorted_runs(results)
            if run.is_diffusive
        ),
    )


def _diffusivity(value: float, error: float) -> Cell:
    return number(_MICRO * value, _with_error(_MICRO * value, _MICRO * error))


def _percent(value: float) -> str:
    return fixed(value, 0) if math.isfinite(value) else "–"


def _directions(results: StudyResults) -> Table:
    moved = [run for run in sorted_runs(results) if run.is_diffusive and run.along]
    names = [one.name for one in moved[0].along] if moved else []
    return Table(
        name="directions",
        columns=("Target (K)", *(f"D along {name} (10⁻⁶ cm²/s)" for name in names)),
        rows=tuple(
            (
                number(run.target_temperature_k, short),
                *(_diffusivity(one.diffusivity, one.diffusivity_std) for one in run.along),
            )
            for run in moved
        ),
    )


def _tensors(results: StudyResults) -> Table:
    names = (("xx", 0, 0), ("yy", 1, 1), ("zz", 2, 2), ("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2))
    return Table(
        name="diffusivity-tensor",
        columns=("Target (K)", *(f"D {name} (10⁻⁶ cm²/s)" for name, _, _ in names)),
        rows=tuple(
            (number(run.target_temperature_k, short), *(_component(run, i, j) for _, i, j in names))
            for run in sorted_runs(results)
            if run.is_diffusive
        ),
    )


def _component(run: RunTransport, i: int, j: int) -> Cell:
    value = _MICRO * float(run.diffusivity_tensor[i, j])
    if run.diffusivity_tensor_std is None:
        return number(value, short(value, 2))
    return _diffusivity(float(run.diffusivity_tensor[i, j]), float(run.diffusivity_tensor_std[i, j]))


def _influence(results: StudyResults) -> Table:
    found = results.summary.influence if results.summary else ()
    columns = ("Without (K)", "Activation energy (eV)", "Shift of ln D (standard deviations)", "Moves the answer")
    return Table(
        name="influence",
        columns=columns,
        rows=tuple(
            (
                number(one.temperature_k, short),
                number(one.activation_energy, lambda value: fixed(value, 3) if math.isfinite(value) else "no line"),
                number(one.shift, lambda value: fixed(value, 2) if math.isfinite(value) else "–"),
                word("yes" if one.is_influential else "no"),
            )
            for one in found
        ),
    )


def _haven(results: StudyResults) -> Table:
    columns = (
        "T (K)",
        "D of one ion (10⁻⁶ cm²/s)",
        "D of charge (10⁻⁶ cm²/s)",
        "Haven ratio, 95 % from",
        "Haven ratio, 95 % to",
        "Resolved",
    )
    rows = []
    for one in results.summary.haven if results.summary else ():
        low, high = one.interval(0.95)
        rows.append(
            (
                number(one.temperature_k, lambda kelvin: fixed(kelvin, 0)),
                _diffusivity(one.measured.tracer, one.measured.tracer_std),
                _diffusivity(one.measured.charge, one.measured.charge_std),
                number(low, lambda value: short(value, 2)),
                number(high, lambda value: short(value, 2) if math.isfinite(value) else "–"),
                word("yes" if one.is_resolved else "no"),
            )
        )
    return Table(name="haven", columns=columns, rows=tuple(rows))


def sorted_runs(results: StudyResults) -> list[RunTransport]:
    """The runs, the coldest first."""
    return sorted(results.runs, key=lambda run: run.target_temperature_k)

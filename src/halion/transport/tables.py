"""Transport results as rows, for CSV files and terminals."""

from __future__ import annotations

from collections.abc import Sequence

from halion.transport.types import RunTransport
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["run_rows", "summary_rows"]


def run_rows(run: RunTransport) -> list[dict[str, float]]:
    """One row per lag: time, MSD of the mobile ions with its diagonal, and of each framework element."""
    return [
        {
            "lag_ps": float(lag),
            "msd_angstrom2": float(run.msd[k]),
            **{f"msd_{axis}{axis}_angstrom2": float(run.msd_components[k, i, i]) for i, axis in enumerate("xyz")},
            **{f"msd_{element}_angstrom2": float(values[k]) for element, values in run.framework_msd.items()},
        }
        for k, lag in enumerate(run.lag_time_ps)
    ]


def summary_rows(runs: Sequence[RunTransport]) -> list[dict[str, float | str | int]]:
    """One row per run."""
    return [
        {
            "target_temperature_k": run.target_temperature_k,
            "temperature_k": run.temperature_k,
            "length_ps": run.length_ps,
            "verdict": run.verdict,
            "diffusivity_cm2_per_s": diffusivity_to_cm2_per_s(run.diffusivity),
            "diffusivity_std_cm2_per_s": diffusivity_to_cm2_per_s(run.diffusivity_std),
            "diffusivity_gls_cm2_per_s": diffusivity_to_cm2_per_s(run.diffusivity_gls),
            "diffusivity_gls_std_cm2_per_s": diffusivity_to_cm2_per_s(run.diffusivity_gls_std),
            "error_method": run.error_method,
            "rsd_he": run.rsd_he,
            "rsd_covariance": run.rsd_covariance,
            "rsd_block": run.rsd_block,
            "rsd_replica": run.rsd_replica,
            "upper_bound_cm2_per_s": diffusivity_to_cm2_per_s(run.upper_bound),
            "n_eff": run.n_eff,
            "n_independent": run.n_independent,
            "hopped_fraction": run.hopped_fraction,
            "log_slope": run.log_slope,
            "drift_angstrom": run.drift,
            "fit_from_ps": run.fit_window_ps[0],
            "fit_to_ps": run.fit_window_ps[1],
            "n_ions": run.n_ions,
            **{
                f"diffusivity_{one.name.replace('*', '_star')}{part}_cm2_per_s": diffusivity_to_cm2_per_s(value)
                for one in run.along
                for part, value in (("", one.diffusivity), ("_std", one.diffusivity_std))
            },
            "source": run.source,
        }
        for run in runs
    ]

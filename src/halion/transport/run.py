"""One run: from its trajectory to its diffusivity, with error and verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory
from halion.settings import TransportSettings
from halion.transport.arrhenius import fit_arrhenius
from halion.transport.checks import refuse_short_window
from halion.transport.conductivity import conductivity_at
from halion.transport.fit import rsd_he
from halion.transport.frames import MobileIons, framework_msd, mobile_ions
from halion.transport.hops import framework_spacing, hop_length, hopped_fraction
from halion.transport.msd import msd_tensor
from halion.transport.replicas import with_replica_scatter
from halion.transport.run_fit import Displacements, RunFit, error_in_words, fit_run
from halion.transport.types import Arrhenius, Conductivity, RunTransport, Verdict
from halion.transport.verdict import Evidence, FitWindow, fit_window, is_melted, judge, leaving_elements, log_slope
from halion.units import diffusivity_to_cm2_per_s

__all__ = ["analyse_run", "analyse_trajectories"]

_MOST_STORED_LAGS = 1000
_QUANTILE_95 = 1.6449  # one-sided


@dataclass(frozen=True, slots=True)
class _Curves:
    """Displacements of one run: ions (n_frames, n_ions, 3), lags (n_lags,), tensor (n_lags, 3, 3), framework."""

    mobile: FloatArray
    lag_time_ps: FloatArray
    tensor: FloatArray
    msd: FloatArray
    framework: dict[str, FloatArray]


def analyse_run(
    trajectory: Trajectory, settings: TransportSettings, ions: MobileIons | None = None
) -> RunTransport:
    """Tracer diffusivity of the mobile ions, D = slope of MSD(lag) / 6, and whether it is one.

    Args:
        trajectory: unwrapped, evenly spaced frames.
        settings: mobile species, longest lag, hop length.
        ions: what `mobile_ions` gave for this run and species, where it is there already; None: it is asked.
    Raises:
        TrajectoryError: no mobile ions, too few frames, uneven or repeated times, or numbers that are not finite.
    Checked by tests/transport/test_transport_run.py on walks of known diffusivity.
    """
    ions = mobile_ions(trajectory, settings.mobile_species) if ions is None else ions
    length = settings.hop_length_angstrom or hop_length(trajectory, settings.mobile_species)
    longest_ps = min(settings.longest_lag_ps, settings.longest_lag_fraction * trajectory.length_ps)
    refuse_short_window(trajectory, longest_ps)
    curves = _curves(trajectory, settings.mobile_species, ions, longest_ps)
    lags, msd, n_ions = curves.lag_time_ps, curves.msd, curves.mobile.shape[1]
    window = fit_window(lags, msd, longest_ps, length, settings.shortest_lag_ps)
    fit = fit_run(_displacements(trajectory, curves), window, length, settings.error, settings.estimator)
    seen = _evidence(curves, fit, window, (length, framework_spacing(trajectory, settings.mobile_species)))
    verdict, reasons = judge(seen)
    bound = math.nan if verdict == "diffusive" else _upper_bound(curves, window, length)
    stored = np.unique(np.linspace(0, len(lags) - 1, min(len(lags), _MOST_STORED_LAGS)).round().astype(int))
    return RunTransport(
        source=trajectory.source,
        species=settings.mobile_species,
        n_ions=n_ions,
        temperature_k=_temperature(trajectory),
        target_temperature_k=float(trajectory.target_temperature_k),
        length_ps=trajectory.length_ps,
        n_frames=trajectory.n_frames,
        volume=float(np.abs(np.linalg.det(trajectory.cells)).mean()),
        lag_time_ps=lags[stored],
        msd=msd[stored],
        msd_components=curves.tensor[stored],
        framework_msd={element: values[stored] for element, values in curves.framework.items()},
        fit_window_ps=(float(lags[window.first]), float(lags[window.last])),
        diffusivity=fit.diffusivity,
        diffusivity_std=fit.diffusivity_std,
        diffusivity_tensor=fit.tensor,
        intercept=(fit.fits.gls if settings.estimator == "gls" else fit.fits.ols).intercept,
        rsd_he=fit.errors.he2018,
        rsd_brownian=fit.rsd_brownian,
        n_eff=fit.n_eff,
        hop_length=length,
        hopped_fraction=seen.hopped,
        log_slope=seen.slope,
        drift=float(np.linalg.norm(ions.drift[-1])),
        verdict=verdict,
        reasons=reasons + _on_the_error(verdict, fit, n_ions, bound),
        upper_bound=bound,
        rsd_covariance=fit.errors.covariance,
        rsd_block=fit.errors.block,
        error_method=fit.errors.method,
        n_independent=fit.ions.n_independent,
        diffusivity_gls=fit.diffusivity_gls,
        diffusivity_gls_std=fit.diffusivity_gls_std,
        estimators_agree=fit.fits.agree,
        diffusivity_tensor_std=fit.tensor_std,
        along=fit.along,
        log_slope_band=fit.log_slope_band,
    )


def _displacements(trajectory: Trajectory, curves: _Curves) -> Displacements:
    return Displacements(
        positions=curves.mobile,
        tensor=curves.tensor,
        frame_ps=float(curves.lag_time_ps[1]),
        cell=trajectory.cells.mean(axis=0),
    )


def _evidence(curves: _Curves, fit: RunFit, window: FitWindow, lengths: tuple[float, float]) -> Evidence:
    length, spacing = lengths
    fitted = slice(window.first, window.last + 1)
    return Evidence(
        window=window,
        rise=float(curves.msd[window.last] - curves.msd[window.first]),
        length=length,
        slope=log_slope(curves.lag_time_ps[fitted], curves.msd[fitted]),
        band=fit.log_slope_band,
        hopped=hopped_fraction(curves.mobile, length),
        leaving=leaving_elements(curves.framework, window.last, spacing),
        melted=is_melted(curves.framework, window.last, spacing),
        framework={element: float(values[window.last]) for element, values in curves.framework.items()},
        spacing=spacing,
    )


def _curves(trajectory: Trajectory, species: str, ions: MobileIons, longest_ps: float) -> _Curves:
    spacing = float(np.diff(trajectory.time_ps).mean())
    # Nothing beyond the longest lag is looked at: those lags average over too few origins to mean anything.
    n_lags = min(trajectory.n_frames, int(longest_ps / spacing + 1e-9) + 1)
    tensor = msd_tensor(ions.positions, n_lags)
    framework = framework_msd(trajectory, species, ions.drift, n_lags)
    return _Curves(
        ions.positions, np.arange(n_lags) * spacing, tensor, np.trace(tensor, axis1=1, axis2=2), framework
    )


def _temperature(trajectory: Trajectory) -> float:
    measured = trajectory.temperature_k[np.isfinite(trajectory.temperature_k)]
    return float(measured.mean()) if len(measured) else float(trajectory.target_temperature_k)


def _upper_bound(curves: _Curves, window: FitWindow, length: float) -> float:
    """95 % upper bound on D of a run without a slope, Angstrom^2/ps.

    All of the displacement at the longest lag, vibration included, counted as diffusion, with the error of He's
    rule at the hops that it makes up, and at the very least the gate that was not met: (a^2 / 2) / (6 lag).
    """
    seen = max(float(curves.msd[window.last]), 0.5 * length**2)
    spread = 1.0 + _QUANTILE_95 * rsd_he(seen * curves.mobile.shape[1] / length**2)
    return seen * spread / (6.0 * float(curves.lag_time_ps[window.last]))


def _on_the_error(verdict: Verdict, fit: RunFit, n_ions: int, bound: float) -> tuple[str, ...]:
    if verdict == "diffusive":
        return (error_in_words(fit, n_ions),)
    if verdict == "melted":
        return ()
    return (
        f"D is below {diffusivity_to_cm2_per_s(bound):.1e} cm^2/s (95 %): all displacement at the longest lag, "
        "vibration included, counted as diffusion, with the error of He 2018's rule on top.",
    )


def analyse_trajectories(
    trajectories: Sequence[Trajectory],
    settings: TransportSettings,
    *,
    charge: float = 1.0,
    ions: Sequence[MobileIons] = (),
) -> tuple[tuple[RunTransport, ...], Arrhenius | None, Conductivity | None]:
    """Every run, the Arrhenius line through those that diffused, and the conductivity at the report temperature.

    Args:
        trajectories: one per run, any temperatures.
        settings: of the analysis.
        charge: of one mobile ion, e.
        ions: what `mobile_ions` gave for each, where it is there already.
    Returns:
        runs, Arrhenius line or None, conductivity or None (when no temperature is known).
    """
    known = ions or [None] * len(trajectories)
    runs = tuple(analyse_run(one, settings, of_it) for one, of_it in zip(trajectories, known, strict=True))
    runs = with_replica_scatter(runs) if settings.error == "largest" else runs
    if not runs or not all(np.isfinite(run.temperature_k) for run in runs):
        return runs, None, None
    arrhenius = fit_arrhenius(runs)
    return runs, arrhenius, conductivity_at(arrhenius, runs, settings.report_temperature_k, charge=charge)

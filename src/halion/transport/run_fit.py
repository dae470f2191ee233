"""Slope, errors and directions of one run's displacement, in the window of its fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.transport.covariance import IonStatistics
from halion.transport.directions import Motion, along_axes, tensor_with_errors
from halion.transport.fit import LagsUsed, SlopeFits, fit_slopes, rsd_brownian
from halion.transport.independence import ion_moments, ion_statistics
from halion.transport.types import DirectionDiffusivity
from halion.transport.uncertainty import DiffusivityErrors, ErrorMethod, Estimator, diffusivity_errors, rsd_block
from halion.transport.verdict import FitWindow, log_slope_band

__all__ = ["Displacements", "RunFit", "error_in_words", "fit_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFit:
    """What the displacement of one run gives; diffusivities in Angstrom^2/ps.

    Attributes:
        fits: both estimators of the slope, Angstrom^2 per frame.
        diffusivity: slope / 6 of the estimator asked for.
        diffusivity_std: the error in use.
        diffusivity_gls, diffusivity_gls_std: of generalised least squares.
        tensor, tensor_std: (3, 3).
        along: along the crystal axes.
        errors: relative standard deviations.
        rsd_brownian: the least that the error can be, for ions that are all independent.
        n_eff: effective number of hops, largest displacement in the window times ions / a^2.
        ions: how many move independently.
        log_slope_band: where diffusive runs of this kind have their log-log slope.
    """

    fits: SlopeFits
    diffusivity: float
    diffusivity_std: float
    diffusivity_gls: float
    diffusivity_gls_std: float
    tensor: FloatArray
    tensor_std: FloatArray
    along: tuple[DirectionDiffusivity, ...]
    errors: DiffusivityErrors
    rsd_brownian: float
    n_eff: float
    ions: IonStatistics
    log_slope_band: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacements:
    """One run's ions and their mean squared displacement.

    Attributes:
        positions: (n_frames, n_ions, 3) mobile ions, unwrapped, drift removed, Angstrom.
        tensor: (n_lags, 3, 3) mean squared displacement at lags 0, 1, ... frames, Angstrom^2.
        frame_ps: time between frames.
        cell: (3, 3) mean cell, Angstrom.
    """

    positions: FloatArray
    tensor: FloatArray
    frame_ps: float
    cell: FloatArray


def fit_run(
    seen: Displacements,
    window: FitWindow,
    hop_length: float,
    method: ErrorMethod = "largest",
    estimator: Estimator = "ols",
) -> RunFit:
    """Diffusivity of one run by both estimators, with all its errors, and along its axes.

    Args:
        seen: the ions and their displacement.
        window: lags of the fit.
        hop_length: a, Angstrom.
        method: which error counts.
        estimator: which slope is the diffusivity; the tensor is by ordinary least squares.
    Raises:
        InputError: the error asked for cannot be had from this run.
    Checked by tests/transport/test_transport_coverage.py on replicas of known processes.
    """
    n_frames, n_ions = seen.positions.shape[:2]
    lags = np.arange(window.first, window.last + 1)
    tensor = seen.tensor[lags]
    msd = np.trace(tensor, axis1=1, axis2=2)
    ions = ion_statistics(seen.positions, window.first, hop_length)
    fits = fit_slopes(lags, msd, n_frames, ions)
    n_eff = float(msd.max() * n_ions / hop_length**2)
    errors = diffusivity_errors(fits, n_eff, rsd_block(seen.positions, lags, ions), method, estimator)
    motion = Motion(
        lags=lags,
        tensor=tensor,
        n_frames=n_frames,
        frame_ps=seen.frame_ps,
        n_ions=n_ions,
        ions=ions,
        moments=ion_moments(seen.positions, window.first),
        hop_length=hop_length,
    )
    per_slope = 1.0 / (6.0 * seen.frame_ps)
    line = fits.gls if estimator == "gls" else fits.ols
    components, components_std = tensor_with_errors(motion)
    return RunFit(
        fits=fits,
        diffusivity=line.slope * per_slope,
        diffusivity_std=errors.used * abs(line.slope) * per_slope,
        diffusivity_gls=fits.gls.slope * per_slope,
        diffusivity_gls_std=fits.gls_std * per_slope,
        tensor=components,
        tensor_std=components_std,
        along=along_axes(motion, seen.cell),
        errors=errors,
        rsd_brownian=rsd_brownian(lags, n_frames, n_ions),
        n_eff=n_eff,
        ions=ions,
        log_slope_band=log_slope_band(fits, LagsUsed.of(lags, n_frames), ions, hop_length),
    )


def error_in_words(fit: RunFit, n_ions: int) -> str:
    """What the error of D comes from, in one or two sentences."""
    errors, independent = fit.errors, fit.ions.n_independent
    text = (
        f"The displacement is worth {fit.n_eff:.0f} hops: the relative error of D is {100 * errors.he2018:.0f} % "
        f"by He 2018's rule and {100 * errors.covariance:.0f} % by the covariance of the fitted lags"
    )
    if np.isfinite(errors.block):
        text += f", {100 * errors.block:.0f} % by the scatter between parts of the run"
    text += f"; {_NAMES[errors.method]} counts."
    if independent < 0.5 * n_ions:
        text += f" The {n_ions} ions move as if they were {independent:.0f}."
    if not fit.fits.agree:
        text += " Ordinary and generalised least squares disagree on the slope, which plain diffusion rarely does."
    return text


_NAMES = {"he2018": "He's", "covariance": "the covariance's", "block": "the scatter's"}

"""What the transport room gives: per run a diffusivity with error and verdict; over runs, the conductivity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from halion.arrays import FloatArray

__all__ = ["Arrhenius", "Conductivity", "DirectionDiffusivity", "RunTransport", "Verdict"]

Verdict = Literal["diffusive", "upper bound", "ballistic", "caged", "melted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionDiffusivity:
    """Diffusivity along one direction or in one plane, slope / (2 d) of the displacement's part in it.

    Attributes:
        name: x, y, z; a, b, c (cell vectors); ab (their plane); c* (its normal).
        directions: (d, 3) orthonormal, Cartesian.
        diffusivity: ordinary least squares, Angstrom^2/ps.
        diffusivity_std: the larger of the two errors below, Angstrom^2/ps.
        diffusivity_gls, diffusivity_gls_std: generalised least squares, Angstrom^2/ps.
        rsd_covariance: relative standard deviation by the covariance of the lags.
        rsd_he: He's rule with the hops along the direction.
    """

    name: str
    directions: FloatArray
    diffusivity: float
    diffusivity_std: float
    diffusivity_gls: float
    diffusivity_gls_std: float
    rsd_covariance: float
    rsd_he: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTransport:
    """Transport of one run at one temperature.

    Attributes:
        source: trajectory file.
        species: mobile element.
        n_ions: number of mobile ions.
        temperature_k: mean kinetic temperature of the run (target where unknown).
        target_temperature_k: temperature that the run was meant to have.
        length_ps: length of the run.
        n_frames: stored frames.
        volume: mean cell volume, Angstrom^3.
        lag_time_ps: (n_lags,) lag times.
        msd: (n_lags,) mean squared displacement of the mobile ions, all time origins, Angstrom^2.
        msd_components: (n_lags, 3, 3) its Cartesian tensor; the trace is `msd`.
        framework_msd: element -> (n_lags,) mean squared displacement of each framework element, Angstrom^2.
        fit_window_ps: first and last lag of the fit.
        diffusivity: tracer diffusivity, slope / 6, Angstrom^2/ps.
        diffusivity_std: the largest of the errors below, unless another was asked for, Angstrom^2/ps.
        diffusivity_tensor: (3, 3) Angstrom^2/ps.
        intercept: of the fit, Angstrom^2.
        rsd_he: relative standard deviation of He et al. 2018, 3.43 / sqrt(n_eff) + 0.04.
        rsd_brownian: relative standard deviation of the fitted slope if all ions were independent and Brownian: the
            least that it can be.
        n_eff: effective number of hops, max over the fit window of the total squared displacement / hop length^2.
        hop_length: Angstrom.
        hopped_fraction: part of the mobile ions that moved farther than one hop length from where they started.
        log_slope: d ln(msd) / d ln(lag) in the fit window; 1 for diffusion.
        drift: net displacement of the framework's centre, removed before the analysis, Angstrom.
        verdict: whether the run diffused.
        reasons: one sentence for each thing that speaks for or against the verdict.
        upper_bound: largest diffusivity that is compatible with the run (95 %), Angstrom^2/ps; NaN when diffusive.
        rsd_covariance: relative standard deviation by the covariance of the fitted lags: hops, vibration, and ions
            that move together included.
        rsd_block: by the scatter between parts of the run; NaN where it is too short for four.
        error_method: which error `diffusivity_std` is: he2018, covariance, block or replica.
        n_independent: ions that move independently of each other.
        diffusivity_gls, diffusivity_gls_std: generalised least squares, Angstrom^2/ps.
        estimators_agree: whether ordinary and generalised least squares agree (99 %).
        diffusivity_tensor_std: (3, 3) standard deviations, Angstrom^2/ps.
        along: diffusivity along cell vectors a, b, c, in the ab plane, and along its normal c*.
        log_slope_band: where 99 % of diffusive runs of this kind have their log-log slope.
        rsd_replica: relative standard deviation of one run among four or more at its temperature; NaN for fewer.
    """

    source: str
    species: str
    n_ions: int
    temperature_k: float
    target_temperature_k: float
    length_ps: float
    n_frames: int
    volume: float
    lag_time_ps: FloatArray
    msd: FloatArray
    msd_components: FloatArray
    framework_msd: Mapping[str, FloatArray]
    fit_window_ps: tuple[float, float]
    diffusivity: float
    diffusivity_std: float
    diffusivity_tensor: FloatArray
    intercept: float
    rsd_he: float
    rsd_brownian: float
    n_eff: float
    hop_length: float
    hopped_fraction: float
    log_slope: float
    drift: float
    verdict: Verdict
    reasons: tuple[str, ...]
    upper_bound: float
    rsd_covariance: float = math.nan
    rsd_block: float = math.nan
    error_method: str = "he2018"
    n_independent: float = math.nan
    diffusivity_gls: float = math.nan
    diffusivity_gls_std: float = math.nan
    estimators_agree: bool = True
    diffusivity_tensor_std: FloatArray | None = None
    along: tuple[DirectionDiffusivity, ...] = ()
    log_slope_band: tuple[float, float] = (math.nan, math.nan)
    rsd_replica: float = math.nan

    @property
    def is_diffusive(self) -> bool:
        """Whether the diffusivity may enter an Arrhenius fit."""
        return self.verdict == "diffusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrhenius:
    """Weighted straight line through ln D against 1/T: ln D = ln D0 - Ea / (kB T).

    Attributes:
        activation_energy: eV.
        activation_energy_std: eV.
        ln_prefactor: ln(D0 / (Angstrom^2/ps)).
        covariance: (2, 2) of (ln D0, Ea).
        temperatures_k: (n,) runs that entered.
        diffusivity: (n,) Angstrom^2/ps.
        diffusivity_std: (n,) Angstrom^2/ps.
        chi2_per_dof: of the fit; NaN for two points.
        left_out_k: temperatures of runs that did not enter (their verdict forbade it).
        bounded_k: temperatures of runs that entered as upper bounds; None: none did.
        draws: (n_draws, 2) of (ln D0, Ea) from the posterior when bounds entered, which is then no normal
            distribution; mean and covariance above are its moments. None otherwise.
        draw_weights: (n_draws,) their weights.
    """

    activation_energy: float
    activation_energy_std: float
    ln_prefactor: float
    covariance: FloatArray
    temperatures_k: FloatArray
    diffusivity: FloatArray
    diffusivity_std: FloatArray
    chi2_per_dof: float
    left_out_k: FloatArray
    bounded_k: FloatArray | None = None
    draws: FloatArray | None = None
    draw_weights: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductivity:
    """Nernst-Einstein ionic conductivity at one temperature, sigma = n q^2 D / (kB T).

    Attributes:
        temperature_k: of the value.
        conductivity_ms_per_cm: median; NaN when only an upper bound is known.
        low_ms_per_cm, high_ms_per_cm: 68 % interval, asymmetric (log-normal).
        low95_ms_per_cm, high95_ms_per_cm: 95 % interval.
        upper_bound_ms_per_cm: 95 % upper bound when there is no value; NaN otherwise.
        volume: cell volume used, Angstrom^3.
        n_ions: mobile ions in that volume.
        is_extrapolated: the temperature lies outside the fitted range.
        verdict: the answer in words, one or two sentences.
    """

    temperature_k: float
    conductivity_ms_per_cm: float
    low_ms_per_cm: float
    high_ms_per_cm: float
    low95_ms_per_cm: float
    high95_ms_per_cm: float
    upper_bound_ms_per_cm: float
    volume: float
    n_ions: int
    is_extrapolated: bool
    verdict: str

"""Diffusivity of a run that gathered its displacements while it moved, without a dense trajectory.

Displacements are known as sums over the atoms of each element, seen from the cell. Against the framework's centre,
d = sum of X_s / N over the elements s of the framework, X_s the summed displacement of their atoms,

    <(x - d)(x - d)^T> = <x x^T> - (<X d^T> + <d X^T>) / n + <d d^T>

for the mean over the n atoms of any element: nothing but products of sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics import Correlation, open_trajectory, read_correlation
from halion.errors import TrajectoryError
from halion.settings import TransportSettings
from halion.transport.covariance import IonStatistics
from halion.transport.fit import WeightedFit, fit_sparse, rsd_he
from halion.transport.hops import hop_length
from halion.transport.verdict import FitWindow, fit_window

__all__ = ["CorrelatedTransport", "against_framework", "analyse_correlated", "fit_correlation"]

_FEWEST_LAGS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelatedTransport:
    """What displacements gathered during a run say; lags and error bars as of `RunTransport`.

    Attributes:
        source: file or folder.
        species: mobile element.
        n_ions: number of mobile ions.
        temperature_k: target of the run.
        lag_time_ps: (n_lags,) lag times, from the first above zero.
        n_origins: (n_lags,) time origins of each.
        msd: (n_lags,) mean squared displacement of the mobile ions, Angstrom^2.
        msd_components: (n_lags, 3, 3) its tensor.
        charge_msd: (n_lags,) that of the sum over ions, per ion; all NaN where there is no framework.
        framework_msd: element -> (n_lags,) of each framework element, Angstrom^2.
        fit_window_ps: first and last lag of the fit.
        diffusivity: by generalised least squares, Angstrom^2/ps.
        diffusivity_std: the larger of He's and the covariance's error; whether ions move independently of each
            other is not known from what was gathered, and they are taken to.
        diffusivity_tensor: (3, 3) by the same weights.
        charge_diffusivity, charge_diffusivity_std: of the sum over ions; NaN where there is no framework.
        rsd_he, rsd_covariance: relative errors of the diffusivity.
        n_eff: effective number of hops.
        hop_length: Angstrom.
        diffuses: whether He's gate is met, without which a slope means nothing.
    """

    source: str
    species: str
    n_ions: int
    temperature_k: float
    lag_time_ps: FloatArray
    n_origins: FloatArray
    msd: FloatArray
    msd_components: FloatArray
    charge_msd: FloatArray
    framework_msd: Mapping[str, FloatArray]
    fit_window_ps: tuple[float, float]
    diffusivity: float
    diffusivity_std: float
    diffusivity_tensor: FloatArray
    charge_diffusivity: float
    charge_diffusivity_std: float
    rsd_he: float
    rsd_covariance: float
    n_eff: float
    hop_length: float
    diffuses: bool


def analyse_correlated(path: Path | str, settings: TransportSettings) -> CorrelatedTransport:
    """Diffusivity of a run with `correlate_every_steps`, finished or running.

    Args:
        path: `trajectory.h5`, or the folder of the stage. Its few stored frames give the hop length where the
            settings do not.
        settings: mobile species, lags of the fit, hop length.
    Raises:
        TrajectoryError: the run gathered no displacements, too few, or has no such ions.
        TornFile: the file is damaged.
    Checked by tests/transport/test_transport_correlation.py.
    """
    correlation = read_correlation(path)
    _refuse_unusable(correlation, settings.mobile_species)
    length = settings.hop_length_angstrom
    if length is None:
        length = hop_length(open_trajectory(path, in_memory=False), settings.mobile_species)
    return fit_correlation(correlation, settings, length)


def against_framework(correlation: Correlation, species: str) -> tuple[dict[str, FloatArray], FloatArray]:
    """Displacements against the centre of all atoms but the mobile ones (of all ions where there are no others).

    Returns:
        element -> (n_lags, 3, 3) mean squared displacement tensor of its atoms, Angstrom^2; and (n_lags, 3, 3) of
        the mobile ions' sum, divided by their number.
    Checked by tests/transport/test_transport_correlation.py against a trajectory whose drift was removed.
    """
    counts, together = np.array(correlation.n_atoms, dtype=float), correlation.together
    mobile = correlation.elements.index(species)
    part = np.arange(len(counts)) != mobile if len(counts) > 1 else np.array([True])
    weights = part / counts[part].sum()  # of X_s in d
    drift = np.einsum("s,t,kstab->kab", weights, weights, together)
    with_drift = np.einsum("t,kstab->ksab", weights, together)  # <X_s d^T>
    both = with_drift + with_drift.transpose(0, 1, 3, 2)
    free = {
        element: correlation.own[:, s] - both[:, s] / counts[s] + drift
        for s, element in enumerate(correlation.elements)
    }
    n = counts[mobile]
    charge = together[:, mobile, mobile] / n - both[:, mobile] + n * drift
    return free, charge


def fit_correlation(correlation: Correlation, settings: TransportSettings, length: float) -> CorrelatedTransport:
    """Diffusivity from gathered displacements.

    Args:
        correlation: of one run.
        settings: mobile species, lags of the fit.
        length: hop length a, Angstrom.
    Raises:
        TrajectoryError: no such ions, or fewer than three lags to fit.
    Checked by tests/transport/test_transport_correlation.py on walks of known diffusivity.
    """
    species = settings.mobile_species
    _refuse_unusable(correlation, species)
    free, charge = against_framework(correlation, species)
    tensor, n_ions = free[species], correlation.n_atoms[correlation.elements.index(species)]
    msd, charge_msd = (np.trace(one, axis1=1, axis2=2) for one in (tensor, charge))
    times = correlation.lags * correlation.sample_ps
    window = _window(correlation, msd, settings, length)
    used = slice(window.first, window.last + 1)
    lags, n_samples = correlation.lags[used], correlation.n_samples
    of_one = _freedom(tensor[window.last] - tensor[window.first])
    fit = fit_sparse(lags, msd[used], n_samples, _ions(n_ions, of_one, length))
    # The sum of independent hops comes in steps of a / sqrt(N).
    summed = fit_sparse(lags, charge_msd[used], n_samples, _ions(1, of_one, length / math.sqrt(n_ions)))
    per_slope = 1.0 / (6.0 * correlation.sample_ps)
    n_eff = float(msd[used].max() * n_ions / length**2)
    errors = {"rsd_he": rsd_he(max(n_eff, 1e-12)), "rsd_covariance": _relative(fit)}
    has_framework = len(correlation.elements) > 1
    return CorrelatedTransport(
        source=correlation.source,
        species=species,
        n_ions=n_ions,
        temperature_k=correlation.target_temperature_k,
        lag_time_ps=times,
        n_origins=correlation.origins,
        msd=msd,
        msd_components=tensor,
        charge_msd=charge_msd if has_framework else np.full(len(times), np.nan),
        framework_msd={name: np.trace(one, axis1=1, axis2=2) for name, one in free.items() if name != species},
        fit_window_ps=(float(times[window.first]), float(times[window.last])),
        diffusivity=fit.line.slope * per_slope,
        diffusivity_std=max(errors.values()) * abs(fit.line.slope) * per_slope,
        diffusivity_tensor=np.einsum("k,kab->ab", fit.weights, tensor[used]) * 3.0 * per_slope,
        charge_diffusivity=summed.line.slope * per_slope if has_framework else math.nan,
        charge_diffusivity_std=summed.slope_std * per_slope if has_framework else math.nan,
        n_eff=n_eff,
        hop_length=length,
        diffuses=bool(window.passes),
        **errors,
    )


def _ions(n_ions: int, of_one: float, length: float) -> IonStatistics:
    return IonStatistics(n_independent=float(n_ions), degrees_of_freedom=n_ions * of_one, jump_length=length)


def _freedom(rise: FloatArray) -> float:
    """(tr q)^2 / tr q^2 of one ion's displacement: 3 where all directions are alike, 1 along one."""
    return float(np.trace(rise) ** 2 / np.sum(rise**2)) if np.any(rise) else 3.0


def _relative(fit: WeightedFit) -> float:
    return fit.slope_std / abs(fit.line.slope) if fit.line.slope else math.inf


def _refuse_unusable(correlation: Correlation, species: str) -> None:
    if species not in correlation.elements:
        raise TrajectoryError(
            f"there is no {species} in this run ({', '.join(correlation.elements)})",
            where=correlation.source,
            fix="name the mobile ion: transport.mobile_species (--mobile)",
        )
    if not np.isfinite(correlation.own).all():
        raise TrajectoryError(
            "displacements of this run are not all numbers: it has exploded",
            where=correlation.source,
            fix="run again with a shorter time step",
        )


def _window(correlation: Correlation, msd: FloatArray, settings: TransportSettings, length: float) -> FitWindow:
    times, run_ps = correlation.lags * correlation.sample_ps, (correlation.n_samples - 1) * correlation.sample_ps
    longest_ps = min(settings.longest_lag_ps, settings.longest_lag_fraction * run_ps)
    window = fit_window(times, msd, longest_ps, length, settings.shortest_lag_ps)
    n_lags = len(times[window.first : window.last + 1])
    if n_lags < _FEWEST_LAGS:
        raise TrajectoryError(
            f"{correlation.n_samples} samples {correlation.sample_ps:g} ps apart leave {n_lags} lags up to "
            f"{longest_ps:g} ps: a slope needs {_FEWEST_LAGS}",
            where=correlation.source,
            fix="run longer, or gather more often (dynamics.correlate_every_steps)",
        )
    return window

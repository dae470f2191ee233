"""Charge diffusivity and Haven ratio: how far ions that move together carry charge, against one ion by itself.

    D_charge = lim d/dt < |sum_i (r_i(t) - r_i(0))|^2 > / (6 N),    H = D_tracer / D_charge

(Murch, Solid State Ionics 7, 177 (1982)); all mobile ions have one charge, which cancels. The sum is one walker:
its mean squared displacement is averaged over time origins alone, so its relative error is sqrt(N) times that of
the tracer. It is fitted by generalised least squares, which makes the most of the short lags.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.errors import InputError, TrajectoryError
from halion.settings import TransportSettings
from halion.transport.checks import refuse_short_window
from halion.transport.fit import fit_slopes
from halion.transport.frames import MobileIons, mobile_ions
from halion.transport.hops import hop_length
from halion.transport.independence import ion_statistics
from halion.transport.msd import msd_tensor
from halion.transport.verdict import fit_window

__all__ = ["HavenRatio", "Slopes", "charge_msd", "haven_ratio", "pool_haven"]

# A ratio known to no better than a factor of 1.65 tells concerted from independent motion in no material.
_WIDEST_SPREAD = 0.5
_MOST_STORED_LAGS = 1000
_FEWEST_REPLICAS = 4
_MOST_WINDOWS, _FEWEST_WINDOWS = 400, 30
_SAME_TEMPERATURE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """Tracer and charge diffusivity of one run over the same lags, Angstrom^2/ps, by generalised least squares.

    Attributes:
        tracer, tracer_std: of one ion by itself.
        charge, charge_std: of the sum over ions.
        correlation: of the two in their errors, which come from the same ions.
    """

    tracer: float
    tracer_std: float
    charge: float
    charge_std: float
    correlation: float

    @property
    def spread(self) -> float:
        """Standard deviation of ln(tracer / charge); infinite where one of the two does not rise."""
        if not (self.tracer > 0 and self.charge > 0):
            return math.inf
        one, all_of_them = self.tracer_std / self.tracer, self.charge_std / self.charge
        shared = 2.0 * self.correlation * one * all_of_them
        return math.sqrt(max(one**2 + all_of_them**2 - shared, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HavenRatio:
    """Haven ratio of one run, or of several pooled.

    Attributes:
        source: trajectory file.
        species: mobile element.
        n_ions: mobile ions.
        temperature_k: of the run.
        lag_time_ps: (n_lags,) ps; empty when pooled.
        charge_msd: (n_lags,) mean squared displacement of the sum over ions, per ion, Angstrom^2; empty likewise.
        fit_window_ps: first and last lag of both fits.
        measured: both diffusivities.
        diffuses: whether the ions moved far enough for a slope (the gate of He 2018).
    """

    source: str
    species: str
    n_ions: int
    temperature_k: float
    lag_time_ps: FloatArray
    charge_msd: FloatArray
    fit_window_ps: tuple[float, float]
    measured: Slopes
    diffuses: bool

    @property
    def is_resolved(self) -> bool:
        """Whether there is a value: ions diffused, and ln H is known to 0.5."""
        return self.diffuses and self.measured.spread <= _WIDEST_SPREAD

    @property
    def value(self) -> float:
        """D_tracer / D_charge; NaN when unresolved."""
        return self.measured.tracer / self.measured.charge if self.is_resolved else math.nan

    @property
    def std(self) -> float:
        """Its standard deviation; NaN when unresolved."""
        return self.value * self.measured.spread

    def interval(self, level: float = 0.68) -> tuple[float, float]:
        """Log-normal interval that holds the ratio with this probability; zero to infinity where nothing is known.

        Args:
            level: between 0 and 1. An unresolved ratio has an interval too, if ions diffused.
        """
        if not self.diffuses or not math.isfinite(self.measured.spread):
            return 0.0, math.inf
        step = NormalDist().inv_cdf(0.5 + 0.5 * level) * self.measured.spread
        middle = self.measured.tracer / self.measured.charge
        return middle * math.exp(-step), middle * math.exp(step)

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        low, high = self.interval(0.95)
        if not self.diffuses:
            return "Unresolved: the ions did not move far enough to have a diffusivity."
        if not math.isfinite(self.measured.spread):
            return "Unresolved: the sum over ions did not move farther at long times than at short ones."
        within = f"between {low:.2g} and {high:.2g} (95 %)"
        if not self.is_resolved:
            return f"Unresolved: the Haven ratio is {within}; pool replicas or run longer."
        return f"The Haven ratio is {self.value:.2g} +- {self.std:.1g}, {within}."


def charge_msd(positions: FloatArray, n_lags: int | None = None) -> FloatArray:
    """Mean squared displacement tensor of the sum over ions, divided by their number.

    Args:
        positions: (n_frames, n_ions, 3) Angstrom, unwrapped, framework drift removed.
        n_lags: lags 0 ... n_lags - 1; None: all.
    Returns:
        (n_lags, 3, 3) Angstrom^2; for ions that move independently it is that of `msd_tensor`.
    Checked by tests/transport/test_transport_collective.py against the double loop.
    """
    return msd_tensor(_together(positions), n_lags)


def _together(positions: FloatArray) -> FloatArray:
    """(n_frames, 1, 3): the sum over ions over sqrt(N), a walker whose displacement is that of one free ion."""
    return positions.sum(axis=1, keepdims=True) / math.sqrt(positions.shape[1])


def haven_ratio(trajectory: Trajectory, settings: TransportSettings, ions: MobileIons | None = None) -> HavenRatio:
    """Haven ratio of one run with its error, or that it is unresolved.

    Both slopes are of generalised least squares over the same lags, from where ions have moved by half a squared
    hop length. With relative errors s_t and s_c,

        var ln H = s_t^2 + s_c^2 - 2 rho s_t s_c,

    and rho the correlation of the two, which share their ions: 1 / sqrt(N) for independent ions, one when all move
    together. The interval is log-normal.

    Args:
        trajectory: unwrapped, evenly spaced frames.
        settings: mobile species, lags, hop length.
        ions: see `analyse_run`.
    Raises:
        TrajectoryError: what `analyse_run` refuses; a cell without a framework to measure the sum against.
    Checked by tests/transport/test_transport_collective.py: independent and correlated ions, groups, one vacancy
    (H = 0.6531), coverage of the error over 150 replicas.
    """
    species = settings.mobile_species
    mobile = (mobile_ions(trajectory, species) if ions is None else ions).positions
    if set(trajectory.symbols) == {species}:
        raise TrajectoryError(
            f"all atoms are {species}: their sum cannot move against anything, so no charge diffusivity is defined",
            where=trajectory.source,
            fix="leave the Haven ratio out; the tracer diffusivity needs no framework",
        )
    length = settings.hop_length_angstrom or hop_length(trajectory, species)
    longest_ps = min(settings.longest_lag_ps, settings.longest_lag_fraction * trajectory.length_ps)
    refuse_short_window(trajectory, longest_ps)
    frame_ps = float(np.diff(trajectory.time_ps).mean())
    lag_time_ps = np.arange(min(trajectory.n_frames, int(longest_ps / frame_ps + 1e-9) + 1)) * frame_ps
    msd, together = (np.trace(of(mobile, len(lag_time_ps)), axis1=1, axis2=2) for of in (msd_tensor, charge_msd))
    window = fit_window(lag_time_ps, msd, longest_ps, length, settings.shortest_lag_ps)
    measured = _measure(mobile, (msd, together), np.arange(window.first, window.last + 1), (length, frame_ps))
    stored = np.unique(np.linspace(0, len(msd) - 1, min(len(msd), _MOST_STORED_LAGS)).round().astype(int))
    kinetic = trajectory.temperature_k[np.isfinite(trajectory.temperature_k)]
    return HavenRatio(
        source=trajectory.source,
        species=species,
        n_ions=mobile.shape[1],
        temperature_k=float(kinetic.mean() if len(kinetic) else trajectory.target_temperature_k),
        lag_time_ps=lag_time_ps[stored],
        charge_msd=together[stored],
        fit_window_ps=(float(lag_time_ps[window.first]), float(lag_time_ps[window.last])),
        measured=measured,
        diffuses=bool(window.passes),
    )


def _measure(
    mobile: FloatArray, curves: tuple[FloatArray, FloatArray], lags: IntArray, scales: tuple[float, float]
) -> Slopes:
    length, frame_ps = scales
    one = ion_statistics(mobile, int(lags[0]), length)
    # The sum of independent hops comes in steps of a / sqrt(N); what the steps are is measured where it can be.
    all_of_them = ion_statistics(_together(mobile), int(lags[0]), length / math.sqrt(mobile.shape[1]))
    tracer, charge = (
        fit_slopes(lags, msd[lags], len(mobile), ions) for msd, ions in zip(curves, (one, all_of_them), strict=True)
    )
    per_slope = 1.0 / (6.0 * frame_ps)
    return Slopes(
        tracer=tracer.gls.slope * per_slope,
        tracer_std=tracer.gls_std * per_slope,
        charge=charge.gls.slope * per_slope,
        charge_std=charge.gls_std * per_slope,
        correlation=_correlation(mobile, int(lags[0])),
    )


def _correlation(mobile: FloatArray, lag: int) -> float:
    """Of sum_i |x_i|^2 and |sum_i x_i|^2 for Gaussian displacements x of ions, from windows that do not overlap.

    sum_{k != l} (x_k . x_l) (S_k . S_l) / sqrt(sum (x_k . x_l)^2 sum (S_k . S_l)^2) over windows k, l, with S the
    sum over ions, is |K 1|^2 / (sqrt(tr K^2) 1 K 1) of the ions' covariance K. In fewer than 30 windows noise looks
    like correlation, so it is that of independent ions, the least there is but for ions that avoid each other.
    """
    moves = np.diff(mobile[:: max(1, lag, len(mobile) // _MOST_WINDOWS)], axis=0)
    if len(moves) < _FEWEST_WINDOWS:
        return 1.0 / math.sqrt(mobile.shape[1])
    rows, sums = moves.reshape(len(moves), -1), moves.sum(axis=1)
    ions, together = rows @ rows.T, sums @ sums.T
    for products in (ions, together):
        np.fill_diagonal(products, 0.0)
    scale = math.sqrt(float(np.sum(ions**2) * np.sum(together**2)))
    return float(np.clip(np.sum(ions * together) / scale, 0.0, 1.0)) if scale > 0 else 0.0


def pool_haven(runs: Sequence[HavenRatio]) -> HavenRatio:
    """Haven ratio of several runs of one material at one temperature.

    Both diffusivities are means with weights 1 / (relative variance), which do not depend on the value that a run
    happens to have; the relative error of a mean is 1 / sqrt(sum of weights), or the scatter of the runs where four
    or more scatter farther than that. Runs that are unresolved by themselves count as the others do.

    Args:
        runs: of cells with equal numbers of ions, at temperatures within 2 %.
    Raises:
        InputError: no run, or runs that differ in species, ions or temperature.
    Checked by tests/transport/test_transport_collective.py.
    """
    if not runs:
        raise InputError("there is no run to pool Haven ratios of", fix="give one result of haven_ratio or more")
    first = runs[0]
    for run in runs[1:]:
        apart = abs(run.temperature_k - first.temperature_k) > _SAME_TEMPERATURE * first.temperature_k
        if (run.species, run.n_ions) != (first.species, first.n_ions) or apart:
            raise InputError(
                f"runs of {first.n_ions} {first.species} at {first.temperature_k:.0f} K and of {run.n_ions} "
                f"{run.species} at {run.temperature_k:.0f} K have no Haven ratio in common",
                where=run.source,
                fix="pool replicas of one cell at one temperature",
            )
    tracer, tracer_std = _mean([(run.measured.tracer, run.measured.tracer_std) for run in runs])
    charge, charge_std = _mean([(run.measured.charge, run.measured.charge_std) for run in runs])
    return replace(
        first,
        source=", ".join(run.source for run in runs),
        temperature_k=float(np.mean([run.temperature_k for run in runs])),
        lag_time_ps=np.empty(0),
        charge_msd=np.empty(0),
        measured=Slopes(
            tracer=tracer,
            tracer_std=tracer_std,
            charge=charge,
            charge_std=charge_std,
            correlation=float(np.mean([run.measured.correlation for run in runs])),
        ),
        diffuses=all(run.diffuses for run in runs),
    )


def _mean(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Weighted mean and its standard deviation."""
    mean_of, std_of = np.array(values).T
    known = (mean_of > 0) & (std_of > 0)
    if not known.all():  # as much as nothing is known of such a run's error: all count the same
        return float(mean_of.mean()), float(np.hypot.reduce(std_of) / len(std_of))
    weights = (mean_of / std_of) ** 2
    mean = float(np.average(mean_of, weights=weights))
    relative = weights.sum() ** -0.5
    if len(weights) >= _FEWEST_REPLICAS:
        # Each run's deviation counts as it would if all had the mean weight.
        scatter = weights @ (mean_of - mean) ** 2 / weights.sum() / (len(weights) - 1)
        relative = max(relative, math.sqrt(scatter) / mean)
    return mean, float(relative * mean)

"""One run: from its trajectory to its diffusivity, with error and verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError
from halion.settings import TransportSettings
from halion.transport.arrhenius import fit_arrhenius
from halion.transport.conductivity import conductivity_at
from halion.transport.fit import fit_line, rsd_brownian, rsd_he
from halion.transport.hops import hop_length, hopped_fraction
from halion.transport.msd import framework_drift, msd_tensor, without_drift
from halion.transport.types import Arrhenius, Conductivity, RunTransport
from halion.transport.verdict import FitWindow, fit_window, judge, log_slope, melted_elements

__all__ = ["analyse_run", "analyse_trajectories"]

_FEWEST_FRAMES = 20
_MOST_STORED_LAGS = 1000
_QUANTILE_95 = 1.6449  # one-sided


def analyse_run(trajectory: Trajectory, settings: TransportSettings) -> RunTransport:
    """Tracer diffusivity of the mobile ions, D = slope of MSD(lag) / 6, and whether it is one.

    Args:
        trajectory: unwrapped, evenly spaced frames.
        settings: mobile species, longest lag, hop length.
    Raises:
        TrajectoryError: no mobile ions, too few frames, uneven or repeated times, or numbers that are not finite.
    Checked by tests/transport/test_transport_run.py on walks of known diffusivity.
    """
    species = settings.mobile_species
    is_mobile = _checked(trajectory, species)
    positions = without_drift(trajectory, species)
    mobile = positions[:, is_mobile]
    spacing = float(np.diff(trajectory.time_ps).mean())
    length = settings.hop_length_angstrom or hop_length(trajectory, species)
    longest_ps = min(settings.longest_lag_ps, settings.longest_lag_fraction * trajectory.length_ps)
    # Nothing beyond the longest lag is looked at: those lags average over too few origins to mean anything.
    n_lags = min(trajectory.n_frames, int(longest_ps / spacing + 1e-9) + 1)
    tensor = msd_tensor(mobile, n_lags)
    lag_time_ps = np.arange(n_lags) * spacing
    msd = np.trace(tensor, axis1=1, axis2=2)
    framework = {
        element: np.trace(msd_tensor(positions[:, sites], n_lags), axis1=1, axis2=2)
        for element, sites in _framework_sites(trajectory, species).items()
    }
    window = fit_window(lag_time_ps, msd, longest_ps, length)
    fitted = slice(window.first, window.last + 1)
    slope = log_slope(lag_time_ps[fitted], msd[fitted])
    hopped = hopped_fraction(mobile, length)
    melted = melted_elements(lag_time_ps, framework, window.last)
    at_end = {element: float(values[window.last]) for element, values in framework.items()}
    verdict, reasons = judge(window, slope, hopped, melted, at_end)
    line = fit_line(lag_time_ps[fitted], msd[fitted])
    n_eff = float(msd[fitted].max() * is_mobile.sum() / length**2)
    errors = (
        rsd_he(max(n_eff, 1e-12)),
        rsd_brownian(np.arange(n_lags)[fitted], trajectory.n_frames, int(is_mobile.sum())),
    )
    diffusivity = line.slope / 6.0
    stored = _stored_lags(n_lags)
    return RunTransport(
        source=trajectory.source,
        species=species,
        n_ions=int(is_mobile.sum()),
        temperature_k=_temperature(trajectory),
        target_temperature_k=float(trajectory.target_temperature_k),
        length_ps=trajectory.length_ps,
        n_frames=trajectory.n_frames,
        volume=float(np.abs(np.linalg.det(trajectory.cells)).mean()),
        lag_time_ps=lag_time_ps[stored],
        msd=msd[stored],
        msd_components=tensor[stored],
        framework_msd={element: values[stored] for element, values in framework.items()},
        fit_window_ps=(float(lag_time_ps[window.first]), float(lag_time_ps[window.last])),
        diffusivity=diffusivity,
        diffusivity_std=max(errors) * abs(diffusivity),
        diffusivity_tensor=_tensor_slopes(lag_time_ps[fitted], tensor[fitted]),
        intercept=line.intercept,
        rsd_he=errors[0],
        rsd_brownian=errors[1],
        n_eff=n_eff,
        hop_length=length,
        hopped_fraction=hopped,
        log_slope=slope,
        drift=float(np.linalg.norm(framework_drift(trajectory, species)[-1])),
        verdict=verdict,
        reasons=reasons,
        upper_bound=float("nan")
        if verdict == "diffusive"
        else _upper_bound(msd, lag_time_ps, window, length, int(is_mobile.sum())),
    )


def _checked(trajectory: Trajectory, species: str) -> np.ndarray:
    """(n_atoms,) which atoms are mobile, after everything that makes an analysis meaningless was refused."""
    is_mobile = np.array([symbol == species for symbol in trajectory.symbols])
    if not is_mobile.any():
        raise TrajectoryError(
            f"there is no {species} in this trajectory ({', '.join(sorted(set(trajectory.symbols)))})",
            where=trajectory.source,
            fix="name the mobile ion: transport.mobile_species (--mobile)",
        )
    if trajectory.n_frames < _FEWEST_FRAMES:
        raise TrajectoryError(
            f"{trajectory.n_frames} frames are too few: a slope needs at least {_FEWEST_FRAMES}",
            where=trajectory.source,
            fix="run longer, or store frames more often (dynamics.store_every_steps)",
        )
    finite = np.isfinite(trajectory.positions).all(axis=(1, 2)) & np.isfinite(trajectory.cells).all(axis=(1, 2))
    if not finite.all():
        raise TrajectoryError(
            f"frame {int(np.argmin(finite))} holds a position or cell that is not a number",
            where=trajectory.source,
            fix="cut the trajectory before that frame; the run has exploded there",
        )
    gaps = np.diff(trajectory.time_ps)
    if gaps.min() <= 0 or np.ptp(gaps) > 1e-3 * gaps.mean():
        k = int(np.argmax(np.abs(gaps - np.median(gaps))))
        raise TrajectoryError(
            f"times are not evenly spaced: frames {k} and {k + 1} are {gaps[k]:g} ps apart, most are "
            f"{np.median(gaps):g} ps (a frame stored twice or left out at a restart?)",
            where=trajectory.source,
            fix="drop the repeated frames, or analyse the parts before and after the gap one by one",
        )
    return is_mobile


def _framework_sites(trajectory: Trajectory, species: str) -> dict[str, np.ndarray]:
    symbols = np.array(trajectory.symbols)
    return {str(element): np.flatnonzero(symbols == element) for element in np.unique(symbols[symbols != species])}


def _temperature(trajectory: Trajectory) -> float:
    measured = trajectory.temperature_k[np.isfinite(trajectory.temperature_k)]
    return float(measured.mean()) if len(measured) else float(trajectory.target_temperature_k)


def _tensor_slopes(lag_time_ps: FloatArray, tensor: FloatArray) -> FloatArray:
    """(3, 3) diffusivity tensor: slope of each component / 2."""
    return np.array([[fit_line(lag_time_ps, tensor[:, a, b]).slope / 2.0 for b in range(3)] for a in range(3)])


def _stored_lags(n_lags: int) -> np.ndarray:
    return np.unique(np.linspace(0, n_lags - 1, min(n_lags, _MOST_STORED_LAGS)).round().astype(int))


def _upper_bound(msd: FloatArray, lag_time_ps: FloatArray, window: FitWindow, length: float, n_ions: int) -> float:
    """95 % upper bound on D of a run without a slope, Angstrom^2/ps.

    All of the displacement at the longest lag, vibration included, counted as diffusion, with the error of He's
    rule at the hops that it makes up, and at the very least the gate that was not met: (a^2 / 2) / (6 lag).
    """
    seen = max(float(msd[window.last]), 0.5 * length**2)
    spread = 1.0 + _QUANTILE_95 * rsd_he(seen * n_ions / length**2)
    return seen * spread / (6.0 * float(lag_time_ps[window.last]))


def analyse_trajectories(
    trajectories: Sequence[Trajectory], settings: TransportSettings, *, charge: float = 1.0
) -> tuple[tuple[RunTransport, ...], Arrhenius | None, Conductivity | None]:
    """Every run, the Arrhenius line through those that diffused, and the conductivity at the report temperature.

    Args:
        trajectories: one per run, any temperatures.
        settings: of the analysis.
        charge: of one mobile ion, e.
    Returns:
        runs, Arrhenius line or None, conductivity or None (when no temperature is known).
    """
    runs = tuple(analyse_run(trajectory, settings) for trajectory in trajectories)
    if not runs or not all(np.isfinite(run.temperature_k) for run in runs):
        return runs, None, None
    arrhenius = fit_arrhenius(runs)
    return runs, arrhenius, conductivity_at(arrhenius, runs, settings.report_temperature_k, charge=charge)

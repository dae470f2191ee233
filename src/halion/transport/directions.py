"""Diffusion along crystal axes, with errors of their own: c against the ab plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError
from halion.transport.covariance import IonStatistics
from halion.transport.fit import fit_slopes, rsd_he
from halion.transport.independence import Moments
from halion.transport.types import DirectionDiffusivity, RunTransport

__all__ = ["Anisotropy", "Motion", "along_axes", "anisotropy", "diffusivity_along", "tensor_with_errors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """The part of a displacement tensor that is fitted, and what it is averaged over.

    Attributes:
        lags: (n,) evenly spaced lags of the fit, in frames.
        tensor: (n, 3, 3) mean squared displacement at these lags, Angstrom^2.
        n_frames: of the run.
        frame_ps: time between frames.
        n_ions: mobile ions.
        ions: how many of them move independently.
        moments: of their displacements.
        hop_length: distance of neighbouring sites, Angstrom.
    """

    lags: IntArray
    tensor: FloatArray
    n_frames: int
    frame_ps: float
    n_ions: int
    ions: IonStatistics
    moments: Moments
    hop_length: float


def tensor_with_errors(motion: Motion) -> tuple[FloatArray, FloatArray]:
    """(3, 3) diffusivity tensor, slope of each component / 2, and its standard deviations, Angstrom^2/ps.

    The diagonal has the larger of the covariance's error and He's, as `diffusivity_along`. Off the diagonal,
    var D_ab = (D_aa D_bb + D_ab^2) / 2 times the product of the relative errors of D_aa and D_bb: components of
    one Gaussian displacement.

    Checked by tests/transport/test_transport_directions.py on replicas in rotated cells.
    """
    tensor, std = np.empty((3, 3)), np.empty((3, 3))
    relative = np.empty(3)
    for a in range(3):
        along = diffusivity_along(motion, "xyz"[a], np.eye(3)[a])
        std[a, a] = along.diffusivity_std
        relative[a] = along.diffusivity_std / max(abs(along.diffusivity), 1e-300)
    for a in range(3):
        for b in range(3):
            tensor[a, b] = _slope(motion, motion.tensor[:, a, b]) / 2.0
    for a in range(3):
        for b in range(a):
            product = abs(tensor[a, a] * tensor[b, b]) + tensor[a, b] ** 2
            std[a, b] = std[b, a] = math.sqrt(product / 2.0 * relative[a] * relative[b])
    return tensor, std


def _slope(motion: Motion, values: FloatArray) -> float:
    centred = motion.lags - motion.lags.mean()
    return float(centred @ values / (centred @ centred)) / motion.frame_ps


def diffusivity_along(motion: Motion, name: str, directions: FloatArray) -> DirectionDiffusivity:
    """Diffusivity along a direction or in a plane, D = slope / (2 d) of the displacement's part in it.

    The error is the larger of the covariance's, with one degree of freedom per ion and direction, and He's rule
    with the hops along the direction, MSD_n N / a^2.

    Args:
        motion: fitted part of the displacement.
        name: of the direction.
        directions: (3,) one direction, or (2, 3) two that span a plane; any length.
    Checked by tests/transport/test_transport_directions.py.
    """
    directions = np.atleast_2d(directions)
    basis = np.linalg.qr(directions.T)[0]
    part = np.einsum("ad,tab,bd->t", basis, motion.tensor, basis)
    n_directions = basis.shape[1]
    ions = IonStatistics(
        n_independent=motion.ions.n_independent,
        degrees_of_freedom=_degrees_of_freedom(motion, basis),
        jump_length=motion.moments.jump_length(motion.hop_length, basis),
    )
    fits = fit_slopes(motion.lags, part, motion.n_frames, ions)
    per_slope = 1.0 / (2.0 * n_directions * motion.frame_ps)
    slope = fits.ols.slope
    n_eff = float(part.max()) * motion.n_ions / motion.hop_length**2
    he = rsd_he(max(n_eff, 1e-12))
    # A slope that is not positive has no relative error: its own size is the least that it is uncertain by.
    covariance = fits.ols_std if slope > 0 else max(fits.ols_std, abs(slope))
    return DirectionDiffusivity(
        name=name,
        directions=basis.T.copy(),
        diffusivity=slope * per_slope,
        diffusivity_std=max(covariance, he * abs(slope)) * per_slope,
        diffusivity_gls=fits.gls.slope * per_slope,
        diffusivity_gls_std=fits.gls_std * per_slope,
        rsd_covariance=covariance / abs(slope) if slope else math.nan,
        rsd_he=he,
    )


def _degrees_of_freedom(motion: Motion, basis: FloatArray) -> float:
    """Of the independent ions in a subspace: (tr q)^2 / tr q^2 each, with q the displacement's growth in it."""
    growth = basis.T @ motion.moments.square @ basis
    one = float(np.trace(growth) ** 2 / np.sum(growth**2)) if np.any(growth) else float(basis.shape[1])
    return motion.ions.n_independent * min(max(one, 1.0), basis.shape[1])


def along_axes(motion: Motion, cell: FloatArray) -> tuple[DirectionDiffusivity, ...]:
    """Diffusivity along the cell vectors a, b and c, in the ab plane, and along c*, the normal of that plane.

    Args:
        motion: fitted part of the displacement.
        cell: (3, 3) rows a, b, c, Angstrom; the mean cell of the run.
    """
    normal = np.cross(cell[0], cell[1])
    named = (("a", cell[0]), ("b", cell[1]), ("c", cell[2]), ("ab", cell[:2]), ("c*", normal))
    return tuple(diffusivity_along(motion, name, directions) for name, directions in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anisotropy:
    """How many times faster ions diffuse along c* than in the ab plane.

    Attributes:
        ratio: D_c* / D_ab; NaN where either is not positive.
        low, high: 68 % interval, log-normal.
        n_runs: runs that were averaged.
        verdict: what it says.
    """

    ratio: float
    low: float
    high: float
    n_runs: int
    verdict: str


def anisotropy(runs: tuple[RunTransport, ...] | list[RunTransport]) -> Anisotropy:
    """Ratio of the diffusivities along c* and in the ab plane, ln averaged over runs with their errors as weights.

    The two are independent of each other when the principal axes lie along them, so their relative errors add in
    squares.

    Args:
        runs: of one material, all with the same orientation of the cell; those that did not diffuse are left out.
    Raises:
        InputError: no run diffused.
    Checked by tests/transport/test_transport_directions.py.
    """
    used = [run for run in runs if run.is_diffusive and run.along]
    if not used:
        raise InputError("no run diffused: there is no anisotropy to tell", fix="run longer or hotter")
    logs, weights = [], []
    for run in used:
        parts = {one.name: one for one in run.along}
        c, ab = parts["c*"], parts["ab"]
        if c.diffusivity > 0 and ab.diffusivity > 0:
            relative = (c.diffusivity_std / c.diffusivity) ** 2 + (ab.diffusivity_std / ab.diffusivity) ** 2
            logs.append(math.log(c.diffusivity / ab.diffusivity))
            weights.append(1.0 / relative)
    if not logs:
        nan = math.nan
        return Anisotropy(
            ratio=nan, low=nan, high=nan, n_runs=0, verdict="One direction did not diffuse: the ratio is unknown."
        )
    mean = float(np.average(logs, weights=weights))
    std = 1.0 / math.sqrt(sum(weights))
    return Anisotropy(
        ratio=math.exp(mean),
        low=math.exp(mean - std),
        high=math.exp(mean + std),
        n_runs=len(logs),
        verdict=_words(mean, std),
    )


def _words(mean: float, std: float) -> str:
    ratio = f"D along c* is {math.exp(mean):.2g} times that in the ab plane (68 %: {math.exp(mean - std):.2g} to "
    ratio += f"{math.exp(mean + std):.2g})"
    if abs(mean) < 2 * std:
        return f"{ratio}: no anisotropy is resolved."
    return f"{ratio}: diffusion is faster {'along c*' if mean > 0 else 'in the ab plane'}."

"""Mean squared displacement over all time origins, by FFT in blocks of ions, as a Cartesian tensor.

MSD_ab(m) = < (r_a(t+m) - r_a(t)) (r_b(t+m) - r_b(t)) > over origins t and ions. With S1 from running sums and S2
from the autocorrelation by FFT (Calandrini et al., Collection SFN 12, 201 (2011)); double precision, each ion's
mean position removed first so that nothing cancels.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory

__all__ = ["framework_drift", "msd_tensor", "without_drift"]

_IONS_PER_BLOCK = 16


def msd_tensor(positions: FloatArray, n_lags: int | None = None) -> FloatArray:
    """Mean squared displacement tensor of some ions.

    Args:
        positions: (n_frames, n_ions, 3) Angstrom, unwrapped, drift removed.
        n_lags: lags 0 ... n_lags - 1; None: all.
    Returns:
        (n_lags, 3, 3) Angstrom^2, symmetric; the trace is the mean squared displacement.
    Checked by tests/transport/test_transport_msd.py against the double loop.
    """
    n_frames, n_ions = positions.shape[:2]
    n_lags = n_frames if n_lags is None else min(n_lags, n_frames)
    length = next_fast_len(2 * n_frames, real=True)
    total = np.zeros((n_lags, 3, 3))
    origins = n_frames - np.arange(n_lags)
    for first in range(0, n_ions, _IONS_PER_BLOCK):
        block = positions[:, first : first + _IONS_PER_BLOCK].astype(float)
        block = block - block.mean(axis=0)
        transform = rfft(block, length, axis=0)
        for a in range(3):
            for b in range(a, 3):
                product = np.sum(block[..., a] * block[..., b], axis=1)
                cross = np.sum(transform[..., a].conj() * transform[..., b], axis=1)
                correlation = irfft(cross, length)
                both = correlation[:n_lags] + np.concatenate([correlation[:1], correlation[:-n_lags:-1]])
                running = np.concatenate([[0.0], np.cumsum(product)])
                ends = running[n_frames] - running[:n_lags] + running[n_frames - np.arange(n_lags)]
                total[:, a, b] += (ends - both) / origins
    total /= n_ions
    upper = np.triu(np.ones((3, 3), dtype=bool), 1)
    total.transpose(0, 2, 1)[:, upper] = total[:, upper]
    total[0] = 0.0
    return total


def framework_drift(trajectory: Trajectory, species: str) -> FloatArray:
    """(n_frames, 3) displacement of the framework's centre since the first frame, Angstrom.

    The framework is everything but the mobile species, each atom counting the same; if there is nothing else,
    the centre of mass of all ions (which are of one kind). In the frame of the mean cell, as `without_drift`.
    """
    centre = _centre(_in_mean_cell(trajectory), trajectory.symbols, species)
    return centre - centre[0]


def without_drift(trajectory: Trajectory, species: str) -> FloatArray:
    """(n_frames, n_atoms, 3) positions with the framework's drift removed, in the frame of the mean cell."""
    positions = _in_mean_cell(trajectory)
    centre = _centre(positions, trajectory.symbols, species)
    return positions - (centre - centre[0])[:, None]


def _centre(positions: FloatArray, symbols: tuple[str, ...], species: str) -> FloatArray:
    is_framework = np.array([symbol != species for symbol in symbols])
    return positions[:, is_framework if is_framework.any() else slice(None)].mean(axis=1)


def _in_mean_cell(trajectory: Trajectory) -> FloatArray:
    """In a breathing cell an ion that keeps its fractional coordinates has not moved."""
    positions, cells = trajectory.positions.astype(float), trajectory.cells
    if np.ptp(cells, axis=0).max() > 1e-9:
        positions = np.einsum("tni,tij->tnj", positions, np.linalg.inv(cells)) @ cells.mean(axis=0)
    return positions

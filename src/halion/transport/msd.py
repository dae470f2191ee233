"""Mean squared displacement over all time origins, by FFT in blocks of ions, as a Cartesian tensor.

MSD_ab(m) = < (r_a(t+m) - r_a(t)) (r_b(t+m) - r_b(t)) > over origins t and ions. With S1 from running sums and S2
from the autocorrelation by FFT (Calandrini et al., Collection SFN 12, 201 (2011)); double precision, each ion's
mean position removed first so that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory

__all__ = ["framework_drift", "mean_squares", "msd_tensor", "without_drift"]

# Ions times frames in one block: spectra and products of a block take some ten times eight bytes for each of them.
_MOST_IN_BLOCK = 2**18
_UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_TRACE = ((0, 0), (1, 1), (2, 2))


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
    sums = np.zeros((len(_UPPER), n_lags))
    for block in _blocks(positions):
        sums += _squares(block, n_lags, _UPPER)
    total = np.empty((n_lags, 3, 3))
    for (a, b), values in zip(_UPPER, sums, strict=True):
        total[:, a, b] = total[:, b, a] = values / (n_ions * (n_frames - np.arange(n_lags)))
    total[0] = 0.0
    return total


def mean_squares(groups: Iterable[FloatArray], n_lags: int) -> FloatArray:
    """Mean squared displacement of atoms that come group by group, so that never all of them are in memory.

    Args:
        groups: each (n_frames, some atoms, 3) Angstrom, unwrapped, drift removed, of one length.
        n_lags: lags 0 ... n_lags - 1, at most the number of frames.
    Returns:
        (n_lags,) Angstrom^2, the trace of `msd_tensor` of all atoms together.
    Checked by tests/transport/test_transport_frames.py.
    """
    total, n_atoms, n_frames = np.zeros(n_lags), 0, 0
    for positions in groups:
        n_frames, n_atoms = len(positions), n_atoms + positions.shape[1]
        for block in _blocks(positions):
            total += _squares(block, n_lags, _TRACE).sum(axis=0)
    total /= n_atoms * (n_frames - np.arange(n_lags))
    total[0] = 0.0
    return total


def _blocks(positions: FloatArray) -> Iterable[FloatArray]:
    """(some ions, 3, n_frames) float64, each path in one piece of memory, its mean removed."""
    n_frames, n_ions = positions.shape[:2]
    at_once = max(1, _MOST_IN_BLOCK // n_frames)
    for first in range(0, n_ions, at_once):
        block = np.array(positions[:, first : first + at_once].transpose(1, 2, 0), dtype=float, order="C")
        block -= block.mean(axis=2, keepdims=True)
        yield block


def _squares(block: FloatArray, n_lags: int, pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """(n_pairs, n_lags) sums of the products of displacements over ions and origins."""
    n_frames = block.shape[2]
    # Padded so far that no lag below n_lags reaches round to the other end.
    length = next_fast_len(n_frames + n_lags - 1, real=True)
    transform = rfft(block, length, axis=2)
    sums = np.empty((len(pairs), n_lags))
    for k, (a, b) in enumerate(pairs):
        # Lags m and -m together: twice the even part, whose spectrum is the real one.
        even = np.einsum("if,if->f", transform[:, a].real, transform[:, b].real)
        even += np.einsum("if,if->f", transform[:, a].imag, transform[:, b].imag)
        running = np.concatenate([[0.0], np.cumsum(np.einsum("it,it->t", block[:, a], block[:, b]))])
        ends = running[n_frames] - running[:n_lags] + running[n_frames - np.arange(n_lags)]
        sums[k] = ends - 2.0 * irfft(even, length)[:n_lags]
    return sums


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

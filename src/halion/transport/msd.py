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
    seen = _Products(n_frames, n_lags, _UPPER)
    seen.add(positions)
    total = np.empty((n_lags, 3, 3))
    for (a, b), values in zip(_UPPER, seen.mean_squares(n_ions), strict=True):
        total[:, a, b] = total[:, b, a] = values
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
    seen, n_atoms = None, 0
    for positions in groups:
        seen = _Products(len(positions), n_lags, _TRACE) if seen is None else seen
        seen.add(positions)
        n_atoms += positions.shape[1]
        del positions  # before the next ones are made: memory need not hold both
    return np.zeros(n_lags) if seen is None else seen.mean_squares(n_atoms).sum(axis=0)


class _Products:
    """Sums over ions of the products r_a r_b, in time and in frequency."""

    def __init__(self, n_frames: int, n_lags: int, pairs: Sequence[tuple[int, int]]) -> None:
        self._pairs, self._n_frames, self._n_lags = pairs, n_frames, n_lags
        # Padded so far that no lag below n_lags reaches round to the other end.
        self._length = next_fast_len(n_frames + n_lags - 1, real=True)
        self._in_time = np.zeros((len(pairs), n_frames))
        self._in_frequency = np.zeros((len(pairs), self._length // 2 + 1))

    def add(self, positions: FloatArray) -> None:
        """More ions, (n_frames, n_ions, 3); in blocks, each path in one piece of memory, its mean removed."""
        at_once = max(1, _MOST_IN_BLOCK // self._n_frames)
        for first in range(0, positions.shape[1], at_once):
            some = positions[:, first : first + at_once].transpose(1, 2, 0)
            block = np.array(some, dtype=float, order="C")
            block -= block.mean(axis=2, keepdims=True)
            spectrum = rfft(block, self._length, axis=2)
            for k, (a, b) in enumerate(self._pairs):
                self._in_time[k] += np.einsum("it,it->t", block[:, a], block[:, b])
                # Lags m and -m together: twice the even part, whose spectrum is the real one.
                self._in_frequency[k] += np.einsum("if,if->f", spectrum[:, a].real, spectrum[:, b].real)
                self._in_frequency[k] += np.einsum("if,if->f", spectrum[:, a].imag, spectrum[:, b].imag)

    def mean_squares(self, n_ions: int) -> FloatArray:
        """(n_pairs, n_lags) means over ions and origins of the products of displacements."""
        n_frames, n_lags = self._n_frames, self._n_lags
        origins = n_frames - np.arange(n_lags)
        found = np.empty((len(self._pairs), n_lags))
        for k in range(len(self._pairs)):
            running = np.concatenate([[0.0], np.cumsum(self._in_time[k])])
            ends = running[n_frames] - running[:n_lags] + running[origins]
            found[k] = (ends - 2.0 * irfft(self._in_frequency[k], self._length)[:n_lags]) / (n_ions * origins)
        found[:, 0] = 0.0
        return found


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

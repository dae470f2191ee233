"""How many ions move independently: fewer than there are when they move together, or when some rest."""

from __future__ import annotations

import numpy as np

from halion.arrays import FloatArray
from halion.transport.covariance import IonStatistics

__all__ = ["ion_statistics"]

_MOST_WINDOWS = 400
_FEWEST_WINDOWS = 4
_FEWEST_DISPLACEMENTS = 30


def ion_statistics(positions: FloatArray, lag: int, hop_length: float) -> IonStatistics:
    """Degrees of freedom of the ions' motion and how it comes in jumps, from displacements that do not overlap.

    With x_k the displacements of all ions in window k as one vector, and K their covariance,

        nu = (tr K)^2 / tr K^2 = sum_{k != l} |x_k|^2 |x_l|^2 / sum_{k != l} (x_k . x_l)^2,

    both sums free of bias for windows that are independent of each other, whatever the distribution of x. One ion
    alone has nu_1 = (tr q)^2 / tr q^2 with q the 3 x 3 covariance of its displacement; nu / nu_1 ions move
    independently. Sampling noise never makes them more than there are.

    The squared jump length is <|x|^4> - (tr q)^2 - 2 tr q^2 of each ion (its fourth cumulant, with the same sums
    free of bias) over <|x|^2>: a^2 for random hops of length a, zero for motion in small steps.

    Args:
        positions: (n_frames, n_ions, 3) Angstrom, unwrapped, drift removed.
        lag: frames of a window; long enough for ions to hop. Longer runs take longer windows, 400 at most.
        hop_length: distance of neighbouring sites, Angstrom: the jump length where there are fewer than 30
            displacements to take it from, and half of the largest that is believed.
    Checked by tests/transport/test_transport_covariance.py on ions that are independent, bound in groups, at rest.
    """
    n_frames, n_ions = positions.shape[:2]
    lag = max(1, lag, -(-(n_frames - 1) // _MOST_WINDOWS))
    lag = min(lag, max(1, (n_frames - 1) // _FEWEST_WINDOWS))
    moves = np.diff(positions[::lag].astype(float), axis=0)
    rows = moves.reshape(len(moves), -1)
    products = rows @ rows.T
    trace_squared = np.trace(products) ** 2 - np.sum(np.diag(products) ** 2)
    np.fill_diagonal(products, 0.0)
    single = np.einsum("kia,kib->ab", moves, moves)
    if not trace_squared > 0.0:  # nothing moved
        n_independent, of_one = float(n_ions), 3.0
    else:
        of_one = float(np.trace(single) ** 2 / np.sum(single**2))
        n_independent = float(np.clip(trace_squared / np.sum(products**2) / of_one, 1.0, n_ions))
    return IonStatistics(
        n_independent=n_independent,
        degrees_of_freedom=n_independent * of_one,
        jump_length=_jump_length(moves, hop_length),
    )


def _jump_length(moves: FloatArray, hop_length: float) -> float:
    """From displacements (n_windows, n_ions, 3)."""
    n_windows, n_ions = moves.shape[:2]
    squares = np.sum(moves**2, axis=2)
    if n_windows * n_ions < _FEWEST_DISPLACEMENTS or not squares.any():
        return float(hop_length)
    fourth = np.sum(squares**2, axis=0)
    products = np.einsum("kia,kib->iab", moves, moves)
    n_pairs = n_windows * (n_windows - 1)
    gaussian = squares.sum(axis=0) ** 2 - fourth + 2 * (np.sum(products**2, axis=(1, 2)) - fourth)
    cumulant = fourth.mean() / n_windows - gaussian.mean() / n_pairs
    return float(np.sqrt(np.clip(cumulant / squares.mean(), 0.0, (2.0 * hop_length) ** 2)))

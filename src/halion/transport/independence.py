"""How many ions move independently: fewer than there are when they move together, or when some rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.transport.covariance import IonStatistics

__all__ = ["Moments", "ion_moments", "ion_statistics"]

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
    n_ions = positions.shape[1]
    moves = _displacements(positions, lag)
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
        jump_length=_moments(moves).jump_length(hop_length),
    )


def ion_moments(positions: FloatArray, lag: int) -> Moments:
    """Moments of the displacements that `ion_statistics` takes; same arguments.

    Checked by tests/transport/test_transport_covariance.py.
    """
    return _moments(_displacements(positions, lag))


def _displacements(positions: FloatArray, lag: int) -> FloatArray:
    """(n_windows, n_ions, 3) over windows that do not overlap."""
    n_frames = len(positions)
    lag = max(1, lag, -(-(n_frames - 1) // _MOST_WINDOWS))
    lag = min(lag, max(1, (n_frames - 1) // _FEWEST_WINDOWS))
    return np.diff(positions[::lag].astype(float), axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """How the displacement of one ion over a window is distributed, averaged over ions.

    Attributes:
        square: (3, 3) <x_a x_b>, Angstrom^2.
        cumulant: (3, 3, 3, 3) <x_a x_b x_c x_d> - q_ab q_cd - q_ac q_bd - q_ad q_bc, with q of each ion,
            Angstrom^4; zero for Gaussian motion.
        n_displacements: windows times ions.
    """

    square: FloatArray
    cumulant: FloatArray
    n_displacements: int

    def jump_length(self, hop_length: float, basis: FloatArray | None = None) -> float:
        """Root of cumulant over square, in a subspace, Angstrom.

        Args:
            hop_length: distance of neighbouring sites: the answer where there are fewer than 30 displacements to
                take it from, and half of the largest that is believed.
            basis: (3, d) orthonormal columns; None: all of space.
        """
        part = np.eye(3) if basis is None else basis @ basis.T
        square = float(np.sum(part * self.square))
        if self.n_displacements < _FEWEST_DISPLACEMENTS or not square > 0.0:
            return float(hop_length)
        cumulant = float(np.einsum("ab,cd,abcd->", part, part, self.cumulant))
        return float(np.sqrt(np.clip(cumulant / square, 0.0, (2.0 * hop_length) ** 2)))


def _moments(moves: FloatArray) -> Moments:
    """From displacements (n_windows, n_ions, 3); products of q are over different windows, free of bias."""
    n_windows, n_ions = moves.shape[:2]
    outer = np.einsum("kia,kib->kiab", moves, moves)
    fourth = np.einsum("kiab,kicd->abcd", outer, outer) / n_ions
    sums = outer.sum(axis=0)
    pairs = np.einsum("iab,icd->abcd", sums, sums) / n_ions - fourth
    pairs /= max(1, n_windows * (n_windows - 1))
    gaussian = pairs + pairs.transpose(0, 2, 1, 3) + pairs.transpose(0, 3, 1, 2)
    return Moments(
        square=sums.mean(axis=0) / n_windows,
        cumulant=fourth / n_windows - gaussian,
        n_displacements=n_windows * n_ions,
    )

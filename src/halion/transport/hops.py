"""How far one hop is, and how many ions made one: the scale on which a run is judged."""

from __future__ import annotations

import numpy as np
from ase.geometry import find_mic

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError

__all__ = ["hop_length", "hopped_fraction"]

_MOST_FRAMES = 50
# Neighbouring cation sites of ionic conductors: 2.2 (tetrahedral to octahedral) to 4.6 Angstrom (argyrodite cages).
_SHORTEST, _LONGEST = 2.0, 5.0


def hop_length(trajectory: Trajectory, species: str) -> float:
    """Mean distance of a mobile ion to its nearest neighbour of the same kind, Angstrom.

    Ions of one kind sit on neighbouring sites; the mean nearest-neighbour distance over ions and frames stands for
    the distance of those sites. With one ion alone (its images are no neighbours to hop to) it cannot be known.

    Raises:
        TrajectoryError: it lies outside 2 to 5 Angstrom, where no hop between sites is; give it by hand.
    """
    mobile = np.flatnonzero([symbol == species for symbol in trajectory.symbols])
    frames = np.unique(
        np.linspace(0, trajectory.n_frames - 1, min(_MOST_FRAMES, trajectory.n_frames)).round().astype(int)
    )
    nearest = [_nearest(trajectory.positions[k, mobile], trajectory.cells[k]) for k in frames]
    length = float(np.mean(nearest)) if len(mobile) > 1 else float("nan")
    if not _SHORTEST <= length <= _LONGEST:
        raise TrajectoryError(
            f"the hop length cannot be taken from the structure: {len(mobile)} {species} ion(s) have their "
            f"nearest neighbour at {length:.2f} Angstrom on average; hops are {_SHORTEST:g} to {_LONGEST:g} "
            "Angstrom long, and N_eff counts in hops",
            where=trajectory.source,
            fix="set transport.hop_length_angstrom (--hop-length) to the distance of neighbouring sites",
        )
    return length


def _nearest(positions: FloatArray, cell: FloatArray) -> FloatArray:
    n_ions = len(positions)
    difference = (positions[:, None] - positions[None]).reshape(-1, 3)
    distances = find_mic(difference, cell)[1].reshape(n_ions, n_ions)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


def hopped_fraction(positions: FloatArray, length: float) -> float:
    """Part of the ions that were ever farther than one hop length from where they started.

    Args:
        positions: (n_frames, n_ions, 3) Angstrom, unwrapped, drift removed.
        length: hop length, Angstrom.
    """
    farthest = np.linalg.norm(positions - positions[0], axis=2).max(axis=0)
    return float((farthest > length).mean())

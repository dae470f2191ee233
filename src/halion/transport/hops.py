"""How far one hop is, and how many ions made one: the scale on which a run is judged."""

from __future__ import annotations

import numpy as np
from ase.geometry import find_mic

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.errors import TrajectoryError

__all__ = ["framework_spacing", "hop_length", "hopped_fraction"]

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
    length = _nearest_distance(trajectory, mobile) if len(mobile) > 1 else float("nan")
    if not _SHORTEST <= length <= _LONGEST:
        raise TrajectoryError(
            f"the hop length cannot be taken from the structure: {len(mobile)} {species} ion(s) have their "
            f"nearest neighbour at {length:.2f} Angstrom on average; hops are {_SHORTEST:g} to {_LONGEST:g} "
            "Angstrom long, and N_eff counts in hops",
            where=trajectory.source,
            fix="set transport.hop_length_angstrom (--hop-length) to the distance of neighbouring sites",
        )
    return length


def framework_spacing(trajectory: Trajectory, species: str) -> float:
    """Mean distance of like nearest neighbours in the framework, Angstrom: of the element packed most densely.

    In a halide, oxide or sulfide these are the anions; it is the length on which a melt is told from a crystal.
    Where no element has two atoms, the cube root of the volume per framework atom stands for it; NaN without a
    framework.
    """
    elements = sorted(set(trajectory.symbols) - {species})
    atoms = [np.flatnonzero([symbol == element for symbol in trajectory.symbols]) for element in elements]
    distances = [_nearest_distance(trajectory, chosen) for chosen in atoms if len(chosen) > 1]
    if distances or not elements:
        return min(distances, default=float("nan"))
    volume = float(np.abs(np.linalg.det(trajectory.cells)).mean())
    return float((volume / len(elements)) ** (1 / 3))


def _nearest_distance(trajectory: Trajectory, atoms: IntArray) -> float:
    """Mean over these atoms, and over frames, of the distance to the nearest other one."""
    n_frames = min(_MOST_FRAMES, trajectory.n_frames)
    frames = np.unique(np.linspace(0, trajectory.n_frames - 1, n_frames).round().astype(int))
    nearest = []
    for k in frames:
        positions = trajectory.positions[int(k), atoms]
        difference = (positions[:, None] - positions[None]).reshape(-1, 3)
        distances = find_mic(difference, trajectory.cells[k])[1].reshape(len(atoms), len(atoms))
        np.fill_diagonal(distances, np.inf)
        nearest.append(distances.min(axis=1))
    return float(np.mean(nearest))


def hopped_fraction(positions: FloatArray, length: float) -> float:
    """Part of the ions that were ever farther than one hop length from where they started.

    Args:
        positions: (n_frames, n_ions, 3) Angstrom, unwrapped, drift removed.
        length: hop length, Angstrom.
    """
    # Ion by ion: a copy of all paths of a long run is what memory has no room for.
    farthest = [np.linalg.norm(path - path[0], axis=1).max() for path in positions.transpose(1, 0, 2)]
    return float((np.array(farthest) > length).mean())

"""Frames that tests of the choice of frames share, and what they compare with: loops over atoms and many images."""

from itertools import product

import numpy as np
from ase.geometry.minkowski_reduction import minkowski_reduce

from halion.dynamics.types import Trajectory
from halion.labels.position_error import FrameSet

# Li3YCl6 has a hexagonal cell; a triclinic and a very skewed one are harder on the shortest image.
CELLS = {
    "cubic": 5.0 * np.eye(3),
    "hexagonal": np.array([[6.0, 0, 0], [-3.0, 3.0 * np.sqrt(3), 0], [0, 0, 4.0]]),
    "triclinic": np.array([[5.0, 0, 0], [2.0, 4.5, 0], [-1.5, 2.1, 4.2]]),
    "skewed": np.array([[4.0, 0, 0], [11.0, 5.0, 0], [-7.0, 9.0, 6.0]]),
}


def random_frames(
    n_frames: int,
    n_atoms: int,
    *,
    cell: str = "hexagonal",
    walk: float = 0.6,
    strain: float = 0.0,
    seed: int = 0,
) -> FrameSet:
    """Atoms at random places that vibrate by 0.2 Angstrom; the first third, lithium, also walk, by steps of `walk`
    Angstrom. Each frame is translated and its atoms are wrapped at random. With strain, every cell is its own."""
    rng = np.random.default_rng(seed)
    n_mobile = n_atoms // 3
    cells = CELLS[cell] @ (np.eye(3) + rng.normal(scale=strain, size=(n_frames, 3, 3)))
    moved = rng.normal(scale=0.2, size=(n_frames, n_atoms, 3))
    moved[:, :n_mobile] += np.cumsum(rng.normal(scale=walk, size=(n_frames, n_mobile, 3)), axis=0)
    fractional = rng.random((n_atoms, 3)) + moved @ np.linalg.inv(CELLS[cell]) + rng.random((n_frames, 1, 3))
    fractional += rng.integers(-2, 3, size=fractional.shape)
    return as_frames(fractional @ cells, cells, ("Li",) * n_mobile + ("Cl",) * (n_atoms - n_mobile))


def as_frames(positions: np.ndarray, cells: np.ndarray, symbols: tuple[str, ...]) -> FrameSet:
    """Arrays as frames of one trajectory."""
    n_frames = len(positions)
    return FrameSet(
        symbols=symbols,
        positions=positions,
        cells=np.broadcast_to(cells, (n_frames, 3, 3)),
        trajectory=np.zeros(n_frames, dtype=int),
        frame=np.arange(n_frames),
    )


def as_trajectory(frames: FrameSet, source: str = "run") -> Trajectory:
    """Frames as a trajectory without energies."""
    unknown = np.full(frames.n_frames, np.nan)
    return Trajectory(
        symbols=frames.symbols,
        positions=frames.positions,
        cells=np.array(frames.cells),
        steps=np.arange(frames.n_frames),
        time_ps=0.01 * np.arange(frames.n_frames),
        temperature_k=unknown,
        potential_energy=unknown,
        pressure_gpa=unknown,
        target_temperature_k=600.0,
        source=source,
    )


def shortest_image(vector: np.ndarray, cell: np.ndarray, reach: int) -> np.ndarray:
    """The shortest of all images within `reach` cells of the one with fractional coordinates in [-1/2, 1/2]."""
    fractional = vector @ np.linalg.inv(cell)
    steps = np.array(list(product(range(-reach, reach + 1), repeat=3)))
    images = (fractional - np.rint(fractional) + steps) @ cell
    return images[np.argmin((images**2).sum(axis=1))]


def naive_translation(fractional: np.ndarray, first: np.ndarray, mask: list[bool]) -> np.ndarray:
    """Mean fractional displacement from the first frame, axis by axis."""
    translation = np.empty(3)
    for axis in range(3):
        moved = [one - other for one, other, used in zip(fractional[:, axis], first[:, axis], mask) if used]
        middle = np.angle(sum(np.exp(2j * np.pi * one) for one in moved)) / (2 * np.pi)
        rest = [one - middle - round(one - middle) for one in moved]
        translation[axis] = middle + sum(rest) / len(rest)
    return translation


def naive_distance(frames: FrameSet, a: int, b: int, framework: tuple[str, ...] = ()) -> float:
    """d(a, b) atom by atom, Angstrom, in the Minkowski-reduced basis."""
    cell, operation = minkowski_reduce(frames.cells.mean(axis=0))
    mask = [not framework or symbol in framework for symbol in frames.symbols]
    fractional = [frames.positions[k] @ np.linalg.inv(operation @ frames.cells[k]) for k in (0, a, b)]
    aligned = [one - naive_translation(one, fractional[0], mask) for one in fractional[1:]]
    vectors = [shortest_image((one - other) @ cell, cell, reach=2) for one, other in zip(*aligned)]
    return float(np.sqrt(sum(vector @ vector for vector in vectors) / len(vectors)))


def naive_matrix(frames: FrameSet, framework: tuple[str, ...] = ()) -> np.ndarray:
    """All distances, (n_frames, n_frames)."""
    n = frames.n_frames
    return np.array([[naive_distance(frames, a, b, framework) for b in range(n)] for a in range(n)])


def naive_greedy(matrix: np.ndarray, chosen: list[int], may_be: list[int], n_points: int) -> tuple[list, list]:
    """Furthest points by the definition, one after the other."""
    chosen, indices, distances = list(chosen), [], []
    for _ in range(n_points):
        best, best_distance = -1, -1.0
        for k in may_be:
            distance = min(matrix[k, one] for one in chosen)
            if k not in indices and distance > best_distance:
                best, best_distance = k, distance
        chosen.append(best)
        indices.append(best)
        distances.append(best_distance)
    return indices, distances

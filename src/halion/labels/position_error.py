"""Frames of trajectories and how far apart they are: the root mean squared position error of their atoms.

    d(a, b)^2 = (1/N) sum_i |shortest image of (r_i^a - r_i^b)|^2

Atoms are compared by identity alone (their index). Frames of different cells (NPT) are compared in fractional
coordinates times the mean cell. A translation of a whole frame is taken away first, see `PositionErrors`.

The greedy choice by it (Gonzalez, Theor. Comput. Sci. 38, 293 (1985), doi:10.1016/0304-3975(85)90224-5): next is
the frame whose distance to the nearest chosen one is largest. In any metric the largest distance left over is at
most twice the smallest that as many frames can leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry.minkowski_reduction import minkowski_reduce

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.errors import InputError, TrajectoryError
from halion.progress import Progress, silent

__all__ = ["LABELLED", "SAME_FRAME", "FrameSet", "PositionErrors", "furthest_points", "gather_frames"]

# Number of the trajectory of a structure that has been labelled before.
LABELLED = -1
# Angstrom. Trajectories store positions in single precision: 1e-6 of the 10 to 50 Angstrom of a cell. Frames
# nearer than this are one frame.
SAME_FRAME = 1e-5
# Atoms of one block: some MB, so that a block stays in the cache of a core.
_ATOMS_PER_BLOCK = 32_768
# Length of the mean phase of the atoms that define a translation: 1 if all moved alike, 0 if the mean is undefined.
# Displacements of a tenth of the cell leave 0.8, of a quarter 0.3.
_LEAST_COMMON_PHASE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSet:
    """Frames of one composition, the atoms in one order.

    Attributes:
        symbols: (n_atoms) chemical symbols.
        positions: (n_frames, n_atoms, 3) Angstrom, wrapped or not.
        cells: (n_frames, 3, 3) Angstrom.
        trajectory: (n_frames,) which of the given trajectories; -1: a structure labelled before.
        frame: (n_frames,) index of the frame in its trajectory, or of the labelled structure in its list.
    """

    symbols: tuple[str, ...]
    positions: FloatArray
    cells: FloatArray
    trajectory: IntArray
    frame: IntArray

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.positions)

    def atoms(self, frame: int) -> Atoms:
        """One frame as a periodic structure, its positions as they are stored."""
        return Atoms(self.symbols, positions=self.positions[frame], cell=self.cells[frame], pbc=True)


def gather_frames(
    trajectories: Sequence[Trajectory], *, every: int = 1, labelled: Sequence[Atoms] = ()
) -> FrameSet:
    """Frames of several trajectories, and structures labelled in earlier rounds, as one set.

    Args:
        trajectories: of the same atoms in the same order, e.g. one ordering at several temperatures.
        every: every so many frames of each, from its first.
        labelled: structures of the same atoms in the same order; they come last.
    Raises:
        TrajectoryError: no frames, or atoms that differ.
        InputError: `every` below 1.
    Checked by tests/labels/test_labels_sampling.py.
    """
    if every < 1:
        raise InputError(f"every={every} takes no frames", fix="set it to 1 or more")
    if not sum(one.n_frames for one in trajectories):
        raise TrajectoryError("there are no frames to choose from", fix="give a trajectory that holds frames")
    symbols = trajectories[0].symbols
    for one in trajectories:
        _refuse_other_atoms(one.symbols, symbols, one.source)
    for k, atoms in enumerate(labelled):
        _refuse_other_atoms(tuple(atoms.get_chemical_symbols()), symbols, f"labelled structure {k}")
    counts = [len(range(0, one.n_frames, every)) for one in trajectories]
    sources = [*range(len(counts)), LABELLED]
    return FrameSet(
        symbols=symbols,
        positions=np.concatenate(
            [one.positions[::every] for one in trajectories] + [atoms.positions[None] for atoms in labelled]
        ),
        cells=np.concatenate(
            [one.cells[::every] for one in trajectories] + [atoms.cell.array[None] for atoms in labelled]
        ),
        trajectory=np.repeat(sources, [*counts, len(labelled)]),
        frame=np.concatenate([*(every * np.arange(n) for n in counts), np.arange(len(labelled))]),
    )


class PositionErrors:
    """Distances between the frames of one set, d(a, b) above, in Angstrom.

    A translation of a frame is its mean displacement from the first frame over `translated_with`: the circular mean
    of the fractional displacements, and on it the mean of what is left, each taken to its nearest image. So neither
    a translation nor wrapping of an atom changes a distance. Atoms that travel half a cell make that mean jump by
    1/N of a cell vector: leave mobile ions out of `translated_with`.

    Args:
        positions: (n_frames, n_atoms, 3) Angstrom, wrapped or not.
        cells: (n_frames, 3, 3) row vectors, Angstrom.
        translated_with: (n_atoms,) boolean, the atoms whose mean displacement is the translation; None: all atoms.
    Attributes:
        mean_cell: (3, 3) mean of the cells, Angstrom.
        n_frames: number of frames.
    Raises:
        TrajectoryError: no frames, a number that is not finite, a flat cell, no atoms to define the translation,
            or atoms so scattered that it has no mean.
    Beside the input it holds one array of the size of `positions`, and blocks of some MB. The shortest image is
    exact for any lattice: the mean cell is Minkowski-reduced, where it is among the 27 nearest (Nguyen and Stehle,
    ACM Trans. Algorithms 5, 46 (2009), doi:10.1145/1597036.1597050). Checked against loops over many images, for
    invariances and as a metric by tests/labels/test_labels_sampling_distances.py.
    """

    def __init__(
        self, positions: FloatArray, cells: FloatArray, *, translated_with: np.ndarray | None = None
    ) -> None:
        _refuse_unusable(positions, cells)
        self.n_frames, self._n_atoms = positions.shape[:2]
        self.mean_cell: FloatArray = np.mean(cells, axis=0)
        self._cell, operation = minkowski_reduce(self.mean_cell)
        self._to_fractional = np.linalg.inv(self._cell)
        self._images = _nearer_images(self._cell)
        # No lattice vector shortens a vector that is not longer than half the shortest of them.
        self._surely_shortest = (np.linalg.norm(self._cell, axis=1).min() / 2) ** 2
        to_reduced = np.linalg.inv(cells) @ np.linalg.inv(operation)
        self._fractional = np.empty(positions.shape)
        for block in self._blocks():
            self._fractional[block] = positions[block] @ to_reduced[block]
        with_them = np.ones(self._n_atoms, dtype=bool) if translated_with is None else translated_with
        self._remove_translations(np.asarray(with_them, dtype=bool))

    def to_frame(self, frame: int) -> FloatArray:
        """(n_frames,) distances of all frames to this one, Angstrom."""
        return self._to(self._fractional[frame])

    def to_mean(self) -> FloatArray:
        """(n_frames,) distances to the mean of all frames: of each atom, the mean over the frames of the image
        nearest to where it is in the first frame. Angstrom."""
        total = np.zeros((self._n_atoms, 3))
        for block in self._blocks():
            total += self._shortest(self._fractional[block] - self._fractional[0]).sum(axis=0)
        return self._to(self._fractional[0] + total / self.n_frames @ self._to_fractional)

    def _to(self, fractional: FloatArray) -> FloatArray:
        squared = np.empty(self.n_frames)
        for block in self._blocks():
            vectors = self._shortest(self._fractional[block] - fractional)
            squared[block] = np.einsum("fik,fik->f", vectors, vectors)
        return np.sqrt(squared / self._n_atoms)

    def _shortest(self, fractional: FloatArray) -> FloatArray:
        """Shortest images of differences (n, n_atoms, 3), Angstrom; the argument is overwritten."""
        fractional -= np.rint(fractional)
        vectors = fractional.reshape(-1, 3) @ self._cell
        if len(self._images) > 1:
            far = np.flatnonzero(np.einsum("ik,ik->i", vectors, vectors) > self._surely_shortest)
            # |v + L|^2 - |v|^2; the first image is L = 0.
            longer = vectors[far] @ (2 * self._images.T) + (self._images**2).sum(axis=1)
            vectors[far] += self._images[longer.argmin(axis=1)]
        return vectors.reshape(fractional.shape)

    def _remove_translations(self, with_them: np.ndarray) -> None:
        if not with_them.any():
            raise TrajectoryError(
                "no atom is left to tell the translation of a frame by",
                fix="name elements of the framework that the trajectory holds, or none to take all atoms",
            )
        first = self._fractional[0].copy()
        for block in self._blocks():
            moved = self._fractional[block][:, with_them] - first[with_them]
            phase = np.exp(2j * np.pi * moved).mean(axis=1)
            scattered = np.flatnonzero(np.abs(phase).min(axis=1) < _LEAST_COMMON_PHASE)
            if len(scattered):
                raise TrajectoryError(
                    "the atoms that define the translation of a frame have moved apart so far that their mean "
                    "displacement is not defined",
                    where=f"frame {block.start + scattered[0]}, compared with frame 0",
                    fix="take atoms of the framework alone, or frames of a run that has not melted",
                )
            translation = np.angle(phase)[:, None] / (2 * np.pi)
            rest = moved - translation
            rest -= np.rint(rest)
            self._fractional[block] -= translation + rest.mean(axis=1, keepdims=True)

    def _blocks(self) -> Iterator[slice]:
        step = max(1, _ATOMS_PER_BLOCK // self._n_atoms)
        for start in range(0, self.n_frames, step):
            yield slice(start, min(start + step, self.n_frames))


def furthest_points(
    distances_to: Callable[[int], FloatArray],
    nearest: FloatArray,
    may_be_chosen: np.ndarray,
    n_points: int,
    progress: Progress = silent,
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Greedy furthest point sampling; ties go to the lowest index.

    Args:
        distances_to: gives the (n,) distances of all points to one.
        nearest: (n,) distances to the nearest point chosen before, not empty of them: some are finite.
        may_be_chosen: (n,) boolean; fewer than `n_points` are an error of the caller.
        n_points: how many more.
    Returns:
        (n_points,) indices in their order, (n_points,) their distances to the nearest point chosen before them, and
        (n,) the distances to the nearest of all chosen ones.
    Raises:
        TrajectoryError: all that is left coincides with what is chosen.
    Checked against a loop and against the best choice by tests/labels/test_labels_sampling.py.
    """
    nearest, indices, distances = nearest.copy(), [], []
    for k in range(n_points):
        best = int(np.argmax(np.where(may_be_chosen, nearest, -np.inf)))
        if nearest[best] < SAME_FRAME:
            raise TrajectoryError(
                f"{n_points} frames were asked for, and after {k} every other one coincides with a chosen one "
                f"(within {SAME_FRAME:g} Angstrom)",
                fix="ask for fewer frames, or give a longer trajectory",
            )
        indices.append(best)
        distances.append(nearest[best])
        np.minimum(nearest, distances_to(best), out=nearest)
        may_be_chosen = may_be_chosen & (np.arange(len(nearest)) != best)
        progress(k + 1, n_points, "frames chosen")
    return np.array(indices, dtype=np.int64), np.array(distances), nearest


def _nearer_images(cell: FloatArray) -> FloatArray:
    """(n, 3) lattice vectors that may shorten a vector with fractional coordinates in [-1/2, 1/2]; zero first.

    v.L is least at a corner of that box, where it is -sum_k |cell_k.L| / 2; L gains nothing unless this is below
    -|L|^2 / 2.
    """
    steps = np.stack(np.meshgrid(*[[0, 1, -1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    images = steps @ cell
    gain = np.abs(images @ cell.T).sum(axis=1) - (images**2).sum(axis=1)
    may_shorten = gain > 1e-9 * np.trace(cell @ cell.T)
    may_shorten[0] = True
    return images[may_shorten]


def _refuse_other_atoms(symbols: tuple[str, ...], expected: tuple[str, ...], where: str) -> None:
    if symbols != expected:
        same = sorted(symbols) == sorted(expected)
        raise TrajectoryError(
            f"atoms that differ: {Atoms(symbols).get_chemical_formula()}"
            + (", in another order" if same else f", after {Atoms(expected).get_chemical_formula()}")
            + "; atoms are compared by their index",
            where=where,
            fix="choose frames of each composition and order of atoms by itself",
        )


def _refuse_unusable(positions: FloatArray, cells: FloatArray) -> None:
    if not positions.shape[0] or not positions.shape[1]:
        raise TrajectoryError(
            "there are no frames to compare", fix="give a trajectory that holds frames with atoms"
        )
    broken = ~np.isfinite(cells).all(axis=(1, 2))
    broken |= ~np.isfinite(positions.sum(axis=(1, 2)))
    if broken.any():
        raise TrajectoryError(
            f"{broken.sum()} frame(s) hold a position or cell that is not a finite number",
            where=f"frame {np.flatnonzero(broken)[0]}",
            fix="cut the trajectory before the structure exploded",
        )
    lengths = np.linalg.norm(cells, axis=2).prod(axis=1)
    flat = np.abs(np.linalg.det(cells)) < 1e-6 * lengths
    if flat.any():
        raise TrajectoryError(
            f"{flat.sum()} frame(s) have no three-dimensional cell",
            where=f"frame {np.flatnonzero(flat)[0]}",
            fix="give frames that are periodic in three dimensions",
        )

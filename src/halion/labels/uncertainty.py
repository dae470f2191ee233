"""Which frames a potential knows least: by the spread of a committee, or by the last layer of one network.

Committee: Zhang et al., Phys. Rev. Mater. 3, 023804 (2019), doi:10.1103/PhysRevMaterials.3.023804.
Last layer: Bigi et al., Mach. Learn.: Sci. Technol. 5, 045018 (2024), doi:10.1088/2632-2153/ad805f.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, TrajectoryError
from halion.potentials.types import LastLayer, Potential
from halion.progress import Progress, silent

__all__ = ["LastLayerUncertainty", "force_spreads", "least_certain", "structure_features"]

# Atoms of one call of a potential: enough to fill it, a few MB of results.
_ATOMS_PER_CALL = 4096
# An uncertainty this small against the features themselves is their rounding in single precision.
_NOTHING_LEFT = 1e-6


def force_spreads(
    potentials: Sequence[Potential],
    numbers: IntArray,
    positions: FloatArray,
    cells: FloatArray,
    progress: Progress = silent,
) -> FloatArray:
    """Spread of the forces over a committee: max_i sqrt((1/M) sum_m |F_i^m - <F_i>|^2), eV/Angstrom.

    Args:
        potentials: M of them, at least two.
        numbers: (n_atoms,) atomic numbers, of every frame.
        positions: (n_frames, n_atoms, 3) Angstrom.
        cells: (n_frames, 3, 3) Angstrom.
    Returns:
        (n_frames,).
    Raises:
        InputError: fewer than two potentials, or what a potential refuses.
        PhysicsRefusal: what a potential refuses.
    Checked against loops by tests/labels/test_labels_sampling_uncertainty.py.
    """
    if len(potentials) < 2:
        raise InputError(
            f"a committee of {len(potentials)} has no spread", fix="give two potentials or more, or another method"
        )
    spreads = np.empty(len(positions))
    for block in _blocks(len(positions), len(numbers)):
        batch = _joined(numbers, positions[block], cells[block])
        forces = np.array([potential.evaluate_arrays(*batch).forces for potential in potentials])
        variances = ((forces - forces.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
        spreads[block] = np.sqrt(variances.reshape(-1, len(numbers)).max(axis=1))
        progress(block.stop, len(positions), "frames evaluated")
    return spreads


def structure_features(
    potential: Potential, numbers: IntArray, positions: FloatArray, cells: FloatArray, progress: Progress = silent
) -> FloatArray:
    """Mean over the atoms of a frame of the last hidden layer of the potential's network, (n_frames, 64).

    The energy per atom is a linear function of them, up to the reference energies of the elements.

    Args:
        potential: one that gives its last layer (`LastLayer`): CHGNet, pretrained or fine-tuned.
        numbers, positions, cells: as in `force_spreads`.
    Raises:
        InputError: a potential without them, or what it refuses.
        PhysicsRefusal: what the potential refuses.
    Checked by tests/labels/test_labels_sampling_uncertainty.py.
    """
    if not isinstance(potential, LastLayer):
        raise InputError(
            f"{potential.name} does not give the features of its last layer",
            fix="take CHGNet or a fine-tuned descendant of it, or choose frames by another method",
        )
    features = []
    for block in _blocks(len(positions), len(numbers)):
        of_atoms = potential.last_layer_features(*_joined(numbers, positions[block], cells[block]))
        features.append(of_atoms.reshape(block.stop - block.start, len(numbers), -1).mean(axis=1))
        progress(block.stop, len(positions), "frames evaluated")
    return np.concatenate(features)


class LastLayerUncertainty:
    """Standard deviation of a linear model on features, given those of the frames that have labels.

    With x_j the features of frame j less their mean over all frames and C the labelled frames,

        u_j^2 = x_j^T (1 + sum_{c in C} x_c x_c^T / s)^-1 x_j,     s = ridge <|x|^2> / n_features:

    Bayesian linear regression with weights of unit prior variance and noise of variance s. Without labels u_j is
    the distance |x_j| to the mean frame; along directions that labels have fixed it vanishes. In units of the
    features.

    Args:
        features: (n_frames, n_features).
        ridge: noise against the mean variance of a feature; directions with less variance than that count as noise.
    Attributes:
        size: root mean square length of the features, their mean not taken off.
    Raises:
        InputError: a ridge that is not positive, features that are not finite.
    Checked against the inverse of the whole matrix by tests/labels/test_labels_sampling_uncertainty.py.
    """

    def __init__(self, features: FloatArray, ridge: float) -> None:
        if not ridge > 0 or not np.isfinite(ridge):
            raise InputError(
                f"a ridge of {ridge:g} leaves the model undetermined", fix="set it above 0, e.g. to 0.01"
            )
        if not np.isfinite(features).all():
            raise InputError("features that are not finite", fix="look at the frames: the structure has exploded")
        self.size = float(np.sqrt((features**2).sum(axis=1).mean()))
        self._x = features - features.mean(axis=0)
        self._squared = np.einsum("jk,jk->j", self._x, self._x)
        self._noise = ridge * self._squared.mean() / features.shape[1]
        self._inverse = np.eye(features.shape[1])

    @property
    def values(self) -> FloatArray:
        """(n_frames,) u_j, units of the features."""
        return np.sqrt(np.maximum(self._squared, 0))

    def add(self, frame: int) -> None:
        """Take a frame for labelled: the rank-one update of the inverse (Sherman and Morrison)."""
        if self._noise == 0:  # all frames have the same features; nothing is left to determine
            return
        direction = self._inverse @ self._x[frame]
        scale = 1 / (self._noise + self._x[frame] @ direction)
        self._squared -= scale * (self._x @ direction) ** 2
        self._inverse -= scale * np.outer(direction, direction)


def least_certain(
    model: LastLayerUncertainty, counted: IntArray, may_be_chosen: np.ndarray, n_frames: int
) -> tuple[IntArray, FloatArray]:
    """Greedy choice: each time the frame of largest u_j, then taken for labelled; ties go to the lowest index.

    Args:
        model: without labels; it takes in those counted and those chosen.
        counted: frames that have labels.
        may_be_chosen: (n_all,) boolean; fewer than `n_frames` are an error of the caller.
        n_frames: how many.
    Returns:
        (n_frames,) indices in their order, (n_frames,) u_j at the time of choice.
    Raises:
        TrajectoryError: fewer determine all of them.
    Checked against the inverse of the whole matrix by tests/labels/test_labels_sampling_uncertainty.py.
    """
    still_open = may_be_chosen.copy()
    for frame in counted:
        model.add(int(frame))
    indices, distances = [], []
    for k in range(n_frames):
        left = np.where(still_open, model.values, -np.inf)
        best = int(np.argmax(left))
        if left[best] <= _NOTHING_LEFT * model.size:
            raise TrajectoryError(
                f"{n_frames} frames were asked for, and {k} determine the last layer on all of them: the others "
                "have the same features",
                fix="ask for fewer frames, or give a longer trajectory",
            )
        indices.append(best)
        distances.append(left[best])
        still_open[best] = False
        model.add(best)
    return np.array(indices), np.array(distances)


def _blocks(n_frames: int, n_atoms: int) -> Iterator[slice]:
    step = max(1, _ATOMS_PER_CALL // n_atoms)
    for start in range(0, n_frames, step):
        yield slice(start, min(start + step, n_frames))


def _joined(
    numbers: IntArray, positions: FloatArray, cells: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    """Frames of the same atoms as a batch of structures."""
    n_frames, n_atoms = positions.shape[:2]
    return np.tile(numbers, n_frames), positions.reshape(-1, 3), cells, np.full(n_frames, n_atoms)

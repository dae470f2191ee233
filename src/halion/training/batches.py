"""The steps of an epoch: which frames go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halion.arrays import IntArray
from halion.settings_learning import TrainingSettings

__all__ = ["batches"]


def batches(order: IntArray, n_atoms: Sequence[int], settings: TrainingSettings) -> list[IntArray]:
    """Frames in an order, cut into steps.

    Args:
        order: (n_frames,) indices, as drawn for this epoch.
        n_atoms: of every frame.
        settings: `batch_size` frames per step; or, with `batch_atoms`, as many as have no more atoms together, at
            least one: large cells then take no more memory per step than small ones.
    Checked by tests/training/test_training_committee.py.
    """
    if settings.batch_atoms is None:
        size = settings.batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]
    cuts, held = [], 0
    for k, frame in enumerate(order):
        if held and held + n_atoms[frame] > settings.batch_atoms:
            cuts.append(k)
            held = 0
        held += n_atoms[frame]
    return np.split(order, cuts)

"""Positions of a long run that stay on the disk, and are read frame by frame or atom by atom as they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from halion.arrays import FloatArray
from halion.dynamics.layout import DAMAGE, open_file
from halion.dynamics.segments import torn_trajectory

__all__ = ["POSITIONS", "StoredPositions"]

POSITIONS = "positions_angstrom"


class StoredPositions:
    """(n_frames, n_atoms, 3) positions in a `trajectory.h5`, Angstrom, indexed as an array is; float64 once read.

    Nothing but what an index names is read: `positions[a:b]` frames a to b, `positions[:, c:d]` the whole paths of
    atoms c to d. Frames are named by a number or by a slice of step one, atoms by anything that numpy takes;
    `np.asarray(positions)` is all of them in memory. The file must stay as it is.

    Args:
        path: the file.
        shape: of the positions in it.
    Raises:
        TornFile: what is read is damaged.
        TypeError: frames named in another way.
    Checked by tests/dynamics/test_dynamics_stored.py against the array in memory.
    """

    ndim = 3
    dtype = np.dtype(float)

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.path, self.shape = path, shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> FloatArray:
        frames, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(frames, int | np.integer):
            k = range(len(self))[frames]
            return self._read(slice(k, k + 1), slice(None))[0][tuple(rest)]
        if not (isinstance(frames, slice) and frames.step in (None, 1)):
            raise TypeError("stored positions are read by one frame or by frames in a row: np.asarray(positions)")
        if rest and isinstance(rest[0], slice) and rest[0].step in (None, 1):
            return self._read(frames, rest[0])[:, :, *rest[1:]]
        return self._read(frames, slice(None))[:, *rest]

    def __array__(self, dtype: DTypeLike = None, copy: bool | None = None) -> FloatArray:
        if copy is False:
            raise ValueError("stored positions have no memory to share: they are read")
        return self._read(slice(None), slice(None)).astype(dtype or float, copy=False)

    def astype(self, dtype: DTypeLike) -> FloatArray:
        """All of them in memory."""
        return np.asarray(self, dtype=dtype)

    def _read(self, frames: slice, atoms: slice) -> FloatArray:
        try:
            with open_file(self.path) as file:
                return file[POSITIONS].astype(float)[frames, atoms]
        except DAMAGE as error:
            raise torn_trajectory(self.path, error) from error

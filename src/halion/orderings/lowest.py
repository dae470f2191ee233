"""The lowest distinct orderings of a walk through many: rows come in any number and as any of their images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.orderings.canonical import canonical_rows

__all__ = ["Lowest"]

_AT_ONCE = 4096  # rows made canonical together
_MOST_REMEMBERED = 500_000  # rows known not to be new


class Lowest:
    """Keeps the `size` distinct orderings of lowest energy; ties are decided by the rows themselves.

    Attributes:
        threshold: a row above this cannot be among them, eV.
    """

    def __init__(
        self,
        permutations: NDArray[np.int32],
        energies: Callable[[NDArray[np.uint8]], FloatArray],
        size: int,
        precision: float,
    ) -> None:
        """Start with none.

        Args:
            permutations: (group_order, n_sites) that make orderings equal.
            energies: of rows, eV.
            size: most orderings kept.
            precision: by which energies of equal orderings may differ, eV.
        """
        self._permutations, self._energies, self._size, self._precision = permutations, energies, size, precision
        self._known: dict[bytes, tuple[float, int]] = {}  # canonical row -> energy and multiplicity
        self._seen: set[bytes] = set()
        self._waiting: list[bytes] = []
        self.threshold = np.inf

    def add(self, rows: NDArray[np.uint8]) -> None:
        """Consider some rows."""
        for row in rows:
            text = row.tobytes()
            if text not in self._seen:
                self._seen.add(text)
                self._waiting.append(text)
        if len(self._waiting) >= _AT_ONCE:
            self._settle()

    def energy_of(self, row: NDArray[np.uint8]) -> float:
        """Of the canonical image of one row, eV."""
        return float(np.round(self._energies(canonical_rows(self._permutations, row[None])[0]), 6)[0])

    def sorted(self) -> tuple[NDArray[np.uint8], FloatArray, IntArray]:
        """(rows, energies, multiplicities), the lowest first."""
        self._settle()
        order = sorted(self._known, key=lambda text: (self._known[text][0], text))
        rows = np.frombuffer(b"".join(order), dtype=np.uint8).reshape(len(order), self._permutations.shape[1])
        energies = np.array([self._known[text][0] for text in order])
        return rows.copy(), energies, np.array([self._known[text][1] for text in order], dtype=np.int64)

    def _settle(self) -> None:
        if not self._waiting:
            return
        rows = np.frombuffer(b"".join(self._waiting), dtype=np.uint8).reshape(
            len(self._waiting), self._permutations.shape[1]
        )
        self._waiting.clear()
        canonical, multiplicity = canonical_rows(self._permutations, rows)
        # Rounded, so that ties do not depend on which rows were multiplied together.
        for row, energy, n in zip(canonical, np.round(self._energies(canonical), 6), multiplicity):
            self._known[row.tobytes()] = (float(energy), int(n))
        if len(self._known) >= self._size:
            kept = sorted(self._known, key=lambda text: (self._known[text][0], text))[: self._size]
            self._known = {text: self._known[text] for text in kept}
            self.threshold = self._known[kept[-1]][0] + self._precision
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.clear()

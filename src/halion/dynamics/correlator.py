"""Mean squared displacements while a run moves, without a trajectory: exact, in memory that grows as its logarithm.

Level l keeps the last 16 of every 4^l-th sample. A new sample is compared with those that are kept, so that lags
j 4^l (j = 1 ... 15 at level 0, 4 ... 15 above) are averaged over all origins that are multiples of 4^l samples:
displacements themselves, no averages of positions. After Frenkel and Smit, Understanding Molecular Simulation,
2nd ed., section 4.4.2 (order-n algorithm).

Displacements are those of fractional coordinates, in which a breathing cell is no motion; they are taken to the
mean cell at the end. For each element two sums are kept, of x x^T over its atoms, and of X X'^T with X the sum of x
over its atoms, for all pairs of elements: from them follow the displacement and the collective displacement of any
element against any framework, whichever is chosen later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.dynamics.layout import State

__all__ = ["Correlation", "Correlator", "elements_of", "has_correlation"]

KEPT, STRIDE = 16, 4
_PREFIX = "correlation_"


def elements_of(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """The elements in the order in which a correlator counts them."""
    return tuple(sorted(set(symbols)))


def has_correlation(state: State) -> bool:
    """Whether a stored state holds a correlator's."""
    return f"{_PREFIX}samples" in state


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Displacements of one run by lag, in its mean cell, seen from the cell (no drift removed).

    Attributes:
        elements: in the order of the arrays.
        n_atoms: of each element.
        lags: (n_lags,) lags in samples, ascending.
        origins: (n_lags,) time origins that each is averaged over.
        n_samples: samples of the run.
        sample_ps: time from sample to sample, ps.
        own: (n_lags, n_elements, 3, 3) mean of x x^T over atoms and origins, Angstrom^2.
        together: (n_lags, n_elements, n_elements, 3, 3) mean of X X'^T over origins, Angstrom^2.
        cell: (3, 3) mean cell, Angstrom.
        target_temperature_k: temperature that the run was meant to have.
        source: the file that it was read from.
    """

    elements: tuple[str, ...]
    n_atoms: tuple[int, ...]
    lags: IntArray
    origins: IntArray
    n_samples: int
    sample_ps: float
    own: FloatArray
    together: FloatArray
    cell: FloatArray
    target_temperature_k: float = math.nan
    source: str = ""


class Correlator:
    """Displacements of one run, sample by sample.

    Args:
        symbols: of the atoms.
        every_steps: steps from sample to sample.

    Checked by tests/dynamics/test_dynamics_correlator.py against the double loop over the same origins.
    """

    def __init__(self, symbols: tuple[str, ...], every_steps: int) -> None:
        self.symbols, self.every_steps = symbols, every_steps
        self.elements = elements_of(symbols)
        self._atoms = [np.flatnonzero(np.array(symbols) == element) for element in self.elements]
        n_elements = len(self.elements)
        self._samples, self._cells = 0, np.zeros((3, 3))
        self._kept = np.zeros((1, KEPT, len(symbols), 3))
        self._own = np.zeros((1, KEPT, n_elements, 3, 3))
        self._together = np.zeros((1, KEPT, n_elements, n_elements, 3, 3))

    @classmethod
    def resumed(cls, symbols: tuple[str, ...], state: State, every_steps: int | None = None) -> Self:
        """The correlator that goes on from a stored state; a state without one begins it, every so many steps."""
        fresh = cls(symbols, int(state[f"{_PREFIX}every_steps"][0]) if every_steps is None else every_steps)
        if has_correlation(state):
            fresh._samples = int(state[f"{_PREFIX}samples"][0])
            for name in ("cells", "kept", "own", "together"):
                setattr(fresh, f"_{name}", state[f"{_PREFIX}{name}"].copy())
        return fresh

    def state(self) -> State:
        """Everything that the next sample depends on, to be stored with the state of the run; copies."""
        return {
            f"{_PREFIX}samples": np.array([float(self._samples)]),
            f"{_PREFIX}every_steps": np.array([float(self.every_steps)]),
            **{
                f"{_PREFIX}{name}": getattr(self, f"_{name}").copy()
                for name in ("cells", "kept", "own", "together")
            },
        }

    def add(self, positions: FloatArray, cell: FloatArray) -> None:
        """The next sample.

        Args:
            positions: (n_atoms, 3) Angstrom, unwrapped.
            cell: (3, 3) rows, Angstrom.
        """
        fractional = positions @ np.linalg.inv(cell)
        level, n = 0, self._samples
        while n % STRIDE**level == 0 and (level == 0 or n >= STRIDE**level):
            if level == len(self._kept):
                self._grow()
            self._compare(level, n // STRIDE**level, fractional)
            level += 1
        self._samples, self._cells = n + 1, self._cells + cell

    def _grow(self) -> None:
        """One level more, whose first sample is the first of the level below, which has it still."""
        self._own = np.concatenate([self._own, np.zeros_like(self._own[:1])])
        self._together = np.concatenate([self._together, np.zeros_like(self._together[:1])])
        self._kept = np.concatenate([self._kept, np.zeros_like(self._kept[:1])])
        self._kept[-1, 0] = self._kept[-2, 0]

    def _compare(self, level: int, k: int, fractional: FloatArray) -> None:
        """Sample number k of a level, against those before it."""
        lags = np.arange(1 if level == 0 else STRIDE, min(k, KEPT - 1) + 1)
        if len(lags):
            moves = fractional - self._kept[level, (k - lags) % KEPT]
            of_each = [moves[:, atoms] for atoms in self._atoms]
            for s, one in enumerate(of_each):
                self._own[level, lags, s] += np.einsum("jia,jib->jab", one, one)
            sums = np.stack([one.sum(axis=1) for one in of_each], axis=1)
            self._together[level, lags] += np.einsum("jsa,jtb->jstab", sums, sums)
        self._kept[level, k % KEPT] = fractional

    def result(self, sample_ps: float, target_temperature_k: float = math.nan, source: str = "") -> Correlation:
        """What has been seen so far; the arguments are told with it."""
        per_level = [
            (level, j)
            for level in range(len(self._kept))
            for j in range(1 if level == 0 else STRIDE, KEPT)
            if (self._samples - 1) // STRIDE**level >= j
        ]
        level, j = np.array(per_level, dtype=int).reshape(-1, 2).T
        origins = (self._samples - 1) // STRIDE**level + 1 - j
        cell = self._cells / max(self._samples, 1)
        counts = np.array([len(atoms) for atoms in self._atoms])
        own = self._own[level, j] / (origins[:, None] * counts)[..., None, None]
        together = self._together[level, j] / origins[:, None, None, None, None]
        return Correlation(
            elements=self.elements,
            n_atoms=tuple(int(count) for count in counts),
            lags=j * STRIDE**level,
            origins=origins,
            n_samples=self._samples,
            sample_ps=sample_ps,
            own=cell.T @ own @ cell,
            together=cell.T @ together @ cell,
            cell=cell,
            target_temperature_k=target_temperature_k,
            source=source,
        )

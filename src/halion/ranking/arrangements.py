"""Arrangements of one content on a sublattice that a search may choose from: all, or too many to list."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray
from halion.orderings.canonical import canonical_rows
from halion.orderings.types import OrderingCount
from halion.ranking.sublattice import Sublattice
from halion.ranking.substitution import count_substitutions
from halion.ranking.surrogate import Surrogate

__all__ = ["Candidates", "ListedArrangements", "UnlistedArrangements"]

Rows = NDArray[np.uint8]
# Descents of one question: the lowest of a few dozen sites is met by several of them.
_DESCENTS = 32


class Candidates(Protocol):
    """Distinct arrangements, one row of each orbit under the group."""

    sublattice: Sublattice
    count: OrderingCount
    is_listed: bool

    @property
    def n_distinct(self) -> int:
        """How many there are."""
        ...

    def everything(self) -> Rows:
        """All rows."""
        ...

    def random(self, n: int, generator: np.random.Generator, known: set[bytes]) -> Rows:
        """Up to n rows not known yet."""
        ...

    def lowest(self, model: Surrogate, n: int, near: Rows) -> Rows:
        """The n rows predicted lowest, known ones among them, lowest first; `near`: good rows to look around."""
        ...


class ListedArrangements:
    """All distinct arrangements, each representative once."""

    is_listed = True

    def __init__(self, sublattice: Sublattice, rows: Rows, count: OrderingCount) -> None:
        self.sublattice, self.rows, self.count = sublattice, rows, count

    @property
    def n_distinct(self) -> int:
        """How many there are."""
        return len(self.rows)

    def everything(self) -> Rows:
        """All rows."""
        return self.rows

    def random(self, n: int, generator: np.random.Generator, known: set[bytes]) -> Rows:
        """Up to n rows not known yet, each distinct arrangement equally likely."""
        order = generator.permutation(len(self.rows))
        fresh = [k for k in order[: n + len(known)] if self.rows[k].tobytes() not in known]
        return self.rows[fresh[:n]]

    def lowest(self, model: Surrogate, n: int, near: Rows) -> Rows:
        """The n rows predicted lowest of all."""
        return self.rows[np.argsort(model.predict(self.rows), kind="stable")[:n]]


class UnlistedArrangements:
    """Too many arrangements to list: drawn at random, and the lowest looked for by exchanges of two sites."""

    is_listed = False

    def __init__(self, sublattice: Sublattice, n_guests: int, *, seed: int = 0) -> None:
        self.sublattice, self.n_guests, self.seed = sublattice, n_guests, seed
        self.count = count_substitutions(sublattice, n_guests)

    @property
    def n_distinct(self) -> int:
        """How many there are."""
        return self.count.distinct

    def everything(self) -> Rows:
        """Never asked for: there are more than can be listed."""
        raise NotImplementedError("arrangements that are not listed")

    def random(self, n: int, generator: np.random.Generator, known: set[bytes]) -> Rows:
        """Up to n rows not known yet; every arrangement, equivalent ones counted each, equally likely."""
        n = min(n, self.n_distinct - len(known))
        fresh: dict[bytes, NDArray[np.uint8]] = {}
        while len(fresh) < n:
            for row in canonical_rows(self.sublattice.permutations, self._drawn(n, generator))[0]:
                if row.tobytes() not in known and len(fresh) < n:
                    fresh[row.tobytes()] = row
        return np.array(list(fresh.values()), dtype=np.uint8).reshape(-1, self.sublattice.n_sites)

    def _drawn(self, n: int, generator: np.random.Generator) -> Rows:
        row = np.zeros(self.sublattice.n_sites, dtype=np.uint8)
        row[: self.n_guests] = 1
        return generator.permuted(np.tile(row, (max(n, 1), 1)), axis=1)

    def lowest(self, model: Surrogate, n: int, near: Rows) -> Rows:
        """The n lowest of all rows met on descents by exchanges of a guest and a host, from random and good rows.

        Each descent takes the exchange that lowers the prediction most until none does. The same question has
        the same answer: the random starts follow from the seed.
        """
        generator = np.random.default_rng([self.seed, 1])
        rows = np.concatenate([near, self._drawn(_DESCENTS, generator)])
        met: dict[bytes, tuple[float, NDArray[np.uint8]]] = {}
        energies = model.predict(rows)
        _note(met, self.sublattice, rows, energies, n)
        while len(rows):
            neighbours = _exchanged(rows)  # (n_rows, n_exchanges, n_sites)
            predicted = model.predict(neighbours.reshape(-1, rows.shape[1])).reshape(len(rows), -1)
            _note(met, self.sublattice, neighbours.reshape(-1, rows.shape[1]), predicted.ravel(), n)
            best = predicted.argmin(axis=1)
            lower = predicted[np.arange(len(rows)), best] < energies - 1e-12
            rows, energies = neighbours[lower, best[lower]], predicted[lower, best[lower]]
        return np.array([row for _, row in sorted(met.values(), key=lambda each: each[0])[:n]], dtype=np.uint8)


def _note(
    met: dict[bytes, tuple[float, NDArray[np.uint8]]],
    sublattice: Sublattice,
    rows: Rows,
    energies: FloatArray,
    n: int,
) -> None:
    """Keep the lowest rows met, each orbit once; equivalent ones have one energy, so some more are looked at."""
    few = np.argsort(energies, kind="stable")[: n * len(sublattice.permutations)]
    for row, energy in zip(canonical_rows(sublattice.permutations, rows[few])[0], energies[few]):
        met.setdefault(row.tobytes(), (float(energy), row))


def _exchanged(rows: Rows) -> Rows:
    """(n_rows, n_exchanges, n_sites) every row with a guest and a host exchanged, in all ways."""
    guests = np.argsort(-rows.astype(np.int8), axis=1, kind="stable")
    n_guests = int(rows[0].sum())
    filled, empty = guests[:, :n_guests], guests[:, n_guests:]
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(n_guests), np.arange(empty.shape[1]), indexing="ij"))
    neighbours = np.repeat(rows[:, None], len(i), axis=1)
    row, exchange = np.arange(len(rows))[:, None], np.arange(len(i))[None]
    neighbours[row, exchange, filled[:, i]] = 0
    neighbours[row, exchange, empty[:, j]] = 1
    return neighbours

"""Orderings of low Coulomb energy by replica exchange Monte Carlo: a heuristic, and no measure.

Two sites exchange their species, within an orbit or, where several compositions are given, between orbits as long
as one of these compositions comes of it. E(q) = 1/2 q A q changes by

    dq (phi_i - phi_j) + 1/2 dq^2 (A_ii + A_jj - 2 A_ij),   phi = A q,   dq = q_j - q_i

and phi is carried along in O(N). Pairs that exclusions forbid cost a penalty that hot replicas can pay and cold
ones cannot, because single exchanges between allowed orderings may not reach all of them (two yttrium that must
leave two columns at once); only orderings without a forbidden pair are ever recorded.

Source: Swendsen and Wang, Phys. Rev. Lett. 57, 2607 (1986); Hukushima and Nemoto, J. Phys. Soc. Jpn. 65, 1604
(1996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.orderings.lowest import Lowest
from halion.progress import Progress, Stop, never, silent

if TYPE_CHECKING:
    from halion.orderings.swaps import Swaps

__all__ = ["Exchange", "lowest_by_exchange"]

_STARTS, _TEMPERATURES = 8, 16
# Of ratios 200, 50, 20 and penalties 3, 1 these found the ten lowest orderings of 60 and 80 atoms most often.
_HOT_TO_COLD = 50.0
_PENALTY = 1.0  # in kT of the hottest replica: crossed there in one of three tries, never by the coldest
_SWEEPS_PER_ROUND = 20
_LEAST_ROUNDS, _MOST_ROUNDS = 20, 200
_TRIED_MOVES = 200  # per chain, to choose the temperatures
# Sites related by symmetry are so within the precision of refined coordinates only, and so are their energies, eV.
_PRECISION = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What replica exchange found.

    Attributes:
        rows: (n, n_sites) canonical orderings of the disordered sites, the lowest first.
        energies: (n,) eV per cell.
        multiplicity: (n,) orderings equivalent to each.
        n_met: allowed orderings met, repeats included.
        n_starts: independent starts.
        n_lowest: those of them that met an ordering as low as the lowest.
        is_settled: no start found a lower one in the second half of the rounds; otherwise their number ended it.
    """

    rows: NDArray[np.uint8]
    energies: FloatArray
    multiplicity: IntArray
    n_met: int
    n_starts: int
    n_lowest: int
    is_settled: bool


def lowest_by_exchange(
    swaps: Swaps,
    permutations: NDArray[np.int32],
    *,
    size: int,
    seed: int,
    progress: Progress = silent,
    stop: Stop = never,
) -> Exchange | None:
    """The lowest distinct orderings met by replica exchange from independent random starts.

    Rounds of sweeps go on until no start has lowered its lowest ordering in the second half of them, and for at
    most 200. The random walk does not depend on `size`: with more, the same orderings and more are kept.

    Args:
        swaps: sites, energies and what may be exchanged.
        permutations: (group_order, n_sites) that make orderings equal.
        size: most distinct orderings kept.
        seed: of the random numbers.
        progress: told rounds.
        stop: asked after each sweep; True ends it.
    Returns:
        None where `stop` ended it.

    Checked by tests/orderings/test_orderings_exchange.py: finds the minimum of listing all orderings.
    """
    rng = np.random.default_rng(seed)
    chains = _Chains(swaps, rng)
    lowest = Lowest(permutations, swaps.energies, size, _PRECISION)
    chains.record(chains.lines, lowest)
    improved = np.zeros(_STARTS, dtype=int)
    for n_rounds in range(1, _MOST_ROUNDS + 1):
        before = chains.best.reshape(_STARTS, -1).min(axis=1)
        for _ in range(_SWEEPS_PER_ROUND):
            if stop():
                return None
            chains.sweep(lowest)
            chains.exchange()
        chains.refresh()
        best = chains.best.reshape(_STARTS, -1).min(axis=1)
        improved[best < before - _PRECISION] = n_rounds
        progress(n_rounds, _MOST_ROUNDS, f"lowest {best.min():.3f} eV")
        is_settled = bool(n_rounds >= _LEAST_ROUNDS and 2 * improved.max() <= n_rounds)
        if is_settled:
            break
    rows, energies, multiplicity = lowest.sorted()
    return Exchange(
        rows=rows,
        energies=energies,
        multiplicity=multiplicity,
        n_met=chains.n_met,
        n_starts=_STARTS,
        n_lowest=_starts_that_met(chains, lowest, energies),
        is_settled=is_settled,
    )


def _starts_that_met(chains: _Chains, lowest: Lowest, energies: FloatArray) -> int:
    """Starts whose own lowest ordering is as low as the lowest of all."""
    found = 0
    for start in range(_STARTS):
        mine = chains.best.reshape(_STARTS, -1)[start]
        if len(energies) and np.isfinite(mine.min()):
            row = chains.best_rows.reshape(_STARTS, _TEMPERATURES, -1)[start, mine.argmin()]
            found += bool(lowest.energy_of(row) <= energies[0] + 1e-6)
    return found


class _Chains:
    """All replicas of all starts, moved together.

    Attributes:
        best, best_rows: lowest allowed energy that each replica met, eV, and the ordering.
        n_met: allowed orderings met.
    """

    def __init__(self, swaps: Swaps, rng: np.random.Generator) -> None:
        self.swaps, self.rng = swaps, rng
        n = _STARTS * _TEMPERATURES
        self.rows, self.composition = swaps.random(rng, n)
        self.lines = np.arange(n)
        self.best = np.full(n, np.inf)
        self.best_rows = self.rows.copy()
        self.n_met = self.n_exchanges = 0
        self.refresh()
        hot = self._typical_difference()
        self.penalty = _PENALTY * hot
        inverse = np.geomspace(1.0, _HOT_TO_COLD, _TEMPERATURES) / hot
        self.chain_at = self.lines.reshape(_STARTS, _TEMPERATURES).copy()  # (start, temperature) -> replica
        self.beta = np.tile(inverse, _STARTS)
        self.inverse = inverse

    def refresh(self) -> None:
        """Everything from the orderings alone: carried along, rounding errors would add up."""
        self.energy, self.potential = self.swaps.energies(self.rows), self.swaps.potentials(self.rows)
        self.pressure = self.swaps.pressures(self.rows)
        self.violations = self.swaps.violations(self.rows)

    def _typical_difference(self) -> float:
        """Median change of energy of an exchange in a random ordering, eV."""
        seen = [np.zeros(0)]
        for _ in range(_TRIED_MOVES if len(self.swaps.first) else 0):
            move = self.swaps.propose(self, self.rng.integers(len(self.swaps.first), size=len(self.lines)))
            seen.append(np.abs(move.energy[move.possible]))
        different = np.concatenate(seen)
        different = different[different > _PRECISION]
        return float(np.median(different)) if len(different) else 1.0

    def sweep(self, lowest: Lowest) -> None:
        """As many proposals per replica as there are sites."""
        n_moves = self.rows.shape[1] if len(self.swaps.first) else 0
        # At least one pair to choose from, also where there is none and nothing is chosen.
        pairs = self.rng.integers(max(1, len(self.swaps.first)), size=(n_moves, len(self.lines)))
        limits = self.rng.standard_exponential(size=pairs.shape)
        for chosen, limit in zip(pairs, limits):
            move = self.swaps.propose(self, chosen)
            cost = move.energy + self.penalty * move.violations
            accepted = np.flatnonzero(move.possible & (self.beta * cost <= limit))
            if len(accepted):
                self.swaps.make(self, move, accepted)
                self.record(accepted, lowest)

    def record(self, changed: IntArray, lowest: Lowest) -> None:
        """Note what some replicas have come to, if it is allowed."""
        allowed = changed[self.violations[changed] == 0]
        self.n_met += len(allowed)
        better = allowed[self.energy[allowed] < self.best[allowed]]
        self.best[better] = self.energy[better]
        self.best_rows[better] = self.rows[better]
        low = allowed[self.energy[allowed] <= lowest.threshold]
        if len(low):
            lowest.add(self.rows[low])

    def exchange(self) -> None:
        """Neighbouring temperatures of each start exchange their replicas with Metropolis probability."""
        cost = (self.energy + self.penalty * self.violations)[self.chain_at]
        first = np.arange(self.n_exchanges % 2, _TEMPERATURES - 1, 2)
        self.n_exchanges += 1
        exponent = (self.inverse[first] - self.inverse[first + 1]) * (cost[:, first] - cost[:, first + 1])
        swapped = -exponent <= self.rng.standard_exponential(size=exponent.shape)
        start, which = np.nonzero(swapped)
        a, b = first[which], first[which] + 1
        self.chain_at[start, a], self.chain_at[start, b] = self.chain_at[start, b], self.chain_at[start, a]
        self.beta[self.chain_at] = self.inverse

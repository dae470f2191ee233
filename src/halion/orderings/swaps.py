"""Exchanges of the species of two sites: what they change in Coulomb energy, exclusions and composition."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.orderings.dixon_wilf import Draws
from halion.orderings.transfer import Block, Restrictions

__all__ = ["Moves", "State", "Swaps"]


class State(Protocol):
    """Many orderings and what is carried along with them.

    Attributes:
        rows: (n, n_sites) species.
        composition: (n,) index of each one's composition.
        energy: (n,) eV.
        potential: (n, n_sites) eV/e.
        pressure: (n, n_sites * n_species) forbidden pairs that a species on a site is or would be part of.
        violations: (n,) forbidden pairs and forbidden species.
        lines: (n,) 0 ... n - 1.
    """

    rows: NDArray[np.uint8]
    composition: IntArray
    energy: FloatArray
    potential: FloatArray
    pressure: NDArray[np.int16]
    violations: IntArray
    lines: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """One proposed exchange per ordering.

    Attributes:
        first, second: (n,) the two sites.
        species: (n,), (n,) what they carry now.
        composition: (n,) that comes of it.
        possible: (n,) whether it changes anything and gives one of the compositions.
        energy: (n,) change, eV.
        violations: (n,) change.
    """

    first: IntArray
    second: IntArray
    species: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    composition: IntArray
    possible: NDArray[np.bool_]
    energy: FloatArray
    violations: IntArray


class Swaps:
    """Energies of orderings, and exchanges between pairs of their disordered sites.

    Attributes:
        first, second: (n_pairs,) sites that may exchange their species.
    """

    def __init__(
        self,
        compositions: Sequence[Sequence[Block]],
        charges: FloatArray,
        form: tuple[float, FloatArray, FloatArray],
        restrictions: Restrictions,
    ) -> None:
        """Prepare all pairs.

        Args:
            compositions: blocks of sites with the number of each species, the same blocks in all.
            charges: (n_species,) e.
            form: (constant in eV, (n_sites,) potential of all other sites in eV/e, (n_sites, n_sites) interaction
                in eV/e^2): E = constant + potential . q + 1/2 q interaction q.
            restrictions: what exclusions forbid.
        """
        self._compositions, self._charges, self._restrictions = compositions, charges, restrictions
        self._constant, self._outer, self._matrix = form
        n_sites, self._n_species = len(self._outer), len(charges)
        self._draws = Draws(np.arange(n_sites, dtype=np.int32)[None], compositions)
        self.first, self.second, self._kind, self._to = _pairs(compositions, self._n_species)
        diagonal = np.diagonal(self._matrix)
        cross = self._matrix[self.first, self.second]
        self._self_term = (diagonal[self.first] + diagonal[self.second]) / 2 - cross
        self._forbidden, self._conflicts = _as_arrays(restrictions, n_sites, self._n_species)
        self._is_restricted = bool(restrictions.conflicts or restrictions.forbidden)

    def random(self, rng: np.random.Generator, n: int) -> tuple[NDArray[np.uint8], IntArray]:
        """n random orderings, forbidden pairs or not, and the index of the composition of each."""
        rows = self._draws.draw(rng, n)
        kinds = self._n_species
        known = {_content(blocks, kinds): k for k, blocks in enumerate(self._compositions)}
        spans = [(begin, end) for begin, end, _ in self._compositions[0]]
        contents = [tuple(tuple(np.bincount(row[b:e], minlength=kinds).tolist()) for b, e in spans) for row in rows]
        return rows, np.array([known[content] for content in contents], dtype=np.int64)

    def energies(self, rows: NDArray[np.uint8]) -> FloatArray:
        """(n,) eV per cell."""
        charges = self._charges[rows]
        return self._constant + np.einsum("ij,ij->i", charges @ self._matrix / 2 + self._outer, charges)

    def potentials(self, rows: NDArray[np.uint8]) -> FloatArray:
        """(n, n_sites) eV/e, self terms of the sites included."""
        return self._charges[rows] @ self._matrix + self._outer

    def pressures(self, rows: NDArray[np.uint8]) -> NDArray[np.int16]:
        """(n, n_sites * n_species) forbidden pairs with what there is, for every species on every site."""
        return (self._filled(rows) @ self._conflicts + self._forbidden).astype(np.int16)

    def violations(self, rows: NDArray[np.uint8]) -> IntArray:
        """(n,) forbidden pairs and forbidden species."""
        filled = self._filled(rows)
        pairs = np.einsum("ij,ij->i", filled @ self._conflicts, filled) // 2
        return pairs.astype(np.int64) + (filled @ self._forbidden).astype(np.int64)

    def _filled(self, rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        nodes = np.arange(rows.shape[1]) * self._n_species + rows
        filled = np.zeros((len(rows), rows.shape[1] * self._n_species), dtype=np.float32)
        np.put_along_axis(filled, nodes, 1.0, axis=1)
        return filled

    def propose(self, state: State, pairs: IntArray) -> Moves:
        """What one exchange per ordering would change.

        Args:
            state: the orderings.
            pairs: (n,) index of the pair of sites of each.
        """
        i, j, lines = self.first[pairs], self.second[pairs], state.lines
        a, b = state.rows[lines, i], state.rows[lines, j]
        composition = self._to[state.composition, self._kind[pairs], a, b]
        dq = self._charges[b] - self._charges[a]
        energy = dq * (state.potential[lines, i] - state.potential[lines, j]) + dq * dq * self._self_term[pairs]
        violations = np.zeros(len(lines), dtype=np.int64)
        if self._is_restricted:
            ia, ib, ja, jb = (site * self._n_species + s for site in (i, j) for s in (a, b))
            pressure, conflicts = state.pressure, self._conflicts
            violations += pressure[lines, ib] + pressure[lines, ja] - pressure[lines, ia] - pressure[lines, jb]
            both = conflicts[ib, ja] + conflicts[ia, jb] - conflicts[ib, jb] - conflicts[ia, ja]
            violations += both.astype(np.int64)
        return Moves(
            first=i,
            second=j,
            species=(a, b),
            composition=composition,
            possible=(a != b) & (composition >= 0),
            energy=energy,
            violations=violations,
        )

    def make(self, state: State, moves: Moves, chosen: IntArray) -> None:
        """Make some of the exchanges."""
        i, j = moves.first[chosen], moves.second[chosen]
        a, b = (species[chosen] for species in moves.species)
        state.rows[chosen, i], state.rows[chosen, j] = b, a
        state.composition[chosen] = moves.composition[chosen]
        state.energy[chosen] += moves.energy[chosen]
        dq = self._charges[b] - self._charges[a]
        state.potential[chosen] += dq[:, None] * (self._matrix[i] - self._matrix[j])
        if self._is_restricted:
            ia, ib, ja, jb = (site * self._n_species + s for site in (i, j) for s in (a, b))
            change = self._conflicts[ib] + self._conflicts[ja] - self._conflicts[ia] - self._conflicts[jb]
            state.pressure[chosen] += change.astype(np.int16)
            state.violations[chosen] += moves.violations[chosen]


def _as_arrays(
    restrictions: Restrictions, n_sites: int, n_species: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n_nodes,) forbidden ones and (n_nodes, n_nodes) forbidden pairs; node = site * n_species + species."""
    forbidden = np.zeros(n_sites * n_species, dtype=np.float32)
    conflicts = np.zeros((n_sites * n_species,) * 2, dtype=np.float32)
    for site, species in restrictions.forbidden:
        forbidden[site * n_species + species] = 1
    for (site, species), others in restrictions.conflicts.items():
        for other, kind in others:
            conflicts[site * n_species + species, other * n_species + kind] = 1
    return forbidden, conflicts


def _content(blocks: Sequence[Block], n_species: int) -> tuple[tuple[int, ...], ...]:
    """Sites per block and species."""
    return tuple(tuple(numbers.get(s, 0) for s in range(n_species)) for _, _, numbers in blocks)


def _pairs(
    compositions: Sequence[Sequence[Block]], n_species: int
) -> tuple[IntArray, IntArray, IntArray, NDArray[np.int32]]:
    """Pairs of sites, the kind (pair of blocks) of each, and (composition, kind, a, b) -> composition or -1."""
    contents = [_content(blocks, n_species) for blocks in compositions]
    known = {content: k for k, content in enumerate(contents)}
    spans = [(begin, end) for begin, end, _ in compositions[0]]
    pairs, tables = [np.zeros((0, 3), dtype=np.int64)], []
    for p, q in itertools.combinations_with_replacement(range(len(spans)), 2):
        table = np.full((len(compositions), n_species, n_species), -1, dtype=np.int32)
        for k, content in enumerate(contents):
            for a, b in itertools.permutations(range(n_species), 2):
                if content[p][a] and content[q][b]:
                    table[k, a, b] = k if p == q else known.get(_exchanged(content, (p, q), a, b), -1)
        i, j = (each.ravel() for each in np.meshgrid(np.arange(*spans[p]), np.arange(*spans[q]), indexing="ij"))
        if table.max() >= 0:
            pairs.append(np.stack([i, j, np.full(len(i), len(tables))], axis=1)[(i < j) | (p != q)])
            tables.append(table)
    first, second, kind = np.concatenate(pairs).T
    return first, second, kind, np.stack(tables, axis=1) if tables else np.zeros((1, 0, 0, 0), dtype=np.int32)


def _exchanged(
    content: tuple[tuple[int, ...], ...], blocks: tuple[int, int], a: int, b: int
) -> tuple[tuple[int, ...], ...]:
    """Content after a of the first block and b of the second have changed places."""
    changed = [list(each) for each in content]
    p, q = blocks
    changed[p][a] -= 1
    changed[p][b] += 1
    changed[q][b] -= 1
    changed[q][a] += 1
    return tuple(tuple(each) for each in changed)

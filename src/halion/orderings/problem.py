"""The enumeration problem as the compiled search takes it: blocks, permutations and conflicts in whole numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halion.crystal.types import DisorderedCrystal
from halion.errors import OrderingError
from halion.orderings.count import disordered_orbits, species_counts
from halion.orderings.exclusions import SitePairs, conflicting_pairs
from halion.orderings.sites import SupercellSites, site_permutations, supercell_sites
from halion.orderings.types import Composition, PairExclusion

__all__ = ["Problem", "arrange_blocks", "describe", "species_of", "state_problem"]

_BLOCKS_FOLLOW = -1  # an orbit's rest species is given after its last block only


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Disordered sites are numbered on from zero, orbit after orbit; species are indices into `species`.

    Attributes:
        sites: all sites of the supercell.
        species: names; index 0 is the vacancy "".
        permutations: (group_order, n_disordered) of the disordered sites, the identity first.
        blocks: (n_blocks, 5) first site, end, species, atoms, rest species (-1 while blocks of the orbit follow).
        counts: per disordered orbit: (first site, end, {species: number}).
        pairs: conflicting pairs of all sites, per exclusion.
        conflicts: {(disordered site, species): set of (disordered site, species)}, symmetric.
        forbidden: (disordered site, species) that a cation on an ordered site excludes.
        row: (n_sites,) species of every site, the ordered ones filled in.
        row_site: (n_disordered,) index of each disordered site among all sites.
    """

    sites: SupercellSites
    species: tuple[str, ...]
    permutations: NDArray[np.int32]
    blocks: NDArray[np.int32]
    counts: tuple[tuple[int, int, dict[int, int]], ...]
    pairs: tuple[SitePairs, ...]
    conflicts: dict[tuple[int, int], set[tuple[int, int]]]
    forbidden: frozenset[tuple[int, int]]
    row: NDArray[np.uint8]
    row_site: NDArray[np.int32]


def species_of(compositions: Sequence[Composition]) -> tuple[str, ...]:
    """Names of the vacancy, "", and of the elements with atoms in any of the compositions, sorted."""
    found = {element for each in compositions for orbit in each.orbits for element, n in orbit.counts.items() if n}
    return ("", *sorted(found))


def state_problem(
    crystal: DisorderedCrystal,
    composition: Composition,
    exclusions: tuple[PairExclusion, ...],
    species: tuple[str, ...] | None = None,
    orbits: Sequence[int] | None = None,
) -> Problem:
    """Sites, symmetry, blocks and conflicts of one composition.

    Args:
        species: names that rows refer to, the vacancy first; those of this composition by default.
        orbits: orbits whose sites count as disordered; by default those that can be filled in more than one way.
    Raises:
        OrderingError: two ordered sites, always filled, are too close already.
    """
    sites = supercell_sites(crystal, composition.supercell)
    orbits = disordered_orbits(composition) if orbits is None else list(orbits)
    species = species or species_of([composition])
    row = np.zeros(len(sites.site_orbit), dtype=np.uint8)
    for orbit in composition.orbits:
        if orbit.orbit not in orbits:
            row[sites.site_orbit == orbit.orbit] = species.index(next(iter(species_counts(orbit))))
    row_site = np.concatenate([np.flatnonzero(sites.site_orbit == k) for k in orbits] or [[]]).astype(np.int32)
    counts, begin = [], 0
    for index in orbits:
        named = species_counts(composition.orbits[index])
        end = begin + composition.orbits[index].n_sites
        counts.append((begin, end, {species.index(name): n for name, n in named.items()}))
        begin = end
    pairs: tuple[SitePairs, ...] = ()
    if exclusions:
        everyone = site_permutations(crystal, composition.supercell, range(len(crystal.orbits)))
        pairs = conflicting_pairs(sites, exclusions, everyone)
    conflicts, forbidden = _conflicts(crystal, pairs, species, row, row_site)
    return Problem(
        sites=sites,
        species=species,
        permutations=site_permutations(crystal, composition.supercell, orbits),
        blocks=arrange_blocks(counts, {site for site, _ in conflicts}),
        counts=tuple(counts),
        pairs=pairs,
        conflicts=conflicts,
        forbidden=forbidden,
        row=row,
        row_site=row_site,
    )


def arrange_blocks(counts: list[tuple[int, int, dict[int, int]]], restricted: Collection[int]) -> NDArray[np.int32]:
    """Blocks of each orbit in the order of the search; the commonest species of an orbit is its rest.

    Orbits with conflicts come first: what is impossible is then found out once, and not again under each
    arrangement of the others. Then those with few colourings, which reduce the group at little cost.
    """

    def rank(each: tuple[int, int, dict[int, int]]) -> tuple[bool, int, int]:
        begin, end, numbers = each
        return not any(begin <= site < end for site in restricted), _multinomial(numbers), begin

    lines = []
    for begin, end, numbers in sorted(counts, key=rank):
        *chosen, (rest, _) = sorted(numbers.items(), key=lambda item: (item[1], item[0]))
        for k, (code, n) in enumerate(chosen):
            lines.append((begin, end, code, n, rest if k == len(chosen) - 1 else _BLOCKS_FOLLOW))
    return np.array(lines, dtype=np.int32).reshape(-1, 5)


def _multinomial(numbers: dict[int, int]) -> int:
    return math.factorial(sum(numbers.values())) // math.prod(map(math.factorial, numbers.values()))


def _conflicts(
    crystal: DisorderedCrystal,
    pairs: tuple[SitePairs, ...],
    species: tuple[str, ...],
    row: NDArray[np.uint8],
    row_site: NDArray[np.int32],
) -> tuple[dict[tuple[int, int], set[tuple[int, int]]], frozenset[tuple[int, int]]]:
    place = {int(site): k for k, site in enumerate(row_site)}
    conflicts: dict[tuple[int, int], set[tuple[int, int]]] = {}
    forbidden = set()
    for each in pairs:
        if not set(each.exclusion.elements) <= set(species):
            continue  # an element of the refinement with no atom in this composition
        a, b = (species.index(element) for element in each.exclusion.elements)
        for i, j in each.sites.tolist():
            for here, mine, there, other in ((i, a, j, b), (j, b, i, a)):
                node, partner = (place.get(here, -1), mine), (place.get(there, -1), other)
                if node[0] < 0:
                    if partner[0] < 0 and row[here] == mine and row[there] == other:
                        raise _always_too_close(crystal, each.exclusion)
                    continue
                if partner[0] >= 0 and node != partner:
                    conflicts.setdefault(node, set()).add(partner)
                elif node == partner or row[there] == other:
                    forbidden.add(node)
    return conflicts, frozenset(forbidden)


def _always_too_close(crystal: DisorderedCrystal, exclusion: PairExclusion) -> OrderingError:
    below = f"{np.floor(exclusion.distance * 100) / 100:g}"
    pair = "-".join(sorted(exclusion.elements))
    by_user = f"closest_cations_angstrom: {below}"
    setting = by_user if exclusion.reason == "closest cations" else f"exclude: {{{pair}: {below}}}"
    return OrderingError(
        "two sites are too close in every ordering: both are always filled; " + describe(crystal, exclusion),
        where=crystal.name,
        fix=f"orderings: {{{setting}}}, or correct the coordinates or occupancies of these sites in the file",
    )


def describe(crystal: DisorderedCrystal, exclusion: PairExclusion) -> str:
    """E.g. "Li on Li3 (8j) and Li on Li1 (4g), 2.15 Angstrom (closest cations, below 2.50)"."""
    names = [
        f"{element} on {'/'.join(crystal.orbits[index].labels)} ({crystal.orbits[index].wyckoff})"
        for index, element in zip(exclusion.orbits, exclusion.elements)
    ]
    return (
        f"{names[0]} and {names[1]}, {exclusion.distance:.2f} Angstrom "
        f"({exclusion.reason}, excluded below {exclusion.below:.2f})"
    )

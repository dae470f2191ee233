"""Symmetry-distinct substitutions on a sublattice of an ordered cell: counted exactly, listed, mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from halion.crystal.charges import assign_charges
from halion.crystal.types import DisorderedCrystal, Orbit
from halion.errors import InputError
from halion.orderings import enumerate_orderings
from halion.orderings.count import count_under_group
from halion.orderings.types import Composition, OrbitComposition, OrderingCount, OrderingSet, as_supercell
from halion.progress import Progress, Stop, never, silent
from halion.ranking.sublattice import Sublattice

__all__ = [
    "as_one_element",
    "count_substitutions",
    "guest_rows",
    "mirrored",
    "substitution_crystal",
    "substitutions",
]


def count_substitutions(sublattice: Sublattice, n_guests: int) -> OrderingCount:
    """Exact numbers of arrangements of `n_guests` guests on a sublattice, before and after symmetry.

        total = N! / (n! (N - n)!)      distinct = 1/|G| sum_g [x^n] prod_{cycles of g} (1 + x^length)

    The sublattice is one set of sites for the group, its orbits pooled: the sum over all splits over the orbits.

    Raises:
        InputError: fewer guests than none, or more than sites.

    Source: Burnside's lemma; Polya 1937. Checked by tests/ranking/test_ranking_sublattice.py against published
    counts, brute force, and the sum over splits.
    """
    _check(sublattice, n_guests)
    counts = tuple(n for n in (sublattice.n_sites - n_guests, n_guests) if n)
    return count_under_group(sublattice.permutations, [counts])


def substitution_crystal(
    sublattice: Sublattice, n_guests: int, *, charges: Mapping[str, float] | None = None
) -> tuple[DisorderedCrystal, Composition]:
    """The ordered cell as a crystal whose shared sites hold host and guest, and the composition of n guests.

    The shared sites are one entry of `orbits` that unites the true orbits (its `wyckoff` names them all), so that
    count, search and sampling of the orderings room treat the sublattice as a whole. Coordinates are those averaged
    over the group.

    Args:
        sublattice: from `find_sublattice`.
        n_guests: sites that the guest takes.
        charges: element -> formal charge, e; None: common oxidation states.
    Raises:
        InputError: fewer guests than none, or more than sites.
        CrystalError: no charges are given and none leave the cell neutral.
    """
    _check(sublattice, n_guests)
    host, guest = sublattice.elements
    symbols = sublattice.atoms.get_chemical_symbols()
    n_other = len(symbols) - sublattice.n_sites
    numbers = {host: sublattice.n_sites - n_guests, guest: n_guests}
    fractional = sublattice.symmetric % 1.0
    labels = sublattice.orbit
    orbits = []
    for index in dict.fromkeys(labels[:n_other].tolist()):
        members = np.flatnonzero(labels == index)
        element = symbols[members[0]]
        orbits.append(_orbit(f"{element}{len(orbits) + 1}", fractional[members], {element: 1.0}))
    shares = {element: n / sublattice.n_sites for element, n in numbers.items() if n}
    sizes = np.bincount(sublattice.site_orbit)
    shared = _orbit("/".join(sublattice.elements), fractional[n_other:], shares)
    orbits.append(replace(shared, wyckoff="+".join(map(str, sizes))))
    amounts = _amounts(symbols[:n_other], numbers)
    name = sublattice.atoms.get_chemical_formula()
    charges = dict(charges) if charges is not None else assign_charges(amounts, {}, name)
    crystal = DisorderedCrystal(
        name=f"{name}, {guest} for {host}",
        source=f"ordered cell, {sublattice.space_group} with {host} and {guest} taken as one",
        cell=sublattice.atoms.cell.array.copy(),
        orbits=tuple(orbits),
        charges=charges,
        charge_origin="given",
        space_group=sublattice.space_group,
        space_group_number=0,
        rotations=sublattice.rotations,
        translations=sublattice.translations,
        close_pairs=(),
        notes=(),
    )
    return crystal, _composition(crystal, numbers)


def as_one_element(crystal: DisorderedCrystal, elements: tuple[str, str]) -> DisorderedCrystal:
    """The crystal with two elements of one charge taken as the first: the cations' disorder alone is left.

    Where both have one charge, cations are ordered first, for either; the two then share the sites of the ordered
    cell (`find_sublattice`). The group stays that of the refinement.

    Raises:
        InputError: neither element is in the crystal, or their charges differ.

    Checked by tests/ranking/test_ranking_sublattice.py on Li3YCl3Br3.
    """
    present = [element for element in elements if element in crystal.charges]
    if len({crystal.charges[element] for element in present}) != 1:
        raise InputError(
            f"{elements[0]} and {elements[1]} cannot be taken as one in {crystal.formula}: they need to be there, "
            "with equal charges",
            where=crystal.name,
            fix="name two elements of one charge, e.g. Cl and Br",
        )
    host, guest = elements
    orbits = []
    for orbit in crystal.orbits:
        shared = sum(orbit.occupancy.get(element, 0.0) for element in elements)
        rest = {element: n for element, n in orbit.occupancy.items() if element not in elements}
        orbits.append(replace(orbit, occupancy={**rest, host: shared} if shared else rest))
    charges = {element: n for element, n in crystal.charges.items() if element != guest}
    return replace(
        crystal,
        name=f"{crystal.name}, {guest} taken as {host}",
        orbits=tuple(orbits),
        charges=charges | {host: crystal.charges[present[0]]},
        notes=(
            *crystal.notes,
            f"{guest} was taken as {host}: the two are told apart once the cations are ordered.",
        ),
    )


def substitutions(
    sublattice: Sublattice,
    n_guests: int,
    *,
    limit: int,
    charges: Mapping[str, float] | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> OrderingSet:
    """Every symmetry-distinct way to put `n_guests` guests on a sublattice, with multiplicities, certified.

    Args:
        sublattice: from `find_sublattice`.
        n_guests: sites that the guest takes.
        limit: most distinct arrangements; more are refused.
        charges: element -> formal charge, e; None: common oxidation states.
        progress: told the arrangements found.
        stop: True ends the search.
    Returns:
        Orderings of the cell itself: its atoms where they are, not where the group would have them.
    Raises:
        InputError, CrystalError: as `substitution_crystal`.
        OrderingError: more than `limit` distinct arrangements.
        Interrupted: `stop` said so.

    Checked by tests/ranking/test_ranking_sublattice.py against listing all arrangements.
    """
    crystal, composition = substitution_crystal(sublattice, n_guests, charges=charges)
    found = enumerate_orderings(crystal, composition, limit=limit, progress=progress, stop=stop)
    # Orbit after orbit, as the atoms of the sublattice are.
    return replace(found, fractional=sublattice.atoms.get_scaled_positions(wrap=False))


def guest_rows(orderings: OrderingSet, sublattice: Sublattice) -> NDArray[np.uint8]:
    """(n_orderings, n_sites) one where the guest stands: rows for `Sublattice.decorated`."""
    guest = sublattice.elements[1]
    code = orderings.species.index(guest) if guest in orderings.species else -1
    return (orderings.occupation[:, -sublattice.n_sites :] == code).astype(np.uint8)


def mirrored(orderings: OrderingSet, elements: tuple[str, str]) -> OrderingSet:
    """The same arrangements with two elements exchanged: x guests on N sites become N - x.

    The group is the same, so representatives and multiplicities are too: one enumeration serves both.

    Raises:
        InputError: neither element is in the orderings, or their charges differ.

    Checked by tests/ranking/test_ranking_sublattice.py against enumerating the mirrored composition.
    """
    swap = dict(zip(elements, elements[::-1]))
    charges = {orderings.charges[orderings.species.index(e)] for e in elements if e in orderings.species}
    if len(charges) != 1:
        raise InputError(
            f"{elements[0]} and {elements[1]} cannot be exchanged in orderings of "
            f"{', '.join(filter(None, orderings.species))}: they need to be there, with equal charges",
            fix="name two elements of one charge, e.g. Cl and Br",
        )
    compositions = tuple(
        replace(
            each,
            formula=" ".join(_renamed(part, swap) for part in each.formula.split()),
            orbits=tuple(
                replace(
                    orbit,
                    counts={swap.get(e, e): n for e, n in orbit.counts.items()},
                    refined={swap.get(e, e): n for e, n in orbit.refined.items()},
                )
                for orbit in each.orbits
            ),
        )
        for each in orderings.compositions
    )
    return replace(
        orderings,
        compositions=compositions,
        species=tuple(swap.get(species, species) for species in orderings.species),
    )


def _renamed(part: str, swap: Mapping[str, str]) -> str:
    element = part.rstrip("0123456789")
    return swap.get(element, element) + part[len(element) :]


def _orbit(label: str, fractional: NDArray[np.float64], occupancy: Mapping[str, float]) -> Orbit:
    return Orbit(labels=(label,), wyckoff=str(len(fractional)), fractional=fractional, occupancy=occupancy)


def _composition(crystal: DisorderedCrystal, numbers: Mapping[str, int]) -> Composition:
    orbits = []
    for index, orbit in enumerate(crystal.orbits):
        is_shared = index == len(crystal.orbits) - 1
        counts = (
            {e: n for e, n in numbers.items() if n} if is_shared else dict.fromkeys(orbit.occupancy, orbit.n_sites)
        )
        orbits.append(
            OrbitComposition(
                orbit=index,
                wyckoff=orbit.wyckoff,
                n_sites=orbit.n_sites,
                counts=counts,
                refined=dict(orbit.occupancy),
                deviation=0.0,
            )
        )
    amounts = crystal.composition
    return Composition(
        supercell=as_supercell((1, 1, 1)),
        orbits=tuple(orbits),
        formula=" ".join(f"{element}{round(n)}" for element, n in amounts.items()),
        charge=crystal.charge,
        deviation=0.0,
        ties=0,
    )


def _amounts(symbols: list[str], numbers: Mapping[str, int]) -> dict[str, float]:
    amounts = {element: float(symbols.count(element)) for element in dict.fromkeys(symbols)}
    return amounts | {element: float(n) for element, n in numbers.items() if n}


def _check(sublattice: Sublattice, n_guests: int) -> None:
    if not 0 <= n_guests <= sublattice.n_sites:
        raise InputError(
            f"{n_guests} sites cannot be substituted on a sublattice of {sublattice.n_sites}",
            fix=f"ask for 0 to {sublattice.n_sites}",
        )

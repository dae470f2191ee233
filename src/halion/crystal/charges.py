"""Formal charges: those that the file gives, or the likeliest common oxidation states that leave the cell neutral.

One charge per element, since halion orders elements over sites: where a file gives one element two oxidation
states, their mean over the cell is used and noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.crystal.cif_file import CifBlock
from halion.crystal.cif_sites import SiteRow, read_element
from halion.crystal.cif_values import is_unknown, read_number
from halion.crystal.expand import Group
from halion.crystal.oxidation_states import COMMON_STATES
from halion.errors import CrystalError

__all__ = ["Charges", "amounts_of", "assign_charges", "decide_charges"]

# A net charge below this part of the positive charge is the refinement's error (occupancies to about 0.01 each:
# 0.7 % in a Li3InCl6 known to be stoichiometric); the orderings room rounds to a neutral cell. Beyond it atoms are
# missing or charges are wrong.
LARGEST_NET_CHARGE = 0.03
# A mean charge below this is neutral to the digits of the occupancies, e.
_NEUTRAL = 0.01
# So many combinations of states are looked at (30 MB, 0.3 s); beyond that the rarest states are left out.
_MOST_COMBINATIONS = 200_000
_FIX = (
    "state the charges in _atom_type_oxidation_number or as type symbols (Li+, Y3+, Cl-), and check the occupancies"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """Formal charges and where they come from.

    Attributes:
        charges: element -> charge, e.
        origin: "given" or "assigned".
        notes: what was assumed.
    """

    charges: Mapping[str, float]
    origin: str
    notes: tuple[str, ...]


def decide_charges(cif: CifBlock, rows: Sequence[SiteRow], groups: Sequence[Group]) -> Charges:
    """The charges of a crystal.

    Args:
        cif: the data block, for its table of atom types.
        rows: rows of the atom loop, for charges in their type symbols.
        groups: the sites of all rows.
    Raises:
        CrystalError: no anions or no cations (a metal), or no charges that leave the cell nearly neutral.
    """
    amounts = amounts_of(groups)
    given, notes = _given(cif, rows, {label: len(each.fractional) for each in groups for label in each.labels})
    missing = [element for element in amounts if element not in given]
    if missing:
        charges, origin = assign_charges(amounts, given, cif.where()), "assigned"
        told = ", ".join(f"{element}{_signed(charges[element])}" for element in missing)
        notes.append(f"Charges were assigned from common oxidation states: {told}.")
    else:
        charges, origin = {element: given[element] for element in amounts}, "given"
    _refuse_metal(charges, cif.where())
    net, positive = _net(charges, amounts)
    if abs(net) > LARGEST_NET_CHARGE * positive:
        raise CrystalError(
            f"the cell is charged: {net:+.3g} e of {positive:.3g} e positive charge, with "
            + ", ".join(
                f"{element}{_signed(charge)} x {amounts[element]:.4g}" for element, charge in charges.items()
            ),
            where=cif.where(),
            fix=_FIX,
        )
    if abs(net) > _NEUTRAL:
        notes.append(
            f"The refined occupancies leave a net charge of {net:+.3f} e per cell "
            f"({100 * abs(net) / positive:.2g} % of the positive charge); orderings are made neutral."
        )
    return Charges(charges=charges, origin=origin, notes=tuple(notes))


def _given(
    cif: CifBlock, rows: Sequence[SiteRow], n_sites: Mapping[str, int]
) -> tuple[dict[str, float], list[str]]:
    """Element -> charge as stated in the file; elements without a statement are left out."""
    table = _type_table(cif)
    weights: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        charge = table.get((row.element, row.oxidation))
        charge = row.oxidation if charge is None else charge
        if charge is None:
            return {}, []  # a partial statement is no statement: the rest cannot be told from neutral atoms
        weights.setdefault(row.element, []).append((charge, row.occupancy * n_sites[row.label]))
    given, notes = {}, []
    for element, pairs in weights.items():
        values, parts = np.array(pairs).T
        given[element] = float(values @ parts / parts.sum())
        if np.ptp(values) > 0:
            notes.append(f"{element} has several charges in the file; their mean, {given[element]:+.3g}, is used.")
    if all(charge == 0 for charge in given.values()):
        return {}, []  # neutral atoms as a program's default, not a statement on charges
    return given, notes


def amounts_of(groups: Sequence[Group]) -> dict[str, float]:
    """Element -> mean number of atoms in the cell."""
    amounts: dict[str, float] = {}
    for group in groups:
        for element, occupancy in group.occupancy.items():
            amounts[element] = amounts.get(element, 0.0) + occupancy * len(group.fractional)
    return amounts


def _type_table(cif: CifBlock) -> dict[tuple[str, float | None], float]:
    symbols, numbers = cif.column("_atom_type_symbol"), cif.column("_atom_type_oxidation_number")
    table = {}
    for symbol, number in zip(symbols, numbers, strict=False):
        if is_unknown(number) or is_unknown(symbol):
            continue
        element, stated = read_element(symbol, symbol, cif.where("_atom_type_symbol"))
        table[element, stated] = read_number(number, f"the oxidation number of {symbol}", cif.where())
    return table


def assign_charges(amounts: Mapping[str, float], given: Mapping[str, float], where: str) -> dict[str, float]:
    """The likeliest common oxidation states that make a composition nearly neutral.

    Of all combinations within 3 % of neutral, the one with the least sum of ranks (0 for an element's most common
    state, 1 for the next ...), then the least net charge.

    Args:
        amounts: element -> number of atoms.
        given: charges that are already known.
        where: for the error.
    Raises:
        CrystalError: no anions, an element without common states, or no combination is nearly neutral.
    """
    elements = list(amounts)
    choices = [(given[e],) if e in given else COMMON_STATES.get(e, ()) for e in elements]
    without = [element for element, states in zip(elements, choices) if not states]
    if without:
        raise CrystalError(f"no common oxidation state is known for {', '.join(without)}", where=where, fix=_FIX)
    if not any(state < 0 for states in choices for state in states):
        raise CrystalError(
            f"{', '.join(elements)} form no anions: this is a metal, and halion expects an ionic conductor",
            where=where,
            fix="give a CIF with anions (halides, oxides, sulphides ...); metals have no ionic conductivity",
        )
    net, positive, rank, charges = _combinations(choices, np.array([amounts[e] for e in elements]))
    fits = (np.abs(net) <= LARGEST_NET_CHARGE * positive) & (positive > 0)
    best = np.lexsort((np.abs(net), rank, ~fits))[0]
    if not fits[best]:
        raise CrystalError(
            "no common oxidation states make this composition neutral ("
            + ", ".join(f"{element} {amount:.4g}" for element, amount in amounts.items())
            + "): a metal, or a crystal with atoms missing; halion expects an ionic conductor",
            where=where,
            fix=_FIX,
        )
    return {element: float(charge) for element, charge in zip(elements, charges[:, best])}


def _combinations(
    choices: list[tuple[float, ...]], amounts: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Net charge, positive charge, rank and charges (n_elements, n) of every combination of states."""
    while np.prod([float(len(states)) for states in choices]) > _MOST_COMBINATIONS:
        longest = max(range(len(choices)), key=lambda k: len(choices[k]))
        choices = [states[:-1] if k == longest else states for k, states in enumerate(choices)]
    shape = tuple(len(states) for states in choices)
    picks = np.indices(shape).reshape(len(shape), -1)
    charges = np.array([np.array(states, dtype=float)[pick] for states, pick in zip(choices, picks)])
    charged = charges * amounts[:, None]
    return charged.sum(axis=0), np.clip(charged, 0, None).sum(axis=0), picks.sum(axis=0), charges


def _refuse_metal(charges: Mapping[str, float], where: str) -> None:
    if min(charges.values()) < 0 < max(charges.values()):
        return
    kind = "anions" if min(charges.values()) >= 0 else "cations"
    raise CrystalError(
        f"there are no {kind} among {', '.join(charges)}: halion expects an ionic conductor", where=where, fix=_FIX
    )


def _net(charges: Mapping[str, float], amounts: Mapping[str, float]) -> tuple[float, float]:
    parts = [charges[element] * amount for element, amount in amounts.items()]
    return sum(parts), sum(part for part in parts if part > 0)


def _signed(charge: float) -> str:
    return f"{charge:+.3g}"

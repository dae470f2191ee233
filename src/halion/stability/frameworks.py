"""Whether a relaxed cell still has its phase's framework, and whose it has where it has not.

Frameworks are compared without mobile ions and with both elements of the mixed sites taken as one, so that neither
hops nor the arrangement count. Two things are looked at: how far contacts of the framework were stretched from the
start of the relaxation (no wrapping: the atoms are the same ones), and distances within it as a fingerprint that
needs no correspondence of atoms or cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from halion.arrays import FloatArray

__all__ = ["FrameworkFinding", "FrameworkRules", "contact_stretch", "find_transformed", "fingerprint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkRules:
    """What counts as another framework.

    Attributes:
        mixed: elements that share the mixed sites; taken as one.
        mobile: elements that are no part of the framework.
        contact: pairs up to so many times the shortest of their kind are in contact.
        most_stretched: a contact that grew by more is broken. Where layers of close-packed atoms slide from one
            stacking to the other, a contact of 1 becomes sqrt(2); relaxed mixtures stretch theirs by up to a tenth.
        neighbours: distances in the fingerprint of an atom; 44 reach the shell that tells hexagonal from cubic
            close packing.
    """

    mixed: tuple[str, str]
    mobile: tuple[str, ...] = ("Li",)
    contact: float = 1.2
    most_stretched: float = 1.25
    neighbours: int = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkFinding:
    """One relaxed cell.

    Attributes:
        stretch: largest factor by which a contact of the framework grew in relaxation, overall expansion taken out;
            NaN without a start.
        own: distance of its fingerprint from that of its phase, in units of the mean spacing.
        nearest: the phase whose fingerprint is nearest.
        nearest_distance: of that one.
        reason: why it is no point of its phase's curve; empty where it is one.
    """

    stretch: float
    own: float
    nearest: str
    nearest_distance: float
    reason: str


def find_transformed(
    phases: Sequence[str], starts: Sequence[Atoms | None], relaxed: Sequence[Atoms], rules: FrameworkRules
) -> tuple[FrameworkFinding, ...]:
    """Find relaxed cells that have left the framework of their phase.

    The fingerprint of a phase is that of its cell nearest to all the others (the medoid), so that a few transformed
    ones do not blur it. A cell has transformed where a contact broke, or where its fingerprint is nearer to another
    phase's; the nearest phase is named.

    Args:
        phases: name of the phase that each cell was made as.
        starts: cells before relaxation, atoms in the same order; None where not known.
        relaxed: cells after it.
        rules: what counts.

    Checked by tests/stability/test_stability_frameworks.py: close packings told apart in any cell, slid layers
    found, swelling and hops left alone.
    """
    prints = np.stack([fingerprint(atoms, rules) for atoms in relaxed])
    names = np.array(phases)
    medoids = {name: _medoid(prints[names == name]) for name in dict.fromkeys(phases)}
    found = []
    for name, start, atoms, one in zip(phases, starts, relaxed, prints, strict=True):
        distances = {phase: float(_distance(one, medoid)) for phase, medoid in medoids.items()}
        nearest = min(distances, key=lambda phase: (distances[phase], phase != name))
        stretch = float("nan") if start is None else contact_stretch(start, atoms, rules)
        found.append(
            FrameworkFinding(
                stretch=stretch,
                own=distances[name],
                nearest=nearest,
                nearest_distance=distances[nearest],
                reason=_reason(name, nearest, distances, stretch, rules),
            )
        )
    return tuple(found)


def contact_stretch(start: Atoms, end: Atoms, rules: FrameworkRules) -> float:
    """Largest d_end / d_start over contacts of the start's framework, over the cube root of the volume ratio.

    A homogeneous strain counts like displacements: layers may slide by a shear of the cell alone.
    """
    inside = _inside(start, rules)
    framework, moved = start[inside], end[inside]
    first, second, shift, distance = neighbor_list("ijSd", framework, _contact_cutoffs(framework, rules))
    vectors = moved.positions[second] - moved.positions[first] + shift @ moved.cell.array
    ratio = np.linalg.norm(vectors, axis=1) / distance
    return float(ratio.max() / (end.get_volume() / start.get_volume()) ** (1 / 3))


def fingerprint(atoms: Atoms, rules: FrameworkRules) -> FloatArray:
    """(neighbours,) mean sorted distances from a mixed site to the others, in units of the cube root of the volume
    per mixed site: the same for every cell of one crystal."""
    symbols = np.array(atoms.get_chemical_symbols())
    mixed = atoms[np.isin(symbols, rules.mixed)]
    spacing = (atoms.get_volume() / len(mixed)) ** (1 / 3)
    # A sphere of this radius holds half as many again as are asked for.
    radius = spacing * (1.5 * rules.neighbours * 3 / (4 * np.pi)) ** (1 / 3)
    while True:
        first, distance = neighbor_list("id", mixed, float(radius))
        if len(first) and np.bincount(first, minlength=len(mixed)).min() >= rules.neighbours:
            break
        radius *= 1.2
    order = np.lexsort((distance, first))
    starts = np.searchsorted(first[order], np.arange(len(mixed)))
    nearest = distance[order][starts[:, None] + np.arange(rules.neighbours)]
    return nearest.mean(axis=0) / spacing


def _inside(atoms: Atoms, rules: FrameworkRules) -> list[int]:
    return [k for k, symbol in enumerate(atoms.get_chemical_symbols()) if symbol not in rules.mobile]


def _contact_cutoffs(framework: Atoms, rules: FrameworkRules) -> dict[tuple[str, str], float]:
    """Of each pair of elements: the shortest distance of their kind, both mixed elements as one, and a bit."""
    symbols = ["mixed" if symbol in rules.mixed else symbol for symbol in framework.get_chemical_symbols()]
    spacing = (framework.get_volume() / len(framework)) ** (1 / 3)
    first, second, distance = neighbor_list("ijd", framework, 3.0 * spacing)
    kinds = np.array(symbols)
    cutoffs: dict[tuple[str, str], float] = {}
    for one in set(framework.get_chemical_symbols()):
        for other in set(framework.get_chemical_symbols()):
            kind = ["mixed" if symbol in rules.mixed else symbol for symbol in (one, other)]
            pairs = (kinds[first] == kind[0]) & (kinds[second] == kind[1])
            if pairs.any():
                cutoffs[(one, other)] = rules.contact * float(distance[pairs].min())
    return cutoffs


def _medoid(prints: FloatArray) -> FloatArray:
    apart = np.array([[_distance(one, other) for other in prints] for one in prints])
    return prints[apart.sum(axis=1).argmin()]


def _distance(one: FloatArray, other: FloatArray) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def _reason(name: str, nearest: str, distances: dict[str, float], stretch: float, rules: FrameworkRules) -> str:
    if nearest != name:
        return (
            f"transformed on relaxation: its framework is nearest to that of {nearest} "
            f"({distances[nearest]:.4f} against {distances[name]:.4f} of {name})"
        )
    if stretch > rules.most_stretched:
        return f"transformed on relaxation: a contact of its framework grew by a factor of {stretch:.2f}"
    return ""

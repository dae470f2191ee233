"""From rows of an atom loop to sites in the cell: special positions found, rows on one site merged.

Refined coordinates are rounded (0.333 for 1/3, 0.3336 beside 0.33364), so a row may stand slightly off the special
position it means, and two rows of one site slightly apart. A row is first moved to the mean of its nearby images
under the operations that keep it in place; then rows whose sites coincide are one group of elements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.crystal.cif_sites import OCCUPANCY_TOLERANCE, SiteRow
from halion.crystal.cif_symmetry import Operations
from halion.errors import CrystalError

__all__ = ["Group", "expand_rows"]

# Rows within this distance are one site: four times the error of a coordinate rounded to 0.001 in a 10 Angstrom
# cell, and a fifth of the least distance between refined split positions.
SAME_SITE = 0.05  # Angstrom
# An image this near is the same atom: its row is SAME_SITE off the special position at most.
_SAME_IMAGE = 2 * SAME_SITE
# Three thirds rounded to 0.333 sum to 0.999: a site this near to full is full.
_ROUNDING = 1.5e-3
# spglib and the search of contacts stay below a second here; the largest cells met have 500 sites.
_MOST_SITES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows that share one set of sites.

    Attributes:
        labels: labels of the rows.
        fractional: (n_sites, 3) in [0, 1), the row's own position first.
        occupancy: element -> occupancy.
    """

    labels: tuple[str, ...]
    fractional: FloatArray
    occupancy: dict[str, float]


def expand_rows(
    rows: tuple[SiteRow, ...], operations: Operations, cell: FloatArray, where: str
) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """Groups of rows with all their sites in the cell, in the order of the file, and notes on what was merged.

    Raises:
        CrystalError: occupancies of one site that sum to more than one, sites that are no orbit, too many sites.
    """
    placed: list[tuple[list[SiteRow], FloatArray]] = []
    notes: list[str] = []
    everything, owner = np.empty((0, 3)), np.empty(0, dtype=np.int64)
    for row in rows:
        sites, moved = _orbit(row, operations, cell, where)
        if moved > 1e-3:
            notes.append(f"{row.label} was moved by {moved:.3f} Angstrom to the special position it stands beside.")
        if row.multiplicity not in (0, len(sites)):
            notes.append(
                f"{row.label} has {len(sites)} sites in the cell; the file states multiplicity {row.multiplicity}."
            )
        nearest, distance = _nearest(sites[0], everything, cell)
        home = placed[owner[nearest]] if distance <= SAME_SITE else None
        if home is not None and len(home[1]) == len(sites):
            notes += _merge_note(home[0][0], row, distance)
            home[0].append(row)
        else:
            everything = np.concatenate([everything, sites])
            owner = np.concatenate([owner, np.full(len(sites), len(placed))])
            placed.append(([row], sites))
        if len(everything) > _MOST_SITES:
            raise CrystalError(
                f"the cell has more than {_MOST_SITES} sites",
                where=where,
                fix="describe the crystal in its own unit cell, not in a supercell; check the symmetry operations",
            )
    groups = [_group(members, sites, where) for members, sites in placed]
    return tuple(group for group, _ in groups), (*notes, *(note for _, note in groups if note))


def _nearest(point: FloatArray, sites: FloatArray, cell: FloatArray) -> tuple[int, float]:
    """Index and distance (Angstrom) of the site nearest to a point; inf without sites.

    Each component is wrapped to [-1/2, 1/2]: exact for near coincidences in any cell, which is all it is used for.
    """
    if not len(sites):
        return 0, np.inf
    steps = sites - point
    distances = np.linalg.norm((steps - np.round(steps)) @ cell, axis=1)
    nearest = int(np.argmin(distances))
    return nearest, float(distances[nearest])


def _orbit(row: SiteRow, operations: Operations, cell: FloatArray, where: str) -> tuple[FloatArray, float]:
    """All images of a row, each once, and how far the row was moved to its special position."""
    point = row.fractional.copy()
    # Averaging over the images that stay makes the position exact; a second pass settles chains of images.
    for _ in range(4):
        images = operations.rotations @ point + operations.translations
        steps = images - point
        steps -= np.round(steps)
        stays = np.linalg.norm(steps @ cell, axis=1) <= _SAME_IMAGE
        point = point + steps[stays].mean(axis=0)
    images = (operations.rotations @ point + operations.translations) % 1.0
    sites = _distinct(images, cell)
    if len(images) != len(sites) * int(stays.sum()):
        raise CrystalError(
            f"site {row.label} stands so near a symmetry element that its images are neither one atom nor two",
            where=where,
            fix=f"move {row.label} onto the special position, or refine it as a split site farther off",
        )
    moved = point - row.fractional
    return sites, float(np.linalg.norm((moved - np.round(moved)) @ cell))


def _distinct(images: FloatArray, cell: FloatArray) -> FloatArray:
    sites: list[FloatArray] = []
    for image in images:
        if _nearest(image, np.array(sites), cell)[1] > _SAME_IMAGE:
            sites.append(image)
    # 1 - 1e-17 wraps to 1.0, and -1e-17 to nearly one: both are the origin.
    wrapped = np.array(sites) % 1.0
    return np.where(wrapped > 1 - 1e-12, 0.0, wrapped)


def _merge_note(first: SiteRow, row: SiteRow, distance: float) -> list[str]:
    if distance <= 1e-3:
        return []
    return [f"{first.label} and {row.label} stand {distance:.3f} Angstrom apart and were taken as one site."]


def _group(members: list[SiteRow], sites: FloatArray, where: str) -> tuple[Group, str]:
    occupancy: dict[str, float] = {}
    for row in members:
        occupancy[row.element] = occupancy.get(row.element, 0.0) + row.occupancy
    total = sum(occupancy.values())
    labels = tuple(row.label for row in members)
    note = ""
    if total > 1 + OCCUPANCY_TOLERANCE:
        raise CrystalError(
            f"the occupancies of {', '.join(labels)}, which share one site, sum to {total:g}: more than one",
            where=where,
            fix="correct the occupancies: together they are at most 1",
        )
    if total > 1 + 1e-9 or 1e-9 < 1 - total < _ROUNDING:
        verb = "sum to" if len(members) > 1 else "are"
        note = f"The occupancies of {', '.join(labels)} {verb} {total:.6g}; they were scaled to one."
    if total > 1 - _ROUNDING:
        occupancy = {element: value / total for element, value in occupancy.items()}
    return Group(labels=labels, fractional=sites, occupancy=occupancy), note

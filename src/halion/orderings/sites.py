"""Sites of a supercell and the permutations of them that leave the disordered crystal as it is.

The group is that of the parent (average) structure: an ordering has lower symmetry, and two orderings are one when
an operation of the parent maps one to the other. Operations that do not map the supercell's lattice to itself are
no symmetry of a periodic ordering and are left out; the parent's lattice translations within the supercell are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.crystal.types import DisorderedCrystal, Orbit
from halion.errors import OrderingError
from halion.orderings.lattice import cell_numbers, cell_offsets, is_diagonal, keeps_lattice
from halion.orderings.types import Supercell, as_supercell

__all__ = ["SupercellSites", "site_permutations", "supercell_sites"]

# An operation must bring a site this near to another of its orbit, Angstrom: refined coordinates and symmetry
# searches agree to some 0.01, and sites of one orbit that lie nearer than this would be one site.
_SAME_SITE = 0.1
_BORDER = 1e-9  # in cell vectors: far above rounding errors, far below the precision of coordinates


@dataclass(frozen=True, slots=True, kw_only=True)
class SupercellSites:
    """All sites of a supercell, orbit after orbit; within an orbit site after site, then cell after cell.

    Attributes:
        cell: (3, 3) Angstrom, rows are the supercell's vectors.
        fractional: (n_sites, 3) in the supercell, in [0, 1).
        site_orbit: (n_sites,) index of each site's orbit.
    """

    cell: FloatArray
    fractional: FloatArray
    site_orbit: IntArray


def supercell_sites(crystal: DisorderedCrystal, supercell: Supercell | Sequence[int]) -> SupercellSites:
    """All sites of a supercell.

    Args:
        crystal: the disordered crystal.
        supercell: repeats of its cell along a, b, c, or a matrix whose rows are the supercell's vectors.
    Raises:
        OrderingError: a repeat below one, or a matrix that is singular or not of whole numbers.

    Checked by tests/orderings/test_orderings_sites.py: each stands where the parent puts it.
    """
    supercell = as_supercell(supercell)
    matrix = np.array(supercell)
    offsets = cell_offsets(supercell)
    blocks = [
        _in_supercell((orbit.fractional % 1.0)[:, None] + offsets[None], supercell).reshape(-1, 3)
        for orbit in crystal.orbits
    ]
    return SupercellSites(
        cell=matrix @ crystal.cell,
        fractional=np.concatenate(blocks),
        site_orbit=np.repeat(np.arange(len(crystal.orbits)), [len(block) for block in blocks]),
    )


def _in_supercell(points: FloatArray, supercell: Supercell) -> FloatArray:
    """Coordinates on the supercell's vectors, in [0, 1), of points on the crystal's: u = x P^-1."""
    matrix = np.array(supercell)
    if is_diagonal(supercell):
        return points / np.diagonal(matrix)  # inside already, and exact where a repeat is one
    inside = points @ np.linalg.inv(matrix)
    # Rounding leaves whole numbers a little below themselves; they are the border at zero, not the one at one.
    inside = inside - np.floor(inside + _BORDER)
    return np.maximum(inside, 0.0)


def site_permutations(
    crystal: DisorderedCrystal, supercell: Supercell | Sequence[int], orbits: Sequence[int]
) -> NDArray[np.int32]:
    """Different permutations of the sites of some orbits under the supercell's symmetry group.

    An operation x -> R x + t of the parent is kept when it maps the supercell's lattice to itself: P R^T P^-1 is
    integer (rows of P are the supercell's vectors); each is combined with every lattice translation of the parent
    in the supercell. Site i of cell c goes to the site j and the cell R c + s + translation, up to vectors of the
    supercell, with R x_i + t = x_j + s: integer arithmetic once the parent is matched.

    Args:
        crystal: the parent, its operations on fractional coordinates of its cell, centrings included.
        supercell: repeats of its cell along a, b, c, or a matrix whose rows are the supercell's vectors.
        orbits: the orbits to permute; their sites are numbered on from zero in this order, each orbit's in the
            order of `supercell_sites`.
    Returns:
        (group_order, n_sites) image of every site, no row twice, the identity first.
    Raises:
        OrderingError: an operation does not map an orbit to itself; a supercell that is none.

    Checked by tests/orderings/test_orderings_sites.py: each permutation keeps distances, the set is closed.
    """
    supercell = as_supercell(supercell)
    offsets = cell_offsets(supercell)
    kept = keeps_lattice(crystal.rotations, supercell)
    rotations, translations = crystal.rotations[kept], crystal.translations[kept]
    n_sites = len(offsets) * sum(crystal.orbits[index].n_sites for index in orbits)
    images = np.empty((len(rotations), len(offsets), n_sites), dtype=np.int32)
    begin = 0
    for index in orbits:
        orbit = crystal.orbits[index]
        end = begin + orbit.n_sites * len(offsets)
        for k, (rotation, translation) in enumerate(zip(rotations, translations)):
            image, shift = _parent_image(crystal, orbit, rotation, translation)
            cell = shift[:, None, :] + offsets @ rotation.T  # (site, cell, 3)
            cell = cell[None] + offsets[:, None, None]  # (lattice translation, site, cell, 3)
            number = cell_numbers(supercell, cell)
            images[k, :, begin:end] = (begin + image[None, :, None] * len(offsets) + number).reshape(
                len(offsets), -1
            )
        begin = end
    # The identity is the lexicographically first permutation, so sorting puts it first.
    return np.unique(images.reshape(-1, n_sites), axis=0) if n_sites else np.zeros((1, 0), dtype=np.int32)


def _parent_image(
    crystal: DisorderedCrystal, orbit: Orbit, rotation: IntArray, translation: FloatArray
) -> tuple[IntArray, IntArray]:
    """Image j of each site and the whole cells s between, from R x_i + t = x_j + s."""
    fractional = orbit.fractional % 1.0
    moved = fractional @ rotation.T + translation
    difference = moved[:, None] - fractional[None]
    shift = np.rint(difference).astype(np.int64)
    distance = np.linalg.norm((difference - shift) @ crystal.cell, axis=-1)
    image = np.argmin(distance, axis=1)
    rows = np.arange(len(image))
    if len(set(image.tolist())) < len(image) or distance[rows, image].max() > _SAME_SITE:
        raise OrderingError(
            f"an operation of {crystal.space_group} moves a site of this orbit "
            f"{distance[rows, image].max():.2f} Angstrom away from its nearest equivalent (at most {_SAME_SITE})",
            where=f"{crystal.name}, orbit {orbit.wyckoff} ({', '.join(orbit.labels)})",
            fix="check the coordinates and the symmetry operations of the crystal file",
        )
    return image, shift[rows, image]

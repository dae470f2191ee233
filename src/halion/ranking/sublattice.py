"""The sites of an ordered cell that two elements share, and the symmetry that the ordered cell leaves among them.

In a mixed halide the cations are ordered first; Cl and Br then stand on the anion sites under what is left of the
symmetry: the space group of the ordered cell with both elements taken as one. A group never mixes its orbits, so
arrangements with a fixed number of guests on the whole sublattice are the union over all splits of that number over
the orbits, and the sublattice can be counted and searched as one set of sites that the group permutes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, OrderingError

__all__ = ["Sublattice", "find_sublattice"]

_PRODUCTS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Sublattice:
    """Sites that two elements share in a cell that is ordered otherwise.

    Attributes:
        atoms: the ordered cell, all shared sites filled with the host; the other atoms first, orbit after orbit,
            then the shared sites.
        elements: (host, guest).
        order: (n_atoms,) which atom of the given cell each is.
        n_sites: shared sites: the last `n_sites` atoms.
        permutations: (group_order, n_sites) different permutations of the shared sites, the identity first.
        orbit: (n_atoms,) number of each atom's orbit.
        symmetric: (n_atoms, 3) fractional coordinates, averaged over the group.
        rotations: (n_operations, 3, 3) on fractional coordinates.
        translations: (n_operations, 3).
        space_group: Hermann-Mauguin symbol with the two elements taken as one.
    """

    atoms: Atoms
    elements: tuple[str, str]
    order: IntArray
    n_sites: int
    permutations: NDArray[np.int32]
    orbit: IntArray
    symmetric: FloatArray
    rotations: IntArray
    translations: FloatArray
    space_group: str

    @property
    def positions(self) -> FloatArray:
        """(n_sites, 3) Angstrom, the shared sites averaged over the group."""
        return (self.symmetric @ self.atoms.cell.array)[len(self.atoms) - self.n_sites :]

    @property
    def site_orbit(self) -> IntArray:
        """(n_sites,) orbits of the shared sites, numbered on from zero."""
        return np.unique(self.orbit[len(self.atoms) - self.n_sites :], return_inverse=True)[1]

    def decorated(self, row: NDArray[np.uint8]) -> Atoms:
        """The cell with the guest where `row` is one, the host where it is zero."""
        atoms = self.atoms.copy()
        host, guest = (atomic_numbers[element] for element in self.elements)
        atoms.numbers[len(atoms) - self.n_sites :] = np.where(row, guest, host)
        return atoms


def find_sublattice(atoms: Atoms, elements: tuple[str, str], *, symprec: float = 0.05) -> Sublattice:
    """The sites on which one of two elements stands, and the symmetry of the rest among them.

    Args:
        atoms: an ordered cell, relaxed or not; periodic.
        elements: host and guest, e.g. ("Cl", "Br"); either or both may be present, and which of them stands
            where does not matter.
        symprec: two sites are equivalent when an operation brings one this near to the other, Angstrom. Forces
            of 0.01 eV/Angstrom leave relaxed atoms some 0.01 to 0.1 Angstrom from their symmetric places.
    Raises:
        InputError: the two elements are one, or neither is in the cell.
        OrderingError: no consistent symmetry at this tolerance.

    Source: spglib, Togo, Shinohara, Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024). Checked by
    tests/ranking/test_ranking_sublattice.py: published counts, closure, and atoms moved within the tolerance.
    """
    numbers = [atomic_numbers.get(element, 0) for element in elements]
    shared = np.isin(atoms.numbers, numbers)
    if len(set(numbers)) < 2 or 0 in numbers or not shared.any():
        raise InputError(
            f"no sites to share between {elements[0]} and {elements[1]} in {atoms.get_chemical_formula()}",
            fix="name two different elements, one of which is in the cell, e.g. Cl and Br",
        )
    hosted = atoms.copy()
    hosted.numbers[shared] = numbers[0]
    found = _dataset(hosted, symprec)
    order = np.lexsort((np.arange(len(atoms)), found.crystallographic_orbits, shared))
    hosted = hosted[order]
    rotations = np.array(found.rotations, dtype=np.int64)
    translations = np.array(found.translations) % 1.0
    images = _images(hosted, rotations, translations, symprec)
    n_sites = int(shared.sum())
    first = len(atoms) - n_sites
    return Sublattice(
        atoms=hosted,
        elements=elements,
        order=order,
        n_sites=n_sites,
        permutations=_group(images[:, first:] - first, symprec),
        orbit=np.unique(np.array(found.crystallographic_orbits)[order], return_inverse=True)[1],
        symmetric=_averaged(hosted, images, rotations, translations),
        rotations=rotations,
        translations=translations,
        space_group=str(found.international),
    )


def _dataset(atoms: Atoms, symprec: float) -> spglib.SpglibDataset:
    structure = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():
        # spglib 2.8 announces a change from returning None to raising; both are met here.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            found = spglib.get_symmetry_dataset(structure, symprec=symprec)
        except spglib.error.SpglibError:
            found = None
    if found is None:
        raise _inconsistent(symprec, "spglib finds no space group")
    return found


def _images(atoms: Atoms, rotations: IntArray, translations: FloatArray, symprec: float) -> IntArray:
    """(n_operations, n_atoms) the atom nearest to each atom's image; every operation must permute the atoms."""
    fractional, cell = atoms.get_scaled_positions(), atoms.cell.array
    images = np.empty((len(rotations), len(atoms)), dtype=np.int64)
    for k, (rotation, translation) in enumerate(zip(rotations, translations)):
        steps = (fractional @ rotation.T + translation)[:, None] - fractional[None]
        distance = np.linalg.norm((steps - np.rint(steps)) @ cell, axis=-1)
        distance[atoms.numbers[:, None] != atoms.numbers[None]] = np.inf
        images[k] = distance.argmin(axis=1)
        farthest = distance[np.arange(len(atoms)), images[k]].max()
        # spglib's operations are those of the idealised cell: atoms within symprec meet within twice of it.
        if len(set(images[k].tolist())) < len(atoms) or farthest > 2 * symprec:
            raise _inconsistent(symprec, f"an operation leaves an atom {farthest:.3f} Angstrom from its image")
    return images


def _averaged(atoms: Atoms, images: IntArray, rotations: IntArray, translations: FloatArray) -> FloatArray:
    """Each atom at the mean of all images that fall on it: the group then holds to rounding."""
    fractional = atoms.get_scaled_positions()
    moved = np.zeros_like(fractional)
    for image, rotation, translation in zip(images, rotations, translations):
        steps = fractional @ rotation.T + translation - fractional[image]
        moved[image] += steps - np.rint(steps)
    return fractional + moved / len(images)


def _group(permutations: IntArray, symprec: float) -> NDArray[np.int32]:
    """Different rows, the identity (the first in order) first; products of two must be among them.

    Supercells of cubic crystals have thousands: every product with some dozens of them is looked at.
    """
    rows = np.unique(permutations, axis=0).astype(np.int32)
    known = np.sort(_as_items(rows))
    for one in rows[:: max(1, len(rows) // _PRODUCTS)]:
        products = _as_items(rows[:, one])
        place = np.minimum(np.searchsorted(known, products), len(known) - 1)
        if not np.array_equal(known[place], products):
            raise _inconsistent(symprec, "the operations found are no group on these sites")
    return rows


def _as_items(rows: NDArray[np.int32]) -> NDArray[np.bytes_]:
    """One comparable item per row: big-endian bytes, never ending in zero."""
    shifted = np.ascontiguousarray(rows + 1, dtype=">i4")
    return shifted.view(f"S{4 * rows.shape[1]}").ravel()


def _inconsistent(symprec: float, what: str) -> OrderingError:
    return OrderingError(
        f"no consistent symmetry of this cell within {symprec:g} Angstrom: {what}",
        fix=f"a smaller symmetry tolerance, e.g. {symprec / 3:.2g} Angstrom, or relax the cell further",
    )

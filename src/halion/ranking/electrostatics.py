"""Electrostatic energy of every ordering: point charges on the sites, one quadratic form for all of them.

With an indicator x of every site and species, E(x) = E0 + v.x + (1/2) x J x. Point charges know of a species only
its charge, so the form is kept over the charges q of those sites that do not always carry the same one:

    E(q) = E0 + v.q + (1/2) q J q

E0, v and J come from one Ewald matrix of the whole supercell; then thousands of orderings are one matrix product,
in double precision. Vacant sites carry charge zero, so sites too close to be filled together do no harm.

Method: Ewald, Ann. Phys. 369, 253 (1921); Toukmaji and Board, Comput. Phys. Commun. 95, 73 (1996), eqs. 4-7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.optimization.neighbors import find_points_in_spheres
from scipy.special import erfc

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, OrderingError
from halion.files import atomic_path
from halion.orderings.types import OrderingSet
from halion.progress import Progress, silent
from halion.units import COULOMB_EV_ANGSTROM

__all__ = [
    "EwaldForm",
    "OrderingEnergies",
    "electrostatic_energies",
    "ewald_form",
    "ewald_matrix",
    "write_electrostatic_energies",
]

# Both sums stop where their terms have fallen to exp(-_REACH^2) = 4e-17 of the leading one.
_REACH = 6.15
# A batch and its product stay in the cache of a core.
_ROWS_PER_BATCH = 2048
# Two occupied sites closer than this have no electrostatic energy worth a name.
_SAME_POINT_ANGSTROM = 0.01


def ewald_matrix(cell: FloatArray, fractional: FloatArray) -> FloatArray:
    """Interaction matrix A of point charges on periodic sites: E = (1/2) sum_ij q_i q_j A_ij, eV.

    A holds the real-space sum erfc(alpha r)/r over all images, the reciprocal sum, and on its diagonal the
    self term -2 alpha/sqrt(pi). The background of a charged cell is left out: use it with neutral charges,
    for which E does not depend on alpha.

    Args:
        cell: (3, 3) Angstrom, rows are the cell vectors.
        fractional: (n_sites, 3) fractional coordinates.
    Returns:
        (n_sites, n_sites) symmetric, eV/e^2. Sites on one point see each other's images, not each other.
    Checked by tests/ranking/test_ranking_electrostatics.py: Madelung constants, pymatgen's EwaldSummation.
    """
    n_sites, volume = len(fractional), abs(np.linalg.det(cell))
    # Balances the work of the two sums (Perram et al., Mol. Phys. 65, 875 (1988)).
    alpha = np.sqrt(np.pi) * (n_sites / volume**2) ** (1 / 6)
    matrix = _real_space(cell, fractional, alpha) + _reciprocal(cell, fractional, alpha)
    matrix[np.diag_indices(n_sites)] -= 2 * alpha / np.sqrt(np.pi)
    return COULOMB_EV_ANGSTROM * (matrix + matrix.T) / 2


def _real_space(cell: FloatArray, fractional: FloatArray, alpha: float) -> FloatArray:
    positions = np.ascontiguousarray(fractional @ cell)
    first, second, _, distance = find_points_in_spheres(
        positions,
        positions,
        r=_REACH / alpha,
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(cell, dtype=float),
        tol=1e-8,
    )
    apart = distance > 1e-8
    first, second, distance = first[apart], second[apart], distance[apart]
    matrix = np.zeros((len(fractional), len(fractional)))
    np.add.at(matrix, (first, second), erfc(alpha * distance) / distance)
    return matrix


def _reciprocal(cell: FloatArray, fractional: FloatArray, alpha: float) -> FloatArray:
    """4 pi/V sum over G != 0 of exp(-G^2/4 alpha^2)/G^2 cos G(r_i - r_j), half of the G vectors doubled."""
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    longest = 2 * alpha * _REACH
    # |n_k| = |G . a_k| / 2 pi <= |G| |a_k| / 2 pi
    most = np.floor(longest * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[len(grid) // 2 + 1 :]  # one of each pair +G, -G; the middle one is G = 0
    squared = ((grid @ reciprocal) ** 2).sum(axis=1)
    inside = squared <= longest**2
    grid, squared = grid[inside], squared[inside]
    weight = 8 * np.pi / abs(np.linalg.det(cell)) * np.exp(-squared / (4 * alpha**2)) / squared
    phase = 2 * np.pi * fractional @ grid.T
    amplitude = np.sqrt(weight)
    cosine, sine = np.cos(phase) * amplitude, np.sin(phase) * amplitude
    return cosine @ cosine.T + sine @ sine.T


@dataclass(frozen=True, slots=True, kw_only=True)
class EwaldForm:
    """E(q) = constant + linear . q + (1/2) q quadratic q over the charges q (e) of the sites that vary, eV.

    Attributes:
        sites: (n,) those sites among all.
        constant: energy of the other sites, with all of these empty, eV.
        linear: (n,) potential of the other sites at these, eV/e.
        quadratic: (n, n) eV/e^2.
    """

    sites: IntArray
    constant: float
    linear: FloatArray
    quadratic: FloatArray

    def energies(self, charges: FloatArray) -> FloatArray:
        """(n_orderings,) eV per cell from the charges (n_orderings, n) on `sites`."""
        potential = charges @ self.quadratic
        potential *= 0.5
        potential += self.linear
        return self.constant + np.einsum("ij,ij->i", potential, charges)


def ewald_form(
    cell: FloatArray, fractional: FloatArray, charges: FloatArray, varies: NDArray[np.bool_]
) -> EwaldForm:
    """The Ewald energy of a cell as a quadratic form of the charges on some of its sites.

    Args:
        cell: (3, 3) Angstrom, rows are the cell vectors.
        fractional: (n_sites, 3) fractional coordinates.
        charges: (n_sites,) charges of the sites that do not vary, e; those of the others do not matter.
        varies: (n_sites,) which sites do.
    Checked by tests/ranking/test_ranking_electrostatics.py against the whole matrix.
    """
    matrix = ewald_matrix(cell, fractional)
    fixed = charges[~varies]
    return EwaldForm(
        sites=np.flatnonzero(varies),
        constant=float(fixed @ matrix[np.ix_(~varies, ~varies)] @ fixed / 2),
        linear=matrix[np.ix_(varies, ~varies)] @ fixed,
        quadratic=matrix[np.ix_(varies, varies)],
    )


class OrderingEnergies:
    """The electrostatic energies of an ordering set, batch by batch: none is held but those asked for.

    The set's `occupation` may be a memory map: a batch of its rows is read at a time.
    """

    def __init__(self, ordering_set: OrderingSet) -> None:
        self._set = ordering_set
        self._coincident = _coincident_sites(ordering_set)
        self._first = np.asarray(ordering_set.occupation[0])
        charges = ordering_set.charges[self._first]
        self._varies = _varying_sites(ordering_set)
        self._fixed_charges = charges[~self._varies]
        self._form = ewald_form(ordering_set.cell, ordering_set.fractional, charges, self._varies)

    def __len__(self) -> int:
        """How many batches there are."""
        return -(-self._set.n_orderings // _ROWS_PER_BATCH)

    def batch(self, k: int) -> tuple[int, FloatArray]:
        """(index of its first ordering, eV/atom of each of its orderings).

        Raises:
            InputError, OrderingError: as `electrostatic_energies`.
        """
        start = k * _ROWS_PER_BATCH
        occupation = np.asarray(self._set.occupation[start : start + _ROWS_PER_BATCH])
        charges = self._set.charges[occupation[:, self._form.sites]]
        self._refuse_moved(occupation, start)
        _refuse_charged(charges.sum(axis=1) + self._fixed_charges.sum(), self._set.crystal_name, start)
        _refuse_double(occupation, self._coincident, self._set.crystal_name, start)
        return start, self._form.energies(charges) / np.count_nonzero(occupation, axis=1)

    def of(self, orderings: IntArray) -> FloatArray:
        """(n,) eV/atom of some orderings, from the batches that hold them."""
        orderings = np.asarray(orderings, dtype=np.int64)
        found, batch_of = np.empty(len(orderings)), orderings // _ROWS_PER_BATCH
        for k in np.unique(batch_of):
            start, energies = self.batch(int(k))
            inside = batch_of == k
            found[inside] = energies[orderings[inside] - start]
        return found

    def batches(self, progress: Progress = silent) -> Iterator[tuple[int, FloatArray]]:
        """All of them in turn."""
        for k in range(len(self)):
            start, energies = self.batch(k)
            progress(start + len(energies), self._set.n_orderings, "electrostatic energies")
            yield start, energies

    def _refuse_moved(self, occupation: NDArray[np.uint8], start: int) -> None:
        """Refuse a set that contradicts its own composition: its energies would be those of other cells."""
        if (occupation == self._first).all(axis=0)[~self._varies].all():
            return
        fixed = self._set.charges[occupation[:, ~self._varies]]
        wrong = np.flatnonzero((fixed != self._fixed_charges).any(axis=1))
        if len(wrong):
            raise OrderingError(
                f"ordering {start + wrong[0]} changes the charge of a site that its composition calls full",
                where=self._set.crystal_name,
                fix="enumerate the orderings again: halion enumerate CRYSTAL",
            )


def _varying_sites(ordering_set: OrderingSet) -> NDArray[np.bool_]:
    """(n_sites,) sites that do not carry one and the same charge in every ordering; all, where nothing is known."""
    charge_of = dict(zip(ordering_set.species, ordering_set.charges, strict=True))
    varies = np.ones(len(ordering_set.site_orbit), dtype=bool)
    if not all(composition.orbits for composition in ordering_set.compositions):
        return varies
    for places in zip(*(composition.orbits for composition in ordering_set.compositions), strict=True):
        found = {charge_of[element] for orbit in places for element, count in orbit.counts.items() if count}
        found |= {0.0 for orbit in places if sum(orbit.counts.values()) < orbit.n_sites}
        varies[ordering_set.site_orbit == places[0].orbit] = len(found) > 1
    return varies


def electrostatic_energies(ordering_set: OrderingSet, progress: Progress = silent) -> FloatArray:
    """Electrostatic energy of each ordering, formal point charges in vacuum, per atom.

    Args:
        ordering_set: the orderings; each must be neutral.
        progress: told the orderings done.
    Returns:
        (n_orderings,) eV/atom. `OrderingEnergies` gives the same without holding all.
    Raises:
        InputError: an ordering whose charges do not add up to zero: its energy would be infinite.
        OrderingError: an ordering that fills two sites on one point.
    Checked by tests/ranking/test_ranking_electrostatics.py against pymatgen's EwaldSummation of each ordering.
    """
    return np.concatenate([energies for _, energies in OrderingEnergies(ordering_set).batches(progress)])


def write_electrostatic_energies(ordering_set: OrderingSet, path: Path | str, progress: Progress = silent) -> Path:
    """Write the electrostatic energy of every ordering, as it is computed, to a CSV file.

    Columns: ordering, multiplicity, electrostatic_energy_ev_per_atom (shortest form that reads back the same).

    Raises:
        InputError, OrderingError: as `electrostatic_energies`.
        DiskFull: nothing was written.
    Checked by test_energies_are_written_as_they_come in tests/ranking/test_ranking_electrostatics.py.
    """
    with atomic_path(path) as part, Path(part).open("w", encoding="utf-8") as file:
        file.write("ordering,multiplicity,electrostatic_energy_ev_per_atom\n")
        for start, energies in OrderingEnergies(ordering_set).batches(progress):
            counts = ordering_set.multiplicity[start : start + len(energies)]
            rows = enumerate(zip(counts, energies, strict=True), start)
            file.writelines(f"{index},{count},{energy}\n" for index, (count, energy) in rows)
    return Path(path)


def _coincident_sites(ordering_set: OrderingSet) -> list[tuple[int, int]]:
    positions = np.ascontiguousarray(ordering_set.fractional @ ordering_set.cell)
    first, second, _, _ = find_points_in_spheres(
        positions,
        positions,
        r=_SAME_POINT_ANGSTROM,
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(ordering_set.cell, dtype=float),
    )
    return [(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j]


def _refuse_charged(total: FloatArray, name: str, start: int) -> None:
    worst = int(np.abs(total).argmax())
    if abs(total[worst]) > 1e-6:
        raise InputError(
            f"ordering {start + worst} carries a charge of {total[worst]:+g} e; a periodic cell must be neutral",
            where=name,
            fix="choose a neutral composition, or correct the crystal's oxidation states",
        )


def _refuse_double(occupation: NDArray[np.uint8], pairs: list[tuple[int, int]], name: str, start: int) -> None:
    for i, j in pairs:
        both = np.flatnonzero((occupation[:, i] > 0) & (occupation[:, j] > 0))
        if len(both):
            raise OrderingError(
                f"ordering {start + both[0]} fills sites {i} and {j}, which are one point in space",
                where=name,
                fix="set orderings.closest_cations_angstrom above zero, or merge the two sites in the CIF",
            )

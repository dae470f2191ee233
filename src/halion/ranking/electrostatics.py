"""Electrostatic energy of every ordering: point charges on the sites, one Ewald matrix for the whole supercell.

The energy of an ordering is a quadratic form of its site charges, E = (1/2) q A q, with a matrix A that
depends on the sites alone: built once, then thousands of orderings per matrix product. Vacant sites carry
charge zero, so sites too close to be filled together do no harm.

Method: Ewald, Ann. Phys. 369, 253 (1921); Toukmaji and Board, Comput. Phys. Commun. 95, 73 (1996), eqs. 4-7.
"""

from __future__ import annotations

import numpy as np
from pymatgen.optimization.neighbors import find_points_in_spheres
from scipy.special import erfc

from halion.arrays import FloatArray
from halion.errors import InputError, OrderingError
from halion.orderings.types import OrderingSet
from halion.progress import Progress, silent

__all__ = ["COULOMB_EV_ANGSTROM", "electrostatic_energies", "ewald_matrix"]

COULOMB_EV_ANGSTROM = 14.399645478425668  # e^2 / (4 pi epsilon_0), eV Angstrom, CODATA 2018

# Both sums stop where their terms have fallen to exp(-_REACH^2) = 4e-17 of the leading one.
_REACH = 6.15
_ROWS_PER_BATCH = 8192
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


def electrostatic_energies(ordering_set: OrderingSet, progress: Progress = silent) -> FloatArray:
    """Electrostatic energy of each ordering, formal point charges in vacuum, per atom.

    Args:
        ordering_set: the orderings; each must be neutral.
        progress: told the orderings done.
    Returns:
        (n_orderings,) eV/atom.
    Raises:
        InputError: an ordering whose charges do not add up to zero: its energy would be infinite.
        OrderingError: an ordering that fills two sites on one point.
    Checked by tests/ranking/test_ranking_electrostatics.py against pymatgen's EwaldSummation of each ordering.
    """
    matrix = ewald_matrix(ordering_set.cell, ordering_set.fractional)
    coincident = _coincident_sites(ordering_set)
    energies = np.empty(ordering_set.n_orderings)
    for start in range(0, len(energies), _ROWS_PER_BATCH):
        occupation = ordering_set.occupation[start : start + _ROWS_PER_BATCH]
        charges = ordering_set.charges[occupation]
        _refuse_charged(charges, ordering_set.crystal_name, start)
        _refuse_double(occupation, coincident, ordering_set.crystal_name, start)
        form = np.einsum("ij,ij->i", charges @ matrix, charges)
        energies[start : start + len(occupation)] = form / (2 * (occupation > 0).sum(axis=1))
        progress(start + len(occupation), len(energies), "electrostatic energies")
    return energies


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


def _refuse_charged(charges: FloatArray, name: str, start: int) -> None:
    total = charges.sum(axis=1)
    worst = int(np.abs(total).argmax())
    if abs(total[worst]) > 1e-6:
        raise InputError(
            f"ordering {start + worst} carries a charge of {total[worst]:+g} e; a periodic cell must be neutral",
            where=name,
            fix="choose a neutral composition, or correct the crystal's oxidation states",
        )


def _refuse_double(occupation: np.ndarray, pairs: list[tuple[int, int]], name: str, start: int) -> None:
    for i, j in pairs:
        both = np.flatnonzero((occupation[:, i] > 0) & (occupation[:, j] > 0))
        if len(both):
            raise OrderingError(
                f"ordering {start + both[0]} fills sites {i} and {j}, which are one point in space",
                where=name,
                fix="set orderings.closest_cations_angstrom above zero, or merge the two sites in the CIF",
            )

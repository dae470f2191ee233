"""Supercell sites and their permutations: distances kept, a group, the right order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from orderings_crystals import li3ybr6, li3ycl6

from halion.errors import OrderingError
from halion.orderings import as_supercell
from halion.orderings.lattice import cell_count
from halion.orderings.sites import site_permutations, supercell_sites


def periodic_distances(fractional, cell):
    difference = fractional[:, None] - fractional[None]
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)
    difference = difference - np.rint(difference)
    return np.linalg.norm((difference[..., None, :] + steps) @ cell, axis=-1).min(axis=-1)


def everyone(crystal, supercell):
    return site_permutations(crystal, supercell, range(len(crystal.orbits)))


SKEWED = ((1, 0, 0), (0, 1, 0), (1, 0, 2))
ROTATED = ((1, -1, 0), (1, 2, 0), (0, 0, 1))  # sqrt(3) x sqrt(3) of a trigonal cell
LEFT_HANDED = ((0, 1, 0), (1, 0, 0), (1, 1, 2))


@pytest.mark.parametrize("supercell", [(1, 1, 1), (1, 1, 2), (2, 1, 1), SKEWED, ROTATED, LEFT_HANDED])
@pytest.mark.parametrize("crystal", [li3ycl6(), li3ybr6()], ids=["Li3YCl6", "Li3YBr6"])
def test_every_permutation_keeps_distances_and_orbits(crystal, supercell):
    sites = supercell_sites(crystal, supercell)
    distances = periodic_distances(sites.fractional, sites.cell)
    for permutation in everyone(crystal, supercell):
        assert sorted(permutation) == list(range(len(sites.fractional)))
        assert np.array_equal(sites.site_orbit[permutation], sites.site_orbit)
        # the coordinates 0.333333 and 0.3336 are symmetric to 1e-3 Angstrom
        assert np.allclose(distances[np.ix_(permutation, permutation)], distances, atol=2e-3)


@pytest.mark.parametrize("supercell", [(1, 1, 1), (1, 2, 1), (2, 2, 1), (1, 1, 3), SKEWED, ROTATED])
def test_the_permutations_are_a_group(supercell):
    permutations = everyone(li3ybr6(), supercell)
    known = {row.tobytes() for row in permutations}
    assert len(known) == len(permutations)
    assert np.array_equal(permutations[0], np.arange(permutations.shape[1]))
    for first in permutations[:: max(1, len(permutations) // 8)]:
        assert {first[second].tobytes() for second in permutations} == known


@pytest.mark.parametrize(
    ("supercell", "order"),
    [
        ((1, 1, 1), 12),
        ((1, 1, 2), 24),
        ((2, 1, 1), 8),
        ((2, 2, 1), 48),
        ((3, 2, 1), 12),
        ((2, 2, 2), 96),
        (ROTATED, 36),  # sqrt(3) x sqrt(3) keeps all 12, tripled
        (((2, 1, 0), (0, 1, 0), (0, 0, 1)), 8),  # 2x1x1 turned by 60 degrees
        (((1, 0, 1), (0, 1, 0), (0, 0, 2)), 8),
    ],
)
def test_group_orders_of_a_trigonal_parent(supercell, order):
    """P-3m1 has 12 operations; 2x1x1 keeps 4 (2/m along b), 3x2x1 only 2 (-1); times the lattice translations."""
    assert len(everyone(li3ycl6(), supercell)) == order


def test_sites_stand_where_the_parent_puts_them():
    parent = li3ycl6()
    sites = supercell_sites(parent, (2, 1, 3))
    assert len(sites.fractional) == 6 * len(parent.fractional)
    assert np.all((sites.fractional >= 0) & (sites.fractional < 1))
    assert abs(np.linalg.det(sites.cell)) == pytest.approx(6 * parent.volume)
    in_parent = sites.fractional * [2, 1, 3]
    for orbit in range(len(parent.orbits)):
        here = in_parent[sites.site_orbit == orbit][:, None] - parent.orbits[orbit].fractional[None]
        # every supercell site is a parent site up to whole cells; rounding errors of a division only
        assert np.all(np.abs(here - np.rint(here)).max(axis=-1).min(axis=1) < 1e-9)


@pytest.mark.parametrize("supercell", [SKEWED, ROTATED, LEFT_HANDED, ((0, 1, 1), (1, 0, 1), (1, 1, 0)), (2, 1, 3)])
@pytest.mark.parametrize("parent", [li3ycl6(), li3ybr6()], ids=["Li3YCl6", "Li3YBr6"])
def test_sites_of_any_matrix_are_each_parent_site_in_each_cell(parent, supercell):
    matrix = np.array(as_supercell(supercell))
    sites = supercell_sites(parent, supercell)
    n_cells = cell_count(as_supercell(supercell))
    assert np.allclose(sites.cell, matrix @ parent.cell)
    assert np.all((sites.fractional >= 0) & (sites.fractional < 1))
    assert np.array_equal(np.bincount(sites.site_orbit), [n_cells * orbit.n_sites for orbit in parent.orbits])
    # all different, and up to whole cells as many images of each parent site as there are cells
    inside = (np.round(sites.fractional, 6) + 1e-9) % 1.0
    assert len(np.unique(np.round(inside, 6), axis=0)) == len(inside)
    in_parent = sites.fractional @ matrix
    for orbit in range(len(parent.orbits)):
        here = in_parent[sites.site_orbit == orbit][:, None] - parent.orbits[orbit].fractional[None]
        same = np.abs(here - np.rint(here)).max(axis=-1) < 1e-9  # rounding errors of a product only
        assert np.all(same.sum(axis=1) == 1)
        assert np.all(same.sum(axis=0) == n_cells)


def test_another_matrix_of_one_lattice_gives_the_same_sites_and_group():
    """1x1x2 of Li3YBr6 and its reduced form: one lattice, so the same points in space."""
    parent = li3ybr6()
    one, other = supercell_sites(parent, (1, 1, 2)), supercell_sites(parent, SKEWED)
    places = other.fractional @ other.cell @ np.linalg.inv(one.cell)
    difference = places - one.fractional  # the cells are numbered alike: one Hermite form
    assert np.allclose(difference, np.rint(difference), atol=1e-9)
    assert np.array_equal(everyone(parent, (1, 1, 2)), everyone(parent, SKEWED))


@pytest.mark.parametrize(
    "supercell", [(0, 1, 1), (1, -1, 1), (1, 1), (1, 1.5, 1), ((1, 0, 0), (0, 1, 0), (1, 1, 0))]
)
def test_a_supercell_that_is_none(supercell):
    with pytest.raises(OrderingError, match="whole numbers"):
        supercell_sites(li3ycl6(), supercell)


def test_an_operation_that_does_not_fit_is_named():
    parent = li3ycl6()
    wrong = replace(parent, translations=parent.translations + np.array([0.0, 0.0, 0.1]))
    with pytest.raises(OrderingError, match="away from its nearest equivalent"):
        everyone(wrong, (1, 1, 1))

"""Counts know nothing of origin, orientation, names, order, or choice of cell and supercell basis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import li3ybr6, li3ycl3br3, li3ycl6
from test_orderings_count import gehlenite, rutile, sm_fe12
from test_orderings_settings import in_cell

from halion.orderings import (
    as_supercell,
    choose_composition,
    compositions_for,
    count_orderings,
    distinct_supercells,
    enumerate_orderings,
    exclusion_distances,
)
from halion.ranking.electrostatics import ewald_matrix
from halion.settings import OrderingSettings

PARENTS = (li3ycl6(), li3ybr6(), li3ycl3br3(), rutile(), gehlenite(), sm_fe12())
SUPERCELLS = (
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ((1, 0, 0), (0, 1, 0), (0, 0, 2)),
    ((1, 0, 1), (0, 1, 0), (-1, 0, 1)),
    ((1, 1, 0), (0, 2, 0), (0, 0, 1)),
    ((1, -1, 0), (1, 2, 0), (0, 0, 1)),
    ((0, 1, 1), (1, 0, 1), (1, 1, 0)),
)


@st.composite
def unimodular(draw):
    """Another basis of a lattice: rows added to each other, exchanged, turned round."""
    matrix = np.eye(3, dtype=int)
    for i, j, times in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-1, 1)), max_size=4)
    ):
        matrix[i] = -matrix[i] if i == j else matrix[i] + times * matrix[j]
    return matrix[list(draw(st.permutations(range(3))))]


def shifted(parent, shift):
    """The same crystal with its origin moved by a vector: t' = t + s - R s."""
    orbits = tuple(replace(orbit, fractional=(orbit.fractional + shift) % 1.0) for orbit in parent.orbits)
    return replace(parent, orbits=orbits, translations=parent.translations + shift - parent.rotations @ shift)


def relabelled(parent, rng):
    """Orbits, the sites in them, the operations and the elements in another order."""
    orbits = [replace(orbit, fractional=rng.permutation(orbit.fractional)) for orbit in parent.orbits]
    orbits = [
        replace(orbit, occupancy={e: orbit.occupancy[e] for e in rng.permutation(list(orbit.occupancy))})
        for orbit in orbits
    ]
    operations = rng.permutation(len(parent.rotations))
    return replace(
        parent,
        orbits=tuple(orbits[k] for k in rng.permutation(len(orbits))),
        charges={element: parent.charges[element] for element in rng.permutation(list(parent.charges))},
        rotations=parent.rotations[operations],
        translations=parent.translations[operations],
    )


def both(parent, supercell):
    return count_orderings(parent, choose_composition(parent, supercell))


@settings(deadline=None, max_examples=40)
@given(
    which=st.integers(0, len(PARENTS) - 1),
    supercell=st.sampled_from(SUPERCELLS),
    basis=unimodular(),
    inner=unimodular(),
    seed=st.integers(0, 10**6),
)
def test_a_count_does_not_depend_on_how_the_crystal_is_written(which, supercell, basis, inner, seed):
    """Origin, orientation, order and names, the crystal's own cell, the supercell's basis: all changed at once."""
    parent, rng = PARENTS[which], np.random.default_rng(seed)
    expected = both(parent, supercell)
    other = in_cell(relabelled(shifted(parent, rng.uniform(-1, 1, size=3)), rng), basis)
    other = replace(other, cell=other.cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0])
    # rows in units of the crystal's vectors: cell' = M cell, so P' = P M^-1, on another basis of its lattice
    matrix = inner @ np.array(supercell) @ np.rint(np.linalg.inv(basis)).astype(int)
    found = both(other, as_supercell(matrix))
    assert (found.total, found.distinct, found.group_order) == (
        expected.total,
        expected.distinct,
        expected.group_order,
    )


@settings(deadline=None, max_examples=15)
@given(which=st.integers(0, 2), seed=st.integers(0, 10**6), basis=unimodular())
def test_pooled_counts_neither(which, seed, basis):
    parent, rng = PARENTS[which], np.random.default_rng(seed)
    wanted = {"pool": ("Li",), "closest_cations_angstrom": 0}
    one = compositions_for(parent, OrderingSettings(supercell=(1, 1, 2), **wanted))
    other = in_cell(relabelled(shifted(parent, rng.uniform(-1, 1, size=3)), rng), basis)
    matrix = np.diag([1, 1, 2]) @ np.rint(np.linalg.inv(basis)).astype(int)
    two = compositions_for(other, OrderingSettings(supercell=as_supercell(matrix), **wanted))
    assert len(one) == len(two)
    assert count_orderings(parent, one) == count_orderings(other, two)


@pytest.mark.parametrize("parent", [li3ycl6(), li3ybr6()])
def test_a_monoclinic_and_a_trigonal_crystal_on_another_basis_have_as_many_shapes(parent):
    change = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    for n_cells in (2, 3, 4):
        assert len(distinct_supercells(in_cell(parent, change), n_cells)) == len(
            distinct_supercells(parent, n_cells)
        )


def spectrum(parent, supercell):
    """Electrostatic energies of all orderings, each as often as its multiplicity; and of the distinct ones.

    They owe nothing to the permutations that the search works with.
    """
    exclusions = exclusion_distances(parent, 2.5)
    composition = choose_composition(parent, supercell, exclusions=exclusions)
    found = enumerate_orderings(parent, composition, exclusions=exclusions, limit=10**5)
    matrix = ewald_matrix(found.cell, found.fractional)
    charges = found.charges[found.occupation]
    energies = np.einsum("ij,ij->i", charges @ matrix, charges) / 2
    return np.sort(np.repeat(energies, found.multiplicity)), np.sort(energies)


def test_the_orderings_of_a_cell_that_is_not_diagonal_do_not_depend_on_its_basis():
    """Li3YBr6 in [[1,0,1],[0,1,0],[-1,0,1]]: C2/m and I2/m, two bases of one lattice, moved and turned."""
    parent, rng = li3ybr6(), np.random.default_rng(5)
    supercell = np.array(((1, 0, 1), (0, 1, 0), (-1, 0, 1)))
    change = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 1]])
    other = in_cell(shifted(parent, rng.uniform(size=3)), change)
    other = replace(other, cell=other.cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0])
    matrix = np.array([[1, 1, 0], [0, 1, 0], [0, 2, 1]]) @ supercell @ np.rint(np.linalg.inv(change)).astype(int)
    one, two = spectrum(parent, as_supercell(supercell)), spectrum(other, as_supercell(matrix))
    assert len(one[1]) == len(two[1]) > 100
    # Idealised coordinates are symmetric to 0.001 Angstrom, so equivalent orderings are equal to some 0.001 eV;
    # the energies spread over several eV.
    assert np.allclose(one[0], two[0], atol=1e-2)
    assert np.ptp(one[0]) > 1
    # one of each class, whichever it is
    assert np.allclose(one[1], two[1], atol=1e-2)

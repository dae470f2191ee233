"""Substitutions in ordered cells against counts that others published, and against listing on random lattices."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import OrderingError
from halion.ranking.sublattice import find_sublattice
from halion.ranking.substitution import count_substitutions, guest_rows, mirrored, substitutions


def perovskite() -> Atoms:
    """LaFeO3, cubic, doubled along all axes: eight Fe."""
    one = Atoms(
        "LaFeO3",
        scaled_positions=[(0.5, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)],
        cell=[3.9] * 3,
        pbc=True,
    )
    return one.repeat((2, 2, 2))


def rutile() -> Atoms:
    """FeO2 in P4_2/mnm, the parent of FeSbO4."""
    return crystal(
        ["Fe", "O"], [(0, 0, 0), (0.306, 0.306, 0)], spacegroup=136, cellpar=[4.635, 4.635, 3.073, 90, 90, 90]
    )


@pytest.mark.parametrize(
    ("n_guests", "total", "distinct"),
    list(zip(range(9), (1, 8, 28, 56, 70, 56, 28, 8, 1), (1, 1, 3, 3, 6, 3, 3, 1, 1))),
)
def test_perovskite_as_sod_counts_it(n_guests, total, distinct):
    """Al on the eight Fe of 2 x 2 x 2 LaFeO3: an example of SOD with its degeneracies."""
    count = count_substitutions(find_sublattice(perovskite(), ("Fe", "Al")), n_guests)
    assert (count.total, count.distinct) == (total, distinct)


@pytest.mark.parametrize(
    ("repeat", "total", "distinct"),
    [((1, 1, 1), 2, 1), ((1, 1, 2), 6, 2), ((1, 1, 3), 20, 3), ((1, 1, 4), 70, 8), ((2, 2, 1), 70, 7)],
)
def test_rutile_as_two_programs_count_it(repeat, total, distinct):
    """FeSbO4, half of the metal replaced: the table of SOD (2007), repeated by supercell."""
    atoms = rutile().repeat(repeat)
    count = count_substitutions(find_sublattice(atoms, ("Fe", "Sb"), symprec=0.01), 2 * math.prod(repeat) // 2)
    assert (count.total, count.distinct) == (total, distinct)


@pytest.mark.parametrize(
    ("n_guests", "total", "distinct"), [(1, 16, 1), (2, 120, 5), (4, 1820, 33), (8, 12_870, 153)]
)
def test_rock_salt_as_supercell_counts_it(n_guests, total, distinct):
    """Pb(1-x)Sn(x)Te, 1 x 2 x 2: J. Cheminform. 8, 17 (2016), table 2."""
    atoms = bulk("PbTe", "rocksalt", a=6.46, cubic=True).repeat((1, 2, 2))
    count = count_substitutions(find_sublattice(atoms, ("Pb", "Sn")), n_guests)
    assert (count.total, count.distinct) == (total, distinct)


def test_magnesia_with_a_large_group():
    """Four Ca of 32 Mg, 2 x 2 x 2: 71 of 35,960 under 1536 operations (SOD's example 1)."""
    sublattice = find_sublattice(bulk("MgO", "rocksalt", a=4.21, cubic=True).repeat((2, 2, 2)), ("Mg", "Ca"))
    assert len(sublattice.permutations) == 1536
    count = count_substitutions(sublattice, 4)
    assert (count.total, count.distinct) == (35_960, 71)
    charges = {"Mg": 2.0, "Ca": 2.0, "O": -2.0}
    found = substitutions(sublattice, 4, limit=100, charges=charges)
    assert found.n_orderings == 71 and found.multiplicity.sum() == 35_960


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_random_lattices_against_listing(data):
    """Any metric from cubic to triclinic, one cation and up to six shared sites: every content by hand."""
    lengths = data.draw(st.tuples(*[st.sampled_from([5.0, 5.6, 6.3])] * 3))
    angles = data.draw(st.sampled_from([(90, 90, 90), (90, 104, 90), (80, 95, 104), (90, 90, 120)]))
    if angles == (90, 90, 120):
        lengths = (lengths[0], lengths[0], lengths[2])
    grid = [(x, y, z) for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)]
    sites = data.draw(st.lists(st.sampled_from(grid), min_size=2, max_size=6, unique=True))
    atoms = Atoms(f"YCl{len(sites)}", scaled_positions=[(0, 0, 0), *sites], cell=[*lengths, *angles], pbc=True)
    sublattice = find_sublattice(atoms, ("Cl", "Br"))
    n_guests = data.draw(st.integers(0, len(sites)))
    classes: dict[tuple[int, ...], int] = {}
    for chosen in itertools.combinations(range(len(sites)), n_guests):
        least = min(tuple(sorted(p[list(chosen)])) for p in sublattice.permutations)
        classes[least] = classes.get(least, 0) + 1
    count = count_substitutions(sublattice, n_guests)
    assert (count.total, count.distinct) == (sum(classes.values()), len(classes))
    charges = {"Y": 1.0, "Cl": -1.0, "Br": -1.0}
    found = substitutions(sublattice, n_guests, limit=1000, charges=charges)
    assert sorted(found.multiplicity.tolist()) == sorted(classes.values())
    other = substitutions(sublattice, len(sites) - n_guests, limit=1000, charges=charges)
    assert sorted(mirrored(found, ("Cl", "Br")).multiplicity.tolist()) == sorted(other.multiplicity.tolist())


@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_permutations_keep_every_distance(data):
    """What the group permutes it keeps as far apart as it was, nearest periodic images included."""
    repeat = data.draw(st.sampled_from([(1, 1, 1), (1, 1, 2), (2, 1, 1)]))
    sublattice = find_sublattice(rutile().repeat(repeat), ("O", "S"), symprec=0.01)
    n = sublattice.n_sites
    distances = sublattice.atoms.get_all_distances(mic=True)[-n:, -n:]
    permutation = sublattice.permutations[data.draw(st.integers(0, len(sublattice.permutations) - 1))]
    np.testing.assert_allclose(distances[np.ix_(permutation, permutation)], distances, atol=1e-6)
    assert (sublattice.permutations[0] == np.arange(n)).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_averaged_coordinates_are_symmetric(seed):
    """Atoms moved by up to 0.02 Angstrom: their averages hold the group to rounding, and lie as near."""
    generator = np.random.default_rng(seed)
    atoms = rutile()
    atoms.positions += generator.uniform(-0.012, 0.012, atoms.positions.shape)
    found = find_sublattice(atoms, ("O", "S"), symprec=0.1)
    exact = find_sublattice(rutile(), ("O", "S"))
    assert found.space_group == exact.space_group
    cell = found.atoms.cell.array
    for rotation, translation in zip(found.rotations, found.translations):
        steps = (found.symmetric @ rotation.T + translation)[:, None] - found.symmetric[None]
        distance = np.linalg.norm((steps - np.rint(steps)) @ cell, axis=-1)
        # spglib refines its translations to the tolerance's share of rounding, not to the last digit.
        assert distance.min(axis=1).max() < 0.03
    moved = found.symmetric - found.atoms.get_scaled_positions(wrap=False)
    assert np.linalg.norm((moved - np.rint(moved)) @ cell, axis=1).max() < 0.1


def test_decorated_cells_are_the_listed_rows():
    sublattice = find_sublattice(rutile().repeat((1, 1, 2)), ("O", "S"), symprec=0.01)
    found = substitutions(sublattice, 2, limit=100, charges={"Fe": 4.0, "O": -2.0, "S": -2.0})
    rows = guest_rows(found, sublattice)
    assert (rows.sum(axis=1) == 2).all() and rows.shape == (found.n_orderings, 8)
    formulas = {sublattice.decorated(row).get_chemical_formula() for row in rows}
    assert formulas == {"Fe4O6S2"}
    assert sublattice.atoms.get_chemical_formula() == "Fe4O8"


def test_the_order_of_the_given_atoms_is_known():
    atoms = rutile().repeat((1, 1, 2))
    found = find_sublattice(atoms, ("O", "S"), symprec=0.01)
    np.testing.assert_allclose(atoms.positions[found.order], found.atoms.positions)
    assert (atoms.numbers[found.order] == found.atoms.numbers).all()


def test_atoms_on_one_point_have_no_symmetry():
    atoms = Atoms("YCl2", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)], cell=[5] * 3, pbc=True)
    with pytest.raises(OrderingError, match="no consistent symmetry"):
        find_sublattice(atoms, ("Cl", "Br"))

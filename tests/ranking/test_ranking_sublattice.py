"""Substitutions on a sublattice of an ordered cell: published counts, brute force, symmetry, mirror."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.crystal import builtin_crystal
from halion.errors import CrystalError, InputError, OrderingError
from halion.orderings import choose_composition
from halion.orderings.count import count_orderings, count_under_group
from halion.ranking.electrostatics import electrostatic_energies
from halion.ranking.sublattice import find_sublattice
from halion.ranking.substitution import (
    as_one_element,
    count_substitutions,
    guest_rows,
    mirrored,
    substitution_crystal,
    substitutions,
)

HALIDES = ("Cl", "Br")
CHARGES = {"Li": 1.0, "Y": 3.0, "Cl": -1.0, "Br": -1.0, "F": -1.0, "I": -1.0}


def averaged(name: str) -> Atoms:
    """A built-in crystal with an atom on each of its sites: its anions keep the symmetry of the average."""
    crystal = builtin_crystal(name)
    symbols = [max(orbit.occupancy, key=orbit.occupancy.get) for orbit in crystal.orbits for _ in orbit.fractional]
    return Atoms(symbols, scaled_positions=crystal.fractional, cell=crystal.cell, pbc=True)


def square_cell() -> Atoms:
    """Tetragonal, four anions on one orbit and two on another around cations: enough to list by hand."""
    cell = np.diag([5.0, 5.0, 6.3])
    anions = [
        (0.25, 0.25, 0.5),
        (0.75, 0.25, 0.5),
        (0.25, 0.75, 0.5),
        (0.75, 0.75, 0.5),
        (0.5, 0.5, 0),
        (0.5, 0.5, 0.3),
    ]
    return Atoms("Y2" + "Cl6", scaled_positions=[(0, 0, 0), (0, 0, 0.3), *anions], cell=cell, pbc=True)


def orbits_by_listing(permutations: np.ndarray, n_sites: int, n_guests: int) -> dict[tuple, int]:
    """Least image of every arrangement -> how many have it."""
    found: dict[tuple, int] = {}
    for chosen in itertools.combinations(range(n_sites), n_guests):
        least = min(tuple(sorted(permutation[list(chosen)])) for permutation in permutations)
        found[least] = found.get(least, 0) + 1
    return found


@pytest.fixture(scope="module")
def chloride():
    return find_sublattice(averaged("Li3YCl6"), HALIDES)


@pytest.mark.parametrize(
    ("n_guests", "total", "distinct"),
    [(1, 18, 3), (2, 153, 21), (3, 816, 83), (6, 18_564, 1662), (9, 48_620, 4200), (15, 816, 83), (16, 153, 21)],
)
def test_anions_of_the_averaged_chloride(chloride, n_guests, total, distinct):
    """An independent Burnside count: 18 anions of the 30-atom cell, cations averaged."""
    count = count_substitutions(chloride, n_guests)
    assert (count.total, count.distinct) == (total, distinct)


def test_all_contents_of_the_averaged_chloride(chloride):
    counts = [count_substitutions(chloride, n) for n in range(19)]
    assert sum(count.total for count in counts) == 262_144
    assert sum(count.distinct for count in counts) == 23_052


@pytest.mark.parametrize("n_guests", [2, 3, 6])
def test_listing_is_the_count(chloride, n_guests):
    found = substitutions(chloride, n_guests, limit=10_000, charges=CHARGES)
    count = count_substitutions(chloride, n_guests)
    assert found.n_orderings == count.distinct
    assert found.multiplicity.sum() == count.total == found.count.total
    least = {
        min(tuple(sorted(p[np.flatnonzero(row)])) for p in chloride.permutations)
        for row in guest_rows(found, chloride)
    }
    assert len(least) == count.distinct


def test_against_listing_by_hand():
    sublattice = find_sublattice(square_cell(), HALIDES)
    assert len(set(sublattice.site_orbit)) > 1
    for n_guests in range(7):
        by_hand = orbits_by_listing(sublattice.permutations, 6, n_guests)
        found = substitutions(sublattice, n_guests, limit=1000, charges=CHARGES)
        rows = guest_rows(found, sublattice)
        least = [min(tuple(sorted(p[np.flatnonzero(row)])) for p in sublattice.permutations) for row in rows]
        assert dict(zip(least, found.multiplicity.tolist())) == by_hand
        assert count_substitutions(sublattice, n_guests).distinct == len(by_hand)


def test_pooled_is_the_sum_over_splits(chloride):
    """Orbits never mix: counted with each orbit's guests fixed, and added up."""
    crystal, _ = substitution_crystal(chloride, 4, charges=CHARGES)
    orbits = [np.flatnonzero(chloride.site_orbit == k) for k in range(3)]
    assert [len(orbit) for orbit in orbits] == [6, 6, 6]
    place = np.argsort(np.concatenate(orbits))
    order = np.concatenate(orbits)
    permutations = place[chloride.permutations[:, order]]
    splits = [each for each in itertools.product(range(5), repeat=3) if sum(each) == 4]
    counts = [
        count_under_group(permutations.astype(np.int32), [(6 - n, n) if n else (6,) for n in split])
        for split in splits
    ]
    pooled = count_substitutions(chloride, 4)
    assert sum(count.total for count in counts) == pooled.total == math.comb(18, 4)
    assert sum(count.distinct for count in counts) == pooled.distinct
    assert crystal.orbits[-1].wyckoff == "6+6+6"


def test_the_crystal_counts_as_the_sublattice_does(chloride):
    crystal, composition = substitution_crystal(chloride, 5, charges=CHARGES)
    assert count_orderings(crystal, composition) == count_substitutions(chloride, 5)


def test_ordered_cations_lower_the_symmetry(chloride):
    """One column of Y kept out of two: fewer operations, more arrangements, and still sums to all."""
    atoms = averaged("Li3YCl6")
    yttrium = [atom.index for atom in atoms if atom.symbol == "Y"]
    ordered = atoms[[k for k in range(len(atoms)) if k not in (yttrium[1], yttrium[4])]]
    sublattice = find_sublattice(ordered, HALIDES)
    assert 1 <= len(sublattice.permutations) < len(chloride.permutations)
    assert count_substitutions(sublattice, 6).distinct > count_substitutions(chloride, 6).distinct
    assert count_substitutions(sublattice, 6).total == 18_564


def test_mirror_serves_the_other_half(chloride):
    """Every arrangement of 3 guests, exchanged, is one of 15 and the other way about."""
    few = mirrored(substitutions(chloride, 3, limit=1000, charges=CHARGES), HALIDES)
    many = substitutions(chloride, 15, limit=1000, charges=CHARGES)
    assert {"Br15", "Cl3"} < set(few.composition.formula.split())

    def canonical(orderings):
        rows = guest_rows(orderings, chloride)
        return {
            max(tuple(row[p]) for p in chloride.permutations): n
            for row, n in zip(rows, orderings.multiplicity.tolist())
        }

    assert canonical(few) == canonical(many)
    assert few.structure(0).get_chemical_formula() == many.structure(0).get_chemical_formula()
    twice = mirrored(few, HALIDES)
    assert twice.species == substitutions(chloride, 3, limit=1000, charges=CHARGES).species


def test_structures_are_the_cell_with_other_elements(chloride):
    found = substitutions(chloride, 2, limit=100, charges=CHARGES)
    for index, row in enumerate(guest_rows(found, chloride)):
        structure, decorated = found.structure(index), chloride.decorated(row)
        assert structure.get_chemical_formula() == decorated.get_chemical_formula()
        steps = structure.get_scaled_positions() - decorated.get_scaled_positions()
        np.testing.assert_allclose(steps - np.rint(steps), 0, atol=1e-12)
        assert (structure.numbers == decorated.numbers).all()


@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0, 0.02))
@settings(deadline=None)
def test_atoms_moved_within_the_tolerance(seed, size):
    """A relaxed cell is symmetric to some 0.01 Angstrom: the group and the counts stay."""
    atoms = averaged("Li3YBr6")
    exact = find_sublattice(atoms, HALIDES, symprec=0.1)
    generator = np.random.default_rng(seed)
    moved = atoms.copy()
    moved.positions += generator.uniform(-size, size, moved.positions.shape)
    found = find_sublattice(moved, HALIDES, symprec=0.1)
    assert found.space_group == exact.space_group
    np.testing.assert_array_equal(found.permutations, exact.permutations)


@given(data=st.data())
@settings(deadline=None)
def test_order_and_content_of_the_sites_do_not_matter(data):
    """Relabelled atoms, a shifted origin, and any mixture already on the sites: the same counts."""
    atoms = averaged("Li3YBr6")
    order = data.draw(st.permutations(range(len(atoms))))
    shift = data.draw(st.tuples(*[st.floats(0, 1)] * 3))
    other = atoms[list(order)]
    other.set_scaled_positions(other.get_scaled_positions() + np.array(shift))
    shared = np.flatnonzero(np.isin(other.numbers, [17, 35]))
    other.numbers[shared] = data.draw(
        st.lists(st.sampled_from([17, 35]), min_size=len(shared), max_size=len(shared))
    )
    plain, found = find_sublattice(atoms, HALIDES), find_sublattice(other, HALIDES)
    assert found.space_group == plain.space_group
    for n_guests in (1, 3, 6):
        assert count_substitutions(found, n_guests) == count_substitutions(plain, n_guests)


def test_a_doubled_cell_keeps_its_translations(chloride):
    """A cell twice as long has the old arrangements of both halves among its own; their lattice translation too."""
    doubled = find_sublattice(averaged("Li3YCl6").repeat((1, 1, 2)), HALIDES)
    assert len(doubled.permutations) == 2 * len(chloride.permutations)
    assert count_substitutions(doubled, 1).distinct == count_substitutions(chloride, 1).distinct


def test_charges_come_from_oxidation_states():
    atoms = averaged("Li3YBr6")
    keep = [k for k in range(len(atoms)) if atoms.symbols[k] != "Li"] + [
        k for k, s in enumerate(atoms.symbols) if s == "Li"
    ][:6]
    found = substitutions(find_sublattice(atoms[keep], HALIDES), 3, limit=1000)
    assert dict(zip(found.species, found.charges)) == {"": 0, "Li": 1, "Y": 3, "Cl": -1, "Br": -1}
    assert found.composition.charge == pytest.approx(0)
    # Why halides need more than charges: every arrangement has the same electrostatic energy.
    assert found.n_orderings > 10
    assert np.ptp(electrostatic_energies(found)) < 1e-9
    with pytest.raises(CrystalError, match="neutral"):
        substitutions(find_sublattice(atoms, HALIDES), 3, limit=1000)


def test_a_mixed_refinement_with_its_halides_as_one():
    """Li3YCl3Br3: far fewer orderings of the cations alone; then 924 arrangements of 6 in 12."""
    mixed = builtin_crystal("Li3YCl3Br3")
    plain = as_one_element(mixed, HALIDES)
    assert plain.composition["Cl"] == pytest.approx(12) and "Br" not in plain.composition
    assert plain.charge == pytest.approx(mixed.charge, abs=1e-9)
    alone, joint = (count_orderings(one, choose_composition(one, (1, 1, 1))) for one in (plain, mixed))
    # Refined, Br is half of each anion orbit: 4 of 8 and 2 of 4.
    assert joint.total == alone.total * math.comb(8, 4) * math.comb(4, 2)
    assert alone.distinct < joint.distinct / 50
    found = find_sublattice(averaged("Li3YCl3Br3"), HALIDES)
    assert count_substitutions(found, 6).total == 924
    with pytest.raises(InputError, match="equal charges"):
        as_one_element(mixed, ("Li", "Y"))


def test_too_many_are_refused(chloride):
    with pytest.raises(OrderingError, match="more than 100"):
        substitutions(chloride, 9, limit=100, charges=CHARGES)


@pytest.mark.parametrize("n_guests", [-1, 19])
def test_guests_without_sites_are_refused(chloride, n_guests):
    with pytest.raises(InputError, match="18"):
        count_substitutions(chloride, n_guests)


@pytest.mark.parametrize("elements", [("Cl", "Cl"), ("F", "I"), ("Cl", "Xx")])
def test_elements_that_share_nothing_are_refused(elements):
    with pytest.raises(InputError, match="no sites to share"):
        find_sublattice(averaged("Li3YCl6"), elements)


def test_mirror_needs_elements_of_one_charge(chloride):
    with pytest.raises(InputError, match="cannot be exchanged"):
        mirrored(substitutions(chloride, 1, limit=10, charges=CHARGES), ("Li", "Y"))
    with pytest.raises(InputError, match="cannot be exchanged"):
        mirrored(substitutions(chloride, 1, limit=10, charges=CHARGES), ("F", "I"))

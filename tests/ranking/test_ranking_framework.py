"""Frameworks between two ends: supercells, interpolation, symmetry kept, unrelaxed energies."""

import itertools
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError, PhysicsRefusal
from halion.orderings.types import as_supercell
from halion.ranking.framework import (
    FrameworkEnds,
    ParentPhase,
    best_supercell,
    build_framework,
    formula_units,
    relax_ends,
)
from halion.ranking.static import static_energies
from halion.records import from_record, to_record
from halion.settings import RankingSettings, SeriesSettings

SERIES = SeriesSettings(elements=("Cu", "Au"))
RANKING = RankingSettings(max_steps=300)


def alloy() -> Atoms:
    """L1_2: aluminium at the corners, copper (or gold) on the faces of a cube, stretched off its minimum."""
    return Atoms(
        "AlCu3",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=[3.8, 3.8, 3.9],
        pbc=True,
    )


@pytest.fixture(scope="module")
def ends(emt):
    return relax_ends(ParentPhase(name="L12", structures=(alloy(),)), emt, SERIES, RANKING)


def test_ends_are_the_pure_cells_relaxed(ends):
    (both,) = ends
    assert both.host.atoms.get_chemical_formula() == "AlCu3"
    assert both.guest.atoms.get_chemical_formula() == "AlAu3"
    assert both.host.is_converged and both.guest.is_converged
    assert both.guest.atoms.get_volume() > 1.1 * both.host.atoms.get_volume()
    assert (both.parent, both.cations) == ("L12", 0)


def test_ends_survive_a_record(ends):
    """As a step of a study keeps them: the framework made of what was read is the same to the last bit."""
    record = json.loads(json.dumps(to_record(ends[0])))
    again = from_record(FrameworkEnds, record)
    one, other = (build_framework(each, as_supercell((1, 1, 2)), SERIES) for each in (ends[0], again))
    np.testing.assert_array_equal(one.fractional, other.fractional)
    np.testing.assert_array_equal(one.sublattice.permutations, other.sublattice.permutations)


def test_a_mixture_already_on_the_sites_is_no_matter(emt, ends):
    mixed = alloy()
    mixed.symbols[2] = "Au"
    (again,) = relax_ends(ParentPhase(name="L12", structures=(mixed,)), emt, SERIES, RANKING)
    assert again.host.energy == pytest.approx(ends[0].host.energy, abs=1e-9)


def test_as_many_cation_orderings_as_asked_for(emt):
    parent = ParentPhase(name="L12", structures=(alloy(), alloy(), alloy()))
    both = relax_ends(parent, emt, SERIES.model_copy(update={"cation_orderings": 2}), RANKING)
    assert [each.cations for each in both] == [0, 1]


@pytest.mark.parametrize("k", [0, 1])
def test_a_framework_starts_at_its_ends(ends, k):
    made = build_framework(ends[0], as_supercell((1, 1, 2)), SERIES)
    start = made.start(np.full(6, k, dtype=np.uint8))
    end = make_supercell((ends[0].host, ends[0].guest)[k].atoms, np.diag([1, 1, 2]))
    np.testing.assert_allclose(start.cell.array, end.cell.array, atol=1e-12)
    for atom in start:
        steps = np.linalg.solve(end.cell.array.T, (end.positions - atom.position).T).T
        distance = np.linalg.norm((steps - np.rint(steps)) @ end.cell.array, axis=1)
        assert distance.min() < 1e-9 and end.symbols[distance.argmin()] == atom.symbol


@given(row=st.lists(st.integers(0, 1), min_size=6, max_size=6))
@settings(deadline=None)
def test_a_mixture_starts_between(ends, row):
    """Vegard's law: each vector of the cell by the share of guests, whatever their places."""
    made = build_framework(ends[0], as_supercell((2, 1, 1)), SERIES)
    start = made.start(np.array(row, dtype=np.uint8))
    share = sum(row) / 6
    np.testing.assert_allclose(start.cell.array, (1 - share) * made.cells[0] + share * made.cells[1], atol=1e-12)
    assert start.get_chemical_symbols().count("Au") == sum(row)
    assert start.get_all_distances(mic=True)[np.triu_indices(8, 1)].min() > 2.4


def test_the_symmetry_of_both_ends_is_kept(ends):
    """Relaxation starts on symmetric places and stays there: the tetragonal cell has its 16 operations."""
    made = build_framework(ends[0], as_supercell((1, 1, 1)), SERIES)
    assert made.sublattice.space_group in ("P4/mmm", "Pm-3m")
    assert len(made.sublattice.permutations) >= 2
    assert made.sublattice.n_sites == 3


def brute_force_supercells(n_cells: int) -> np.ndarray:
    """All integer matrices with entries from -1 to 1 of that determinant, every fifth."""
    matrices = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    return matrices[np.rint(np.linalg.det(matrices)) == n_cells][::5]


def test_the_best_doubling_of_a_hexagonal_cell_is_along_its_short_axis():
    cell = Atoms("YCl2", cell=[11.2, 11.2, 6.05, 90, 90, 120], pbc=True)
    assert best_supercell([cell], 2) == as_supercell((1, 1, 2))
    assert best_supercell([cell], 1) == as_supercell((1, 1, 1))
    bent = Atoms("YCl2", cell=[11.15, 11.22, 6.05, 90, 90.5, 119.8], pbc=True)
    assert best_supercell([bent], 2) == as_supercell((1, 1, 2))


def test_no_doubling_has_images_much_farther_apart():
    cell = Atoms("YCl2", cell=[6.9, 12.0, 6.8, 90, 109.8, 90], pbc=True)
    chosen = np.array(best_supercell([cell], 2)) @ cell.cell.array
    steps = np.array([step for step in itertools.product(range(-3, 4), repeat=3) if any(step)])
    shortest = [
        np.linalg.norm(steps @ matrix @ cell.cell.array, axis=1).min() for matrix in brute_force_supercells(2)
    ]
    assert len(shortest) > 100
    assert np.linalg.norm(steps @ chosen, axis=1).min() >= 0.97 * max(shortest)
    assert abs(np.linalg.det(chosen)) == pytest.approx(2 * cell.get_volume())


def test_a_supercell_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one cell"):
        best_supercell([], 2)
    with pytest.raises(InputError, match="at least one cell"):
        best_supercell([alloy()], 0)


def test_formula_units_take_both_elements_as_one():
    atoms = alloy().repeat((2, 1, 1))
    atoms.symbols[1] = "Au"
    assert formula_units(atoms, ("Cu", "Au")) == (2, 3)


def test_unrelaxed_energies_are_those_of_each_alone(emt):
    structures = [bulk("Cu"), bulk("Au").repeat((2, 1, 1)), alloy()]
    found = static_energies(structures, emt)
    expected = [emt.evaluate(atoms).energy / len(atoms) for atoms in structures]
    np.testing.assert_allclose(found, expected, atol=1e-12)


class Refuses:
    """A potential that refuses cells with gold, as one does whose forces are not finite."""

    def __init__(self, potential):
        self.potential, self.name, self.elements = potential, "refuses", potential.elements

    def evaluate_arrays(self, numbers, positions, cells, counts):
        if 79 in numbers:
            raise PhysicsRefusal("gold", fix="no gold")
        return self.potential.evaluate_arrays(numbers, positions, cells, counts)


def test_a_refused_cell_harms_no_other(emt):
    structures = [bulk("Cu"), bulk("Au"), alloy()]
    found = static_energies(structures, Refuses(emt))
    assert np.isnan(found).tolist() == [False, True, False]
    np.testing.assert_array_equal(found[[0, 2]], static_energies([structures[0], structures[2]], emt))


def test_an_end_that_is_refused_names_the_parent(emt):
    with pytest.raises(PhysicsRefusal, match="an end of the series of L12"):
        relax_ends(ParentPhase(name="L12", structures=(alloy(),)), Refuses(emt), SERIES, RANKING)

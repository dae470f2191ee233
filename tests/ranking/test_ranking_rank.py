"""The ranked table: copies merged, others kept, weights in closed form, no dependence on order."""

import csv
import io
import math

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr

from halion.errors import InputError, Interrupted, PhysicsRefusal
from halion.potentials import EngineResult, Evaluation
from halion.potentials.from_ase import split_arrays, stack_evaluations
from halion.ranking import (
    Candidate,
    Ranking,
    Relaxation,
    boltzmann_weights,
    rank,
    rank_orderings,
    ranking_table,
    relax,
    spearman,
    write_structures,
)
from halion.ranking.compare import is_same_structure
from halion.records import from_record, to_record
from halion.settings import RankingSettings
from halion.units import BOLTZMANN_EV_PER_K


def low_symmetry() -> Atoms:
    """Ten atoms of three elements in a triclinic cell, no two sites alike."""
    rng = np.random.default_rng(4)
    cell = np.array([[6.0, 0.3, 0.1], [-0.4, 7.1, 0.5], [0.8, -0.2, 8.3]])
    sites = [(i / 2, j / 2, k / 3) for i in range(2) for j in range(2) for k in range(3)][:10]
    return Atoms(
        "Li3YBr6", scaled_positions=np.array(sites) + rng.uniform(-0.06, 0.06, (10, 3)), cell=cell, pbc=True
    )


def copy_of(atoms: Atoms, seed: int, noise: float = 0.01) -> Atoms:
    """The same crystal in other clothes: turned, shifted, permuted, other cell vectors, a little noise."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng).as_matrix()
    order = rng.permutation(len(atoms))
    unimodular = np.array([[1, rng.integers(-1, 2), 0], [0, 1, rng.integers(-1, 2)], [0, 0, 1]])
    positions = atoms.positions[order] + rng.normal(scale=3, size=3) + rng.normal(scale=noise, size=(len(atoms), 3))
    copy = Atoms(
        atoms.numbers[order],
        positions=positions @ rotation,
        cell=unimodular @ atoms.cell.array @ rotation,
        pbc=True,
    )
    copy.wrap()
    return copy


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_copies_are_one_structure(seed):
    atoms = low_symmetry()
    assert is_same_structure(atoms, copy_of(atoms, seed))
    assert is_same_structure(copy_of(atoms, seed), atoms)


def test_mirror_images_are_one_structure():
    atoms = low_symmetry()
    mirrored = Atoms(
        atoms.numbers, positions=atoms.positions * (1, 1, -1), cell=atoms.cell.array * (1, 1, -1), pbc=True
    )
    assert is_same_structure(atoms, mirrored)


@pytest.mark.parametrize(
    "change",
    [
        lambda atoms: atoms.positions.__setitem__(0, atoms.positions[0] + (0.9, 0.5, 0.0)),  # one Li hopped
        lambda atoms: atoms.numbers.__setitem__([3, 4], atoms.numbers[[4, 3]]),  # Y and a Br exchanged
        lambda atoms: atoms.set_cell(atoms.cell.array * 1.05, scale_atoms=True),  # another volume
        lambda atoms: atoms.numbers.__setitem__(9, 17),  # another composition
    ],
    ids=["hop", "exchange", "volume", "composition"],
)
def test_different_structures_are_told_apart(change):
    atoms = low_symmetry()
    other = atoms.copy()
    change(other)
    assert not is_same_structure(atoms, copy_of(other, 1))


def test_one_hop_in_a_large_cell_is_seen():
    """In 80 atoms one moved Li is 0.13 Angstrom of root mean square: the largest distance must tell."""
    atoms = low_symmetry().repeat((2, 2, 2))
    other = atoms.copy()
    other.positions[0] += (0.9, 0.5, 0.0)
    assert is_same_structure(atoms, copy_of(atoms, 0))
    assert not is_same_structure(atoms, other)


def pair(ordering: int, energy: float, atoms: Atoms, *, multiplicity=1, electrostatic=0.0, is_converged=True):
    relaxation = Relaxation(
        atoms=atoms,
        energy=energy,
        is_converged=is_converged,
        n_steps=7,
        max_force=0.004,
        max_stress=0.0001,
        volume_change=0.01,
        max_displacement=0.2,
        space_group_before="P1",
        space_group_after="P-1",
    )
    candidate = Candidate(
        ordering=ordering, multiplicity=multiplicity, electrostatic_energy=electrostatic, atoms=atoms
    )
    return candidate, relaxation


def distinct(n: int) -> list[Atoms]:
    """n different structures of one composition: one Li in another place each."""
    structures = []
    for k in range(n):
        atoms = low_symmetry()
        atoms.positions[0] += np.array([0.9, 0.5, 0.7]) * k
        structures.append(atoms)
    return structures


def ranked(pairs, temperature_k: float = 300.0) -> Ranking:
    return rank(pairs, potential="test", n_orderings=99, temperature_k=temperature_k)


def test_duplicates_are_merged_and_others_kept():
    first, second = distinct(2)
    ranking = ranked(
        [
            pair(4, -3.0001, copy_of(first, 1), multiplicity=6),
            pair(2, -3.0003, first, multiplicity=2, electrostatic=-7.0),
            pair(9, -3.0002, second, multiplicity=12),  # as low, but another structure
            pair(5, -2.9900, copy_of(first, 2), multiplicity=24),  # as alike, but 10 meV/atom higher
        ]
    )
    assert [(row.ordering, row.duplicates, row.multiplicity) for row in ranking.rows] == [
        (2, (4,), 8),
        (9, (), 12),
        (5, (), 24),
    ]
    assert [row.rank for row in ranking.rows] == [1, 2, 3]
    assert ranking.best.electrostatic_energy == -7.0
    assert [row.energy_above_best for row in ranking.rows] == pytest.approx([0, 1e-4, 0.0103])
    assert (ranking.n_orderings, ranking.n_relaxed) == (99, 4)
    assert sum(row.multiplicity for row in ranking.rows) == 44


def test_unconverged_ones_are_kept_apart():
    """Where an unfinished relaxation would end is not known, even if it passes close by another structure."""
    atoms = low_symmetry()
    ranking = ranked([pair(0, -3.0, atoms), pair(1, -3.0, atoms, is_converged=False), pair(2, -3.0, atoms)])
    assert [(row.ordering, row.duplicates) for row in ranking.rows] == [(0, (2,)), (1, ())]
    assert [row.relaxation.is_converged for row in ranking.rows] == [True, False]
    assert [line["is_converged"] for line in ranking_table(ranking)] == [True, False]


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(list(range(6))))
def test_the_order_of_candidates_does_not_matter(order):
    first, second, third = distinct(3)
    pairs = [
        pair(0, -3.0, first, electrostatic=-1.0),
        pair(1, -3.0, copy_of(first, 1), multiplicity=3, electrostatic=-1.1),
        pair(2, -3.0004, copy_of(first, 2), electrostatic=-1.2),
        pair(3, -2.9998, second, multiplicity=5, electrostatic=-1.3),
        pair(4, -2.9998, third, electrostatic=-1.4, is_converged=False),
        pair(5, -2.5, copy_of(second, 3), multiplicity=2, electrostatic=-1.5),
    ]
    expected, found = to_record(ranked(pairs)), to_record(ranked([pairs[k] for k in order]))
    assert found == expected
    assert expected["rows"][0]["duplicates"] == [0, 1]


def test_boltzmann_weights_in_closed_form():
    """Two levels: w_1 / w_0 = (g_1 / g_0) exp(-dE N / kT), with the energy of the whole cell."""
    first, second = distinct(2)
    n_atoms, gap, temperature_k = len(first), 0.002, 500.0
    ranking = ranked(
        [pair(0, -3.0, first, multiplicity=4), pair(1, -3.0 + gap, second, multiplicity=24)], temperature_k
    )
    expected = 24 / 4 * math.exp(-gap * n_atoms / (BOLTZMANN_EV_PER_K * temperature_k))
    weights = [row.boltzmann_weight for row in ranking.rows]
    assert weights[1] / weights[0] == pytest.approx(expected, rel=1e-9)
    assert sum(weights) == pytest.approx(1, abs=1e-15)


@settings(max_examples=50, deadline=None)
@given(
    energies=st.lists(st.floats(-400, -100), min_size=1, max_size=8),
    temperature_k=st.floats(1.0, 5000.0),
    shift=st.floats(-1000, 1000),
)
def test_weights_are_probabilities(energies, temperature_k, shift):
    energies, multiplicity = np.array(energies), np.arange(1, len(energies) + 1)
    weights = boltzmann_weights(energies, multiplicity, temperature_k)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights >= 0).all()
    # The zero of energy does not matter; float64 holds 1000 eV to 1e-13 eV, over kT of 1e-4 eV.
    np.testing.assert_allclose(boltzmann_weights(energies + shift, multiplicity, temperature_k), weights, atol=1e-7)
    hot = boltzmann_weights(energies, multiplicity, 1e12)
    np.testing.assert_allclose(hot, multiplicity / multiplicity.sum(), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=20),
)
def test_spearman_equals_scipy(values):
    first, second = (np.array(column, dtype=float) for column in zip(*values, strict=True))
    ours = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(ours)
        return
    assert ours == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
    # Rounding in the tenth digit makes no ranks.
    noise = np.random.default_rng(0).uniform(-1e-9, 1e-9, len(first))
    assert spearman(first + noise, second) == pytest.approx(ours, abs=1e-12)


def test_spearman_of_two_is_unknown():
    first, second = distinct(2)
    assert math.isnan(ranked([pair(0, -1.0, first), pair(1, -2.0, second)]).spearman)


def test_what_cannot_be_ranked():
    atoms = low_symmetry()
    with pytest.raises(InputError, match="no relaxed ordering"):
        ranked([])
    with pytest.raises(InputError, match="twice"):
        ranked([pair(3, -1.0, atoms), pair(3, -1.0, atoms)])
    with pytest.raises(InputError, match="different cells"):
        ranked([pair(0, -1.0, atoms), pair(1, -1.0, atoms.repeat((2, 1, 1)))])


def test_table_and_record():
    first, second = distinct(2)
    ranking = ranked([pair(0, -3.0, first), pair(1, -3.0, copy_of(first, 1)), pair(7, -2.9, second)])
    table = ranking_table(ranking)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(table[0]))
    writer.writerows(table)
    assert len(text.getvalue().splitlines()) == 2
    assert table[0]["duplicates"] == "1"
    assert table[1]["energy_above_best_ev_per_atom"] == pytest.approx(0.1)
    assert to_record(from_record(Ranking, to_record(ranking))) == to_record(ranking)


def test_structure_files(tmp_path):
    first, second = distinct(2)
    ranking = ranked([pair(12, -3.0, first), pair(7, -2.9, second)])
    paths = write_structures(ranking, tmp_path / "structures")
    assert [path.name for path in paths] == [
        "rank-001-ordering-000012.cif",
        "rank-001-ordering-000012.vasp",
        "rank-002-ordering-000007.cif",
        "rank-002-ordering-000007.vasp",
    ]
    for path, row in zip(paths, [row for row in ranking.rows for _ in range(2)], strict=True):
        again = ase.io.read(path)
        assert again.get_chemical_formula() == row.relaxation.atoms.get_chemical_formula()
        assert again.get_volume() == pytest.approx(row.relaxation.atoms.get_volume(), rel=1e-5)
        assert is_same_structure(again, row.relaxation.atoms)
    assert sorted(path.name for path in (tmp_path / "structures").iterdir()) == sorted(path.name for path in paths)


@pytest.fixture(scope="module")
def copper_gold(ordering_set):
    """Cu2Au2 on the four sites of the cubic cell, every arrangement: all six are L1_0."""
    arrangements = [
        [1 + (k in gold) for k in range(4)] for gold in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    ]
    atoms = bulk("Cu", cubic=True, a=3.9)
    return ordering_set(
        atoms.cell.array, atoms.get_scaled_positions(), {"Cu": 1.0, "Au": -1.0}, arrangements, [1, 2, 3, 4, 5, 6]
    )


def test_equivalent_orderings_relax_into_one(copper_gold, emt):
    """A list that was never reduced by symmetry: relaxation and matching find the one structure."""
    ranking = rank_orderings(copper_gold, emt, RankingSettings())
    assert len(ranking.rows) == 1
    assert ranking.best.multiplicity == 21
    assert ranking.best.boltzmann_weight == 1.0
    assert len(ranking.best.duplicates) == 5
    assert ranking.best.relaxation.space_group_after == "P4/mmm"


def test_energies_do_not_depend_on_the_supercell(ordering_set, copper_gold, emt):
    one = rank_orderings(copper_gold, emt, RankingSettings(relax_best=1))
    doubled = make_supercell(bulk("Cu", cubic=True, a=3.9), np.diag([1, 1, 2]))
    order = [1, 1, 2, 2]
    arrangement = [order[k % 4] for k in range(8)]
    many = ordering_set(
        doubled.cell.array, doubled.get_scaled_positions(), {"Cu": 1.0, "Au": -1.0}, [arrangement], [6]
    )
    two = rank_orderings(many, emt, RankingSettings())
    # Second order in the force that is left: (0.01 eV/A)^2 / (1 eV/A^2).
    assert two.best.relaxation.energy == pytest.approx(one.best.relaxation.energy, abs=1e-4)
    assert two.best.electrostatic_energy == pytest.approx(one.best.electrostatic_energy, abs=1e-10)


def test_lithium_vacancies_with_chgnet(lithium_yttrium_halide, chgnet):
    """Li3YBr6, the vacancy on each of four sites: pairs related by inversion relax into one structure each."""
    told = []
    ranking = rank_orderings(
        lithium_yttrium_halide,
        chgnet,
        RankingSettings(max_steps=200, force_tolerance_ev_per_angstrom=0.03),
        progress=lambda done, total, state="": told.append(done / total),
    )
    assert ranking.potential == "chgnet-0.3.0"
    assert sum(row.multiplicity for row in ranking.rows) == 4
    assert [row.multiplicity for row in ranking.rows if row.relaxation.is_converged] == [2, 2]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    energies = [row.relaxation.energy for row in ranking.rows]
    assert energies == sorted(energies)
    assert ranking.refused == ()


class _Refusing:
    """Copper's potential, except for cells whose first atom is gold."""

    name, weights_sha256, elements = "refusing", "", frozenset({"Cu", "Au"})

    def __init__(self, emt) -> None:
        self.emt = emt

    def evaluate(self, atoms: Atoms) -> Evaluation:
        if atoms.symbols[0] == "Au":
            raise PhysicsRefusal("gold came first", fix="nothing")
        return self.emt.evaluate(atoms)

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        structures = split_arrays(numbers, positions, cells, counts)
        return stack_evaluations([self.evaluate(atoms) for atoms in structures], cells)


def test_a_refused_ordering_is_told_and_the_rest_ranked(copper_gold, ordering_set, emt):
    ranking = rank_orderings(copper_gold, _Refusing(emt), RankingSettings())
    assert [one.ordering for one in ranking.refused] == [0, 1, 2]
    assert ranking.refused[1].multiplicity == 2
    assert ranking.refused[0].reason == "gold came first"
    assert ranking.best.multiplicity == 15
    assert ranking.n_relaxed == 3
    assert to_record(from_record(Ranking, to_record(ranking))) == to_record(ranking)
    only_gold_first = ordering_set(
        copper_gold.cell, copper_gold.fractional, {"Cu": 1.0, "Au": -1.0}, copper_gold.occupation[:2]
    )
    with pytest.raises(PhysicsRefusal, match="none of the 2 orderings"):
        rank_orderings(only_gold_first, _Refusing(emt), RankingSettings())


def test_stop_reaches_the_relaxations(copper_gold, emt):
    with pytest.raises(Interrupted):
        rank_orderings(copper_gold, emt, RankingSettings(), stop=lambda: True)


def test_same_numbers_from_a_candidate_as_from_the_room(copper_gold, emt):
    """`rank_orderings` is nothing but plan, relax, rank and assess."""
    from halion.ranking import assess, select_candidates

    wanted = RankingSettings(relax_best=2, control=0)
    chosen = select_candidates(copper_gold, wanted)
    pairs = [(one, relax(one.atoms, emt, wanted)) for one in chosen.candidates]
    by_hand = assess(rank(pairs, potential="emt", n_orderings=6, temperature_k=300.0), copper_gold, wanted)
    assert to_record(rank_orderings(copper_gold, emt, wanted)) == to_record(by_hand)

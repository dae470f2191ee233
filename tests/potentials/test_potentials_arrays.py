"""Batches given as arrays: what every potential makes of them equals its `evaluate`, structure by structure."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from potential_oracles import as_arrays

from halion.errors import InputError, PhysicsRefusal
from halion.potentials import ChgnetPotential, PotentialFromAse, load_potential
from halion.potentials import chgnet as chgnet_module


@pytest.fixture
def emt() -> PotentialFromAse:
    return PotentialFromAse(EMT(), name="emt", elements=["Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt"])


def assert_arrays_equal_evaluations(potential, structures, *, per_atom):
    """Each structure's energy, forces and virial (stress times volume) at its place in the batch."""
    result = potential.evaluate_arrays(*as_arrays(structures))
    assert result.forces.shape == (sum(map(len, structures)), 3)
    ends = np.cumsum([len(atoms) for atoms in structures])
    for k, atoms in enumerate(structures):
        alone = potential.evaluate(atoms)
        assert result.energies[k] == pytest.approx(alone.energy, abs=per_atom * len(atoms))
        np.testing.assert_allclose(result.forces[ends[k] - len(atoms) : ends[k]], alone.forces, atol=100 * per_atom)
        np.testing.assert_allclose(
            result.virials[k] / atoms.get_volume(), alone.stress, atol=2 * per_atom, rtol=1e-12
        )


def test_chgnet(chgnet, structures):
    # Single precision: batches of different size differ by rounding, about 1e-6 eV per atom.
    assert_arrays_equal_evaluations(chgnet, list(structures.values()), per_atom=2e-6)


def test_an_ase_calculator(emt):
    crystals = [bulk("Cu", cubic=True).repeat((1, 1, 2)), bulk("Al"), bulk("Au", cubic=True)]
    for seed, atoms in enumerate(crystals):
        atoms.rattle(0.1, seed=seed)
    assert_arrays_equal_evaluations(emt, crystals, per_atom=1e-13)  # the same arithmetic, in double precision


def test_a_left_handed_cell_has_a_positive_volume(emt):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]], scale_atoms=False)
    assert np.linalg.det(atoms.cell.array) < 0
    assert_arrays_equal_evaluations(emt, [atoms], per_atom=1e-13)


def test_an_empty_batch(chgnet, emt):
    for potential in (chgnet, emt):
        result = potential.evaluate_arrays(
            np.empty(0, int), np.empty((0, 3)), np.empty((0, 3, 3)), np.empty(0, int)
        )
        assert (result.energies.shape, result.forces.shape, result.virials.shape) == ((0,), (0, 3), (0, 3, 3))


@pytest.mark.parametrize("wrong", range(4))
def test_shapes_that_do_not_belong_together_are_refused(chgnet, emt, structures, wrong):
    arrays = list(as_arrays(list(structures.values())))
    arrays[wrong] = arrays[wrong][:-1]
    for potential in (chgnet, emt):
        with pytest.raises(InputError, match="no batch of"):
            potential.evaluate_arrays(*arrays)


def test_threads_are_those_asked_for(structures):
    """The compiled engine has threads of its own, and the same bits with any number; torch's are the process's."""
    before = torch.get_num_threads()
    try:
        one, two = (load_potential("chgnet", threads=n) for n in (1, 2))
        assert ["1 thread" in one.engine, "2 thread" in two.engine] == [True, True]
        assert torch.get_num_threads() == before
        arrays = as_arrays(list(structures.values()))
        np.testing.assert_array_equal(one.evaluate_arrays(*arrays).forces, two.evaluate_arrays(*arrays).forces)
        load_potential("chgnet-torch", threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["chgnet", "chgnet-torch", "chgnet-reference"])
def test_no_threads_are_refused(name):
    with pytest.raises(InputError, match="0 threads"):
        load_potential(name, threads=0)


def salt(**changes) -> Atoms:
    return Atoms(
        **{"symbols": "LiCl", "positions": [(0, 0, 0), (2.5, 0, 0)], "cell": [5] * 3, "pbc": True} | changes
    )


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (salt(symbols="LiPo"), InputError, "not trained for Po"),
        (salt(symbols="XCl"), InputError, "not trained for X"),
        (salt(positions=[(0, 0, 0), (np.inf, 0, 0)]), PhysicsRefusal, "not a finite number"),
        (salt(cell=[1.2, 1.2, 1.2]), PhysicsRefusal, "collapsed to 0.864"),
        (salt(cell=[5, 5, 0]), PhysicsRefusal, "collapsed to 0 "),
        (salt(positions=[(1, 1, 1), (1, 1, 1)]), PhysicsRefusal, "one point"),
        (salt(cell=[30, 30, 30], positions=[(1, 1, 1), (15, 1, 1)]), PhysicsRefusal, r"2 atom\(s\).*\(Li0, Cl1\)"),
        (Atoms(cell=[5, 5, 5], pbc=True), InputError, "holds no atoms"),
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_one_bad_structure_refuses_the_batch_and_is_named(chgnet, bad, error, text, place):
    structures = [salt(), salt(symbols="NaBr")]
    structures.insert(place, bad)
    with pytest.raises(error, match=text) as caught:
        chgnet.evaluate_arrays(*as_arrays(structures))
    if error is PhysicsRefusal:
        assert f"structure {place} of 3" in str(caught.value)


def test_atoms_at_rest_are_not_taken_for_isolated_ones(chgnet):
    """Rock salt: every force is zero by symmetry, and every atom has neighbours."""
    atoms = bulk("LiCl", "rocksalt", a=5.14, cubic=True)
    result = chgnet.evaluate_arrays(*as_arrays([atoms, atoms]))
    np.testing.assert_allclose(result.forces, 0, atol=1e-5)


def test_an_isolated_atom_among_bonded_ones_is_named(chgnet):
    atoms = salt(cell=[40, 40, 40]) + Atoms("Br", [(20, 20, 20)])
    with pytest.raises(PhysicsRefusal, match=r"1 atom\(s\) have no neighbour within 6 Angstrom \(Br2\)"):
        chgnet.evaluate_arrays(*as_arrays([salt(), atoms, salt()]))


def test_batches_are_cut_between_structures(chgnet, structures, monkeypatch):
    """At most so many atoms per call of the engine, unless one structure has more; nothing lost or moved."""
    many = [*structures.values(), structures["sheared"].repeat((2, 2, 1)), *structures.values()]
    whole = chgnet.evaluate_arrays(*as_arrays(many))
    sizes = []

    class Counting:
        def evaluate(self, numbers, positions, cells, counts):
            sizes.append(list(counts))
            return chgnet._engine.evaluate(numbers, positions, cells, counts)

    counting = ChgnetPotential()
    counting._engine = Counting()
    monkeypatch.setattr(chgnet_module, "_ATOMS_PER_CALL", 21)
    parts = counting.evaluate_arrays(*as_arrays(many))
    assert [count for part in sizes for count in part] == [len(atoms) for atoms in many]
    assert all(sum(part) <= 21 or len(part) == 1 for part in sizes)
    assert 3 < len(sizes) < len(many)
    n_atoms = np.array([len(atoms) for atoms in many])
    np.testing.assert_allclose(parts.energies / n_atoms, whole.energies / n_atoms, atol=2e-6)
    np.testing.assert_allclose(parts.forces, whole.forces, atol=2e-5)
    np.testing.assert_allclose(parts.virials, whole.virials, atol=1e-3)

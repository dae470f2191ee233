"""Batches given as arrays: what every potential makes of them equals its `evaluate`, structure by structure."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT

from halion.errors import InputError
from halion.potentials import PotentialFromAse, load_potential


def as_arrays(structures):
    return (
        np.concatenate([atoms.numbers for atoms in structures]),
        np.concatenate([atoms.positions for atoms in structures]),
        np.array([atoms.cell.array for atoms in structures]),
        np.array([len(atoms) for atoms in structures]),
    )


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


def test_threads_are_those_asked_for():
    before = torch.get_num_threads()
    try:
        load_potential("chgnet", threads=2)
        assert torch.get_num_threads() == 2
        with pytest.raises(InputError, match="0 threads"):
            load_potential("chgnet", threads=0)
    finally:
        torch.set_num_threads(before)

"""The last hidden layer of CHGNet's readout: against chgnet's own layers, and as what the energy is linear in."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from chgnet.model import CHGNet
from potential_oracles import as_arrays
from pymatgen.core import Structure

from halion.errors import InputError, PhysicsRefusal
from halion.potentials import ChgnetPotential, LastLayer, PotentialFromAse
from halion.potentials.chgnet_model import load_model

# Single precision: rounding of 1e-7 through four layers of sums over some hundred neighbours; measured 1e-6.
SINGLE = 1e-5


@pytest.fixture(scope="module")
def exact() -> ChgnetPotential:
    return ChgnetPotential(backend="float64")


def chgnet_layers(model: CHGNet, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """(mean over the atoms of what enters the readout, input of its last linear layer), by chgnet itself."""
    caught = []
    hook = model.mlp.layers[-1].register_forward_pre_hook(lambda _, given: caught.append(given[0].detach().numpy()))
    try:
        structure = Structure(atoms.cell.array, atoms.numbers, atoms.positions, coords_are_cartesian=True)
        prediction = model.predict_structure(structure, task="e", return_crystal_feas=True)
    finally:
        hook.remove()
    return prediction["crystal_fea"], caught[0]


def test_equals_the_input_of_chgnets_last_layer(exact, structures, hot_frames):
    model = load_model()
    for atoms in [*structures.values(), *hot_frames]:
        _, theirs = chgnet_layers(model, atoms)
        ours = exact.last_layer_features(*as_arrays([atoms]))
        assert ours.shape == (len(atoms), 64)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=SINGLE * np.abs(theirs).max())


@pytest.mark.parametrize("symbol", ["Li", "Y", "Cl"])
def test_with_one_atom_chgnets_crystal_features_lead_to_them(exact, symbol):
    """chgnet returns the mean over the atoms of what enters its readout: of one atom, that itself."""
    atoms = bulk(symbol, "bcc", a=3.9)
    crystal_features, _ = chgnet_layers(load_model(), atoms)
    with torch.no_grad():
        theirs = load_model().mlp.layers[:-1](torch.tensor(crystal_features)).numpy()
    ours = exact.last_layer_features(*as_arrays([atoms]))
    np.testing.assert_allclose(ours[0], theirs, rtol=0, atol=SINGLE * np.abs(theirs).max())


def test_the_energy_is_linear_in_them(exact, hot_frames, structures):
    frames = [*hot_frames, *structures.values()]
    numbers, positions, cells, counts = as_arrays(frames)
    features = exact.last_layer_features(numbers, positions, cells, counts)
    model = load_model()
    last = model.mlp.layers[-1]
    weight, bias = (one.detach().double().numpy() for one in (last.weight[0], last.bias))
    references = model.composition_model.fc.weight[0].detach().double().numpy()[numbers - 1]
    of_atoms = features @ weight + bias + references
    totals = np.add.reduceat(of_atoms, np.cumsum(counts) - counts)
    energies = exact.evaluate_arrays(numbers, positions, cells, counts).energies
    np.testing.assert_allclose(totals, energies, rtol=1e-12)


def test_a_batch_gives_what_each_structure_gives(exact, hot_frames, structures):
    frames = [*hot_frames, structures["sheared"]]
    together = exact.last_layer_features(*as_arrays(frames))
    apart = np.concatenate([exact.last_layer_features(*as_arrays([one])) for one in frames])
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-11)


@pytest.mark.parametrize("backend", ["fast", "torch"])
def test_every_backend_gives_them(exact, hot_frames, backend):
    single = ChgnetPotential(backend=backend).last_layer_features(*as_arrays(hot_frames))
    double = exact.last_layer_features(*as_arrays(hot_frames))
    np.testing.assert_allclose(single, double, rtol=0, atol=SINGLE * np.abs(double).max())


def test_translation_and_wrapping_leave_them(exact, hot_frames):
    atoms = hot_frames[1]
    moved = atoms.copy()
    moved.positions += [1.3, -20.1, 7.7]
    moved.wrap()
    before, after = (exact.last_layer_features(*as_arrays([one])) for one in (atoms, moved))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)


def test_only_some_potentials_have_them(chgnet):
    assert isinstance(chgnet, LastLayer)
    assert not isinstance(PotentialFromAse(EMT(), name="emt", elements=["Cu"]), LastLayer)


def test_refusals(exact):
    with pytest.raises(InputError, match="atoms"):
        exact.last_layer_features(np.zeros(0, int), np.zeros((0, 3)), np.eye(3)[None], np.zeros(1, int))
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.positions[1] = np.nan
    with pytest.raises(PhysicsRefusal, match="not a finite number"):
        exact.last_layer_features(*as_arrays([atoms]))
    atoms.positions[:] = 0
    with pytest.raises(PhysicsRefusal, match="two atoms"):
        exact.last_layer_features(*as_arrays([atoms]))
    with pytest.raises(InputError, match="Rn"):
        exact.last_layer_features(*as_arrays([bulk("Rn", "fcc", a=6.0)]))

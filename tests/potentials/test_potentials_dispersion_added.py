"""Dispersion beside a potential: its name, sums, dynamics, and where it would count twice."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.optimize import FIRE
from dispersion_oracles import cases

from halion.errors import InputError
from halion.potentials import EngineResult, LastLayer, Potential, PotentialCalculator, load_potential
from halion.potentials.chgnet_model import load_model
from halion.potentials.dispersion import WithDispersion, add_dispersion, mentions_dispersion
from halion.potentials.dispersion_engine import CompiledDispersion
from halion.potentials.from_ase import join_arrays
from halion.potentials.shipped import shipped_path

D3 = CompiledDispersion()


@pytest.fixture(scope="module")
def with_d3() -> Potential:
    return load_potential("halion-LYCB-600K+D3", threads=1)


@pytest.fixture(scope="module")
def without() -> Potential:
    return load_potential("halion-LYCB-600K", threads=1)


def test_the_name_is_carried(with_d3, without):
    assert with_d3.name == f"{without.name}+d3" == "halion-LYCB-600K+d3"
    assert len(with_d3.weights_sha256) == 64 and with_d3.weights_sha256 != without.weights_sha256
    assert with_d3.weights_sha256 == load_potential("halion-lycb-600k+d3").weights_sha256
    assert with_d3.elements == without.elements


def test_energy_forces_and_stress_are_added(with_d3, without):
    structures = list(cases().values())[:4]
    arrays = join_arrays(structures)
    plain, added, whole = without.evaluate_arrays(*arrays), D3.evaluate(*arrays), with_d3.evaluate_arrays(*arrays)
    for key in ("energies", "forces", "virials"):
        np.testing.assert_array_equal(getattr(whole, key), getattr(plain, key) + getattr(added, key))
    for atoms, one, virial in zip(structures, with_d3.evaluate_batch(structures), whole.virials):
        np.testing.assert_allclose(one.stress, (virial + virial.T) / 2 / atoms.get_volume(), atol=1e-12)
        single = with_d3.evaluate(atoms)  # the network of a batch rounds otherwise, in single precision
        assert single.energy == pytest.approx(one.energy, abs=1e-5)
        atoms.calc = PotentialCalculator(with_d3)
        assert atoms.get_potential_energy() == pytest.approx(single.energy, abs=1e-9)


def test_dispersion_pulls(with_d3, without):
    """Tension is positive: attraction adds to it."""
    atoms = cases()["Li3YBr6"]
    assert np.trace(with_d3.evaluate(atoms).stress - without.evaluate(atoms).stress) > 0


def test_features_are_those_of_the_network(with_d3, without):
    arrays = join_arrays([cases()["Li3YCl6"]])
    assert isinstance(with_d3, LastLayer)
    np.testing.assert_array_equal(with_d3.last_layer_features(*arrays), without.last_layer_features(*arrays))
    assert not isinstance(add_dispersion(_Springs(), D3), LastLayer)


@pytest.mark.parametrize("name", ["chgnet+d3+d3", "chgnet+d3-reference+d3"])
def test_twice_is_refused(name, monkeypatch):
    monkeypatch.setattr("halion.potentials.load._DISPERSION", {"+d3": lambda: D3, "+d3-reference": lambda: D3})
    with pytest.raises(InputError, match="count twice"):
        load_potential(name)


@pytest.mark.parametrize(
    ("labels", "is_refused"),
    [
        ("GPAW PBE+D3(BJ) PW 350 eV k 0.65 1/A smearing 0.05 eV", True),
        ("potential chgnet-0.3.0+d3 (0123456789ab)", True),
        ("GPAW PBE PW 350 eV k 0.65 1/A smearing 0.05 eV", False),
    ],
)
def test_a_checkpoint_that_learned_dispersion_gets_none(labels, is_refused, tmp_path):
    """A whole checkpoint as `halion finetune` writes it; CHGNet's own calculator reads the same file."""
    saved = torch.load(shipped_path("halion-lycb-600k"), weights_only=True)
    saved["halion"]["labels"] = labels
    path = tmp_path / "model.pth.tar"
    torch.save(saved, path)
    load_model(path)
    for name in (f"{path}+d3", f"chgnet-torch:{path}+d3"):
        if is_refused:
            with pytest.raises(InputError, match="learned from its labels"):
                load_potential(name)
        else:
            assert load_potential(name).name.endswith("+d3")
    assert mentions_dispersion(labels) is is_refused


def test_other_functionals_are_refused():
    other = _Springs()
    other.name = "m3gnet-matpes-r2scan"
    with pytest.raises(InputError, match="r2SCAN"):
        add_dispersion(other, D3)


class _Springs:
    """Every atom on a spring to its place: a potential whose energy is conserved to double precision."""

    name, weights_sha256, elements = "springs", "", frozenset({"Li", "Y", "Br"})
    places = cases()["Li3YBr6"].positions

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        """1 eV/Angstrom^2."""
        off = positions - self.places
        return EngineResult(energies=np.array([0.5 * (off**2).sum()]), forces=-off, virials=np.zeros((1, 3, 3)))


def _drift(potential: Potential, atoms: Atoms, n_steps: int) -> float:
    """Change of the total energy over velocity Verlet of 1 fs, eV per atom: means of the first and last tenth."""
    numbers, positions, cells, counts = join_arrays([atoms])
    masses = atoms.get_masses()[:, None]
    rng = np.random.default_rng(0)
    velocities = rng.normal(size=positions.shape) * np.sqrt(units.kB * 300 / masses)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    forces, energies = potential.evaluate_arrays(numbers, positions, cells, counts).forces, []
    for _ in range(n_steps):
        velocities += 0.5 * units.fs * forces / masses
        positions = positions + units.fs * velocities
        found = potential.evaluate_arrays(numbers, positions, cells, counts)
        forces = found.forces
        velocities += 0.5 * units.fs * forces / masses
        energies.append(found.energies[0] + 0.5 * (masses * velocities**2).sum())
    tenth = n_steps // 10
    return float(np.mean(energies[-tenth:]) - np.mean(energies[:tenth])) / len(atoms)


def test_two_picoseconds_on_springs_conserve_energy():
    """Everything in double precision: 1 fs itself leaves 3e-7 eV per atom, with dispersion or without."""
    atoms = cases()["Li3YBr6"]
    assert abs(_drift(_Springs(), atoms, 2000)) < 2e-6
    assert abs(_drift(WithDispersion(_Springs(), D3), atoms, 2000)) < 2e-6


def test_two_picoseconds_with_a_network_conserve_energy_as_without(with_d3, without):
    """From near rest. Both drift by 2 to 4e-5 eV per atom: the network's edges, not dispersion's."""
    atoms = cases()["Li3YBr6"]
    atoms.calc = PotentialCalculator(without)
    FIRE(atoms, logfile=None).run(fmax=0.05, steps=100)
    atoms.calc = None
    for potential in (without, with_d3):
        assert abs(_drift(potential, atoms, 2000)) < 1.5e-4

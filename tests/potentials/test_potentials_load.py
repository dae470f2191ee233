"""Potentials by name, the bridge to and from ASE, and what is refused."""

import importlib.util

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.test import gradient_test
from chgnet.model import CHGNet

from halion.errors import HalionError, InputError, MissingDependency, PhysicsRefusal
from halion.potentials import (
    KNOWN_POTENTIALS,
    ChgnetPotential,
    Evaluation,
    PotentialCalculator,
    PotentialFromAse,
    ase_calculator,
    load_potential,
)
from halion.potentials.from_ase import join_arrays


@pytest.fixture
def emt() -> PotentialFromAse:
    return PotentialFromAse(EMT(), name="emt", elements=["Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt"])


@pytest.mark.parametrize("name", ["chgnet", "CHGNet", "chgnet-0.3.0"])
def test_chgnet_by_name(name, chgnet, structures):
    potential = load_potential(name)
    assert (potential.name, potential.weights_sha256) == ("chgnet-0.3.0", chgnet.weights_sha256)
    assert len(potential.weights_sha256) == 64
    assert {"Li", "Y", "Cl", "Br"} <= potential.elements


@pytest.mark.parametrize("name", ["hot bromide", "sheared"])
def test_reference_route_gives_the_same(chgnet, structures, name):
    """chgnet's own ASE calculator: energy in eV, forces, and stress with ASE's sign and unit."""
    reference = load_potential("chgnet-reference")
    one, other = chgnet.evaluate(structures[name]), reference.evaluate(structures[name])
    assert reference.weights_sha256 == chgnet.weights_sha256
    assert one.energy == pytest.approx(other.energy, abs=2e-5)
    np.testing.assert_allclose(one.forces, other.forces, atol=1.5e-4)
    # chgnet's stress is not symmetrised, and its 160.21766208 GPa is not the exact constant: 2e-8 relative.
    np.testing.assert_allclose(one.stress, other.stress, atol=1e-5)


@pytest.mark.parametrize(("name", "backend"), [("chgnet-torch", "torch"), ("chgnet-float64", "float64")])
def test_backends_by_name(name, backend, chgnet, structures):
    potential = load_potential(name, threads=1)
    assert (potential.name, potential.weights_sha256) == (f"chgnet-0.3.0-{backend}", chgnet.weights_sha256)
    one, other = potential.evaluate(structures["sheared"]), chgnet.evaluate(structures["sheared"])
    assert one.energy == pytest.approx(other.energy, abs=1e-5)
    np.testing.assert_allclose(one.forces, other.forces, atol=2e-5)
    np.testing.assert_allclose(one.stress, other.stress, atol=1e-6)


@pytest.mark.parametrize("kind", ["", "chgnet:", "chgnet-torch:", "chgnet-float64:", "chgnet-reference:"])
def test_every_backend_takes_a_checkpoint(kind, chgnet, structures, tmp_path):
    """One that differs from the pretrained by 0.5 eV per atom, its last bias."""
    saved = {"model": CHGNet.load(verbose=False, use_device="cpu").as_dict()}
    saved["model"]["state_dict"]["mlp.layers.7.bias"] = saved["model"]["state_dict"]["mlp.layers.7.bias"] + 0.5
    path = tmp_path / "Tuned.pth.tar"
    torch.save(saved, path)
    potential, atoms = load_potential(f"{kind}{path}"), structures["mixed halide"]
    assert "Tuned" in potential.name
    assert potential.weights_sha256 != chgnet.weights_sha256
    difference = potential.evaluate(atoms).energy - chgnet.evaluate(atoms).energy
    assert difference == pytest.approx(0.5 * len(atoms), abs=2e-5)


@pytest.mark.parametrize("name", ["chgnet-0.4", "chgnt", "7net0", "mace"])
def test_unknown_name(name):
    with pytest.raises(InputError) as caught:
        load_potential(name)
    assert any(known in str(caught.value) for known in KNOWN_POTENTIALS)


def test_the_nearest_name_is_given():
    with pytest.raises(InputError, match="did you mean '7net-l3i5'"):
        load_potential("7net-l3i6")


@pytest.mark.parametrize(
    "name",
    [
        "runs/best.pth",
        "best.pth.tar",
        "chgnet:best.pth",
        "chgnet-reference:b",
        "sevenn:nowhere.pth",
        "matgl:nowhere",
    ],
)
def test_missing_checkpoint(name):
    with pytest.raises(InputError, match="no such checkpoint"):
        load_potential(name)


@pytest.mark.parametrize(("name", "extra"), [("7net-0", "sevenn"), ("7net-l3i5", "sevenn"), ("m3gnet", "matgl")])
def test_missing_package_names_its_extra(name, extra):
    if importlib.util.find_spec(extra):
        pytest.skip(f"{extra} is installed here")
    with pytest.raises(MissingDependency) as caught:
        load_potential(name)
    assert caught.value.fix == f'pip install "halion[{extra}]"'


@pytest.mark.parametrize(
    ("name", "package"), [("7net-0", "sevenn"), ("7net-l3i5", "sevenn"), ("7net-mf-0", "sevenn")]
)
def test_second_opinions(name, package, structures):
    """Where the extra is installed: forces and stress are derivatives of the energy."""
    pytest.importorskip(package)
    potential, atoms = load_potential(name), structures["sheared"]
    assert {"Li", "Y", "Cl", "Br"} <= potential.elements
    slope = stress_by_differences(potential, atoms, 1, 2)
    assert slope == pytest.approx(potential.evaluate(atoms).stress[1, 2], abs=5e-4)


def stress_by_differences(potential, atoms, i: int, j: int, h: float = 0.01) -> float:
    """Slope of the energy along a symmetric strain, per volume, eV/Angstrom^3."""
    energies = []
    for sign in (1, -1):
        strained, strain = atoms.copy(), np.eye(3)
        strain[i, j] += sign * h / 2
        strain[j, i] += sign * h / 2
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append(potential.evaluate(strained).energy)
    return (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()


def test_sevennet_by_path_and_level_of_theory(structures):
    """A checkpoint of several levels of theory, as MF-ompa is: by path, with the one that is wanted."""
    pytest.importorskip("sevenn")
    from sevenn.util import pretrained_name_to_path

    path, atoms = pretrained_name_to_path("7net-mf-0"), structures["sheared"]
    by_name, by_path = load_potential("7net-mf-0"), load_potential(f"sevenn:{path}@PBE")
    assert by_path.weights_sha256 == by_name.weights_sha256
    assert by_path.evaluate(atoms).energy == by_name.evaluate(atoms).energy
    other = load_potential(f"sevenn:{path}@R2SCAN")
    assert abs(other.evaluate(atoms).energy - by_name.evaluate(atoms).energy) > 0.01 * len(atoms)
    for wrong in (f"sevenn:{path}", f"sevenn:{path}@nonsense"):
        with pytest.raises(InputError, match="sevenn cannot use this model"):
            load_potential(wrong)


@pytest.mark.parametrize("name", ["7net-0", "7net-l3i5", "7net-mf-0"])
def test_sevennet_takes_batches(name, structures):
    pytest.importorskip("sevenn")
    potential, two = load_potential(name), [structures["sheared"], structures["mixed halide"]]
    together = potential.evaluate_arrays(*join_arrays(two))
    start = 0
    for k, atoms in enumerate(two):
        alone = potential.evaluate(atoms)
        assert together.energies[k] == alone.energy
        np.testing.assert_array_equal(together.forces[start : start + len(atoms)], alone.forces)
        np.testing.assert_allclose(together.virials[k], alone.stress * atoms.get_volume(), atol=1e-12)
        start += len(atoms)


def test_m3gnet_by_path(structures, tmp_path):
    """Weights nobody trained, in the form that matgl stores: what counts is that its units and signs are ours."""
    pytest.importorskip("matgl")
    from matgl.apps.pes import Potential
    from matgl.models import M3GNet

    torch.manual_seed(0)
    model = M3GNet(element_types=("Li", "Y", "Cl", "Br"), is_intensive=False, units=16, nblocks=1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2.0)  # forces far above the noise of single precision
    Potential(model=model).save(tmp_path / "model")
    potential, atoms = load_potential(f"matgl:{tmp_path / 'model'}"), structures["sheared"]
    assert potential.elements == {"Li", "Y", "Cl", "Br"}
    result = potential.evaluate(atoms)
    for i, j in ((0, 0), (1, 2)):
        numerical = stress_by_differences(potential, atoms, i, j)
        assert numerical == pytest.approx(result.stress[i, j], rel=0.01, abs=5e-6)


def test_m3gnet_without_weights_says_where_they_are(monkeypatch):
    pytest.importorskip("matgl")
    import matgl

    def nowhere(name):
        raise ValueError(f"Bad serialized model or bad model name {name}")

    monkeypatch.setattr(matgl, "load_model", nowhere)
    with pytest.raises(MissingDependency, match="neither on this machine nor within reach") as caught:
        load_potential("m3gnet")
    assert "hf download materialyze/M3GNet-PES-MatPES-PBE-2025.2" in caught.value.fix
    with pytest.raises(InputError, match="matgl cannot use this model"):
        load_potential("matgl:.")


def test_cuda_without_a_device():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(MissingDependency, match="no CUDA device"):
        load_potential("chgnet", device="cuda")


@pytest.mark.gpu
def test_cuda_equals_cpu(chgnet, structures):
    on_gpu = load_potential("chgnet", device="cuda")
    for atoms in structures.values():
        one, other = on_gpu.evaluate(atoms), chgnet.evaluate(atoms)
        assert one.energy == pytest.approx(other.energy, abs=2e-5)
        np.testing.assert_allclose(one.forces, other.forces, atol=3e-4)
        np.testing.assert_allclose(one.stress, other.stress, atol=1e-5)


def test_ase_calculator_is_the_potential(chgnet, structures):
    atoms = structures["sheared"].copy()
    atoms.calc = ase_calculator("chgnet", device="cpu", threads=1)
    result = chgnet.evaluate(atoms)
    assert atoms.get_potential_energy() == result.energy
    np.testing.assert_array_equal(atoms.get_forces(), result.forces)
    np.testing.assert_array_equal(atoms.get_stress(voigt=False), result.stress)
    voigt = atoms.get_stress()
    assert voigt[3:] == pytest.approx([result.stress[1, 2], result.stress[0, 2], result.stress[0, 1]])


def test_round_trip_through_ase(emt):
    """An ASE calculator as a potential as an ASE calculator: the same numbers, and forces that are gradients."""
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=0)
    direct = atoms.copy()
    direct.calc = EMT()
    atoms.calc = PotentialCalculator(emt)
    assert atoms.get_potential_energy() == pytest.approx(direct.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(atoms.get_stress(), direct.get_stress(), atol=1e-12)
    analytic, numerical = gradient_test(atoms)
    np.testing.assert_allclose(analytic, numerical, atol=1e-5)


def test_evaluations_of_ase_calculators_are_not_remembered(emt):
    """ASE would give the last structure's results again: neither the cost nor the bits may depend on that."""
    calls = []
    calculate = emt._calculator.calculate
    emt._calculator.calculate = lambda *args, **kwargs: (calls.append(1), calculate(*args, **kwargs))
    atoms = bulk("Cu")
    first = emt.evaluate(atoms)
    for result in emt.evaluate_batch([atoms, atoms]):
        assert result.energy == first.energy
    assert len(calls) >= 3


def test_elements_unknown_to_a_calculator_are_refused(emt):
    with pytest.raises(InputError, match="emt was not trained for Li"):
        emt.evaluate(bulk("Li"))


def test_evaluations_hold_their_own_arrays(emt):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    result = emt.evaluate(atoms)
    kept = Evaluation(energy=result.energy, forces=result.forces.copy(), stress=result.stress.copy())
    atoms.rattle(0.1, seed=1)
    emt.evaluate(atoms)
    np.testing.assert_array_equal(result.forces, kept.forces)


def salt(**changes) -> Atoms:
    return Atoms(
        **{"symbols": "LiCl", "positions": [(0, 0, 0), (2.5, 0, 0)], "cell": [5, 5, 5], "pbc": True} | changes
    )


@pytest.mark.parametrize(
    ("atoms", "error", "text"),
    [
        (salt(symbols="LiPo"), InputError, "not trained for Po"),
        (salt(symbols="LiCm"), InputError, "not trained for Cm"),
        (salt(pbc=False), InputError, "periodic in three"),
        (salt(pbc=(True, True, False)), InputError, "periodic in three"),
        (salt(cell=None), InputError, "periodic in three"),
        (Atoms(cell=[5, 5, 5], pbc=True), InputError, "no atoms"),
        (salt(positions=[(0, 0, 0), (np.nan, 0, 0)]), PhysicsRefusal, "not a finite number"),
        (salt(cell=[1.2, 1.2, 1.2]), PhysicsRefusal, "collapsed"),
        (salt(cell=[40, 40, 40]) * (1, 1, 1) + Atoms("Br", [(20, 20, 20)]), PhysicsRefusal, r"\(Br2\)"),
        (Atoms("Ar", cell=[20, 20, 20], pbc=True), PhysicsRefusal, "no neighbour"),
        (salt(positions=[(1, 1, 1), (1, 1, 1)]), PhysicsRefusal, "one point"),
    ],
)
def test_refused_structures(chgnet, atoms, error, text):
    with pytest.raises(error, match=text) as caught:
        chgnet.evaluate(atoms)
    assert isinstance(caught.value, HalionError)
    with pytest.raises(error, match=text):
        chgnet.evaluate_batch([salt(), atoms])


def test_a_refusal_leaves_no_trace(chgnet, tmp_path, monkeypatch):
    """chgnet's converter writes a CIF into the working folder when it fails."""
    monkeypatch.chdir(tmp_path)
    before = ChgnetPotential().evaluate(salt())
    with pytest.raises(PhysicsRefusal):
        chgnet.evaluate(salt(positions=[(1, 1, 1), (1, 1, 1)]))
    assert list(tmp_path.iterdir()) == []
    assert chgnet.evaluate(salt()).energy == before.energy

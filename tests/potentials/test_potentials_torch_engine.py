"""The torch engine in double precision against chgnet in double precision, against its own derivatives, symmetry
and continuity; and in single precision against itself in double precision."""

import numpy as np
import pytest
import torch
from ase import Atoms
from chgnet.model import CHGNet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from potential_oracles import LIMNO2, as_arrays, chgnet_in_double_precision
from scipy.spatial.transform import Rotation

from halion.potentials import EngineResult, torch_engine
from halion.potentials.chgnet_model import load_model
from halion.potentials.folded import fold
from halion.potentials.torch_engine import TorchEngine
from halion.units import pressure_to_gpa

NAMES = ["hot bromide", "mixed halide", "sheared", "two atoms that see their own images"]
GIVEN = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Double precision, chains of some thousand operations on numbers of the size of ten: 1e-12; with a margin.
EXACT = 1e-10


@pytest.fixture(scope="module")
def oracle(weights) -> TorchEngine:
    return TorchEngine(weights, dtype=torch.float64)


@pytest.fixture(scope="module")
def single(weights) -> TorchEngine:
    return TorchEngine(weights)


def evaluated(engine: TorchEngine, *structures: Atoms) -> EngineResult:
    return engine.evaluate(*as_arrays(list(structures)))


def assert_equal(one: EngineResult, other: EngineResult, tolerance: float = EXACT) -> None:
    np.testing.assert_allclose(one.energies, other.energies, rtol=tolerance, atol=tolerance)
    for quantity in ("forces", "virials"):
        ours, theirs = getattr(one, quantity), getattr(other, quantity)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("name", NAMES)
def test_equals_chgnet_in_double_precision(oracle, in_double_precision, structures, name):
    atoms = structures[name]
    assert_equal(evaluated(oracle, atoms), in_double_precision(atoms))


@pytest.mark.parametrize("k", range(3))
def test_hot_frames_equal_chgnet_in_double_precision(oracle, in_double_precision, hot_frames, k):
    result = evaluated(oracle, hot_frames[k])
    assert np.abs(result.forces).max() > 1  # hot indeed: eV/Angstrom
    assert_equal(result, in_double_precision(hot_frames[k]))


def test_other_weights_equal_chgnet_in_double_precision(structures):
    """Every weight changed by a tenth, as fine-tuning may: no block is used for another by mistake."""
    model = CHGNet.from_dict(load_model().as_dict())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 + 0.1 * torch.randn(parameter.shape, generator=generator)
    engine = TorchEngine(fold(model), dtype=torch.float64)
    for name in ("mixed halide", "two atoms that see their own images"):
        result = evaluated(engine, structures[name])
        assert_equal(result, chgnet_in_double_precision(model, structures[name]))


def test_the_layers_left_out_feed_nothing(in_double_precision, structures):
    """chgnet's own energy, forces and stress without its third AngleUpdate and its magnetic moments."""
    model = CHGNet.from_dict(load_model().as_dict())
    with torch.no_grad():
        for parameter in (*model.angle_layers[2].parameters(), *model.site_wise.parameters()):
            parameter.normal_()
    atoms = structures["mixed halide"]
    assert_equal(chgnet_in_double_precision(model, atoms), in_double_precision(atoms), tolerance=1e-14)


def test_published_values_of_limno2(oracle, single):
    """tests/test_model.py of chgnet 0.4.2: mp-18767 at the cell and coordinates of the Materials Project."""
    forces_z = [0.0238136, -0.0238130, 0.0925871, -0.0925877, -0.0024345, -0.0130699, 0.0130703, 0.0024345]
    for engine in (oracle, single):
        result = evaluated(engine, LIMNO2)
        assert result.energies[0] / 8 == pytest.approx(-7.36769, abs=1e-5)
        # Coordinates to six digits, 6e-6 Angstrom, times Mn-O force constants of 20 eV/Angstrom^2.
        np.testing.assert_allclose(result.forces[:, 2], forces_z, atol=1.5e-4)
        np.testing.assert_allclose(result.forces[:, :2], 0, atol=2e-5)
        diagonal = [pressure_to_gpa(value / LIMNO2.get_volume()) for value in np.diag(result.virials[0])]
        np.testing.assert_allclose(diagonal, [-0.30366, 0.22305, -0.10736], atol=5e-4)


@pytest.mark.parametrize("name", NAMES)
def test_every_force_is_minus_the_gradient(oracle, structures, name):
    """Central differences with h = 1e-4 Angstrom: truncation h^2 f''/6 ~ 1e-6, rounding 1e-13 eV / h ~ 1e-9."""
    atoms, h = structures[name], 1e-4
    forces = evaluated(oracle, atoms).forces
    assert np.abs(forces).max() > 0.2  # otherwise nothing is tested
    moved = []
    for k in range(3 * len(atoms)):
        for sign in (1, -1):
            moved.append(atoms.copy())
            moved[-1].positions.flat[k] += sign * h
    energies = evaluated(oracle, *moved).energies.reshape(-1, 2)
    np.testing.assert_allclose((energies[:, 1] - energies[:, 0]) / (2 * h), forces.ravel(), atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_virial_is_the_strain_derivative(oracle, structures, name):
    """All nine strains, rotations among them, with h = 1e-5: truncation ~1e-7 eV, rounding 1e-13 eV / h ~ 1e-8."""
    atoms, h = structures[name], 1e-5
    virial = evaluated(oracle, atoms).virials[0]
    strained = []
    for i, j in np.ndindex(3, 3):
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * h
            strained.append(atoms.copy())
            strained[-1].set_cell(atoms.cell.array @ strain, scale_atoms=True)
    energies = evaluated(oracle, *strained).energies.reshape(3, 3, 2)
    np.testing.assert_allclose((energies[..., 0] - energies[..., 1]) / (2 * h), virial, atol=2e-6)
    assert min(np.diff(sorted(virial[np.triu_indices(3)]))) > 2e-5  # swapped components would be seen


def test_two_by_two_supercell_of_a_cell_that_sees_its_images(oracle, structures):
    """The finite differences above, for forces of one atom among its copies: self-image bonds become pairs."""
    atoms = structures["two atoms that see their own images"]
    one, many = evaluated(oracle, atoms), evaluated(oracle, atoms.repeat((2, 2, 2)))
    assert_equal(
        many, EngineResult(energies=8 * one.energies, forces=np.tile(one.forces, (8, 1)), virials=8 * one.virials)
    )


@GIVEN
@given(seed=st.integers(0, 2**31), name=st.sampled_from(NAMES))
def test_rotation_translation_permutation(oracle, structures, seed, name):
    atoms, rng = structures[name], np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng).as_matrix()
    order = rng.permutation(len(atoms))
    positions = (atoms.positions[order] + rng.normal(scale=5, size=3)) @ rotation
    moved = Atoms(atoms.numbers[order], positions=positions, cell=atoms.cell.array @ rotation, pbc=True)
    before = evaluated(oracle, atoms)
    turned = EngineResult(
        energies=before.energies,
        forces=before.forces[order] @ rotation,
        virials=rotation.T @ before.virials @ rotation,
    )
    assert_equal(evaluated(oracle, moved), turned)


@GIVEN
@given(seed=st.integers(0, 2**31), name=st.sampled_from(NAMES))
def test_any_image_of_an_atom_and_any_basis_of_the_lattice(oracle, structures, seed, name):
    atoms, rng = structures[name], np.random.default_rng(seed)
    other = atoms.copy()
    other.positions += rng.integers(-50, 50, size=(len(atoms), 3)) @ atoms.cell.array
    steps = np.eye(3) + np.tril(rng.integers(-2, 3, size=(3, 3)), -1)  # determinant 1: the same lattice
    other.set_cell(steps @ atoms.cell.array, scale_atoms=False)
    # Positions of 1000 Angstrom in double precision: 1e-13 Angstrom.
    assert_equal(evaluated(oracle, other), evaluated(oracle, atoms))


@GIVEN
@given(repeat=st.tuples(*[st.integers(1, 2)] * 3), name=st.sampled_from(NAMES))
def test_supercells(oracle, structures, repeat, name):
    atoms, n = structures[name], int(np.prod(repeat))
    one, many = evaluated(oracle, atoms), evaluated(oracle, atoms.repeat(repeat))
    assert_equal(
        many, EngineResult(energies=n * one.energies, forces=np.tile(one.forces, (n, 1)), virials=n * one.virials)
    )


def test_a_batch_equals_its_structures_one_by_one(oracle, structures, hot_frames, monkeypatch):
    """Whole, and cut into batches by a bound on bonds that only the small cells stay below together."""
    many = [*structures.values(), *hot_frames, *structures.values()]
    alone = [evaluated(oracle, atoms) for atoms in many]
    expected = EngineResult(
        energies=np.concatenate([result.energies for result in alone]),
        forces=np.concatenate([result.forces for result in alone]),
        virials=np.concatenate([result.virials for result in alone]),
    )
    assert_equal(evaluated(oracle, *many), expected)
    cut = []
    evaluate_graph = TorchEngine._evaluate_graph

    def counting(self, graph, n_structures):
        cut.append(n_structures)
        return evaluate_graph(self, graph, n_structures)

    monkeypatch.setattr(torch_engine, "_MOST_BONDS", {"cpu": 400})
    monkeypatch.setattr(TorchEngine, "_evaluate_graph", counting)
    assert_equal(evaluated(oracle, *many), expected)
    assert sum(cut) == len(many)
    assert 1 < len(cut) < len(many)


def test_an_empty_batch_and_an_atom_without_neighbours(oracle, weights):
    result = oracle.evaluate(np.empty(0, int), np.empty((0, 3)), np.empty((0, 3, 3)), np.empty(0, int))
    assert (result.energies.shape, result.forces.shape, result.virials.shape) == ((0,), (0, 3), (0, 3, 3))
    lone = [Atoms("Ar", cell=[side] * 3, pbc=True) for side in (10, 20)]
    result = evaluated(oracle, *lone)
    assert result.energies[0] == result.energies[1]
    assert not result.forces.any()
    assert not result.virials.any()


def scan_of_pairs(engine: TorchEngine, distances: np.ndarray) -> EngineResult:
    """Y-Cl-Li: the Li-Cl distance changes under a fixed Y-Cl bond, so that a bond and an angle come and go."""
    made = []
    for distance in distances:
        positions = [(0, 0, 0), (2.5, 0, 0), (2.5, distance, 0)]
        made.append(Atoms("YClLi", positions=positions, cell=[30, 30, 30], pbc=True))
    return evaluated(engine, *made)


def differences(engine: TorchEngine, cutoff: float, h: float, order: int) -> np.ndarray:
    """Largest differences of energy, forces and virial between neighbours of a scan across a cutoff."""
    distances = cutoff + h * np.arange(-20, 21)
    result = scan_of_pairs(engine, distances)
    columns = [result.energies, result.forces, result.virials]
    return np.array([np.abs(np.diff(x.reshape(len(distances), -1), n=order, axis=0)).max() for x in columns])


@pytest.mark.parametrize("cutoff", [3.0, 6.0])
def test_pairs_crossing_a_cutoff_make_no_jump(oracle, cutoff):
    """Energy, forces and virial have neither a step nor a kink: u(x) vanishes like (1 - x)^3.

    First differences of what has no step fall with h, second differences of what has no kink with h^2.
    """
    for order, fall in ((1, 10), (2, 100)):
        coarse, fine = (differences(oracle, cutoff, h, order) for h in (1e-3, 1e-4))
        assert (coarse > 1e-9).all()  # something does change
        assert (fine < 2 * coarse / fall + 1e-11).all()
    h = 1e-3
    result = scan_of_pairs(oracle, cutoff + h * np.arange(-20, 21))
    force = result.forces.reshape(-1, 3, 3)[:, 2, 1]
    # The energy is the integral of the force across the cutoff (Simpson's rule over pairs of steps).
    work = -(h / 3) * (force[:-2:2] + 4 * force[1:-1:2] + force[2::2])
    np.testing.assert_allclose(np.diff(result.energies[::2]), work, atol=1e-8)


def slopes_of_silver_bromide(engine: TorchEngine, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Energies and dE/dd of AgBr (rock salt) with bonds d about 3 Angstrom.

    dE = p dV with p = trace(stress) / 3 and V = 2 d^3, so dE/dd is trace(virial) / d.
    """
    distances = 3.0 + h * np.arange(-20, 21)
    cells = [d * (np.ones((3, 3)) - np.eye(3)) for d in distances]
    structures = [
        Atoms("AgBr", positions=[(0, 0, 0), (d,) * 3], cell=cell, pbc=True)
        for d, cell in zip(distances, cells, strict=True)
    ]
    result = evaluated(engine, *structures)
    np.testing.assert_allclose(result.forces, 0, atol=1e-12)
    return result.energies, np.trace(result.virials, axis1=1, axis2=2) / distances


def test_silver_bromide_stretched_through_its_bond_graph(oracle):
    """All its short bonds leave the bond graph at once, at 3 Angstrom: 0.2.0 of chgnet jumps there."""
    h = 1e-3
    energies, slope = slopes_of_silver_bromide(oracle, h)
    work = (h / 3) * (slope[:-2:2] + 4 * slope[1:-1:2] + slope[2::2])
    # Simpson's rule; radial functions of up to 31 pi / 3 per Angstrom leave it an error of 2e-9 of 1e-3 eV.
    np.testing.assert_allclose(np.diff(energies[::2]), work, atol=1e-8)
    assert work.min() > 5e-4
    # The pressure has no step and no kink: its second differences fall with h^2.
    finer = slopes_of_silver_bromide(oracle, h / 10)[1]
    assert np.abs(np.diff(finer, n=2)).max() < 2e-2 * np.abs(np.diff(slope, n=2)).max()


def test_single_precision_is_as_close_as_asked_for(oracle, single, structures, hot_frames):
    """|dE| < 1e-6 eV/atom, |dF| < 2e-5 eV/Angstrom, |dstress| < 1e-4 GPa against double precision."""
    for atoms in (*structures.values(), *hot_frames):
        exact, ours = evaluated(oracle, atoms), evaluated(single, atoms)
        assert abs(ours.energies - exact.energies)[0] < 1e-6 * len(atoms)
        assert np.abs(ours.forces - exact.forces).max() < 2e-5
        assert pressure_to_gpa(np.abs(ours.virials - exact.virials).max() / atoms.get_volume()) < 1e-4


def test_the_same_bits_again(single, hot_frames, structures):
    before = evaluated(single, hot_frames[0])
    evaluated(single, *structures.values())
    after = evaluated(single, hot_frames[0])
    for quantity in ("energies", "forces", "virials"):
        np.testing.assert_array_equal(getattr(after, quantity), getattr(before, quantity))


@pytest.mark.gpu
def test_cuda_equals_cpu(oracle, weights, structures, hot_frames):
    many = [*structures.values(), *hot_frames]
    assert_equal(
        evaluated(TorchEngine(weights, device="cuda", dtype=torch.float64), *many), evaluated(oracle, *many)
    )
    exact, ours = evaluated(oracle, *many), evaluated(TorchEngine(weights, device="cuda"), *many)
    assert np.abs(ours.forces - exact.forces).max() < 2e-5

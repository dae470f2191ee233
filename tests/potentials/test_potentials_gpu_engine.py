"""The whole GPU engine against the float64 oracle, against itself in other batches, and its errors.

The network in float64 ("fp64") must agree to rounding: that proves the algebra of both ways. In float32 the bounds
are those that every engine has to keep.
"""

import numpy as np
import pytest
import torch
from gpu_setup import DEVICE, QUIET, chgnet_weights, small_batch

from halion.errors import InputError, MissingDependency
from halion.potentials.gpu.lists import Capacity
from halion.potentials.gpu_engine import GpuEngine, _groups
from halion.potentials.torch_engine import TorchEngine
from halion.units import pressure_to_gpa

pytestmark = QUIET


@pytest.fixture(autouse=True, scope="module")
def roomy():
    """Room for cells denser than the halides that the first guess is for: one evaluation less for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        room = Capacity(slots=96, edges=256, bonds=32, angles=128)
        patch.setattr(Capacity, "guess", classmethod(lambda cls, n_atoms: room))
        yield


@pytest.fixture(scope="module")
def weights():
    return chgnet_weights()


@pytest.fixture(scope="module")
def oracle(weights) -> TorchEngine:
    return TorchEngine(weights, dtype=torch.float64)


@pytest.fixture(scope="module")
def engine(weights) -> GpuEngine:
    return GpuEngine(weights, device=DEVICE)


@pytest.fixture(scope="module")
def evaluated(engine):
    return engine.evaluate(*small_batch())


def errors(result, exact, counts, cells) -> tuple[float, float, float]:
    """Largest error of energy in eV/atom, of force in eV/Angstrom, of stress in GPa."""
    volumes = np.abs(np.linalg.det(cells))[:, None, None]
    stress = pressure_to_gpa(np.abs(result.virials - exact.virials) / volumes)
    energy = np.abs(result.energies - exact.energies) / counts
    return float(energy.max()), float(np.abs(result.forces - exact.forces).max()), float(stress.max())


def same(one, other) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("energies", "forces", "virials")
    )


def test_in_double_precision_it_is_the_oracle(weights, oracle):
    batch = small_batch()
    result, exact = GpuEngine(weights, device=DEVICE, precision="fp64").evaluate(*batch), oracle.evaluate(*batch)
    # Energies of 10 eV, forces and virials of 3: a hundred roundings.
    assert np.abs(result.energies - exact.energies).max() < 1e-13 * 100
    assert np.abs(result.forces - exact.forces).max() < 1e-12
    assert np.abs(result.virials - exact.virials).max() < 1e-12


def test_in_single_precision_it_keeps_the_bounds_of_all_engines(evaluated, oracle):
    numbers, positions, cells, counts = small_batch()
    energy, force, stress = errors(evaluated, oracle.evaluate(numbers, positions, cells, counts), counts, cells)
    assert energy < 1e-6 and force < 2e-5 and stress < 1e-4


def test_a_batch_is_its_cells_one_by_one(engine, evaluated):
    """Also: other atoms before them, buffers of other sizes. On a device to the bit; the interpreter multiplies
    matrices with BLAS, where a row's rounding depends on its place in the tile."""
    alone = engine.evaluate(*rocksalt())
    bound = 0.0 if DEVICE == "cuda" else 1e-5
    assert abs(alone.energies[0] - evaluated.energies[0]) <= bound
    assert np.abs(alone.forces - evaluated.forces[:2]).max() <= bound
    assert np.abs(alone.virials[0] - evaluated.virials[0]).max() <= bound


def rocksalt() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    numbers, positions, cells, counts = small_batch()
    return numbers[:2], positions[:2], cells[:1], counts[:1]


@pytest.mark.slow
def test_skin_and_age_of_the_list_change_no_bit(weights):
    """A list built elsewhere and still good gives the bits of one built here, with another skin."""
    numbers, positions, cells, counts = rocksalt()
    old, new = GpuEngine(weights, device=DEVICE), GpuEngine(weights, device=DEVICE, skin=0.2)
    old.prepare(numbers, counts)
    old.evaluate_tensors(*on_device(positions + np.array([[0.1, -0.1, 0.1], [-0.1, 0.1, -0.1]]), cells))
    from_old = old.evaluate_tensors(*on_device(positions, cells))
    assert old._graph.stale.tolist() == [0] and not old.settle()
    result = new.evaluate(numbers, positions, cells, counts)
    for tensor, wanted in zip(from_old, (result.energies, result.forces, result.virials)):
        assert np.array_equal(tensor.cpu().numpy(), wanted)


def on_device(*arrays) -> list[torch.Tensor]:
    return [torch.tensor(array, dtype=torch.float64, device=DEVICE) for array in arrays]


@pytest.mark.slow
def test_buffers_grow_until_everything_fits(weights, monkeypatch):
    wanted = GpuEngine(weights, device=DEVICE).evaluate(*rocksalt())
    tiny = Capacity(slots=16, edges=32, bonds=2, angles=2)
    monkeypatch.setattr(Capacity, "guess", classmethod(lambda cls, n_atoms: tiny))
    engine = GpuEngine(weights, device=DEVICE)
    assert same(engine.evaluate(*rocksalt()), wanted)
    assert engine._graph.capacity.angles > tiny.angles


def test_many_cells_are_evaluated_in_groups(monkeypatch):
    monkeypatch.setattr("halion.potentials.gpu_engine.MOST_ATOMS", 10)
    assert _groups(np.array([4, 6, 1, 20, 3, 3, 3, 3])) == [(0, 2), (2, 3), (3, 4), (4, 7), (7, 8)]


def test_an_atom_alone_has_no_force(engine, oracle):
    one = np.array([11]), np.zeros((1, 3)), np.diag([15.0, 15.0, 15.0])[None], np.array([1])
    result, exact = engine.evaluate(*one), oracle.evaluate(*one)
    assert abs(result.energies[0] - exact.energies[0]) < 1e-6
    assert not result.forces.any() and not result.virials.any()


@pytest.mark.parametrize(
    ("numbers", "counts", "said"),
    [
        ([3, 17], [3], "do not make"),
        ([3, 17], [2, 0], "none empty"),
        ([3, 95], [2], "1 to 94"),
        ([], [], "at least"),
    ],
)
def test_what_cannot_be_prepared_is_refused(engine, numbers, counts, said):
    with pytest.raises(InputError, match=said):
        engine.prepare(np.array(numbers, dtype=int), np.array(counts, dtype=int))


def test_tensors_of_another_kind_are_refused(engine):
    numbers, positions, cells, counts = small_batch()
    engine.prepare(numbers, counts)
    wrong = torch.tensor(positions, dtype=torch.float32, device=DEVICE)
    with pytest.raises(InputError, match="float32"):
        engine.evaluate_tensors(wrong, torch.tensor(cells, device=DEVICE))


def test_names_and_devices_are_checked(weights):
    with pytest.raises(InputError, match="no precision 'bf16'"):
        GpuEngine(weights, device=DEVICE, precision="bf16")
    with pytest.raises(InputError, match="call prepare"):
        _ = GpuEngine(weights, device=DEVICE).needed
    if not torch.cuda.is_available():
        with pytest.raises(MissingDependency, match="no CUDA device"):
            GpuEngine(weights)


def hot_frames(structures) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All structures of this room's tests as one batch."""
    atoms = list(structures.values())
    return (
        np.concatenate([one.numbers for one in atoms]),
        np.concatenate([one.positions for one in atoms]),
        np.stack([one.cell.array for one in atoms]),
        np.array([len(one) for one in atoms]),
    )


@pytest.mark.slow
def test_hot_sheared_and_mixed_cells(weights, oracle, structures):
    numbers, positions, cells, counts = hot_frames(structures)
    exact = oracle.evaluate(numbers, positions, cells, counts)
    single = TorchEngine(weights).evaluate(numbers, positions, cells, counts)
    result = GpuEngine(weights, device=DEVICE).evaluate(numbers, positions, cells, counts)
    energy, force, stress = errors(result, exact, counts, cells)
    assert energy < 1e-6 and force < 2e-5 and stress < 1e-4
    assert force < 2 * errors(single, exact, counts, cells)[1]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "energy_bound", "force_bound", "stress_bound"),
    # TF32 has 10 bits of mantissa, 2^13 times coarser than float32: bounds to notice a blunder, no promise.
    [("fp32", 1e-6, 2e-5, 1e-4), ("tf32x3", 1e-6, 2e-5, 1e-4), ("tf32", 2e-3, 5e-2, 0.2)],
)
def test_accuracy_on_a_device(weights, oracle, structures, precision, energy_bound, force_bound, stress_bound):
    numbers, positions, cells, counts = hot_frames(structures)
    exact = oracle.evaluate(numbers, positions, cells, counts)
    engine = GpuEngine(weights, device="cuda", precision=precision)
    energy, force, stress = errors(engine.evaluate(numbers, positions, cells, counts), exact, counts, cells)
    assert energy < energy_bound and force < force_bound and stress < stress_bound


@pytest.mark.gpu
def test_a_device_repeats_itself_to_the_bit(weights, structures):
    batch = hot_frames(structures)
    results = [GpuEngine(weights, device="cuda").evaluate(*batch) for _ in range(5)]
    assert all(same(results[0], other) for other in results[1:])

"""Batched FIRE with free cell against ASE's, step by step, and against its own definitions."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, expm_frechet

from halion.potentials import EngineResult
from halion.ranking.fire import FireBatch, _frechet_derivative


def alloy(seed: int, repeat: int = 1) -> Atoms:
    """Cu3Au, strained, sheared and rattled."""
    atoms = bulk("Cu", cubic=True, a=3.9).repeat((1, 1, repeat))
    atoms.symbols[0] = "Au"
    atoms.rattle(0.1, seed=seed)
    strain = np.random.default_rng(seed).normal(0, 0.02, (3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def batch_of(structures: list[Atoms]) -> FireBatch:
    batch = FireBatch()
    for k, atoms in enumerate(structures):
        batch.add(k, atoms)
    return batch


def evaluate(batch: FireBatch, potential) -> EngineResult:
    return potential.evaluate_arrays(*batch.arrays())


def test_every_step_is_that_of_ase(emt):
    """Fifty steps: velocities turned, time steps grown and cut, long steps shortened."""
    structures = [alloy(0), alloy(1, repeat=2)]
    batch = batch_of(structures)
    filters = []
    for atoms in structures:
        by_ase = atoms.copy()
        by_ase.calc = EMT()
        filters.append(FrechetCellFilter(by_ase))
    runs = [FIRE(one, logfile=None).irun(fmax=1e-12, steps=50) for one in filters]
    for _ in range(50):
        for run in runs:
            next(run)
        largest = batch.pull(evaluate(batch, emt))
        _, positions, cells, _ = batch.arrays()
        # Rounding of 1e-16 A grows by the ratio of the stiffest to the softest mode, some 100 times here.
        np.testing.assert_allclose(positions, np.vstack([one.atoms.positions for one in filters]), atol=1e-12)
        np.testing.assert_allclose(cells, [one.atoms.cell.array for one in filters], atol=1e-12)
        theirs = [np.linalg.norm(one.get_forces(), axis=1).max() for one in filters]
        np.testing.assert_allclose(largest, theirs, atol=1e-11)
        batch.move()


def test_forces_are_the_gradient_of_the_energy(emt):
    """Central differences along atoms and the logarithm of the deformation, the cell far from its start.

    The error is of second order, 1e-4 A squared times a third derivative of the order of 100 eV/A^3.
    """
    batch = batch_of([alloy(3), alloy(4)])
    members, atoms = batch._members, batch._atoms
    members.log_deformation = np.random.default_rng(0).normal(0, 0.05, (2, 3, 3))
    members.deformation = expm(members.log_deformation)
    batch.pull(evaluate(batch, emt))
    step = 1e-4
    for k, row, column in [(0, 0, 0), (0, 1, 2), (1, 2, 1), (1, 1, 1)]:
        energies = []
        for sign in (1, -1):
            moved = members.log_deformation.copy()
            moved[k, row, column] += sign * step / 4  # n A with n = 4 atoms
            members.deformation = expm(moved)
            energies.append(evaluate(batch, emt).energies[k])
        members.deformation = expm(members.log_deformation)
        slope = (energies[0] - energies[1]) / (2 * step)
        assert members.force[k, row, column] == pytest.approx(-slope, abs=1e-5)
    for row, column in [(0, 0), (5, 2)]:
        energies = []
        for sign in (1, -1):
            atoms.coordinates[row, column] += sign * step
            energies.append(evaluate(batch, emt).energies.sum())
            atoms.coordinates[row, column] -= sign * step
        assert atoms.force[row, column] == pytest.approx((energies[1] - energies[0]) / (2 * step), abs=1e-5)


def test_a_torque_in_the_virial_does_not_turn_the_cell(emt):
    batch = batch_of([alloy(5)])
    sound = evaluate(batch, emt)
    torque = np.array([[[0, 1, 2], [-1, 0, 3], [-2, -3, 0]]])
    batch.pull(sound)
    expected = batch._members.force
    batch.pull(EngineResult(energies=sound.energies, forces=sound.forces, virials=sound.virials + torque))
    np.testing.assert_allclose(batch._members.force, expected, atol=1e-14)


def spring(batch: FireBatch, stiffness: float) -> EngineResult:
    """E = k x^2 / 2 of every coordinate; the cell feels nothing."""
    _, positions, _, counts = batch.arrays()
    return EngineResult(
        energies=np.zeros(len(counts)), forces=-stiffness * positions, virials=np.zeros((len(counts), 3, 3))
    )


def test_the_first_step_and_the_longest():
    """v = dt f, x += dt v with dt = 0.1, the first step; a step longer than 0.2 A over all atoms is cut to that."""
    atoms = Atoms("Cu2", positions=[(1.0, 0, 0), (0, 2.0, 0)], cell=[9, 9, 9], pbc=True)
    soft, stiff = batch_of([atoms]), batch_of([atoms])
    soft.pull(spring(soft, 0.1))
    soft.move()
    np.testing.assert_allclose(soft.arrays()[1], atoms.positions * (1 - 0.1 * 0.1**2), atol=1e-15)
    stiff.pull(spring(stiff, 1e3))
    stiff.move()
    moved = stiff.arrays()[1] - atoms.positions
    assert np.linalg.norm(moved) == pytest.approx(0.2)
    np.testing.assert_allclose(moved, -0.2 * atoms.positions / np.sqrt(5), atol=1e-15)
    np.testing.assert_array_equal(stiff.n_steps, [1])


def test_uphill_stops_and_starts_anew():
    """A force turned round: velocity zero, time step halved, mixing back at its start."""
    atoms = Atoms("Cu2", positions=[(1.0, 0, 0), (0, 2.0, 0)], cell=[9, 9, 9], pbc=True)
    batch = batch_of([atoms])
    for _ in range(12):
        batch.pull(spring(batch, 0.1))
        batch.move()
    members = batch._members
    # Six steps downhill are waited for: 12 moves, the first from rest, leave five that grow.
    assert members.time_step[0] == pytest.approx(0.1 * 1.1**5)
    assert members.mixing[0] == pytest.approx(0.1 * 0.99**5)
    before = batch.arrays()[1]
    batch.pull(spring(batch, -0.1))
    batch.move()
    assert members.time_step[0] == pytest.approx(0.05 * 1.1**5)
    assert members.mixing[0] == 0.1
    assert members.n_downhill[0] == 0
    time_step = members.time_step[0]
    np.testing.assert_allclose(batch.arrays()[1], before * (1 + 0.1 * time_step**2), rtol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(5)), st.integers(1, 5), st.integers(0, 12))
def test_partners_do_not_matter_to_the_last_bit(emt, order, n_partners, leave_after):
    """EMT evaluates one structure at a time, so all that could differ is the batch itself."""
    structures = [alloy(seed, repeat=1 + seed % 3) for seed in range(5)]
    alone = batch_of([structures[0]])
    chosen = [0, *[k for k in order if k != 0][: n_partners - 1]]
    chosen.sort(key=order.index)
    together = FireBatch()
    for k in chosen:
        together.add(k, structures[k])
    for step in range(15):
        for batch in (alone, together):
            batch.pull(evaluate(batch, emt))
            batch.move()
        if step == leave_after and chosen[0] != 0:
            together.keep(together.keys != chosen[0])
    place = int(np.flatnonzero(together.keys == 0)[0])
    own = slice(together.starts[place], together.starts[place + 1])
    for one, other in zip(
        alone.arrays()[1:3], (together.arrays()[1][own], together.arrays()[2][[place]]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_joining_and_leaving(emt):
    batch = batch_of([alloy(0), alloy(1, repeat=2)])
    assert (len(batch), batch.n_atoms) == (2, 12)
    batch.keep([False, True])
    batch.add(7, alloy(2))
    np.testing.assert_array_equal(batch.keys, [1, 7])
    np.testing.assert_array_equal(batch.starts, [0, 8, 12])
    numbers, positions, cells, counts = batch.arrays()
    np.testing.assert_array_equal(counts, [8, 4])
    np.testing.assert_array_equal(numbers, [*alloy(1, repeat=2).numbers, *alloy(2).numbers])
    np.testing.assert_array_equal(positions[8:], alloy(2).positions)
    np.testing.assert_array_equal(cells[0], alloy(1, repeat=2).cell.array)
    batch.keep([False, False])
    assert (len(batch), batch.n_atoms) == (0, 0)
    batch.add(9, alloy(3))
    assert batch.pull(evaluate(batch, emt)).shape == (1,)


def test_derivative_of_the_exponential():
    """Against scipy's own routine, and where matrices commute: exp(A) E."""
    rng = np.random.default_rng(1)
    at, along = rng.normal(0, 0.3, (4, 3, 3)), rng.normal(0, 1, (4, 3, 3))
    found = _frechet_derivative(at, along)
    for k in range(4):
        # 1e-14: both scale and square, and round differently.
        np.testing.assert_allclose(found[k], expm_frechet(at[k], along[k], compute_expm=False), atol=1e-13)
    np.testing.assert_allclose(_frechet_derivative(at, at), expm(at) @ at, atol=1e-13)
    np.testing.assert_allclose(_frechet_derivative(np.zeros((1, 3, 3)), along[:1]), along[:1], atol=1e-15)

"""The surrogate: exact for pairs, errors left out against fitting anew, invariances, refusals."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError
from halion.ranking.clusters import cluster_blocks, values
from halion.ranking.sublattice import find_sublattice
from halion.ranking.surrogate import fit_surrogate


@pytest.fixture(scope="module")
def sublattice():
    """Twelve anions without any symmetry: the hardest case for a fit."""
    generator = np.random.default_rng(5)
    grid = np.array([(i, j, k) for i in range(2) for j in range(2) for k in range(3)]) / (2, 2, 3) + 0.1
    anions = grid + generator.uniform(-0.03, 0.03, grid.shape)
    atoms = Atoms("YCl12", scaled_positions=[(0.35, 0.35, 0.3), *anions], cell=[7.0, 7.3, 10.4], pbc=True)
    found = find_sublattice(atoms, ("Cl", "Br"), symprec=0.01)
    assert len(found.permutations) == 1
    return found


@pytest.fixture(scope="module")
def blocks(sublattice):
    return cluster_blocks(sublattice)


def rows_of(n_sites: int, n_guests: int, n: int, seed: int) -> np.ndarray:
    row = np.zeros(n_sites, dtype=np.uint8)
    row[:n_guests] = 1
    drawn = np.random.default_rng(seed).permuted(np.tile(row, (4 * n, 1)), axis=1)
    return np.unique(drawn, axis=0)[np.random.default_rng(seed).permutation(len(np.unique(drawn, axis=0)))][:n]


def pair_energies(sublattice, rows: np.ndarray) -> np.ndarray:
    """A closed form: every pair of guests repels as exp(-d / 2 Angstrom), and each sits in a field of its own."""
    from ase.geometry import get_distances

    positions = sublattice.positions
    distance = get_distances(positions, positions, cell=sublattice.atoms.cell, pbc=True)[1]
    coupling = np.exp(-distance / 2) - np.eye(len(distance))
    field = np.sin(np.arange(len(distance)))
    return -4.6 + 0.01 * (rows @ field) + 0.02 * np.einsum("ri,ij,rj->r", rows, coupling, rows) / 2


def test_energies_of_pairs_are_learnt_exactly(sublattice, blocks):
    """As many energies as points and pairs have coefficients: the rest follows, to the floor of the noise."""
    rows = rows_of(12, 6, 300, seed=1)
    energies = pair_energies(sublattice, rows)
    model = fit_surrogate(blocks, rows[:150], energies[:150])
    error = model.predict(rows[150:]) - energies[150:]
    assert np.abs(error).max() < 2e-3 * energies.std()
    assert model.cv_error < 2e-3 * energies.std()


def test_few_energies_teach_already(sublattice, blocks):
    """Fewer energies than coefficients: the smooth part carries over, far better than the mean does."""
    rows = rows_of(12, 6, 300, seed=2)
    energies = pair_energies(sublattice, rows)
    model = fit_surrogate(blocks, rows[:40], energies[:40])
    error = model.predict(rows[40:]) - energies[40:]
    assert error.std() < 0.25 * energies.std()
    assert 0.4 < model.cv_error / error.std() < 2.5


def test_noise_is_told_from_interaction(sublattice, blocks):
    """Energies of nothing but noise: the error left out is that of the noise, no less."""
    rows = rows_of(12, 6, 120, seed=3)
    energies = np.random.default_rng(0).normal(size=len(rows)) * 1e-3
    model = fit_surrogate(blocks, rows, energies)
    assert 0.85e-3 < model.cv_error < 1.25e-3


def test_left_out_energies_are_those_of_fitting_without(sublattice, blocks):
    """The closed form against solving without each energy in turn, the variances kept."""
    rows = rows_of(12, 5, 30, seed=4)
    energies = pair_energies(sublattice, rows) + np.random.default_rng(1).normal(size=30) * 1e-3
    model = fit_surrogate(blocks, rows, energies)
    variances = np.exp(model.log_variances)
    unit, mean = energies.std(), energies.mean()
    kernel = np.ones((30, 30))
    for block, variance in zip(blocks, variances):
        phi = values(block, rows)
        phi = phi - phi.mean(axis=0)
        scale = max(float(phi.var(axis=0).sum()), 1e-300)
        kernel = kernel + variance * phi @ phi.T / scale
    target = (energies - mean) / unit
    for i in range(30):
        rest = np.arange(30) != i
        weights = np.linalg.solve(kernel[np.ix_(rest, rest)] + variances[-1] * np.eye(29), target[rest])
        assert model.left_out[i] == pytest.approx(mean + unit * (kernel[i, rest] @ weights), abs=1e-7 * unit)
    assert model.cv_error == pytest.approx(np.sqrt(np.mean((model.left_out - energies) ** 2)))


def test_predictions_are_those_of_the_process(sublattice, blocks):
    """Coefficients, collapsed into fields and couplings, against the kernel with the energies seen."""
    rows = rows_of(12, 5, 40, seed=5)
    energies = pair_energies(sublattice, rows)
    model = fit_surrogate(blocks, rows[:30], energies[:30])
    by_function = model.constant + sum(
        values(block, rows) @ coefficients for block, coefficients in zip(model.blocks, model.coefficients)
    )
    np.testing.assert_allclose(model.predict(rows), by_function, atol=1e-10)
    residual = energies[:30] - model.predict(rows[:30])
    assert np.abs(residual).max() <= 3 * max(model.cv_error, 1e-12)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_equivalent_arrangements_have_one_energy(seed):
    atoms = Atoms(
        "YCl6",
        scaled_positions=[
            (0, 0, 0),
            (0.5, 0, 0),
            (0, 0.5, 0),
            (0, 0, 0.5),
            (0.5, 0.5, 0.5),
            (0.5, 0.5, 0),
            (0, 0.5, 0.5),
        ],
        cell=[5.0, 5.0, 5.0],
        pbc=True,
    )
    sublattice = find_sublattice(atoms, ("Cl", "Br"))
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 2, (25, 6)).astype(np.uint8)
    model = fit_surrogate(cluster_blocks(sublattice), rows, generator.normal(size=25))
    for permutation in sublattice.permutations[:8]:
        np.testing.assert_allclose(model.predict(rows[:, permutation]), model.predict(rows), atol=1e-9)


@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_the_names_of_the_elements_do_not_matter(sublattice, blocks, seed):
    """Host and guest exchanged in all rows: points change sign, and every prediction stays."""
    rows = rows_of(12, 5, 60, seed=seed)
    energies = pair_energies(sublattice, rows)
    plain = fit_surrogate(blocks, rows[:40], energies[:40])
    exchanged = fit_surrogate(blocks, 1 - rows[:40], energies[:40])
    np.testing.assert_allclose(
        exchanged.predict(1 - rows[40:]), plain.predict(rows[40:]), atol=1e-3 * energies.std()
    )


def test_shift_and_unit_of_the_energies_do_not_matter(sublattice, blocks):
    rows = rows_of(12, 6, 60, seed=7)
    energies = pair_energies(sublattice, rows)
    plain = fit_surrogate(blocks, rows[:40], energies[:40])
    other = fit_surrogate(blocks, rows[:40], 7.0 + 1000 * energies[:40])
    np.testing.assert_allclose((other.predict(rows) - 7) / 1000, plain.predict(rows), atol=1e-6)


def test_shares_sum_to_one(sublattice, blocks):
    rows = rows_of(12, 6, 60, seed=8)
    model = fit_surrogate(blocks, rows, pair_energies(sublattice, rows))
    assert sum(model.explained.values()) == pytest.approx(1)
    assert set(model.explained) == {block.name for block in blocks}


def test_equal_energies_are_predicted_equal(sublattice, blocks):
    rows = rows_of(12, 6, 20, seed=9)
    model = fit_surrogate(blocks, rows, np.full(20, -4.2))
    np.testing.assert_allclose(model.predict(rows), -4.2, atol=1e-12)
    assert model.cv_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("energies", [[1.0, 2.0], [1.0, 2.0, np.nan, 4.0]])
def test_too_few_or_no_numbers_are_refused(blocks, energies):
    rows = rows_of(12, 6, len(energies), seed=10)
    with pytest.raises(InputError, match="finite"):
        fit_surrogate(blocks, rows, np.array(energies))

"""Cluster functions: invariant under the group, complete for pairs, triples by listing."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.ranking.clusters import cluster_blocks, values
from halion.ranking.sublattice import find_sublattice
from halion.ranking.substitution import guest_rows, substitutions

CHARGES = {"Y": 3.0, "Cl": -1.0, "Br": -1.0}


@pytest.fixture(scope="module")
def sublattice():
    """Eight anions on two orbits of a monoclinic-looking but tetragonal cell, with a cation off centre."""
    cell = np.diag([6.0, 6.0, 7.1])
    anions = [(0.25, 0.25, z) for z in (0.5, 0.93)] + [(0.75, 0.25, z) for z in (0.5, 0.93)]
    anions += [(0.25, 0.75, z) for z in (0.5, 0.93)] + [(0.75, 0.75, z) for z in (0.5, 0.93)]
    atoms = Atoms("YCl8", scaled_positions=[(0, 0, 0.2), *anions], cell=cell, pbc=True)
    return find_sublattice(atoms, ("Cl", "Br"))


@pytest.fixture(scope="module")
def blocks(sublattice):
    return {block.name: block for block in cluster_blocks(sublattice)}


def all_rows(n_sites: int) -> np.ndarray:
    return np.array(list(itertools.product((0, 1), repeat=n_sites)), dtype=np.uint8)


def test_the_cell_has_symmetry_and_two_orbits(sublattice):
    assert len(sublattice.permutations) == 8
    assert len(set(sublattice.site_orbit)) == 2


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_functions_are_invariant_under_the_group(sublattice, blocks, seed):
    generator = np.random.default_rng(seed)
    row = generator.integers(0, 2, (1, sublattice.n_sites)).astype(np.uint8)
    permutation = sublattice.permutations[generator.integers(len(sublattice.permutations))]
    image = np.empty_like(row)
    image[:, permutation] = row
    for block in blocks.values():
        np.testing.assert_allclose(values(block, image), values(block, row), atol=1e-9, err_msg=block.name)


def test_every_pair_is_in_one_orbit_of_pairs(sublattice, blocks):
    pairs = [tuple(pair) for name in ("near", "middle", "far") for pair in blocks[f"{name} pairs"].members]
    assert sorted(pairs) == sorted(itertools.combinations(range(sublattice.n_sites), 2))


def test_orbits_of_pairs_are_those_of_the_group(sublattice, blocks):
    """By listing: two pairs share a function when an operation maps one to the other."""
    for name in ("near pairs", "middle pairs", "far pairs"):
        block = blocks[name]
        place = block.weights.argmax(axis=1)
        for (one, a), (other, b) in itertools.combinations(zip(map(tuple, block.members), place), 2):
            images = {tuple(sorted(permutation[list(one)])) for permutation in sublattice.permutations}
            assert (other in images) == (a == b)


@pytest.mark.parametrize("seed", range(3))
def test_points_and_pairs_are_complete(sublattice, blocks, seed):
    """Any symmetric energy of sites and pairs is a linear function of them: no residual over all 256 rows."""
    generator = np.random.default_rng(seed)
    n = sublattice.n_sites
    field, coupling = generator.normal(size=n), generator.normal(size=(n, n))
    group = sublattice.permutations
    field = np.mean([field[g] for g in group], axis=0)
    coupling = np.mean([coupling[np.ix_(g, g)] for g in group], axis=0)
    rows = all_rows(n)
    signs = 2.0 * rows - 1
    energies = signs @ field + np.einsum("ri,ij,rj->r", signs, coupling, signs)
    names = ("points", "near pairs", "middle pairs", "far pairs")
    features = np.concatenate([np.ones((len(rows), 1)), *(values(blocks[name], rows) for name in names)], axis=1)
    fitted = features @ np.linalg.lstsq(features, energies, rcond=None)[0]
    np.testing.assert_allclose(fitted, energies, atol=1e-9 * np.abs(energies).max())
    assert np.linalg.matrix_rank(features) == features.shape[1]


def test_near_triples_by_listing():
    """Rock salt, doubled: anions on a face-centred lattice, whose nearest neighbours form triangles."""
    found = find_sublattice(bulk("LiCl", "rocksalt", a=5.1, cubic=True).repeat((2, 1, 1)), ("Cl", "Br"))
    blocks = {block.name: block for block in cluster_blocks(found)}
    near = {tuple(pair) for pair in blocks["near pairs"].members}
    listed = [
        triple
        for triple in itertools.combinations(range(found.n_sites), 3)
        if all(pair in near for pair in itertools.combinations(triple, 2))
    ]
    assert len(listed) > 10
    triples = blocks["near triplets"]
    assert sorted(map(tuple, triples.members)) == listed
    place = triples.weights.argmax(axis=1)
    for (one, a), (other, b) in itertools.combinations(zip(map(tuple, triples.members), place), 2):
        images = {tuple(sorted(permutation[list(one)])) for permutation in found.permutations}
        assert (other in images) == (a == b)


def test_environment_tells_sites_by_their_cations(sublattice, blocks):
    """Bond-valence sums by a plain sum over images, the same for the sites of an orbit."""
    block = blocks["environment"]
    assert block.weights.shape == (sublattice.n_sites, 1)
    atoms = sublattice.atoms
    by_hand = np.zeros(sublattice.n_sites)
    for step in itertools.product((-1, 0, 1), repeat=3):
        there = atoms.positions[0] + np.array(step) @ atoms.cell.array
        distance = np.linalg.norm(atoms.positions[1:] - there, axis=1)
        by_hand += np.where(distance < 6.0, np.exp(-distance / 0.37), 0)
    expected = (by_hand - by_hand.mean()) / by_hand.std()
    np.testing.assert_allclose(block.weights[:, 0], expected, atol=1e-6)


def test_equivalent_sites_have_no_environment_of_their_own():
    atoms = Atoms(
        "YCl2", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.25), (0.5, 0.5, 0.75)], cell=[5, 5, 7], pbc=True
    )
    found = find_sublattice(atoms, ("Cl", "Br"))
    assert len(set(found.site_orbit)) == 1
    assert "environment" not in {block.name for block in cluster_blocks(found)}


def test_shells_are_smooth_in_the_distance(blocks):
    """The prior covariance of two interactions falls with the difference of their lengths, never below zero."""
    weights = blocks["shells"].weights
    covariance = weights @ weights.T
    assert (np.diag(covariance) > 0.5).all() and (covariance >= 0).all()
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert correlation.max() <= 1 + 1e-12


def test_functions_tell_distinct_arrangements_apart(sublattice, blocks):
    """Two arrangements of the listing never agree in all functions of this cell."""
    rows = guest_rows(substitutions(sublattice, 3, limit=100, charges=CHARGES), sublattice)
    features = np.concatenate([values(block, rows) for block in blocks.values()], axis=1)
    assert len(np.unique(features.round(6), axis=0)) == len(rows)

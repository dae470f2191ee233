"""Frames that potentials know least: committees against loops, the last layer against whole inverses."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import as_frames

from halion.errors import InputError, TrajectoryError
from halion.labels import uncertainty
from halion.labels.position_error import FrameSet
from halion.labels.sampling import SamplingChoices, choose_frames
from halion.labels.uncertainty import LastLayerUncertainty, force_spreads, least_certain, structure_features
from halion.potentials import ChgnetPotential, PotentialFromAse

COMMITTEE = SamplingChoices(method="committee")
LAST_LAYER = SamplingChoices(method="last_layer")
RIDGE = 0.01


def rattled(atoms: Atoms, n_frames: int, seed: int = 0) -> FrameSet:
    """Frames of growing displacements, in an order at random."""
    rng = np.random.default_rng(seed)
    amplitudes = rng.permutation(np.linspace(0.03, 0.2, n_frames))
    moved = rng.normal(size=(n_frames, len(atoms), 3)) * amplitudes[:, None, None]
    return as_frames(atoms.positions + moved, atoms.cell.array, tuple(atoms.get_chemical_symbols()))


@pytest.fixture(scope="module")
def copper() -> FrameSet:
    return rattled(bulk("Cu", cubic=True), 9)


@pytest.fixture(scope="module")
def committee() -> list[PotentialFromAse]:
    """Three descriptions of copper that disagree."""
    calculators = [
        EMT(),
        LennardJones(sigma=2.3, epsilon=0.4, rc=6.0),
        LennardJones(sigma=2.25, epsilon=0.5, rc=6.0),
    ]
    return [PotentialFromAse(one, name=f"copper {k}", elements=["Cu"]) for k, one in enumerate(calculators)]


@pytest.fixture(scope="module")
def chgnet() -> ChgnetPotential:
    return ChgnetPotential(backend="float64", threads=1)


@pytest.fixture(scope="module")
def bromide() -> FrameSet:
    halide = crystal(
        ["Y", "Li", "Br", "Br"],
        [(0, 0, 0), (0, 0.3336, 0), (0.2492, 0.1679, 0.2410), (0.7504, 0, 0.2417)],
        spacegroup="C 2/m",
        cellpar=[6.93, 11.97, 6.84, 90, 109.3, 90],
        primitive_cell=True,
    )
    return rattled(halide, 12)


def arrays(frames: FrameSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return frames.atoms(0).numbers, frames.positions, frames.cells


def naive_spread(frames: FrameSet, committee: list[PotentialFromAse], k: int) -> float:
    """Largest of the atoms' root mean squared deviations from the mean force."""
    forces = [potential.evaluate(frames.atoms(k)).forces for potential in committee]
    largest = 0.0
    for i in range(len(frames.symbols)):
        mean = sum(one[i] for one in forces) / len(forces)
        largest = max(largest, np.sqrt(sum(((one[i] - mean) ** 2).sum() for one in forces) / len(forces)))
    return largest


@pytest.mark.parametrize("atoms_per_call", [4096, 9])
def test_spreads_equal_the_loop(copper, committee, atoms_per_call, monkeypatch):
    monkeypatch.setattr(uncertainty, "_ATOMS_PER_CALL", atoms_per_call)
    expected = [naive_spread(copper, committee, k) for k in range(9)]
    np.testing.assert_allclose(force_spreads(committee, *arrays(copper)), expected, rtol=1e-10)


def test_of_two_potentials_the_spread_is_half_their_difference(copper, committee):
    one, other = (
        np.array([each.forces for each in potential.evaluate_batch([copper.atoms(k) for k in range(9)])])
        for potential in committee[:2]
    )
    expected = np.linalg.norm(one - other, axis=2).max(axis=1) / 2
    np.testing.assert_allclose(force_spreads(committee[:2], *arrays(copper)), expected, rtol=1e-10)


def test_potentials_that_agree_have_no_spread(copper, committee):
    assert force_spreads([committee[0]] * 3, *arrays(copper)).max() < 1e-12


def test_a_committee_chooses_where_it_disagrees_most(copper, committee):
    spreads = force_spreads(committee, *arrays(copper))
    order = sorted(range(9), key=lambda k: -spreads[k])
    chosen = choose_frames(copper, 4, COMMITTEE, potentials=committee)
    assert chosen.indices.tolist() == order[:4]
    np.testing.assert_array_equal(chosen.distances, spreads[order[:4]])
    assert (chosen.unit, chosen.start) == ("eV/Angstrom", "largest spread of the forces")
    rest = replace(COMMITTEE, already=(order[0],), failed=(order[2],), exclude=(order[3],))
    chosen = choose_frames(copper, 3, rest, potentials=committee)
    assert chosen.indices.tolist() == [order[1], order[4], order[5]]


def naive_uncertainty(features: np.ndarray, ridge: float, labelled: list[int]) -> np.ndarray:
    """u_j of the definition, by the inverse of the whole matrix."""
    n_features = features.shape[1]
    x = features - features.mean(axis=0)
    noise = ridge * (x**2).sum(axis=1).mean() / n_features
    precision = np.eye(n_features)
    for c in labelled:
        precision += np.outer(x[c], x[c]) / noise
    inverse = np.linalg.inv(precision)
    return np.array([np.sqrt(one @ inverse @ one) for one in x])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ridge=st.sampled_from([1e-4, 0.01, 1.0]), n=st.integers(0, 6))
def test_updates_equal_the_whole_inverse(seed, ridge, n):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(15, 8)) * 10.0 ** rng.uniform(-2, 1, size=8) + 3
    labelled = rng.choice(15, n, replace=False).tolist()
    model = LastLayerUncertainty(features, ridge)
    for k in labelled:
        model.add(k)
    expected = naive_uncertainty(features, ridge, labelled)
    # The squares lose digits where labels leave little: 1e-16 of the largest one, its root 1e-8.
    np.testing.assert_allclose(
        model.values, expected, rtol=1e-6, atol=1e-7 * np.linalg.norm(features, axis=1).max()
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_labels_only_take_away(seed):
    features = np.random.default_rng(seed).normal(size=(12, 5))
    model = LastLayerUncertainty(features, RIDGE)
    np.testing.assert_allclose(model.values, np.linalg.norm(features - features.mean(axis=0), axis=1))
    for k in range(12):
        before = model.values
        model.add(k)
        assert (model.values <= before + 1e-12).all()
        assert model.values[k] < before[k]


def test_it_is_the_standard_deviation_of_the_regression():
    """Weights drawn from the prior, labels with noise: the error of the posterior mean has this spread."""
    rng = np.random.default_rng(0)
    features, labelled = rng.normal(size=(9, 4)), [1, 5, 6]
    model = LastLayerUncertainty(features, RIDGE)
    for k in labelled:
        model.add(k)
    x = features - features.mean(axis=0)
    noise = RIDGE * (x**2).sum(axis=1).mean() / 4
    weights = rng.normal(size=(40_000, 4))
    labels = weights @ x[labelled].T + rng.normal(scale=np.sqrt(noise), size=(40_000, 3))
    gain = np.linalg.solve(x[labelled].T @ x[labelled] + noise * np.eye(4), x[labelled].T)
    errors = (weights - labels @ gain.T) @ x.T
    # The relative error of a standard deviation from 40,000 draws is 0.0035; five of them.
    np.testing.assert_allclose(errors.std(axis=0), model.values, rtol=0.018)


def test_scaled_features_change_nothing_but_the_unit():
    features = np.random.default_rng(3).normal(size=(20, 6)) * np.logspace(0, -2, 6)
    every = np.ones(20, dtype=bool)
    one = least_certain(LastLayerUncertainty(features, RIDGE), np.array([2]), every, 5)
    other = least_certain(LastLayerUncertainty(1000 * features + 7, RIDGE), np.array([2]), every, 5)
    assert one[0].tolist() == other[0].tolist()
    np.testing.assert_allclose(other[1], 1000 * one[1], rtol=1e-6)


def test_features_are_the_mean_over_the_atoms(chgnet, bromide, monkeypatch):
    monkeypatch.setattr(uncertainty, "_ATOMS_PER_CALL", 20)
    found = structure_features(chgnet, *arrays(bromide))
    assert found.shape == (12, 64)
    for k in (0, 7, 11):
        atoms = bromide.atoms(k)
        alone = chgnet.last_layer_features(atoms.numbers, atoms.positions, atoms.cell.array[None], np.array([9]))
        np.testing.assert_allclose(found[k], alone.mean(axis=0), rtol=0, atol=1e-10)


def test_the_last_layer_chooses_by_the_loop(chgnet, bromide):
    features = structure_features(chgnet, *arrays(bromide))
    for choices in (LAST_LAYER, replace(LAST_LAYER, already=(3,), failed=(9,), exclude=(0, 1))):
        labelled = [*choices.already, *choices.failed]
        may_be = [k for k in range(12) if k not in (*labelled, *choices.exclude)]
        indices, distances = [], []
        for _ in range(5):
            left = naive_uncertainty(features, choices.ridge, labelled + indices)
            best = max((k for k in may_be if k not in indices), key=lambda k: left[k])
            indices.append(best)
            distances.append(left[best])
        chosen = choose_frames(bromide, 5, choices, potentials=[chgnet])
        assert chosen.indices.tolist() == indices
        np.testing.assert_allclose(chosen.distances, distances, rtol=1e-6)
    assert chosen.start == "least certain, given the frames chosen already"


def test_frames_with_the_same_features_are_refused(chgnet, bromide):
    alike = as_frames(np.repeat(bromide.positions[:1], 4, axis=0), bromide.cells[0], bromide.symbols)
    with pytest.raises(TrajectoryError, match="the others have the same features"):
        choose_frames(alike, 2, LAST_LAYER, potentials=[chgnet])


def test_refusals(copper, committee, chgnet):
    with pytest.raises(InputError, match="committee of 1"):
        force_spreads(committee[:1], *arrays(copper))
    with pytest.raises(InputError, match="copper 0 does not give the features"):
        choose_frames(copper, 2, LAST_LAYER, potentials=committee[:1])
    with pytest.raises(InputError, match="takes one of the potentials, 2 were given"):
        choose_frames(copper, 2, LAST_LAYER, potentials=[chgnet, chgnet])
    with pytest.raises(InputError, match="takes two or more of the potentials, 1 were given"):
        choose_frames(copper, 2, COMMITTEE, potentials=[chgnet])
    for ridge in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="ridge"):
            LastLayerUncertainty(np.eye(3), ridge)
    with pytest.raises(InputError, match="not finite"):
        LastLayerUncertainty(np.array([[1.0, np.nan]]), RIDGE)

"""The choice of frames: against the definition in loops, the best choice of all, earlier rounds and refusals."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import CELLS, as_frames, as_trajectory, naive_greedy, naive_matrix, random_frames

from halion.errors import InputError, TrajectoryError
from halion.labels.position_error import FrameSet, gather_frames
from halion.labels.sampling import SamplingChoices, choose_frames, distance_left

EXACT = 1e-10
SEEDS = st.integers(0, 2**32 - 1)
FURTHEST = SamplingChoices(framework=("Cl",))
FROM_FIRST = replace(FURTHEST, start="first_frame")


@pytest.fixture(scope="module")
def frames() -> FrameSet:
    return random_frames(20, 6, strain=0.01, seed=3)


@pytest.fixture(scope="module")
def matrix(frames) -> np.ndarray:
    return naive_matrix(frames, ("Cl",))


def test_from_the_first_frame_it_is_the_loop(frames, matrix):
    chosen = choose_frames(frames, 8, FROM_FIRST)
    indices, distances = naive_greedy(matrix, [0], list(range(1, 20)), 7)
    assert chosen.indices.tolist() == [0, *indices]
    assert np.isnan(chosen.distances[0])
    np.testing.assert_allclose(chosen.distances[1:], distances, rtol=0, atol=EXACT)
    assert (chosen.start, chosen.unit, chosen.method) == ("first frame", "Angstrom", "furthest_point")


def test_from_the_frame_furthest_from_the_mean_it_is_the_loop():
    """Displacements within a quarter of a cell: there the mean frame is the plain mean of unwrapped positions."""
    rng = np.random.default_rng(1)
    positions = rng.random((6, 3)) * 5 + rng.uniform(-0.5, 0.5, size=(15, 6, 3))
    frames = as_frames(positions, CELLS["cubic"], ("Li",) * 2 + ("Cl",) * 4)
    aligned = positions - positions[:, 2:].mean(axis=1, keepdims=True)
    first = int(np.argmax(((aligned - aligned.mean(axis=0)) ** 2).sum(axis=(1, 2))))
    chosen = choose_frames(frames, 6, FURTHEST)
    rest = [k for k in range(15) if k != first]
    indices, distances = naive_greedy(naive_matrix(frames, ("Cl",)), [first], rest, 5)
    assert chosen.indices.tolist() == [first, *indices]
    np.testing.assert_allclose(chosen.distances[1:], distances, rtol=0, atol=EXACT)
    assert chosen.start == "furthest from the mean of all frames"


def test_earlier_rounds_failures_and_exclusions_are_the_loop(frames, matrix):
    choices = replace(FURTHEST, already=(3, 11), failed=(7,), exclude=(0, 5, 19))
    chosen = choose_frames(frames, 6, choices)
    may_be = [k for k in range(20) if k not in (3, 11, 7, 0, 5, 19)]
    indices, distances = naive_greedy(matrix, [3, 11, 7], may_be, 6)
    assert chosen.indices.tolist() == indices
    np.testing.assert_allclose(chosen.distances, distances, rtol=0, atol=EXACT)
    assert chosen.start == "furthest from the frames chosen already"


def test_a_second_round_goes_on_where_the_first_ended(frames):
    at_once = choose_frames(frames, 9, FURTHEST)
    first = choose_frames(frames, 4, FURTHEST)
    second = choose_frames(frames, 5, replace(FURTHEST, already=tuple(first.indices.tolist())))
    assert [*first.indices, *second.indices] == at_once.indices.tolist()
    np.testing.assert_array_equal(second.distances, at_once.distances[4:])


def test_what_failed_is_replaced_by_the_next_furthest_point(frames):
    longer = choose_frames(frames, 6, FURTHEST).indices.tolist()
    failed = longer[2]
    kept = tuple(k for k in longer[:5] if k != failed)
    again = choose_frames(frames, 1, replace(FURTHEST, already=kept, failed=(failed,)))
    assert again.indices.tolist() == longer[5:]


def test_a_frame_that_may_not_be_first_is_not(frames):
    first = int(choose_frames(frames, 1, FURTHEST).indices[0])
    assert int(choose_frames(frames, 1, replace(FURTHEST, exclude=(first,))).indices[0]) != first
    assert choose_frames(frames, 1, replace(FROM_FIRST, exclude=(0, 1))).indices.tolist() == [2]


def test_structures_labelled_before_count(frames):
    """The same as the frames that they are, named by index."""
    trajectory = as_trajectory(frames)
    named = choose_frames(frames, 5, replace(FURTHEST, already=(4, 9)))
    gathered = gather_frames([trajectory], labelled=[frames.atoms(4), frames.atoms(9)])
    assert gathered.n_frames == 22
    # Frames 4 and 9 themselves are still in the trajectory, at distance zero.
    found = choose_frames(gathered, 5, FURTHEST)
    assert found.frame.tolist() == named.frame.tolist()
    assert set(found.trajectory) == {0}
    np.testing.assert_allclose(found.distances, named.distances, rtol=0.05)  # the mean cell has two frames more


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n_points=st.integers(1, 4), start=st.sampled_from(["first_frame", "furthest_from_mean"]))
def test_it_leaves_at_most_twice_what_the_best_choice_leaves(seed, n_points, start):
    """Gonzalez's bound, against all choices of so many of nine frames."""
    frames = random_frames(9, 6, walk=1.5, seed=seed)
    every = np.array([distance_left(frames, [k], ("Cl",)) for k in range(9)])
    best = min(every[list(some)].min(axis=0).max() for some in combinations(range(9), n_points))
    chosen = choose_frames(frames, n_points, replace(FURTHEST, start=start))
    assert distance_left(frames, chosen.indices, ("Cl",)).max() <= 2 * best + EXACT


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_distances_fall_and_equal_what_is_left(seed):
    frames = random_frames(15, 6, seed=seed)
    chosen = choose_frames(frames, 7, FURTHEST)
    assert len(set(chosen.indices)) == 7
    assert (np.diff(chosen.distances[1:]) <= EXACT).all()
    for k in range(1, 7):
        left = distance_left(frames, chosen.indices[:k], ("Cl",))
        assert left.max() == pytest.approx(chosen.distances[k], abs=EXACT)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_translation_wrapping_and_atom_order_choose_the_same(seed):
    rng = np.random.default_rng(seed)
    frames = random_frames(12, 9, seed=seed)
    order = rng.permutation(9)
    moved = frames.positions + rng.normal(scale=9, size=(12, 1, 3))
    moved += rng.integers(-2, 3, size=moved.shape).astype(float) @ frames.cells
    other = as_frames(moved[:, order], frames.cells, tuple(np.array(frames.symbols)[order]))
    one, another = (choose_frames(some, 5, FURTHEST) for some in (frames, other))
    assert one.indices.tolist() == another.indices.tolist()


def test_the_same_input_gives_the_same_bits(frames):
    one, another = (choose_frames(frames, 9, FURTHEST) for _ in range(2))
    np.testing.assert_array_equal(one.indices, another.indices)
    np.testing.assert_array_equal(one.distances, another.distances)


def test_ties_go_to_the_lowest_index():
    """Lithium at 0, at one Angstrom to either side, and at those again: 1 and 2 are equally far from 0."""
    positions = np.zeros((5, 2, 3))
    positions[:, 1] = 1.0
    positions[:, 0, 0] = [0, 1, -1, 1, -1]
    frames = as_frames(positions, 8 * np.eye(3), ("Li", "Cl"))
    assert choose_frames(frames, 3, FROM_FIRST).indices.tolist() == [0, 1, 2]
    assert choose_frames(frames, 1, FURTHEST).indices.tolist() == [1]


def test_frames_that_coincide_are_chosen_once():
    frames = random_frames(3, 6)
    thrice = as_frames(np.tile(frames.positions, (3, 1, 1)), CELLS["hexagonal"], frames.symbols)
    assert sorted(choose_frames(thrice, 3, FURTHEST).indices % 3) == [0, 1, 2]
    with pytest.raises(TrajectoryError, match="every other one coincides"):
        choose_frames(thrice, 4, FURTHEST)


def test_random_frames(frames):
    choices = SamplingChoices(method="random", seed=4, already=(1, 2), exclude=(3,), failed=(8,))
    chosen = choose_frames(frames, 16, choices)
    assert sorted(chosen.indices) == [k for k in range(20) if k not in (1, 2, 3, 8)]
    assert np.isnan(chosen.distances).all()
    assert chosen.start == "drawn at random, seed 4"
    few = choose_frames(frames, 5, choices)
    assert few.indices.tolist() == choose_frames(frames, 5, choices).indices.tolist()
    assert few.indices.tolist() != choose_frames(frames, 5, replace(choices, seed=5)).indices.tolist()


def test_random_frames_are_drawn_evenly(frames):
    drawn = np.array(
        [choose_frames(frames, 1, SamplingChoices(method="random", seed=k)).indices[0] for k in range(2000)]
    )
    counts = np.bincount(drawn, minlength=20)
    # Binomial with mean 100 and standard deviation 9.7; five of them.
    assert abs(counts - 100).max() < 49


def test_frames_know_where_they_are_from(frames):
    short = random_frames(7, 6, seed=8)
    gathered = gather_frames([as_trajectory(frames), as_trajectory(short)], every=3, labelled=[frames.atoms(1)])
    assert gathered.trajectory.tolist() == [0] * 7 + [1] * 3 + [-1]
    assert gathered.frame.tolist() == [0, 3, 6, 9, 12, 15, 18, 0, 3, 6, 0]
    np.testing.assert_array_equal(gathered.positions[8], short.positions[3])
    np.testing.assert_array_equal(gathered.cells[2], frames.cells[6])
    atoms = gathered.atoms(8)
    np.testing.assert_array_equal(atoms.positions, short.positions[3])
    assert (tuple(atoms.get_chemical_symbols()), atoms.pbc.all()) == (frames.symbols, True)
    chosen = choose_frames(gathered, 4, FURTHEST)
    for index, trajectory, frame in zip(chosen.indices, chosen.trajectory, chosen.frame):
        np.testing.assert_array_equal(gathered.positions[index], (frames, short)[trajectory].positions[frame])


def test_progress_is_told(frames):
    told = []
    choose_frames(frames, 4, FURTHEST, progress=lambda done, total, state="": told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("n_frames", "values", "match"),
    [
        (0, {}, "0 frames were asked for"),
        (-2, {}, "-2 frames"),
        (2, {"method": "furthest"}, "'furthest_point'"),
        (2, {"start": "first"}, "first_frame"),
        (2, {"already": (20,)}, "there is no frame 20"),
        (2, {"exclude": (-1,)}, "there is no frame -1"),
        (2, {"already": (1, 2), "exclude": (2,)}, "frame 2 is named in `already` and in `exclude`"),
        (2, {"failed": (4,), "exclude": (4,)}, "frame 4 is named in `failed` and in `exclude`"),
        (2, {"framework": ("Cl", "C")}, "no atom of 'C'"),
        (2, {"method": "committee"}, "two or more"),
        (2, {"method": "last_layer"}, "takes one of the potentials"),
    ],
)
def test_what_cannot_be_asked_is_refused(frames, n_frames, values, match):
    with pytest.raises(InputError, match=match):
        choose_frames(frames, n_frames, SamplingChoices(**values))


def test_too_few_frames_are_refused(frames):
    assert len(choose_frames(frames, 20, FURTHEST).indices) == 20
    with pytest.raises(TrajectoryError, match="21 frames were asked for, and 20 of 20"):
        choose_frames(frames, 21, FURTHEST)
    with pytest.raises(TrajectoryError, match="18 frames were asked for, and 17 of 20"):
        choose_frames(frames, 18, replace(FURTHEST, already=(1,), exclude=(2,), failed=(3,)))


def test_frames_that_are_not_finite_are_refused(frames):
    positions = frames.positions.copy()
    positions[13, 2, 0] = np.inf
    with pytest.raises(TrajectoryError, match="not a finite number"):
        choose_frames(as_frames(positions, frames.cells, frames.symbols), 3)


def test_atoms_that_differ_are_refused(frames):
    other = as_frames(frames.positions, frames.cells, ("Na",) * 2 + ("Cl",) * 4)
    turned = as_frames(frames.positions, frames.cells, frames.symbols[::-1])
    with pytest.raises(TrajectoryError, match="Cl4Na2, after Cl4Li2"):
        gather_frames([as_trajectory(frames), as_trajectory(other, "other")])
    with pytest.raises(TrajectoryError, match="in another order") as told:
        gather_frames([as_trajectory(frames), as_trajectory(turned, "turned")])
    assert told.value.where == "turned"
    with pytest.raises(TrajectoryError, match="atoms that differ") as told:
        gather_frames([as_trajectory(frames)], labelled=[frames.atoms(0), other.atoms(0)])
    assert told.value.where == "labelled structure 1"


def test_no_frames_are_refused(frames):
    empty = as_trajectory(as_frames(frames.positions[:0], np.eye(3), frames.symbols))
    for trajectories in ([], [empty]):
        with pytest.raises(TrajectoryError, match="no frames to choose from"):
            gather_frames(trajectories)
    with pytest.raises(InputError, match="every=0"):
        gather_frames([as_trajectory(frames)], every=0)
    with pytest.raises(InputError, match="no frame is chosen"):
        distance_left(frames, [])
    with pytest.raises(InputError, match="there is no frame 20"):
        distance_left(frames, [20])
    with pytest.raises(InputError, match="takes none of the potentials"):
        choose_frames(frames, 1, potentials=[None])

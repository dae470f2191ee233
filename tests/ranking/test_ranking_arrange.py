"""The search for the lowest arrangement: against all of them, where energies are a closed form."""

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_distances

from halion.errors import Interrupted, PhysicsRefusal
from halion.orderings.canonical import canonical_rows
from halion.ranking.arrange import recall_of_lowest, search_arrangements
from halion.ranking.arrangements import ListedArrangements, UnlistedArrangements
from halion.ranking.sublattice import find_sublattice
from halion.ranking.substitution import guest_rows, substitutions
from halion.settings import SeriesSettings

CHARGES = {"Y": 3.0, "Cl": -1.0, "Br": -1.0}


def layered(n_layers: int):
    """Layers of four anions, cations that mark one end: little symmetry, 4 n sites."""
    z = (np.arange(n_layers) + 0.5) / n_layers
    anions = [(x, y, height) for height in z for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))]
    atoms = Atoms(
        f"YCl{4 * n_layers}", scaled_positions=[(0.1, 0.2, 0.05), *anions], cell=[7, 7, 3.6 * n_layers], pbc=True
    )
    return find_sublattice(atoms, ("Cl", "Br"))


class PairEnergies:
    """Guests repel as exp(-d / 2 Angstrom) in a field along the layers; remembers what it was asked."""

    def __init__(self, sublattice, refuses=lambda row: False):
        positions = sublattice.positions
        distance = get_distances(positions, positions, cell=sublattice.atoms.cell, pbc=True)[1]
        self.coupling = np.exp(-distance / 2) - np.eye(len(distance))
        self.field = 0.3 * np.cos(positions[:, 2])
        self.asked, self.refuses = [], refuses

    def of(self, rows):
        return (rows @ self.field + np.einsum("ri,ij,rj->r", rows, self.coupling, rows)) / 100

    def __call__(self, rows):
        self.asked += [row.tobytes() for row in rows]
        return np.where([self.refuses(row) for row in rows], np.nan, self.of(rows))


@pytest.fixture(scope="module")
def twelve():
    sublattice = layered(3)
    found = substitutions(sublattice, 5, limit=10_000, charges=CHARGES)
    return sublattice, guest_rows(found, sublattice), found.count


def listed(twelve) -> ListedArrangements:
    return ListedArrangements(*twelve)


def test_few_arrangements_are_all_evaluated(twelve):
    sublattice, _, _ = twelve
    found = substitutions(sublattice, 1, limit=100, charges=CHARGES)
    rows, energies = guest_rows(found, sublattice), PairEnergies(sublattice)
    result = search_arrangements(ListedArrangements(sublattice, rows, found.count), energies, SeriesSettings())
    assert result.verdict == "exhausted" and result.surrogate is None
    assert result.n_evaluated == len(rows) == found.count.distinct
    np.testing.assert_array_equal(result.energies, np.sort(energies.of(rows)))
    np.testing.assert_allclose(energies.of(result.rows), result.energies)


@pytest.mark.parametrize("seed", range(4))
def test_the_lowest_of_a_pair_model_are_found(twelve, seed):
    """Energies that the surrogate can express: it settles on the true lowest ten after a part of them."""
    sublattice, rows, _ = twelve
    energies = PairEnergies(sublattice)
    settings = SeriesSettings(evaluate_at_most=150, settle_best=10, seed=seed)
    result = search_arrangements(listed(twelve), energies, settings)
    truth = energies.of(rows)
    found = np.isin([row.tobytes() for row in rows], energies.asked)
    assert result.verdict == "settled"
    assert result.n_evaluated <= 150 < len(rows)
    assert result.energies[0] == pytest.approx(truth.min(), abs=1e-12)
    assert recall_of_lowest(truth, found, 10) == 1
    assert result.surrogate.cv_error < 0.2 * truth.std()
    assert result.surrogate.cv_spearman > 0.95
    assert result.surrogate.expected_missed < 1


def test_nothing_is_asked_twice_and_the_seed_decides(twelve):
    runs = []
    for seed in (0, 0, 1):
        energies = PairEnergies(twelve[0])
        search_arrangements(listed(twelve), energies, SeriesSettings(evaluate_at_most=60, seed=seed))
        assert len(set(energies.asked)) == len(energies.asked) <= 60
        runs.append(energies.asked)
    assert runs[0] == runs[1] != runs[2]


def test_noise_meets_the_budget(twelve):
    """Energies without any rule: the budget ends the search, and the error says that nothing was learnt."""
    generator = np.random.default_rng(0)
    energies = generator.normal(size=100_000)
    place = iter(range(100_000))
    settings = SeriesSettings(evaluate_at_most=60, settle_best=20)
    result = search_arrangements(
        listed(twelve), lambda rows: np.array([energies[next(place)] for _ in rows]), settings
    )
    assert result.verdict == "budget" and result.n_evaluated == 60
    assert result.surrogate.cv_error > 0.8 * result.energies.std()
    assert result.surrogate.n_random > 0 and result.surrogate.random_error > 0.5
    assert result.surrogate.expected_missed > 1


def test_refused_arrangements_come_last(twelve):
    """A third refused: no part in the fit, none in the result but at its end."""
    sublattice, rows, _ = twelve
    energies = PairEnergies(sublattice, refuses=lambda row: row[0] == 1)
    result = search_arrangements(listed(twelve), energies, SeriesSettings(evaluate_at_most=90))
    refused = np.isnan(result.energies)
    assert 0 < refused.sum() < len(refused)
    assert (np.diff(refused.astype(int)) >= 0).all()
    assert (result.rows[refused][:, 0] == 1).all() and (result.rows[~refused][:, 0] == 0).all()
    assert result.energies[0] == pytest.approx(energies.of(rows[rows[:, 0] == 0]).min(), abs=1e-12)


def test_all_refused_is_told(twelve):
    with pytest.raises(PhysicsRefusal, match="none of the"):
        search_arrangements(listed(twelve), PairEnergies(twelve[0], refuses=lambda row: True), SeriesSettings())


def test_a_search_can_be_stopped(twelve):
    with pytest.raises(Interrupted, match="stopped after"):
        search_arrangements(
            listed(twelve), PairEnergies(twelve[0]), SeriesSettings(evaluate_at_most=60), stop=lambda: True
        )


def test_progress_ends_at_what_was_evaluated(twelve):
    told = []
    result = search_arrangements(
        listed(twelve),
        PairEnergies(twelve[0]),
        SeriesSettings(evaluate_at_most=60),
        progress=lambda done, total, state="": told.append((done, total)),
    )
    assert told[-1][0] == result.n_evaluated
    assert all(done <= total == 60 for done, total in told)


def test_too_many_to_list_but_found(twelve):
    """The same question asked without the list: descents meet the true lowest."""
    sublattice, rows, count = twelve
    energies = PairEnergies(sublattice)
    candidates = UnlistedArrangements(sublattice, 5)
    assert candidates.count == count
    result = search_arrangements(candidates, energies, SeriesSettings(evaluate_at_most=150))
    assert result.energies[0] == pytest.approx(energies.of(rows).min(), abs=1e-12)
    assert np.isnan(result.surrogate.expected_missed)
    assert {row.sum() for row in result.rows} == {5}


def test_an_unlisted_question_ends_when_all_is_known(twelve):
    """Twelve arrangements of one guest, a budget beyond: each is met once, none is waited for."""
    sublattice, _, _ = twelve
    energies = PairEnergies(sublattice)
    result = search_arrangements(
        UnlistedArrangements(sublattice, 1), energies, SeriesSettings(evaluate_at_most=50, settle_best=12)
    )
    assert result.n_evaluated == len(set(energies.asked)) == result.count.distinct == 12
    assert result.verdict == "settled"


def test_twenty_four_sites_without_a_list():
    """2.7 million arrangements: the lowest met is no higher than that of a long search by exchanges."""
    sublattice = layered(6)
    energies = PairEnergies(sublattice)
    result = search_arrangements(
        UnlistedArrangements(sublattice, 12), energies, SeriesSettings(evaluate_at_most=150)
    )
    generator = np.random.default_rng(3)
    lowest = np.inf
    for _ in range(20):
        row = generator.permutation(np.repeat(np.array([0, 1], dtype=np.uint8), 12))
        while True:
            neighbours = [row]
            for i in np.flatnonzero(row):
                for j in np.flatnonzero(row == 0):
                    other = row.copy()
                    other[[i, j]] = other[[j, i]]
                    neighbours.append(other)
            of = energies.of(np.array(neighbours))
            if of.argmin() == 0:
                break
            row = neighbours[of.argmin()]
        lowest = min(lowest, of[0])
    assert result.count.total == 2_704_156
    assert result.energies[0] <= lowest + 1e-9


def test_random_rows_are_distinct_and_new(twelve):
    sublattice, rows, count = twelve
    generator = np.random.default_rng(0)
    known = {row.tobytes() for row in rows[:10]}
    drawn = listed(twelve).random(20, generator, known)
    assert len({row.tobytes() for row in drawn} | known) == 30
    everything = listed(twelve).random(10_000, generator, known)
    assert len(everything) == count.distinct - 10
    unlisted = UnlistedArrangements(sublattice, 5).random(20, generator, set())
    assert len({row.tobytes() for row in unlisted}) == 20 and (unlisted.sum(axis=1) == 5).all()
    np.testing.assert_array_equal(canonical_rows(sublattice.permutations, unlisted)[0], unlisted)


def test_recall_by_hand():
    energies = np.array([3.0, 1.0, 2.0, 5.0])
    assert recall_of_lowest(energies, np.array([True, True, False, False]), 2) == 0.5
    assert recall_of_lowest(energies, np.array([False, True, True, False]), 2) == 1
    tied = np.array([1.0, 2.0, 2.0, 2.0])
    assert recall_of_lowest(tied, np.array([True, False, False, True]), 2) == 1
    assert recall_of_lowest(tied, np.array([True, False, False, True]), 3) == pytest.approx(2 / 3)
    assert recall_of_lowest(tied, np.array([False, True, True, True]), 1) == 0

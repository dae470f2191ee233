"""Rounds of relaxations on ordering sets of which every energy is known."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.ranking import electrostatic_energies, measure_prefilter, plan_round
from halion.ranking.lowest import lowest_orderings
from halion.settings import RankingSettings


@pytest.fixture(scope="module")
def sixty(ordering_set):
    """One Li among sixty sites around a Cl: sixty electrostatic energies, none of them equal."""
    rng = np.random.default_rng(5)
    fractional = np.concatenate([[(0, 0, 0)], rng.uniform(0.1, 0.9, size=(60, 3))])
    occupation = np.zeros((60, 61), dtype=int)
    occupation[:, 0] = 2
    occupation[np.arange(60), np.arange(1, 61)] = 1
    return ordering_set(np.eye(3) * 11, fractional, {"Li": 1.0, "Cl": -1.0}, occupation)


def run(ordering_set, truth, wanted) -> tuple[dict[int, float], list]:
    """All rounds; the energies that were asked for, and the selections."""
    done, selections = {}, []
    while (selection := plan_round(ordering_set, done, wanted)) is not None:
        asked = [one.ordering for one in selection.candidates]
        assert asked
        assert not set(asked) & set(done)
        assert len(set(asked)) == len(asked)
        done |= {index: truth[index] for index in asked}
        selections.append(selection)
    return done, selections


def test_a_perfect_prefilter_needs_one_round(sixty):
    """Relaxed energies in the order of the electrostatic ones: the control group finds nothing better."""
    truth = electrostatic_energies(sixty)
    wanted = RankingSettings(relax_best=8, control=6, relax_most=60)
    done, selections = run(sixty, truth, wanted)
    assert len(selections) == 1
    assert [one.is_control for one in selections[0].candidates] == [False] * 8 + [True] * 6
    assert set(np.argsort(truth)[:8]) <= set(done)
    assert "6 of the 52 others, drawn at random, are relaxed beside them" in selections[0].note
    found = measure_prefilter(sixty, {k: (math.nan, energy) for k, energy in done.items()}, wanted)
    assert (found.recall, found.below_best, found.n_chosen, found.n_control) == (1.0, 0, 8, 6)
    assert found.spearman == pytest.approx(1)
    assert "widened" not in found.note


def test_a_worthless_prefilter_is_widened_to_the_bound(sixty):
    """Relaxed energies in the opposite order: the best are the last that the prefilter would choose."""
    truth = -electrostatic_energies(sixty)
    wanted = RankingSettings(relax_best=4, control=6, relax_most=40)
    done, selections = run(sixty, truth, wanted)
    # 4, 8, 16, 32 and 40 - 6 lowest.
    assert len(selections) == 5
    assert set(lowest_orderings(sixty, 34).orderings.tolist()) <= set(done)
    found = measure_prefilter(sixty, {k: (0.0, energy) for k, energy in done.items()}, wanted)
    assert (found.n_chosen, found.n_control, found.recall) == (34, 6, 0.0)
    assert "widened from 4 to 34" in found.note
    assert "ranking.relax_most is 40" in found.note
    assert "about 4 of the best 4 were probably missed" in found.note


def test_with_room_enough_the_best_are_found(sixty):
    truth = -electrostatic_energies(sixty)
    done, _ = run(sixty, truth, RankingSettings(relax_best=4, control=6, relax_most=100))
    assert len(done) == 60
    found = measure_prefilter(
        sixty, {k: (0.0, energy) for k, energy in done.items()}, RankingSettings(relax_best=4)
    )
    assert (found.recall, found.n_rest) == (1.0, 0)


def test_without_a_control_group_nothing_is_widened(sixty):
    wanted = RankingSettings(relax_best=4, control=0, relax_most=60)
    done, selections = run(sixty, -electrostatic_energies(sixty), wanted)
    assert (len(done), len(selections)) == (4, 1)
    assert math.isnan(measure_prefilter(sixty, {k: (0.0, e) for k, e in done.items()}, wanted).recall)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    noise=st.floats(0, 3),
    best=st.integers(1, 12),
    control=st.integers(1, 12),
    most=st.integers(1, 70),
    refused=st.sets(st.integers(0, 59), max_size=20),
)
def test_rounds_end_and_can_be_resumed(sixty, seed, noise, best, control, most, refused):
    """However a study is cut, the same orderings are relaxed in the end, and no more than allowed."""
    rng = np.random.default_rng(seed)
    electrostatic = electrostatic_energies(sixty)
    truth = electrostatic + rng.normal(scale=noise * np.std(electrostatic), size=60)
    truth[list(refused)] = np.inf
    wanted = RankingSettings(relax_best=best, control=control, relax_most=most, seed=seed)
    done, selections = run(sixty, truth, wanted)
    # Members of earlier control groups that stay outside are members of later ones: the bound holds for all.
    assert len(done) <= max(most, best + control)
    # Cut after one relaxation of the first round, asked again: the rest of that round, then the same.
    first = selections[0].candidates[-1].ordering
    cut = {first: truth[first]}
    again = plan_round(sixty, cut, wanted)
    expected = [one.ordering for one in selections[0].candidates if one.ordering != first]
    assert (again is None and not expected and len(selections) == 1) or expected == [
        one.ordering for one in again.candidates
    ][: len(expected)]
    measured = measure_prefilter(sixty, {k: (energy, energy) for k, energy in done.items()}, wanted)
    assert measured.n_chosen + measured.n_control == len(done)
    is_good = measured.recall >= wanted.least_recall
    is_full = measured.n_chosen >= min(60, max(best, most - control))
    assert is_good or is_full


def test_ties_drawn_in_an_earlier_round_stay_chosen(ordering_set):
    """A hundred orderings of one energy: a wider draw takes others, and those of the first are no control group."""
    fractional = [(0, 0, 0), (0.5, 0.5, 0.5), (0.1, 0.2, 0.3), (0.7, 0.1, 0.4)]
    ions = {"Mg": 2.0, "Cl": -1.0, "Br": -1.0}
    tied = ordering_set(np.eye(3) * 8, fractional, ions, [[1, 0, 2, 3]] * 100)
    truth = -np.arange(100.0)
    wanted = RankingSettings(relax_best=3, control=5, relax_most=20)
    done, _ = run(tied, truth, wanted)
    first = set(lowest_orderings(tied, 3).orderings.tolist())
    wider = set(lowest_orderings(tied, 6).orderings.tolist())
    assert first - wider  # the fixture's premise: draws of a tie are not nested
    found = measure_prefilter(tied, {k: (0.0, energy) for k, energy in done.items()}, wanted)
    assert not first & set(found.control)
    assert len(done) <= 20
    assert found.n_chosen + found.n_control == len(done)


def test_other_choices_are_measured_without_a_control_group(sixty):
    """Orderings relaxed by some other choice say nothing of the prefilter."""
    found = measure_prefilter(sixty, {3: (0.0, -1.0), 8: (0.0, -2.0)}, RankingSettings())
    assert (found.n_chosen, found.n_control) == (2, 0)
    assert math.isnan(found.recall)


def test_a_memory_map_is_planned_as_an_array(sixty, tmp_path):
    np.save(tmp_path / "rows.npy", sixty.occupation)
    mapped = dataclasses.replace(sixty, occupation=np.load(tmp_path / "rows.npy", mmap_mode="r"))
    wanted = RankingSettings(relax_best=5, control=5)
    one, other = plan_round(sixty, {}, wanted), plan_round(mapped, {}, wanted)
    assert [c.ordering for c in one.candidates] == [c.ordering for c in other.candidates]
    assert one.candidates[7].atoms == other.candidates[7].atoms

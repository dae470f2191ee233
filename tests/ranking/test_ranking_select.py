"""The choice of candidates: lowest first, ties told and represented, nothing left to chance."""

import numpy as np
import pytest

from halion.ranking import Selection, electrostatic_energies, select_candidates
from halion.records import from_record, to_record
from halion.settings import RankingSettings


@pytest.fixture(scope="module")
def line(ordering_set):
    """One Li and one vacancy among six sites at growing distance from a Cl: six energies, all different."""
    fractional = [(0, 0, 0), *((0.12 + 0.07 * k, 0.03 * k, 0.01) for k in range(6))]
    occupation = [[2, *(int(k == filled) for k in range(6))] for filled in (3, 0, 5, 1, 4, 2)]
    return ordering_set(np.eye(3) * 9, fractional, {"Li": 1.0, "Cl": -1.0}, occupation)


@pytest.fixture(scope="module")
def tied(ordering_set):
    """Cl and Br, alike in charge, among twelve sites: one energy for all; and one arrangement of Li lower."""
    rng = np.random.default_rng(0)
    fractional = np.concatenate([[(0, 0, 0), (0.5, 0.5, 0.5)], rng.uniform(size=(2, 3))])
    occupation = [[1, 0, 2, 3], [1, 0, 3, 2], [0, 1, 2, 3], [0, 1, 3, 2]]
    charges = {"Mg": 2.0, "Cl": -1.0, "Br": -1.0}
    return ordering_set(np.eye(3) * 8, fractional, charges, occupation, [5, 1, 2, 2])


@pytest.mark.parametrize("n", [1, 2, 5, 6, 50])
def test_lowest_first(line, n):
    selection = select_candidates(line, RankingSettings(relax_best=n))
    energies = electrostatic_energies(line)
    expected = np.argsort(energies)[:n]
    assert [candidate.ordering for candidate in selection.candidates] == list(expected)
    assert selection.n_tied_left_out == 0
    for candidate in selection.candidates:
        assert candidate.electrostatic_energy == energies[candidate.ordering]
        assert candidate.multiplicity == line.multiplicity[candidate.ordering]
        assert candidate.atoms == line.structure(candidate.ordering)
    assert ("All 6" in selection.note) == (n >= 6)


def test_a_tie_at_the_cut_is_told(tied):
    energies = electrostatic_energies(tied)
    low = set(np.flatnonzero(energies < energies.mean()))
    assert len(low) == 2  # the fixture's premise: two pairs
    assert np.ptp(energies[list(low)]) < 1e-9
    three = select_candidates(tied, RankingSettings(relax_best=3))
    assert {candidate.ordering for candidate in three.candidates[:2]} == low
    assert three.n_tied_left_out == 1
    assert "tie of 2" in three.note
    assert "1 left out" in three.note
    two = select_candidates(tied, RankingSettings(relax_best=2))
    assert two.n_tied_left_out == 0
    assert "tie" not in two.note
    one = select_candidates(tied, RankingSettings(relax_best=1))
    assert one.n_tied_left_out == 1
    assert one.candidates[0].ordering in low


def test_no_charges_tell_nothing_apart(ordering_set, line):
    """A metal: every energy is zero, and the note says that the choice means nothing."""
    neutral = ordering_set(line.cell, line.fractional, {"Li": 0.0, "Cl": 0.0}, line.occupation)
    selection = select_candidates(neutral, RankingSettings(relax_best=3))
    assert len(selection.candidates) == 3
    assert "does not tell them apart" in selection.note


def test_selection_survives_its_record(tied):
    selection = select_candidates(tied, RankingSettings(relax_best=3))
    again = from_record(Selection, to_record(selection))
    assert to_record(again) == to_record(selection)
    assert again.candidates[0].atoms == selection.candidates[0].atoms

"""Occupancies of relaxed orderings in closed form: two levels, exhausted sets, samples, and what is not known."""

import dataclasses
import math

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.orderings.types import Composition, OrbitComposition, OrderingCount, OrderingSet, PairExclusion, Sample
from halion.ranking import (
    Candidate,
    Ranking,
    Relaxation,
    assess,
    back_check_table,
    plan_round,
    rank,
    ranking_table,
    relaxed_table,
)
from halion.ranking.assess import notes_on
from halion.ranking.back_check import check_occupancies
from halion.ranking.splits import split_of
from halion.records import from_record, to_record
from halion.settings import RankingSettings
from halion.units import BOLTZMANN_EV_PER_K

# Two orbits, of two and of four sites, and an anion that is always there.
SITES = [(0.1, 0, 0), (0.6, 0, 0), (0.2, 0.5, 0.1), (0.7, 0.5, 0.1), (0.2, 0.5, 0.6), (0.7, 0.5, 0.6), (0, 0, 0.5)]
ORBITS = np.array([0, 0, 1, 1, 1, 1, 2])
REFINED = ({"Li": 0.7}, {"Li": 0.15}, {"O": 1.0})


def composition(*lithium: int) -> Composition:
    counts = [*({"Li": n} if n else {} for n in lithium), {"O": 1}]
    return Composition(
        supercell=(1, 1, 1),
        orbits=tuple(
            OrbitComposition(
                orbit=k,
                wyckoff=("2a", "4b", "1c")[k],
                n_sites=int((k == ORBITS).sum()),
                counts=counts[k],
                refined=REFINED[k],
                deviation=0.0,
            )
            for k in range(3)
        ),
        formula="Li2 O",
        charge=0.0,
        deviation=0.0,
        ties=0,
    )


POOLED = (composition(1, 1), composition(2, 0), composition(0, 2))
# Both on 2a; one each, in four ways; both on 4b, in six. Multiplicities of a group that nobody needs to know here.
ROWS = [[1, 1, 0, 0, 0, 0, 2], [1, 0, 1, 0, 0, 0, 2], [0, 0, 1, 1, 0, 0, 2], [0, 0, 1, 0, 1, 0, 2]]
MULTIPLICITY = [1, 8, 2, 4]


def pooled_set(**changes) -> OrderingSet:
    found = OrderingSet(
        crystal_name="by hand",
        compositions=POOLED,
        count=OrderingCount(total=15, distinct=4, group_order=8),
        exclusions=(),
        total_allowed=15,
        cell=np.eye(3) * 6.0,
        fractional=np.array(SITES),
        site_orbit=ORBITS,
        species=("", "Li", "O"),
        charges=np.array([0.0, 1.0, -2.0]),
        occupation=np.array(ROWS, dtype=np.uint8),
        multiplicity=np.array(MULTIPLICITY),
    )
    return dataclasses.replace(found, **changes)


def relaxation(atoms: Atoms, energy: float) -> Relaxation:
    return Relaxation(
        atoms=atoms,
        energy=energy,
        is_converged=True,
        n_steps=5,
        max_force=0.001,
        max_stress=0.0,
        volume_change=0.0,
        max_displacement=0.0,
        space_group_before="P1",
        space_group_after="P1",
        static_energy=energy + 0.3,
    )


def ranking_of(found: OrderingSet, energies: dict[int, float], temperature_k: float = 300.0) -> Ranking:
    pairs = [
        (
            Candidate(
                ordering=k,
                multiplicity=int(found.multiplicity[k]),
                electrostatic_energy=0.1 * k,
                atoms=found.structure(k),
                split=split_of(found, k),
            ),
            relaxation(found.structure(k), energy),
        )
        for k, energy in energies.items()
    ]
    return rank(pairs, potential="test", n_orderings=found.n_orderings, temperature_k=temperature_k)


def occupancies(check) -> dict[str, tuple[float, float]]:
    return {one.wyckoff: (one.weighted, one.infinite) for one in check.occupancies}


def test_two_levels_in_closed_form():
    """Both on 2a, one of them: 1 against 8 exp(-dE/kT), with the energy of the three-atom cell."""
    temperature_k, gap = 500.0, 0.03
    check = check_occupancies(ranking_of(pooled_set(), {0: -3.0, 1: -3.0 + gap}, temperature_k), pooled_set())
    upper = 8 * math.exp(-3 * gap / (BOLTZMANN_EV_PER_K * temperature_k))
    share = 1 / (1 + upper)
    assert occupancies(check)["2a"][0] == pytest.approx(share + (1 - share) / 2, rel=1e-12)
    assert occupancies(check)["4b"][0] == pytest.approx((1 - share) / 4, rel=1e-12)
    # The full anion orbit says nothing; refined occupancies stand beside.
    assert [(one.wyckoff, one.element, one.refined) for one in check.occupancies] == [
        ("2a", "Li", 0.7),
        ("4b", "Li", 0.15),
    ]
    assert check.multiplicity_share == pytest.approx(9 / 15)
    assert math.isnan(check.weight_share)


def test_without_temperature_all_orderings_are_alike():
    """15 ways to put two Li on six sites: a third of every site."""
    check = check_occupancies(ranking_of(pooled_set(), dict.fromkeys(range(4), -3.0), 1e9), pooled_set())
    for weighted, infinite in occupancies(check).values():
        assert weighted == pytest.approx(1 / 3, abs=1e-9)
        assert infinite == pytest.approx(1 / 3, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(energies=st.lists(st.floats(-3.2, -2.8), min_size=4, max_size=4), temperature_k=st.floats(50, 5000))
def test_the_means_are_those_of_every_single_ordering(energies, temperature_k):
    """Brute force over the orderings themselves; and the atoms add up: two Li."""
    found = pooled_set()
    check = check_occupancies(ranking_of(found, dict(enumerate(energies)), temperature_k), found)
    weights = [
        g * math.exp(-3 * (e - min(energies)) / (BOLTZMANN_EV_PER_K * temperature_k))
        for g, e in zip(MULTIPLICITY, energies, strict=True)
    ]
    on_2a = [sum(row[:2]) / 2 for row in ROWS]
    expected = sum(w * x for w, x in zip(weights, on_2a, strict=True)) / sum(weights)
    assert occupancies(check)["2a"][0] == pytest.approx(expected, rel=1e-9)
    assert 2 * occupancies(check)["2a"][0] + 4 * occupancies(check)["4b"][0] == pytest.approx(2, rel=1e-9)


def test_merged_orderings_weigh_where_they_started():
    """Two orderings end in one structure: one row, and each counts with its own sites and multiplicity."""
    found = pooled_set()
    same = found.structure(0)
    pairs = [
        (
            Candidate(ordering=k, multiplicity=MULTIPLICITY[k], electrostatic_energy=0.0, atoms=same),
            relaxation(same, -3.0 + 1e-5 * k),
        )
        for k in (0, 2)
    ]
    ranking = rank(pairs, potential="test", n_orderings=4, temperature_k=300.0)
    assert len(ranking.rows) == 1
    (merged,) = ranking.merged
    assert (merged.ordering, merged.collapsed_to, merged.multiplicity) == (2, 0, 2)
    assert occupancies(check_occupancies(ranking, found))["2a"][0] == pytest.approx(1 / 3, rel=1e-12)
    rows = relaxed_table(ranking)
    assert [(row["ordering"], row["collapsed_to"], row["outcome"]) for row in rows] == [
        (0, 0, "ranked"),
        (2, 0, "merged"),
    ]


def test_one_composition_cannot_move():
    fixed = pooled_set(compositions=POOLED[:1], occupation=np.array(ROWS[1:2], dtype=np.uint8))
    check = check_occupancies(ranking_of(fixed, {0: -3.0}), fixed)
    assert occupancies(check) == {"2a": (0.5, 0.5), "4b": (0.25, 0.25)}
    assert "fixed" in check.note


def sample(measure: str, n_draws: int) -> Sample:
    unseen = math.nan if measure == "low-energy" else 0.1
    return Sample(measure=measure, n_draws=n_draws, n_once=1, seed=3, coverage=1.0, unseen_mass=unseen)


@pytest.mark.parametrize("n_draws", [1, 4, 1000])
@pytest.mark.parametrize("measure", ["colourings", "orderings"])
def test_samples_are_weighted_by_their_chance(measure, n_draws):
    """Horvitz and Thompson's sum over all sets that could have been drawn is the sum over all orderings.

    Every outcome of n draws is too many to list; by linearity an ordering in the set counts with its probability.
    """
    found = pooled_set(sample=sample(measure, n_draws))
    check = check_occupancies(ranking_of(found, dict.fromkeys(range(4), -3.0), 1e9), found)
    share = [g / 15 if measure == "colourings" else 1 / 4 for g in MULTIPLICITY]
    weights = [g / (1 - (1 - p) ** n_draws) for g, p in zip(MULTIPLICITY, share, strict=True)]
    expected = sum(w * sum(row[:2]) / 2 for w, row in zip(weights, ROWS, strict=True)) / sum(weights)
    assert occupancies(check)["2a"][0] == pytest.approx(expected, rel=1e-8)
    # Without exclusions the whole is known, sampled or not.
    assert occupancies(check)["2a"][1] == pytest.approx(1 / 3, rel=1e-12)


def test_what_exclusions_leave_is_listed_or_unknown():
    """The two neighbours on 4b never together: 13 of 15 orderings are left, 2 * 1 + 8 * 1/2 of them full on 2a."""
    never = PairExclusion(orbits=(1, 1), elements=("Li", "Li"), distance=2.0, below=2.5, reason="closest cations")
    listed = pooled_set(
        exclusions=(never,),
        total_allowed=13,
        occupation=np.array(ROWS, dtype=np.uint8)[[0, 1, 3]],
        multiplicity=np.array(MULTIPLICITY)[[0, 1, 3]],
    )
    check = check_occupancies(ranking_of(listed, {0: -3.0}), listed)
    assert occupancies(check)["2a"][1] == pytest.approx((1 + 8 / 2) / 13, rel=1e-12)
    assert check.multiplicity_share == pytest.approx(1 / 13)
    for unknown in ({"sample": sample("colourings", 9)}, {"shard": (0, 2)}):
        part = dataclasses.replace(listed, **unknown)
        assert math.isnan(occupancies(check_occupancies(ranking_of(part, {0: -3.0}), part))["2a"][1])
    assert any("part 2 of 3" in note for note in notes_on(pooled_set(shard=(1, 3))))


def test_draws_of_colourings_average_to_all_of_them():
    """Sampled for real, many times over: the mean of the estimated sums is the sum over all orderings."""
    rng = np.random.default_rng(0)
    n_draws, trials, total = 3, 4000, 0.0
    values = np.array([sum(row[:2]) / 2 for row in ROWS])
    share = np.array(MULTIPLICITY) / 15
    chance = 1 - (1 - share) ** n_draws
    for _ in range(trials):
        drawn = np.unique(rng.choice(4, n_draws, p=share))
        total += (np.array(MULTIPLICITY)[drawn] * values[drawn] / chance[drawn]).sum()
    # Sum over all 15 orderings of the occupancy of 2a: 5. The estimate spreads by about 3 per trial: 0.05 of 4000.
    assert total / trials == pytest.approx(5.0, abs=0.2)


def test_a_search_for_low_energies_is_no_ensemble():
    found = pooled_set(sample=sample("low-energy", 50))
    ranking = assess(ranking_of(found, dict.fromkeys(range(4), -3.0)), found, RankingSettings())
    assert "no ensemble" in ranking.back_check.note
    assert any("biased search of 50 draws" in note for note in ranking.notes)
    assert not any("unseen" in note or "next draw" in note for note in ranking.notes)


def test_a_sample_says_what_it_has_not_seen():
    found = pooled_set(sample=dataclasses.replace(sample("colourings", 40), coverage=0.25, unseen_mass=0.3))
    notes = assess(ranking_of(found, {0: -3.0, 1: -2.9}), found, RankingSettings()).notes
    assert any("3 ways to spread Li2 O" in note for note in notes)
    assert any("25 % of all distinct orderings" in note and "probability of 30 %" in note for note in notes)


def test_rows_say_which_split():
    found = pooled_set()
    assert [split_of(found, k) for k in range(4)] == [
        "2a Li 2/2, 4b vacant",
        "2a Li 1/2, 4b Li 1/4",
        "2a vacant, 4b Li 2/4",
        "2a vacant, 4b Li 2/4",
    ]
    assert split_of(pooled_set(compositions=POOLED[:1]), 1) == ""
    rows = ranking_table(ranking_of(found, {1: -3.0, 3: -2.9}))
    assert [row["split"] for row in rows] == ["2a Li 1/2, 4b Li 1/4", "2a vacant, 4b Li 2/4"]
    # Three atoms in (6 Angstrom)^3, one formula unit.
    assert rows[0]["volume_angstrom3_per_atom"] == pytest.approx(72.0)
    assert rows[0]["energy_ev_per_formula_unit"] == pytest.approx(-9.0)
    assert rows[0]["static_energy_ev_per_atom"] == pytest.approx(-2.7)


def test_an_assessed_ranking_survives_its_record():
    found = pooled_set()
    wanted = RankingSettings(relax_best=1, control=2, relax_most=3)
    chosen = plan_round(found, {}, wanted)
    energies = {one.ordering: -3.0 + 0.01 * k for k, one in enumerate(chosen.candidates)}
    ranking = assess(ranking_of(found, energies), found, wanted)
    assert ranking.quality.n_control == 2
    assert ranking.quality.recall == 1.0
    # Three relaxed of four; each control ordering stands for one and a half.
    weights = {
        k: MULTIPLICITY[k] * math.exp(-3 * (e + 3.0) / (BOLTZMANN_EV_PER_K * 300)) for k, e in energies.items()
    }
    control = sum(weights[k] for k in ranking.quality.control)
    share = sum(weights.values()) / (sum(weights.values()) - control + 1.5 * control)
    assert ranking.back_check.weight_share == pytest.approx(share, rel=1e-9)
    again = from_record(Ranking, to_record(ranking))
    assert to_record(again) == to_record(ranking)
    table = back_check_table(again.back_check)
    assert [row["wyckoff"] for row in table] == ["2a", "4b"]
    assert table[0]["refined"] == 0.7

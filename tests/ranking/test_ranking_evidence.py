"""The evidence of an entry in words, for each way in which a search can end; and x that are thirds."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from halion.errors import OrderingError
from halion.orderings.types import OrderingCount, as_supercell
from halion.ranking.arrange import SurrogateQuality
from halion.ranking.evidence import evidence, weakest
from halion.ranking.framework import ParentPhase
from halion.ranking.series_plan import most_listed, plan_series
from halion.ranking.series_types import PlannedComposition, SeriesEntry
from halion.ranking.sublattice import _group
from halion.ranking.types import Relaxation
from halion.settings import SeriesSettings

QUALITY = SurrogateQuality(
    cv_error=0.00042,
    cv_spearman=0.913,
    random_error=0.00061,
    n_random=14,
    expected_missed=1.26,
    explained={"points": 1.0},
)


def entry(**changes) -> SeriesEntry:
    """An entry by hand: 18 of 330 arrangements evaluated."""
    atoms = Atoms("YClBr2", positions=[(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 2)], cell=[4, 4, 4], pbc=True)
    counts = (OrderingCount(total=990, distinct=330, group_order=4),)
    plan = PlannedComposition(
        name="LYB2",
        parent="LYB",
        x=2.0,
        supercell=as_supercell((1, 1, 1)),
        n_atoms=4,
        n_sites=3,
        n_guests=2,
        formula_units=1,
        counts=counts,
        mirror="LYB1",
        is_listed=True,
        most_evaluated=100,
    )
    relaxation = Relaxation(
        atoms=atoms,
        energy=-4.2,
        is_converged=True,
        n_steps=71,
        max_force=0.009,
        max_stress=0.0001,
        volume_change=0.0213,
        max_displacement=0.234,
        space_group_before="P1",
        space_group_after="C2",
    )
    made = SeriesEntry(
        plan=plan,
        counts=counts,
        cations=0,
        start=atoms,
        relaxation=relaxation,
        n_evaluated=18,
        n_refused=0,
        verdict="settled",
        surrogate=QUALITY,
        mixing_energy=-0.07,
        runner_up=0.00031,
        evidence="",
    )
    return replace(made, **changes)


def test_a_settled_search():
    assert evidence(entry()).evidence == (
        "Lowest of 18 evaluated of 330 distinct arrangements (990 in all). All that the surrogate predicts lowest "
        "were evaluated. Surrogate: leave-one-out error 0.42 meV/atom, rank correlation 0.91; error on 14 random "
        "ones 0.61 meV/atom; 1.3 unevaluated ones expected below the lowest. The second lowest lies 0.31 meV/atom "
        "higher. Relaxed from P1 to C2, volume +2.1%, largest displacement 0.23 Angstrom."
    )


def test_a_budget_that_ended():
    assert "The budget ended before all" in evidence(entry(verdict="budget")).evidence


def test_all_evaluated():
    text = evidence(entry(verdict="exhausted", surrogate=None)).evidence
    assert text.startswith("Lowest of all 330 distinct arrangements (990 in all). The second")
    assert "urrogate" not in text


def test_a_single_arrangement():
    one = (OrderingCount(total=1, distinct=1, group_order=4),)
    text = evidence(entry(verdict="exhausted", surrogate=None, counts=one, runner_up=np.nan)).evidence
    assert text.startswith("The only arrangement. Relaxed from")


def test_several_cation_orderings():
    text = evidence(entry(counts=entry().counts * 3)).evidence
    assert text.startswith(
        "Lowest of 18 evaluated of 990 distinct arrangements (2970 in all) on 3 cation orderings."
    )


def test_what_could_not_be_known_is_not_said():
    """Not listed: no number of those missed; no random ones drawn: no error on them."""
    quality = replace(QUALITY, n_random=0, random_error=np.nan, expected_missed=np.nan)
    text = evidence(entry(surrogate=quality, plan=replace(entry().plan, is_listed=False))).evidence
    assert "random" not in text and "expected" not in text and "nan" not in text
    assert "exchanges of two sites" in text


def test_refusals_and_relaxations_that_did_not_converge_are_told():
    relaxation = replace(entry().relaxation, is_converged=False, n_steps=400)
    text = evidence(entry(n_refused=3, relaxation=relaxation)).evidence
    assert "3 were refused." in text and "did not converge in 400 steps" in text


def test_the_weakest_verdict_speaks_for_all():
    assert weakest(["exhausted", "settled"]) == "settled"
    assert weakest(["exhausted", "budget", "settled"]) == "budget"
    assert weakest(["exhausted"]) == "exhausted"


@pytest.fixture(scope="module")
def pair_of_units() -> ParentPhase:
    """Two formula units YCl3, six shared sites."""
    sites = [(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.25), (0.5, 0, 0.5), (0, 0.5, 0.5), (0, 0, 0.75)]
    atoms = Atoms("Y2Cl6", scaled_positions=[(0, 0, 0), (0, 0, 0.5), *sites], cell=[5, 5, 10.5], pbc=True)
    return ParentPhase(name="T", structures=(atoms,))


@pytest.mark.parametrize(
    ("x", "n_cells", "n_guests"),
    [(0.5, 1, 1), (1, 1, 2), (1 / 3, 3, 2), (0.3333, 3, 2), (0.25, 2, 1), (2.75, 2, 11), (3, 1, 6), (0, 1, 0)],
)
def test_the_smallest_cell_that_holds_x(pair_of_units, x, n_cells, n_guests):
    (planned,) = plan_series([pair_of_units], SeriesSettings(steps=(x,)))
    assert planned.n_atoms == 8 * n_cells and planned.n_sites == 6 * n_cells
    assert planned.n_guests == n_guests
    assert round(abs(np.linalg.det(np.array(planned.supercell)))) == n_cells


def test_what_can_be_evaluated_is_listed(pair_of_units):
    settings = SeriesSettings(steps=(1.5,), list_at_most=1, evaluate_at_most=50)
    (planned,) = plan_series([pair_of_units], settings)
    assert most_listed(settings) == 50 and planned.is_listed and planned.total == 20
    assert planned.most_evaluated == planned.distinct < 20


def test_permutations_that_are_no_group_are_refused():
    cycle = np.array([[0, 1, 2], [1, 2, 0]])
    with pytest.raises(OrderingError, match="no group"):
        _group(cycle, 0.05)
    whole = _group(np.array([[2, 0, 1], [0, 1, 2], [1, 2, 0], [0, 1, 2]]), 0.05)
    assert whole.tolist() == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]

"""The composition series: its plan, the choice against relaxing everything, mirrors, files, resumption."""

import csv
import itertools
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from halion.crystal import builtin_crystal
from halion.errors import InputError, Interrupted, TornFile
from halion.orderings.types import as_supercell
from halion.potentials import ChgnetPotential
from halion.ranking import relax, relax_batch
from halion.ranking.framework import ParentPhase, build_framework, relax_ends
from halion.ranking.series import Representatives, build_entry, build_series
from halion.ranking.series_files import read_series, series_table, write_series
from halion.ranking.series_plan import plan_series
from halion.ranking.sublattice import find_sublattice
from halion.settings import RankingSettings, SeriesSettings

RANKING = RankingSettings(max_steps=400)
METALS = SeriesSettings(elements=("Cu", "Au"), steps=(0, 1, 1.5, 2, 3))


def alloy() -> Atoms:
    """Two cells of L1_2, the aluminium off centre along the long axis: six shared sites on three orbits."""
    one = Atoms(
        "AlCu3",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=[3.75, 3.75, 3.75],
        pbc=True,
    )
    return one.repeat((1, 1, 2))


def parent(name: str = "LYC") -> Atoms:
    """An ordering of the refined average with the fewest clashes: every second Li and one Y per column removed."""
    crystal = builtin_crystal({"LYC": "Li3YCl6", "LYB": "Li3YBr6"}[name])
    symbols = [max(orbit.occupancy, key=orbit.occupancy.get) for orbit in crystal.orbits for _ in orbit.fractional]
    atoms = Atoms(symbols, scaled_positions=crystal.fractional, cell=crystal.cell, pbc=True)
    n_units = 3 if name == "LYC" else 2
    surplus = {"Li": symbols.count("Li") - 3 * n_units, "Y": symbols.count("Y") - n_units}
    drop = [k for e, n in surplus.items() for k in [i for i, s in enumerate(symbols) if s == e][::-1][:n]]
    return atoms[[k for k in range(len(atoms)) if k not in drop]]


@pytest.fixture(scope="module")
def both() -> tuple[ParentPhase, ...]:
    return tuple(ParentPhase(name=name, structures=(parent(name),)) for name in ("LYC", "LYB"))


@pytest.fixture(scope="module")
def catalogue(emt):
    return list(build_series([ParentPhase(name="A", structures=(alloy(),))], emt, METALS, RANKING))


def test_thirteen_compositions_of_both_parents(both):
    planned = plan_series(both, SeriesSettings())
    names = [f"{name}{x:g}" for name in ("LYC", "LYB") for x in np.arange(0, 6.5, 0.5)]
    assert sorted(each.name for each in planned) == sorted(names)
    assert [each.name for each in planned[:2]] == ["LYC0", "LYC6"]
    for each in planned:
        assert each.n_guests * 6 == pytest.approx(each.x * each.n_sites)
        half = each.parent == "LYC" and each.x % 1
        assert each.n_atoms == (60 if half else 30) if each.parent == "LYC" else 20
        assert each.n_sites == 6 * each.formula_units and each.n_atoms == 10 * each.formula_units
        assert each.mirror == ("" if each.x == 3 else f"{each.parent}{6 - each.x:g}")


def test_mirrors_have_equal_counts_and_ends_one_arrangement(both):
    planned = {each.name: each for each in plan_series(both, SeriesSettings())}
    for each in planned.values():
        if each.mirror:
            assert planned[each.mirror].counts == each.counts
        if each.x in (0, 6):
            assert each.total == each.distinct == each.most_evaluated == 1
    assert planned["LYB3"].total == 924 and planned["LYC3"].total == 48_620
    assert not planned["LYC2.5"].is_listed and planned["LYC2.5"].total == 5_567_902_560
    assert planned["LYC0.5"].is_listed and planned["LYC0.5"].total == 7140
    # Doubled along the short axis: the images of the 30-atom cell are 6 Angstrom apart along c.
    assert planned["LYC0.5"].supercell == as_supercell((1, 1, 2))


@pytest.mark.parametrize(
    ("change", "said"),
    [({"steps": (0, 7)}, "between 0 and 6"), ({"steps": (0.3,), "max_atoms": 60}, "300 atoms")],
)
def test_an_x_that_does_not_fit_is_refused(both, change, said):
    with pytest.raises(InputError, match=said):
        plan_series(both[:1], SeriesSettings(**change))


def test_parents_need_names_and_structures(both):
    with pytest.raises(InputError, match="name of its own"):
        plan_series([both[0], both[0]], SeriesSettings())
    with pytest.raises(InputError, match="at least one ordered structure"):
        plan_series([ParentPhase(name="LYC", structures=())], SeriesSettings())


def test_each_choice_is_the_lowest_of_relaxing_everything(emt, catalogue):
    """All arrangements, equivalent ones too, relaxed one after another from the same starts."""
    (ends,) = relax_ends(ParentPhase(name="A", structures=(alloy(),)), emt, METALS, RANKING)
    made = build_framework(ends, as_supercell((1, 1, 1)), METALS)
    for entry in catalogue:
        if entry.plan.name not in ("A1", "A3"):
            continue
        n = entry.plan.n_guests
        rows = [np.isin(np.arange(6), chosen).astype(np.uint8) for chosen in itertools.combinations(range(6), n)]
        energies = [relax(made.start(row), emt, RANKING).energy for row in rows]
        assert entry.relaxation.energy == pytest.approx(min(energies), abs=1e-5)
        assert entry.counts[0].total == len(rows)
        assert entry.verdict == "exhausted" and entry.n_evaluated == entry.counts[0].distinct


def test_the_catalogue_says_what_it_has(catalogue):
    by_name = {entry.plan.name: entry for entry in catalogue}
    assert list(by_name) == ["A0", "A3", "A1", "A1.5", "A2"]
    for entry in catalogue:
        assert entry.start.get_chemical_symbols().count("Au") == entry.plan.n_guests
        assert entry.relaxation.is_converged
        assert entry.plan.x in (0, 3) or str(entry.counts[0].distinct) in entry.evidence
    assert by_name["A0"].mixing_energy == pytest.approx(0, abs=1e-4)
    assert by_name["A3"].mixing_energy == pytest.approx(0, abs=1e-4)
    # Formation: E(x) minus the line between the ends, per formula unit of four atoms.
    low, high, middle = (by_name[name].relaxation.energy for name in ("A0", "A3", "A1.5"))
    assert by_name["A1.5"].mixing_energy == pytest.approx(4 * (middle - (low + high) / 2), abs=1e-4)


def test_the_evidence_in_words(catalogue):
    by_name = {entry.plan.name: entry.evidence for entry in catalogue}
    assert by_name["A0"].startswith("The only arrangement. Relaxed from")
    assert by_name["A1"].startswith("Lowest of all ") and "second lowest" in by_name["A1"]


def test_the_evidence_of_a_search_states_its_errors(emt):
    """Ten of the arrangements at most: the text has the numbers of the entry."""
    low = alloy()
    low.positions += np.random.default_rng(2).uniform(
        -0.3, 0.3, low.positions.shape
    )  # no symmetry: 20 arrangements
    settings = METALS.model_copy(update={"steps": (1.5,), "evaluate_at_most": 12, "settle_best": 3})
    ends = relax_ends(ParentPhase(name="A", structures=(low,)), emt, settings, RankingSettings(max_steps=1))
    (planned,) = plan_series([ParentPhase(name="A", structures=(low,))], settings)
    entry = build_entry(planned, ends, emt, settings, RankingSettings(max_steps=1), Representatives())
    assert entry.counts[0].distinct == 20 and entry.n_evaluated <= 12
    quality = entry.surrogate
    assert f"Lowest of {entry.n_evaluated} evaluated of 20 distinct" in entry.evidence
    assert f"leave-one-out error {1000 * quality.cv_error:.2f} meV/atom" in entry.evidence
    assert ("budget ended" in entry.evidence) == (entry.verdict == "budget")
    assert "did not converge in 1 steps" in entry.evidence


def test_mirrors_are_enumerated_once(both):
    sublattice = find_sublattice(both[1].structures[0], ("Cl", "Br"))
    representatives = Representatives()
    few, many = (representatives.rows(sublattice, n, 10_000) for n in (3, 9))
    assert representatives.n_enumerated == 1
    np.testing.assert_array_equal(few, 1 - many)
    assert (many.sum(axis=1) == 9).all()
    representatives.rows(sublattice, 4, 10_000)
    assert representatives.n_enumerated == 2


def test_the_lowest_of_several_cation_orderings(emt):
    """Aluminium beside aluminium against apart: the entry has the lower and says which."""
    clustered = alloy()
    clustered.symbols[4], clustered.symbols[1] = "Cu", "Al"
    settings = METALS.model_copy(update={"cation_orderings": 2, "steps": (1.5,)})
    (alone,) = build_series([ParentPhase(name="A", structures=(alloy(),))], emt, settings, RANKING)
    (entry,) = build_series([ParentPhase(name="A", structures=(clustered, alloy()))], emt, settings, RANKING)
    assert len(entry.counts) == 2
    assert entry.relaxation.energy <= alone.relaxation.energy + 1e-6
    assert "2 cation orderings" in entry.evidence
    assert entry.cations == (0 if entry.relaxation.energy < alone.relaxation.energy - 1e-6 else 1)


def test_unrelaxed_energies_choose_and_the_lowest_are_relaxed(emt):
    settings = METALS.model_copy(update={"energies": "static", "steps": (1,), "settle_best": 3})
    (entry,) = build_series([ParentPhase(name="A", structures=(alloy(),))], emt, settings, RANKING)
    assert entry.relaxation.is_converged and entry.verdict == "exhausted"


def test_finished_entries_are_not_made_again(emt, catalogue):
    class Counted:
        def __init__(self):
            self.name, self.elements, self.n = emt.name, emt.elements, 0

        def evaluate_arrays(self, *arrays):
            self.n += 1
            return emt.evaluate_arrays(*arrays)

    counted = Counted()
    done = {entry.plan.name: entry for entry in catalogue}
    again = list(build_series([ParentPhase(name="A", structures=(alloy(),))], counted, METALS, RANKING, done=done))
    assert again == catalogue and counted.n == 0
    del done["A2"]
    *_, last = build_series([ParentPhase(name="A", structures=(alloy(),))], counted, METALS, RANKING, done=done)
    assert counted.n > 0
    assert last.plan.name == "A2" and last.relaxation.energy == catalogue[-1].relaxation.energy


def test_a_series_can_be_stopped(emt):
    series = build_series([ParentPhase(name="A", structures=(alloy(),))], emt, METALS, RANKING, stop=lambda: True)
    with pytest.raises(Interrupted):
        next(series)


def test_a_composition_can_be_stopped_amid_its_relaxations(emt):
    """The ends relax undisturbed; the third step of the arrangements is their last."""
    phase = ParentPhase(name="A", structures=(alloy(),))
    ends = relax_ends(phase, emt, METALS, RANKING)
    planned = next(each for each in plan_series([phase], METALS) if each.name == "A1")
    asked = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) == 3

    with pytest.raises(Interrupted, match="relaxations were stopped"):
        build_entry(planned, ends, emt, METALS, RANKING, Representatives(), stop=stop)
    assert len(asked) == 3


def test_progress_counts_compositions(emt):
    told = []
    list(
        build_series(
            [ParentPhase(name="A", structures=(alloy(),))],
            emt,
            METALS.model_copy(update={"steps": (0, 1)}),
            RANKING,
            progress=lambda done, total, state="": told.append((done, total, state)),
        )
    )
    assert [total for _, total, _ in told] == [2] * len(told)
    assert all(one <= other for (one, _, _), (other, _, _) in itertools.pairwise(told))
    assert told[-1][0] == pytest.approx(2) and told[-1][2].startswith("A1:")


def test_written_and_read_back(tmp_path: Path, catalogue):
    written = write_series(catalogue, tmp_path)
    assert {path.name for path in written} >= {"series.csv", "series.json", "A1.cif", "A1.vasp", "A1-start.vasp"}
    again = read_series(tmp_path)
    assert list(again) == [entry.plan.name for entry in catalogue]
    for entry in catalogue:
        other = again[entry.plan.name]
        assert other.plan == entry.plan and other.evidence == entry.evidence
        assert other.relaxation.energy == entry.relaxation.energy
        np.testing.assert_array_equal(other.relaxation.atoms.positions, entry.relaxation.atoms.positions)
        on_disk = ase.io.read(tmp_path / f"{entry.plan.name}.vasp")
        assert on_disk.get_chemical_formula() == entry.relaxation.atoms.get_chemical_formula()
        assert on_disk.get_volume() == pytest.approx(entry.relaxation.atoms.get_volume(), rel=1e-9)
    with open(tmp_path / "series.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(again)
    assert float(rows[2]["energy_ev_per_atom"]) == catalogue[2].relaxation.energy
    assert rows[0]["second_lowest_above_ev_per_atom"] == ""
    assert list(rows[0]) == list(series_table(catalogue)[0])


def test_no_catalogue_and_a_torn_one(tmp_path: Path):
    assert read_series(tmp_path) == {}
    (tmp_path / "series.json").write_text('{"entries": [')
    with pytest.raises(TornFile):
        read_series(tmp_path)


@pytest.mark.slow
def test_the_surrogate_finds_what_relaxing_everything_does():
    """Li3YBr6, 20 atoms, four of twelve Br replaced by Cl, CHGNet: a part of some hundred evaluated.

    The lowest found is one of the five lowest, within 0.2 meV/atom of the first: cells relaxed into other basins of
    Li have energies that no function of the anions alone predicts.
    """
    potential = ChgnetPotential()
    start = relax(parent("LYB"), potential, RANKING).atoms
    phase = ParentPhase(name="LYB", structures=(start,))
    settings = SeriesSettings(steps=(0, 4, 6), evaluate_at_most=50)
    ends = relax_ends(phase, potential, settings, RANKING)
    planned = {each.name: each for each in plan_series([phase], settings)}["LYB4"]
    representatives = Representatives()
    entry = build_entry(planned, ends, potential, settings, RANKING, representatives)
    made = build_framework(ends[0], planned.supercell, settings)
    rows = representatives.rows(made.sublattice, planned.n_guests, 1000)
    energies = np.array([one.energy for one in relax_batch([made.start(row) for row in rows], potential, RANKING)])
    assert entry.n_evaluated <= 50 < len(rows)
    assert entry.relaxation.energy - energies.min() < 2e-4
    assert (energies < entry.relaxation.energy - 1e-6).sum() < 5
    assert entry.surrogate.cv_spearman > 0.9
    assert entry.surrogate is not None and entry.surrogate.cv_error < 0.5 * energies.std()
    assert -0.2 < entry.mixing_energy < 0.2

"""A ranking checked by another potential: energies, order, changes, resumption; written whole."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from halion.errors import Interrupted, LabelError
from halion.labels import Frame, PotentialLabeller, RelaxationLimits, read_labels
from halion.potentials import PotentialFromAse
from halion.ranking import Candidate, rank, relax_batch
from halion.records import from_record, to_record
from halion.settings import RankingSettings
from halion.study import CheckChoices, RankingCheck, check_ranking, check_table, write_check
from halion.study.rank_check import coordination_change


def emt(**options) -> PotentialFromAse:
    return PotentialFromAse(EMT(**options), name="emt", elements=["Cu", "Au"], weights_sha256="1" * 64)


@pytest.fixture(scope="module")
def ranking():
    """Copper on ten of sixteen places of an fcc cell, gold on six: six orderings, relaxed with EMT."""
    rng = np.random.default_rng(4)
    cells = []
    for _ in range(6):
        atoms = bulk("Cu", cubic=True, a=3.8) * (2, 2, 1)
        atoms.numbers[rng.choice(16, 6, replace=False)] = 79
        atoms.positions += rng.normal(0, 0.02, atoms.positions.shape)
        cells.append(atoms)
    relaxed = relax_batch(cells, emt(), RankingSettings())
    candidates = [
        Candidate(ordering=10 + k, multiplicity=1, electrostatic_energy=0.1 * k, atoms=atoms)
        for k, atoms in enumerate(cells)
    ]
    pairs = list(zip(candidates, relaxed, strict=True))
    return rank(pairs, potential="emt", n_orderings=6, temperature_k=300.0)


class Shifted:
    """EMT under another name: adds energies of its own to chosen structures, and may fail on some."""

    def __init__(self, *, extra: dict[str, float] | None = None, fails: tuple[str, ...] = (), pause_s=0.0):
        self.inner, self.extra, self.fails, self.pause_s = PotentialLabeller(emt()), extra or {}, fails, pause_s
        self.method, self.relaxation_method = "shifted static", "shifted relaxed"
        self.asked: list[str] = []

    def _ask(self, atoms: Atoms) -> float:
        time.sleep(self.pause_s)
        key = Frame(atoms=atoms, group="").key
        self.asked.append(key)
        if key in self.fails:
            raise LabelError("GPAW did not converge: not converged in 60 iterations", fix="look at gpaw.txt")
        return self.extra.get(key, 0.0)

    def _as(self, label, method: str, extra: float):
        provenance = type(label.provenance)(method=method, code="EMT")
        return type(label)(
            energy=label.energy + extra, forces=label.forces, stress=label.stress, provenance=provenance
        )

    def label(self, atoms, folder):
        extra = self._ask(atoms)
        return self._as(self.inner.label(atoms, folder), self.method, extra)

    def relax(self, atoms, folder, *, force_tolerance, max_steps):
        extra = self._ask(atoms)
        found = self.inner.relax(atoms, folder, force_tolerance=force_tolerance, max_steps=max_steps)
        return type(found)(
            atoms=found.atoms,
            label=self._as(found.label, self.relaxation_method, extra),
            n_steps=found.n_steps,
            largest_force=found.largest_force,
            converged=found.converged,
            start_energy=found.start_energy + extra,
        )


def keys(ranking) -> list[str]:
    return [Frame(atoms=row.relaxation.atoms, group="").key for row in ranking.rows]


def test_there_is_a_ranking_to_check(ranking):
    assert len(ranking.rows) == 6
    assert np.ptp([row.relaxation.energy for row in ranking.rows]) > 1e-3


def test_a_potential_checked_by_itself_agrees(ranking, tmp_path):
    found = check_ranking(ranking, PotentialLabeller(emt()), tmp_path, CheckChoices())
    assert found.is_relaxed and found.potential == "emt" and found.method.startswith("potential emt")
    assert [row.ordering for row in found.rows] == [row.ordering for row in ranking.rows]
    for row in found.rows:
        # Both relaxed to 0.01 eV/Angstrom: energies agree to that squared over metals' 5 eV/Angstrom^2.
        assert row.energy == pytest.approx(row.potential_energy, abs=1e-4)
        assert row.start_energy == pytest.approx(row.potential_energy, abs=1e-9)
        assert abs(row.volume_change) < 1e-3 and row.max_displacement < 0.02
        assert not row.is_transformed and row.space_group_after == row.space_group_before
    assert found.order.is_best_same and found.order.spearman == pytest.approx(1)
    assert "holds" in found.order.verdict
    assert found.start_order.mean_absolute_error < 1e-9


def test_energies_that_differ_are_told_apart_as_they_were_made(ranking, tmp_path):
    """The potential's best is 30 meV/atom too low: it is the code's last, and every number follows by hand."""
    n, n_atoms = len(ranking.rows), len(ranking.best.relaxation.atoms)
    extra = {keys(ranking)[0]: 0.030 * n_atoms}
    found = check_ranking(ranking, Shifted(extra=extra), tmp_path, CheckChoices(relaxes=False))
    assert not found.is_relaxed and found.start_order is None and found.method == "shifted static"
    ours = np.array([row.relaxation.energy for row in ranking.rows])
    code = ours + np.array([0.030, *[0.0] * (n - 1)])
    assert [row.energy for row in found.rows] == pytest.approx(code.tolist(), abs=1e-9)
    assert [row.above_best for row in found.rows] == pytest.approx((code - code.min()).tolist(), abs=1e-9)
    assert [row.code_rank for row in found.rows] == (1 + np.argsort(np.argsort(code))).tolist()
    # The mean of the errors is 30/n: one is off by 30 - 30/n, the others by 30/n.
    assert found.order.mean_absolute_error == pytest.approx(0.030 * 2 * (n - 1) / n**2, abs=1e-9)
    assert not found.order.is_best_same and found.order.best_above == pytest.approx(code[0] - code.min(), abs=1e-9)
    assert all(row.n_steps == 0 and row.start_force < 0.011 for row in found.rows)
    assert all(abs(row.start_pressure_gpa) < 0.2 for row in found.rows)


def test_a_stiffer_code_moves_cells_and_says_how_far(ranking, tmp_path):
    """The code's copper and gold are 2 % smaller: EMT in units of length of its own."""

    class Smaller(EMT):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            larger = atoms.copy()
            larger.set_cell(1.02 * atoms.cell.array, scale_atoms=True)
            super().calculate(larger, list(properties), ["positions", "cell", "numbers", "pbc"])
            self.results["forces"] = self.results["forces"] * 1.02
            self.results["stress"] = self.results["stress"] * 1.02**3

    code = PotentialFromAse(Smaller(), name="smaller", elements=["Cu", "Au"], weights_sha256="2" * 64)
    found = check_ranking(ranking, PotentialLabeller(code), tmp_path, CheckChoices(top=2))
    for row in found.rows:
        # 0.01 eV/Angstrom per atom is 0.1 GPa, a thousandth of the volume of copper.
        assert row.volume_change == pytest.approx(1.02**-3 - 1, abs=2e-3)
        assert row.energy == pytest.approx(row.potential_energy, abs=1e-4)
        assert row.energy < row.start_energy
        assert row.max_displacement < 0.02 and not row.is_transformed


def test_the_same_call_again_does_nothing_twice_and_one_that_failed_is_tried_again(ranking, tmp_path):
    bad = keys(ranking)[1]
    first = Shifted(fails=(bad,))
    found = check_ranking(ranking, first, tmp_path, CheckChoices(top=4))
    assert "GPAW did not converge" in found.rows[1].failure
    assert np.isnan(found.rows[1].energy) and found.rows[1].code_rank == 0
    assert found.order.n == 3 and sorted(row.code_rank for row in found.rows) == [0, 1, 2, 3]
    again = Shifted()
    mended = check_ranking(ranking, again, tmp_path, CheckChoices(top=4))
    assert again.asked == [bad] and mended.order.n == 4
    assert mended.rows[0] == found.rows[0]


def test_no_energy_at_all_is_an_error(ranking, tmp_path):
    with pytest.raises(LabelError, match="none of the 2 orderings has an energy by shifted relaxed: ordering-"):
        check_ranking(ranking, Shifted(fails=tuple(keys(ranking))), tmp_path, CheckChoices(top=2))


def test_too_few_steps_are_named_with_their_limit(ranking, tmp_path):
    choices = CheckChoices(top=3, limits=RelaxationLimits(force_tolerance=1e-9, max_steps=2))
    with pytest.raises(LabelError, match="not relaxed within 2 steps"):
        check_ranking(ranking, Shifted(), tmp_path, choices)


def _check_slowly(ranking, folder):
    check_ranking(ranking, Shifted(pause_s=0.2), folder, CheckChoices())


def test_after_a_kill_it_goes_on_to_the_numbers_of_one_run(ranking, tmp_path):
    whole = check_ranking(ranking, Shifted(), tmp_path / "whole", CheckChoices())
    process = multiprocessing.get_context("fork").Process(target=_check_slowly, args=(ranking, tmp_path / "cut"))
    process.start()
    path, start = tmp_path / "cut" / "relaxed.extxyz", time.time()
    while not path.exists() and time.time() - start < 60:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    held = len(read_labels(path))
    assert 0 < held < len(ranking.rows)
    rest = Shifted()
    found = check_ranking(ranking, rest, tmp_path / "cut", CheckChoices())
    # The kill may fall between the file of labels and that of how: one is then asked again, and done with no step.
    assert len(rest.asked) in (len(ranking.rows) - held, len(ranking.rows) - held + 1)
    for one, other in zip(found.rows, whole.rows, strict=True):
        assert one.energy == pytest.approx(other.energy, abs=1e-7)
    assert found.order.verdict == whole.order.verdict


def test_a_stop_says_how_far_it_came(ranking, tmp_path):
    counting = Shifted()
    with pytest.raises(Interrupted, match="1 of 3 relaxations"):
        check_ranking(ranking, counting, tmp_path, CheckChoices(top=3), stop=lambda: bool(counting.asked))


@pytest.mark.parametrize("relaxes", [True, False])
def test_the_files_hold_every_number(ranking, tmp_path, relaxes):
    choices = CheckChoices(top=5, relaxes=relaxes)
    found = check_ranking(ranking, Shifted(fails=(keys(ranking)[2],)), tmp_path, choices)
    table, record, figure = write_check(found, tmp_path)
    rows = list(csv.DictReader(table.open()))
    assert [float(row["code_ev_per_atom"]) for row in rows] == pytest.approx(
        [row["code_ev_per_atom"] for row in check_table(found)], nan_ok=True, abs=0
    )
    assert rows[2]["failure"] == found.rows[2].failure != ""
    back = from_record(RankingCheck, json.loads(record.read_text()))
    assert to_record(back) == to_record(found)
    assert (back.order.kendall, back.order.verdict) == (found.order.kendall, found.order.verdict)
    ElementTree.fromstring(figure.read_text())
    first = figure.read_bytes()
    write_check(found, tmp_path)
    assert figure.read_bytes() == first


def salt(a: float) -> Atoms:
    return bulk("LiCl", "rocksalt", a=a, cubic=True)


def test_coordination_is_counted_by_anions_within_three_tenths_of_the_nearest():
    assert coordination_change(salt(5.1), salt(5.6)) == ""  # six however large
    assert coordination_change(salt(5.1), bulk("LiCl", "cesiumchloride", a=3.0)) == "Li 6x4 -> 8x1"
    moved = salt(5.1)
    moved.positions[0] += [0.9, 0.0, 0.0]  # Li leaves the Cl behind it: 3.45 against 1.65 Angstrom
    naive = np.sort(moved.get_distances(0, np.flatnonzero(moved.numbers == 17), mic=True))
    assert coordination_change(salt(5.1), moved).startswith("Li 6x4 -> ")
    assert (naive <= 1.3 * naive[0]).sum() == 1

"""A relaxation whose every step is on disk: the same as one of ASE alone, and gone on with after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from label_cases import emt_labeller, hot_cells

from halion.labels import read_labels
from halion.labels.jobs.relaxing import descend, read_steps
from halion.labels.types import Label, Provenance, largest_gradient


def wanted(folder, *, max_steps: int = 300, method: str = "emt", tolerance: float = 0.01) -> dict:
    path = str(folder / "steps.extxyz")
    return {"force_tolerance": tolerance, "max_steps": max_steps, "method": method, "trajectory": path}


def cell():
    atoms = hot_cells(1, seed=3)[0]
    atoms.calc = EMT()
    return atoms


class Slow(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        time.sleep(0.02)
        super().calculate(atoms, list(properties), list(system_changes))


def test_without_a_stop_it_is_fire_of_ase_step_by_step(tmp_path):
    ours, plain = cell(), cell()
    found = descend(ours, wanted(tmp_path))
    seen = []
    moved = FrechetCellFilter(plain)
    optimizer = FIRE(moved, logfile=None)
    optimizer.attach(lambda: seen.append(plain.get_potential_energy()))
    optimizer.run(fmax=0.01, steps=300)
    steps = read_steps(tmp_path / "steps.extxyz", "emt")
    assert found.n_steps == optimizer.get_number_of_steps() == len(steps) - 1 > 10
    assert np.abs(ours.positions - plain.positions).max() == 0.0
    # Energies pass through text with 16 digits.
    assert np.abs(np.array([one.info["REF_energy"] for one in steps]) - seen).max() < 1e-12
    assert found.start_energy == pytest.approx(seen[0], abs=1e-12)
    assert found.largest_force == np.linalg.norm(moved.get_forces(), axis=1).max() < 0.01


def test_every_step_is_a_label(tmp_path):
    descend(cell(), wanted(tmp_path, max_steps=4))
    labelled = read_labels(tmp_path / "steps.extxyz")
    assert len(labelled) == 5
    for one in labelled:
        truth = emt_labeller().label(one.frame.atoms, tmp_path)
        # Positions keep eight decimals; force constants are some 10 eV/Angstrom^2.
        assert np.abs(one.label.forces - truth.forces).max() < 1e-6
        assert np.abs(one.label.stress - truth.stress).max() < 1e-7
        assert one.label.energy == pytest.approx(truth.energy, abs=1e-6)


def test_a_stopped_one_goes_on_from_its_last_step(tmp_path):
    descend(cell(), wanted(tmp_path, max_steps=6))
    first = read_steps(tmp_path / "steps.extxyz", "emt")
    ours = cell()
    found = descend(ours, wanted(tmp_path))
    steps = read_steps(tmp_path / "steps.extxyz", "emt")
    assert [one.info["REF_energy"] for one in steps[:7]] == [one.info["REF_energy"] for one in first]
    assert np.abs(steps[6].positions - first[6].positions).max() == 0.0
    assert found.n_steps == len(steps) - 1 > 7  # those before the stop are counted
    assert found.start_energy == first[0].info["REF_energy"]
    whole = cell()
    descend(whole, wanted(tmp_path / "..", max_steps=300, method="another"))
    # Two descents into one minimum, each to 0.01 eV/Angstrom: the energy is flat there.
    assert ours.get_potential_energy() == pytest.approx(whole.get_potential_energy(), abs=1e-3)


def test_a_finished_one_does_no_step(tmp_path):
    once = descend(cell(), wanted(tmp_path))
    size = (tmp_path / "steps.extxyz").stat().st_mtime_ns
    atoms = cell()
    again = descend(atoms, wanted(tmp_path))
    assert again.n_steps == once.n_steps
    assert again.start_energy == pytest.approx(once.start_energy, abs=1e-12)
    assert (tmp_path / "steps.extxyz").stat().st_mtime_ns == size
    assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 0.01


def test_the_limit_of_steps_counts_those_before_the_stop(tmp_path):
    descend(cell(), wanted(tmp_path, max_steps=6))
    found = descend(cell(), wanted(tmp_path, max_steps=6))
    assert found.n_steps == 6 and found.largest_force > 0.01
    assert len(read_steps(tmp_path / "steps.extxyz", "emt")) == 7


def test_steps_of_another_method_are_not_gone_on_from(tmp_path):
    descend(cell(), wanted(tmp_path, max_steps=6, method="coarse"))
    found = descend(cell(), wanted(tmp_path, max_steps=2, method="fine"))
    steps = read_steps(tmp_path / "steps.extxyz", "fine")
    assert found.n_steps == 2 and len(steps) == 3
    assert np.abs(steps[0].positions - cell().positions).max() < 1e-8


def _relax_slowly(folder):
    atoms = cell()
    atoms.calc = Slow()
    descend(atoms, wanted(folder, tolerance=1e-6))


def test_kills_leave_whole_files_that_only_grow(tmp_path):
    path, held = tmp_path / "steps.extxyz", 0
    for k in range(5):
        process = multiprocessing.get_context("fork").Process(target=_relax_slowly, args=(tmp_path,))
        process.start()
        start = time.time()
        while process.is_alive() and time.time() - start < 60:
            if len(read_steps(path, "emt")) > held + 1:
                time.sleep(0.007 * k)
                break
            time.sleep(0.003)
        assert process.is_alive()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        now = len(read_steps(path, "emt"))
        assert now > held
        held = now
    found = descend(cell(), wanted(tmp_path))
    assert found.largest_force < 0.01


def test_the_gradient_is_that_of_ase_s_cell_filter():
    """An undeformed cell: the filter's rows are the forces and V sigma / n."""
    for atoms in hot_cells(5, seed=1):
        atoms.calc = EMT()
        stress = atoms.get_stress(voigt=False)
        label = Label(
            energy=0.0, forces=atoms.get_forces(), stress=stress, provenance=Provenance(method="", code="")
        )
        rows = np.linalg.norm(FrechetCellFilter(atoms).get_forces(), axis=1)
        assert largest_gradient(atoms, label) == pytest.approx(rows.max(), rel=1e-9)
        at_rest = Label(energy=0.0, forces=0 * atoms.positions, stress=stress, provenance=label.provenance)
        assert largest_gradient(atoms, at_rest) == pytest.approx(rows[-3:].max(), rel=1e-9)

"""GPAW as a labeller: its ladder and its refusals without GPAW, its numbers with it (marker dft)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

import halion.labels.gpaw as gpaw_module
from halion.errors import LabelError, MissingDependency
from halion.labels import GpawLabeller, find_gpaw
from halion.settings_learning import LabelSettings

# A program in GPAW's place for what GPAW cannot be made to do on demand: it fails as told by the attempt's number.
STAND_IN = """
import json, sys, time
job = json.load(open("job.json"))
todo = {plan!r}[0 if job["gpaw"]["maxiter"] == 60 else 1 if job["gpaw"]["maxiter"] == 333 else 2]
if todo == "hang": time.sleep(60)
if todo == "crash": sys.exit("segmentation fault")
answer = {{"not_converged": "no", "version": "0"}}
if todo == "good":
    n = len(job["numbers"])
    answer = {{"energy": -1.0, "forces": [[0, 0, 0]] * n, "stress": [[1, 2, 0], [4, 1, 0], [0, 0, 1]],
              "n_iterations": 5, "bands": 3, "reduced_kpoints": 1, "version": "0", "wall_s": 1.0, "processes": 1}}
json.dump(answer, open("result.json", "w"))
"""


@pytest.fixture
def with_plan(tmp_path, monkeypatch):
    """A labeller whose GPAW does what a plan says, attempt by attempt."""

    def make(*plan: str, limit_s: float = 30.0) -> GpawLabeller:
        script = tmp_path / "stand_in.py"
        script.write_text(STAND_IN.format(plan=plan))
        monkeypatch.setattr(gpaw_module, "_JOB", script)
        monkeypatch.setattr(gpaw_module, "_has_gpaw", lambda python: True)
        return GpawLabeller(LabelSettings(command=sys.executable, time_limit_s=limit_s))

    return make


def test_what_does_not_converge_climbs_the_ladder(with_plan, tmp_path):
    label = with_plan("no", "no", "good").label(bulk("Cu"), tmp_path)
    assert (label.provenance.attempt, label.energy) == (2, -1.0)
    assert label.stress[0, 1] == label.stress[1, 0] == 3.0


def test_what_hangs_climbs_too(with_plan, tmp_path):
    assert with_plan("hang", "good", "good", limit_s=1.0).label(bulk("Cu"), tmp_path).provenance.attempt == 1


def test_the_end_of_the_ladder_is_an_error_that_says_every_rung(with_plan, tmp_path):
    with pytest.raises(LabelError, match="60 iterations; not converged in 333 iterations; not converged in 999"):
        with_plan("no", "no", "no").label(bulk("Cu"), tmp_path)


def test_a_crash_says_its_last_words(with_plan, tmp_path):
    with pytest.raises(LabelError, match="segmentation fault"):
        with_plan("crash", "good", "good").label(bulk("Cu"), tmp_path)


def test_no_gpaw_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(gpaw_module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("HALION_GPAW_PYTHON", raising=False)
    with pytest.raises(MissingDependency, match=r"no GPAW in this environment[\s\S]*scripts/gpaw.sh"):
        find_gpaw()
    with pytest.raises(MissingDependency, match="no GPAW in /nowhere/python"):
        find_gpaw("/nowhere/python")


gpaw_python = os.environ.get("HALION_GPAW_PYTHON")
needs_gpaw = pytest.mark.skipif(not gpaw_python, reason="set HALION_GPAW_PYTHON (scripts/gpaw.sh makes one)")


def hot_salt() -> Atoms:
    """Two formula units of LiCl, shaken and sheared: nothing in it is zero by symmetry."""
    atoms = bulk("LiCl", "rocksalt", a=5.13) * (2, 1, 1)
    rng = np.random.default_rng(5)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    return atoms


@pytest.mark.dft
@needs_gpaw
def test_forces_are_the_slope_of_the_energy(tmp_path):
    labeller = GpawLabeller(LabelSettings(cutoff_ev=400, k_spacing_per_angstrom=0.6))
    atoms, step = hot_salt(), 0.01
    forces = labeller.label(atoms, tmp_path).forces
    for i, axis in ((0, 0), (1, 2), (3, 1)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * step
            energies.append(labeller.label(moved, tmp_path).energy)
        # The energy holds to 1e-5 eV per valence electron, far better as a difference; the grid leaves a few meV.
        assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(forces[i, axis], abs=5e-3)


@pytest.mark.dft
@needs_gpaw
def test_stress_is_the_slope_of_the_energy_in_all_six_components(tmp_path):
    """At a cutoff where the fixed basis no longer matters: at 350 eV that alone is 0.05 GPa."""
    labeller = GpawLabeller(LabelSettings(cutoff_ev=700, k_spacing_per_angstrom=0.6))
    atoms, step = hot_salt(), 0.005
    stress = labeller.label(atoms, tmp_path).stress
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(labeller.label(strained, tmp_path).energy)
        slope = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
        assert slope == pytest.approx(stress[a, b], abs=3e-4)  # 0.05 GPa; the stresses are up to 2 GPa


@pytest.mark.dft
@needs_gpaw
def test_two_processes_give_the_label_of_one(tmp_path):
    one = GpawLabeller(LabelSettings(cutoff_ev=350)).label(hot_salt(), tmp_path / "one")
    two = GpawLabeller(LabelSettings(cutoff_ev=350, processes=2)).label(hot_salt(), tmp_path / "two")
    assert two.provenance.processes == 2
    assert one.energy == pytest.approx(two.energy, abs=1e-5)
    assert np.abs(one.forces - two.forces).max() < 1e-3
    assert Path(tmp_path / "two" / "attempt-0" / "gpaw.txt").exists()


@given(st.sampled_from(["pbe", "SCAN"]))
def test_functionals_that_were_not_tried_are_refused(name):
    with pytest.raises(ValueError, match="functional"):
        LabelSettings(functional=name)

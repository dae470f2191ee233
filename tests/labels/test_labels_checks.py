"""What must pass before training: structures, labels, energies among their like; k-points; a code as a process."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st
from label_cases import emt_labeller, frames

from halion.errors import LabelError, MissingDependency
from halion.labels import LabelledFrame, energy_outliers, gamma_centred
from halion.labels.checks import refuse_bad_label, refuse_bad_structure
from halion.labels.process import run_process


@pytest.fixture
def label(tmp_path):
    return emt_labeller().label(frames(1)[0].atoms, tmp_path)


def test_good_ones_pass(label):
    refuse_bad_structure(frames(1)[0].atoms, "here")
    refuse_bad_label(label, "here")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"energy": np.nan}, "not a finite number"),
        ({"forces": np.full((4, 3), np.inf)}, "not a finite number"),
        ({"forces": np.tile([0.02, 0.0, 0.0], (4, 1))}, r"add up to 0\.080"),
        ({"forces": np.outer([1, -1, 0, 0], [31.0, 0.0, 0.0])}, r"largest force is 31\.0"),
    ],
)
def test_bad_labels_are_refused(label, change, said):
    with pytest.raises(LabelError, match=said):
        refuse_bad_label(replace(label, **change), "here")


def test_an_atom_too_near_its_own_image_is_refused():
    flat = Atoms("Li", cell=[1.0, 5, 5], pbc=True)
    with pytest.raises(LabelError, match=r"1\.00 Angstrom apart"):
        refuse_bad_structure(flat, "here")
    with pytest.raises(LabelError, match="not a finite number"):
        refuse_bad_structure(Atoms("Li", positions=[[np.nan, 0, 0]], cell=[5, 5, 5], pbc=True), "here")


def test_energy_outliers_are_found_among_their_own_composition(tmp_path):
    made = [LabelledFrame(frame=one, label=emt_labeller().label(one.atoms, tmp_path)) for one in frames(12)]
    rng = np.random.default_rng(0)
    predicted = [one.label.energy - 100 + 4 * rng.normal(0, 0.003) for one in made]
    assert energy_outliers(made, predicted) == []
    predicted[7] += 4 * 0.1
    assert energy_outliers(made, predicted) == [7]
    assert energy_outliers(made[5:9], predicted[5:9]) == []  # four frames cannot judge each other


@given(spacing=st.floats(0.1, 1.5), scale=st.floats(0.5, 4))
def test_k_points_are_near_enough_and_no_more_than_needed(spacing, scale):
    cell = scale * np.array([[4.0, 0, 0], [-2.0, 3.5, 0], [0.3, 0.2, 5.1]])
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell).T, axis=1)
    counts = np.array(gamma_centred(cell, spacing))
    assert (reciprocal / counts <= spacing * (1 + 1e-8)).all()
    assert ((counts == 1) | (reciprocal / np.maximum(counts - 1, 1) > spacing)).all()


def test_k_points_of_a_cube():
    # |b| = 2 pi / 4 = 1.571 1/Angstrom: four points at 0.4, and exactly two at 1.571 / 2.
    assert gamma_centred(bulk("Po", "sc", a=4.0).cell.array, 0.4) == (4, 4, 4)
    assert gamma_centred(4 * np.eye(3), np.pi / 4) == (2, 2, 2)


def test_a_process_that_hangs_is_ended_with_its_children(tmp_path):
    child = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    )
    started = time.time()
    with pytest.raises(TimeoutError, match="no result within 1 s"):
        run_process([sys.executable, "-c", child + "time.sleep(600)"], tmp_path, 1.0)
    assert time.time() - started < 30
    left = [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(600)" in " ".join(p.info["cmdline"] or [])]
    assert not [p for p in left if p.status() != psutil.STATUS_ZOMBIE]


def test_a_process_that_fails_says_its_last_words(tmp_path):
    with pytest.raises(LabelError, match="status 3: no licence"):
        run_process([sys.executable, "-c", "import sys; sys.exit(print('no licence') or 3)"], tmp_path, 60)
    with pytest.raises(MissingDependency, match="'vasp_none' cannot be run"):
        run_process(["vasp_none"], tmp_path, 60)

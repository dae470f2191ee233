"""Labelling resumes, replaces what fails, and labels nothing twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from label_cases import Counting, emt_labeller, frames

from halion.errors import InputError, Interrupted, LabelError, RunFolderError
from halion.files import locked_folder
from halion.labels import Frame, label_frames, read_labels


def test_labels_are_those_of_the_potential_in_the_order_asked_for(tmp_path):
    wanted = frames(5)
    found = label_frames(wanted, emt_labeller(), tmp_path, at_once=3)
    assert [one.frame.key for one in found.labelled] == [frame.key for frame in wanted]
    assert found.failed == {}
    for frame, one in zip(wanted, found.labelled, strict=True):
        truth = emt_labeller().label(frame.atoms, tmp_path)
        # Energies pass through text with 16 digits, positions and forces with eight decimals.
        assert one.label.energy == pytest.approx(truth.energy, abs=1e-12)
        assert np.abs(one.label.forces - truth.forces).max() < 1e-8
        assert np.abs(one.label.stress - truth.stress).max() < 1e-8
        assert (one.frame.group, one.frame.temperature_k) == (frame.group, frame.temperature_k)
    assert not list((tmp_path / "jobs").glob("*"))


def test_the_same_call_again_labels_nothing(tmp_path):
    wanted = frames(4)
    label_frames(wanted[:3], Counting(), tmp_path)
    again = Counting()
    found = label_frames(wanted, again, tmp_path)
    assert again.asked == [wanted[3].key]
    assert len(found.labelled) == 4


def test_a_frame_given_twice_is_labelled_once(tmp_path):
    one = frames(1)
    counting = Counting()
    found = label_frames([*one, *one], counting, tmp_path)
    assert len(counting.asked) == len(found.labelled) == 1


def test_a_failed_frame_is_replaced_by_the_next_and_never_tried_again(tmp_path):
    wanted = frames(5)
    counting = Counting(fails=(wanted[1].key,))
    found = label_frames(wanted, counting, tmp_path, wanted=3)
    assert [one.frame.key for one in found.labelled] == [wanted[k].key for k in (0, 2, 3)]
    assert found.failed == {wanted[1].key: "run-1: not converged"}
    assert wanted[4].key not in counting.asked
    again = Counting()
    found = label_frames(wanted, again, tmp_path, wanted=4)
    assert again.asked == [wanted[4].key]
    assert found.failed.keys() == {wanted[1].key}
    # The code's files of what failed stay to be looked at.
    assert (tmp_path / "jobs" / wanted[1].key / "output.txt").exists()


def test_a_code_that_never_works_blames_no_frame(tmp_path):
    wanted = frames(6)
    broken = Counting(fails=tuple(frame.key for frame in wanted))
    with pytest.raises(LabelError, match="the first 3 frames all failed"):
        label_frames(wanted, broken, tmp_path)
    assert len(broken.asked) == 3
    assert len(label_frames(wanted, Counting(), tmp_path).labelled) == 6


def test_a_structure_on_top_of_itself_never_reaches_the_code(tmp_path):
    good, bad = frames(2)
    bad.atoms.positions[1] = bad.atoms.positions[0] + 0.3
    counting = Counting()
    found = label_frames([good, bad], counting, tmp_path)
    assert counting.asked == [good.key]
    assert "0.52 Angstrom apart" in found.failed[bad.key]


def test_two_processes_on_one_folder_are_refused(tmp_path):
    with locked_folder(tmp_path, fix=""), pytest.raises(RunFolderError, match="in use by process"):
        label_frames(frames(1), emt_labeller(), tmp_path)


def test_labels_of_another_method_are_refused_before_any_work(tmp_path):
    label_frames(frames(1), emt_labeller(), tmp_path)
    other = Counting()
    other.method = "GPAW PBE PW 350 eV"
    with pytest.raises(InputError, match=r"potential emt .* and now 'GPAW PBE PW 350 eV'"):
        label_frames(frames(2), other, tmp_path)
    assert other.asked == []


def test_a_stop_keeps_what_is_done(tmp_path):
    counting = Counting()
    with pytest.raises(Interrupted, match="2 of 5 labels are done"):
        label_frames(frames(5), counting, tmp_path, stop=lambda: len(counting.asked) == 2)
    assert len(read_labels(tmp_path / "labels.extxyz")) == 2


def _label_slowly(folder):
    label_frames(frames(60), Counting(pause_s=0.05), folder, at_once=2)


def test_kills_lose_nothing_and_repeat_nothing(tmp_path):
    """SIGKILL at six moments; after each, the file is whole and only grows; the end is that of one run."""
    held = 0
    for k in range(6):
        process = multiprocessing.get_context("fork").Process(target=_label_slowly, args=(tmp_path,))
        process.start()
        path, start = tmp_path / "labels.extxyz", time.time()
        while process.is_alive() and time.time() - start < 60:
            if path.exists() and len(read_labels(path)) > held:
                time.sleep(0.02 * k)
                break
            time.sleep(0.005)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        now = len(read_labels(path))
        assert now > held
        held = now
    last = Counting()
    found = label_frames(frames(60), last, tmp_path)
    assert len(found.labelled) == 60
    assert len(last.asked) == 60 - held > 0
    whole = label_frames(frames(60), Counting(), tmp_path / "whole")
    assert [one.label.energy for one in found.labelled] == [one.label.energy for one in whole.labelled]


def test_relaxation_ends_at_rest_and_labels_the_end(tmp_path):
    start = frames(1)[0].atoms
    relaxed = emt_labeller().relax(start, tmp_path, force_tolerance=0.01, max_steps=500)
    assert relaxed.converged and relaxed.n_steps > 5 and relaxed.largest_force < 0.01
    assert np.linalg.norm(relaxed.label.forces, axis=1).max() < 0.01
    # At rest the stress vanishes: the filter's forces on the cell are -V stress.
    assert np.abs(relaxed.label.stress * relaxed.atoms.get_volume()).max() < 0.02
    assert relaxed.atoms.calc is None
    assert relaxed.label.energy < emt_labeller().label(start, tmp_path).energy


def test_key_is_of_the_structure_alone():
    one, other = frames(2)
    same = Frame(atoms=one.atoms.copy(), group="elsewhere", temperature_k=5.0)
    assert same.key == one.key != other.key
    minus = one.atoms.copy()
    minus.positions[0, 0] = -0.0
    plus = one.atoms.copy()
    plus.positions[0, 0] = 0.0
    assert Frame(atoms=minus, group="").key == Frame(atoms=plus, group="").key

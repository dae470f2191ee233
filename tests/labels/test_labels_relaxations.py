"""Many relaxations: kept one by one, resumed, failures named, methods never mixed."""

from __future__ import annotations

import numpy as np
import pytest
from label_cases import emt_labeller, frames, hot_cells

from halion.errors import InputError, Interrupted, LabelError
from halion.labels import Frame, RelaxationLimits, read_labels, relax_frames

LIMITS = RelaxationLimits(max_steps=200)


class Counting:
    """EMT that counts what it relaxes, and may fail on some."""

    def __init__(self, *, fails: tuple[str, ...] = ()) -> None:
        self.inner, self.fails = emt_labeller(), fails
        self.method = self.relaxation_method = self.inner.method
        self.asked: list[str] = []

    def label(self, atoms, folder):
        return self.inner.label(atoms, folder)

    def relax(self, atoms, folder, *, force_tolerance, max_steps):
        key = Frame(atoms=atoms, group="").key
        self.asked.append(key)
        if key in self.fails:
            raise LabelError("GPAW did not converge: not converged in 60 iterations", fix="look at gpaw.txt")
        return self.inner.relax(atoms, folder, force_tolerance=force_tolerance, max_steps=max_steps)


def test_each_is_relaxed_once_and_read_back(tmp_path):
    wanted, counting = frames(3), Counting()
    found = relax_frames(wanted, counting, tmp_path, LIMITS)
    assert list(found.relaxed) == counting.asked == [frame.key for frame in wanted]
    again = relax_frames(wanted, counting, tmp_path, LIMITS)
    assert len(counting.asked) == 3
    for k, frame in enumerate(wanted):
        one = found.relaxed[frame.key]
        assert one.converged and one.n_steps > 5 and one.largest_force < 0.01
        assert one.start_energy == pytest.approx(emt_labeller().label(frame.atoms, tmp_path).energy, abs=1e-10)
        truth = emt_labeller().label(one.atoms, tmp_path)
        assert one.label.energy == pytest.approx(truth.energy, abs=1e-6)
        assert one.label.energy < one.start_energy
        assert again.relaxed[frame.key].label.energy == one.label.energy
        assert np.array_equal(again.relaxed[frame.key].atoms.positions, one.atoms.positions)
        assert read_labels(found.path)[k].frame.group == frame.group


def test_one_that_fails_is_named_and_tried_again(tmp_path):
    wanted = frames(3)
    found = relax_frames(wanted, Counting(fails=(wanted[1].key,)), tmp_path, LIMITS)
    assert set(found.relaxed) == {wanted[0].key, wanted[2].key}
    assert "run-1: GPAW did not converge" in found.failed[wanted[1].key]
    now = Counting()
    mended = relax_frames(wanted, now, tmp_path, LIMITS)
    assert now.asked == [wanted[1].key] and len(mended.relaxed) == 3 and not mended.failed


def test_too_few_steps_name_the_limit_and_more_go_on(tmp_path):
    (frame,) = frames(1)
    found = relax_frames([frame], emt_labeller(), tmp_path, RelaxationLimits(max_steps=3))
    assert not found.relaxed
    assert "not relaxed within 3 steps" in found.failed[frame.key]
    assert "below 0.01 is wanted" in found.failed[frame.key]
    steps = tmp_path / "relaxing" / frame.key / "steps.extxyz"
    early = read_labels(steps)
    assert len(early) == 4
    more = relax_frames([frame], emt_labeller(), tmp_path, LIMITS)
    assert more.relaxed[frame.key].n_steps > 4
    late = read_labels(steps)
    assert [one.label.energy for one in late[:4]] == [one.label.energy for one in early]


def test_atoms_on_top_of_each_other_are_refused_before_a_step(tmp_path):
    bad = hot_cells(1)[0]
    bad.positions[1] = bad.positions[0] + [0.3, 0, 0]
    counting = Counting()
    found = relax_frames([Frame(atoms=bad, group="accident")], counting, tmp_path, LIMITS)
    assert not counting.asked and "0.30 Angstrom apart" in next(iter(found.failed.values()))


def test_methods_are_never_mixed(tmp_path):
    relax_frames(frames(1), emt_labeller(), tmp_path, LIMITS)
    other = Counting()
    other.relaxation_method = "another cutoff"
    with pytest.raises(InputError, match="made with 'potential emt"):
        relax_frames(frames(2), other, tmp_path, LIMITS)
    assert not other.asked


def test_a_stop_keeps_what_is_done(tmp_path):
    counting = Counting()
    with pytest.raises(Interrupted, match="2 of 4 relaxations are done"):
        relax_frames(frames(4), counting, tmp_path, LIMITS, stop=lambda: len(counting.asked) == 2)
    assert len(read_labels(tmp_path / "relaxed.extxyz")) == 2

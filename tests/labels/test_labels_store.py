"""Labelled frames survive the way through a file; what is torn, foreign or mixed is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st
from label_cases import emt_labeller, frames

from halion.errors import InputError, TornFile
from halion.labels import LabelledFrame, LabelStore, read_labels, write_labels


def labelled(n, folder):
    return [LabelledFrame(frame=one, label=emt_labeller().label(one.atoms, folder)) for one in frames(n)]


def test_ase_reads_the_file_and_takes_no_label_for_a_result(tmp_path):
    made = labelled(2, tmp_path)
    path = write_labels(tmp_path / "labels.extxyz", made)
    atoms = read(path, index=1)
    assert atoms.info["REF_energy"] == pytest.approx(made[1].label.energy, abs=1e-12)
    assert atoms.info["REF_stress"].shape == (3, 3)
    assert np.abs(atoms.arrays["REF_forces"] - made[1].label.forces).max() < 1e-8
    assert atoms.calc is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_key_survives_the_file(tmp_path_factory, seed):
    """A frame read back has the key that it was labelled under, or resuming would label it again."""
    folder = tmp_path_factory.mktemp("keys")
    made = [LabelledFrame(frame=one, label=emt_labeller().label(one.atoms, folder)) for one in frames(2, seed=seed)]
    path = write_labels(folder / "labels.extxyz", made)
    assert [one.frame.key for one in read_labels(path)] == [one.frame.key for one in made]


def test_a_store_grows_and_is_whole_after_every_label(tmp_path):
    store = LabelStore(tmp_path / "labels.extxyz")
    for k, one in enumerate(labelled(3, tmp_path)):
        store.add(one)
        store.add(one)
        assert len(read_labels(store.path)) == k + 1
    assert LabelStore(store.path).keys == store.keys


def test_a_torn_file_is_named(tmp_path):
    path = write_labels(tmp_path / "labels.extxyz", labelled(3, tmp_path))
    text = path.read_text()
    for end in (len(text) - 40, len(text) // 2 + 7):
        path.write_text(text[:end])
        with pytest.raises(TornFile, match=r"labels\.extxyz"):
            read_labels(path)


def test_a_frame_without_a_label_is_named(tmp_path):
    path = write_labels(tmp_path / "labels.extxyz", labelled(3, tmp_path))
    path.write_text(path.read_text().replace("REF_energy", "energy_old", 2).replace("energy_old", "REF_energy", 1))
    with pytest.raises(InputError, match="no REF_energy") as refused:
        read_labels(path)
    assert "frame 1 from 0" in refused.value.where


def test_no_file_and_no_frames_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "none.extxyz")
    (tmp_path / "empty.extxyz").write_text("")
    with pytest.raises((InputError, TornFile)):
        read_labels(tmp_path / "empty.extxyz")

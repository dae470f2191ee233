"""Frames split by trajectory, and what is refused before a training begins."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_cases import labelled, salt

from halion.errors import InputError
from halion.labels import Frame, LabelledFrame, read_labels, write_labels
from halion.training import method_of, refuse_unusable, split_by_group


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=12),
    fraction=st.floats(0.05, 0.6),
    seed=st.integers(0, 1000),
)
def test_a_split_keeps_trajectories_whole(sizes, fraction, seed):
    (one,) = labelled([salt(0)])
    frames = [
        LabelledFrame(frame=Frame(atoms=one.frame.atoms, group=f"run-{g}"), label=one.label)
        for g, size in enumerate(sizes)
        for _ in range(size)
    ]
    training, validation = split_by_group(frames, fraction, seed)
    assert training and validation and len(training) + len(validation) == len(frames)
    assert not {f.frame.group for f in training} & {f.frame.group for f in validation}
    assert split_by_group(frames, fraction, seed) == (training, validation)


def test_one_trajectory_cannot_be_split():
    with pytest.raises(InputError, match=r"all 3 frames are of one trajectory \(run-0\)"):
        split_by_group(labelled([salt(k) for k in range(3)], groups=1), 0.2, 0)


def relabelled(one: LabelledFrame, **changes) -> LabelledFrame:
    return replace(one, label=replace(one.label, **changes))


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"energy": float("nan")}, "not a finite number"),
        ({"forces": np.full((2, 3), np.inf)}, "not a finite number"),
        ({"stress": np.full((3, 3), np.nan)}, "not a finite number"),
        ({"energy": np.zeros(2)}, "have the shapes"),
        ({"forces": np.zeros((1, 3))}, "have the shapes"),
        ({"stress": np.zeros(6)}, "have the shapes"),
    ],
)
def test_a_bad_label_is_refused_wherever_it_stands(changes, said, place):
    frames = labelled([salt(k) for k in range(6)])
    parts = [frames[:2], frames[2:4], frames[4:]]
    refuse_unusable(*parts)
    parts[place] = [parts[place][0], relabelled(parts[place][1], **changes)]
    with pytest.raises(InputError, match=said) as refused:
        refuse_unusable(*parts)
    assert refused.value.where.startswith(f"{('training', 'validation', 'references')[place]} frame 1 from 0 (run-")


@pytest.mark.parametrize("place", range(3))
def test_labels_of_two_methods_are_refused_wherever_they_stand(place):
    """References of another code would be fitted as if they were of this one."""
    frames = labelled([salt(k) for k in range(6)])
    parts = [frames[:2], frames[2:4], frames[4:]]
    parts[place] = labelled([salt(k) for k in (8, 9)], method="another code")
    with pytest.raises(InputError, match=r"2 methods are mixed \(2 of another code; 4 of moved CHGNet\)"):
        refuse_unusable(*parts)


def test_labels_that_name_no_method_are_refused_until_somebody_does(tmp_path):
    """As other packages write them: three keys, and no word on where they come from."""
    frames = labelled([salt(k) for k in range(4)])
    path = write_labels(tmp_path / "theirs.extxyz", frames)
    path.write_text(re.sub(r' method="[^"]*"', "", path.read_text()))
    nameless = read_labels(path)
    with pytest.raises(InputError, match="do not name their method") as refused:
        refuse_unusable(nameless[:2], nameless[2:])
    assert "--method" in refused.value.fix
    with pytest.raises(InputError, match="1 of no method that they name; 3 of moved CHGNet"):
        refuse_unusable(frames[:2], [frames[2], nameless[3]])
    named = read_labels(path, method="moved CHGNet")
    refuse_unusable(named[:2], named[2:])
    assert method_of([*frames, *named]) == "moved CHGNet"


@given(st.integers(0, 1000), st.floats(0.05, 0.6))
def test_a_split_leaves_every_element_to_train_on(seed, fraction):
    """Bromine stands in one run of four: that run is never held out."""
    frames = labelled_salts()
    training, validation = split_by_group(frames, fraction, seed)
    assert validation and any("Br" in one.frame.atoms.symbols for one in training)


@functools.cache
def labelled_salts() -> list[LabelledFrame]:
    return labelled([salt(k, anion="Br" if k % 4 == 1 else "Cl") for k in range(8)])


def test_an_element_of_validation_frames_alone_is_refused():
    frames = labelled([salt(1), salt(2), salt(3, anion="Br")])
    with pytest.raises(InputError, match="validation frames hold Br, and no frame that is trained on does"):
        refuse_unusable(frames[:2], frames[2:])
    refuse_unusable(frames[:2], frames[2:], labelled([salt(4, anion="Br")]))

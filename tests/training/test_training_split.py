"""Frames split by trajectory, and what is refused before a training begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_cases import labelled, salt

from halion.errors import InputError
from halion.labels import Frame, LabelledFrame
from halion.training import refuse_unusable, split_by_group


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
    with pytest.raises(InputError, match=r"2 methods are mixed \(another code; moved CHGNet\)"):
        refuse_unusable(*parts)

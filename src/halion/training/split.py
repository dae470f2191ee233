"""Training and validation frames, split by trajectory: neighbours in time never stand on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halion.errors import InputError
from halion.labels import LabelledFrame

__all__ = ["refuse_unusable", "split_by_group"]


def split_by_group(
    labelled: Sequence[LabelledFrame], fraction: float, seed: int
) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """Training and validation frames.

    Whole groups in a random order (of the seed) go to validation until they hold the fraction; a group that would
    take more than twice that is passed over where another can be taken.

    Args:
        labelled: frames with their groups.
        fraction: of frames wanted for validation.
        seed: of the order of groups.
    Raises:
        InputError: one group alone: there would be no frames to validate on, or none to train on.
    Checked by tests/training/test_training_split.py.
    """
    groups = sorted({one.frame.group for one in labelled})
    if len(groups) < 2:
        raise InputError(
            f"all {len(labelled)} frames are of one trajectory{f' ({groups[0]})' if groups else ''}: neighbours in "
            "time would stand on both sides of the split, and the errors would flatter",
            fix="label frames of a second trajectory, or give validation frames of their own (--validation FILE)",
        )
    sizes = {group: sum(one.frame.group == group for one in labelled) for group in groups}
    wanted = max(1.0, fraction * len(labelled))
    order = [groups[k] for k in np.random.default_rng(seed).permutation(len(groups))]
    chosen: set[str] = set()
    for group in [*(g for g in order if sizes[g] <= 2 * wanted), *(g for g in order if sizes[g] > 2 * wanted)]:
        if sum(sizes[g] for g in chosen) >= wanted or len(chosen) == len(groups) - 1:
            break
        chosen.add(group)
    return (
        [one for one in labelled if one.frame.group not in chosen],
        [one for one in labelled if one.frame.group in chosen],
    )


def refuse_unusable(
    training: Sequence[LabelledFrame],
    validation: Sequence[LabelledFrame],
    references: Sequence[LabelledFrame] = (),
) -> None:
    """Refuse frames that must not be trained on together.

    Args:
        training, validation: must not be empty, nor share a frame.
        references: further frames, for the references of the elements alone.
    Raises:
        InputError: none for training or none for validation; a label of another shape, or that is not finite; two
            methods mixed; a frame that stands on both sides.
    Checked by tests/training/test_training_split.py.
    """
    for name, frames in (("training", training), ("validation", validation)):
        if not frames:
            raise InputError(f"there are no {name} frames", fix="label some: halion label --help")
    for name, frames in (("training", training), ("validation", validation), ("references", references)):
        for k, one in enumerate(frames):
            _refuse_bad_label(one, f"{name} frame {k} from 0 ({one.frame.group or 'no group'})")
    methods = sorted({one.label.provenance.method for one in (*training, *validation, *references)})
    if len(methods) > 1:
        raise InputError(
            f"labels of {len(methods)} methods are mixed ({'; '.join(methods)}): their differences would be "
            "learned as physics",
            fix="train on labels of one method; relabel the others",
        )
    both = {one.frame.key for one in training} & {one.frame.key for one in validation}
    if both:
        raise InputError(
            f"{len(both)} frames stand among training and validation alike", fix="remove them from one of the two"
        )


def _refuse_bad_label(one: LabelledFrame, where: str) -> None:
    values = (one.label.energy, one.label.forces, one.label.stress)
    shapes = [np.shape(value) for value in values]
    if shapes != [(), (len(one.frame.atoms), 3), (3, 3)]:
        raise InputError(
            f"energy, forces and stress of {len(one.frame.atoms)} atoms have the shapes {shapes}",
            where=where,
            fix="give one number, (n_atoms, 3) and (3, 3)",
        )
    if not all(np.isfinite(value).all() for value in values):
        raise InputError(
            "a label is not a finite number", where=where, fix="remove this frame, and look at how it was labelled"
        )

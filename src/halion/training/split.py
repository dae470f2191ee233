"""Training and validation frames, split by trajectory: neighbours in time never stand on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from halion.errors import InputError
from halion.labels import LabelledFrame

__all__ = ["method_of", "refuse_unusable", "split_by_group"]


def split_by_group(
    labelled: Sequence[LabelledFrame], fraction: float, seed: int
) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """Training and validation frames.

    Whole groups in a random order (of the seed) go to validation until they hold the fraction; a group that would
    take more than twice that is passed over where another can be taken, and so is one without which an element
    would be in no training frame.

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
    order = [*(g for g in order if sizes[g] <= 2 * wanted), *(g for g in order if sizes[g] > 2 * wanted)]
    holders = _groups_of_elements(labelled)
    chosen: set[str] = set()
    for group in order:
        if sum(sizes[g] for g in chosen) >= wanted or len(chosen) == len(groups) - 1:
            break
        if all(held - chosen - {group} for held in holders):
            chosen.add(group)
    chosen = chosen or {order[0]}
    return (
        [one for one in labelled if one.frame.group not in chosen],
        [one for one in labelled if one.frame.group in chosen],
    )


def _groups_of_elements(labelled: Sequence[LabelledFrame]) -> list[set[str]]:
    """For each element the groups that hold it."""
    groups: dict[int, set[str]] = {}
    for one in labelled:
        for number in set(one.frame.atoms.numbers.tolist()):
            groups.setdefault(number, set()).add(one.frame.group)
    return list(groups.values())


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
            methods mixed, or a label that names none; a frame that stands on both sides; a validation frame with an
            element that no other frame has, whose reference would stay another code's.
    Checked by tests/training/test_training_split.py.
    """
    for name, frames in (("training", training), ("validation", validation)):
        if not frames:
            raise InputError(f"there are no {name} frames", fix="label some: halion label --help")
    for name, frames in (("training", training), ("validation", validation), ("references", references)):
        for k, one in enumerate(frames):
            _refuse_bad_label(one, f"{name} frame {k} from 0 ({one.frame.group or 'no group'})")
    if not method_of((*training, *validation, *references)):
        raise InputError(
            "these labels do not name their method: nobody could tell whether two codes or cutoffs are mixed",
            fix="--method 'VASP PBE 520 eV' where they are all of one (in Python: read_labels(path, method=...)), "
            "or write method=... into the comment line of every frame",
        )
    known = {symbol for one in (*training, *references) for symbol in one.frame.atoms.symbols}
    unknown = {symbol for one in validation for symbol in one.frame.atoms.symbols} - known
    if unknown:
        raise InputError(
            f"validation frames hold {', '.join(sorted(unknown))}, and no frame that is trained on does: the "
            "energy reference of the element would stay that of another code",
            fix="give frames with it as --references FILE, or take others for validation",
        )
    both = {one.frame.key for one in training} & {one.frame.key for one in validation}
    if both:
        raise InputError(
            f"{len(both)} frames stand among training and validation alike", fix="remove them from one of the two"
        )


def method_of(labelled: Sequence[LabelledFrame]) -> str:
    """The method of labels, "" where they name none.

    Raises:
        InputError: two methods, or some labels with one and some without.
    Checked by tests/training/test_training_split.py.
    """
    counts = Counter(one.label.provenance.method.strip() for one in labelled)
    if len(counts) > 1:
        said = "; ".join(f"{n} of {method or 'no method that they name'}" for method, n in sorted(counts.items()))
        raise InputError(
            f"labels of {len(counts)} methods are mixed ({said}): their differences would be learned as physics",
            fix="take labels of one method; relabel the others",
        )
    return next(iter(counts), "")


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

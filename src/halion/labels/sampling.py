"""Which frames of trajectories to compute by DFT: the furthest points, or those that a potential knows least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from ase.data import atomic_numbers

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, TrajectoryError, nearest
from halion.labels.position_error import LABELLED, FrameSet, PositionErrors, furthest_points
from halion.labels.uncertainty import LastLayerUncertainty, force_spreads, least_certain, structure_features
from halion.potentials.types import Potential
from halion.progress import Progress, silent

__all__ = ["ChosenFrames", "SamplingChoices", "choose_frames", "distance_left"]

SamplingMethod = Literal["furthest_point", "committee", "last_layer", "random"]
SamplingStart = Literal["furthest_from_mean", "first_frame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingChoices:
    """How frames are chosen.

    Attributes:
        method: "furthest_point": next is the frame whose root mean squared position error to the nearest chosen one
            is largest (see `position_error`); "committee": those with the largest spread of forces over several
            potentials, whether alike or not; "last_layer": next is the frame that the last layer of one potential
            leaves most uncertain, given those chosen; "random": without replacement.
        start: first furthest point where nothing is chosen yet: the frame furthest from the mean of all frames, or
            the first frame.
        framework: elements whose mean displacement is a frame's translation, taken away for "furthest_point"; none:
            all atoms. Name all but the mobile ones where ions travel half a cell.
        seed: of "random".
        ridge: of "last_layer", see `LastLayerUncertainty`.
        already: indices of frames chosen in earlier rounds: never chosen again, but they count as chosen.
            Structures of `gather_frames(labelled=...)` count without being named.
        failed: indices of frames whose label failed: never chosen again, but they count as chosen, so that what
            replaces them is the next furthest point and not their neighbour in time, which would fail as well.
        exclude: indices of frames never to be chosen, which count for nothing.
    """

    method: SamplingMethod = "furthest_point"
    start: SamplingStart = "furthest_from_mean"
    framework: tuple[str, ...] = ()
    seed: int = 0
    ridge: float = 0.01
    already: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFrames:
    """Frames to label, in the order in which they were chosen.

    Attributes:
        method: how.
        start: the rule that gave the first one, in words.
        indices: (n,) in the frames that were given.
        trajectory, frame: (n,) which trajectory each is of, and its frame there.
        distances: (n,) at the time of choice. "furthest_point": distance to the nearest frame chosen before,
            Angstrom, NaN for a first one that had none; "committee": spread of the forces, eV/Angstrom;
            "last_layer": standard deviation given the earlier ones, units of the features; "random": NaN.
        unit: of `distances`.
    """

    method: SamplingMethod
    start: str
    indices: IntArray
    trajectory: IntArray
    frame: IntArray
    distances: FloatArray
    unit: str


def choose_frames(
    frames: FrameSet,
    n_frames: int,
    choices: SamplingChoices = SamplingChoices(),
    *,
    potentials: Sequence[Potential] = (),
    progress: Progress = silent,
) -> ChosenFrames:
    """Choose frames to label.

    The same input gives the same frames; ties go to the lowest index.

    Args:
        frames: what to choose from.
        n_frames: how many more.
        choices: the method and its settings.
        potentials: two or more for "committee", one for "last_layer", none otherwise.
    Raises:
        InputError: none asked for, an unknown method, indices that are out of range or both already chosen and
            excluded, a number of potentials that does not fit.
        TrajectoryError: fewer frames are left, or they coincide; frames that cannot be compared.
    Checked against naive loops, for invariances, and against the best choice of all (furthest points leave at most
    twice its distance) by tests/labels/test_labels_sampling.py.
    """
    _refuse_choices(choices, len(potentials))
    counted, may_be_chosen = _standing(frames, choices)
    if n_frames < 1:
        raise InputError(f"{n_frames} frames were asked for", fix="ask for 1 or more")
    if may_be_chosen.sum() < n_frames:
        raise TrajectoryError(
            f"{n_frames} frames were asked for, and {may_be_chosen.sum()} of {frames.n_frames} may be chosen: the "
            "others are chosen already or excluded",
            fix="ask for fewer frames, or give a longer trajectory",
        )
    if choices.method == "furthest_point":
        found = _furthest(frames, n_frames, choices, (counted, may_be_chosen), progress)
    elif choices.method == "random":
        drawn = np.random.default_rng(choices.seed).choice(np.flatnonzero(may_be_chosen), n_frames, replace=False)
        found = drawn, np.full(n_frames, np.nan), f"drawn at random, seed {choices.seed}", ""
    else:
        numbers = np.array([atomic_numbers[symbol] for symbol in frames.symbols])
        arrays = numbers, frames.positions, frames.cells
        if choices.method == "committee":
            spreads = force_spreads(potentials, *arrays, progress)
            order = np.argsort(np.where(may_be_chosen, -spreads, np.inf), kind="stable")[:n_frames]
            found = order, spreads[order], "largest spread of the forces", "eV/Angstrom"
        else:
            model = LastLayerUncertainty(structure_features(potentials[0], *arrays, progress), choices.ridge)
            start = "features furthest from their mean"
            if len(counted):
                start = "least certain, given the frames chosen already"
            found = *least_certain(model, counted, may_be_chosen, n_frames), start, "units of the features"
    indices, distances, start, unit = found
    return ChosenFrames(
        method=choices.method,
        start=start,
        indices=indices,
        trajectory=frames.trajectory[indices],
        frame=frames.frame[indices],
        distances=distances,
        unit=unit,
    )


def distance_left(
    frames: FrameSet, chosen: Sequence[int] | IntArray, framework: tuple[str, ...] = ()
) -> FloatArray:
    """Distance of every frame to the nearest of the chosen ones, (n_frames,) Angstrom.

    Its maximum and mean tell how well a choice, by whatever method, covers a trajectory.

    Raises:
        TrajectoryError: frames that cannot be compared.
        InputError: nothing chosen, indices out of range.
    Checked by tests/labels/test_labels_sampling.py.
    """
    if not len(chosen):
        raise InputError("no frame is chosen to be near to", fix="choose frames first")
    _refuse_out_of_range(np.asarray(chosen), frames.n_frames, "chosen")
    errors = _position_errors(frames, framework)
    return np.min([errors.to_frame(int(k)) for k in chosen], axis=0)


_NAMED = ("already", "failed", "exclude")
Found = tuple[IntArray, FloatArray, str, str]  # indices, distances, starting rule, unit
Standing = tuple[IntArray, np.ndarray]  # indices that count as chosen, and a mask of those that may be


def _furthest(
    frames: FrameSet, n_frames: int, choices: SamplingChoices, standing: Standing, progress: Progress
) -> Found:
    counted, may_be_chosen = standing
    errors = _position_errors(frames, choices.framework)
    if len(counted):
        left = np.full(frames.n_frames, np.inf)
        for k in counted:
            np.minimum(left, errors.to_frame(int(k)), out=left)
        found = furthest_points(errors.to_frame, left, may_be_chosen, n_frames, progress)
        return *found[:2], "furthest from the frames chosen already", "Angstrom"
    if choices.start == "first_frame":
        first, start = int(np.flatnonzero(may_be_chosen)[0]), "first frame"
    else:
        from_mean = np.where(may_be_chosen, errors.to_mean(), -np.inf)
        first, start = int(np.argmax(from_mean)), "furthest from the mean of all frames"
    rest = may_be_chosen & (np.arange(frames.n_frames) != first)
    indices, distances, _ = furthest_points(errors.to_frame, errors.to_frame(first), rest, n_frames - 1, progress)
    return np.append(first, indices), np.append(np.nan, distances), start, "Angstrom"


def _position_errors(frames: FrameSet, framework: tuple[str, ...]) -> PositionErrors:
    for symbol in framework:
        if symbol not in frames.symbols:
            raise InputError(f"no atom of '{symbol}' in the frames", fix=nearest(symbol, set(frames.symbols)))
    with_them = np.isin(frames.symbols, framework) if framework else None
    return PositionErrors(frames.positions, frames.cells, translated_with=with_them)


def _standing(frames: FrameSet, choices: SamplingChoices) -> Standing:
    named = {what: np.unique(np.array(getattr(choices, what), dtype=np.int64)) for what in _NAMED}
    for what, indices in named.items():
        _refuse_out_of_range(indices, frames.n_frames, what)
    named["already"] = np.union1d(named["already"], np.flatnonzero(frames.trajectory == LABELLED))
    for one, other in combinations(_NAMED, 2):
        both = np.intersect1d(named[one], named[other])
        if len(both):
            raise InputError(
                f"frame {both[0]} is named in `{one}` and in `{other}`", fix="name each frame in one of them"
            )
    may_be_chosen = np.ones(frames.n_frames, dtype=bool)
    may_be_chosen[np.concatenate([*named.values()])] = False
    return np.union1d(named["already"], named["failed"]), may_be_chosen


def _refuse_out_of_range(indices: IntArray, n_frames: int, what: str) -> None:
    wrong = indices[(indices < 0) | (indices >= n_frames)]
    if len(wrong):
        raise InputError(
            f"there is no frame {wrong[0]}: the frames go from 0 to {n_frames - 1}",
            where=what,
            fix="count in the frames given, after `every` has thinned them",
        )


def _refuse_choices(choices: SamplingChoices, n_potentials: int) -> None:
    for value, known in ((choices.method, SamplingMethod), (choices.start, SamplingStart)):
        if value not in get_args(known):
            raise InputError(f"frames are not chosen by '{value}'", fix=nearest(value, get_args(known)))
    wanted = {"committee": "two or more", "last_layer": "one"}.get(choices.method, "none")
    fits = {"two or more": n_potentials > 1, "one": n_potentials == 1, "none": n_potentials == 0}[wanted]
    if not fits:
        raise InputError(
            f"method '{choices.method}' takes {wanted} of the potentials, {n_potentials} were given",
            fix=f"give {wanted}, or choose another method",
        )

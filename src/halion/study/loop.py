"""The fine-tuning loop: dynamics, labels, training in turn, each round hotter and with the model of the one before.

A round: NPT then NVT of every parent with the current model; furthest points of each trajectory; their labels; a
training from the base model on the labels of all rounds; errors of old and new model on the held-out frames of all
rounds. A model that is worse is not promoted, and the next round goes on with the old one. Every part resumes in
its own folder.

Source: arXiv:2510.09861.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from halion.errors import LabelError, SettingsError
from halion.files import atomic_path, digest, file_sha256, read_json
from halion.labels import Frame, LabelledFrame, label_frames, read_labels
from halion.potentials import load_potential
from halion.progress import Progress, Stop, never
from halion.records import from_record, to_record
from halion.settings_learning import TrainingSettings
from halion.study.loop_frames import RoundFrames, move_and_choose
from halion.study.loop_types import LoopRound, LoopStudy
from halion.study.observe import Observer, unobserved
from halion.study.run_folder import RunFolder
from halion.study.step import Step
from halion.training import (
    PotentialErrors,
    compare,
    errors,
    finetune,
    split_by_group,
)

__all__ = ["judge", "run_loop"]

# A model that is better on the whole may still have forgotten one temperature.
_MUCH_WORSE = 1.25


def run_loop(
    study: LoopStudy, folder: Path | str, *, observe: Observer = unobserved, stop: Stop = never
) -> list[LoopRound]:
    """Run a loop, or go on with it; more temperatures may be asked for later.

    `models/` of the folder holds every promoted model, `<T>K/` each round, `references/` the first labels.

    Raises:
        SettingsError: a trajectory is the only one with an element: held out, it would leave none to train on.
        RunFolderError: the folder is in use or of another loop.
        LabelError: of a round, not one frame could be labelled.
        InputError, PhysicsRefusal, MissingDependency: as the rooms raise them.
        Interrupted: `stop` said so; what is finished is kept.
    Checked by tests/study/test_study_loop.py.
    """
    _refuse_lone_elements(study)
    folder = Path(folder)
    with RunFolder(folder).locked():
        Step(folder, _inputs(study)).begin()
        loop = _Loop(study, folder, observe, stop)
        return [loop.round(temperature) for temperature in study.loop.temperatures_k]


def _refuse_lone_elements(study: LoopStudy) -> None:
    # Said before the first label, and not hours later by the training.
    counts = Counter(symbol for atoms in study.parents.values() for symbol in set(atoms.symbols))
    known = {symbol for frame in study.references for symbol in frame.atoms.symbols}
    lone = sorted(symbol for symbol, n in counts.items() if n == 1 and symbol not in known)
    if study.loop.trajectories_per_parent == 1 and lone:
        raise SettingsError(
            f"one trajectory alone holds {', '.join(lone)}: whole trajectories are held out, and then no frame "
            "that is trained on would fix the energy reference of the element",
            where="loop.trajectories_per_parent",
            fix="--trajectories 2, or --binaries with the element",
        )


def _inputs(study: LoopStudy) -> dict[str, Any]:
    return {
        "name": study.name,
        "parents": {name: Frame(atoms=atoms, group="").key for name, atoms in study.parents.items()},
        "method": study.labeller.method,
        "loop": study.loop.model_dump(mode="json", exclude={"temperatures_k"}),
        "training": study.training.model_dump(mode="json", exclude_none=True),
        "references": [frame.key for frame in study.references],
    }


class _Loop:
    """The state of a loop: the current model, and labels so far."""

    def __init__(self, study: LoopStudy, folder: Path, observe: Observer, stop: Stop) -> None:
        self.study, self.folder, self.observe, self.stop = study, folder, observe, stop
        self.device = study.training.device
        self.model = study.training.start
        self.training: list[LabelledFrame] = []
        self.held_out: dict[str, list[LabelledFrame]] = {}
        self.references = self._label(study.references, folder / "references", "references", len(study.references))

    def round(self, temperature_k: float) -> LoopRound:
        """One temperature; a finished round is read."""
        name, place = f"{temperature_k:g} K", self.folder / f"{temperature_k:g}K"
        inputs = {"temperature_k": temperature_k, "model": _digest_of(self.model), "rounds": list(self.held_out)}
        step = Step(place, inputs).begin()
        moved = None if step.is_done else self._labelled(place, name, temperature_k)
        labels = _of_round(place)
        settings = self.study.training
        fresh, held_out = split_by_group(
            labels, settings.validation_fraction, settings.seed + round(1000 * temperature_k)
        )
        self.training += fresh
        self.held_out[name] = held_out
        if moved is not None:
            step.commit(to_record(self._trained(place, name, temperature_k, moved, len(labels))))
        done = from_record(LoopRound, step.value())
        self.model = done.model
        return done

    def _labelled(self, place: Path, name: str, temperature_k: float) -> tuple[RoundFrames, int]:
        study = self.study
        moved = move_and_choose(
            place / "dynamics",
            study,
            temperature_k,
            load_potential(self.model, device=self.device),
            self._tell(f"{name}: dynamics"),
            self.stop,
        )
        n = 0
        for trajectory, frames in moved.frames.items():
            stage = f"{name}: labels of {trajectory}"
            n += len(self._label(frames, place / "labels", stage, study.loop.frames_per_trajectory))
        if not n:
            raise LabelError(
                f"of the round at {name} not one frame has a label",
                where=str(place),
                fix="look at labels/failed.json there, and at the dynamics",
            )
        wanted = {frame.key for frames in moved.frames.values() for frame in frames}
        failed = place / "labels" / "failed.json"
        n_failed = len(wanted & _read_keys(failed))
        return moved, n_failed

    def _label(self, frames: Sequence[Frame], folder: Path, stage: str, wanted: int) -> list[LabelledFrame]:
        if not frames:
            return []
        return list(
            label_frames(
                frames,
                self.study.labeller,
                folder,
                wanted=wanted,
                at_once=self.study.at_once,
                progress=self._tell(stage),
                stop=self.stop,
            ).labelled
        )

    def _trained(
        self, place: Path, name: str, temperature_k: float, moved: tuple[RoundFrames, int], n_labels: int
    ) -> LoopRound:
        held_out = [one for frames in self.held_out.values() for one in frames]
        trained = finetune(
            self.training,
            held_out,
            place / "training",
            self.study.training,
            references=self.references,
            progress=self._tell(f"{name}: training"),
            stop=self.stop,
        )
        before = load_potential(self.model, device=self.device)
        after = load_potential(str(trained.checkpoint), device=self.device)
        found = {
            key: (errors(compare(frames, before)), errors(compare(frames, after)))
            for key, frames in self.held_out.items()
        }
        promoted, verdict = judge(found, self.study.training)
        frames, n_failed = moved
        return LoopRound(
            temperature_k=temperature_k,
            started_with=before.name,
            volumes=frames.volumes,
            lost=frames.lost,
            n_labels=n_labels,
            n_failed=n_failed,
            errors=found,
            promoted=promoted,
            verdict=verdict,
            model=str(self._publish(trained.checkpoint, temperature_k)) if promoted else self.model,
        )

    def _publish(self, checkpoint: Path, temperature_k: float) -> Path:
        path = self.folder / "models" / f"halion-{self.study.name}-{temperature_k:g}K.pth.tar"
        with atomic_path(path) as part:
            shutil.copyfile(checkpoint, part)
        return path

    def _tell(self, stage: str) -> Progress:
        def tell(done: float, total: float, state: str = "", /) -> None:
            self.observe(stage, done, total, state)

        return tell


def judge(
    found: Mapping[str, tuple[PotentialErrors, PotentialErrors]], settings: TrainingSettings
) -> tuple[bool, str]:
    """Whether a new model takes the place of the old one, and why, in words.

    It must be better on the held-out frames of all rounds together, and on no round's more than a quarter worse.
    Better by the loss's weights on mean absolute errors, of energies without a constant per composition.

    Args:
        found: set -> errors of the old and of the new model.
    Checked by tests/study/test_study_loop.py.
    """
    scores = {name: (_score(old, settings), _score(new, settings)) for name, (old, new) in found.items()}
    before = sum(old * found[name][0].n_frames for name, (old, _) in scores.items())
    after = sum(new * found[name][0].n_frames for name, (_, new) in scores.items())
    forgot = [name for name, (old, new) in scores.items() if new > _MUCH_WORSE * old]
    said = f"its weighted error is {after / before:.2f} of the one before"
    if forgot:
        said += f", on {', '.join(forgot)} more than {_MUCH_WORSE:g}"
    promoted = after < before and not forgot
    return promoted, f"{'promoted' if promoted else 'not promoted'}: {said}"


def _score(one: PotentialErrors, settings: TrainingSettings) -> float:
    return (
        settings.energy_weight * one.energy_shifted_mae
        + settings.forces_weight * one.force_mae
        + settings.stress_weight * one.stress_mae
    )


def _of_round(place: Path) -> list[LabelledFrame]:
    """The round's labels in an order that does not depend on which was finished first."""
    return sorted(read_labels(place / "labels" / "labels.extxyz"), key=lambda one: (one.frame.group, one.frame.key))


def _read_keys(path: Path) -> set[str]:
    return set(read_json(path)) if path.exists() else set()


def _digest_of(model: str) -> str:
    return file_sha256(model) if Path(model).is_file() else digest(model)

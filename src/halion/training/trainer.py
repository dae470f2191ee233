"""Fine-tuning, epoch by epoch, each of which may be the last before a kill.

After every epoch the whole state (weights, optimizer, random state, best weights, history) replaces the one
before; the same call again goes on from it and ends in the same bits as if nothing had happened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from halion.errors import Interrupted, PhysicsRefusal, RunFolderError, TornFile
from halion.files import atomic_path, digest, locked_folder
from halion.labels import Frame, LabelledFrame
from halion.potentials.chgnet_model import load_model, weights_sha256
from halion.progress import Progress, Stop, never, silent
from halion.settings_learning import TrainingSettings
from halion.training.batches import batches
from halion.training.checkpoint import save_checkpoint
from halion.training.gradients import loss_and_gradients
from halion.training.loss import Errors, errors_of, loss_of
from halion.training.network import GraphedFrame, TrainableNetwork, graphed, predict
from halion.training.references import ReferenceShift
from halion.training.split import refuse_unusable
from halion.training.start import fit_start, pseudo_labelled, shift_references

__all__ = ["Epoch", "Training", "finetune"]

_STATE = "state.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over the training frames.

    Attributes:
        number: from 1; 0 is the model as it started, with its references fitted.
        learning_rate: of its last step.
        training_loss: mean over its steps, while the weights moved.
        validation: errors afterwards.
    """

    number: int
    learning_rate: float
    training_loss: float
    validation: Errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A fine-tuned potential.

    Attributes:
        checkpoint: file of the best epoch's weights.
        best: the epoch with the lowest validation loss.
        history: every epoch, the first is the start.
        references: the shift of the elements' references that was fitted before.
        n_training, n_validation: frames.
    """

    checkpoint: Path
    best: Epoch
    history: tuple[Epoch, ...]
    references: ReferenceShift
    n_training: int
    n_validation: int


def finetune(
    training: Sequence[LabelledFrame],
    validation: Sequence[LabelledFrame],
    folder: Path | str,
    settings: TrainingSettings,
    *,
    references: Sequence[LabelledFrame] = (),
    replay: Sequence[Frame] = (),
    progress: Progress = silent,
    stop: Stop = never,
) -> Training:
    """Fine-tune a CHGNet.

    The references of the elements are fitted (`fit_references`) on the training frames and `references`, on no
    validation frame, and frozen; then Adam on the
    Huber loss, the learning rate on half a cosine over all steps, the order of frames drawn anew for every epoch.
    The weights of the epoch with the lowest validation loss are kept; `model.pth.tar` in the folder holds them.

    Args:
        training: frames that are learned.
        validation: frames that choose the epoch; of other trajectories (`split_by_group`).
        folder: of this training, held for this process; the same call again resumes.
        settings: everything else.
        references: more frames for the fit of the references: binaries, so that every element has its own.
        replay: frames learned along with what the start says of them, so that it is not forgotten: crystals of the
            same elements far from the labelled ones. No label is needed; see `pseudo_labelled`.
        progress: told epochs done, and the errors now.
        stop: asked after every epoch.
    Raises:
        InputError: frames that must not be trained on, see `refuse_unusable`; stress labels of another sign or
            unit than the model's own stress, where stress is learned; a checkpoint of another architecture.
        PhysicsRefusal: a loss is not a finite number, with the epoch and the frames of the step.
        RunFolderError: another process trains here, or the folder is of other frames, labels, weights or settings.
        TornFile: the state cannot be read.
        Interrupted: `stop` said so.
    Checked by tests/training/test_training_trainer.py.
    """
    refuse_unusable(training, validation, references)
    folder = Path(folder)
    with locked_folder(folder, fix="wait for it to end, or choose another folder"):
        run = _Run((training, validation, references), replay, folder, settings)
        run.resume()
        run.train(progress, stop)
        return run.result()


class _Run:
    """The state of one training."""

    def __init__(
        self,
        labelled: tuple[Sequence[LabelledFrame], ...],
        replay: Sequence[Frame],
        folder: Path,
        settings: TrainingSettings,
    ) -> None:
        self.folder, self.settings = folder, settings
        self.model = load_model(None if settings.start == "chgnet" else settings.start)
        self.network = TrainableNetwork(self.model, frozen=settings.frozen, device=settings.device)
        self.frames, self.held_out, self.more = map(graphed, labelled)
        self.n_labelled, self.replay = len(self.frames), replay
        self.method = labelled[0][0].label.provenance.method
        self.identity = digest(
            {
                # What is not set is left out: options of later versions change no training that has begun.
                "settings": settings.model_dump(mode="json", exclude={"device"}, exclude_none=True),
                "start": weights_sha256(self.model),
                "frames": [[one.key for one in part] for part in labelled],
                **({"replay": [one.key for one in replay]} if replay else {}),
            }
        )
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate, fused=True)
        self.random = np.random.default_rng(settings.seed)
        self.history: list[Epoch] = []
        self.best_state: dict[str, torch.Tensor] = {}
        self.shift: ReferenceShift | None = None

    def resume(self) -> None:
        path = self.folder / _STATE
        if not path.exists():
            self._begin()
            return
        try:
            # Tensors and plain values only: a state is data and must not run code.
            saved = torch.load(path, map_location=self.network.device, weights_only=True)
        except (UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
            raise TornFile(
                f"the state of this training cannot be read ({type(error).__name__})",
                where=str(path),
                fix=f"rm {path}   then the same command again: this training starts anew",
            ) from error
        if saved["identity"] != self.identity:
            raise RunFolderError(
                "this folder holds a training on other frames, labels or weights, or with other settings",
                where=str(self.folder),
                fix="choose another folder",
            )
        self.shift = ReferenceShift(**saved["references"])
        shift_references(self.network, self.shift)
        self.frames += pseudo_labelled(self.network, self.replay, self.settings.batch_size)
        self.network.load(saved["weights"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.random.bit_generator.state = saved["random"]
        self.best_state = {name: tensor.cpu() for name, tensor in saved["best"].items()}
        self.history = [Epoch(**{**row, "validation": Errors(**row["validation"])}) for row in saved["history"]]

    def _begin(self) -> None:
        self.shift = fit_start(self.network, (self.frames, self.held_out, self.more), self.settings)
        self.frames += pseudo_labelled(self.network, self.replay, self.settings.batch_size)
        self._close(0, self.settings.learning_rate, math.nan)

    def train(self, progress: Progress, stop: Stop) -> None:
        while not self._is_over():
            progress(len(self.history) - 1, self.settings.epochs, _said(self.history[-1]))
            if stop():
                raise Interrupted(
                    f"{len(self.history) - 1} of {self.settings.epochs} epochs are done",
                    where=str(self.folder),
                    fix="type the same command again: it goes on from there",
                )
            self._epoch(len(self.history))
        progress(self.settings.epochs, self.settings.epochs, _said(self.history[-1]))

    def _is_over(self) -> bool:
        done = len(self.history) - 1
        return done >= self.settings.epochs or done - self._best().number >= self.settings.patience

    def _epoch(self, number: int) -> None:
        order = self.random.permutation(len(self.frames))
        parts = batches(order, [one.n_atoms for one in self.frames], self.settings)
        losses, rate = [], math.nan
        for k, part in enumerate(parts):
            rate = self._rate((number - 1) * len(parts) + k, self.settings.epochs * len(parts))
            losses.append(self._step([self.frames[j] for j in part], rate, f"epoch {number}, frames {part}"))
        self._close(number, rate, float(np.mean(losses)))

    def _step(self, batch: list[GraphedFrame], rate: float, where: str) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, gradients = loss_and_gradients(self.network, batch, lambda said: loss_of(said, batch, self.settings))
        every = torch.cat([one.flatten() for one in gradients if one is not None])
        if not (math.isfinite(loss) and bool(torch.isfinite(every).all())):
            raise PhysicsRefusal(
                "the loss or its gradient is no longer a finite number",
                where=where,
                fix="lower training.learning_rate, and look at these frames",
            )
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        return float(loss)

    def _rate(self, step: int, n_steps: int) -> float:
        """Half a cosine from the first learning rate to the last, over all steps."""
        first, last = self.settings.learning_rate, self.settings.last_learning_rate
        return last + (first - last) * (1 + math.cos(math.pi * step / max(1, n_steps - 1))) / 2

    def _close(self, number: int, rate: float, loss: float) -> None:
        errors = errors_of(
            predict(self.network, self.held_out, self.settings.batch_size), self.held_out, self.settings
        )
        if not math.isfinite(errors.loss):
            raise PhysicsRefusal(
                "the validation loss is not a finite number: no epoch could be called the best",
                where=f"after epoch {number}",
                fix="look for atoms on one point among the validation frames, and lower training.learning_rate",
            )
        self.history.append(Epoch(number=number, learning_rate=rate, training_loss=loss, validation=errors))
        if self._best().number == number:
            self.best_state = self.network.state()
        self._save()

    def _best(self) -> Epoch:
        return min(self.history, key=lambda epoch: epoch.validation.loss)

    def _save(self) -> None:
        assert self.shift is not None
        with atomic_path(self.folder / _STATE) as part:
            torch.save(
                {
                    "identity": self.identity,
                    "weights": self.network.state(),
                    "optimizer": self.optimizer.state_dict(),
                    "random": self.random.bit_generator.state,
                    "best": self.best_state,
                    "history": [asdict(epoch) for epoch in self.history],
                    "references": asdict(self.shift),
                },
                part,
            )

    def result(self) -> Training:
        assert self.shift is not None
        best = self._best()
        notes: dict[str, Any] = {
            "labels": self.method,
            "settings": self.settings.model_dump(mode="json"),
            "best": asdict(best),
            "references": asdict(self.shift),
            "n_training": self.n_labelled,
            "n_replay": len(self.replay),
            "n_validation": len(self.held_out),
        }
        checkpoint = save_checkpoint(self.folder / "model.pth.tar", self.model, self.best_state, notes)
        return Training(
            checkpoint=checkpoint,
            best=best,
            history=tuple(self.history),
            references=self.shift,
            n_training=self.n_labelled,
            n_validation=len(self.held_out),
        )


def _said(epoch: Epoch) -> str:
    errors = epoch.validation
    return (
        f"validation {errors.energy_mev_per_atom:.1f} meV/atom, {errors.forces_mev_per_angstrom:.0f} meV/Angstrom, "
        f"{errors.stress_mpa:.0f} MPa"
    )

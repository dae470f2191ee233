"""Search for the settings of a fine-tuning: batch size, epochs, learning rate and frozen blocks.

Trials are proposed by Optuna (Akiba et al. 2019, doi:10.1145/3292500.3330701), by tree-structured Parzen estimators
(Bergstra et al. 2011), and kept in a journal file of the folder.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halion.errors import Interrupted, MissingDependency, PhysicsRefusal, RunFolderError, TornFile
from halion.files import digest, locked_folder, write_text
from halion.labels import LabelledFrame
from halion.progress import Progress, Stop, never, silent
from halion.settings_learning import TrainingSettings
from halion.training.trainer import Training, finetune

__all__ = ["SearchTrial", "search_settings"]

_BATCH_SIZES = (1, 2, 4, 8, 16)
_LEARNING_RATES = (1e-4, 5e-3)
# From all free to the readout and the last convolutions alone.
_FROZEN = (
    "",
    "embeddings,bases",
    "embeddings,bases,message_weights,atoms1,bonds1,angles1",
    "embeddings,bases,message_weights,atoms1,bonds1,angles1,atoms2,bonds2,angles2",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTrial:
    """One choice of settings.

    Attributes:
        number: from 0.
        batch_size, epochs, learning_rate, frozen: what was chosen.
        loss: lowest validation loss; infinite where the training left the finite numbers.
        training: of this trial; None where it did.
    """

    number: int
    batch_size: int
    epochs: int
    learning_rate: float
    frozen: tuple[str, ...]
    loss: float
    training: Training | None


def search_settings(
    frames: tuple[Sequence[LabelledFrame], Sequence[LabelledFrame]],
    folder: Path | str,
    settings: TrainingSettings,
    n_trials: int,
    *,
    references: Sequence[LabelledFrame] = (),
    progress: Progress = silent,
    stop: Stop = never,
) -> list[SearchTrial]:
    """Fine-tune with several settings and compare the validation losses.

    Searched: batch size 1 to 16, epochs from a quarter of `settings.epochs` to all of them, learning rate 1e-4 to
    5e-3 (both by their logarithm), four depths of frozen blocks. The weights of the loss stay, or losses could not
    be compared. Trial k draws with the seed `settings.seed + k` from the trials before it, so that a killed search,
    typed again, proposes what it would have proposed; its trainings resume as any.

    Args:
        frames: training, validation. The best loss is chosen by the latter: judge the model on a third set.
        folder: for `search.journal`, `search.csv` (rewritten after every trial), and a training of each trial.
        settings: everything that is not searched.
        n_trials: in all; a finished search asked for more goes on.
        references, progress, stop: as of `finetune`.
    Returns:
        Trials in their order; the best is the one with the lowest loss.
    Raises:
        MissingDependency: Optuna is not installed.
        RunFolderError: the folder is in use, or holds a search on other frames or settings.
        TornFile: the journal cannot be read.
        Interrupted: `stop` said so; finished trials are kept.
        InputError: what `finetune` refuses.
    Checked by tests/training/test_training_search.py.
    """
    optuna = _optuna()
    training, validation = frames
    parts = (training, validation, references)
    name = digest([settings.model_dump(mode="json", exclude={"device"}), [[o.key for o in part] for part in parts]])
    folder = Path(folder)
    with locked_folder(folder, fix="wait for it to end, or choose another folder"):
        study = _study(optuna, folder / "search.journal", name)
        found: list[SearchTrial] = []
        while len(found) < n_trials:
            k = len(found)
            progress(k, n_trials, _best_of(found))
            if stop():
                raise Interrupted(
                    f"{k} of {n_trials} trials are done",
                    where=str(folder),
                    fix="type the same command again: it goes on from there",
                )
            done = [one for one in study.trials if one.state == optuna.trial.TrialState.COMPLETE]
            if k < len(done):
                trial, chosen = None, done[k].params
            else:
                study.sampler = optuna.samplers.TPESampler(seed=settings.seed + k)
                trial = study.ask(_space(optuna, settings))
                chosen = trial.params
            one = _tried(k, chosen, (parts, folder, settings), stop)
            if trial is not None:
                study.tell(trial, one.loss)
            found.append(one)
            write_text(folder / "search.csv", _csv(found))
        progress(n_trials, n_trials, _best_of(found))
    return found


def _tried(k: int, chosen: dict[str, Any], given: tuple[Any, Path, TrainingSettings], stop: Stop) -> SearchTrial:
    (training, validation, references), folder, settings = given
    values = chosen | {"frozen": tuple(word for word in chosen["frozen"].split(",") if word)}
    try:
        done = finetune(
            training,
            validation,
            folder / f"trial-{k:03d}",
            settings.model_copy(update=values),
            references=references,
            stop=stop,
        )
    except PhysicsRefusal:
        return SearchTrial(number=k, loss=math.inf, training=None, **values)
    return SearchTrial(number=k, loss=done.best.validation.loss, training=done, **values)


def _space(optuna: Any, settings: TrainingSettings) -> dict[str, Any]:
    kinds = optuna.distributions
    return {
        "batch_size": kinds.CategoricalDistribution(_BATCH_SIZES),
        "epochs": kinds.IntDistribution(max(1, settings.epochs // 4), settings.epochs, log=True),
        "learning_rate": kinds.FloatDistribution(*_LEARNING_RATES, log=True),
        "frozen": kinds.CategoricalDistribution(_FROZEN),
    }


def _study(optuna: Any, path: Path, name: str) -> Any:
    try:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        held = [one.study_name for one in storage.get_all_studies()]
    except (ValueError, KeyError, OSError) as error:
        raise TornFile(
            f"the journal of this search cannot be read ({type(error).__name__})",
            where=str(path),
            fix=f"rm {path}   then the same command again: finished trainings are read, not repeated",
        ) from error
    if held not in ([], [name]):
        raise RunFolderError(
            "this folder holds a search on other frames or with other settings",
            where=str(path.parent),
            fix="choose another folder",
        )
    study = optuna.create_study(storage=storage, study_name=name, direction="minimize", load_if_exists=True)
    for one in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        # Of a search that was killed: it is proposed anew, with the same settings.
        study.tell(one.number, state=optuna.trial.TrialState.FAIL)
    return study


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingDependency(
            "a search needs the package optuna, which is not installed", fix='pip install "halion[search]"'
        ) from error
    logging.getLogger("optuna").setLevel(logging.WARNING)
    return optuna


def _best_of(found: Sequence[SearchTrial]) -> str:
    return f"lowest loss {min(one.loss for one in found):.4g}" if found else ""


def _csv(found: Sequence[SearchTrial]) -> str:
    lines = [
        "trial,loss,energy_mev_per_atom,forces_mev_per_angstrom,stress_mpa,batch_size,epochs,learning_rate,frozen"
    ]
    for one in found:
        best = one.training.best.validation if one.training is not None else None
        errors = ["", "", ""]
        if best is not None:
            errors = [f"{v:.3f}" for v in (best.energy_mev_per_atom, best.forces_mev_per_angstrom, best.stress_mpa)]
        lines.append(
            f"{one.number},{one.loss:.6g},{','.join(errors)},{one.batch_size},{one.epochs},{one.learning_rate:.4g},"
            f"{' '.join(one.frozen)}"
        )
    return "\n".join(lines) + "\n"

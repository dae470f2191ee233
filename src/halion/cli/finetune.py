"""halion finetune: a potential from labelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.label_options import (
    BatchSize,
    Epochs,
    Frozen,
    LabelFolder,
    LearningRate,
    TrainingDevice,
    section,
    words,
)
from halion.cli.options import AsJson, csv_text, given
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal
from halion.cli.training_kinds import TrainingData, train_committee, train_search
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.labels import Frame
    from halion.progress import Stop
    from halion.settings_learning import TrainingSettings
    from halion.training import Epoch, Training

__all__ = ["command"]


def command(
    labels: Annotated[
        list[Path], typer.Argument(metavar="LABELS...", help="Labelled frames: extended XYZ with REF_energy, ...")
    ],
    folder: LabelFolder,
    validation: Annotated[
        list[Path] | None,
        typer.Option(metavar="LABELS", help="Frames that choose the best epoch. (otherwise: whole trajectories)"),
    ] = None,
    references: Annotated[
        list[Path] | None,
        typer.Option(metavar="LABELS", help="More frames for the references of the elements: binaries."),
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="WORDS", help="Code, functional, cutoff of labels that name none.")
    ] = "",
    start: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="What is fine-tuned. (default: chgnet)")
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    frozen: Frozen = None,
    batch_atoms: Annotated[
        int | None, typer.Option(metavar="N", help="Most atoms per step, in place of --batch-size.")
    ] = None,
    replay: Annotated[
        list[Path] | None,
        typer.Option(metavar="STRUCTURES", help="Crystals, unlabelled, on which the start must not be forgotten."),
    ] = None,
    committee: Annotated[
        int | None, typer.Option(metavar="N", help="N potentials from N seeds, and their spread.")
    ] = None,
    search: Annotated[
        int | None, typer.Option(metavar="N", help="N trials of other settings, the best named. Needs optuna.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--split-seed", metavar="N", help="Seed of the split and the order. (default: 0)")
    ] = None,
    device: TrainingDevice = None,
    as_json: AsJson = False,
) -> Shown:
    """Fine-tune CHGNet on labelled frames; the same command again goes on after a kill."""
    from halion.settings_learning import TrainingSettings

    values = given(
        start=start,
        epochs=epochs,
        batch_size=batch_size,
        batch_atoms=batch_atoms,
        learning_rate=learning_rate,
        frozen=words(frozen),
        seed=seed,
        device=device,
    )
    settings = section(TrainingSettings, values, "finetune")

    if sum(one is not None for one in (committee, search, replay or None)) > 1:
        raise SettingsError(
            "--committee, --search and --replay are each a training of its own kind", fix="give one of them"
        )

    from halion.labels import read_labels
    from halion.training import split_by_group

    every = [one for path in labels for one in read_labels(path, method)]
    held_out = [one for path in validation or [] for one in read_labels(path, method)]
    frames = (every, held_out)
    if not held_out:
        frames = split_by_group(every, settings.validation_fraction, settings.seed)
    more = [one for path in references or [] for one in read_labels(path, method)]
    data = TrainingData(frames=frames, references=more, replay=_structures(replay or []))
    with Watcher() as watcher, stop_on_signal() as stop:
        if committee is not None:
            record, said = train_committee(data, folder, settings, committee, watcher=watcher, stop=stop)
        elif search is not None:
            record, said = train_search(data, folder, settings, search, watcher=watcher, stop=stop)
        else:
            record, said = _train(data, folder, settings, watcher=watcher, stop=stop)
    return Shown(record=record, text=said, as_json=as_json)


def _structures(paths: list[Path]) -> list[Frame]:
    from halion.cli.structures import read_ordered
    from halion.labels import Frame

    return [Frame(atoms=read_ordered(path), group="replay") for path in paths]


def _train(
    data: TrainingData, folder: Path, settings: TrainingSettings, *, watcher: Watcher, stop: Stop
) -> tuple[dict[str, Any], list[str | Table]]:
    from halion.files import write_text
    from halion.training import finetune

    done = finetune(
        *data.frames,
        folder,
        settings,
        references=data.references,
        replay=data.replay,
        progress=watcher.stage("training"),
        stop=stop,
    )
    write_text(folder / "history.csv", csv_text([_row(epoch) for epoch in done.history]))
    return _record(done), _text(done, data.method)


def _record(done: Training) -> dict[str, Any]:
    from halion.records import to_record

    return {
        "checkpoint": str(done.checkpoint),
        "best": to_record(done.best),
        "history": to_record(done.history),
        "references": to_record(done.references),
        "n_training": done.n_training,
        "n_validation": done.n_validation,
    }


def _row(epoch: Epoch) -> dict[str, object]:
    errors = epoch.validation
    return {
        "epoch": epoch.number,
        "learning_rate": f"{epoch.learning_rate:.3g}",
        "training_loss": f"{epoch.training_loss:.6g}",
        "validation_loss": f"{errors.loss:.6g}",
        "energy_mev_per_atom": f"{errors.energy_mev_per_atom:.3f}",
        "forces_mev_per_angstrom": f"{errors.forces_mev_per_angstrom:.2f}",
        "stress_mpa": f"{errors.stress_mpa:.1f}",
    }


def _text(done: Training, method: str) -> list[str | Table]:
    shift = done.references
    said = ", ".join(f"{symbol} {value:+.3f}" for symbol, value in shift.shifts_ev.items())
    rows = tuple(
        (name, f"{e.energy_mev_per_atom:.2f}", f"{e.forces_mev_per_angstrom:.1f}", f"{e.stress_mpa:.0f}")
        for name, e in (("start", done.history[0].validation), (f"epoch {done.best.number}", done.best.validation))
    )
    return [
        f"{done.n_training} frames trained, {done.n_validation} held out; labels of {method}",
        f"references shifted by (eV) {said}; rank {shift.rank}, {shift.residual_mev_per_atom:.1f} meV/atom left",
        Table(headings=("held-out frames", "meV/atom", "meV/Angstrom", "MPa"), rows=rows),
        f"written to {done.checkpoint}   (use it as --potential {done.checkpoint})",
    ]

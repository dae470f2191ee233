"""What `halion finetune` does with --committee and --search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halion.cli.options import csv_text
from halion.cli.terminal import Table, Watcher

if TYPE_CHECKING:
    from halion.labels import Frame, LabelledFrame
    from halion.progress import Stop
    from halion.settings_learning import TrainingSettings
    from halion.training import Committee

__all__ = ["TrainingData", "train_committee", "train_search"]

Answer = tuple[dict[str, Any], list[str | Table]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a training is given: training and validation frames, more for the references, frames to replay."""

    frames: tuple[Sequence[LabelledFrame], Sequence[LabelledFrame]]
    references: Sequence[LabelledFrame]
    replay: Sequence[Frame]

    @property
    def method(self) -> str:
        """Of the labels."""
        return self.frames[0][0].label.provenance.method


def train_committee(
    data: TrainingData, folder: Path, settings: TrainingSettings, n: int, *, watcher: Watcher, stop: Stop
) -> Answer:
    """Members, and on the validation frames their spread beside their error."""
    from halion.files import write_text
    from halion.training import finetune_committee

    made = finetune_committee(
        data.frames,
        folder,
        settings,
        n,
        references=data.references,
        progress=watcher.stage("committee"),
        stop=stop,
    )
    rows = [
        {
            "group": one.frame.group,
            "frame": one.frame.key,
            "force_std_ev_per_angstrom": round(float(spread), 6),
            "force_error_ev_per_angstrom": round(float(error), 6),
        }
        for one, spread, error in zip(data.frames[1], made.spreads, made.errors, strict=True)
    ]
    write_text(folder / "committee.csv", csv_text(rows))
    record = {"checkpoints": [str(path) for path in made.checkpoints], "validation": rows}
    said = (
        f"largest force deviation between members {1e3 * made.spreads.mean():.0f} meV/Angstrom in the mean over "
        f"held-out frames, largest error {1e3 * made.errors.mean():.0f}; each frame's in {folder / 'committee.csv'}"
    )
    return record, [_members(made, data.method), said]


def _members(made: Committee, method: str) -> Table:
    rows = [
        (
            one.checkpoint.parent.name,
            f"{one.best.validation.energy_mev_per_atom:.2f}",
            f"{one.best.validation.forces_mev_per_angstrom:.1f}",
            f"{one.best.validation.stress_mpa:.0f}",
        )
        for one in made.members
    ]
    title = f"Held-out frames; labels of {method}"
    return Table(headings=("member", "meV/atom", "meV/Angstrom", "MPa"), rows=tuple(rows), title=title)


def train_search(
    data: TrainingData, folder: Path, settings: TrainingSettings, n: int, *, watcher: Watcher, stop: Stop
) -> Answer:
    """Trials by their validation loss."""
    from halion.records import to_record
    from halion.training import search_settings

    found = search_settings(
        data.frames, folder, settings, n, references=data.references, progress=watcher.stage("search"), stop=stop
    )
    best = min(found, key=lambda one: one.loss)
    rows = tuple(
        (
            str(one.number),
            f"{one.loss:.4g}",
            str(one.batch_size),
            str(one.epochs),
            f"{one.learning_rate:.2g}",
            " ".join(one.frozen) or "none",
        )
        for one in sorted(found, key=lambda one: one.loss)
    )
    headings = ("trial", "loss", "batch size", "epochs", "learning rate", "frozen")
    checkpoint = str(best.training.checkpoint) if best.training is not None else None
    columns = ("number", "loss", "batch_size", "epochs", "learning_rate", "frozen")
    record = {
        "trials": [{key: to_record(getattr(one, key)) for key in columns} for one in found],
        "best": best.number,
        "checkpoint": checkpoint,
    }
    return record, [
        Table(headings=headings, rows=rows, title=f"Trials by validation loss; labels of {data.method}"),
        f"all of it in {folder / 'search.csv'}",
        f"the best is {checkpoint}; the held-out frames chose it: judge it on others (halion evaluate)"
        if checkpoint
        else "every trial left the finite numbers: lower the weights of the loss, look at the labels",
    ]

"""Many frames through a labeller: resumable, several at once, failures named and replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from halion.errors import Interrupted, LabelError
from halion.files import locked_folder, read_json, write_json
from halion.labels.checks import refuse_bad_label, refuse_bad_structure
from halion.labels.store import LabelStore, read_labels
from halion.labels.types import Frame, Label, LabelledFrame, Labeller
from halion.progress import Progress, Stop, never, silent

__all__ = ["Labelling", "label_frames"]

_LABELS = "labels.extxyz"
_FAILED = "failed.json"
# A frame may fail; so many from the start, without one label, are no accident of frames.
_HOPELESS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """Labels of a set of frames.

    Attributes:
        labelled: the frames that have a label, in the order asked for.
        failed: key of each frame that could not be labelled -> why.
        path: the extxyz file of all labels of the folder.
    """

    labelled: tuple[LabelledFrame, ...]
    failed: dict[str, str]
    path: Path


def label_frames(
    frames: Sequence[Frame],
    labeller: Labeller,
    folder: Path | str,
    *,
    wanted: int | None = None,
    at_once: int = 1,
    progress: Progress = silent,
    stop: Stop = never,
) -> Labelling:
    """Label frames; the same call again resumes, and no frame is labelled twice.

    `labels.extxyz` in the folder is whole after every label, `failed.json` says what failed and why, `jobs/` holds
    the files of the code for what runs or has failed.

    Args:
        frames: in order of preference.
        labeller: the code.
        folder: of these labels; held for this process.
        wanted: stop after so many of them have a label: a frame that fails is replaced by the next of the list.
            None: all.
        at_once: labels at once; each may use several processes of its own.
        progress: told labels done and wanted.
        stop: asked between labels.
    Raises:
        RunFolderError: another process labels in this folder.
        InputError: the folder holds labels of another method.
        MissingDependency: the code is not there.
        LabelError: the first three frames all failed: the code itself does not work, and no frame is blamed.
        Interrupted: `stop` said so; finished labels are kept.
    Checked by tests/labels/test_labels_run.py.
    """
    folder = Path(folder)
    fix = "wait for it to end, or choose another folder"
    with locked_folder(folder, fix=fix):
        work = _Work(frames, labeller, folder, len(frames) if wanted is None else min(wanted, len(frames)))
        work.run(at_once, progress, stop)
        return work.result()


class _Work:
    """The state of one labelling."""

    def __init__(self, frames: Sequence[Frame], labeller: Labeller, folder: Path, wanted: int) -> None:
        self.frames, self.labeller, self.folder, self.wanted = frames, labeller, folder, wanted
        self.store = LabelStore(folder / _LABELS)
        self.store.refuse_other_method(labeller.method)
        self.failed: dict[str, str] = read_json(folder / _FAILED) if (folder / _FAILED).exists() else {}
        self.keys = [frame.key for frame in frames]
        self.new: dict[str, str] = {}  # failures of this call
        self.works = bool(self.store.keys)

    @property
    def n_done(self) -> int:
        return len({key for key in self.keys if key in self.store.keys})

    def run(self, at_once: int, progress: Progress, stop: Stop) -> None:
        queue = self._open()
        running: dict[Future[Label], Frame] = {}
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            try:
                progress(self.n_done, self.wanted)
                while True:
                    while len(running) < min(at_once, self.wanted - self.n_done) and not stop():
                        frame = next(queue, None)
                        if frame is None:
                            break
                        running[pool.submit(self._label, frame)] = frame
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        self._take(future, running.pop(future))
                    progress(self.n_done, self.wanted)
            finally:
                for future in running:
                    future.cancel()
        if self.n_done < self.wanted and stop():
            raise Interrupted(
                f"{self.n_done} of {self.wanted} labels are done",
                where=str(self.folder),
                fix="type the same command again: it goes on from there",
            )

    def _open(self) -> Iterator[Frame]:
        """Frames without a label that have not failed, each once."""
        seen = set(self.store.keys) | set(self.failed) | set(self.new)
        for frame, key in zip(self.frames, self.keys, strict=True):
            if key not in seen:
                seen.add(key)
                yield frame

    def _label(self, frame: Frame) -> Label:
        folder = self.folder / "jobs" / frame.key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        refuse_bad_structure(frame.atoms, frame.group)
        label = self.labeller.label(frame.atoms, folder)
        refuse_bad_label(label, str(folder))
        shutil.rmtree(folder)
        return label

    def _take(self, future: Future[Label], frame: Frame) -> None:
        try:
            self.store.add(LabelledFrame(frame=frame, label=future.result()))
            self.works = True
        except LabelError as error:
            self.new[frame.key] = f"{frame.group}: {error.what}"
            if not self.works and len(self.new) >= _HOPELESS:
                raise LabelError(
                    f"the first {len(self.new)} frames all failed, the last because: {error.what}",
                    where=error.where,
                    fix="halion doctor   (checks the code); then the same command again",
                ) from error
        if self.works and self.new:
            self.failed |= self.new
            self.new = {}
            write_json(self.folder / _FAILED, self.failed)

    def result(self) -> Labelling:
        failed = self.failed | self.new
        held = {one.frame.key: one for one in read_labels(self.store.path)} if self.store.keys else {}
        return Labelling(
            labelled=tuple(held[key] for key in dict.fromkeys(self.keys) if key in held),
            failed={key: failed[key] for key in dict.fromkeys(self.keys) if key in failed},
            path=self.store.path,
        )

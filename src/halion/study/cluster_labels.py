"""Labels in batch jobs: a labeller like any other, whose code runs on the nodes of a cluster."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ase import Atoms

from halion.errors import Interrupted, LabelError, SettingsError, TornFile
from halion.files import read_json
from halion.labels import Label, Relaxed, labeller_of
from halion.progress import Stop, never
from halion.records import from_record, to_record
from halion.settings_learning import LabelSettings
from halion.settings_site import SiteSettings
from halion.study.cluster import LOST, begin_session, end_session, lost_cause, told_error
from halion.study.cluster_jobs import Kernel, parsl_kernel
from halion.study.cluster_worker import label_work

__all__ = ["ClusterLabeller"]

_POLL_S = 0.5
_MOST_LOST = 4


class ClusterLabeller:
    """Labels by the code that the settings name, in the pool `labels` of a site; use as a context manager.

    Jobs are asked for with the first label. A label that a worker finished after its driver was killed is found by
    the next driver, and not made again.

    Args:
        settings: of the code, which must be found on this machine too: its method names the labels.
        site: with a pool `labels`.
        folder: for what the cluster needs.
        stop: labels that no worker has begun are given up when it says True.
    Attributes:
        method, relaxation_method: of the code.
        at_once: labels at once, that all workers have something to do.
    Raises:
        SettingsError: the site has no pool `labels`.
    Checked by tests/study/test_study_cluster_labels.py and, with Slurm, test_study_slurm.py.
    """

    def __init__(self, settings: LabelSettings, site: SiteSettings, folder: Path, stop: Stop = never) -> None:
        if site.labels is None:
            raise SettingsError(
                "the site has no pool for labels", where="labels of the site file", fix="docs/cluster.md shows one"
            )
        self._asks, self._site = settings.model_dump(mode="json"), site
        self._folder, self._stop = folder.resolve(), stop
        self._pool, self._lock = site.labels, threading.Lock()
        self._taken: list[Path] = []
        self._code = labeller_of(settings)
        self.method, self.relaxation_method = self._code.method, self._code.relaxation_method
        self.at_once = site.labels.workers
        self._open = ExitStack()
        self._kernel: Kernel | None = None
        self._session = ""

    def __enter__(self) -> ClusterLabeller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kernel is not None:
            end_session(self._folder, self._session)
        self._open.close()
        if error is None:  # whoever asked has stored them
            for path in self._taken:
                path.unlink(missing_ok=True)

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress, see `Labeller`."""
        answer = folder.resolve().with_suffix(".json")
        found = self._found(answer)
        if found is not None:
            return found
        lost = 0
        while True:
            # A folder of its own for each try: one that was lost may still write into it.
            place = folder.resolve() / uuid.uuid4().hex[:8]
            future = self._asked().submit(
                label_work,
                "labels",
                self._asks,
                to_record(atoms),
                str(place),
                str(answer),
            )
            error = self._waited(future, place)
            if error is None:
                told = future.result()
                if told["ended"] == "failed":
                    raise told_error(told["error"], str(folder))
                found = self._found(answer)
                if found is not None:
                    return found
                error = OSError(f"no label appears at {answer}: is this folder on a file system that nodes share?")
            elif type(error).__name__ not in LOST:
                raise lost_cause(error, self._folder)
            lost += 1
            if lost == _MOST_LOST:
                raise LabelError(
                    f"{lost} workers were lost over this label; the last: {error}",
                    where=str(folder),
                    fix="give the pool a longer walltime, or a margin_s that the longest label fits into",
                )

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """In this process, see `Labeller`: relaxations go on where they stopped, and need no batch job to end."""
        return self._code.relax(atoms, folder, force_tolerance=force_tolerance, max_steps=max_steps)

    def _found(self, answer: Path) -> Label | None:
        if not answer.exists():
            return None
        try:
            label = from_record(Label, read_json(answer))
        except TornFile:
            return None
        if label.provenance.method != self.method:
            return None
        self._taken.append(answer)
        return label

    def _waited(self, future: Any, place: Path) -> BaseException | None:
        while True:
            try:
                return future.exception(timeout=_POLL_S)
            except FutureTimeout:
                if self._stop() and not place.exists():
                    raise Interrupted(
                        "stopped on request before a worker had this label",
                        where=str(place.parent),
                        fix="type the same command again: it goes on from there",
                    ) from None

    def _asked(self) -> Kernel:
        """The kernel, begun with the first label: by then this process holds the folder of the labels."""
        with self._lock:
            if self._kernel is None:
                self._session = begin_session(self._folder, self._site)
                opened = parsl_kernel({"labels": self._pool}, self._site, self._folder, self._session)
                self._kernel = self._open.enter_context(opened)
            return self._kernel

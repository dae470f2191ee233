"""An engine for clusters: Parsl asks Slurm for jobs, and workers in them run the jobs of the steps.

Parsl moves the calls; what is done, and how far, only the step folders say. A task that is out of time hands over
and is asked for again; one whose worker was lost is, too, a few times without progress. A driver that is killed
leaves workers behind, which stop by themselves as soon as another driver has begun, and batch jobs, which that one
cancels.

Source: Babuji et al., HPDC 2019, doi:10.1145/3307681.3325400.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from halion import errors
from halion.errors import EngineError, HalionError
from halion.files import read_json, write_json
from halion.progress import Stop
from halion.settings import MachineSettings
from halion.settings_site import SiteSettings
from halion.study.cluster_jobs import cancel_jobs_of, parsl_kernel
from halion.study.cluster_worker import SESSION, job_name, work
from halion.study.engine import Engine, EngineMaker, Job, stopped_at
from halion.study.jobs import read_progress
from halion.study.leases import LEASE

__all__ = ["LOST", "ClusterEngine", "begin_session", "cluster_engine", "end_session", "lost_cause", "told_error"]

_POLL_S = 0.5
# Of tasks that are handed over, or whose worker is lost, again and again without getting further.
_MOST_IN_VAIN = 4
_FOLDER = "cluster"
LOST = ("ManagerLost", "WorkerLost")  # Parsl's errors when a batch job ends under a task


def cluster_engine(site: SiteSettings) -> EngineMaker:
    """What `run_study` takes to run a study on a cluster.

    Raises (when it is entered):
        MissingDependency: no Parsl.
        EngineError: no Slurm on this machine.
    """

    def make(machine: MachineSettings, folder: Path) -> AbstractContextManager[Engine]:
        return _opened(site, folder / _FOLDER)

    return make


@contextmanager
def _opened(site: SiteSettings, folder: Path) -> Iterator[ClusterEngine]:
    folder = folder.resolve()
    session = begin_session(folder, site)
    with parsl_kernel({"dynamics": site.dynamics}, site, folder, session) as kernel:
        engine = ClusterEngine(kernel, site, folder, session)
        try:
            yield engine
        finally:
            end_session(folder, session)
            engine.settle()


def begin_session(folder: Path, site: SiteSettings) -> str:
    """A new session; workers of an earlier one stop when they see it, and its batch jobs are cancelled."""
    folder.mkdir(parents=True, exist_ok=True)
    earlier = read_json(folder / SESSION)["session"] if (folder / SESSION).exists() else None
    session = uuid.uuid4().hex[:12]
    write_json(folder / SESSION, {"session": session, "stopping": False})
    if earlier:
        cancel_jobs_of(earlier)
    return session


def end_session(folder: Path, session: str) -> None:
    """Tell its workers to stop."""
    write_json(folder / SESSION, {"session": session, "stopping": True})


@dataclass(slots=True)
class _Task:
    """A group of steps on its way: how far it was when it last came back, and how often in vain."""

    group: Sequence[Path]
    best: float = -1.0
    in_vain: int = 0
    why: list[str] = field(default_factory=list)


class ClusterEngine:
    """Workers in batch jobs; may be used by several threads at once."""

    def __init__(self, kernel: Any, site: SiteSettings, folder: Path, session: str) -> None:
        self._site, self._folder, self._session = site, folder, session
        self._submit_work = partial(kernel.submit, work, "dynamics")
        self._out: dict[Future[Any], Sequence[Path]] = {}
        self.workers = self.devices = site.dynamics.workers

    def run(self, job: Job, groups: Sequence[Sequence[Path]], *, watch: Callable[[], None], stop: Stop) -> None:
        """See `Engine`. A task that gets no further in four batch jobs is an `EngineError`."""
        pending = {self._submit(job, group): _Task(group) for group in groups}
        first: HalionError | None = None
        while pending and not stop():
            done, _ = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                task = pending.pop(future)
                self._out.pop(future, None)
                error, again = self._judged(future, task)
                first = first or error
                if again and not first:
                    pending[self._submit(job, task.group)] = task
            watch()
            if first and not any(self._is_working(task) for task in pending.values()):
                break
        if first:
            raise first
        if stop():
            raise stopped_at(groups)

    def settle(self, most_s: float = 60.0) -> None:
        """Wait for the workers that were told to stop to store what they have."""
        until = time.monotonic() + most_s
        while time.monotonic() < until:
            working = [f for f, group in self._out.items() if not f.done() and _has_worker(group)]
            if not working:
                return
            wait(working, timeout=_POLL_S)

    def _submit(self, job: Job, group: Sequence[Path]) -> Future[dict[str, Any]]:
        future = self._submit_work(
            job_name(job),
            [str(folder.resolve()) for folder in group],
            str(self._folder),
            self._session,
            self._site.silent_s,
        )
        self._out[future] = group
        return future

    def _judged(self, future: Future[dict[str, Any]], task: _Task) -> tuple[HalionError | None, bool]:
        """The error that this task ends in, if any, and whether it is to be asked for again."""
        error = future.exception()
        if error is None:
            told = future.result()
            if told["ended"] == "done":
                return None, False
            if told["ended"] == "failed":
                return told_error(told["error"], str(task.group[0])), False
            why = "out of time"
        elif type(error).__name__ in LOST:
            why = str(error)
        else:
            return lost_cause(error, self._folder), False
        far = _far(task.group)
        task.in_vain = 0 if far > task.best else task.in_vain + 1
        task.best = max(far, task.best)
        task.why.append(why)
        if task.in_vain < _MOST_IN_VAIN:
            return None, True
        return (
            EngineError(
                f"this got no further in {_MOST_IN_VAIN} batch jobs; the last ended: {why}",
                where=str(task.group[0]),
                fix="give the pool a longer walltime; what the jobs said lies in " + str(self._folder),
            ),
            False,
        )

    def _is_working(self, task: _Task) -> bool:
        return _has_worker(task.group)


def _has_worker(group: Sequence[Path]) -> bool:
    return any((folder / LEASE).exists() for folder in group)


def _far(group: Sequence[Path]) -> float:
    """How far the steps of a group are: grows when anything of lasting value was done."""
    total = 0.0
    for folder in group:
        told = read_progress(folder)
        if (folder / "result.json").exists():
            total += 3.0
        elif told:
            total += (1.0 if told["phase"] == "production" else 0.0) + told["done"] / max(told["total"], 1e-9)
    return total


def told_error(told: dict[str, str], where: str) -> HalionError:
    """The error that a worker told of."""
    kind = getattr(errors, told["kind"], EngineError)
    return kind(told["what"], where=told["where"] or where, fix=told["fix"])


def lost_cause(error: BaseException, folder: Path) -> EngineError:
    """What is raised when the cluster itself does not work."""
    return EngineError(
        f"the cluster does not run this work: {type(error).__name__}: {error}",
        where=str(folder),
        fix="look at the batch jobs' output in that folder; can they import halion (`setup` of the site file)?",
    )

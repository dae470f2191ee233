"""What runs the jobs of a study, behind one small interface; by default worker processes on this machine.

A job is a function of this package and the folders of its steps; everything else it reads there. Local workers
ignore Ctrl-C (the driver asks them to stop between two steps of their work) and die with their driver, so that no
orphan writes into a run folder. Workers on a cluster: cluster.py.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import Protocol

from halion.cores import usable_cores
from halion.errors import EngineError, Interrupted, PhysicsRefusal
from halion.progress import Stop, never
from halion.settings import MachineSettings

__all__ = [
    "Engine",
    "EngineMaker",
    "Job",
    "LocalEngine",
    "default_workers",
    "engine_of_site",
    "local_engine",
    "obey",
    "stop_requested",
    "stopped_at",
]

Job = Callable[..., None]  # of one folder or more
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_POLL_S = 0.5
_stop: Stop = never


class Engine(Protocol):
    """What runs jobs.

    Attributes:
        workers: jobs at once.
        devices: accelerators that work at once: into so many batches the work for them is split.
    """

    workers: int
    devices: int

    def run(self, job: Job, groups: Sequence[Sequence[Path]], *, watch: Callable[[], None], stop: Stop) -> None:
        """Run a job for each group of step folders; a refusal by physics ends one job, any other error all.

        Args:
            job: a module-level function of the folders of a group, one argument each.
            groups: step folders with their inputs written, those of one job together.
            watch: called about twice a second.
            stop: when it says True, the jobs are asked to stop and `Interrupted` is raised.
        Raises:
            Interrupted: stopped on request; resumable.
            EngineError: a worker process died.
            HalionError: the first error of a job.
        """
        ...


# From the settings of the machine and the run folder, which is held by then.
EngineMaker = Callable[[MachineSettings, Path], AbstractContextManager[Engine]]


def local_engine(machine: MachineSettings, folder: Path) -> AbstractContextManager[Engine]:
    """Worker processes of this machine, as many as the settings say or its cores allow."""
    workers = machine.workers or default_workers(machine.threads_per_worker)
    return LocalEngine(workers=workers, threads_per_worker=machine.threads_per_worker)


def default_workers(threads_per_worker: int = 1) -> int:
    """One process per `threads_per_worker` cores that this process may use."""
    return max(1, usable_cores() // threads_per_worker)


def stop_requested() -> bool:
    """Asked by jobs between two steps of their work: True when the driver wants them to stop."""
    return _stop()


def obey(stop: Stop) -> None:
    """What `stop_requested` of this process says from now on."""
    global _stop  # the one piece of process-wide state: what asks to stop cannot be passed with each job
    _stop = stop


def _begin_worker(event: Event, driver: int) -> None:
    obey(event.is_set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != driver:  # it died before the call above
            os._exit(1)


def stopped_at(groups: Sequence[Sequence[Path]]) -> Interrupted:
    """What a run that was asked to stop raises."""
    return Interrupted(
        "stopped on request; everything up to the last step is stored",
        where=str(groups[0][0].parent) if groups else "",
        fix="type the same command again: it goes on from there",
    )


def engine_of_site(site: Path | None) -> EngineMaker:
    """What runs jobs: batch jobs as a site file says, or without one processes of this machine.

    Raises:
        SettingsError: the site file cannot be used.
    """
    if site is None:
        return local_engine
    from halion.settings_site import read_site
    from halion.study.cluster import cluster_engine  # which needs this module, and Parsl

    return cluster_engine(read_site(site))


class LocalEngine:
    """A pool of worker processes on this machine; use as a context manager."""

    devices = 1

    def __init__(self, *, workers: int, threads_per_worker: int) -> None:
        self.workers, self._threads = workers, threads_per_worker
        self._saved: dict[str, str | None] = {}

    def __enter__(self) -> LocalEngine:
        # Numerical libraries read these once, when a worker imports them.
        for name in _THREAD_VARIABLES:
            self._saved[name] = os.environ.get(name)
            os.environ[name] = str(self._threads)
        context = multiprocessing.get_context("spawn")
        self._event = context.Event()
        self._pool = ProcessPoolExecutor(
            self.workers, mp_context=context, initializer=_begin_worker, initargs=(self._event, os.getpid())
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._event.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for name, value in self._saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def run(self, job: Job, groups: Sequence[Sequence[Path]], *, watch: Callable[[], None], stop: Stop) -> None:
        """See `Engine`."""
        pending: dict[Future[None], Path] = {
            self._pool.submit(job, *(str(folder) for folder in group)): group[0] for group in groups
        }
        first: BaseException | None = None
        while pending:
            done, _ = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                folder = pending.pop(future)
                first = first or self._trouble(future, folder)
            watch()
            if (stop() or first) and not self._event.is_set():
                self._event.set()
                pending = {future: folder for future, folder in pending.items() if not future.cancel()}
        if first:
            raise first
        if stop():
            raise stopped_at(groups)

    @staticmethod
    def _trouble(future: Future[None], folder: Path) -> BaseException | None:
        if future.cancelled():
            return None
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            return EngineError(
                "a worker process died without a word (often: out of memory, or killed from outside)",
                where=str(folder),
                fix="type the same command again: it resumes; if it dies again, try --workers 1",
            )
        return None if isinstance(error, PhysicsRefusal) else error

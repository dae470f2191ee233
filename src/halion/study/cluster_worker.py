"""What runs on a node: one job, with an eye on the walltime, on its driver, and on who works in its folders."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase import Atoms

from halion.errors import HalionError, Interrupted, PhysicsRefusal
from halion.files import read_json, write_json
from halion.records import decode, to_record
from halion.study.engine import obey
from halion.study.leases import held

__all__ = ["ENDS", "SESSION", "job_name", "label_work", "work"]

ENDS = "HALION_JOB_ENDS"  # seconds since 1970 when the batch job's walltime is over, less the margin
SESSION = "session.json"  # of the driver: work of another session, or of one that stops, ends itself
_LOOK_EVERY_S = 2.0


def job_name(job: Callable[..., None]) -> str:
    """How a job is called on another machine."""
    return f"{job.__module__}:{job.__qualname__}"


def work(name: str, folders: list[str], cluster: str, session: str, silent_s: float) -> dict[str, Any]:
    """Run a job of this package in the folders of its steps.

    Args:
        name: of `job_name`.
        folders: of the steps.
        cluster: folder of `SESSION`.
        session: that asks for it.
        silent_s: see `SiteSettings`.
    Returns:
        `ended`: "done"; "handed over" (asked to stop, or out of time: what is done is stored); "failed" with
        `error`.
    """
    stop = _Stop(Path(cluster) / SESSION, session)
    try:
        with held([Path(folder) for folder in folders], stop, silent_s=silent_s) as asked:
            if asked is None or asked():
                return {"ended": "handed over"}
            obey(asked)
            module, _, function = name.partition(":")
            getattr(importlib.import_module(module), function)(*folders)
    except Interrupted:
        return {"ended": "handed over"}
    except PhysicsRefusal:
        return {"ended": "done"}  # the step says it
    except HalionError as error:
        return {"ended": "failed", "error": told_of(error)}
    return {"ended": "done"}


def told_of(error: HalionError) -> dict[str, str]:
    """An error as plain values."""
    return {"kind": type(error).__name__, "what": error.what, "where": error.where, "fix": error.fix}


class _Stop:
    """Whether to stop: the time is nearly over, or the driver that asked for this work wants it no more."""

    def __init__(self, path: Path, session: str) -> None:
        self._path, self._session = path, session
        self._ends = float(os.environ.get(ENDS, "inf"))
        self._looked, self._said = -_LOOK_EVERY_S, False

    def __call__(self) -> bool:
        if time.time() > self._ends:
            return True
        if time.monotonic() - self._looked >= _LOOK_EVERY_S:
            self._looked = time.monotonic()
            try:
                found = read_json(self._path)
                self._said = found["session"] != self._session or found["stopping"]
            except FileNotFoundError:
                self._said = True  # the run folder was removed
            except OSError:
                pass  # a shared file system that is away for a moment says nothing
        return self._said


def label_work(settings: dict[str, Any], atoms: Any, folder: str, answer: str) -> dict[str, Any]:
    """Label one structure, and leave the label where the driver, or the one after it, finds it.

    Args:
        settings: of `LabelSettings`.
        atoms: record of the structure.
        folder: for the code's files.
        answer: file for the label.
    Returns:
        as `work`.
    """
    from halion.labels import labeller_of
    from halion.settings_learning import LabelSettings

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        label = labeller_of(LabelSettings(**settings)).label(decode(Atoms, atoms), Path(folder))
        write_json(answer, to_record(label))
    except HalionError as error:
        return {"ended": "failed", "error": told_of(error)}
    return {"ended": "done"}

"""Who works in a step folder: one worker at a time, wherever on a shared file system it runs.

A worker writes `worker.json` into the folder, touches it as long as it lives, and removes it at its end. Another
waits until the file is gone, or has not changed for so long that its owner must be dead, measured by the waiting
machine's own clock. An owner that finds another's name in its file stops. Locks of the operating system would end
with the process, but not every file system of a cluster passes them on to its other nodes.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from halion.progress import Stop

__all__ = ["LEASE", "held"]

LEASE = "worker.json"
_BEATS_PER_SILENCE = 6


@contextmanager
def held(folders: Sequence[Path], stop: Stop, *, silent_s: float = 120.0) -> Iterator[Stop | None]:
    """Hold step folders for as long as the block runs.

    Args:
        folders: of the steps.
        stop: asked while waiting.
        silent_s: an owner that has not touched its file for so long is taken for dead.
    Yields:
        the `stop` that the work should ask: also True once a folder is another's. None: `stop` said True before all
        folders could be had, and nothing may be done in them.
    Checked by tests/study/test_study_leases.py.
    """
    token = uuid.uuid4().hex
    mine: list[Path] = []
    lost = threading.Event()
    over = threading.Event()
    try:
        for folder in sorted(folders):
            if not _take(folder / LEASE, token, stop, silent_s):
                yield None
                return
            mine.append(folder / LEASE)
        beat = threading.Thread(
            target=_beat, args=(mine, token, silent_s / _BEATS_PER_SILENCE, lost, over), daemon=True
        )
        beat.start()
        yield lambda: lost.is_set() or stop()
    finally:
        over.set()
        for path in mine:
            if _owner(path) == token:
                path.unlink(missing_ok=True)


def _take(path: Path, token: str, stop: Stop, silent_s: float) -> bool:
    poll_s = min(1.0, silent_s / _BEATS_PER_SILENCE)
    seen, since = None, time.monotonic()
    while not stop():
        if _claim(path, token):
            return True
        now = _state(path)
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > silent_s:
            # Two may have found it silent: the later rename stands, and the other goes on waiting.
            mine = path.with_name(f"{path.name}.{token}")
            mine.write_text(json.dumps(_record(token)), encoding="utf-8")
            os.replace(mine, path)
            time.sleep(2 * poll_s)
            if _owner(path) == token:
                return True
        time.sleep(poll_s)
    return False


def _record(token: str) -> dict[str, object]:
    return {"token": token, "host": os.uname().nodename, "process": os.getpid(), "since": time.time()}


def _claim(path: Path, token: str) -> bool:
    """Make the file if there is none, which one of several can."""
    try:
        with open(path, "x", encoding="utf-8") as handle:
            json.dump(_record(token), handle)
    except FileExistsError:
        return False
    return True


def _state(path: Path) -> tuple[str, int] | None:
    """What changes when its owner is alive."""
    try:
        return path.read_text(encoding="utf-8"), path.stat().st_mtime_ns
    except OSError:
        return None


def _owner(path: Path) -> str:
    """Token of the owner; empty where the file is gone or is being written."""
    with suppress(OSError, json.JSONDecodeError):
        return json.loads(path.read_text(encoding="utf-8"))["token"]
    return ""


def _beat(mine: Sequence[Path], token: str, every_s: float, lost: threading.Event, over: threading.Event) -> None:
    while not over.wait(every_s):
        for path in mine:
            with suppress(OSError):  # a file system that is away for a moment
                if _owner(path) != token:
                    lost.set()
                    return
                os.utime(path)

"""A code as a process of its own: its output in files, a time limit, and nothing left running behind it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from halion.errors import LabelError, MissingDependency

__all__ = ["run_process"]

_TAIL = 2000  # characters of the code's own words in an error


def run_process(
    command: Sequence[str],
    folder: Path,
    limit_s: float,
    *,
    environment: Mapping[str, str | None] | None = None,
    growing: Path | None = None,
) -> None:
    """Run a code in a folder; standard output to output.txt, errors to error.txt.

    Args:
        command: program and arguments.
        folder: to run in; exists.
        limit_s: seconds after which it and its children are killed.
        environment: variables added to those of this process; None: taken away.
        growing: a file that the code replaces step by step; the limit then counts from the last time.
    Raises:
        MissingDependency: there is no such program.
        TimeoutError: it took longer than `limit_s`, or no step was made for that long (told at most twice as late).
        LabelError: it ended with another status than 0, with its last words.
    Checked by tests/labels/test_labels_process.py.
    """
    given = {**os.environ, **(environment or {})}
    with open(folder / "output.txt", "wb") as output, open(folder / "error.txt", "wb") as errors:
        try:
            # A session of its own: killing the group ends MPI ranks too.
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={name: value for name, value in given.items() if value is not None},
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise MissingDependency(
                f"the program '{command[0]}' cannot be run ({error.strerror})",
                where=str(folder),
                fix="set labels.command to the code's program, or install it: halion doctor",
            ) from error
        with _no_orphan(process):
            status = _wait(process, limit_s, growing)
    if status != 0:
        raise LabelError(
            f"{Path(command[0]).name} ended with status {status}: {_last_words(folder)}",
            where=str(folder),
            fix="look at output.txt and error.txt there",
        )


@contextmanager
def _no_orphan(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A shell that waits for the end of a pipe which only we hold: should we be killed, it ends the code's session.

    Two codes would otherwise write into one folder once the work is taken up again.
    """
    # Python opens pipes for no other child: the shell reads the end when this process is gone, however it went.
    guard = subprocess.Popen(
        ["/bin/sh", "-c", f"read line; kill -KILL -{process.pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.wait()
        if guard.stdin is not None:
            guard.stdin.close()


def _wait(process: subprocess.Popen[bytes], limit_s: float, growing: Path | None) -> int:
    seen = _changed(growing)
    try:
        while True:
            try:
                return process.wait(limit_s)
            except subprocess.TimeoutExpired:
                now = _changed(growing)
                if now == seen:
                    what = "no result" if growing is None else "no further step"
                    raise TimeoutError(f"{what} within {limit_s:g} s") from None
                seen = now
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _changed(path: Path | None) -> int | None:
    """When a file was last replaced, ns; None: it is not there."""
    return path.stat().st_mtime_ns if path is not None and path.exists() else None


def _last_words(folder: Path) -> str:
    said = (folder / "error.txt").read_bytes() or (folder / "output.txt").read_bytes()
    text = said[-_TAIL:].decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else "it said nothing"

"""Files that are whole or absent: written beside, flushed to disk, renamed; never half written in place."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from halion.errors import DiskFull, RunFolderError, TornFile

__all__ = [
    "atomic_path",
    "digest",
    "distinct_names",
    "file_sha256",
    "folder_is_locked",
    "locked_folder",
    "read_json",
    "telling_disk_full",
    "write_json",
    "write_text",
]

_DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A path beside `path` to write to; on leaving, it is flushed to disk and renamed to `path`.

    A kill at any moment leaves either the old file or the new one, and at worst a `.part` file.

    Raises:
        DiskFull: nothing was lost: `path` is as it was before.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if disk_is_full(error, path.parent):
            raise _disk_full(path) from error
        raise


@contextmanager
def telling_disk_full(path: Path) -> Iterator[None]:
    """For files that grow in place: an `OSError` that means a full disk is raised as `DiskFull` of `path`."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error, path.parent):
            raise _disk_full(path) from error
        raise


def disk_is_full(error: BaseException, folder: Path) -> bool:
    """Whether an error, or what caused it, is a full disk, quota or file-size limit.

    HDF5 reports a full disk in its text alone, so that text is looked at too.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _DISK_IS_FULL:
            return True
        text = str(seen).lower()
        if "no space left" in text or "file too large" in text or "disk quota exceeded" in text:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _disk_full(path: Path) -> DiskFull:
    try:
        free_mib = shutil.disk_usage(path.parent).free / 2**20
        room = f"{free_mib:.1f} MiB free"
    except OSError:
        room = "free space unknown"
    return DiskFull(
        f"the disk or quota is full ({room}); the file was not written and the last whole one was kept",
        where=str(path),
        fix="free some space, then type the same command again: it goes on from the last stored state",
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> Path:
    """Write a text file, whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: Path | str, value: object) -> Path:
    """Write a JSON file, whole or not at all. NaN and infinity are refused: they are not JSON."""
    return write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path | str) -> dict:
    """Read a JSON file.

    Raises:
        TornFile: it is not whole JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TornFile(
            f"this file is not whole JSON ({error}); it was changed or damaged after halion wrote it",
            where=str(path),
            fix=f"rm {path}   then type the same command again: only this step is repeated",
        ) from error


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON: the same content gives the same digest on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def locked_folder(folder: Path | str, *, fix: str) -> Iterator[None]:
    """Hold a folder for this process; the lock goes when the process does, however it ends.

    Args:
        folder: made where it is not there.
        fix: what its user may do while another process holds it.
    Raises:
        RunFolderError: another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+", encoding="utf-8") as handle:
        if not _try_lock(handle):
            handle.seek(0)
            raise RunFolderError(
                f"this run folder is in use by {handle.read().strip() or 'another process'}",
                where=str(folder),
                fix=fix,
            )
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        handle.flush()
        yield


def folder_is_locked(folder: Path | str) -> bool:
    """Whether a process holds this folder now."""
    with suppress(OSError), open(Path(folder) / "lock", "a+", encoding="utf-8") as handle:
        return not _try_lock(handle)
    return False


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def distinct_names(paths: Sequence[str | Path]) -> dict[str, str]:
    """Path -> as much of its end as tells it from the others: the file's name, or folders before it too."""
    names = {}
    for path in paths:
        parts = Path(path).parts
        others = [Path(other).parts for other in paths if str(other) != str(path)]
        n = next((n for n in range(1, len(parts)) if all(parts[-n:] != other[-n:] for other in others)), len(parts))
        names[str(path)] = str(Path(*parts[-n:]))
    return names

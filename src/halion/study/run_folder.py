"""The run folder: who may write to it, which study it belongs to, and how far it is.

Everything is a plain file: `study.json` (identity: schema, resolved settings, digest of the crystal),
`crystal/` (the input file, as it was), `status.json`, `provenance.json`, one folder per step below `steps/`, and
`report/`. A lock file keeps a second process out for as long as the first one lives.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halion.errors import RunFolderError
from halion.files import file_sha256, folder_is_locked, locked_folder, read_json, write_json
from halion.settings import StudySettings
from halion.study_file import resolve

__all__ = ["SCHEMA", "RunFolder", "study_status"]

SCHEMA = 1
# How many workers there are does not change what a study is; on another device it would end in other bits.
_IDENTITY_OF_MACHINE = "device"
# What may be asked anew of a study: it adds to what is there and changes none of it.
_CHANGES = "extension"


class RunFolder:
    """A run folder on disk; holds no state of its own but the path."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def is_study(self) -> bool:
        """Whether a study was begun here."""
        return (self.path / "study.json").exists()

    def step_folder(self, *names: str) -> Path:
        """The folder of a step."""
        return self.path.joinpath("steps", *names)

    def settings(self) -> StudySettings:
        """The resolved settings that this folder's study was begun with."""
        return resolve(self._identity()["settings"], where=str(self.path / "study.json"))

    def crystal_source(self) -> str:
        """What to hand to `load_crystal`: the copy of the input file, or the name of a built-in material."""
        copies = sorted((self.path / "crystal").glob("*"))
        return str(copies[0]) if copies else self.settings().crystal

    def _identity(self) -> dict[str, Any]:
        if not self.is_study:
            raise RunFolderError(
                "there is no study in this folder",
                where=str(self.path),
                fix=f"halion run Li3YBr6 --folder {self.path}   (begins one)",
            )
        identity = read_json(self.path / "study.json")
        if identity.get("schema", 0) > SCHEMA:
            raise RunFolderError(
                f"this run folder has schema {identity['schema']}; this halion knows schemas up to {SCHEMA}",
                where=str(self.path / "study.json"),
                fix="pip install --upgrade halion   (or choose another --folder)",
            )
        return identity

    def begin(self, settings: StudySettings) -> None:
        """Begin a study here, or make sure that the one that is here is the same.

        Raises:
            RunFolderError: the folder holds something else, another study, or a newer schema.
        """
        wanted = _identity_of(settings)
        if self.is_study:
            found = self._identity()
            # Keys that came after this study was begun have their defaults in it.
            found["settings"] = _plain(self.settings())
            _refuse_other_study(found, wanted, self.path)
            if found["settings"].get(_CHANGES) != wanted["settings"][_CHANGES]:
                write_json(self.path / "study.json", wanted)
            return
        strangers = [entry.name for entry in self.path.iterdir() if entry.name not in ("lock", "crystal")]
        if strangers:
            raise RunFolderError(
                f"this folder is not empty and holds no study (it holds {', '.join(sorted(strangers)[:3])})",
                where=str(self.path),
                fix="choose a new folder with --folder",
            )
        if Path(settings.crystal).is_file():
            (self.path / "crystal").mkdir(exist_ok=True)
            shutil.copyfile(settings.crystal, self.path / "crystal" / Path(settings.crystal).name)
        write_json(self.path / "study.json", wanted)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock goes when the process does, however it ends.

        Raises:
            RunFolderError: another process holds it.
        """
        fix = f"halion status {self.path}   (shows how far it is), or choose another --folder"
        with locked_folder(self.path, fix=fix):
            yield

    def is_locked(self) -> bool:
        """Whether a process works in this folder now."""
        return folder_is_locked(self.path)

    def write_status(self, state: str, stages: dict[str, dict[str, Any]], message: str = "") -> None:
        """Write `status.json`: the state of the study and of each of its stages."""
        status = {
            "schema": SCHEMA,
            "state": state,
            "message": message,
            "process": os.getpid(),
            "updated": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "stages": stages,
        }
        write_json(self.path / "status.json", status)

    def status(self) -> dict[str, Any]:
        """The state of the study; a study that says it runs but holds no lock was killed."""
        self._identity()
        path = self.path / "status.json"
        status = read_json(path) if path.exists() else {"state": "begun", "stages": {}, "message": ""}
        if status["state"] == "running" and not self.is_locked():
            status["state"] = "interrupted"
            status["message"] = "the process is gone; type the same halion run command again to go on"
        return {"folder": str(self.path), **status}


def study_status(folder: Path | str) -> dict[str, Any]:
    """How far a study is: state, stages, message; reads the folder only.

    Raises:
        RunFolderError: no study there, or one of a newer schema.
    """
    return RunFolder(folder).status()


def _plain(settings: StudySettings) -> dict[str, Any]:
    plain = settings.model_dump(mode="json")
    plain["machine"] = {_IDENTITY_OF_MACHINE: plain["machine"][_IDENTITY_OF_MACHINE]}
    return plain


def _identity_of(settings: StudySettings) -> dict[str, Any]:
    plain = _plain(settings)
    is_file = Path(settings.crystal).is_file()
    if is_file:  # the file is known by its content, wherever it lies
        plain["crystal"] = Path(settings.crystal).name
    return {
        "schema": SCHEMA,
        "crystal_sha256": file_sha256(settings.crystal) if is_file else None,
        "settings": plain,
    }


def _refuse_other_study(found: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    if found["crystal_sha256"] != wanted["crystal_sha256"] and wanted["crystal_sha256"] is not None:
        difference = "the crystal file has another content"
    else:
        kept = [
            {key: value for key, value in each["settings"].items() if key != _CHANGES} for each in (found, wanted)
        ]
        differences = list(_differences(*kept))
        if not differences:
            return
        difference = "; ".join(differences[:4]) + (" ..." if len(differences) > 4 else "")
    raise RunFolderError(
        f"this run folder belongs to another study: {difference}",
        where=str(path),
        fix="choose another --folder, or type the command that this folder was begun with",
    )


def _differences(found: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(found.keys() | wanted.keys()):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key} is {old} here, {new} in the new command"

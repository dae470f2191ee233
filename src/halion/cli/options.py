"""Options that several verbs share, and what their words mean.

Defaults live in `halion.settings` alone: an option that is not given is None here. The numbers in the help texts
are checked against the settings by tests/cli/test_cli_options.py.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.errors import InputError, SettingsError

if TYPE_CHECKING:
    from halion.settings import StudySettings

__all__ = [
    "AsJson",
    "Device",
    "Folder",
    "Site",
    "csv_text",
    "existing_file",
    "given",
    "new_file",
    "numbers",
    "room_settings",
    "supercell_of",
    "two_elements",
]

Site = Annotated[
    Path | None,
    typer.Option("--site", metavar="FILE", help="Work on the machines of a site file. (otherwise: on this one)"),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]
Potential = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="Potential, or path of a checkpoint. (default: chgnet)")
]
Device = Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Where the potential runs. (default: cpu)")]
ForceTolerance = Annotated[
    float | None, typer.Option(metavar="EV/ANGSTROM", help="Relax until forces are below this. (default: 0.01)")
]
MaxSteps = Annotated[int | None, typer.Option(metavar="N", help="Most relaxation steps. (default: 1000)")]
Folder = Annotated[Path, typer.Option(metavar="FOLDER", help="Where files are written.")]


def supercell_of(text: str | None, option: str) -> tuple[int, ...] | tuple[tuple[int, ...], ...] | None:
    """Repeats along a, b, c, "1,1,2", or the rows of a matrix, "1,0,0,0,1,0,1,0,2"; None stays None.

    Raises:
        SettingsError: something else. Whether the matrix is singular is the settings' question.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.replace("x", ",").split(",")]
    is_repeats = len(words) == 3 and all(word.isascii() and word.isdecimal() and int(word) > 0 for word in words)
    is_matrix = len(words) == 9 and all(re.fullmatch(r"-?[0-9]{1,6}", word) for word in words)
    if not is_repeats and not is_matrix:
        raise SettingsError(
            f"{option} takes three positive whole numbers, or the nine whole numbers of a matrix, got '{text}'",
            fix=f"{option} 1,1,2   (along a, b, c; or {option} 1,0,0,0,1,0,1,0,2 row after row)",
        )
    values = tuple(int(word) for word in words)
    return values if is_repeats else (values[:3], values[3:6], values[6:])


def numbers(text: str | None, option: str, unit: str) -> list[float] | None:
    """Numbers between commas, e.g. "500,600,700"; None stays None.

    Raises:
        SettingsError: something else.
    """
    if text is None:
        return None
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise SettingsError(
            f"{option} takes numbers in {unit} between commas, got '{text}'", fix=f"{option} 500,600,700"
        ) from error


def two_elements(text: str, option: str) -> tuple[str, str]:
    """Two elements between a comma, e.g. "Cl,Br".

    Raises:
        SettingsError: something else.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2 or not all(words):
        raise SettingsError(f"{option} takes two elements, got '{text}'", fix=f"{option} Cl,Br")
    return words[0], words[1]


def given(**values: Any) -> dict[str, Any]:
    """Those values that are not None: what the command line says, for the settings to fill up the rest."""
    return {key: value for key, value in values.items() if value is not None}


def room_settings(**sections: dict[str, Any]) -> StudySettings:
    """Settings for a verb that needs only some sections; nothing is scaled down as the preset `quick` does.

    Raises:
        SettingsError: a value out of range.
    """
    from halion.study_file import resolve

    return resolve({"crystal": "", "preset": "paper", **sections}, where="command line")


def new_file(path: Path) -> Path:
    """The path, refused if something is there: no verb overwrites what it did not write.

    Raises:
        InputError: something is there.
    """
    if path.exists():
        raise InputError(
            "this is there already, and halion never overwrites what it did not write",
            where=str(path),
            fix=f"rm -r {path}   or choose another name",
        )
    return path


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of one kind as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def existing_file(path: Path) -> Path:
    """The path, refused if no file is there.

    Raises:
        InputError: no file there.
    """
    if not path.is_file():
        raise InputError("there is no such file", where=str(path), fix="check the name; `ls` shows what is there")
    return path

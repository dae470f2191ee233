"""halion init: a commented study file, made from the settings themselves so that it cannot go stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson, new_file
from halion.cli.study_options import Preset
from halion.cli.terminal import Shown

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["command", "study_template"]

_HEAD = """\
# A study for halion: halion plan {path}, then halion run {path}
# What stands behind a '#' is what the preset '{preset}' fills in; take the '#' away to change it.
# Units are in the names. halion schema prints every key with its range.
"""


def command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File to write; never overwritten.")] = Path(
        "study.yaml"
    ),
    crystal: Annotated[str, typer.Option(help="A built-in material or the path of a CIF.")] = "Li3YBr6",
    preset: Preset = None,
    as_json: AsJson = False,
) -> Shown:
    """Write a commented study file to start from."""
    from halion.files import write_text

    new_file(path)
    write_text(path, study_template(crystal, preset or "quick", path))
    return Shown(
        record={"path": str(path), "crystal": crystal, "preset": preset or "quick"},
        text=[f"written: {path}", f"next: halion plan {path}   or: halion run {path}"],
        as_json=as_json,
    )


def study_template(crystal: str, preset: str, path: Path) -> str:
    """The text of a study file: crystal and preset set, every other key commented with the preset's value.

    Raises:
        SettingsError: there is no such preset.
    """
    from halion.study_file import resolve

    settings = resolve({"crystal": crystal, "preset": preset}, where="command line")
    return "\n".join([_HEAD.format(path=path, preset=preset), *_lines(settings, active=True)]) + "\n"


def _lines(model: BaseModel, *, active: bool) -> Iterator[str]:
    from pydantic import BaseModel

    indent, mark = ("", "") if active else ("  ", "# ")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield f"\n# {type(value).__doc__}".rstrip()
            yield f"{name}:"
            yield from _lines(value, active=False)
        else:
            comment = f"   # {field.description}" if field.description else ""
            yield f"{indent}{mark}{name}: {_yaml(value)}{comment}"


def _yaml(value: Any) -> str:
    """JSON is YAML; words that YAML reads as themselves go without quotes."""
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum() and _is_plain(value):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _is_plain(word: str) -> bool:
    import yaml

    return yaml.safe_load(f"key: {word}") == {"key": word}

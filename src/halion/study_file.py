"""The study file: one YAML file, its preset filled in, unknown keys refused with the nearest known one.

Precedence: built-in default < preset < study file < command-line option. `resolve` gives the settings with
everything filled in; the run writes them down.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from halion.errors import SettingsError, nearest
from halion.plain_yaml import plain_values, read_text
from halion.settings import StudySettings

__all__ = [
    "PRESETS",
    "merged_values",
    "preset_filled",
    "read_settings",
    "read_values",
    "refuse_unknown_keys",
    "resolve",
    "validated",
]

Model = TypeVar("Model", bound=BaseModel)

# The presets differ in settings alone. `paper` is the protocol of the study (arXiv:2510.09861), which the
# defaults above already state; `quick` is as small as can be while every step is still the real one.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {},
    "quick": {
        "orderings": {"max_atoms": 40},
        "ranking": {"relax_best": 20, "control": 10, "relax_most": 40, "max_steps": 300},
        "dynamics": {
            # Evenly spaced in 1/T, from where ions just move in 100 ps to where pretrained CHGNet melts bromides.
            "temperatures_k": (400.0, 450.0, 510.0, 580.0),
            "timestep_fs": 2.0,
            "heating_ps": 0.4,
            "nvt_ps": 0.4,
            "npt_ps": 8.0,
            "cell_average_ps": 6.0,
            "production_ps": 100.0,
            "store_every_steps": 10,
        },
        # As far as He 2018 goes: in runs this short, half of the run ends before ions have made two hops.
        "transport": {"longest_lag_fraction": 0.7},
    },
}


# Characters of a refused value that an error shows.
_LONGEST_SHOWN = 200


def resolve(values: dict[str, Any], *, where: str = "") -> StudySettings:
    """Study settings from plain values, the preset filling what they leave out.

    Args:
        values: as in a study file, e.g. ``{"crystal": "Li3YBr6", "dynamics": {"seed": 3}}``.
        where: the file they come from, for error messages.
    Raises:
        SettingsError: an unknown key (the nearest known one is named), a wrong type, a value out of range.
    """
    if not isinstance(values, dict):
        raise SettingsError(
            f"a study file holds keys and values, this holds {type(values).__name__}",
            where=where,
            fix="halion init study.yaml   (writes a commented study file to start from)",
        )
    refuse_unknown_keys(StudySettings, values, where)
    # A heading whose keys are all commented out is read as null; it says nothing.
    values = {key: value for key, value in values.items() if value is not None}
    preset = PRESETS.get(str(values.get("preset", "quick")), {})
    return validated(StudySettings, preset_filled(values, preset), where)


def preset_filled(values: dict[str, Any], preset: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values with what they leave out of each section filled by a preset."""
    merged = dict(values)
    for section, filled in preset.items():
        given = values.get(section, {})
        if isinstance(given, dict):  # anything else is left for pydantic to refuse
            merged[section] = {**filled, **given}
    return merged


def validated(model: type[Model], values: dict[str, Any], where: str) -> Model:
    """Settings from plain values.

    Raises:
        SettingsError: a wrong type, a value out of range; the first is told.
    """
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            f"{key or 'settings'}: {_cut(text)}" + (f" (got {_got(first)})" if key and "input" in first else ""),
            where=where,
            fix="halion schema   (prints every key with its unit and range)",
        ) from error


def _got(first: Mapping[str, Any]) -> str:
    return _cut(repr(first["input"]))


def _cut(text: str) -> str:
    """The beginning of a text that may be a whole file."""
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def refuse_unknown_keys(model: type[BaseModel], values: dict[str, Any], where: str, path: str = "") -> None:
    """Name a key that no settings have, and the nearest that they do."""
    for key, value in values.items():
        field = model.model_fields.get(str(key))
        if field is None:
            raise SettingsError(
                f"unknown key '{path}{_cut(str(key))}': {nearest(_cut(str(key)), model.model_fields)}",
                where=where,
                fix="halion schema   (prints every key with its unit and range)",
            )
        inner = field.annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            refuse_unknown_keys(inner, value, where, f"{path}{key}.")


def read_settings(path: Path | str, overrides: dict[str, Any] | None = None) -> StudySettings:
    """Study settings from a YAML file; a relative crystal path is taken from the file's folder.

    Raises:
        SettingsError: the file is missing, is not YAML, or holds something that cannot be used.
    """
    path = Path(path)
    values = read_values(path)
    if isinstance(values, dict):
        values = merged_values(values, overrides or {})
        crystal = values.get("crystal")
        # What is too long for a name is no file; it is refused where the crystal is read.
        with suppress(OSError):
            if isinstance(crystal, str) and (path.parent / crystal).is_file():
                values["crystal"] = str(path.parent / crystal)
    return resolve(values, where=str(path))


def read_values(
    path: Path,
    kind: str = "study",
    fix: str = "halion init study.yaml   (writes a commented study file to start from)",
) -> Any:
    """What a study file says, or another file of settings, as plain values.

    Raises:
        SettingsError: the file is missing, or is no YAML.
    """
    try:
        return plain_values(read_text(path))
    except FileNotFoundError as error:
        fix = f"halion init {path}   (writes one to start from)" if kind == "study" else fix
        raise SettingsError(f"there is no such {kind} file", where=str(path), fix=fix) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise SettingsError(f"this is not a YAML {kind} file: {said}", where=str(path), fix=fix) from error


def merged_values(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Values with those of `overrides` put over them, section by section."""
    merged = dict(values)
    for key, value in overrides.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged_values(merged[key], value) if both else value
    return merged

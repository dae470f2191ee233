"""Settings of a campaign: a composition series, and a study of each of its members."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from halion.errors import SettingsError
from halion.settings import SeriesSettings, Settings, StudySettings
from halion.study_file import preset_filled, refuse_unknown_keys, resolve, validated

__all__ = ["CAMPAIGNS", "STUDY_PRESETS", "CampaignSettings", "is_campaign", "resolve_campaign"]

# Campaigns that have a name: LYCB is the series of arXiv:2510.09861, whose dynamics are those of the C2/m phase.
CAMPAIGNS: dict[str, dict[str, Any]] = {
    "LYCB": {"parents": {"LYC": "Li3YCl6", "LYB": "Li3YBr6"}, "phases": ["LYB"]},
}

# What the presets of a single study leave open: how far the series goes, and how often its members run.
_PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"series": {"steps": (0.0, 3.0, 6.0), "evaluate_at_most": 10, "settle_best": 4}},
    "paper": {"replicas": 3},
}
# What they say of each study instead of the presets of a single one: cells of a series are as small as x allows.
STUDY_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {"dynamics": {"production_ps": 100.0, "smallest_image_angstrom": 7.5}},
}


class CampaignSettings(Settings):
    """A composition series in every parent phase, and a study of each structure that is to conduct."""

    parents: dict[str, str] = Field(
        min_length=1, description="names of the phases and their crystals: {LYC: Li3YCl6, LYB: Li3YBr6}"
    )
    phases: tuple[str, ...] = Field(
        ("stable",),
        min_length=1,
        description="phases set in motion at each x: names of parents, and stable for the lowest in energy",
    )
    replicas: int = Field(1, gt=0, description="studies of each structure, from other velocities")
    series: SeriesSettings = SeriesSettings()
    study: StudySettings = Field(description="how cations are ordered, structures relaxed, and members studied")

    @field_validator("parents")
    @classmethod
    def _are_names(cls, given: dict[str, str]) -> dict[str, str]:
        for name in given:
            if not name.isidentifier():
                raise ValueError(f"a parent's name is made of letters and digits, as in LYC; got '{name[:40]}'")
        return given

    @model_validator(mode="after")
    def _phases_are_parents(self) -> CampaignSettings:
        unknown = [name for name in self.phases if name != "stable" and name not in self.parents]
        if unknown:
            known = ", ".join([*self.parents, "stable"])
            raise ValueError(f"phases names '{unknown[0][:40]}'; there are {known}")
        return self


def is_campaign(values: object) -> bool:
    """Whether plain values of a study file are those of a campaign: it has parents, a study one crystal."""
    return isinstance(values, Mapping) and "parents" in values


def resolve_campaign(values: dict[str, Any], *, where: str = "") -> CampaignSettings:
    """Campaign settings from plain values: `parents`, `phases`, `replicas`, `series`, and any section of a study.

    Args:
        values: as in a study file, without a crystal.
        where: the file they come from; crystals that are files beside it are found there.
    Raises:
        SettingsError: an unknown key, a wrong type, a value out of range.
    Checked by tests/test_settings_campaign.py.
    """
    own = {key: value for key, value in values.items() if key in CampaignSettings.model_fields and key != "study"}
    rest = {key: value for key, value in values.items() if key not in own}
    if "crystal" in rest:
        raise SettingsError(
            "a campaign has parents; a single study has a crystal",
            where=where,
            fix="leave one of the two out: parents: {LYC: Li3YCl6, LYB: Li3YBr6}",
        )
    own = {key: value for key, value in own.items() if value is not None}
    preset = _PRESETS.get(str(rest.get("preset") or "quick"), {})
    single = {key: value for key, value in preset.items() if not isinstance(value, dict)}
    sections = {key: value for key, value in preset.items() if isinstance(value, dict)}
    refuse_unknown_keys(CampaignSettings, own, where)
    own = preset_filled({**single, **own}, sections)
    first = validated(CampaignSettings, own | {"study": StudySettings(crystal="")}, where)
    parents = {name: _beside(source, where) for name, source in first.parents.items()}
    rest = preset_filled(rest, STUDY_PRESETS.get(str(rest.get("preset") or "quick"), {}))
    study = resolve({"crystal": next(iter(parents.values())), **rest}, where=where)
    return first.model_copy(update={"parents": parents, "study": study})


def _beside(source: str, where: str) -> str:
    """A crystal that is a file beside the study file, by its path."""
    try:
        found = Path(where).parent / source
        return str(found) if where and found.is_file() else source
    except OSError:  # too long for a name: refused where the crystal is read
        return source

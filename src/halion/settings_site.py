"""A site file: the machines that a study's work may run on, and how to ask for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from halion.errors import SettingsError
from halion.settings import Settings
from halion.study_file import read_values, refuse_unknown_keys, validated

__all__ = ["PoolSettings", "SiteSettings", "read_site"]

_WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d{1,3}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")


class PoolSettings(Settings):
    """Workers of one kind: where they run, and how many at once."""

    provider: Literal["local", "slurm"] = Field("local", description="processes of this machine, or jobs of Slurm")
    workers_per_node: int = Field(1, gt=0, description="tasks at once on a node")
    threads_per_worker: int = Field(1, gt=0, description="cores of each")
    gpus_per_node: int = Field(0, ge=0, description="each worker sees one of its own; at most as many workers run")
    nodes: int = Field(1, gt=0, description="of one job")
    max_jobs: int = Field(1, gt=0, description="at most so many jobs in the queue or running")
    walltime: str = Field("24:00:00", description="of a job, [days-]hours:minutes:seconds")
    margin_s: float = Field(
        120.0, gt=0, description="so long before the walltime work is stored and handed to the next job"
    )
    partition: str | None = Field(None, description="Slurm's")
    account: str | None = Field(None, description="Slurm's")
    qos: str | None = Field(None, description="Slurm's")
    memory_gb: int | None = Field(None, gt=0, description="of a node")
    exclusive: bool = Field(False, description="whole nodes; two pools on one node then wait for each other")
    options: tuple[str, ...] = Field((), description="more of sbatch, as in --constraint=a100")
    setup: str = Field("", description="shell commands before the workers start: module load ...")

    @field_validator("walltime", mode="before")
    @classmethod
    def _is_a_time(cls, given: object) -> object:
        # YAML reads 24:00:00 as a number of seconds, and 02:00:00 as text.
        if isinstance(given, int) and not isinstance(given, bool):
            minutes, seconds = divmod(given, 60)
            given = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
        if isinstance(given, str) and not _WALLTIME.fullmatch(given):
            raise ValueError("a walltime is [days-]hours:minutes:seconds, as in 24:00:00")
        return given

    @field_validator("options")
    @classmethod
    def _are_options(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            if not one.startswith("-") or "\n" in one:
                raise ValueError(
                    f"an option of sbatch begins with a dash, as in --constraint=a100; got '{one[:40]}'"
                )
        return given

    @field_validator("partition", "account", "qos")
    @classmethod
    def _is_a_word(cls, given: str | None) -> str | None:
        if given is not None and not re.fullmatch(r"[\w.,+@-]+", given):
            raise ValueError(f"this is one word of letters, digits and . , + @ -; got '{given[:40]}'")
        return given

    @model_validator(mode="after")
    def _has_time(self) -> PoolSettings:
        if self.provider == "slurm" and self.walltime_s < 2 * self.margin_s:
            raise ValueError("a walltime below twice margin_s leaves no time to work")
        return self

    @property
    def walltime_s(self) -> float:
        """The walltime in seconds."""
        found = _WALLTIME.fullmatch(self.walltime)
        assert found is not None, "validated"
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return 60.0 * (60 * (24 * days + hours) + minutes) + seconds

    @property
    def workers(self) -> int:
        """Tasks at once, all jobs together."""
        return self.max_jobs * self.nodes * min(self.workers_per_node, self.gpus_per_node or self.workers_per_node)


class SiteSettings(Settings):
    """The pools of a site; a study's relaxations and dynamics run in one, its labels in the other."""

    dynamics: PoolSettings = Field(PoolSettings(), description="for relaxations and dynamics")
    labels: PoolSettings | None = Field(None, description="for labels by DFT (otherwise: where the command runs)")
    address: str | None = Field(None, description="of this machine as its nodes see it (otherwise: found out)")
    silent_s: float = Field(
        120.0, gt=0, description="a worker that gave no sign for so long is taken for dead, and its step given away"
    )


def read_site(path: Path | str) -> SiteSettings:
    """The site that a YAML file describes.

    Raises:
        SettingsError: no such file, an unknown key, a wrong type, a value out of range.
    Checked by tests/test_settings_site.py.
    """
    path = Path(path)
    fix = "docs/cluster.md has site files to start from"
    values = read_values(path, "site", fix)
    if not isinstance(values, dict):
        raise SettingsError(
            f"a site file holds keys and values, this holds {type(values).__name__}",
            where=str(path),
            fix=fix,
        )
    refuse_unknown_keys(SiteSettings, values, str(path))
    labels = values.get("labels")
    if isinstance(labels, dict):  # `PoolSettings | None` hides its keys from the search above
        refuse_unknown_keys(PoolSettings, labels, str(path), "labels.")
    return validated(SiteSettings, {key: value for key, value in values.items() if value is not None}, str(path))

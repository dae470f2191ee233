"""What `halion plan` and `halion run` are asked to study: a study file, a crystal, or a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import numbers, supercell_of
from halion.errors import HalionError, SettingsError

if TYPE_CHECKING:
    from halion.settings import StudySettings

__all__ = [
    "Preset",
    "SetKeys",
    "Source",
    "StudyOverrides",
    "default_folder",
    "study_settings",
    "with_best_potential",
]

Source = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study file (.yaml), a CIF, a built-in material, a series (LYCB), or a run folder."
    ),
]
Preset = Annotated[
    str | None, typer.Option(metavar="quick|paper", help="Protocol that fills what is not given. (default: quick)")
]
RunSupercell = Annotated[
    str | None,
    typer.Option(metavar="A,B,C", help="Repeats of the refined cell, e.g. 1,1,2, or nine numbers of a matrix."),
]
RunMaxAtoms = Annotated[
    int | None, typer.Option(metavar="N", help="Largest ordered cell tried without --supercell.")
]
RunPotential = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="Potential of the ranking and the dynamics. (default: chgnet)"),
]
Temperatures = Annotated[str | None, typer.Option(metavar="K,K,...", help="Temperatures of the dynamics.")]
ProductionPs = Annotated[
    float | None, typer.Option(metavar="PS", help="Length of the production at each temperature.")
]
Target = Annotated[
    float | None,
    typer.Option(metavar="FACTOR", help="Make runs longer until the 68 % interval is this factor, e.g. 1.5."),
]
BudgetPs = Annotated[
    float | None, typer.Option(metavar="PS", help="Most time that --target may add, over all. (default: 2000)")
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of the initial velocities. (default: 0)")]
Workers = Annotated[int | None, typer.Option(metavar="N", help="Processes at once. (default: one per core)")]
SetKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Any other key of the study file, e.g. dynamics.timestep_fs=1."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOverrides:
    """Options that go before the study file; None: not given."""

    preset: str | None = None
    supercell: str | None = None
    max_atoms: int | None = None
    potential: str | None = None
    temperatures: str | None = None
    production_ps: float | None = None
    target: float | None = None
    budget_ps: float | None = None
    seed: int | None = None
    workers: int | None = None
    device: str | None = None
    keys: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """The options as values of a study file.

        Raises:
            SettingsError: one of them cannot be read.
        """
        values: dict[str, Any] = {}
        pairs = {
            "preset": self.preset,
            "orderings.supercell": supercell_of(self.supercell, "--supercell"),
            "orderings.max_atoms": self.max_atoms,
            "ranking.potential": self.potential,
            "dynamics.potential": self.potential,
            "dynamics.temperatures_k": numbers(self.temperatures, "--temperatures", "K"),
            "dynamics.production_ps": self.production_ps,
            "extension.target_factor": self.target,
            "extension.budget_ps": self.budget_ps,
            "dynamics.seed": self.seed,
            "machine.workers": self.workers,
            "machine.device": self.device,
        }
        for key, value in pairs.items():
            if value is not None:
                _put(values, key, value)
        for text in self.keys:
            _put(values, *_pair(text))
        return values


def _put(values: dict[str, Any], key: str, value: object) -> None:
    *sections, name = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value


def _pair(text: str) -> tuple[str, object]:
    import yaml

    from halion.plain_yaml import plain_values

    key, equals, value = text.partition("=")
    try:
        if equals and key.strip():
            return key.strip(), plain_values(value)
    except yaml.YAMLError:
        pass  # told below, together with a missing '='
    raise SettingsError(
        f"--set takes KEY=VALUE, got '{text}'",
        fix="--set dynamics.timestep_fs=1   (halion schema prints every key)",
    )


def study_settings(source: str, overrides: StudyOverrides) -> StudySettings:
    """Resolved settings of what is to be studied.

    Raises:
        SettingsError: the study file or an option cannot be used.
        RunFolderError: a folder without a study.
    """
    from halion.study_file import read_settings, resolve

    path, values = Path(source), overrides.values()
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_settings(path, values)  # a study file says which potential
    if path.is_dir():
        return _settings_of_folder(path, values)
    return with_best_potential(resolve({"crystal": source, **values}, where="command line"), values)


def with_best_potential(settings: StudySettings, values: dict[str, Any]) -> StudySettings:
    """Where nobody names a potential, the one that was fine-tuned for the crystal's elements, if there is one."""
    from halion.crystal import load_crystal
    from halion.potentials import SHIPPED, shipped_for

    try:
        name = shipped_for(load_crystal(settings.crystal).composition)
    except HalionError:  # told by the verb, which reads it next
        return settings
    if name is None:
        return settings
    own, dynamics = SHIPPED[name], values.get("dynamics", {})
    changed: dict[str, dict[str, Any]] = {
        section: {"potential": name}
        for section in ("ranking", "dynamics")
        if "potential" not in values.get(section, {})
    }
    if settings.preset == "quick" and "dynamics" in changed:
        quick = {"temperatures_k": own.quick_temperatures_k, "production_ps": own.quick_production_ps}
        changed["dynamics"] |= {key: value for key, value in quick.items() if key not in dynamics}
    return settings.model_copy(
        update={section: getattr(settings, section).model_copy(update=new) for section, new in changed.items()}
    )


def _settings_of_folder(folder: Path, values: dict[str, Any]) -> StudySettings:
    from halion.study import RunFolder
    from halion.study_file import resolve

    run_folder = RunFolder(folder)
    found = run_folder.settings().model_dump() | {"crystal": run_folder.crystal_source()}
    for section, changed in values.items():
        found[section] = {**found[section], **changed} if isinstance(changed, dict) else changed
    return resolve(found, where=str(folder))


def default_folder(source: str) -> Path:
    """Where a study lies if nobody says otherwise: `runs/NAME`, or the run folder that was named itself."""
    path = Path(source)
    return path if path.is_dir() else Path("runs") / path.stem

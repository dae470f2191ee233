"""What a study starts from: its crystal, checked against the settings, and settings as inputs of steps."""

from __future__ import annotations

from typing import Any

from halion.crystal import DisorderedCrystal, load_crystal
from halion.errors import SettingsError
from halion.settings import DynamicsSettings, OrderingSettings, StudySettings

__all__ = ["crystal_of", "dynamics_inputs", "ordering_inputs"]


def crystal_of(settings: StudySettings) -> DisorderedCrystal:
    """The crystal that the settings name.

    Raises:
        CrystalError: it cannot be used.
        SettingsError: it does not hold the mobile ion whose conductivity is asked for.
    """
    crystal = load_crystal(settings.crystal, primitive=settings.orderings.primitive)
    mobile = settings.transport.mobile_species
    if mobile not in crystal.composition:
        raise SettingsError(
            f"the mobile ion is {mobile}, and {crystal.name} holds {', '.join(crystal.composition)}: no "
            "conductivity could come of it",
            where=crystal.source,
            fix="name the ion that moves: --set transport.mobile_species=Na, or in the study file",
        )
    return crystal


def dynamics_inputs(settings: DynamicsSettings) -> dict[str, Any]:
    """Settings of the dynamics as inputs of a step.

    What older steps did not know is left out where it is not asked for: they stay as good as they were.
    """
    wanted = settings.model_dump(mode="json")
    if settings.correlate_every_steps is None:
        del wanted["correlate_every_steps"]
    return wanted


def ordering_inputs(settings: OrderingSettings) -> dict[str, Any]:
    """Settings of the orderings as inputs of a step; what older steps did not know as in `dynamics_inputs`."""
    wanted = settings.model_dump(mode="json")
    if not settings.primitive:
        del wanted["cell"]
    return wanted

"""The crystal of a study, checked against its settings before anything is computed."""

from __future__ import annotations

from halion.crystal import DisorderedCrystal, load_crystal
from halion.errors import SettingsError
from halion.settings import StudySettings

__all__ = ["crystal_of"]


def crystal_of(settings: StudySettings) -> DisorderedCrystal:
    """The crystal that the settings name.

    Raises:
        CrystalError: it cannot be used.
        SettingsError: it does not hold the mobile ion whose conductivity is asked for.
    """
    crystal = load_crystal(settings.crystal)
    mobile = settings.transport.mobile_species
    if mobile not in crystal.composition:
        raise SettingsError(
            f"the mobile ion is {mobile}, and {crystal.name} holds {', '.join(crystal.composition)}: no "
            "conductivity could come of it",
            where=crystal.source,
            fix="name the ion that moves: --set transport.mobile_species=Na, or in the study file",
        )
    return crystal

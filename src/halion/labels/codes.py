"""From settings to the code that labels; codes load when they are asked for."""

from __future__ import annotations

from halion.labels.types import Labeller
from halion.settings_learning import LabelSettings

__all__ = ["labeller_of"]


def labeller_of(settings: LabelSettings) -> Labeller:
    """The code that the settings ask for, with the dispersion that they ask for.

    Raises:
        MissingDependency, InputError: it is not there, or lacks what it needs.
    """
    if settings.dispersion == "d3bj":
        from halion.labels.dispersion import LabellerWithDispersion

        return LabellerWithDispersion(_code_of(settings))
    return _code_of(settings)


def _code_of(settings: LabelSettings) -> Labeller:
    if settings.code == "vasp":
        from halion.labels.vasp import VaspLabeller

        return VaspLabeller(settings)
    if settings.code == "espresso":
        from halion.labels.espresso import EspressoLabeller

        return EspressoLabeller(settings)
    if settings.code == "potential":
        from halion.labels.potential import PotentialLabeller
        from halion.potentials import load_potential

        return PotentialLabeller(load_potential(settings.potential))
    from halion.labels.gpaw import GpawLabeller

    return GpawLabeller(settings)

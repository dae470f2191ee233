"""Which phase is stable at which x, whether it mixes, and whether it decomposes."""

from halion.stability.check import series_energies
from halion.stability.difference import PhaseDifference, Transition, TransitionError, phase_difference
from halion.stability.formation import FormationEnergies, FormationPoint, formation_energies
from halion.stability.types import EnergyError, PhasePoint, SeriesEnergies

__all__ = [
    "EnergyError",
    "FormationEnergies",
    "FormationPoint",
    "PhaseDifference",
    "PhasePoint",
    "SeriesEnergies",
    "Transition",
    "TransitionError",
    "formation_energies",
    "phase_difference",
    "series_energies",
]

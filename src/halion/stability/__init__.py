"""Which phase is stable at which x, whether it mixes, and whether it decomposes."""

from halion.stability.assess import Stability, StabilityQuestions, assess_stability
from halion.stability.cells import CellPoint, StructureOverX, structure_over_x
from halion.stability.check import series_energies
from halion.stability.configurations import (
    ConfigurationalState,
    Configurations,
    configurational_state,
    counted_entropy,
    ideal_entropy,
    ranking_configurations,
)
from halion.stability.decomposition import Compound, Decomposition, decompositions
from halion.stability.difference import PhaseDifference, Transition, TransitionError, phase_difference
from halion.stability.formation import FormationEnergies, FormationPoint, formation_energies
from halion.stability.frameworks import FrameworkFinding, FrameworkRules, find_transformed
from halion.stability.free_energy import FreeEnergyCurve, FreeEnergyModel, Gap, common_tangents, free_energy_curve
from halion.stability.hull import Hull, HullPoint, convex_hull, lower_hull
from halion.stability.mixing import CriticalPoint, MixingFit, critical_point, fit_mixing
from halion.stability.phonons import HarmonicState, PhononSettings, harmonic_free_energy, harmonic_state
from halion.stability.read import read_series_energies
from halion.stability.tables import stability_tables
from halion.stability.types import EnergyError, PhasePoint, SeriesEnergies

__all__ = [
    "CellPoint",
    "Compound",
    "ConfigurationalState",
    "Configurations",
    "CriticalPoint",
    "Decomposition",
    "EnergyError",
    "FormationEnergies",
    "FormationPoint",
    "FrameworkFinding",
    "FrameworkRules",
    "FreeEnergyCurve",
    "FreeEnergyModel",
    "Gap",
    "HarmonicState",
    "Hull",
    "HullPoint",
    "MixingFit",
    "PhaseDifference",
    "PhasePoint",
    "PhononSettings",
    "SeriesEnergies",
    "Stability",
    "StabilityQuestions",
    "StructureOverX",
    "Transition",
    "TransitionError",
    "assess_stability",
    "common_tangents",
    "configurational_state",
    "convex_hull",
    "counted_entropy",
    "critical_point",
    "decompositions",
    "find_transformed",
    "fit_mixing",
    "formation_energies",
    "free_energy_curve",
    "harmonic_free_energy",
    "harmonic_state",
    "ideal_entropy",
    "lower_hull",
    "phase_difference",
    "ranking_configurations",
    "read_series_energies",
    "series_energies",
    "stability_tables",
    "structure_over_x",
]

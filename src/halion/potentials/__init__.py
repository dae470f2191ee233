"""Potentials behind one interface: energy, forces and stress of a structure or of a batch."""

from halion.potentials.chgnet import CHGNET_ELEMENTS, ChgnetPotential
from halion.potentials.engine_types import EngineResult
from halion.potentials.from_ase import PotentialCalculator, PotentialFromAse
from halion.potentials.load import KNOWN_POTENTIALS, ase_calculator, load_potential
from halion.potentials.shipped import SHIPPED, shipped_for
from halion.potentials.types import Evaluation, LastLayer, Potential

__all__ = [
    "CHGNET_ELEMENTS",
    "KNOWN_POTENTIALS",
    "SHIPPED",
    "ChgnetPotential",
    "EngineResult",
    "Evaluation",
    "LastLayer",
    "Potential",
    "PotentialCalculator",
    "PotentialFromAse",
    "ase_calculator",
    "load_potential",
    "shipped_for",
]

"""CIFs read into disordered crystals; built-in materials; crystals compared by structure."""

from halion.crystal.builtin import builtin_crystal, builtin_names, load_crystal
from halion.crystal.compare import CrystalComparison, compare_crystals
from halion.crystal.describe import describe, orbit_table
from halion.crystal.primitive import primitive_crystal
from halion.crystal.read import read_crystal
from halion.crystal.types import ClosePair, DisorderedCrystal, Orbit

__all__ = [
    "ClosePair",
    "CrystalComparison",
    "DisorderedCrystal",
    "Orbit",
    "builtin_crystal",
    "builtin_names",
    "compare_crystals",
    "describe",
    "load_crystal",
    "orbit_table",
    "primitive_crystal",
    "read_crystal",
]

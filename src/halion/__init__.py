"""halion: from a refined, disordered crystal to its ionic conductivity, with error bars.

Import the rooms directly, for example ``from halion.crystal import read_crystal``; nothing heavy is
imported here, so that the command line answers at once.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]

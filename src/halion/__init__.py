"""halion: from a refined, disordered crystal to its ionic conductivity, with error bars.

Import the rooms directly, for example ``from halion.crystal import read_crystal``; nothing heavy is
imported here, so that the command line answers at once.
"""

from contextlib import suppress

# The version that is being worked on; scripts/version_from_git.py reads it here. What a build adds to it (how many
# commits, which one) lies in halion/_version.py, which is written into wheels alone.
__version__ = "0.1.0"

with suppress(ModuleNotFoundError):  # a source tree has none
    from halion._version import __version__

__all__ = ["__version__"]

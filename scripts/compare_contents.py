"""What the repository has under src/halion, against what an sdist and a wheel hold of it.

python scripts/compare_contents.py REPOSITORY SDIST WHEEL
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

MODULES = {
    "halion/orderings/_search",
    "halion/potentials/_dispersion",
    "halion/potentials/_engine",
    "halion/training/_blocks",
}


def tracked(root: Path) -> set[str]:
    """Files of the package that git knows, as they are named in a wheel."""
    words = ["git", "-C", str(root), "ls-files", "src/halion"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True)
    return {line.removeprefix("src/") for line in listed.stdout.splitlines()}


def missing(root: Path, sdist: Path, wheel: Path) -> list[str]:
    """What an sdist or a wheel lacks, each with its name; empty where they are whole."""
    wanted = tracked(root)
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2].removeprefix("src/") for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    compiled = {name.split(".")[0] for name in in_wheel if name.endswith((".so", ".pyd"))}
    return [
        *(f"{sdist.name} lacks {name}" for name in sorted(wanted - in_sdist)),
        *(f"{wheel.name} lacks {name}" for name in sorted(wanted - in_wheel)),
        *(f"{wheel.name} lacks the compiled {name}" for name in sorted(MODULES - compiled)),
        *(f"{wheel.name} lacks {name}" for name in ("halion/_version.py",) if name not in in_wheel),
    ]


if __name__ == "__main__":
    found = missing(*map(Path, sys.argv[1:]))
    print("\n".join(found) or "everything is there")
    sys.exit(bool(found))

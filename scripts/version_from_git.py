"""The version of a build, for scikit-build-core: what the source says, and which commit it is.

    0.1.0                         the commit that carries the tag v0.1.0, unchanged
    0.1.0.dev1170+g762c749c1      the 1170th commit, on the way to 0.1.0 (before it, in the order of versions)
    0.1.0.dev1170+g762c749c1.changed   the same, with changes that are not committed
    0.1.0+source                  a copy of the source without git

An sdist carries the version that it was built with in its PKG-INFO. Checked by tests/house/test_packaging.py.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["dynamic_metadata", "version_of"]


def dynamic_metadata(settings: Mapping[str, object], project: Mapping[str, object]) -> dict[str, str]:
    """The hook of [[tool.dynamic-metadata]] in pyproject.toml; it is called in the root of the source."""
    if settings or "version" not in project.get("dynamic", ()):
        raise ValueError("only a dynamic version is made here, and there is nothing to set")
    return {"version": version_of(Path.cwd())}


def version_of(root: Path) -> str:
    """Version of the source that lies in a folder."""
    information = root / "PKG-INFO"
    if information.is_file():
        return re.search(r"^Version: (\S+)$", information.read_text(encoding="utf-8"), re.MULTILINE)[1]
    source = (root / "src" / "halion" / "__init__.py").read_text(encoding="utf-8")
    base = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', source, re.MULTILINE)[1]
    top = _git(root, "rev-parse", "--show-toplevel")
    # A source that was unpacked inside of another repository is not that repository's.
    if not top or Path(top).resolve() != root.resolve() or not _git(root, "rev-parse", "HEAD"):
        return f"{base}+source"
    is_changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    tags = [tag for tag in _git(root, "tag", "--points-at", "HEAD").split() if re.fullmatch(r"v\d.*", tag)]
    if tags and f"v{base}" not in tags:
        raise ValueError(f"the tag {tags[0]} is on this commit, and src/halion/__init__.py says {base}")
    if tags and not is_changed:
        return base
    n_commits, commit = _git(root, "rev-list", "--count", "HEAD"), _git(root, "rev-parse", "--short=9", "HEAD")
    return f"{base}.dev{n_commits}+g{commit}" + (".changed" if is_changed else "")


def _git(root: Path, *words: str) -> str:
    """What git answers; "" without git, without a repository, or in one that git does not trust."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""Where results come from: versions, commit, hashes, seeds, machine and times."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import halion
from halion.files import digest, read_json, write_json
from halion.settings import StudySettings
from halion.study.run_folder import RunFolder

__all__ = ["machine_description", "record_session", "source_commit"]

_PACKAGES = ("ase", "chgnet", "gemmi", "h5py", "numpy", "pymatgen", "scipy", "spglib", "torch")


def source_commit() -> str:
    """The git commit that this halion runs from, "+changes" when the tree is not clean; "" outside a checkout."""
    folder = Path(halion.__file__).resolve().parent
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
        if not (Path(top) / "src" / "halion").is_dir():
            return ""  # installed inside somebody else's checkout
        return _git(folder, "rev-parse", "HEAD") + (
            "+changes" if _git(Path(top), "status", "--porcelain", "src") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def machine_description() -> dict[str, Any]:
    """The machine: processor, cores, memory, system."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def record_session(
    folder: RunFolder, settings: StudySettings, *, began: float, potentials: dict[str, str]
) -> dict[str, Any]:
    """Add this session (one call of `run`) to `provenance.json` and give the whole of it.

    Args:
        folder: the run folder.
        settings: the study's settings.
        began: `time.time()` at the start of this session.
        potentials: name of each potential used -> SHA-256 of its parameters.
    """
    path = folder.path / "provenance.json"
    record = read_json(path) if path.exists() else {"sessions": []}
    study = read_json(folder.path / "study.json")
    session = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
        "wall_s": round(time.time() - began, 1),
        "command": " ".join(["halion", *sys.argv[1:]])
        if Path(sys.argv[0]).name == "halion" or "halion.cli" in sys.argv[0]
        else "library call",
        "workers": settings.machine.workers,
        "threads_per_worker": settings.machine.threads_per_worker,
        "device": settings.machine.device,
    }
    record |= {
        "halion": halion.__version__,
        "commit": source_commit(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "machine": machine_description(),
        "settings_sha256": digest(study["settings"]),
        "crystal_sha256": study["crystal_sha256"],
        "potentials_sha256": potentials,
        "seed": settings.dynamics.seed,
        "sessions": [*record["sessions"], session],
    }
    record["wall_s"] = round(sum(session["wall_s"] for session in record["sessions"]), 1)
    write_json(path, record)
    return record

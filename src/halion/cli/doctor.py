"""halion doctor: what this machine has, what is missing, and the command that installs it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from halion import __version__
from halion.cli.options import AsJson
from halion.cli.terminal import Shown, Table
from halion.errors import EXIT_DONE, EXIT_MISSING, MissingDependency

__all__ = ["Check", "checks", "command"]

# A study of 80 atoms holds about half a GiB per worker; its trajectories take tens of MiB per nanosecond.
_LEAST_MEMORY_GIB, _LEAST_DISK_GIB = 2.0, 2.0
_REBUILD = "pip install --force-reinstall --no-deps halion   (needs a C++ compiler)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked for.

    Attributes:
        name: what.
        is_ok: it is there.
        is_required: a study needs it; otherwise only what `detail` says does.
        detail: version, size, or what it would be good for.
        install: the command that mends it; empty when it is there.
    """

    name: str
    is_ok: bool
    is_required: bool
    detail: str
    install: str = ""


def command(as_json: AsJson = False) -> Shown:
    """Look at this machine: what is there, what is missing, and the command that installs it."""
    found = checks()
    is_ready = all(check.is_ok for check in found if check.is_required)
    rows = tuple((check.name, _state(check), check.detail, check.install) for check in found)
    verdict = "ready for studies" if is_ready else "not ready: install what is MISSING"
    return Shown(
        record={"is_ready": is_ready, "checks": [asdict(check) for check in found]},
        text=[Table(headings=("", "", "", "to install"), rows=rows), verdict],
        as_json=as_json,
        exit_code=EXIT_DONE if is_ready else EXIT_MISSING,
    )


def _state(check: Check) -> str:
    return "ok" if check.is_ok else "MISSING" if check.is_required else "not there"


def checks() -> list[Check]:
    """Everything that is looked for, in the order in which a study needs it."""
    return [
        _python(),
        _halion(),
        _cores(),
        _memory(),
        _disk(),
        _torch(),
        _gpu(),
        _enumerator(),
        _chgnet(),
        _engine(),
        _package("sevenn", "sevenn", "SevenNet as a second opinion (--potential 7net-0)"),
        _package("matgl", "matgl", "M3GNet as a second opinion (--potential m3gnet)"),
        _package("dftd3", "dispersion", "s-dftd3, to check dispersion (--potential chgnet+d3-reference)"),
        _gpaw(),
        _program("mpiexec", "parallel DFT", "apt-get install openmpi-bin"),
        _program("vasp_std", "licensed DFT labels (VASP)", "put your VASP in PATH; potentials in VASP_PP_PATH"),
        _program("pw.x", "DFT labels (Quantum ESPRESSO)", "apt-get install quantum-espresso"),
        _package("parsl", "cluster", "many machines (Slurm)"),
        _program("chromium", "tests that look at reports", "apt-get install chromium"),
        _program("chromedriver", "tests that look at reports", "apt-get install chromium-driver"),
    ]


def _python() -> Check:
    is_ok = tuple(int(part) for part in platform.python_version_tuple()[:2]) >= (3, 11)
    install = "" if is_ok else "install Python 3.11 or newer"
    return Check(name="python", is_ok=is_ok, is_required=True, detail=platform.python_version(), install=install)


def _halion() -> Check:
    from halion.study.provenance import source_commit

    commit = source_commit()
    mark = commit[:12] + ("+changes" if commit.endswith("+changes") else "")
    detail = f"{__version__}  commit {mark}" if commit else __version__
    return Check(name="halion", is_ok=True, is_required=True, detail=detail)


def _cores() -> Check:
    from halion.cores import usable_cores

    return Check(name="cores", is_ok=True, is_required=True, detail=f"{usable_cores()} usable of {os.cpu_count()}")


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = _available_memory_gib()
    detail = f"{total:.1f} GiB" + (f", {free:.1f} GiB available" if free is not None else "")
    is_ok = (free if free is not None else total) >= _LEAST_MEMORY_GIB
    install = "" if is_ok else "close other programs, or run with --workers 1"
    return Check(name="memory", is_ok=is_ok, is_required=True, detail=detail, install=install)


def _available_memory_gib() -> float | None:
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    fields = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines())
    return int(fields["MemAvailable"].split()[0]) / 2**20 if "MemAvailable" in fields else None


def _disk() -> Check:
    free = shutil.disk_usage(".").free / 2**30
    is_ok = free >= _LEAST_DISK_GIB
    install = "" if is_ok else "free some space, or run with --folder on another disk"
    return Check(name="disk", is_ok=is_ok, is_required=True, detail=f"{free:.1f} GiB free here", install=install)


def _tried(name: str, look: Callable[[], str], install: str) -> Check:
    """A required part that is asked whether it works; whatever it answers with, `doctor` goes on."""
    try:
        return Check(name=name, is_ok=True, is_required=True, detail=look())
    except Exception as error:
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        return Check(name=name, is_ok=False, is_required=True, detail=detail, install=install)


def _torch() -> Check:
    def look() -> str:
        import torch

        return f"{torch.__version__}, {torch.get_num_threads()} threads unless workers say otherwise"

    return _tried("torch", look, "pip install torch==2.13.0")


def _gpu() -> Check:
    try:
        import torch

        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    except (ImportError, RuntimeError):
        names = []
    install = "" if names else "a CUDA build of torch, where there is a GPU (pytorch.org)"
    detail = ", ".join(names) or "faster dynamics (--device cuda)"
    return Check(name="gpu", is_ok=bool(names), is_required=False, detail=detail, install=install)


def _enumerator() -> Check:
    def look() -> str:
        from halion.orderings import _search

        return f"compiled, {Path(_search.__file__).name}"

    return _tried("enumerator", look, _REBUILD)


def _chgnet() -> Check:
    def look() -> str:
        from halion.potentials import load_potential

        potential = load_potential("chgnet")
        return f"{potential.name}, weights {potential.weights_sha256[:12]}"

    return _tried("chgnet", look, "pip install chgnet==0.4.2")


def _engine() -> Check:
    def look() -> str:
        import torch

        from halion.potentials import ChgnetPotential

        devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
        return "; ".join(f"{device}: {ChgnetPotential(device=device).engine}" for device in devices)

    return _tried("engine", look, _REBUILD)


def _package(name: str, extra: str, use: str) -> Check:
    if importlib.util.find_spec(name) is not None:
        from importlib import metadata

        return Check(name=name, is_ok=True, is_required=False, detail=metadata.version(name))
    install = f'pip install "halion[{extra}]"'
    return Check(name=name, is_ok=False, is_required=False, detail=use, install=install)


def _gpaw() -> Check:
    """GPAW in this environment or the one that HALION_GPAW_PYTHON names, with its version and its MPI."""
    from halion.labels import find_gpaw

    asks = "import gpaw, _gpaw; print(gpaw.__version__, 'with MPI' * hasattr(_gpaw, 'Communicator'))"
    try:
        python = find_gpaw()
        said = subprocess.run([python, "-c", asks], capture_output=True, text=True, timeout=120, check=False)
    except (MissingDependency, OSError, subprocess.TimeoutExpired):
        return Check(
            name="gpaw",
            is_ok=False,
            is_required=False,
            detail="open DFT labels",
            install="scripts/gpaw.sh   (builds it, and says what to export)",
        )
    detail = f"{said.stdout.strip() or 'version unknown'}  {python}"
    return Check(name="gpaw", is_ok=True, is_required=False, detail=detail)


def _program(name: str, use: str, install: str) -> Check:
    path = shutil.which(name)
    return Check(
        name=name, is_ok=bool(path), is_required=False, detail=path or use, install="" if path else install
    )

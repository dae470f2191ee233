"""How far the work in a folder is, read from its files alone: a study, a composition series, a loop, labels.

Nothing is locked and nothing is written; files that are being replaced, or were torn, count as not there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halion.crystal import load_crystal
from halion.dynamics import open_trajectory
from halion.errors import HalionError, RunFolderError
from halion.files import folder_is_locked
from halion.study.leases import LEASE
from halion.study.run_folder import RunFolder
from halion.transport import RunTransport, TransportSummary, analyse_run, summarise_runs

__all__ = ["Part", "WorkStatus", "current_answer", "work_status"]

# What a study does, in its order, and what each stage decides.
_STAGES = {
    "orderings": "list the symmetry-distinct orderings",
    "electrostatics": "choose which orderings are relaxed",
    "relaxation": "relax them",
    "ranking": "choose the ordering that is set in motion",
    "dynamics": "equilibrate and run every temperature",
    "transport": "tell diffusive runs from bounds, fit the activation energy",
    "extension": "make the runs longer that decide the error at the report temperature",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stage, temperature, member or round.

    Attributes:
        name: of it.
        share: that is done, 0 to 1; NaN where nobody knows.
        state: what it does, or how it ended.
        left_s: seconds to go at the pace of this session; NaN where nobody knows.
    """

    name: str
    share: float
    state: str
    left_s: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkStatus:
    """How far the work in a folder is.

    Attributes:
        folder: of it.
        kind: "study", "series of studies", "loop" or "labels".
        state: "running", "done", "interrupted", "failed", "begun".
        message: what ended it, and what to type.
        updated: when it last said something.
        parts: in their order.
        then: what is decided or done next; empty at the end.
    """

    folder: str
    kind: str
    state: str
    message: str
    updated: str
    parts: tuple[Part, ...]
    then: str


def work_status(folder: Path | str) -> WorkStatus:
    """How far the work in a folder is.

    Raises:
        RunFolderError: no work of halion's in it, or a study of a newer schema.
    Checked by tests/study/test_study_status.py.
    """
    folder = Path(folder)
    if (folder / "study.json").exists():
        return _study(folder)
    if (folder / "campaign.json").exists():
        return _campaign(folder)
    inputs = _read(folder / "inputs.json")
    if "loop" in inputs and "training" in inputs:
        return _loop(folder, inputs)
    if (folder / "labels.extxyz").exists() or (folder / "jobs").is_dir():
        return _labels(folder)
    raise RunFolderError(
        "there is no study in this folder, and no series, loop or labels",
        where=str(folder),
        fix=f"halion run Li3YBr6 --folder {folder}   (begins a study)",
    )


def current_answer(folder: Path | str) -> TransportSummary | None:
    """What the productions of a study give as long as they are now, running ones too; None where that is nothing.

    The same analysis as the report's, which takes some seconds; nothing is stored.

    Raises:
        RunFolderError: no study there.
    """
    run_folder = RunFolder(folder)
    settings = run_folder.settings()
    runs: list[RunTransport] = []
    for place in sorted(run_folder.step_folder("5-dynamics").glob("*K"), key=_kelvin):
        try:
            runs.append(analyse_run(open_trajectory(place / "production"), settings.transport))
        except HalionError:
            continue  # not begun, too short yet, or refused: the parts of the status say which
    if not runs:
        return None
    crystal = load_crystal(run_folder.crystal_source())
    return summarise_runs(runs, settings.transport, charge=crystal.charges[settings.transport.mobile_species])


def _study(folder: Path) -> WorkStatus:
    status = RunFolder(folder).status()
    stages: dict[str, Any] = status["stages"]
    parts = []
    for name, stage in stages.items():
        share = stage["done"] / max(stage["total"], 1e-9)
        left = _left(stage) if status["state"] == "running" and share < 1 else math.nan
        parts.append(Part(name=name, share=min(share, 1.0), state=stage["state"], left_s=left))
        if name == "dynamics":
            parts += _temperatures(folder)
    unseen = [name for name in _STAGES if name not in stages]
    then = ""
    if status["state"] != "done" and unseen and unseen != ["extension"]:
        then = f"{unseen[0]}: {_STAGES[unseen[0]]}"
    return WorkStatus(
        folder=str(folder),
        kind="study",
        state=status["state"],
        message=status.get("message", ""),
        updated=status.get("updated", ""),
        parts=tuple(parts),
        then=then,
    )


def _left(stage: dict[str, Any]) -> float:
    """At the pace since the stage began in this session."""
    made, took = stage["done"] - stage.get("from", stage["done"]), stage.get("took_s", 0.0)
    return (stage["total"] - stage["done"]) * took / made if made > 0 else math.nan


def _temperatures(folder: Path) -> Iterator[Part]:
    for place in sorted((folder / "steps" / "5-dynamics").glob("*K"), key=_kelvin):
        result, told, worker = (_read(place / name) for name in ("result.json", "progress.json", LEASE))
        where = f", on {worker['host']}" if worker.get("host") else ""
        if "refusal" in result:
            yield Part(name=f"  {place.name[:-1]} K", share=1.0, state=f"refused: {result['refusal']['what']}")
        elif result:
            yield Part(name=f"  {place.name[:-1]} K", share=1.0, state="done")
        elif told:
            share = told["done"] / max(told["total"], 1e-9)
            yield Part(name=f"  {place.name[:-1]} K", share=share, state=f"{told['phase']}{where}")
        else:
            yield Part(name=f"  {place.name[:-1]} K", share=0.0, state=f"waits{where}")


def _kelvin(place: Path) -> float:
    try:
        return float(place.name[:-1])
    except ValueError:
        return math.inf


def _campaign(folder: Path) -> WorkStatus:
    parts = []
    has_series = (folder / "series" / "series.json").exists()
    n = len(list((folder / "series").glob("*.cif")))
    parts.append(
        Part(
            name="series", share=1.0 if has_series else math.nan, state="done" if has_series else f"{n} structures"
        )
    )
    for place in sorted((folder / "studies").glob("*")):
        refusal = _read(place / "refusal.json")
        if refusal:
            parts.append(Part(name=place.name, share=1.0, state=f"refused: {refusal['what']}"))
        elif (place / "study.json").exists():
            one = _study(place)
            shares = [part.share for part in one.parts if not part.name.startswith(" ")]
            # Orderings to ranking take moments; dynamics is the work.
            share = 1.0 if one.state == "done" else _share_of(one, "dynamics") if shares else 0.0
            parts.append(Part(name=place.name, share=share, state=_answer(place) or one.state))
    done = (folder / "report" / "report.html").exists() and all(part.share == 1 for part in parts)
    state = "running" if folder_is_locked(folder) else "done" if done else "interrupted"
    return WorkStatus(
        folder=str(folder),
        kind="series of studies",
        state=state,
        message="" if state != "interrupted" else "type the same halion run command again to go on",
        updated=_when(folder / "studies"),
        parts=tuple(parts),
        then="" if state == "done" else "the next member, then the report of all",
    )


def _share_of(status: WorkStatus, name: str) -> float:
    return next((part.share for part in status.parts if part.name == name), 0.0)


def _answer(place: Path) -> str:
    """The conductivity of a finished study in words."""
    found = _read(place / "report" / "results.json").get("conductivity") or {}
    name = f"done, σ({found.get('temperature_k', 300):g} K)"
    value, low, high = (found.get(key) for key in ("conductivity_ms_per_cm", "low_ms_per_cm", "high_ms_per_cm"))
    if value is None:
        bound = found.get("upper_bound_ms_per_cm")
        return f"{name} below {bound:.2g} mS/cm" if bound is not None else ""
    spread = f" ({low:.2g} to {high:.2g})" if low is not None and high is not None else ""
    return f"{name} {value:.2g}{spread} mS/cm"


def _loop(folder: Path, inputs: dict[str, Any]) -> WorkStatus:
    parts = []
    for place in sorted(folder.glob("*K"), key=_kelvin):
        value = _read(place / "result.json").get("value")
        if value:
            state, share = f"{value['n_labels']} labels; {value['verdict']}", 1.0
        else:
            labels = _count(place / "labels" / "labels.extxyz")
            begun = "training" if (place / "training").is_dir() else f"{labels} labels" if labels else "dynamics"
            state, share = begun, math.nan
        parts.append(Part(name=f"{place.name[:-1]} K", share=share, state=state))
    running = folder_is_locked(folder)
    done = bool(parts) and all(part.share == 1 for part in parts)
    return WorkStatus(
        folder=str(folder),
        kind="loop",
        state="running" if running else "done" if done else "interrupted",
        message="" if running or done else "type the same halion loop command again to go on",
        updated=_when(folder),
        parts=tuple(parts),
        then="" if done and not running else f"promote halion-{inputs['name']} where it is better on all rounds",
    )


def _labels(folder: Path) -> WorkStatus:
    n, failed = _count(folder / "labels.extxyz"), len(_read(folder / "failed.json"))
    under_way = [place for place in (folder / "jobs").glob("*") if place.is_dir() and any(place.iterdir())]
    running = folder_is_locked(folder)
    parts = [Part(name="labels", share=math.nan, state=f"{n} done, {failed} failed")]
    parts += [Part(name=f"  {place.name}", share=math.nan, state="under way") for place in under_way if running]
    return WorkStatus(
        folder=str(folder),
        kind="labels",
        state="running" if running else "done" if not under_way else "interrupted",
        message="" if running or not under_way else "type the same halion label command again to go on",
        updated=_when(folder / "labels.extxyz"),
        parts=tuple(parts),
        then="",
    )


def _count(path: Path) -> int:
    try:
        with path.open(encoding="utf-8") as lines:
            return sum(line.startswith("Lattice=") or " Lattice=" in line for line in lines)
    except (OSError, UnicodeDecodeError):
        return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _when(path: Path) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(path.stat().st_mtime))
    except OSError:
        return ""

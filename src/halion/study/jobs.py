"""What worker processes do: relax one ordering, or run the dynamics of one temperature.

A job is told its step folder alone. It reads `inputs.json`, resumes whatever the folder holds, writes
`progress.json` about once a second, and finishes the step with its result or with physics' refusal.
"""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from ase import Atoms

from halion.dynamics import equilibrate, produce
from halion.errors import PhysicsRefusal
from halion.files import read_json, write_json
from halion.potentials import Potential, load_potential
from halion.progress import Progress
from halion.ranking import relax
from halion.records import decode, to_record
from halion.settings import DynamicsSettings, RankingSettings
from halion.study.engine import stop_requested
from halion.study.step import Step

__all__ = ["dynamics_job", "read_progress", "relax_job"]

_PROGRESS_EVERY_S = 1.0


def relax_job(folder: str) -> None:
    """Relax the ordering of this step."""
    step, inputs = _step(folder)
    settings = RankingSettings(**inputs["settings"])
    potential = _potential(settings.potential, inputs["device"])
    atoms = decode(Atoms, inputs["atoms"])
    try:
        result = relax(atoms, potential, settings, progress=_progress(step.folder, "relaxing"), stop=stop_requested)
    except PhysicsRefusal as refusal:
        step.commit_refusal(refusal)
        raise
    step.commit({"relaxation": to_record(result), "potential": _identity(potential)})


def dynamics_job(folder: str) -> None:
    """Equilibrate the structure of this step and run its production."""
    step, inputs = _step(folder)
    settings = DynamicsSettings(**inputs["settings"])
    potential = _potential(settings.potential, inputs["device"])
    atoms, temperature_k = decode(Atoms, inputs["atoms"]), inputs["temperature_k"]
    try:
        equilibration = equilibrate(
            step.folder / "equilibration",
            atoms,
            potential,
            settings,
            temperature_k,
            progress=_progress(step.folder, "equilibration"),
            stop=stop_requested,
        )
        # Early, so that a report of an unfinished study can show the volume.
        write_json(step.folder / "equilibration.json", to_record(equilibration))
        produce(
            step.folder / "production",
            equilibration,
            potential,
            settings,
            progress=_progress(step.folder, "production"),
            stop=stop_requested,
        )
    except PhysicsRefusal as refusal:
        step.commit_refusal(refusal)
        raise
    step.commit({"trajectory": "production/trajectory.h5", "potential": _identity(potential)})


def read_progress(folder: Path) -> dict[str, Any]:
    """The last progress that a job wrote; empty when there is none (the file is a courtesy, not a result)."""
    try:
        return json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}


def _step(folder: str) -> tuple[Step, dict[str, Any]]:
    inputs = read_json(Path(folder) / "inputs.json")
    return Step(Path(folder), inputs), inputs


@lru_cache(maxsize=1)
def _potential(name: str, device: str) -> Potential:
    return load_potential(name, device=device)


def _identity(potential: Potential) -> dict[str, str]:
    return {"name": potential.name, "weights_sha256": potential.weights_sha256}


def _progress(folder: Path, phase: str) -> Progress:
    last = 0.0

    def write(done: float, total: float, state: str = "", /) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < _PROGRESS_EVERY_S:
            return
        last = time.monotonic()
        # Not flushed to disk and not a result: only the driver and `halion status` look at it.
        part = folder / "progress.json.part"
        part.write_text(json.dumps({"phase": phase, "done": done, "total": total, "state": state}))
        os.replace(part, folder / "progress.json")

    return write

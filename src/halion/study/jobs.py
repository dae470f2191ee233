"""What worker processes do: relax orderings, or run the dynamics of temperatures; several share a batch.

A job is told its step folders alone. It reads their `inputs.json`, resumes whatever the folders hold, writes
`progress.json` about once a second, and finishes each step with its result or with physics' refusal.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ase import Atoms

from halion.dynamics import Equilibration, equilibrate_batch, produce_batch
from halion.errors import HalionError, PhysicsRefusal
from halion.files import read_json, write_json
from halion.potentials import Potential, load_potential
from halion.progress import Progress
from halion.ranking import relax_each
from halion.records import decode, from_record, to_record
from halion.settings import DynamicsSettings, RankingSettings
from halion.study.engine import stop_requested
from halion.study.step import Step

__all__ = ["dynamics_job", "extension_job", "read_progress", "relax_job"]

_PROGRESS_EVERY_S = 1.0


def relax_job(*folders: str) -> None:
    """Relax the orderings of these steps, all in one batch; each step ends as soon as its own is finished."""
    steps, inputs = _steps(folders)
    settings = RankingSettings(**inputs[0]["settings"])
    potential = _potential(settings.potential, inputs[0]["device"])
    structures = [decode(Atoms, each["atoms"]) for each in inputs]
    progress = _progress(steps, "relaxing")
    for k, outcome in relax_each(structures, potential, settings, progress=progress, stop=stop_requested):
        if isinstance(outcome, PhysicsRefusal):
            steps[k].commit_refusal(outcome)
        else:
            steps[k].commit({"relaxation": to_record(outcome), "potential": _identity(potential)})


def dynamics_job(*folders: str) -> None:
    """Equilibrate the structures of these steps and run their productions, all in one batch."""
    steps, inputs = _steps(folders)
    settings = DynamicsSettings(**inputs[0]["settings"])
    potential = _potential(settings.potential, inputs[0]["device"])
    equilibrations = equilibrate_batch(
        [
            (step.folder / "equilibration", decode(Atoms, each["atoms"]), each["temperature_k"])
            for step, each in zip(steps, inputs, strict=True)
        ],
        potential,
        settings,
        progress=_progress(steps, "equilibration"),
        stop=stop_requested,
    )
    _end_refused(steps, equilibrations)
    going = [(step, one) for step, one in zip(steps, equilibrations, strict=True) if isinstance(one, Equilibration)]
    for step, equilibration in going:
        # Early, so that a report of an unfinished study can show the volume.
        write_json(step.folder / "equilibration.json", to_record(equilibration))
    outcomes = produce_batch(
        [(step.folder / "production", equilibration, settings.production_ps) for step, equilibration in going],
        potential,
        settings,
        progress=_progress([step for step, _ in going], "production"),
        stop=stop_requested,
    )
    _end_refused([step for step, _ in going], outcomes)
    for (step, _), outcome in zip(going, outcomes, strict=True):
        if outcome is None:
            step.commit({"trajectory": "production/trajectory.h5", "potential": _identity(potential)})


def extension_job(*folders: str) -> None:
    """Make the productions of earlier steps longer, all in one batch."""
    steps, inputs = _steps(folders)
    settings = DynamicsSettings(**inputs[0]["settings"])
    potential = _potential(settings.potential, inputs[0]["device"])
    earlier = [step.folder.joinpath(each["earlier"]) for step, each in zip(steps, inputs, strict=True)]
    outcomes = produce_batch(
        [
            (
                folder / "production",
                from_record(Equilibration, read_json(folder / "equilibration.json")),
                each["ps"],
            )
            for folder, each in zip(earlier, inputs, strict=True)
        ],
        potential,
        settings,
        progress=_progress(steps, "production"),
        stop=stop_requested,
    )
    _end_refused(steps, outcomes)
    for step, each, outcome in zip(steps, inputs, outcomes, strict=True):
        if outcome is None:
            trajectory = f"{each['earlier']}/production/trajectory.h5"
            step.commit({"trajectory": trajectory, "potential": _identity(potential)})


def _end_refused(steps: Sequence[Step], outcomes: Sequence[object]) -> None:
    """End the steps that physics refused.

    Raises:
        HalionError: the first error of another kind; runs that ended well are in their folders.
    """
    for step, outcome in zip(steps, outcomes, strict=True):
        if isinstance(outcome, PhysicsRefusal):
            step.commit_refusal(outcome)
    for outcome in outcomes:
        if isinstance(outcome, HalionError) and not isinstance(outcome, PhysicsRefusal):
            raise outcome


def read_progress(folder: Path) -> dict[str, Any]:
    """The last progress that a job wrote; empty when there is none (the file is a courtesy, not a result)."""
    try:
        return json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}


def _steps(folders: Sequence[str]) -> tuple[list[Step], list[dict[str, Any]]]:
    inputs = [read_json(Path(folder) / "inputs.json") for folder in folders]
    return [Step(Path(folder), each) for folder, each in zip(folders, inputs, strict=True)], inputs


@lru_cache(maxsize=1)
def _potential(name: str, device: str) -> Potential:
    return load_potential(name, device=device)


def _identity(potential: Potential) -> dict[str, str]:
    return {"name": potential.name, "weights_sha256": potential.weights_sha256}


def _progress(steps: Sequence[Step], phase: str) -> Progress:
    """Written into each folder: the share that is done of the batch's work is the share of each."""
    last = 0.0

    def write(done: float, total: float, state: str = "", /) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < _PROGRESS_EVERY_S:
            return
        last = time.monotonic()
        text = json.dumps({"phase": phase, "done": done, "total": total, "state": state})
        for step in steps:
            # Not flushed to disk and not a result: only the driver and `halion status` look at it.
            part = step.folder / "progress.json.part"
            part.write_text(text)
            os.replace(part, step.folder / "progress.json")

    return write

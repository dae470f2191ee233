"""Studies and rankings for a reproduction: run folders, finished or not, their reports, and ranking folders."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from halion.crystal import DisorderedCrystal, load_crystal
from halion.errors import RunFolderError
from halion.files import read_json
from halion.potentials.chgnet_model import checkpoint_labels
from halion.potentials.shipped import SHIPPED, shipped_path
from halion.ranking import Ranking
from halion.records import from_record
from halion.report.reproduction import ComputedRun, Model, Origin, VolumePoint
from halion.report.reproduction.published import PHASES
from halion.report.study_rows import reduced_formula
from halion.report.types import Failure, StudyResults
from halion.study.run import collect_results
from halion.study.run_folder import RunFolder

__all__ = ["composition_x", "model_named", "read_ranking", "read_report", "read_study", "without_paths"]

_PRETRAINED = ("chgnet", "chgnet-0.3.0", "chgnet-torch", "chgnet-float64", "chgnet-reference")
_D3 = re.compile(r"\+d3(-reference)?$", re.IGNORECASE)
_MOST = 6.0  # halide atoms per formula unit
_PATH = re.compile(r"(?<![\w.~/-])/(?:[^\s/:'\",;()]+/)*([^\s/:'\",;()]+)")


def without_paths(text: str) -> str:
    """A text without the way to files on somebody's machine: their names alone."""
    return _PATH.sub(r"\1", text)


@cache
def model_named(name: str) -> Model:
    """What a potential is, by the name or path that a run has for it."""
    name = name.rsplit("/", 1)[-1]
    base, has_d3 = _D3.sub("", name), bool(_D3.search(name))
    known = SHIPPED.get(base.lower())
    if known is not None:
        return Model(
            name=known.file.partition(".")[0] + ("+d3" if has_d3 else ""),
            kind="fine-tuned",
            dispersion=has_d3,
            trained_to_k=known.highest_temperature_k,
            labels=checkpoint_labels(shipped_path(base.lower())),
        )
    if base.lower() in _PRETRAINED:
        plain = "chgnet-0.3.0" if base.lower() == "chgnet" else base.lower()
        return Model(name=plain + ("+d3" if has_d3 else ""), kind="pretrained", dispersion=has_d3)
    # A checkpoint of CHGNet: by its file, or by the name that halion has for one.
    if ".pth" in base.lower():
        stem = base.split(".")[0]
        base = stem if stem.startswith("halion-") else f"chgnet-{stem}"
    is_checkpoint = base.lower().startswith(("chgnet-", "halion-"))
    name = base + ("+d3" if has_d3 else "")
    return Model(name=name, kind="fine-tuned" if is_checkpoint else "other", dispersion=has_d3)


def composition_x(amounts: Mapping[str, float]) -> float:
    """Bromine atoms per formula unit of Li3YCl6-xBrx; NaN for any other material."""
    li, y, cl, br = (amounts.get(element, 0) for element in ("Li", "Y", "Cl", "Br"))
    is_ours = y > 0 and set(amounts) <= {"Li", "Y", "Cl", "Br"}
    if not is_ours or abs(li - 3 * y) > 0.05 * y or abs(cl + br - _MOST * y) > 0.05 * y:
        return math.nan
    return round(_MOST * br / (cl + br), 6)


def read_study(folder: Path, name: str) -> tuple[ComputedRun, ...]:
    """A run folder: the results of a finished study as its report has them, of another as far as it got."""
    run_folder = RunFolder(folder)
    state = _state(run_folder.status())
    origin = _origin(name, state, read_json(path) if (path := folder / "provenance.json").exists() else {})
    results = folder / "report" / "results.json"
    is_copy = not run_folder.step_folder().exists()  # of the report alone, without the steps behind it
    if results.exists() and (is_copy or not state):
        return (_computed(from_record(StudyResults, read_json(results)), origin),)
    try:
        return (_computed(collect_results(run_folder), origin),)
    except RunFolderError:
        return (_unranked(run_folder, origin),)


def _unranked(folder: RunFolder, origin: Origin) -> ComputedRun:
    """A study that has not come to its ranking: no number, but what it is going to be."""
    settings = folder.settings()
    crystal = load_crystal(folder.crystal_source(), primitive=settings.orderings.primitive)
    return ComputedRun(
        origin=origin,
        material=reduced_formula(crystal.composition),
        x=composition_x({element: round(amount) for element, amount in crystal.composition.items()}),
        model=model_named(settings.dynamics.potential),
        pressure_gpa=settings.dynamics.pressure_gpa,
        n_atoms=0,
        ordering="not chosen yet",
        space_group=_parent_group(crystal),
        temperatures_k=settings.dynamics.temperatures_k,
    )


def read_report(folder: Path, name: str) -> tuple[ComputedRun, ...]:
    """The report of a study whose run folder is not there."""
    results = from_record(StudyResults, read_json(folder / "results.json"))
    ended = {one.target_temperature_k for one in results.runs}
    wanted = set(results.settings.get("dynamics", {}).get("temperatures_k", []))
    refused = len(results.failures)
    missing = len(wanted - ended) - refused
    state = f"{missing} of {len(wanted)} temperatures have not ended" if missing > 0 else ""
    return (_computed(results, _origin(name, state, results.provenance)),)


def read_ranking(folder: Path, name: str) -> tuple[ComputedRun, ...]:
    """A folder of `halion rank`: the relaxed volume of its best ordering."""
    table = from_record(Ranking, read_json(folder / "ranking.json"))
    atoms = table.best.relaxation.atoms
    return (
        ComputedRun(
            origin=Origin(name=name, what="ranking"),
            material=_formula(atoms),
            x=composition_x(Counter(atoms.get_chemical_symbols())),
            model=model_named(table.potential),
            pressure_gpa=0.0,
            n_atoms=len(atoms),
            ordering=_ordering(table),
            volumes=(_relaxed(table),),
        ),
    )


def _computed(results: StudyResults, origin: Origin) -> ComputedRun:
    wanted, table = results.settings["dynamics"], results.ranking
    model, atoms = model_named(wanted["potential"]), table.best.relaxation.atoms
    volumes = [
        VolumePoint(
            temperature_k=one.temperature_k,
            pressure_gpa=one.pressure_gpa,
            volume=one.volume_per_atom,
            std=one.volume_per_atom_std,
            model=model,
        )
        for one in results.equilibrations
    ]
    moved = results.equilibrations[0].atoms if results.equilibrations else atoms
    _refuse_bad_fit(results)
    found = results.summary.anisotropy if results.summary else None
    kelvins = tuple(float(kelvin) for kelvin in wanted["temperatures_k"])
    before = sum(float(wanted[key]) for key in ("heating_ps", "nvt_ps", "npt_ps"))
    is_whole = not origin.state and not results.failures
    return ComputedRun(
        origin=origin,
        material=_formula(atoms),
        x=composition_x(Counter(atoms.get_chemical_symbols())),
        model=model,
        pressure_gpa=float(wanted["pressure_gpa"]),
        n_atoms=len(moved),
        ordering=_ordering(table),
        space_group=_parent_group(results.crystal),
        timestep_fs=float(wanted["timestep_fs"]),
        npt_ps=float(wanted["npt_ps"]),
        production_ps=max((one.length_ps for one in results.runs), default=float(wanted["production_ps"])),
        temperatures_k=kelvins,
        simulated_ps=sum(before + one.length_ps for one in results.runs) if is_whole else math.nan,
        volumes=(_relaxed(table), *volumes),
        runs=results.runs,
        arrhenius=results.arrhenius,
        conductivity=results.conductivity,
        mechanisms=results.mechanisms,
        failures=tuple(Failure(step=one.step, message=without_paths(one.message)) for one in results.failures),
        anisotropy=(found.ratio, found.low, found.high) if found else (math.nan,) * 3,
    )


def _refuse_bad_fit(results: StudyResults) -> None:
    """A line whose errors are no errors was not fitted by halion; the reader tells it as such."""
    fit = results.arrhenius
    if fit is None:
        return
    variances = np.linalg.eigvalsh(np.asarray(fit.covariance, float).reshape(2, 2))
    # Rounding leaves the smaller eigenvalue of an exact line a few units below zero in the last digit.
    if not (variances.min() >= -1e-9 * max(1.0, variances.max()) and math.isfinite(fit.ln_prefactor)):
        raise ValueError("the covariance of its Arrhenius fit has a negative variance")


def _parent_group(crystal: DisorderedCrystal) -> str:
    """Space group of a refined crystal; of an ordered cell of a series that of the parent in its name, as LYB3."""
    if crystal.space_group in PHASES.values():
        return crystal.space_group
    known = {"LYC": PHASES["Li3YCl6"], "LYB": PHASES["Li3YBr6"]}
    return known.get(crystal.name[:3], crystal.space_group)


def _relaxed(table: Ranking) -> VolumePoint:
    """The best ordering at rest: relaxed at no pressure, whatever the dynamics have."""
    atoms = table.best.relaxation.atoms
    model = model_named(table.potential)
    return VolumePoint(
        temperature_k=0.0,
        pressure_gpa=0.0,
        volume=float(atoms.get_volume()) / len(atoms),
        std=math.nan,
        model=model,
    )


def _ordering(table: Ranking) -> str:
    return f"best of {table.n_relaxed} relaxed of {table.n_orderings} by {table.potential}"


def _formula(atoms: Atoms) -> str:
    return reduced_formula(Counter(atoms.get_chemical_symbols()))


def _state(status: Mapping[str, Any]) -> str:
    """How far an unfinished study is; empty where it is done."""
    if status["state"] == "done":
        return ""
    stages = {name: one for name, one in status["stages"].items() if one["done"] < one["total"]}
    parts = [f"{name} {100 * one['done'] / max(one['total'], 1e-9):.0f} %" for name, one in stages.items()]
    if status["state"] == "failed" and status.get("message"):
        parts.append(without_paths(" ".join(status["message"].split("\n")[0].split())))
    return ", ".join([status["state"], *parts])


def _origin(name: str, state: str, provenance: Mapping[str, Any]) -> Origin:
    machine = provenance.get("machine", {})
    sessions = provenance.get("sessions", [])
    return Origin(
        name=name,
        what="study",
        state=state,
        command=without_paths(sessions[0]["command"]) if sessions else "",
        wall_s=float(provenance.get("wall_s", math.nan)),
        machine=f"{machine['processor']}, {machine['cores']} cores" if machine else "",
        commit=str(provenance.get("commit") or ""),
        started=str(sessions[0].get("started", "")) if sessions else "",
    )

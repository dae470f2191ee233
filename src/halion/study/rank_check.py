"""A ranking checked by an electronic-structure code: the best orderings labelled or relaxed again, and compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from halion.arrays import FloatArray
from halion.errors import LabelError, PhysicsRefusal
from halion.labels import Frame, Label, Labeller, RelaxationLimits, Relaxed, label_frames, relax_frames
from halion.progress import Progress, Stop, never, silent
from halion.ranking import RankedOrdering, Ranking
from halion.ranking.compare import is_same_structure
from halion.ranking.outcome import EndState, describe
from halion.study.order_comparison import OrderComparison, compare_orders
from halion.transport.coordination import ANIONS
from halion.units import pressure_to_gpa

__all__ = ["CheckChoices", "CheckedOrdering", "RankingCheck", "check_ranking", "coordination_change"]

# Angstrom: 1.3 times the longest shortest bond of a cation to an anion (Cs-I, 3.8) and no less.
_REACH = 5.0
_SHELL = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckChoices:
    """What of a ranking is checked, and how.

    Attributes:
        top: orderings, best first.
        relaxes: relaxed by the code; False: labelled as the potential left them.
        limits: of the relaxations.
        at_once: labels at once; relaxations go one by one.
    """

    top: int = 20
    relaxes: bool = True
    limits: RelaxationLimits = field(default_factory=RelaxationLimits)
    at_once: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOrdering:
    """One ordering by the potential and by the code; NaN where the code failed or nothing was relaxed.

    Attributes:
        rank: by the potential.
        ordering: index in the ordering set.
        potential_energy: of the structure that the potential relaxed, eV/atom.
        potential_above_best: the same above the lowest of those that the code has, eV/atom.
        start_energy: by the code, of the structure that the potential relaxed, eV/atom.
        energy: by the code, after its own relaxation if it relaxed, eV/atom.
        above_best: `energy` above its lowest, eV/atom.
        code_rank: by `energy`; 0 where the code failed.
        start_force: largest force by the code on what the potential relaxed, eV/Angstrom; labels only.
        start_pressure_gpa: minus a third of the trace of its stress; labels only.
        n_steps: of the code's relaxation.
        volume_change: V(code) / V(potential) - 1.
        max_displacement: largest displacement of an atom on the code's relaxation, mean and strain removed,
            Angstrom.
        space_group_before, space_group_after: symbols (symprec 0.1 Angstrom); empty where nothing was relaxed.
        is_transformed: the code's relaxation left the potential's structure: sites more than 0.3 Angstrom apart,
            cell lengths 3 %, or angles 2 degrees (`is_same_structure`).
        coordination_change: numbers of anions around cations that changed, in words; empty where none did.
        failure: why the code has no energy; empty where it has.
    """

    rank: int
    ordering: int
    potential_energy: float
    potential_above_best: float
    start_energy: float
    energy: float
    above_best: float
    code_rank: int
    start_force: float = math.nan
    start_pressure_gpa: float = math.nan
    n_steps: int = 0
    volume_change: float = math.nan
    max_displacement: float = math.nan
    space_group_before: str = ""
    space_group_after: str = ""
    is_transformed: bool = False
    coordination_change: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingCheck:
    """A ranking by a potential against a code.

    Attributes:
        potential: its name.
        method: of the code, see `Provenance.method`.
        is_relaxed: whether the code relaxed the structures.
        rows: in the potential's order.
        order: potential against code, over the rows that the code has.
        start_order: the same without the code's relaxation, where it relaxed: whether relaxing mends the order.
    """

    potential: str
    method: str
    is_relaxed: bool
    rows: tuple[CheckedOrdering, ...]
    order: OrderComparison
    start_order: OrderComparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the code said of one ordering: a label, or a relaxation, or why there is neither."""

    label: Label | None = None
    relaxed: Relaxed | None = None
    failure: str = ""


def check_ranking(
    ranking: Ranking,
    labeller: Labeller,
    folder: Path | str,
    choices: CheckChoices,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> RankingCheck:
    """Label or relax the best orderings of a ranking with a code, and compare energies and order.

    The same call again resumes: labels (`labels.extxyz`) and relaxations (`relaxed.extxyz`) of the folder are kept,
    and a relaxation of GPAW or a potential goes on from its last step.

    Args:
        ranking: finished; its relaxed structures are taken in their order.
        labeller: the code, or another potential in its place.
        folder: of these labels; of one labeller.
        choices: how many, relaxed or not, and when a relaxation is done.
        progress: told structures done and wanted.
        stop: asked between structures.
    Raises:
        LabelError: the code has no energy for any of them.
        RunFolderError, InputError, MissingDependency, Interrupted: as `label_frames` and `relax_frames`.
    Source: the check of arXiv:2510.09861 (the best 20 relaxed at 520 eV to 0.01 eV/Angstrom).
    Checked by tests/study/test_study_rank_check.py.
    """
    rows = ranking.rows[: choices.top]
    frames = [Frame(atoms=row.relaxation.atoms, group=f"ordering-{row.ordering:06d}") for row in rows]
    if choices.relaxes:
        relaxations = relax_frames(frames, labeller, folder, choices.limits, progress=progress, stop=stop)
        found, failed = relaxations.relaxed, relaxations.failed
        answers = [_Answer(relaxed=found.get(one.key), failure=failed.get(one.key, "")) for one in frames]
    else:
        done = label_frames(frames, labeller, folder, at_once=choices.at_once, progress=progress, stop=stop)
        labels = {one.frame.key: one.label for one in done.labelled}
        answers = [_Answer(label=labels.get(one.key), failure=done.failed.get(one.key, "")) for one in frames]
    method = labeller.relaxation_method if choices.relaxes else labeller.method
    return _check(ranking.potential, method, rows, answers, Path(folder))


def coordination_change(before: Atoms, after: Atoms) -> str:
    """Elements whose numbers of anion neighbours changed, in words: "Y 6x2 -> 6x1 7x1"; empty where none did.

    Neighbours are the anions within 1.3 of the nearest one. Checked by tests/study/test_study_rank_check.py.
    """
    first, second = _coordination(before), _coordination(after)
    words = []
    for element in sorted(first):
        old, new = (Counter(one[element].tolist()) for one in (first, second))
        if old != new:
            text = [" ".join(f"{n}x{count}" for n, count in sorted(one.items())) for one in (old, new)]
            words.append(f"{element} {text[0]} -> {text[1]}")
    return "; ".join(words)


def _coordination(atoms: Atoms) -> dict[str, FloatArray]:
    symbols = np.array(atoms.get_chemical_symbols())
    is_anion = np.isin(symbols, sorted(ANIONS))
    first, second, distance = neighbor_list("ijd", atoms, _REACH)
    bonds = ~is_anion[first] & is_anion[second]
    first, distance = first[bonds], distance[bonds]
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, first, distance)
    numbers = np.bincount(first[distance <= _SHELL * nearest[first]], minlength=len(atoms))
    return {element: numbers[symbols == element] for element in dict.fromkeys(symbols[~is_anion].tolist())}


def _check(
    potential: str, method: str, rows: Sequence[RankedOrdering], answers: Sequence[_Answer], folder: Path
) -> RankingCheck:
    ours = np.array([row.relaxation.energy for row in rows])
    start, end = np.array([_energies(answer) for answer in answers]).T / [len(one.relaxation.atoms) for one in rows]
    has = np.isfinite(end)
    if not has.any():
        raise LabelError(
            f"none of the {len(rows)} orderings has an energy by {method}: {answers[0].failure}",
            where=str(folder),
            fix="halion doctor   (checks the code); then the same command again",
        )
    is_relaxed = any(answer.relaxed for answer in answers)
    checked = tuple(
        CheckedOrdering(
            rank=row.rank,
            ordering=row.ordering,
            potential_energy=float(ours[k]),
            potential_above_best=float(ours[k] - ours[has].min()),
            start_energy=float(start[k]),
            energy=float(end[k]),
            above_best=float(end[k] - end[has].min()),
            code_rank=1 + int((end[has] < end[k]).sum()) if has[k] else 0,
            **_details(row, answers[k]),
        )
        for k, row in enumerate(rows)
    )
    return RankingCheck(
        potential=potential,
        method=method,
        is_relaxed=is_relaxed,
        rows=checked,
        order=compare_orders(ours[has], end[has]),
        start_order=compare_orders(ours[has], start[has]) if is_relaxed else None,
    )


def _energies(answer: _Answer) -> tuple[float, float]:
    """Of the cell, before and after the code's relaxation, eV."""
    if answer.relaxed:
        return answer.relaxed.start_energy, answer.relaxed.label.energy
    energy = answer.label.energy if answer.label else math.nan
    return energy, energy


def _details(row: RankedOrdering, answer: _Answer) -> dict[str, float | int | str | bool]:
    if answer.label:
        return {
            "start_force": float(np.linalg.norm(answer.label.forces, axis=1).max()),
            "start_pressure_gpa": pressure_to_gpa(float(-np.trace(answer.label.stress)) / 3),
        }
    if answer.relaxed is None:
        return {"failure": answer.failure}
    return _moved(row, answer.relaxed)


def _moved(row: RankedOrdering, relaxed: Relaxed) -> dict[str, float | int | str | bool]:
    before, after = row.relaxation.atoms, _beside(row.relaxation.atoms, relaxed.atoms)
    end = EndState(
        atoms=after,
        energy=relaxed.label.energy,
        forces=relaxed.label.forces,
        stress=relaxed.label.stress,
        is_converged=relaxed.converged,
        n_steps=relaxed.n_steps,
        static_energy=relaxed.start_energy,
    )
    found = describe(before, end)
    if isinstance(found, PhysicsRefusal):
        raise found
    return {
        "n_steps": found.n_steps,
        "volume_change": found.volume_change,
        "max_displacement": found.max_displacement,
        "space_group_before": row.relaxation.space_group_after,
        "space_group_after": found.space_group_after,
        "is_transformed": not is_same_structure(before, after),
        "coordination_change": coordination_change(before, after),
    }


def _beside(before: Atoms, after: Atoms) -> Atoms:
    """Atoms in the images nearest to where they came from: some codes fold them into the cell."""
    moved = after.get_scaled_positions(wrap=False) - before.get_scaled_positions(wrap=False)
    unfolded = after.copy()
    unfolded.set_scaled_positions(before.get_scaled_positions(wrap=False) + moved - np.rint(moved))
    return unfolded

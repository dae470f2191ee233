"""Many structures relaxed by a labeller: one after another, each kept, a stopped one gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from halion.errors import Interrupted, LabelError
from halion.files import locked_folder, read_json, write_json
from halion.labels.checks import refuse_bad_label, refuse_bad_structure
from halion.labels.store import LabelStore, read_labels
from halion.labels.types import Frame, LabelledFrame, Labeller, Relaxed
from halion.progress import Progress, Stop, never, silent

__all__ = ["RelaxationLimits", "Relaxations", "relax_frames"]

_RELAXED = "relaxed.extxyz"
_HOW = "relaxed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationLimits:
    """When a relaxation is done; the study's values.

    Attributes:
        force_tolerance: eV/Angstrom, see `Labeller.relax`; at 30 Angstrom^3 per atom it makes a stress of 0.05 GPa.
        max_steps: of the optimiser.
    """

    force_tolerance: float = 0.01
    max_steps: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxations:
    """Relaxed structures of a set of frames.

    Attributes:
        relaxed: key of the frame that it began from -> what became of it; those that converged.
        failed: key of each of the other frames -> why.
        path: the extxyz file of the labels of all relaxed structures of the folder.
    """

    relaxed: dict[str, Relaxed]
    failed: dict[str, str]
    path: Path


def relax_frames(
    frames: Sequence[Frame],
    labeller: Labeller,
    folder: Path | str,
    limits: RelaxationLimits,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Relaxations:
    """Relax frames; the same call again resumes, and no frame is relaxed twice.

    `relaxed.extxyz` in the folder holds the labels of the relaxed structures, whole after each, `relaxed.json` how
    each came about; `relaxing/KEY/` the code's files of what runs or has failed, every step of a relaxation of GPAW
    or a potential among them: it goes on from its last one. What failed is tried again by the next call.

    Args:
        frames: in their order.
        labeller: the code.
        folder: of these relaxations; held for this process.
        limits: force tolerance and steps.
        progress: told relaxations done and wanted.
        stop: asked between relaxations.
    Raises:
        RunFolderError: another process works in this folder.
        InputError: the folder holds relaxations by another method.
        MissingDependency: the code is not there.
        Interrupted: `stop` said so; finished relaxations are kept.
    Checked by tests/labels/test_labels_relaxations.py.
    """
    folder = Path(folder)
    with locked_folder(folder, fix="wait for it to end, or choose another folder"):
        store = LabelStore(folder / _RELAXED)
        store.refuse_other_method(labeller.relaxation_method)
        how = read_json(folder / _HOW) if (folder / _HOW).exists() else {}
        failed: dict[str, str] = {}
        for done, frame in enumerate(frames):
            progress(done, len(frames))
            if frame.key in how:
                continue
            if stop():
                raise Interrupted(
                    f"{done} of {len(frames)} relaxations are done",
                    where=str(folder),
                    fix="type the same command again: it goes on from there",
                )
            try:
                found = _relax(frame, labeller, folder / "relaxing" / frame.key, limits)
            except LabelError as error:
                failed[frame.key] = f"{frame.group}: {error.what}"
                continue
            how[frame.key] = _keep(frame, found, store)
            write_json(folder / _HOW, how)
        progress(len(frames), len(frames))
        return Relaxations(relaxed=_read(frames, how, store), failed=failed, path=store.path)


def _relax(frame: Frame, labeller: Labeller, folder: Path, limits: RelaxationLimits) -> Relaxed:
    folder.mkdir(parents=True, exist_ok=True)
    refuse_bad_structure(frame.atoms, frame.group)
    found = labeller.relax(frame.atoms, folder, force_tolerance=limits.force_tolerance, max_steps=limits.max_steps)
    if not found.converged:
        raise LabelError(
            f"not relaxed within {limits.max_steps} steps: the largest force, or the cell's gradient per atom, is "
            f"{found.largest_force:.3f} eV/Angstrom, and below {limits.force_tolerance:g} is wanted",
            where=str(folder),
            fix="the same again with more steps: GPAW and potentials go on from the last geometry",
        )
    refuse_bad_structure(found.atoms, frame.group)
    refuse_bad_label(found.label, str(folder))
    return found


def _keep(frame: Frame, found: Relaxed, store: LabelStore) -> dict[str, str | int | float]:
    end = Frame(atoms=found.atoms, group=frame.group)
    store.add(LabelledFrame(frame=end, label=found.label))
    return {
        "relaxed": end.key,
        "n_steps": found.n_steps,
        "largest_force": found.largest_force,
        "start_energy": found.start_energy,
    }


def _read(frames: Sequence[Frame], how: dict[str, dict], store: LabelStore) -> dict[str, Relaxed]:
    """From the file, so that a run and a resumed run give the same numbers to the last digit."""
    held = {one.frame.key: one for one in read_labels(store.path)} if store.keys else {}
    found = {}
    for frame in frames:
        if frame.key in how:
            one, end = how[frame.key], held[how[frame.key]["relaxed"]]
            found[frame.key] = Relaxed(
                atoms=end.frame.atoms,
                label=end.label,
                n_steps=one["n_steps"],
                largest_force=one["largest_force"],
                converged=True,
                start_energy=one["start_energy"],
            )
    return found

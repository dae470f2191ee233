"""Labelled frames on disk: extended XYZ with REF_energy, REF_forces, REF_stress, whole after every label.

The keys keep ASE from taking labels for results of a calculator, and are those of other packages' trainers. Stress
is in eV/Angstrom^3, tension positive, nine numbers row by row. Every frame carries its group, temperature, key,
method, code, and how it converged.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from halion.errors import InputError, TornFile
from halion.extxyz import refuse_missing_atoms
from halion.files import write_text
from halion.labels.types import Frame, Label, LabelledFrame, Provenance

__all__ = ["LabelStore", "read_labels", "write_labels"]

# What ASE's reader and NumPy raise for text that is not what it should be.
_DAMAGE = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError),
    SyntaxError,
)


class LabelStore:
    """A growing file of labelled frames: one line of processes may add to it, from several threads.

    Args:
        path: of the extxyz file; made with the first label.
    Attributes:
        keys: of the frames that it holds.
    Raises:
        TornFile: the file was changed or damaged.
        InputError: it holds labels of another method than one that is added.
    Checked by tests/labels/test_labels_store.py.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        is_begun = self.path.exists() and self.path.stat().st_size > 0
        held = read_labels(self.path) if is_begun else []
        self._text = self.path.read_text(encoding="utf-8") if is_begun else ""
        self.keys = {one.frame.key for one in held}
        self._method = held[0].label.provenance.method if held else None

    def refuse_other_method(self, method: str) -> None:
        """Labels of two methods differ by more than noise: they are never mixed in one file."""
        if self._method not in (None, method):
            raise InputError(
                f"these labels were made with '{self._method}', and now '{method}' is asked for; mixed "
                "labels would be learned as physics",
                where=str(self.path),
                fix="use the same settings, or another folder for the other code",
            )

    def add(self, labelled: LabelledFrame) -> None:
        """Add one label; the file is replaced as a whole, so that a kill leaves the old one or the new one."""
        with self._lock:
            self.refuse_other_method(labelled.label.provenance.method)
            if labelled.frame.key in self.keys:
                return
            text = self._text + _as_text([labelled])
            write_text(self.path, text)
            self._text, self._method = text, labelled.label.provenance.method
            self.keys.add(labelled.frame.key)


def write_labels(path: Path | str, labelled: Iterable[LabelledFrame]) -> Path:
    """Write labelled frames, whole or not at all."""
    return write_text(path, _as_text(list(labelled)))


def read_labels(path: Path | str, method: str = "") -> list[LabelledFrame]:
    """Frames and labels of a file that `write_labels` or a `LabelStore` wrote, or any with the same three keys.

    Args:
        path: of the file.
        method: of frames that name none, as other packages' files do: code, functional, cutoff, k-points.
    Raises:
        InputError: no such file, no frames, or a frame without a label.
        TornFile: it is not whole.
    Checked by tests/labels/test_labels_store.py.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("there is no such file of labels", where=str(path), fix="halion label --help")
    try:
        refuse_missing_atoms(path)
        found = read(path, index=":", format="extxyz")
    except TornFile:
        raise
    except _DAMAGE as error:
        raise TornFile(
            f"this is no whole extended XYZ file ({type(error).__name__}: {' '.join(str(error).split())[:120]})",
            where=str(path),
            fix="take the copy that was made last, or label again: finished frames that it still holds are kept",
        ) from error
    if not found:
        raise InputError("this file holds no frames", where=str(path), fix="label some: halion label --help")
    for atoms in found:
        if method and not str(atoms.info.get("method", "")).strip():
            atoms.info["method"] = method
    return [_from_frame(atoms, f"{path}, frame {k} from 0") for k, atoms in enumerate(found)]


def _from_frame(atoms: Atoms, where: str) -> LabelledFrame:
    try:
        return _from_atoms(atoms, where)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"this frame has a label that cannot be read ({' '.join(str(error).split())[:120]})",
            where=where,
            fix="take this frame out, or mend its REF_energy, REF_forces, REF_stress and what stands beside them",
        ) from error


def _as_text(labelled: list[LabelledFrame]) -> str:
    buffer = io.StringIO()
    for one in labelled:
        write(buffer, _to_atoms(one), format="extxyz")
    return buffer.getvalue()


def _to_atoms(labelled: LabelledFrame) -> Atoms:
    frame, label = labelled.frame, labelled.label
    atoms = Atoms(frame.atoms.numbers, positions=frame.atoms.positions, cell=frame.atoms.cell, pbc=True)
    atoms.arrays["REF_forces"] = np.asarray(label.forces, dtype=float)
    provenance = label.provenance
    atoms.info = {
        "REF_energy": label.energy,
        "REF_stress": np.asarray(label.stress, dtype=float),
        "group": frame.group,
        "key": frame.key,
        "method": provenance.method,
        "code": provenance.code,
        "attempt": provenance.attempt,
        "n_iterations": provenance.n_iterations,
        "wall_s": round(provenance.wall_s, 2),
        "processes": provenance.processes,
    }
    if frame.temperature_k is not None:
        atoms.info["temperature_k"] = frame.temperature_k
    return atoms


def _from_atoms(atoms: Atoms, where: str) -> LabelledFrame:
    missing = [key for key in ("REF_energy", "REF_stress") if key not in atoms.info]
    missing += [] if "REF_forces" in atoms.arrays else ["REF_forces"]
    if missing:
        raise InputError(
            f"this frame has no {', '.join(missing)}",
            where=where,
            fix="give REF_energy (eV), REF_forces (eV/Angstrom) and REF_stress (eV/Angstrom^3, tension positive)",
        )
    info = atoms.info
    temperature = info.get("temperature_k")
    bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    return LabelledFrame(
        frame=Frame(
            atoms=bare,
            group=str(info.get("group", "")),
            temperature_k=None if temperature is None else float(temperature),
        ),
        label=Label(
            energy=float(info["REF_energy"]),
            forces=np.asarray(atoms.arrays["REF_forces"], dtype=float),
            stress=np.asarray(info["REF_stress"], dtype=float).reshape(3, 3),
            provenance=Provenance(
                method=str(info.get("method", "")),
                code=str(info.get("code", "")),
                attempt=int(info.get("attempt", 0)),
                n_iterations=int(info.get("n_iterations", 0)),
                wall_s=float(info.get("wall_s", 0.0)),
                processes=int(info.get("processes", 1)),
            ),
        ),
    )

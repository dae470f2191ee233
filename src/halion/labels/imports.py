"""Labels from calculations that exist: VASP's vasprun.xml and OUTCAR, every ionic step of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import ParseError, read

from halion.errors import InputError, TornFile
from halion.labels.types import Frame, Label, LabelledFrame, Provenance

__all__ = ["read_vasp", "vasp_method"]

_GGA = {"PE": "PBE", "PS": "PBEsol", "91": "PW91"}


def read_vasp(path: Path | str, *, group: str | None = None, converged_only: bool = True) -> list[LabelledFrame]:
    """Labelled frames of a vasprun.xml or an OUTCAR.

    Energy is VASP's "energy(sigma->0)", without the pV of an external pressure; forces in eV/Angstrom; VASP's
    stress in kbar, compression positive, becomes eV/Angstrom^3, tension positive. Ionic steps whose electrons did
    not converge (NELM reached) are left out, if the file tells.

    Args:
        path: of vasprun.xml or OUTCAR, plain or gzipped by ASE's rules.
        group: name of these frames' trajectory; None: the file's folder.
        converged_only: whether steps that reached NELM are left out.
    Raises:
        InputError: no such file, or no step with energy, forces and stress.
        TornFile: it is neither.
    Source: VASP manual, "Stress tensor", "Total energy". Checked by tests/labels/test_labels_imports.py.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("there is no such file", where=str(path), fix="pass a vasprun.xml or an OUTCAR")
    is_xml = ".xml" in path.name
    try:
        steps = read(path, index=":", format="vasp-xml" if is_xml else "vasp-out")
        method = vasp_method(path)
    except (ParseError, ElementTree.ParseError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise TornFile(
            f"this is no whole {'vasprun.xml' if is_xml else 'OUTCAR'} "
            f"({type(error).__name__}: {' '.join(str(error).split())[:120]})",
            where=str(path),
            fix="check that the calculation ended; pass its vasprun.xml or OUTCAR",
        ) from error
    iterations = _iterations(path)
    most = _number(path, "NELM")
    kept = []
    for k, atoms in enumerate(steps):
        n = iterations[k] if k < len(iterations) else 0
        if converged_only and most and n >= most:
            continue
        label = _label(atoms, method, n)
        if label is not None:
            bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
            kept.append(
                LabelledFrame(frame=Frame(atoms=bare, group=group or path.resolve().parent.name), label=label)
            )
    if not kept:
        raise InputError(
            f"none of the {len(steps)} ionic steps has energy, forces and stress of converged electrons",
            where=str(path),
            fix="run VASP with ISIF = 2 or 3 (stress is then written), and NELM large enough",
        )
    return kept


def vasp_method(path: Path | str) -> str:
    """Functional, cutoff, k-points and data sets of a VASP run, in one line: what `Provenance.method` needs.

    Raises:
        InputError: the file does not say.
    """
    path = Path(path)
    functional, cutoff = _functional(path), _number(path, "ENCUT") or _number(path, "ENMAX")
    if cutoff is None:
        raise InputError("this file names no plane-wave cutoff", where=str(path), fix="pass a whole VASP output")
    functional += _dispersion(path)
    return f"VASP {functional} PW {cutoff:g} eV {' '.join(_data_sets(path))}".strip()


def _label(atoms: Atoms, method: str, n_iterations: int) -> Label | None:
    results = atoms.calc.results if atoms.calc is not None else {}
    if not {"energy", "forces", "stress"} <= results.keys():
        return None
    stress = atoms.get_stress(voigt=False)
    if not all(np.isfinite(value).all() for value in (results["energy"], results["forces"], stress)):
        return None
    return Label(
        energy=float(atoms.get_potential_energy()),
        forces=atoms.get_forces(apply_constraint=False),
        stress=(stress + stress.T) / 2,
        provenance=Provenance(method=method, code="VASP", n_iterations=n_iterations),
    )


def _functional(path: Path) -> str:
    if ".xml" in path.name:
        found = [i.text or "" for i in _parameters(path, "GGA")] or [""]
        given = found[0].strip().upper()
    else:
        line = re.search(r"^\s*GGA\s*=\s*(\S+)", _text(path), re.MULTILINE)
        given = line.group(1).upper() if line else ""
    if given in ("", "--"):  # that of the data sets: "PAW_PBE Li_sv ...", or "PAW Li ..." for LDA
        return "PBE" if any("PBE" in title for title in _titles(path)) else "LDA"
    return _GGA.get(given, given)


def _dispersion(path: Path) -> str:
    """What VASP added for dispersion (IVDW of its manual): "" or "+D3(BJ)" and the like."""
    number = int(_number(path, "IVDW") or 0)
    return {0: "", 1: "+D2", 10: "+D2", 11: "+D3", 12: "+D3(BJ)", 13: "+D4"}.get(number, f"+vdW {number}")


def _number(path: Path, name: str) -> float | None:
    if ".xml" in path.name:
        found = [i.text for i in _parameters(path, name)]
        return float(found[0]) if found and found[0] else None
    line = re.search(rf"^\s*{name}\s*=\s*([-\d.]+)", _text(path), re.MULTILINE)
    return float(line.group(1)) if line else None


def _parameters(path: Path, name: str) -> list[ElementTree.Element]:
    root = _root(path)
    return [i for i in root.iter() if i.tag in ("i", "v") and i.get("name") == name]


def _titles(path: Path) -> list[str]:
    if ".xml" in path.name:
        return [
            c.text.strip() for c in _root(path).iter("c") if c.text and re.match(r"\s*(PAW|US)[_A-Z]* ", c.text)
        ]
    return [line.strip() for line in re.findall(r"(?:TITEL\s*=|POTCAR:)\s*(.+)", _text(path))]


def _data_sets(path: Path) -> list[str]:
    """Names of the POTCARs, e.g. Li_sv, in their order, each once."""
    names = [title.split()[1] for title in _titles(path) if len(title.split()) > 1]
    return list(dict.fromkeys(names))


def _iterations(path: Path) -> Sequence[int]:
    """Electronic iterations of every ionic step."""
    if ".xml" in path.name:
        return [len(step.findall("scstep")) for step in _root(path).iter("calculation")]
    per_step: dict[int, int] = {}
    for ionic, electronic in re.findall(r"Iteration\s+(\d+)\(\s*(\d+)\)", _text(path)):
        per_step[int(ionic)] = max(per_step.get(int(ionic), 0), int(electronic))
    return [per_step[step] for step in sorted(per_step)]


def _root(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")

"""FIRE over positions and cell with any ASE calculator, every step on disk; it imports nothing of halion.

It runs in halion's Python and, beside `gpaw_job.py`, in GPAW's own.
"""

import io
import os
from collections import namedtuple

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import FIRE

__all__ = ["Descent", "descend", "read_steps"]

Descent = namedtuple("Descent", "n_steps largest_force start_energy")


def descend(atoms, wanted, *, is_writer=True):
    """Relax `atoms`, which has a calculator, in place; a relaxation that was stopped goes on from its last step.

    FIRE starts anew there: its velocities are not kept, and no minimum depends on them.

    Args:
        atoms: the start.
        wanted: force_tolerance, eV/Angstrom: every force, and the cell's gradient per atom (volume times stress
            over the number of atoms), are smaller at the end; max_steps, all together, those before a stop too;
            trajectory, path of an extxyz file that holds every geometry with REF_energy, REF_forces and REF_stress,
            whole after every step; method, kept with each: steps of another method are not gone on from.
        is_writer: whether this process writes; under MPI one does.
    Returns:
        n_steps, largest_force (atoms and cell), start_energy (eV, of the first geometry).
    Source: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006); ASE's FrechetCellFilter.
    Checked by tests/labels/test_labels_relaxing.py.
    """
    held = read_steps(wanted["trajectory"], wanted["method"])
    if held:
        atoms.set_cell(held[-1].cell)
        atoms.positions = held[-1].positions
    text = [_as_text(held)]
    start = [held[0].info["REF_energy"]] if held else []
    moved = FrechetCellFilter(atoms)
    optimizer = FIRE(moved, logfile=None)

    def keep():
        if held and optimizer.get_number_of_steps() == 0:
            return  # it is the last one held
        atoms_now = _with_results(atoms, wanted["method"])
        start.append(atoms_now.info["REF_energy"])
        text[0] += _as_text([atoms_now])
        if is_writer:
            _replace(wanted["trajectory"], text[0])

    optimizer.attach(keep)
    before = max(len(held) - 1, 0)
    optimizer.run(fmax=wanted["force_tolerance"], steps=max(wanted["max_steps"] - before, 0))
    largest = float(np.linalg.norm(moved.get_forces(), axis=1).max())
    return Descent(before + optimizer.get_number_of_steps(), largest, float(start[0]))


def read_steps(path, method):
    """Geometries of a trajectory that were made with this method; none where there is no such file."""
    if not os.path.exists(path):
        return []
    held = read(path, index=":", format="extxyz")
    return held if all(one.info.get("method") == method for one in held) else []


def _with_results(atoms, method):
    kept = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    kept.arrays["REF_forces"] = atoms.get_forces()
    kept.info = {
        "REF_energy": float(atoms.get_potential_energy()),
        "REF_stress": np.asarray(atoms.get_stress(voigt=False), dtype=float),
        "method": method,
    }
    return kept


def _as_text(frames):
    buffer = io.StringIO()
    for atoms in frames:
        write(buffer, atoms, format="extxyz")
    return buffer.getvalue()


def _replace(path, text):
    """The whole file anew, beside it first: a kill leaves the old one or the new one."""
    part = str(path) + ".part"
    with open(part, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(part, path)

"""What a structure and its label must pass before anything is trained on them."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from halion.errors import LabelError
from halion.labels.types import Label, LabelledFrame

__all__ = ["energy_outliers", "refuse_bad_label", "refuse_bad_structure"]

# Closer than this part of the sum of covalent radii, projector spheres overlap deeply and frozen cores touch.
_CLOSEST = 0.6
# By Newton's third law the forces add to zero; a plane-wave grid leaves a few meV/Angstrom on the whole cell.
_NET_FORCE = 0.05
# eV/Angstrom. A halide at 800 K has 2 to 4; beyond this a frame says more of its accident than of the crystal.
_LARGEST_FORCE = 30.0
# The 1.4826 median deviations of a Gaussian are its sigma; a label this many off is a failure of convergence.
_OUTLIER_SIGMAS = 8.0
# eV/atom. Spreads below this are model noise, and no label is called an outlier within it.
_SMALLEST_SPREAD = 2e-3


def refuse_bad_structure(atoms: Atoms, where: str) -> None:
    """Refuse what no code should be asked: atoms on top of each other, positions that are no numbers.

    Raises:
        LabelError: with the pair, its distance in Angstrom, and what would be the least.
    """
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise LabelError("a position or the cell is not a finite number", where=where, fix="take another frame")
    radii = covalent_radii[atoms.numbers]
    first, second, distance = neighbor_list("ijd", atoms, _CLOSEST * 2 * float(radii.max()))
    short = distance / (radii[first] + radii[second])
    if len(short) and short.min() < _CLOSEST:
        k = int(short.argmin())
        one, other = first[k], second[k]
        least = _CLOSEST * (radii[one] + radii[other])
        raise LabelError(
            f"{atoms.symbols[one]}{one} and {atoms.symbols[other]}{other} are {distance[k]:.2f} Angstrom apart "
            f"(at least {least:.2f}): the run that gave this frame had gone wrong",
            where=where,
            fix="take another frame, and look at the run",
        )


def refuse_bad_label(label: Label, where: str) -> None:
    """Refuse a label that cannot be right: not finite, forces that do not cancel, forces of an accident.

    Raises:
        LabelError: with the numbers.
    """
    values = (label.energy, label.forces, label.stress)
    if not all(np.isfinite(value).all() for value in values):
        raise LabelError("a label is not a finite number", where=where, fix="look at the code's output")
    net = float(np.linalg.norm(label.forces.sum(axis=0)))
    if net > _NET_FORCE:
        raise LabelError(
            f"the forces add up to {net:.3f} eV/Angstrom, and should to zero (below {_NET_FORCE:g}): the "
            "code is not converged",
            where=where,
            fix="raise the cutoff, or converge more tightly",
        )
    largest = float(np.linalg.norm(label.forces, axis=1).max())
    if largest > _LARGEST_FORCE:
        raise LabelError(
            f"the largest force is {largest:.1f} eV/Angstrom (at most {_LARGEST_FORCE:g}): an accident",
            where=where,
            fix="take another frame, and look at the run",
        )


def energy_outliers(labelled: list[LabelledFrame], predicted: list[float]) -> list[int]:
    """Labels whose energy lies far from what the others and a model say.

    Per composition, the residual per atom (label minus prediction) against its median, in units of 1.4826 median
    absolute deviations (at least 2 meV/atom); beyond 8 it is listed. Compositions of fewer than five frames are not
    judged.

    Args:
        labelled: frames with labels.
        predicted: energy of each by a model, eV.
    Returns:
        Indices of the outliers.
    Checked by tests/labels/test_labels_checks.py.
    """
    residual = np.array(
        [
            (one.label.energy - energy) / len(one.frame.atoms)
            for one, energy in zip(labelled, predicted, strict=True)
        ]
    )
    formulas = np.array([one.frame.atoms.get_chemical_formula(empirical=True) for one in labelled])
    found = []
    for formula in np.unique(formulas):
        members = np.flatnonzero(formulas == formula)
        if len(members) < 5:
            continue
        off = np.abs(residual[members] - np.median(residual[members]))
        spread = max(1.4826 * float(np.median(off)), _SMALLEST_SPREAD)
        found += members[off > _OUTLIER_SIGMAS * spread].tolist()
    return sorted(found)

"""Errors of a potential on labelled frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.labels import LabelledFrame
from halion.potentials.types import Potential
from halion.progress import Progress, silent
from halion.units import GPA_PER_EV_ANGSTROM3

__all__ = ["Comparison", "PotentialErrors", "compare", "errors", "refuse_foreign_stress"]

_AT_ONCE = 64
# A label of the right sign and unit follows the model's stress with a slope near one; a wrong sign gives minus
# one, kbar taken for GPa ten or a tenth, GPa taken for eV/Angstrom^3 160. Pretrained CHGNet on hot halides has
# 0.8 to 1.2.
_LEAST_SLOPE, _MOST_SLOPE = 0.33, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Labels and predictions of a set of frames, for errors and parity plots.

    Attributes:
        energies: (n_frames, 2) label and prediction, eV/atom.
        shifted: (n_frames,) prediction minus label, eV/atom, without its mean over each composition.
        forces: (n, 2) components, eV/Angstrom. stresses: (n_frames * 6, 2) components, GPa.
    """

    energies: FloatArray
    shifted: FloatArray
    forces: FloatArray
    stresses: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PotentialErrors:
    """Mean absolute and root mean square errors of one potential on one set of frames.

    Attributes:
        n_frames: of the set.
        energy_mae, energy_rmse: meV/atom. energy_shifted_mae, energy_shifted_rmse: after a constant per
        composition is
            taken away, which no force or difference within a composition feels.
        force_mae, force_rmse: meV/Angstrom, over components. force_max: largest of one component.
        stress_mae, stress_rmse: MPa, over the six components.
        force_slope: of predicted against label forces through the origin; below one the potential is too soft.
    """

    n_frames: int
    energy_mae: float
    energy_rmse: float
    energy_shifted_mae: float
    energy_shifted_rmse: float
    force_mae: float
    force_rmse: float
    force_max: float
    stress_mae: float
    stress_rmse: float
    force_slope: float


def compare(labelled: Sequence[LabelledFrame], potential: Potential, progress: Progress = silent) -> Comparison:
    """Evaluate a potential on labelled frames.

    Raises:
        InputError: no frames; also what the potential's `evaluate` raises.
    Checked by tests/training/test_training_evaluate.py.
    """
    if not labelled:
        raise InputError("there are no frames to evaluate on", fix="label some: halion label --help")
    found = []
    for start in range(0, len(labelled), _AT_ONCE):
        progress(start, len(labelled))
        found += potential.evaluate_batch([one.frame.atoms for one in labelled[start : start + _AT_ONCE]])
    progress(len(labelled), len(labelled))
    counts = np.array([len(one.frame.atoms) for one in labelled])
    energies = np.array([[one.label.energy, said.energy] for one, said in zip(labelled, found, strict=True)])
    energies /= counts[:, None]
    triangle = np.triu_indices(3)
    return Comparison(
        energies=energies,
        shifted=_without_composition(labelled, energies[:, 1] - energies[:, 0]),
        forces=np.stack(
            [
                np.concatenate([one.label.forces.ravel() for one in labelled]),
                np.concatenate([said.forces.ravel() for said in found]),
            ],
            axis=1,
        ),
        stresses=GPA_PER_EV_ANGSTROM3
        * np.stack(
            [
                np.concatenate([one.label.stress[triangle] for one in labelled]),
                np.concatenate([said.stress[triangle] for said in found]),
            ],
            axis=1,
        ),
    )


def errors(comparison: Comparison) -> PotentialErrors:
    """Errors of a comparison.

    Source of the slope: Deng et al., npj Comput. Mater. 11, 9 (2025) ("softening"), arXiv:2405.07105.
    Checked by tests/training/test_training_evaluate.py.
    """
    energy = 1e3 * (comparison.energies[:, 1] - comparison.energies[:, 0])
    shifted = 1e3 * comparison.shifted
    force = 1e3 * (comparison.forces[:, 1] - comparison.forces[:, 0])
    stress = 1e3 * (comparison.stresses[:, 1] - comparison.stresses[:, 0])
    return PotentialErrors(
        n_frames=len(energy),
        energy_mae=_mae(energy),
        energy_rmse=_rmse(energy),
        energy_shifted_mae=_mae(shifted),
        energy_shifted_rmse=_rmse(shifted),
        force_mae=_mae(force),
        force_rmse=_rmse(force),
        force_max=float(np.abs(force).max()),
        stress_mae=_mae(stress),
        stress_rmse=_rmse(stress),
        force_slope=_slope(comparison.forces),
    )


def refuse_foreign_stress(comparison: Comparison) -> None:
    """Refuse stress labels of another sign or unit, told by a model whose own stress is the slope of its energy.

    Raises:
        InputError: with the slope of the model's stress against the labels', and what it looks like.
    Checked by tests/training/test_training_evaluate.py: every foreign sign and unit, on pretrained CHGNet.
    """
    label, said = comparison.stresses.T
    # Both directions of the regression: noise in one alone makes its slope too small.
    scale = float(np.sqrt((said**2).sum() / max((label**2).sum(), 1e-30)))
    agreement = float((label * said).sum() / max(np.sqrt((label**2).sum() * (said**2).sum()), 1e-30))
    if agreement > 0.3 and _LEAST_SLOPE < scale < _MOST_SLOPE:
        return
    if abs(agreement) <= 0.3:
        looks = "they have nothing to do with each other"
    else:
        looks = "another sign (tension must be positive)" if agreement < 0 else "another unit"
    raise InputError(
        f"the stress labels do not fit the model's own stress (correlation {agreement:.2f}, size 1 : {scale:.3g}): "
        f"{looks}",
        fix="give REF_stress in eV/Angstrom^3, tension positive; VASP's kbar: multiply by -0.1/160.2177",
    )


def _without_composition(labelled: Sequence[LabelledFrame], off: FloatArray) -> FloatArray:
    formulas = np.array([one.frame.atoms.get_chemical_formula(empirical=True) for one in labelled])
    shifted = off.copy()
    for formula in np.unique(formulas):
        shifted[formulas == formula] -= off[formulas == formula].mean()
    return shifted


def _mae(values: FloatArray) -> float:
    return float(np.abs(values).mean())


def _rmse(values: FloatArray) -> float:
    return float(np.sqrt((values**2).mean()))


def _slope(pairs: FloatArray) -> float:
    label, said = pairs.T
    return float((label * said).sum() / max((label**2).sum(), 1e-30))

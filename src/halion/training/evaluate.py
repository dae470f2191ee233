"""Errors of a potential on labelled frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError
from halion.labels import LabelledFrame
from halion.potentials.types import Potential
from halion.progress import Progress, silent
from halion.units import GPA_PER_EV_ANGSTROM3

__all__ = ["Comparison", "PotentialErrors", "compare", "errors", "refuse_foreign_stress", "without_mean_of"]

_AT_ONCE = 64
# A label of the right sign and unit follows the model's stress with a slope near one; a wrong sign gives minus
# one, kbar taken for GPa ten or a tenth, GPa taken for eV/Angstrom^3 160. Pretrained CHGNet on hot halides has
# 0.8 to 1.2.
_LEAST_SLOPE, _MOST_SLOPE = 0.33, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Labels and predictions of a set of frames, for errors and parity plots.

    Attributes:
        n_atoms: (n_frames,) of each frame.
        compositions: (n_frames,) reduced formulas, e.g. "Li3YBr3Cl3".
        temperatures_k: (n_frames,) of the frames' trajectories; NaN where none is known.
        energies: (n_frames, 2) label and prediction, eV/atom.
        shifted: (n_frames,) prediction minus label, eV/atom, without its mean over each composition.
        forces: (n, 2) components, eV/Angstrom. stresses: (n_frames * 6, 2) components, GPa.
    """

    n_atoms: IntArray
    compositions: np.ndarray
    temperatures_k: FloatArray
    energies: FloatArray
    shifted: FloatArray
    forces: FloatArray
    stresses: FloatArray

    def of_frames(self, chosen: np.ndarray) -> Comparison:
        """The part of some frames, (n_frames,) true or false; the shifts stay those of all frames."""
        return Comparison(
            n_atoms=self.n_atoms[chosen],
            compositions=self.compositions[chosen],
            temperatures_k=self.temperatures_k[chosen],
            energies=self.energies[chosen],
            shifted=self.shifted[chosen],
            forces=self.forces[np.repeat(chosen, 3 * self.n_atoms)],
            stresses=self.stresses[np.repeat(chosen, 6)],
        )

    def frame_errors(self) -> FloatArray:
        """(n_frames, 3) of each frame: error of its shifted energy (meV/atom), mean absolute ones of its forces
        (meV/Angstrom) and stress (MPa).
        """
        starts = np.concatenate([[0], 3 * np.cumsum(self.n_atoms)[:-1]])
        forces = np.add.reduceat(np.abs(self.forces[:, 1] - self.forces[:, 0]), starts) / (3 * self.n_atoms)
        stresses = np.abs(self.stresses[:, 1] - self.stresses[:, 0]).reshape(-1, 6).mean(axis=1)
        return 1e3 * np.stack([np.abs(self.shifted), forces, stresses], axis=1)

    def by_temperature(self) -> dict[float, Comparison]:
        """Parts of one temperature each, K, rising; frames without one are in none."""
        known = np.unique(self.temperatures_k[np.isfinite(self.temperatures_k)])
        return {float(kelvin): self.of_frames(self.temperatures_k == kelvin) for kelvin in known}

    def by_composition(self) -> dict[str, Comparison]:
        """Parts of one composition each, by reduced formula."""
        return {str(one): self.of_frames(self.compositions == one) for one in np.unique(self.compositions)}


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
    compositions = np.array([one.frame.atoms.get_chemical_formula("metal", empirical=True) for one in labelled])
    kelvin = [one.frame.temperature_k for one in labelled]
    energies = np.array([[one.label.energy, said.energy] for one, said in zip(labelled, found, strict=True)])
    energies /= counts[:, None]
    triangle = np.triu_indices(3)
    return Comparison(
        n_atoms=counts,
        compositions=compositions,
        temperatures_k=np.array([np.nan if one is None else one for one in kelvin]),
        energies=energies,
        shifted=without_mean_of(compositions, energies[:, 1] - energies[:, 0]),
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


def refuse_foreign_stress(stresses: FloatArray) -> None:
    """Refuse stress labels of another sign or unit, told by a model whose own stress is the slope of its energy.

    Args:
        stresses: (n, 2) components, label and model, in one unit and sign: tension positive.
    Raises:
        InputError: with the slope of the model's stress against the labels', and what it looks like.
    Checked by tests/training/test_training_evaluate.py: every foreign sign and unit, on pretrained CHGNet, and that
    its stress is the finite difference of its energy.
    """
    label, said = np.asarray(stresses).T
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


def without_mean_of(compositions: np.ndarray, values: FloatArray) -> FloatArray:
    """(n_frames,) values minus their mean over the frames of the same composition."""
    left = values.astype(float)
    for one in np.unique(compositions):
        left[compositions == one] -= values[compositions == one].mean()
    return left


def _mae(values: FloatArray) -> float:
    return float(np.abs(values).mean())


def _rmse(values: FloatArray) -> float:
    return float(np.sqrt((values**2).mean()))


def _slope(pairs: FloatArray) -> float:
    label, said = pairs.T
    return float((label * said).sum() / max((label**2).sum(), 1e-30))

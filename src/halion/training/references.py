"""The energy references of the elements, shifted from the potential's code to the labels' code, then frozen.

Two codes (or two sets of pseudopotentials) differ in total energy by a sum over atoms, to a good part. That sum
is fitted on the residual of the base model, so that only differences of code are absorbed and nothing of the
physics that it already knows: E_label - E_model = sum_Z n_Z shift_Z. Salts alone do not fix every shift: of
Li3YX6 and binary halides together one direction, proportional to the charge of the ions, stays free and harmless.

Source: refitted references transfer best between functionals, npj Comput. Mater. 11 (2025),
doi:10.1038/s41524-025-01796-y; the fit on the residual is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError

__all__ = ["ReferenceShift", "fit_references"]

# Directions of composition space that the frames span less than this part of the largest are not fitted.
_RANK_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceShift:
    """Shifts of the elements' references.

    Attributes:
        shifts_ev: symbol -> eV per atom, of all directions that the frames fix the smallest solution.
        rank: independent compositions among the frames.
        residual_mev_per_atom: root mean square of what the shifts leave, meV/atom.
        before_mev_per_atom: the same without shifts.
        n_frames: that they rest on.
    """

    shifts_ev: dict[str, float]
    rank: int
    residual_mev_per_atom: float
    before_mev_per_atom: float
    n_frames: int


def fit_references(numbers: Sequence[IntArray], labels: FloatArray, predicted: FloatArray) -> ReferenceShift:
    """Fit the shifts by least squares per atom, the smallest of all that fit equally well.

    Minimises sum_f [(E_label - E_model)/N - sum_Z x_Z shift_Z]^2 with x_Z the atomic fractions of frame f.

    Args:
        numbers: atomic numbers of every frame.
        labels, predicted: (n_frames,) total energies, eV.
    Raises:
        InputError: no frames, or energies that are not finite.
    Checked by tests/training/test_training_references.py.
    """
    if not len(numbers) or not np.isfinite([labels, predicted]).all():
        raise InputError(
            "references need at least one frame, with finite energies",
            fix="label the binaries and a few frames first",
        )
    elements = sorted({int(z) for frame in numbers for z in frame})
    fractions = np.array([[np.mean(np.asarray(frame) == z) for z in elements] for frame in numbers])
    residual = (np.asarray(labels) - np.asarray(predicted)) / np.array([len(frame) for frame in numbers])
    shifts, _, rank, _ = np.linalg.lstsq(fractions, residual, rcond=_RANK_TOLERANCE)
    left = residual - fractions @ shifts
    return ReferenceShift(
        shifts_ev={chemical_symbols[z]: float(shift) for z, shift in zip(elements, shifts, strict=True)},
        rank=int(rank),
        residual_mev_per_atom=1e3 * float(np.sqrt((left**2).mean())),
        before_mev_per_atom=1e3 * float(np.sqrt((residual**2).mean())),
        n_frames=len(numbers),
    )

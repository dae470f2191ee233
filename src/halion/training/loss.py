"""The loss of fine-tuning: Huber on energy per atom, forces and stress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from halion.settings_learning import TrainingSettings
from halion.training.network import GraphedFrame, Predicted
from halion.units import GPA_PER_EV_ANGSTROM3

__all__ = ["Errors", "errors_of", "loss_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Mean absolute errors of a set of frames, every frame, force component and stress component alike.

    Attributes:
        energy_mev_per_atom, forces_mev_per_angstrom, stress_mpa: mean absolute errors.
        loss: the loss of the whole set.
    """

    energy_mev_per_atom: float
    forces_mev_per_angstrom: float
    stress_mpa: float
    loss: float


def loss_of(predicted: Predicted, frames: Sequence[GraphedFrame], settings: TrainingSettings) -> Tensor:
    """Weighted sum of three Huber losses: energy in eV/atom, forces in eV/Angstrom, stress in GPa.

    H(x) = x^2 / 2 for |x| < delta, delta (|x| - delta / 2) beyond; the mean over frames, over force components of
    the batch, and over the nine stress components. The scales are chgnet's own, so that its weights carry over.

    Source: Deng et al. 2023 (chgnet's pretraining: Huber, delta 0.1). Checked by
    tests/training/test_training_loss.py.
    """
    energy, forces, stress = _deviations(predicted, frames)
    total = energy.new_zeros(())
    for weight, values in (
        (settings.energy_weight, energy),
        (settings.forces_weight, forces),
        (settings.stress_weight, stress),
    ):
        total = total + weight * huber_loss(values, torch.zeros_like(values), delta=settings.huber_delta)
    return total


def errors_of(predicted: Predicted, frames: Sequence[GraphedFrame], settings: TrainingSettings) -> Errors:
    """Mean absolute errors and loss of frames."""
    energy, forces, stress = _deviations(predicted, frames)
    return Errors(
        energy_mev_per_atom=1e3 * float(energy.abs().mean()),
        forces_mev_per_angstrom=1e3 * float(forces.abs().mean()),
        stress_mpa=1e3 * float(stress.abs().mean()),
        loss=float(loss_of(predicted, frames, settings)),
    )


def _deviations(predicted: Predicted, frames: Sequence[GraphedFrame]) -> tuple[Tensor, Tensor, Tensor]:
    """Predicted minus label: (n_frames,) eV/atom, (n_atoms_total, 3) eV/Angstrom, (n_frames, 3, 3) GPa."""
    like = predicted.energies
    counts = like.new_tensor([frame.n_atoms for frame in frames])
    energies = like.new_tensor([frame.energy for frame in frames])
    forces = like.new_tensor(np.concatenate([frame.forces for frame in frames]))
    stresses = like.new_tensor(np.stack([frame.stress for frame in frames]))
    return (
        (predicted.energies - energies) / counts,
        predicted.forces - forces,
        (predicted.stresses - stresses) * GPA_PER_EV_ANGSTROM3,
    )

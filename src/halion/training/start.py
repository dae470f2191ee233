"""Where a fine-tuning starts: labels held against the base model, and its references moved to their code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers

from halion.labels import Frame, Label, LabelledFrame, Provenance
from halion.settings_learning import TrainingSettings
from halion.training.evaluate import refuse_foreign_stress
from halion.training.network import GraphedFrame, TrainableNetwork, graphed, predict
from halion.training.references import ReferenceShift, fit_references

__all__ = ["fit_start", "pseudo_labelled", "shift_references"]

Parts = tuple[Sequence[GraphedFrame], Sequence[GraphedFrame], Sequence[GraphedFrame]]


def fit_start(network: TrainableNetwork, parts: Parts, settings: TrainingSettings) -> ReferenceShift:
    """Fit the references of the elements and move the network's to them.

    Args:
        network: the base model; its references change.
        parts: frames that are trained on, that choose the epoch, and that only fix references. The fit sees the
            first and the last: with frames that choose the epoch their errors would flatter.
        settings: of the training.
    Raises:
        InputError: stress labels, where stress is learned, of another sign or unit than the network's own stress.
    Checked by tests/training/test_training_trainer.py.
    """
    training, held_out, more = parts
    if settings.stress_weight > 0:
        both = [*training, *held_out]
        said = predict(network, both, settings.batch_size).stresses.cpu().numpy()
        refuse_foreign_stress(np.stack([np.array([one.stress for one in both]), said], axis=-1).reshape(-1, 2))
    fitted = [*training, *more]
    predicted = predict(network, fitted, settings.batch_size).energies.cpu().numpy()
    numbers = [frame.graph.numbers for frame in fitted]
    shift = fit_references(numbers, np.array([frame.energy for frame in fitted]), predicted)
    shift_references(network, shift)
    return shift


def shift_references(network: TrainableNetwork, shift: ReferenceShift) -> None:
    """Move the references of the network's elements."""
    state = network.state()
    for symbol, value in shift.shifts_ev.items():
        state["composition_model.fc.weight"][0, atomic_numbers[symbol] - 1] += value
    network.load(state)


def pseudo_labelled(network: TrainableNetwork, frames: Sequence[Frame], batch_size: int) -> list[GraphedFrame]:
    """Frames with what the network says of them now, as if they were labels.

    Learned along with true labels they keep a fine-tuning from forgetting what those do not show.

    Source: Tompa et al. 2026, arXiv:2606.12704 (replay of pseudo-labels).
    Checked by tests/training/test_training_committee.py.
    """
    if not frames:
        return []
    blank = graphed(
        [
            LabelledFrame(
                frame=one,
                label=Label(
                    energy=0.0,
                    forces=np.zeros((len(one.atoms), 3)),
                    stress=np.zeros((3, 3)),
                    provenance=Provenance(method="the start of the training", code="halion"),
                ),
            )
            for one in frames
        ]
    )
    said = predict(network, blank, batch_size)
    ends = np.cumsum([one.n_atoms for one in blank])
    forces = np.split(said.forces.cpu().numpy(), ends[:-1])
    return [
        replace(one, energy=float(said.energies[k]), forces=forces[k], stress=said.stresses[k].cpu().numpy())
        for k, one in enumerate(blank)
    ]

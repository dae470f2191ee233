"""A committee: the same training with other seeds, whose disagreement tells where the potential is uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError, PhysicsRefusal
from halion.labels import LabelledFrame
from halion.labels.uncertainty import force_spreads
from halion.potentials import load_potential
from halion.progress import Progress, Stop, never, silent
from halion.settings_learning import TrainingSettings
from halion.training.trainer import Training, finetune

__all__ = ["Committee", "finetune_committee"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committee:
    """Potentials of one training with several seeds.

    Attributes:
        members: one training each; their checkpoints are what `choose_frames(method="committee")` takes.
        spreads: (n_validation,) of each validation frame: the largest standard deviation of an atom's force over
            the members, eV/Angstrom (`force_spreads`).
        errors: (n_validation,) largest error of an atom's force, of the members' mean, eV/Angstrom.
    """

    members: tuple[Training, ...]
    spreads: FloatArray
    errors: FloatArray

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """Files of the members' weights."""
        return tuple(one.checkpoint for one in self.members)


def finetune_committee(
    frames: tuple[Sequence[LabelledFrame], Sequence[LabelledFrame]],
    folder: Path | str,
    settings: TrainingSettings,
    n_members: int,
    *,
    references: Sequence[LabelledFrame] = (),
    progress: Progress = silent,
    stop: Stop = never,
) -> Committee:
    """Fine-tune several times, member k with the seed `settings.seed + k`, into `folder/member-k`.

    Each member learns from a bootstrap of the training frames: as many, drawn with replacement. The start is the
    same for all; the order of frames alone would leave them too much alike.

    Args:
        frames: training, validation.
        folder: the same call again goes on from what is there.
        settings: of all members.
        n_members: two or more.
        references, progress, stop: as of `finetune`.
    Raises:
        InputError: fewer than two members; what `finetune` refuses.
        PhysicsRefusal: two members learned nothing, so that they are the same.
        Everything else that `finetune` raises.
    Source: Zhang et al., Phys. Rev. Mater. 3, 023804 (2019), doi:10.1103/PhysRevMaterials.3.023804.
    Checked by tests/training/test_training_committee.py.
    """
    if n_members < 2:
        raise InputError(f"a committee of {n_members} has no spread", fix="ask for two members or more")
    training, validation = frames
    members = []
    for k in range(n_members):
        seeded = settings.model_copy(update={"seed": settings.seed + k})
        drawn = _bootstrap(training, seeded.seed)
        place = Path(folder) / f"member-{k}"
        # Frames that the draw leaves out still fix the references of the elements.
        member = finetune(
            drawn, validation, place, seeded, references=[*references, *training], progress=progress, stop=stop
        )
        members.append(member)
    unmoved = [k for k, one in enumerate(members) if one.best.number == 0]
    if len(unmoved) > 1:
        raise PhysicsRefusal(
            f"members {', '.join(map(str, unmoved))} are all the start still: no epoch was better on validation "
            "frames, and alike as they are they would call every frame certain",
            where=str(folder),
            fix="more --epochs or a lower --learning-rate, in another folder",
        )
    potentials = [load_potential(str(one.checkpoint)) for one in members]
    spreads, errors = [], []
    for one in validation:
        atoms, truth = one.frame.atoms, one.label.forces
        spreads.append(force_spreads(potentials, atoms.numbers, atoms.positions[None], atoms.cell.array[None])[0])
        mean = np.mean([potential.evaluate(atoms).forces for potential in potentials], axis=0)
        errors.append(np.linalg.norm(mean - truth, axis=1).max())
    return Committee(members=tuple(members), spreads=np.array(spreads), errors=np.array(errors))


def _bootstrap(training: Sequence[LabelledFrame], seed: int) -> list[LabelledFrame]:
    picks = np.random.default_rng([seed, len(training)]).integers(len(training), size=len(training))
    return [training[k] for k in picks]

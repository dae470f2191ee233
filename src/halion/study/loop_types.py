"""What a fine-tuning loop is made of, and what its rounds give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ase import Atoms

from halion.labels import Frame, Labeller
from halion.settings_learning import LoopSettings, TrainingSettings
from halion.training import PotentialErrors

__all__ = ["LoopRound", "LoopStudy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStudy:
    """What a loop is made of.

    Attributes:
        name: of the models: "LYCB" gives halion-LYCB-200K.
        parents: name -> ordered cell, e.g. "Li3YCl6-1".
        labeller: the code.
        loop, training: settings.
        references: structures labelled first (binaries), so that every element has its own reference.
        mobile: elements that may travel; the others are the framework by which frames are laid over each other.
        at_once: labels at once.
    """

    name: str
    parents: Mapping[str, Atoms]
    labeller: Labeller
    loop: LoopSettings
    training: TrainingSettings
    references: Sequence[Frame] = ()
    mobile: tuple[str, ...] = ("Li",)
    at_once: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRound:
    """One temperature of a loop.

    Attributes:
        temperature_k: of its dynamics.
        started_with: the potential of its dynamics.
        volumes: trajectory -> mean volume of the NPT stage, Angstrom^3 per atom.
        lost: trajectory -> why its dynamics ended early.
        n_labels: labels of this round. n_failed: frames that could not be labelled.
        errors: set -> errors of the potential before and after, in this order; one set of held-out frames per round
            so far: "200 K", ...
        promoted: whether the new model is the current one from here on.
        verdict: in words.
        model: checkpoint of the current model after this round; what the loop started from if none is promoted yet.
    """

    temperature_k: float
    started_with: str
    volumes: Mapping[str, float]
    lost: Mapping[str, str]
    n_labels: int
    n_failed: int
    errors: Mapping[str, tuple[PotentialErrors, PotentialErrors]]
    promoted: bool
    verdict: str
    model: str

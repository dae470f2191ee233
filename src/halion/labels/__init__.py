"""Energy, forces and stress of structures from an electronic-structure code, with provenance.

What chooses frames loads on first use: labelling must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from halion.labels.checks import energy_outliers
from halion.labels.codes import labeller_of
from halion.labels.gpaw import GpawLabeller, find_gpaw
from halion.labels.kpoints import gamma_centred
from halion.labels.relaxations import RelaxationLimits, Relaxations, relax_frames
from halion.labels.run import Labelling, label_frames
from halion.labels.store import LabelStore, read_labels, write_labels
from halion.labels.types import Frame, Label, LabelledFrame, Labeller, Provenance, Relaxed

if TYPE_CHECKING:
    from halion.labels.position_error import FrameSet, gather_frames
    from halion.labels.potential import PotentialLabeller
    from halion.labels.sampling import ChosenFrames, SamplingChoices, choose_frames

__all__ = [
    "ChosenFrames",
    "Frame",
    "FrameSet",
    "GpawLabeller",
    "Label",
    "LabelStore",
    "LabelledFrame",
    "Labeller",
    "Labelling",
    "PotentialLabeller",
    "Provenance",
    "RelaxationLimits",
    "Relaxations",
    "Relaxed",
    "SamplingChoices",
    "choose_frames",
    "energy_outliers",
    "find_gpaw",
    "gamma_centred",
    "gather_frames",
    "label_frames",
    "labeller_of",
    "read_labels",
    "relax_frames",
    "write_labels",
]

_HOMES = {
    "ChosenFrames": "sampling",
    "FrameSet": "position_error",
    "PotentialLabeller": "potential",
    "SamplingChoices": "sampling",
    "choose_frames": "sampling",
    "gather_frames": "position_error",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'halion.labels' has no attribute '{name}'")
    return getattr(import_module(f"halion.labels.{_HOMES[name]}"), name)

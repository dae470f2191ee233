"""Energy, forces and stress of structures from an electronic-structure code, with provenance."""

from halion.labels.checks import energy_outliers
from halion.labels.gpaw import GpawLabeller, find_gpaw
from halion.labels.kpoints import gamma_centred
from halion.labels.potential import PotentialLabeller
from halion.labels.run import Labelling, label_frames
from halion.labels.store import LabelStore, read_labels, write_labels
from halion.labels.types import Frame, Label, LabelledFrame, Labeller, Provenance, Relaxed

__all__ = [
    "Frame",
    "GpawLabeller",
    "Label",
    "LabelStore",
    "LabelledFrame",
    "Labeller",
    "Labelling",
    "PotentialLabeller",
    "Provenance",
    "Relaxed",
    "energy_outliers",
    "find_gpaw",
    "gamma_centred",
    "label_frames",
    "read_labels",
    "write_labels",
]

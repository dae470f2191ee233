"""From labelled frames to a fine-tuned potential and its measured errors. What needs torch loads on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from halion.training.evaluate import (
    Comparison,
    PotentialErrors,
    compare,
    errors,
    refuse_foreign_stress,
    without_mean_of,
)
from halion.training.references import ReferenceShift, fit_references
from halion.training.split import method_of, refuse_unusable, split_by_group

if TYPE_CHECKING:
    from halion.training.committee import Committee, finetune_committee
    from halion.training.search import SearchTrial, search_settings
    from halion.training.trainer import Epoch, Training, finetune

__all__ = [
    "Committee",
    "Comparison",
    "Epoch",
    "PotentialErrors",
    "ReferenceShift",
    "SearchTrial",
    "Training",
    "compare",
    "errors",
    "finetune",
    "finetune_committee",
    "fit_references",
    "method_of",
    "refuse_foreign_stress",
    "refuse_unusable",
    "search_settings",
    "split_by_group",
    "without_mean_of",
]

_HOMES = {
    "Committee": "committee",
    "Epoch": "trainer",
    "SearchTrial": "search",
    "Training": "trainer",
    "finetune": "trainer",
    "finetune_committee": "committee",
    "search_settings": "search",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'halion.training' has no attribute '{name}'")
    return getattr(import_module(f"halion.training.{_HOMES[name]}"), name)

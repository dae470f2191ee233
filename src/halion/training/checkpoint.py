"""Fine-tuned weights as a file that halion and chgnet itself can load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from chgnet.model import CHGNet
from torch import Tensor

from halion.files import atomic_path

__all__ = ["save_checkpoint"]


def save_checkpoint(path: Path | str, model: CHGNet, state: Mapping[str, Tensor], notes: Mapping[str, Any]) -> Path:
    """Write a checkpoint: `CHGNet.from_file(path)` and `load_potential(path)` both take it.

    Args:
        path: of the file, by custom *.pth.tar.
        model: the base, whose architecture it has.
        state: the fine-tuned weights by their names in chgnet.
        notes: plain values that travel along: labels, settings, errors.
    Checked by test_chgnet_loads_what_was_trained in tests/training/test_training_trainer.py.
    """
    path = Path(path)
    with atomic_path(path) as part:
        torch.save(
            {
                "model": {
                    "model_name": path.name.split(".")[0],
                    "model_args": model.as_dict()["model_args"],
                    "state_dict": {name: tensor.detach().cpu() for name, tensor in state.items()},
                },
                "halion": dict(notes),
            },
            part,
        )
    return path

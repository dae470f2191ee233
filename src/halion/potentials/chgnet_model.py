"""CHGNet's weights as a model, pretrained or fine-tuned, of the one architecture that halion knows."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from chgnet.model import CHGNet

from halion.errors import InputError

__all__ = ["checkpoint_labels", "load_model", "weights_sha256"]

# The architecture of CHGNet 0.3.0. A checkpoint with anything else is another model: refused, not guessed at.
_ARCHITECTURE: dict[str, Any] = {
    "atom_fea_dim": 64,
    "bond_fea_dim": 64,
    "angle_fea_dim": 64,
    "num_radial": 31,
    "num_angular": 31,
    "n_conv": 4,
    "atom_conv_hidden_dim": 64,
    "update_bond": True,
    "bond_conv_hidden_dim": 64,
    "update_angle": True,
    "angle_layer_hidden_dim": 0,
    "conv_dropout": 0,
    "read_out": "ave",
    "mlp_hidden_dims": [64, 64, 64],
    "mlp_dropout": 0,
    "mlp_first": True,
    "is_intensive": True,
    "non_linearity": "silu",
    "atom_graph_cutoff": 6,
    "bond_graph_cutoff": 3,
    "cutoff_coeff": 8,
    "learnable_rbf": True,
    "gMLP_norm": "layer",
    "readout_norm": "layer",
}
# Arguments that may be absent, with the value that absence means.
_OPTIONAL: dict[str, Any] = {"mlp_out_bias": False, "conv_norm": None, "final_mlp": "MLP"}
# Arguments that do not change what the network computes from given weights.
_FREE = {"composition_model", "graph_converter_algorithm", "converter_verbose", "version"}
# Reference energies per element that chgnet adds per atom; its others are on another footing.
_REFERENCES = {"MPtrj", "MPtrj_e", "MP-r2SCAN"}


def load_model(checkpoint: Path | str | None = None) -> CHGNet:
    """CHGNet 0.3.0 as published (None), or a checkpoint fine-tuned from it, on the CPU.

    Raises:
        InputError: no such file, not a checkpoint, another architecture.
    """
    if checkpoint is not None:
        return _from_checkpoint(Path(checkpoint))
    with _quiet():
        return CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False)


def _from_checkpoint(path: Path) -> CHGNet:
    if not path.is_file():
        raise InputError("there is no such checkpoint", where=str(path), fix="check the path, or use 'chgnet'")
    try:
        # Tensors and plain values only: a checkpoint is data and must not run code.
        with _quiet():
            saved = torch.load(path, map_location="cpu", weights_only=True)["model"]
        arguments, weights = dict(saved["model_args"]), saved["state_dict"]
    except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"this is not a CHGNet checkpoint ({type(error).__name__}: {' '.join(str(error).split())[:120]})",
            where=str(path),
            fix="pass a file that chgnet's trainer wrote (with 'model' -> 'state_dict' and 'model_args')",
        ) from error
    _refuse_other_architecture(arguments, path)
    try:
        with _quiet():
            return CHGNet.from_dict({"model_args": arguments, "state_dict": weights})
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"the weights do not fit the architecture of CHGNet 0.3.0 ({' '.join(str(error).split())[:200]})",
            where=str(path),
            fix="fine-tune from CHGNet 0.3.0",
        ) from error


def checkpoint_labels(path: Path | str) -> str:
    """Method of the labels that halion fine-tuned this checkpoint to (`Provenance.method`), "" if unsaid."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    return str(saved.get("halion", {}).get("labels", ""))


def _refuse_other_architecture(arguments: dict[str, Any], path: Path) -> None:
    known = _ARCHITECTURE | _OPTIONAL
    values = _OPTIONAL | arguments
    wrong = {key: values[key] for key in values if key not in _FREE and (key not in known or _differs(values, key))}
    reference = arguments.get("composition_model")
    if reference not in _REFERENCES:
        wrong["composition_model"] = reference
        known = known | {"composition_model": "MPtrj"}
    missing = sorted(_ARCHITECTURE.keys() - arguments.keys())
    if wrong or missing:
        said = [f"{key}={value!r} (0.3.0: {known.get(key, 'unknown')!r})" for key, value in sorted(wrong.items())]
        said += [f"{key} is not given" for key in missing]
        raise InputError(
            f"this checkpoint is not of the architecture of CHGNet 0.3.0: {'; '.join(said)}",
            where=str(path),
            fix="fine-tune from CHGNet 0.3.0, or use another potential",
        )


def _differs(values: dict[str, Any], key: str) -> bool:
    value, wanted = values[key], (_ARCHITECTURE | _OPTIONAL)[key]
    return (list(value) if isinstance(value, tuple) else value) != wanted


def weights_sha256(model: CHGNet) -> str:
    """SHA-256 over name, type, shape and bytes of every weight, in the order of their names."""
    content = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = np.ascontiguousarray(tensor.cpu().numpy())
        content.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return content.hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """chgnet prints its number of parameters when it is built; torch warns of pickle protocols."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

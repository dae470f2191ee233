"""The parameters of CHGNet by the blocks that a fine-tuning may freeze."""

from __future__ import annotations

from collections.abc import Iterable

from halion.errors import SettingsError, nearest

__all__ = ["BLOCKS", "trainable_names"]

# Block -> beginnings of its parameters' names in chgnet.
BLOCKS: dict[str, tuple[str, ...]] = {
    "embeddings": ("atom_embedding.", "bond_embedding.", "angle_embedding."),
    "bases": ("bond_basis_expansion.", "angle_basis_expansion."),
    "message_weights": ("bond_weights_ag.", "bond_weights_bg."),
    **{f"atoms{k + 1}": (f"atom_conv_layers.{k}.",) for k in range(4)},
    **{f"bonds{k + 1}": (f"bond_conv_layers.{k}.",) for k in range(3)},
    **{f"angles{k + 1}": (f"angle_layers.{k}.",) for k in range(2)},
    "readout": ("readout_norm.", "mlp."),
}


def trainable_names(names: Iterable[str], frozen: Iterable[str]) -> list[str]:
    """Names of the parameters that are trained: those of every block that is not frozen.

    The references of the elements are never trained (they are fitted, see `references`), nor what the energy does
    not
    feel: the magnetic readout and the third angle update.

    Args:
        names: of all parameters of a CHGNet.
        frozen: blocks, of `BLOCKS`.
    Raises:
        SettingsError: an unknown block, or nothing is left to train.
    Checked by tests/training/test_training_network.py.
    """
    frozen = set(frozen)
    for block in sorted(frozen - BLOCKS.keys()):
        raise SettingsError(
            f"there is no block '{block}' of CHGNet: {nearest(block, BLOCKS)}",
            where="training.frozen",
            fix=f"use some of {', '.join(BLOCKS)}",
        )
    free = tuple(start for block, starts in BLOCKS.items() if block not in frozen for start in starts)
    chosen = [name for name in names if name.startswith(free)] if free else []
    if not chosen:
        raise SettingsError(
            "every block is frozen: there is nothing to train",
            where="training.frozen",
            fix="leave at least 'readout' out of it",
        )
    return chosen

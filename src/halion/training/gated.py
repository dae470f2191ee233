"""The gated blocks of CHGNet on features with their change along a direction, in torch: any device and precision.

Tensors are (2, n, width): values, and their change. This is also what the compiled blocks are checked against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from halion.potentials.folded import LAYER_NORM_EPS, AngleLayer, AtomLayer, BondLayer

__all__ = ["Weighted", "biased", "gated", "normal_along", "silu_along"]

_WIDTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """What becomes of the messages of rows: each times rows of a table of weights, and summed.

    Attributes:
        weights: (2, n_weights, 64).
        places: row of the weights for every message, once or twice.
        sum_into, n_sums: which of so many sums a message is added to.
    """

    weights: Tensor
    places: Sequence[Tensor]
    sum_into: Tensor
    n_sums: int


def gated(
    layer: AtomLayer | BondLayer | AngleLayer,
    tables: Sequence[Tensor],
    places: Sequence[Tensor],
    dense: Tensor | None = None,
    weighted: Weighted | None = None,
) -> Tensor:
    """SiLU(n_core) sigmoid(n_gate) of rows, each the sum of one row of every table: (2, n_rows or n_sums, 64).

    n is the normalised second layer of SiLU of that sum; of an AngleUpdate, which has one layer, of the sum itself.

    Args:
        layer: its second layer and normalisation.
        tables: three of (2, n, 128), the biases of the first layer added to one of them.
        places: row of each table for every row, (n_rows,).
        dense: (2, n_rows, 128), added to the sum.
        weighted: what the messages are multiplied by and summed into; None leaves them as they are.
    """
    mixed = sum(table.index_select(1, place) for table, place in zip(tables, places, strict=True))
    if dense is not None:
        mixed = mixed + dense
    if not isinstance(layer, AngleLayer):
        hidden = silu_along(mixed)
        both = [hidden[..., h * _WIDTH : (h + 1) * _WIDTH] @ layer.weight2[h].T for h in range(2)]
        mixed = biased(torch.cat(both, dim=-1), layer.bias2.reshape(-1))
    core = normal_along(mixed[..., :_WIDTH], layer.norm.scale[0], layer.norm.shift[0])
    gate = normal_along(mixed[..., _WIDTH:], layer.norm.scale[1], layer.norm.shift[1])
    open_part = torch.sigmoid(gate[0])
    messages = _product(silu_along(core), torch.stack([open_part, open_part * (1 - open_part) * gate[1]]))
    if weighted is None:
        return messages
    for place in weighted.places:
        messages = _product(messages, weighted.weights.index_select(1, place))
    return messages.new_zeros(2, weighted.n_sums, _WIDTH).index_add(1, weighted.sum_into, messages)


def biased(values: Tensor, bias: Tensor) -> Tensor:
    """A constant added: the change stays."""
    return values + torch.stack([bias, torch.zeros_like(bias)])[:, None]


def silu_along(values: Tensor) -> Tensor:
    """SiLU, and its slope times the change."""
    s = torch.sigmoid(values[0])
    value = values[0] * s
    return torch.stack([value, (s + value * (1 - s)) * values[1]])


def normal_along(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x / rms(x) scale + shift and its change; the mean is removed before."""
    inverse = torch.rsqrt((values[0] ** 2).mean(dim=-1, keepdim=True) + LAYER_NORM_EPS)
    unit = values[0] * inverse
    turning = inverse * (values[1] - unit * (unit * values[1]).mean(dim=-1, keepdim=True))
    return torch.stack([unit * scale + shift, turning * scale])


def _product(one: Tensor, other: Tensor) -> Tensor:
    return torch.stack([one[0] * other[0], one[1] * other[0] + one[0] * other[1]])

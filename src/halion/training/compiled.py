"""The gated blocks on a processor in single precision: forward and back compiled, see kernels/block.hpp.

Rows are gathered, taken through the block and summed tile by tile, so that nothing of the size of rows x 128 is
written but what `dense` needs.

Checked by tests/training/test_training_tangent.py against `gated` in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from halion.potentials.folded import AngleLayer, AtomLayer, BondLayer
from halion.training import _blocks
from halion.training.gated import Weighted

__all__ = ["compiled_gated"]


def compiled_gated(
    layer: AtomLayer | BondLayer | AngleLayer,
    tables: Sequence[Tensor],
    places: Sequence[Tensor],
    dense: Tensor | None = None,
    weighted: Weighted | None = None,
    kernels: str = "",
) -> Tensor:
    """The same as `gated`, of float32 tensors on the host, by torch's number of threads.

    Args:
        layer, tables, places, dense, weighted: as of `gated`.
        kernels: "avx512", "avx2" or "portable"; "" for the fastest that this machine has.
    """
    second = bias2 = None
    if not isinstance(layer, AngleLayer):
        second, bias2 = layer.weight2, layer.bias2.reshape(-1)
    weights = None if weighted is None else weighted.weights
    indices = (places, weighted, kernels)
    scale, shift = layer.norm.scale.reshape(-1), layer.norm.shift.reshape(-1)
    return _Gated.apply(indices, *tables, dense, second, bias2, scale, shift, weights)


class _Gated(torch.autograd.Function):
    """Inputs: indices, three tables, dense, second, bias2, scale, shift, weights."""

    @staticmethod
    def forward(ctx: Any, indices: tuple, *given: Tensor | None) -> Tensor:
        kept = [None if one is None else one.contiguous() for one in given]
        block, n_sums = _block(indices, kept)
        out = torch.zeros(2, n_sums, 64)
        _blocks.forward(block, out.numpy(), torch.get_num_threads(), indices[2])
        ctx.indices, ctx.given = indices, kept
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, out_grad: Tensor) -> tuple[Tensor | None, ...]:
        block, _ = _block(ctx.indices, ctx.given)
        *tables, dense, second, bias2, scale, shift, weights = ctx.given
        # What is not wanted of the tables and vectors costs next to nothing; the second layer's is a product.
        added = [*tables, second if ctx.needs_input_grad[5] else None, bias2, scale, shift, weights]
        grads = [None if one is None else torch.zeros_like(one) for one in added]
        dense_grad = None if dense is None else torch.empty_like(dense)
        _blocks.backward(
            block,
            out_grad.contiguous().numpy(),
            [_array(one) for one in grads],
            _array(dense_grad),
            torch.get_num_threads(),
            ctx.indices[2],
        )
        return (None, *grads[:3], dense_grad, *grads[3:])


def _block(indices: tuple, given: Sequence[Tensor | None]) -> tuple[_blocks.Block, int]:
    (places, weighted, _), (*tables, dense, second, bias2, scale, shift, weights) = indices, given
    n_sums = len(places[0]) if weighted is None else weighted.n_sums
    block = _blocks.Block(
        [_array(one) for one in tables],
        [_array(one) for one in places],
        _array(dense),
        _array(second),
        _array(bias2),
        _array(scale),
        _array(shift),
        _array(weights),
        [] if weighted is None else [_array(one) for one in weighted.places],
        None if weighted is None else _array(weighted.sum_into),
        n_sums,
    )
    return block, n_sums


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().numpy()

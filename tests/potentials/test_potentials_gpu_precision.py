"""What TF32 products cost in accuracy, emulated: the interpreter has float32 only, so operands are rounded here.

An estimate for choosing, not a measurement: tensor cores add up in their own way. On a device see
test_accuracy_on_a_device.
"""

import numpy as np
import pytest
import torch
from gpu_setup import QUIET, chgnet_weights, small_batch
from triton.runtime import interpreter

from halion.potentials.gpu.lists import Capacity
from halion.potentials.gpu_engine import GpuEngine
from halion.potentials.torch_engine import TorchEngine


def tf32(x: np.ndarray) -> np.ndarray:
    """Rounded to 10 bits of mantissa."""
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64) + 0x1000
    return (bits & 0xFFFFE000).astype(np.uint32).view(np.float32)


def emulated(builder, a, b, d, precision, _):
    left, right = a.data, b.data
    if "TF32" in str(precision):
        big, other = tf32(left), tf32(right)
        product = big @ other
        if "TF32x3" in str(precision):
            product = (tf32(left - big) @ other + big @ tf32(right - other)) + product
    else:
        product = left @ right
    return interpreter.TensorHandle((product + d.data).astype(d.data.dtype), d.dtype.scalar)


@pytest.mark.slow
@QUIET
@pytest.mark.skipif(torch.cuda.is_available(), reason="a device rounds by itself")
def test_emulated_precisions(monkeypatch):
    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", emulated)
    room = Capacity(slots=96, edges=256, bonds=32, angles=128)
    monkeypatch.setattr(Capacity, "guess", classmethod(lambda cls, n_atoms: room))
    weights, batch = chgnet_weights(), small_batch()
    exact = TorchEngine(weights, dtype=torch.float64).evaluate(*batch)
    force, energy = {}, {}
    for precision in ("fp32", "tf32x3", "tf32"):
        result = GpuEngine(weights, device="cpu", precision=precision).evaluate(*batch)
        force[precision] = np.abs(result.forces - exact.forces).max()
        energy[precision] = np.abs((result.energies - exact.energies) / batch[3]).max()
    # Three products are as exact as one in float32; one is a thousand times coarser (found: 7e-4 and 6e-4).
    assert force["tf32x3"] < 2 * max(force["fp32"], 5e-7) and energy["tf32x3"] < 1e-6
    assert 1e-4 < force["tf32"] < 5e-3 and 1e-4 < energy["tf32"] < 5e-3

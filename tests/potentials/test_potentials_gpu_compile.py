"""All kernels compile for compute capability 9.0 with no such device at hand: the interpreter forgives more.

Triton's wheel brings the assembler, so this needs no CUDA; it takes two minutes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gpu_setup import DEVICE, QUIET, chgnet_weights, small_batch

from halion.potentials.gpu import launch as launching
from halion.potentials.gpu_engine import GpuEngine

POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int32: "*i32"}
# What one program may have on the smallest device in question.
SHARED_BYTES = 99 * 1024
# A little beside the registers is cheap; kernels that kept 7 to 20 kB there were compiled hopelessly.
STACK_BYTES = 2048


def launches(precision: str) -> list:
    """Every distinct launch of one evaluation."""
    seen = {}

    def watch(kernel, arguments, constants, warps):
        types = [POINTERS[one.dtype] if isinstance(one, torch.Tensor) else "i32" for one in arguments]
        launch = [kernel.fn.__module__, kernel.fn.__name__, types, dict(constants) | {"PRECISION": precision}]
        if "PRECISION" not in constants:
            del launch[3]["PRECISION"]
        seen[json.dumps(launch)] = launch

    launching.WATCHERS.append(watch)
    try:
        GpuEngine(chgnet_weights(), device=DEVICE).evaluate(*small_batch())
    finally:
        launching.WATCHERS.remove(watch)
    return list(seen.values())


@pytest.mark.slow
@QUIET
@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
def test_every_kernel_compiles_for_a_device(tmp_path, precision):
    path = tmp_path / "launches.json"
    path.write_text(json.dumps(launches(precision)))
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path / "cache")}
    script = Path(__file__).with_name("gpu_compile.py")
    done = subprocess.run(
        [sys.executable, str(script), str(path)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({name for name, *_ in results}) == 26
    assert max(shared for *_, shared, _ in results) <= SHARED_BYTES
    assert max(stack for *_, stack in results) <= STACK_BYTES

"""The single-precision peak of this machine's cores, measured: fused multiply-adds in registers, nothing else.

python benchmarks/machine_peak.py
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

OPERATIONS_PER_ROUND = 24 * 16 * 2
# Two milliseconds each: short enough that some fall between what else runs on the machine.
ROUNDS, REPEATS = 200_000, 200


def peak_gflops(n_threads: int) -> tuple[float, str]:
    """(GFLOP/s on so many threads, how that was measured); the best of many short runs."""
    compiler = shutil.which("cc")
    if compiler is None:
        return _matrix_product(n_threads), "torch's matrix product of 512 x 512, for want of a C compiler"
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        source = Path(__file__).with_name("fma_peak.c")
        options = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, source, "-o", library], check=True)
        rounds = ctypes.CDLL(str(library)).fma_rounds
    rounds.argtypes, rounds.restype = [ctypes.c_long], ctypes.c_float
    best = np.inf
    for _ in range(REPEATS):
        threads = [threading.Thread(target=rounds, args=(ROUNDS,)) for _ in range(n_threads)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = min(best, time.perf_counter() - began)
    return OPERATIONS_PER_ROUND * ROUNDS * n_threads / best / 1e9, "fused multiply-adds in registers"


def _matrix_product(n_threads: int) -> float:
    import torch

    torch.set_num_threads(n_threads)
    matrix, best = torch.randn(512, 512), np.inf
    for _ in range(REPEATS):
        began = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - began)
    return 2 * 512**3 / best / 1e9


if __name__ == "__main__":
    for n_threads in (1, 2):
        print(n_threads, "thread(s): {:.0f} GFLOP/s, {}".format(*peak_gflops(n_threads)))

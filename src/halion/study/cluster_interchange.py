"""Parsl's interchange as a process that dies with its driver, however that one ends: it would wait for ever."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

__all__: list[str] = []

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:  # the driver died before the call above
            sys.exit(1)
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")

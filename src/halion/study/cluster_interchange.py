"""Parsl's interchange as a process that dies with its driver, however that one ends: it would wait for ever."""

from __future__ import annotations

import os
import runpy
import threading
import time

__all__: list[str] = []

_LOOK_EVERY_S = 2.0


def _die_with(driver: int) -> None:
    # Not a signal of the kernel: that one comes when the thread ends that started this process.
    while os.getppid() == driver:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")

"""Jobs for the tests of the engine: they live in a module because worker processes import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from halion.errors import PhysicsRefusal, TornFile
from halion.study.engine import stop_requested


def write_pid(folder: str) -> None:
    Path(folder, "pid").write_text(str(os.getpid()))


def refuse(folder: str) -> None:
    raise PhysicsRefusal("it melted", fix="cool it")


def fail(folder: str) -> None:
    raise TornFile("torn", where=folder, fix="mend it")


def die(folder: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_stop(folder: str) -> None:
    Path(folder, "began").touch()
    while not stop_requested():
        time.sleep(0.01)
    Path(folder, "stopped").touch()


def wait_long(folder: str) -> None:
    write_pid(folder)
    time.sleep(120)

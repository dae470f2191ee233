"""Jobs for the tests of the engine: they live in a module because worker processes import them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from halion.errors import Interrupted, PhysicsRefusal, TornFile
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


def count_up(folder: str) -> None:
    """Gets a third further each time, and is out of time twice."""
    path = Path(folder, "progress.json")
    done = json.loads(path.read_text())["done"] if path.exists() else 0
    path.write_text(json.dumps({"phase": "production", "done": done + 1, "total": 3}))
    if done < 2:
        raise Interrupted("out of time", fix="again")


def get_nowhere(folder: str) -> None:
    with Path(folder, "tries").open("a") as handle:
        handle.write("x")
    raise Interrupted("out of time", fix="again")


def die_once(folder: str) -> None:
    if not Path(folder, "died").exists():
        Path(folder, "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    write_pid(folder)


def break_down(folder: str) -> None:
    raise ZeroDivisionError("a mistake")


def accelerator(folder: str) -> None:
    Path(folder, "device").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
    time.sleep(1)

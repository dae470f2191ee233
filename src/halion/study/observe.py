"""How far a study is: kept in `status.json` for `halion status`, and told to whoever watches."""

from __future__ import annotations

import time
from typing import Any, Protocol

from halion.progress import Progress
from halion.study.run_folder import RunFolder

__all__ = ["Observer", "StatusBoard", "unobserved"]

_WRITE_EVERY_S = 2.0


class Observer(Protocol):
    """Called with the stage, the work done and the work there is (any one unit), and a text of the state."""

    def __call__(self, stage: str, done: float, total: float, state: str = "", /) -> None: ...


def unobserved(stage: str, done: float, total: float, state: str = "", /) -> None:
    """A study that nobody watches."""


class StatusBoard:
    """Collects the progress of all stages of one `run` and writes it down now and then."""

    def __init__(self, folder: RunFolder, observe: Observer) -> None:
        self._folder, self._observe = folder, observe
        self._stages: dict[str, dict[str, Any]] = {}
        self._began: dict[str, tuple[float, float]] = {}  # when, and how far it was then: for the pace
        self._written = 0.0

    def tell(self, stage: str, done: float, total: float, state: str = "") -> None:
        """Note the progress of a stage."""
        now = time.monotonic()
        began, start = self._began.setdefault(stage, (now, done))
        self._stages[stage] = {
            "done": round(done, 4),
            "total": round(total, 4),
            "state": state,
            "from": round(start, 4),
            "took_s": round(now - began, 1),
        }
        self._observe(stage, done, total, state)
        if done >= total or time.monotonic() - self._written > _WRITE_EVERY_S:
            self.write("running")

    def progress(self, stage: str) -> Progress:
        """The same as a `Progress` for one stage, to hand to a room."""

        def tell(done: float, total: float, state: str = "", /) -> None:
            self.tell(stage, done, total, state)

        return tell

    def write(self, state: str, message: str = "") -> None:
        """Write `status.json` now."""
        self._written = time.monotonic()
        self._folder.write_status(state, self._stages, message)

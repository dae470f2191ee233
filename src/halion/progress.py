"""How a room tells how far it is: a function called with the work done and the work there is.

The command line turns these calls into progress bars with the time left; a library user may pass nothing.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Stop", "never", "silent"]


class Progress(Protocol):
    """Called now and then with the amounts done and total (in any one unit) and a short text of the state."""

    def __call__(self, done: float, total: float, state: str = "", /) -> None: ...


class Stop(Protocol):
    """Asked between steps; True means: finish this step, write, and raise `errors.Interrupted`."""

    def __call__(self) -> bool: ...


def silent(done: float, total: float, state: str = "", /) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """A run that nobody stops."""
    return False

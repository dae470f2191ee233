"""Every error that a user of halion can meet, each saying what, where, why and what to type next.

All classes derive from `HalionError` and from the builtin that a caller would expect, so that both can be
caught. The exit codes of the command line live here, one per kind of trouble.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CrystalError",
    "DiskFull",
    "EngineError",
    "HalionError",
    "InputError",
    "Interrupted",
    "LabelError",
    "MissingDependency",
    "OrderingError",
    "PhysicsRefusal",
    "RunFolderError",
    "SettingsError",
    "TornFile",
    "TrajectoryError",
    "nearest",
]

# A value from a damaged file may be megabytes long; an error shows its beginning.
_LONGEST_TEXT = 2000
EXIT_DONE, EXIT_BUG, EXIT_INPUT, EXIT_PHYSICS, EXIT_MISSING, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 5


class HalionError(Exception):
    """An error with its remedy.

    Args:
        what: what happened and why it matters, with numbers and units.
        where: file, frame, site or setting; empty when there is no place.
        fix: what to type or change next.
    """

    exit_code = EXIT_INPUT

    def __init__(self, what: str, *, where: str = "", fix: str) -> None:
        what, where = _cut(what), _cut(where)  # never the remedy: it is typed as it stands
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = what, where, fix

    def __reduce__(self) -> tuple:
        """Pickle by keywords: errors cross from worker processes to the driver."""
        return _rebuild, (type(self), self.what, self.where, self.fix)

    def __str__(self) -> str:
        where = f"\n  where: {self.where}" if self.where else ""
        return f"{self.what}{where}\n  next:  {self.fix}"


def _cut(text: str) -> str:
    # What was cut once is not cut again on its way from a worker.
    is_short = len(text) <= _LONGEST_TEXT + 40
    return text if is_short else f"{text[:_LONGEST_TEXT]} ... ({len(text)} characters)"


def _rebuild(kind: type[HalionError], what: str, where: str, fix: str) -> HalionError:
    return kind(what, where=where, fix=fix)


class InputError(HalionError, ValueError):
    """An input, other than a crystal or a study file, that cannot be used."""


class CrystalError(HalionError, ValueError):
    """A crystal file or a crystal that cannot be used."""


class OrderingError(HalionError, ValueError):
    """No ordering, or too many orderings, for the question asked."""


class SettingsError(HalionError, ValueError):
    """A study file or an option that cannot be used."""


class TrajectoryError(HalionError, ValueError):
    """A trajectory that cannot be analysed."""


class RunFolderError(HalionError, RuntimeError):
    """A run folder that is in use, of another study, or of a newer schema."""


class TornFile(HalionError, OSError):
    """A file whose end is missing or whose content cannot be read."""


class DiskFull(HalionError, OSError):
    """A disk or quota that is full."""

    exit_code = EXIT_INTERRUPTED


class PhysicsRefusal(HalionError, ArithmeticError):
    """A simulation whose physics forbids the number asked for: exploded cell, melted framework."""

    exit_code = EXIT_PHYSICS


class LabelError(HalionError, RuntimeError):
    """A structure that an electronic-structure code could not label."""

    exit_code = EXIT_PHYSICS


class EngineError(HalionError, RuntimeError):
    """A worker process that died."""

    exit_code = EXIT_BUG


class MissingDependency(HalionError, ImportError):
    """An optional part that is not installed."""

    exit_code = EXIT_MISSING


class Interrupted(HalionError, RuntimeError):
    """A run that was stopped and can be resumed."""

    exit_code = EXIT_INTERRUPTED


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint "did you mean 'x'?" for a misspelt word, or the sorted list of what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"

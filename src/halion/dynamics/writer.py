"""Segments and trajectories written by a thread, so that the next step need not wait for the disk.

One thread writes for all runs of a batch, in the order asked for. When a write of a run fails, nothing more is
written for that run: a gap between segments would be a lie. The failure is told to the run that it belongs to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from halion.dynamics.layout import Frame, State
from halion.dynamics.segments import SegmentStore
from halion.errors import HalionError, RunFolderError

__all__ = ["RunWriter"]

# Segments of one run that may wait in memory; then the run waits for the disk.
_MOST_WAITING = 4


class RunWriter:
    """The files of one run, written in the background.

    Args:
        store: of the run; only the thread of `executor` touches it from now on.
        executor: of one thread.
    """

    def __init__(self, store: SegmentStore, executor: Executor) -> None:
        self.store = store
        self._executor, self._waiting, self._error = executor, deque[Future[None]](), None

    def write(self, frames: Sequence[Frame], state: State) -> None:
        """Add a segment (see `SegmentStore.write`); frames and state must not change afterwards."""
        while len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._submit(lambda: self.store.write(frames, state))

    def merge(self) -> None:
        """Make the trajectory of all segments, after the last of them."""
        self._submit(self.store.merge)

    @property
    def is_idle(self) -> bool:
        """Whether everything asked for is on the disk, or has failed."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()
        return not self._waiting

    @property
    def error(self) -> HalionError | None:
        """What a write has failed with, if one has."""
        return self._error

    def wait(self) -> None:
        """Until everything asked for is on the disk, or has failed."""
        while self._waiting:
            self._waiting.popleft().result()

    def _submit(self, work: Callable[[], object]) -> None:
        def guarded() -> None:
            if self._error is not None:
                return
            try:
                work()
            except HalionError as error:
                self._error = error
            except OSError as error:
                self._error = RunFolderError(
                    f"this run cannot be written: {error}",
                    where=str(self.store.folder),
                    fix="mend the folder (does it exist, may you write there?), then type the same command again",
                )
                self._error.__cause__ = error

        self._waiting.append(self._executor.submit(guarded))

"""What the terminal shows: progress with the time left, tables, and one JSON object when that is asked for.

Results go to standard output, everything else to standard error. rich honours NO_COLOR and is imported only
when something is drawn.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any

from halion.errors import EXIT_DONE

if TYPE_CHECKING:
    from rich.progress import TaskID

    from halion.progress import Progress, Stop

__all__ = ["Shown", "Table", "Watcher", "duration", "only_json_on_stdout", "say", "stop_on_signal", "write"]

# Without a terminal, e.g. in a job's log file, a bar is noise.
LINE_EVERY_S, FIRST_LINE_AFTER_S = 10.0, 2.0
# Wide enough for any table of halion where there is no terminal whose width could be asked.
_WIDTH_OF_NO_TERMINAL = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; numbers are formatted by whoever fills it."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a verb answers.

    Attributes:
        record: plain JSON values, the same facts as the text.
        text: lines and tables for a reader.
        as_json: show the record instead of the text.
        exit_code: of the process.
    """

    record: Mapping[str, Any]
    text: Sequence[str | Table]
    as_json: bool
    exit_code: int = EXIT_DONE


def write(shown: Shown, stream: IO[str]) -> None:
    """Write the answer of a verb: one JSON object, or texts and tables."""
    if shown.as_json:
        stream.write(json.dumps(shown.record, indent=1, allow_nan=False) + "\n")
    else:
        for part in shown.text:
            if isinstance(part, Table):
                _draw_table(part, stream)
            else:
                stream.write(part + "\n")
    stream.flush()


def say(text: str) -> None:
    """A message for whoever watches, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _draw_table(table: Table, stream: IO[str]) -> None:
    from rich.console import Console

    if stream.isatty():
        Console(file=stream, highlight=False).print(_drawn(table, with_line=True))
        return
    plain = Console(file=io.StringIO(), width=_WIDTH_OF_NO_TERMINAL, highlight=False)
    with plain.capture() as drawn:
        plain.print(_drawn(table, with_line=False))
    stream.writelines(line.rstrip() + "\n" for line in drawn.get().strip("\n").splitlines())


def _drawn(table: Table, *, with_line: bool) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=table.title or None, title_justify="left", pad_edge=False)
    drawn.box = SIMPLE_HEAD if with_line else None
    for heading in table.headings:
        drawn.add_column(Text(heading), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))  # Text: brackets in a cell are no markup
    return drawn


@contextlib.contextmanager
def only_json_on_stdout() -> Iterator[IO[str]]:
    """Keep standard output for one JSON object; the stream given writes there.

    Whatever else prints, C code and worker processes included, prints to standard error meanwhile.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Ctrl-C, or a batch system's SIGTERM, asks the work to stop at its next step; a second one breaks off."""
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("stopping after the step at hand (once more: at once) ...")

    saved = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


class Watcher:
    """Progress of the stages of one command on standard error; use as a context manager.

    Called with the stage, the work done, the work there is and a text. On a terminal it draws one bar per stage
    with the time left; elsewhere it writes a line, at most one per `LINE_EVERY_S` seconds.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._began: dict[str, tuple[float, float]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars: Any = None
        self._said = time.monotonic() - LINE_EVERY_S + FIRST_LINE_AFTER_S

    def __enter__(self) -> Watcher:
        if self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._bars = _bars(self._stream)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: float, total: float, state: str = "", /) -> None:
        now = time.monotonic()
        began, done_before = self._began.setdefault(stage, (now, done))
        left = time_left(done - done_before, total - done, now - began)
        if self._bars is not None:
            self._draw(stage, done, total, f"{left}  {state}" if left else state)
        elif now - self._said >= LINE_EVERY_S:
            self._said = now
            part = f"{100 * done / total:.0f} %" if total > 0 else "..."
            self._stream.write("  ".join(word for word in (stage, part, left, state) if word) + "\n")
            self._stream.flush()

    def _draw(self, stage: str, done: float, total: float, text: str) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, state="")
        self._bars.update(self._tasks[stage], completed=done, total=total, state=text)

    def stage(self, name: str) -> Progress:
        """The progress of one stage, to hand to a room."""

        def tell(done: float, total: float, state: str = "", /) -> None:
            self(name, done, total, state)

        return tell


def _bars(stream: IO[str]) -> object:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        console=Console(file=stream),
    )


def time_left(done: float, remaining: float, elapsed_s: float) -> str:
    """Time left at the mean speed so far, e.g. "12 min left"; empty while it cannot be told."""
    if done <= 0 or remaining <= 0 or elapsed_s < 1:
        return ""
    seconds = elapsed_s * remaining / done
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min left"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h left"
    return f"{seconds / 86400:.1f} days left"


def duration(hours: float) -> str:
    """Hours in the unit that reads best."""
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    if hours < 2:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} days"

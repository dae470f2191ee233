"""What an unfinished run has found, on disk beside the file that it will be; a kill at any moment costs little.

Rows and multiplicities are appended to two files. A line in the journal commits them: the files are flushed to disk
first, then the line is written and flushed. What lies behind the last whole line is cut off when the run goes on.
The journal is locked by the process that works; the lock goes when the process does, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from halion.errors import RunFolderError, TornFile
from halion.files import telling_disk_full
from halion.orderings.store import Rows
from halion.orderings.stream import Position, Tally

__all__ = ["Spool"]

_COMMIT_BYTES = 64 << 20  # what a kill costs at most ...
_COMMIT_S = 2.0  # ... or the time that it took to find it
_AT_ONCE = 1 << 16  # rows copied at once
_MULTIPLICITY = np.dtype("<i8")
_NAMES = ("rows", "multiplicities", "journal")


@dataclass
class Spool:
    """The unfinished run of one question; made by `Spool.opened`.

    Attributes:
        target: the file that it will be.
        row_size: bytes of a row.
        position: where to go on.
        finished: tallies of the compositions that are complete.
        current: tally of the composition that is not.
    """

    target: Path
    row_size: int
    journal: IO[bytes]
    rows: IO[bytes]
    multiplicities: IO[bytes]
    position: Position = field(default_factory=Position)
    finished: list[Tally] = field(default_factory=list)
    current: Tally = field(default_factory=Tally)
    _there: tuple[int, int] = (0, 0)  # tally of the current composition at the position
    _told: int = 0  # finished compositions that the journal knows
    _uncommitted: int = 0
    _committed_at: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def opened(cls, target: Path, question: str, row_size: int) -> Iterator[Spool]:
        """Begin, or go on with what an earlier run of the same question has left.

        Args:
            target: the file that it will be; the spool's names begin with its name.
            question: digest of everything that decides what is found.
            row_size: bytes of a row.
        Raises:
            RunFolderError: another process works on this target, or the spool is of another question.
            TornFile: the spool was damaged.
            DiskFull: what is committed stays.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            telling_disk_full(target),
            _locked(_beside(target, "journal")) as journal,
            open(_beside(target, "rows"), "ab") as rows,
            open(_beside(target, "multiplicities"), "ab") as multiplicities,
        ):
            spool = cls(target, row_size, journal, rows, multiplicities)
            spool._go_on(question)
            yield spool

    @property
    def n_orderings(self) -> int:
        """Orderings so far."""
        return self.current.n_orderings + sum(each.n_orderings for each in self.finished)

    @property
    def stands_for(self) -> int:
        """Orderings before symmetry that they stand for."""
        return self.current.stands_for + sum(each.stands_for for each in self.finished)

    def add(self, rows: bytes, multiplicities: bytes, position: Position | None) -> None:
        """Append a batch; where a position is given, everything before it is here, and can be committed."""
        self.rows.write(rows)
        self.multiplicities.write(multiplicities)
        self.current.add(multiplicities)
        self._uncommitted += len(rows)
        if position is None:
            return
        self.position, self._there = position, (self.current.n_orderings, self.current.stands_for)
        late = time.monotonic() - self._committed_at > _COMMIT_S
        if late or self._uncommitted >= _COMMIT_BYTES:
            self.commit()

    def finish(self) -> None:
        """The current composition is complete; the position that follows it comes next."""
        self.finished.append(self.current)
        self.current = Tally()

    def commit(self) -> None:
        """Make sure that everything before the position survives; rows behind it are cut off when a run goes on."""
        for file in (self.rows, self.multiplicities):
            file.flush()
            os.fsync(file.fileno())
        new = self.finished[self._told :]
        self._write(
            {
                "at": [self.position.composition, self.position.task],
                "finished": [[each.n_orderings, each.stands_for] for each in new],
                "current": list(self._there),
            }
        )
        self._told, self._uncommitted, self._committed_at = len(self.finished), 0, time.monotonic()

    def batches(self) -> Rows:
        """All rows and multiplicities, in order."""
        self.rows.flush()
        self.multiplicities.flush()
        with open(self.rows.name, "rb") as rows, open(self.multiplicities.name, "rb") as numbers:
            for begin in range(0, self.n_orderings, _AT_ONCE):
                n = min(_AT_ONCE, self.n_orderings - begin)
                some = np.fromfile(rows, dtype=np.uint8, count=n * self.row_size)
                yield some.reshape(n, self.row_size), np.fromfile(numbers, dtype=_MULTIPLICITY, count=n)

    def remove(self) -> None:
        """The target is whole: what led to it is not needed any more. The journal, and with it the lock, last."""
        for name in _NAMES:
            _beside(self.target, name).unlink()

    def _write(self, line: dict[str, Any]) -> None:
        self.journal.write(json.dumps(line).encode() + b"\n")
        self.journal.flush()
        os.fsync(self.journal.fileno())

    def _go_on(self, question: str) -> None:
        self.journal.seek(0)
        whole, newline, _ = self.journal.read().rpartition(b"\n")
        self.journal.truncate(len(whole) + len(newline))
        lines = [self._line(text) for text in whole.split(b"\n")] if newline else []
        if not lines:
            self._write({"question": question})
        elif lines[0].get("question") != question:
            raise RunFolderError(
                "an unfinished run of another question lies beside this file: other crystal, compositions, "
                "exclusions or shard, or another version of halion",
                where=self.journal.name,
                fix=f"choose another file, or {self._removal()}",
            )
        for line in lines[1:]:
            self.finished += [Tally(*each) for each in line["finished"]]
            self.current, self.position = Tally(*line["current"]), Position(*line["at"])
        self._told, self._there = len(self.finished), (self.current.n_orderings, self.current.stands_for)
        self._cut(self.rows, self.n_orderings * self.row_size)
        self._cut(self.multiplicities, self.n_orderings * _MULTIPLICITY.itemsize)
        if self._sum() != self.stands_for:
            raise self._torn("its multiplicities do not add up to what its journal says")

    def _sum(self) -> int:
        with open(self.multiplicities.name, "rb") as file:
            pieces = iter(lambda: file.read(_AT_ONCE * _MULTIPLICITY.itemsize), b"")
            return sum(int(np.frombuffer(piece, dtype=_MULTIPLICITY).sum()) for piece in pieces)

    def _line(self, text: bytes) -> dict[str, Any]:
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._torn(f"a line of its journal cannot be read: {error}") from error

    def _cut(self, file: IO[bytes], size: int) -> None:
        found = os.fstat(file.fileno()).st_size
        if found < size:
            raise self._torn(f"{Path(file.name).name} has {found} bytes and not the {size} that its journal says")
        file.truncate(size)

    def _torn(self, why: str) -> TornFile:
        return TornFile(
            f"the unfinished run beside this file was changed or damaged: {why}",
            where=self.journal.name,
            fix=f"{self._removal()}   then type the same command again: it starts over",
        )

    def _removal(self) -> str:
        return "rm " + " ".join(str(_beside(self.target, name)) for name in _NAMES)


def _beside(target: Path, name: str) -> Path:
    return target.with_name(f"{target.name}.{name}")


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    while True:
        with open(path, "a+b") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunFolderError(
                    "another process is writing this file of orderings",
                    where=str(path),
                    fix="wait until it has ended, or choose another file",
                ) from error
            # The process that held the lock may have removed the file between our opening and locking it.
            if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                yield handle
                return

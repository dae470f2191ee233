"""Orderings listed straight to disk: any number of them, in bounded memory, in shards, through kills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from halion.crystal.types import DisorderedCrystal
from halion.errors import InputError, Interrupted, OrderingError, RunFolderError
from halion.files import digest
from halion.orderings.enumerate import ordering_set
from halion.orderings.pool import number_expected
from halion.orderings.problem import Problem
from halion.orderings.refusals import impossible, too_many
from halion.orderings.search import NO_LIMIT, NUMBERING
from halion.orderings.spool import Spool
from halion.orderings.store import SCHEMA, Rows, load_orderings, read_facts, write_orderings
from halion.orderings.stream import Certificate, Position, Question, Tally, certify, stream
from halion.orderings.types import Composition, OrderingSet, PairExclusion
from halion.progress import Progress, Stop, never, silent
from halion.records import to_record

__all__ = ["merge_shards", "store_orderings"]

_AT_ONCE = 1 << 16  # rows copied at once


def store_orderings(
    crystal: DisorderedCrystal,
    compositions: Composition | Sequence[Composition],
    path: Path | str,
    *,
    exclusions: Sequence[PairExclusion] = (),
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> Path:
    """All symmetry-distinct orderings, as `enumerate_orderings` gives them, straight to a file.

    Memory does not depend on their number. What is found is appended to files beside `path` and committed every
    64 MiB or two seconds; the same call after a kill goes on from there and ends in the same file as one that ran
    through. Disk: twice the file while it is put together.

    Args:
        crystal: the disordered crystal.
        compositions: atoms per orbit, one or several of one supercell.
        path: the HDF5 file, for `load_orderings`. A file of the same question that is there already is kept.
        exclusions: pairs of sites never filled together, from `exclusions_for`.
        limit: most distinct orderings; None: any number.
        shard: (k, n): only the k-th of n parts, counted from zero, of about equal work; `merge_shards` puts them
            together.
        progress: told the orderings found, the number there are (of all shards), and a text.
        stop: asked some fifty times a second; True ends the search after what is found is committed.
    Raises:
        OrderingError: more than `limit` distinct orderings, or none.
        Interrupted: `stop` said so; the same call goes on.
        DiskFull: what is committed stays; the same call goes on.
        RunFolderError: another process works on `path`, or other orderings lie there.
        TornFile: what lies beside `path` was damaged.

    Checked by tests/orderings/test_orderings_stored.py: kills at random moments, full disks, shards.
    """
    path, part = Path(path), shard or (0, 1)
    if not 0 <= part[0] < part[1]:
        raise InputError(
            f"a shard is (k, n) with 0 <= k < n, not {part}", fix="shards of four: 0/4, 1/4, 2/4 and 3/4"
        )
    question = Question.of(crystal, compositions, exclusions)
    identity = _identity(question, part)
    n_sites = len(ordering_set(question, *_no_rows()).site_orbit)
    with Spool.opened(path, identity, n_sites) as spool:
        try:
            if not _is_there(path, identity, spool):
                _run(question, spool, part, limit, progress=progress, stop=stop)
                _put_together(question, spool, part, identity)
        except (OrderingError, RunFolderError):
            if not spool.n_orderings:
                spool.remove()
            raise
        spool.remove()
    return path


def _no_rows() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, 0), dtype=np.uint8), np.zeros(0, dtype=np.int64)


def _identity(question: Question, shard: tuple[int, int] | None) -> str:
    """Digest of everything that decides what is found, and in which order; without a shard, of all shards alike."""
    same_anywhere = replace(question.crystal, source="")  # where the file lies is no part of a result
    about = [to_record(each) for each in (same_anywhere, question.compositions, question.exclusions, shard)]
    return digest([*about, SCHEMA, NUMBERING])


def _is_there(path: Path, identity: str, spool: Spool) -> bool:
    """Whether the file is whole already: of an earlier run, or of one killed at its very end."""
    if not path.exists():
        return False
    load_orderings(path)  # a damaged one is told
    if read_facts(path, "identity") == identity:
        return True
    raise RunFolderError(
        "another file of orderings lies here: of another crystal, composition, exclusions or shard",
        where=str(path),
        fix=f"choose another file, or rm {path}",
    )


def _run(
    question: Question,
    spool: Spool,
    shard: tuple[int, int],
    limit: int | None,
    *,
    progress: Progress,
    stop: Stop,
) -> None:
    """Search on from where the spool is, to the end."""
    expected = number_expected(question)
    if limit is not None and expected is not None and expected > limit:
        raise too_many(question, limit, expected)
    most = question.count.distinct if expected is None else expected

    def deliver(index: int, rows: bytes, multiplicities: bytes, position: Position | None) -> bool:
        spool.add(rows, multiplicities, position)
        return True

    def finish(index: int, problem: Problem | None) -> None:
        if shard[1] == 1:
            certify(spool.current, question.certificate(index, problem))
        spool.finish()

    def asked() -> bool:
        progress(spool.n_orderings, most, f"{spool.n_orderings} distinct orderings")
        return stop()

    left = NO_LIMIT if limit is None else limit - spool.n_orderings
    outcome = stream(
        question, deliver, start=spool.position, shard=shard, most=(left, NO_LIMIT), finish=finish, stop=asked
    )
    spool.commit()
    if outcome.reason == "orderings":
        raise too_many(question, limit)
    if outcome.reason == "stopped":
        raise Interrupted(
            f"stopped after {spool.n_orderings} distinct orderings",
            where=str(spool.target),
            fix="type the same command again: it goes on from the last stored state",
        )
    if shard[1] == 1:
        if not spool.n_orderings:
            raise impossible(question)
        certify(Tally(n_orderings=spool.n_orderings), Certificate(expected, None))
    progress(spool.n_orderings, spool.n_orderings, f"{spool.n_orderings} distinct of {question.count.total}")


def _put_together(question: Question, spool: Spool, shard: tuple[int, int], identity: str) -> None:
    about = replace(ordering_set(question, *_no_rows()), total_allowed=spool.stands_for, shard=shard)
    more: dict[str, Any] = {
        "identity": identity,
        "question": _identity(question, None),
        "tallies": [[each.n_orderings, each.stands_for] for each in spool.finished],
        "certificates": [],
    }
    if shard[1] > 1:  # the parts are certified together
        for index in range(len(question.compositions)):
            known = question.certificate(index, question.problem(index))
            more["certificates"].append([known.n_orderings, known.stands_for])
        more["expected"] = number_expected(question)
    write_orderings(about, spool.n_orderings, spool.batches(), spool.target, more)


def merge_shards(paths: Sequence[Path | str], path: Path | str) -> Path:
    """Put the files of all shards of one question together: shard after shard, certified as a whole.

    Raises:
        InputError: a shard is missing, or the files are of different questions; or the file is there already.
        OrderingError: there is no ordering in any.
        TornFile, DiskFull: as for `load_orderings` and `save_orderings`.

    Checked by tests/orderings/test_orderings_stored.py: the same orderings as without shards.
    """
    parts = sorted(((load_orderings(each), Path(each)) for each in paths), key=lambda each: each[0].shard)
    questions = {read_facts(file, "question") for _, file in parts}
    of = parts[0][0].shard[1] if parts else 0
    shards = [found.shard for found, _ in parts]
    if len(questions) != 1 or None in questions or shards != [(k, of) for k in range(of)]:
        raise InputError(
            f"these files are not all shards of one question: shards {', '.join(f'{k}/{n}' for k, n in shards)} "
            f"of {len(questions)} question(s)",
            where=", ".join(str(file) for _, file in parts),
            fix="name the files of all shards of one run, each once",
        )
    if Path(path).exists():
        raise InputError("there is a file of this name already", where=str(path), fix="choose another name")
    tallies = [read_facts(file, "tallies") for _, file in parts]
    for index, known in enumerate(read_facts(parts[0][1], "certificates")):
        certify(Tally(*(sum(each[index][k] for each in tallies) for k in range(2))), Certificate(*known))
    n = sum(found.n_orderings for found, _ in parts)
    certify(Tally(n_orderings=n), Certificate(read_facts(parts[0][1], "expected"), None))
    if not n:
        raise OrderingError(
            "no shard holds an ordering: sites are too close in all of them",
            where=parts[0][0].crystal_name,
            fix="a larger orderings.supercell, or smaller distances of exclusion",
        )
    about = replace(parts[0][0], total_allowed=sum(found.total_allowed for found, _ in parts), shard=(0, 1))
    return write_orderings(about, n, _rows_of([found for found, _ in parts]), path)


def _rows_of(parts: list[OrderingSet]) -> Rows:
    for found in parts:
        for begin in range(0, found.n_orderings, _AT_ONCE):
            yield found.occupation[begin : begin + _AT_ONCE], found.multiplicity[begin : begin + _AT_ONCE]

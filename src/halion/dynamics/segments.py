"""A stage's folder while it runs: one small file per checkpoint, merged into one trajectory at the end.

Each segment holds the frames since the one before and the full state at its end, and appears by one rename: a
kill at any moment loses the running segment alone, and frames and state never disagree. A damaged segment is set
aside under another name, with all that follow it, and the run resumes from the one before. A finished run that is
asked for more steps goes on from its merged trajectory, with segments beside it until they are merged into it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from halion.dynamics.layout import (
    DAMAGE,
    Frame,
    Frames,
    Header,
    State,
    encode,
    open_file,
    read_frames,
    read_header,
    read_state,
    stack,
)
from halion.errors import HalionError, RunFolderError, TornFile
from halion.files import atomic_path

__all__ = ["Segment", "SegmentStore", "read_segment", "segment_paths"]

TRAJECTORY = "trajectory.h5"
_SEGMENT = re.compile(r"segment-(\d{6})\.h5")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One whole segment: steps after `start_step` (0 itself in the first) up to the step of its state."""

    header: Header
    start_step: int
    frames: Frames
    state: State

    @property
    def end_step(self) -> int:
        """Step number of the state."""
        return int(self.state["step"][0])


def segment_paths(folder: Path) -> list[Path]:
    """The segments of a folder in their order."""
    return sorted(path for path in folder.glob("segment-*.h5") if _SEGMENT.fullmatch(path.name))


def read_segment(path: Path) -> Segment:
    """Read a segment.

    Raises:
        TornFile: it is damaged.
        RunFolderError: a newer halion wrote it.
    """
    try:
        with open_file(path) as file:
            return Segment(
                header=read_header(file, path),
                start_step=int(file.attrs["start_step"]),
                frames=read_frames(file),
                state=read_state(file),
            )
    except HalionError:
        raise
    except DAMAGE as error:
        raise TornFile(
            f"this segment is damaged ({' '.join(str(error).split())[:120]})",
            where=str(path),
            fix="type the same command again: the run goes on from the segment before",
        ) from error


class SegmentStore:
    """The files of one stage, all of the same inputs.

    Args:
        folder: made when the first segment is written.
        header: of this run; a folder of other inputs is refused.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.header = folder, header
        self.trajectory_path = folder / TRAJECTORY
        self._n_segments, self._end_step = 0, -1

    def is_finished(self) -> bool:
        """Whether the merged trajectory of these inputs is there; segments that a kill left beside it are removed.

        Raises:
            RunFolderError: it is that of other inputs, of more steps, or of a newer halion.
            TornFile: it is damaged.
        """
        if not self.trajectory_path.exists():
            return False
        try:
            with open_file(self.trajectory_path) as file:
                header = read_header(file, self.trajectory_path)
        except HalionError:
            raise
        except DAMAGE as error:
            raise torn_trajectory(self.trajectory_path, error) from error
        self._refuse_other(header, self.trajectory_path)
        self._refuse_longer(header.n_steps, self.trajectory_path)
        is_whole = header.n_steps == self.header.n_steps
        if is_whole or self._are_merged():
            self._remove_segments()
        return is_whole

    def resume(self) -> State | None:
        """The last stored state, or None to start; damaged segments and all after them are set aside.

        Raises:
            RunFolderError: the segments are those of other inputs, of more steps, or of a newer halion.
            TornFile: the trajectory to be gone on with is damaged.
        """
        merged = self._merged()
        self._n_segments, self._end_step = 0, -1 if merged is None else merged.end_step
        state = None if merged is None else merged.state
        paths = segment_paths(self.folder)
        for k, path in enumerate(paths):
            try:
                segment = self._next(path)
            except TornFile as error:
                _set_aside(paths[k:], error.what)
                break
            self._refuse_longer(segment.end_step, path)
            state, self._end_step, self._n_segments = segment.state, segment.end_step, k + 1
        return state

    def write(self, frames: Sequence[Frame], state: State) -> None:
        """Add a segment; nothing is written if the state is the one already stored.

        Raises:
            DiskFull: the segments before are whole.
        """
        end_step = int(state["step"][0])
        if end_step == self._end_step:
            return
        block = stack(frames, len(self.header.symbols))
        path = self.folder / f"segment-{self._n_segments:06d}.h5"
        with atomic_path(path) as part:
            part.write_bytes(encode(self.header, [block], state, max(self._end_step, 0)))
        self._n_segments, self._end_step = self._n_segments + 1, end_step

    def merge(self) -> Path:
        """Make the trajectory of all segments, and of the shorter one that they go on from; then remove them.

        Raises:
            DiskFull: the segments are whole.
            TornFile: a segment was damaged since it was written.
        """
        state: State = {}

        def blocks() -> Iterator[Frames]:
            merged = self._merged()
            self._n_segments, self._end_step = 0, -1
            if merged is not None:
                state.update(merged.state)
                self._end_step = merged.end_step
                yield merged.frames
            for path in segment_paths(self.folder):
                segment = self._next(path)
                state.update(segment.state)
                self._n_segments, self._end_step = self._n_segments + 1, segment.end_step
                yield segment.frames

        # All blocks are drawn, and `state` is the last one, before the state is written.
        merged = encode(self.header, blocks(), state)
        with atomic_path(self.trajectory_path) as part:
            part.write_bytes(merged)
        self._remove_segments()
        return self.trajectory_path

    def _next(self, path: Path) -> Segment:
        """The segment at `path`, which must go on from where the one before ended."""
        segment = read_segment(path)
        self._refuse_other(segment.header, path)
        number = int(_SEGMENT.fullmatch(path.name)[1])
        if number != self._n_segments or segment.start_step != max(self._end_step, 0):
            raise TornFile(
                f"this segment starts at step {segment.start_step}, the one before ends at step {self._end_step}",
                where=str(path),
                fix="type the same command again: the run goes on from the last segment that fits",
            )
        return segment

    def _merged(self) -> Segment | None:
        """The merged trajectory, if there is one."""
        if not self.trajectory_path.exists():
            return None
        try:
            return read_segment(self.trajectory_path)
        except TornFile as error:
            raise torn_trajectory(self.trajectory_path, error) from error

    def _are_merged(self) -> bool:
        """Whether the segments beside a trajectory are those it was made of, and not those that go on from it."""
        first = self.folder / "segment-000000.h5"  # removed last, so it is among any that a kill has left
        merged = self._merged()
        try:
            return first.exists() and merged is not None and read_segment(first).end_step <= merged.end_step
        except TornFile:
            return False

    def _refuse_longer(self, n_steps: int, path: Path) -> None:
        if n_steps > self.header.n_steps:
            raise RunFolderError(
                f"this folder holds a longer run: {n_steps} steps, and {self.header.n_steps} are asked for",
                where=str(path),
                fix=f"ask for {n_steps} steps or more, or use a new folder",
            )

    def _refuse_other(self, header: Header, path: Path) -> None:
        if header.inputs_digest == self.header.inputs_digest:
            return
        theirs = {name: getattr(header, name) for name in header.__dataclass_fields__}
        changed = [
            f"{name} {value!r} there, {getattr(self.header, name)!r} now"
            for name, value in theirs.items()
            # repr, because NaN (no pressure) differs from itself
            if repr(value) != repr(getattr(self.header, name))
            and name not in ("inputs_digest", "written_by", "symbols")
        ]
        raise RunFolderError(
            "this folder holds a run of other inputs: "
            + ("; ".join(changed) or "another structure, other momenta, seed or time constants"),
            where=str(path),
            fix=f"use a new folder, or remove the old run: rm -r {self.folder}",
        )

    def _remove_segments(self) -> None:
        # The last one first: if a kill comes between, those left still form a run from its beginning.
        for path in reversed(segment_paths(self.folder)):
            path.unlink()


def torn_trajectory(path: Path, error: Exception) -> TornFile:
    """The error for a merged trajectory that cannot be read."""
    return TornFile(
        f"this trajectory is damaged or its end is missing ({' '.join(str(error).split())[:120]})",
        where=str(path),
        fix=f"restore it from a copy, or: rm {path}   and type the same command again (this stage is repeated)",
    )


def _set_aside(paths: Sequence[Path], why: str) -> None:
    for path in paths:
        k, aside = 1, path.with_name(f"{path.name}.damaged")
        while aside.exists():
            k, aside = k + 1, path.with_name(f"{path.name}.damaged-{k + 1}")
        os.replace(path, aside)
        _LOG.warning("%s was set aside as %s: %s", path, aside.name, why)
    _LOG.warning("the run in %s goes on from the segment before", paths[0].parent)

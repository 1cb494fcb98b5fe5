"""HDF5 files of frames in a watched folder, followed while they grow: their frames are handed on one by one."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import FrameError
from phasecast.sources.file_record import FoundFile, FrameInFile
from phasecast.sources.frame_file import IncompleteFileError
from phasecast.sources.hdf5_frames import Hdf5Frame, Hdf5Frames
from phasecast.sources.hdf5_head import look_at_hdf5
from phasecast.sources.read_budget import ReadBudget

_SETTLE_S = 2.0
_FORCED_S = 10.0
"""A network share may show a file's new size late; so often it is opened although it seems unchanged."""
_IDLE_S = 60.0
_MAX_OPEN = 16
_BATCH = 64
"""Frames of one file that a look takes, so that another file and the folder are not left waiting."""


@dataclass(slots=True, kw_only=True)
class _Growing:
    path: Path
    first_s: float
    stamp: tuple[int, int] = (-1, -1)
    changed_s: float = 0.0
    looked_s: float = float("-inf")
    done: int = 0
    lacks_since_s: float | None = None
    is_behind: bool = False
    is_reported: bool = False
    frames: Hdf5Frames | None = None

    def close(self) -> None:
        if self.frames is not None:
            self.frames.close()
            self.frames = None


class Hdf5Watch:
    """Follows HDF5 files.

    Parameters
    ----------
    dataset
        Where the frames are in each file.
    timeout_s
        Time after which a file that cannot be read, or a frame that is announced and is not there, is given up.
    max_bytes
        Largest frame, uncompressed.
    budget, wait
        Cap on reading, and how to wait for it; None for no cap.
    """

    def __init__(
        self,
        dataset: str,
        *,
        timeout_s: float,
        max_bytes: int,
        budget: ReadBudget | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._dataset = dataset
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._budget = budget
        self._wait = wait
        self._growing: dict[str, _Growing] = {}
        self.given_up = 0
        """Files and frames that were not there in time."""

    def __len__(self) -> int:
        return len(self._growing)

    def follow(self, name: str, path: Path, now_s: float, *, done: int = 0) -> None:
        """Begin to follow a file.

        Parameters
        ----------
        name
            Path relative to the watched folder.
        path
            Where it lies.
        now_s
            Monotonic time in seconds.
        done
            Frames of it that were handed on by an earlier process.
        """
        self._growing[name] = _Growing(path=path, first_s=now_s, changed_s=now_s, done=done)

    def look(self, now_s: float) -> Iterator[FoundFile]:
        """Yield the frames that have come, and what had to be given up, since the last look."""
        for name, growing in list(self._growing.items()):
            try:
                status = os.stat(growing.path)
            except OSError:
                self._drop(name)
                continue
            stamp = (status.st_size, status.st_mtime_ns)
            if stamp != growing.stamp:
                growing.stamp, growing.changed_s = stamp, now_s
            elif not growing.is_behind and now_s - growing.looked_s < _FORCED_S:
                continue
            growing.looked_s = now_s
            try:
                yield from self._read(name, growing, status.st_mtime, now_s)
            except FrameError as error:
                growing.close()
                growing.is_behind = True
                settled = now_s - growing.changed_s >= _SETTLE_S or time.time() - status.st_mtime > _SETTLE_S
                corrupt = settled and not isinstance(error, IncompleteFileError)
                if not growing.is_reported and (corrupt or now_s - growing.changed_s >= self._timeout_s):
                    growing.is_reported, growing.is_behind = True, False
                    self.given_up += 1
                    yield FoundFile(
                        path=str(growing.path),
                        name=name,
                        size=status.st_size,
                        mtime_s=status.st_mtime,
                        sha256="",
                        problem=error.what,
                        corrupt=corrupt,
                    )

    def close(self) -> None:
        """Close all files; what came of them is remembered."""
        for growing in self._growing.values():
            growing.close()

    def _drop(self, name: str) -> None:
        self._growing.pop(name).close()

    def _read(self, name: str, growing: _Growing, mtime_s: float, now_s: float) -> Iterator[FoundFile]:
        state = look_at_hdf5(growing.path)
        quiet_s = max(now_s - growing.changed_s, time.time() - mtime_s)
        if not state.says_so and quiet_s < _SETTLE_S:
            growing.is_behind = True
            return
        if growing.frames is None:
            self._make_room(growing)
            growing.frames = Hdf5Frames(growing.path, self._dataset, max_bytes=self._max_bytes)
        is_final = not state.is_written or now_s - growing.changed_s >= self._timeout_s
        announced = growing.frames.refresh()
        stop = min(announced, growing.done + _BATCH)
        for frame in growing.frames.read(growing.done, stop, is_final=is_final):
            yield self._found(name, growing, frame, mtime_s)
        growing.is_behind = growing.done < announced
        if growing.done >= stop:
            growing.lacks_since_s = None
        else:
            yield from self._pass_gap(name, growing, mtime_s, now_s, is_final=is_final)
        if not growing.is_behind and not state.is_written and now_s - growing.changed_s >= _IDLE_S:
            growing.close()

    def _pass_gap(
        self, name: str, growing: _Growing, mtime_s: float, now_s: float, *, is_final: bool
    ) -> Iterator[FoundFile]:
        """Go on behind frames that never came, if later ones did; a dataset may be larger than what is written."""
        assert growing.frames is not None
        if growing.lacks_since_s is None:
            growing.lacks_since_s = now_s
        if not is_final and now_s - growing.lacks_since_s < self._timeout_s:
            return
        following = growing.frames.next_stored(growing.done)
        growing.lacks_since_s = None
        if following is None:
            growing.is_behind = False
            return
        absent = f"frames {growing.done} to {following - 1} have no pixels in the file"
        first, growing.done = growing.done, following
        self.given_up += 1
        yield self._found(name, growing, growing.frames.absent(first, absent), mtime_s)
        growing.done = following

    def _found(self, name: str, growing: _Growing, frame: Hdf5Frame, mtime_s: float) -> FoundFile:
        assert growing.frames is not None
        growing.done = frame.index + 1
        if self._budget is not None and frame.content:
            self._budget.take(len(frame.content), self._wait)
        return FoundFile(
            path=str(growing.path),
            name=name,
            size=len(frame.content),
            mtime_s=mtime_s,
            sha256=hashlib.sha256(frame.content).hexdigest(),
            problem=frame.problem,
            corrupt=bool(frame.problem),
            content=frame.content,
            frame=FrameInFile(
                index=frame.index,
                rows=frame.shape[0],
                cols=frame.shape[1],
                dtype=frame.dtype,
                encoding=frame.encoding,
                is_single=growing.frames.is_single,
            ),
        )

    def _make_room(self, wants: _Growing) -> None:
        opened = [growing for growing in self._growing.values() if growing.frames is not None and growing is not wants]
        for growing in sorted(opened, key=lambda growing: growing.changed_s)[: max(0, len(opened) + 1 - _MAX_OPEN)]:
            growing.close()

"""Fetching what documents name: frames and positions in files, recorded as soon as they are there."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from phasecast.core.errors import FrameError
from phasecast.core.record import Channel
from phasecast.sources.document_frame_record import CHANNEL, encode_note
from phasecast.sources.document_roots import DocumentRoots
from phasecast.sources.file_names import readable_name
from phasecast.sources.frame_file import IncompleteFileError, require_complete
from phasecast.sources.hdf5_frames import Hdf5Frames, look_at_hdf5
from phasecast.sources.hdf5_values import Hdf5Values
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.receiver import ThreadedReceiver
from phasecast.sources.wanted_frames import Hdf5Place, RunEnded, Wanted, WantedFrames, WantedRows

_MAX_OPEN = 8
_MAX_JOBS = 200_000
_AFTER_STOP_S = 8.0
"""A scan is closed ten seconds after its stop: what is missing must be named before."""
_SETTLE_S = 1.0


@dataclass(slots=True)
class _Job:
    wanted: WantedFrames | WantedRows
    served: int = 0


class FrameFetcher:
    """Finds what is wanted; never writes, and reads below the allowed folders only.

    Parameters
    ----------
    roots
        Where files may lie.
    budget
        Cap on reading; None for no cap.
    timeout_s
        Time after the end of a run for which its files are waited for.
    max_bytes
        Largest frame, uncompressed.
    copy_frames
        Whether frame files are recorded with their bytes; frames in HDF5 files always are, as they are packed there.
    wait
        Waits for so many seconds, when the budget says so.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        roots: DocumentRoots,
        *,
        budget: ReadBudget | None = None,
        timeout_s: float = 30.0,
        max_bytes: int = 256 << 20,
        copy_frames: bool = False,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roots = roots
        self._budget = budget
        self._timeout_s = min(timeout_s, _AFTER_STOP_S)
        self._max_bytes = max_bytes
        self._copy_frames = copy_frames
        self._wait = wait
        self._clock = clock
        self._began_s = time.time()
        self._inbox: deque[Wanted | tuple[str, int]] = deque()
        self._jobs: list[_Job] = []
        self._ended: dict[str, float] = {}
        self._recorded: set[tuple[str, int]] = set()
        self._settled_s = 0.0
        self._open: dict[tuple[str, str], Hdf5Frames] = {}
        self._there: dict[tuple[str, str], int] = {}
        self._tried: dict[str, tuple[int, int]] = {}
        self.dropped = 0
        """Wishes that were not kept, because too many wait."""

    def want(self, wanted: Wanted) -> None:
        """Ask for frames or rows; returns at once, from any thread."""
        self._inbox.append(wanted)

    def recorded(self, series: str, number: int) -> None:
        """Say that a frame, or the rows from a number on, are in the capture already: after a restart."""
        self._inbox.append((series, number))

    @property
    def pending(self) -> int:
        """Frames and points that are waited for."""
        return len(self._inbox) + sum(job.wanted.count - job.served for job in list(self._jobs))

    def look(self, *, is_final: bool = False) -> Iterator[list[bytes]]:
        """Yield a record for everything that is there by now, or will not come.

        Parameters
        ----------
        is_final
            Whether nothing is waited for any more.
        """
        now_s = self._clock()
        self._take_inbox(now_s)
        self._there.clear()
        if is_final or now_s >= self._settled_s:
            blocked: set[object] = set()
            for job in self._jobs:
                ended_s = self._ended.get(job.wanted.run)
                late = is_final or (ended_s is not None and now_s - ended_s > self._timeout_s)
                yield from self._serve(job, blocked, late=late)
            self._jobs = [job for job in self._jobs if job.served < job.wanted.count]
            waiting = {job.wanted.run for job in self._jobs}
            if not waiting:
                self.close()
                self._recorded.clear()
            self._ended = {run: ended_s for run, ended_s in self._ended.items() if run in waiting}

    def close(self) -> None:
        """Close all files."""
        for frames in self._open.values():
            frames.close()
        self._open.clear()
        self._tried.clear()

    def _take_inbox(self, now_s: float) -> None:
        while self._inbox:
            wanted = self._inbox.popleft()
            if isinstance(wanted, tuple):
                self._recorded.add(wanted)
                continue
            if isinstance(wanted, RunEnded):
                self._ended.setdefault(wanted.run, now_s)
                continue
            if len(self._jobs) >= _MAX_JOBS:
                self.dropped += 1
                continue
            self._jobs.append(_Job(wanted))
            stated_s = wanted.recorded_s if isinstance(wanted, WantedFrames) else wanted.time_s
            if stated_s < self._began_s:
                # documents of an earlier process: what it recorded of them follows in the capture
                self._settled_s = now_s + _SETTLE_S

    def _serve(self, job: _Job, blocked: set[object], *, late: bool) -> Iterator[list[bytes]]:
        wanted = job.wanted
        if isinstance(wanted, WantedRows):
            parts = [] if (wanted.name, wanted.first_seq) in self._recorded else self._rows(wanted, late=late)
            if parts is not None:
                job.served = wanted.count
                if parts:
                    yield parts
            return
        place = wanted.place
        source = (place.path, place.dataset) if isinstance(place, Hdf5Place) else id(job)
        while job.served < wanted.count and source not in blocked:
            number = wanted.number + job.served
            if (wanted.series, number) not in self._recorded:
                found = self._frame(wanted, job.served, late=late)
                if found is None:
                    blocked.add(source)
                    return
                yield found
            job.served += 1

    def _frame(self, wanted: WantedFrames, k: int, *, late: bool) -> list[bytes] | None:
        """Return the record of a frame; None if it is not there yet."""
        note: dict[str, Any] = {
            "kind": "frame",
            "run": wanted.run,
            "series": wanted.series,
            "number": wanted.number + k,
            "keys": [str(key) for key in wanted.keys_of(k)],
        }
        place = wanted.place
        stated = place.path if isinstance(place, Hdf5Place) else f"{place.folder}/{place.names[k]}"
        note["path"] = readable_name(stated)[:4096]
        try:
            if wanted.problem:
                raise FrameError(wanted.problem)
            if isinstance(place, Hdf5Place):
                return self._hdf5(note, self._roots.find(stated), place, k, late=late)
            return self._file(note, self._roots.find(stated), place.dataset)
        except IncompleteFileError as error:
            if not late:
                return None
            return encode_note({**note, "problem": error.what[:1000], "is_late": True})
        except FrameError as error:
            return encode_note({**note, "problem": str(error)[:1000]})

    def _hdf5(self, note: dict[str, Any], path: Path, place: Hdf5Place, k: int, *, late: bool) -> list[bytes]:
        note["path"] = readable_name(str(path))
        first, frames = place.first + k * place.frames_per_point, place.frames_per_point
        opened, there = self._opened(path, place.dataset)
        if there < first + frames:
            raise IncompleteFileError(f"{there} of {first + frames} frames are there")
        found = list(islice(opened.read(first, there, is_final=late or self._is_closed(path)), frames))
        if len(found) < frames:
            raise IncompleteFileError(f"frame {first + len(found)} is announced and not there")
        broken = next((frame for frame in found if frame.problem), None)
        if broken is not None:
            raise FrameError(f"frame {broken.index}: {broken.problem}")
        if self._budget is not None:
            self._budget.take(sum(len(frame.content) for frame in found), self._wait)
        images = [
            {"rows": frame.shape[0], "cols": frame.shape[1], "dtype": frame.dtype, "encoding": frame.encoding}
            for frame in found
        ]
        return encode_note({**note, "images": images}, [frame.content for frame in found])

    def _opened(self, path: Path, dataset: str) -> tuple[Hdf5Frames, int]:
        """Return an open dataset and how many frames it announces; looked at once a look."""
        key = (str(path), dataset)
        opened = self._open.get(key)
        if opened is None:
            while len(self._open) >= _MAX_OPEN:
                self._open.pop(next(iter(self._open))).close()
            look_at_hdf5(path)
            opened = self._open[key] = Hdf5Frames(path, dataset, max_bytes=self._max_bytes)
        if key not in self._there:
            try:
                self._there[key] = opened.refresh()
            except FrameError:
                self._open.pop(key).close()
                raise
        return opened, self._there[key]

    @staticmethod
    def _is_closed(path: Path) -> bool:
        state = look_at_hdf5(path)
        return state.says_so and not state.is_written

    def _file(self, note: dict[str, Any], path: Path, dataset: str) -> list[bytes]:
        note["path"] = readable_name(str(path))
        try:
            stat = path.stat()
            seen = (stat.st_size, stat.st_mtime_ns)
            if self._tried.get(str(path)) == seen:
                raise IncompleteFileError("has not been completed")
            if stat.st_size > self._max_bytes:
                raise FrameError(f"larger than {self._max_bytes} bytes")
            if dataset:
                look_at_hdf5(path)
                with Hdf5Frames(path, dataset, max_bytes=self._max_bytes) as opened:
                    found = next(opened.read(0, opened.refresh(), is_final=True), None)
                if found is None or found.problem:
                    raise FrameError(found.problem if found is not None else "no frame in it")
                image: dict[str, object] = {"rows": found.shape[0], "cols": found.shape[1]}
                image |= {"dtype": found.dtype, "encoding": found.encoding}
                return encode_note({**note, "images": [image]}, [found.content])
            if self._budget is not None:
                self._budget.take(stat.st_size, self._wait)
            content = path.read_bytes()
        except OSError as error:
            raise IncompleteFileError(f"cannot be read ({error.strerror})") from error
        try:
            require_complete(path.name, content, max_bytes=self._max_bytes)
        except IncompleteFileError:
            self._tried[str(path)] = seen
            raise
        self._tried.pop(str(path), None)
        note |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return encode_note(note, [content] if self._copy_frames else None)

    def _rows(self, wanted: WantedRows, *, late: bool) -> list[bytes] | None:
        """Return the record of some points; None if a number is not there yet."""
        columns: dict[str, np.ndarray[Any, Any]] = {
            name: np.array(values, "<f8") for name, values in wanted.given.items()
        }
        problems: list[str] = []
        for column in wanted.columns:
            values = columns.setdefault(column.name, np.full(wanted.count, np.nan, "<f8"))
            try:
                path = self._roots.find(column.place.path)
                with Hdf5Values(path, column.place.dataset) as opened:
                    values[column.skip : column.skip + column.count] = opened.read(column.place.first, column.count)
            except IncompleteFileError as error:
                if not late:
                    return None
                problems.append(f"{column.name[:60]}: {error}"[:1000])
            except FrameError as error:
                problems.append(f"{column.name[:60]}: {error}"[:1000])
        note = {
            "kind": "rows",
            "run": wanted.run,
            "name": wanted.name,
            "first_seq": wanted.first_seq,
            "count": wanted.count,
            "axes": list(wanted.axes),
            "columns": {name: values.tobytes() for name, values in columns.items()},
            "has_frames": wanted.has_frames,
            "time_s": wanted.time_s,
            "problems": problems[:64],
        }
        return encode_note(note)


class DocumentFrameReceiver(ThreadedReceiver):
    """Records what documents name, in a thread of its own.

    Parameters
    ----------
    fetcher
        Finds it; its `want` is given to the decoder of the documents.
    channel
        Name of the wire in the capture.
    poll_s
        Pause between two looks.
    """

    def __init__(self, fetcher: FrameFetcher, *, channel: Channel = CHANNEL, poll_s: float = 0.05) -> None:
        super().__init__(channel)
        self._fetcher = fetcher
        self._poll_s = poll_s

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``pending`` counts frames that documents named and that are not there yet."""
        return super().status() | {"pending": self._fetcher.pending, "dropped": self._fetcher.dropped}

    def _open(self) -> None:
        self._state = "watching"

    def _serve(self) -> None:
        self._state = "watching"
        while not self._stopping.is_set():
            for parts in self._fetcher.look():
                self._record(parts, self._now_s())
                if self._stopping.is_set():
                    return
            self._stopping.wait(self._poll_s)

    def _close(self) -> None:
        self._fetcher.close()

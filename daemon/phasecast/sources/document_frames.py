"""Fetching what documents name: frames and positions in files, recorded as soon as they are there."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from phasecast.core.record import Channel
from phasecast.sources.document_frame_record import CHANNEL
from phasecast.sources.document_roots import DocumentRoots
from phasecast.sources.named_files import NamedFiles
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.receiver import ThreadedReceiver
from phasecast.sources.wanted_frames import Hdf5Place, RunEnded, Wanted, WantedFrames, WantedRows

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
        self._files = NamedFiles(roots, budget=budget, max_bytes=max_bytes, copy_frames=copy_frames, wait=wait)
        self._timeout_s = min(timeout_s, _AFTER_STOP_S)
        self._clock = clock
        self._began_s = time.time()
        self._inbox: deque[Wanted | tuple[str, int]] = deque()
        self._jobs: list[_Job] = []
        self._ended: dict[str, float] = {}
        self._recorded: set[tuple[str, int]] = set()
        self._settled_s = 0.0
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
        self._files.begin_look()
        if is_final or now_s >= self._settled_s:
            blocked: set[object] = set()
            for job in self._jobs:
                ended_s = self._ended.get(job.wanted.run)
                late = is_final or (ended_s is not None and now_s - ended_s > self._timeout_s)
                yield from self._serve(job, blocked, late=late)
            self._jobs = [job for job in self._jobs if job.served < job.wanted.count]
            waiting = {job.wanted.run for job in self._jobs}
            if not waiting:
                self._files.close()
                self._recorded.clear()
            self._ended = {run: ended_s for run, ended_s in self._ended.items() if run in waiting}

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    def _take_inbox(self, now_s: float) -> None:
        while self._inbox:
            wanted = self._inbox.popleft()
            if isinstance(wanted, tuple):
                if now_s < self._settled_s:
                    self._recorded.add(wanted)
                    self._settled_s = now_s + _SETTLE_S
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
            parts = [] if (wanted.name, wanted.first_seq) in self._recorded else self._files.rows(wanted, late=late)
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
                found = self._files.frame(wanted, job.served, late=late)
                if found is None:
                    blocked.add(source)
                    return
                yield found
            job.served += 1


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

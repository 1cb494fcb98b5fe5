"""Finding finished frame files in a folder by looking, not by being told: network shares send no events."""

import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phasecast.core.errors import FrameError
from phasecast.sources.file_names import readable_name
from phasecast.sources.file_record import FoundFile
from phasecast.sources.folder_listing import RACY_S, FolderListing
from phasecast.sources.frame_file import IncompleteFileError, require_complete
from phasecast.sources.frame_name import HDF5_SUFFIXES, format_suffix
from phasecast.sources.frame_sidecar import SidecarSeen, settled_sidecar, sidecar_path
from phasecast.sources.hdf5_frames import DATASET
from phasecast.sources.hdf5_watch import Hdf5Watch
from phasecast.sources.read_budget import ReadBudget

_SETTLE_S = 0.2
_SLOW_RECHECK_S = 1.0
_MAX_REPORTED = 1000


@dataclass(slots=True, kw_only=True)
class _Pending:
    path: str
    first_s: float
    stamp: tuple[int, int] = (-1, -1)
    changed_s: float = 0.0
    next_s: float = 0.0
    wait_s: float = 0.0
    reported: bool = False
    sidecar: SidecarSeen = field(default_factory=SidecarSeen)


class FolderWatch:
    """Looks into a folder and its direct sub-folders for new frame files.

    Nothing is ever written there. What a new file costs does not depend on how many lie there, see `FolderListing`.

    Parameters
    ----------
    folder
        The folder.
    existing
        Whether files older than this object count.
    timeout_s
        Time after which a file that is not complete is given up (and reported should it still become so).
    number_pattern
        See `parse_frame_name`.
    raw_shape, max_bytes
        See `require_complete`.
    patterns
        Shell patterns of the names that count; all frame formats if empty.
    number_fields, sidecar
        Keys that the text file beside each frame must state, and its name; see `sidecar_path`. None: no such file.
    budget, wait
        Cap on reading, and how to wait for it; None for no cap.
    keep_content
        Whether the bytes of complete files are handed on. Those of frames in HDF5 files always are: the file may be
        written over while it grows.
    dataset
        Where frames are in HDF5 files.
    """

    def __init__(
        self,
        folder: Path,
        *,
        existing: bool = True,
        timeout_s: float = 30.0,
        number_pattern: re.Pattern[str] | None = None,
        raw_shape: tuple[int, int] | None = None,
        max_bytes: int = 256 << 20,
        patterns: Sequence[str] = (),
        number_fields: Sequence[str] = (),
        sidecar: str | None = None,
        budget: ReadBudget | None = None,
        wait: Callable[[float], object] = time.sleep,
        keep_content: bool = False,
        dataset: str = DATASET,
    ) -> None:
        self._budget = budget
        self._wait = wait
        self._keep_content = keep_content
        self._content = b""
        self._number_fields = tuple(number_fields)
        self._sidecar = sidecar
        self._root = str(folder)
        self._listing = FolderListing(
            folder,
            existing=existing,
            number_pattern=number_pattern,
            bare_pixels=raw_shape is not None,
            patterns=patterns,
        )
        self._timeout_s = timeout_s
        self._raw_shape = raw_shape
        self._max_bytes = max_bytes
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._hdf5 = Hdf5Watch(dataset, timeout_s=timeout_s, max_bytes=max_bytes, budget=budget, wait=wait)
        self._whole: dict[str, tuple[int, float]] = {}
        self._frames: dict[str, int] = {}
        self.recorded_before = 0
        """Files that an earlier process recorded and that are the same still: they were not read again."""
        self.given_up = 0
        """Files that were not complete in time."""

    @property
    def listings(self) -> int:
        """How often the whole folder was listed for new files."""
        return self._listing.listings

    @property
    def pending(self) -> int:
        """Files seen and not complete yet."""
        return sum(not pending.reported for pending in self._pending.values())

    def go_on_behind(self, whole: Mapping[str, tuple[int, float]], frames: Mapping[str, int]) -> None:
        """Leave out what an earlier process recorded; call it before the first look.

        Parameters
        ----------
        whole
            Name of each complete file to its size in bytes and POSIX time of change; one that differs now is new.
        frames
            Name of each file of many frames to how many of them were recorded.
        """
        self._whole = dict(whole)
        self._frames = dict(frames)

    def look(self, now_s: float | None = None) -> Iterator[FoundFile]:
        """Yield the files that became complete, or were given up, since the last look.

        Parameters
        ----------
        now_s
            Monotonic time in seconds; read from the clock unless given.
        """
        now_s = time.monotonic() if now_s is None else now_s
        for name in self._listing.look(now_s):
            path = f"{self._root}/{name}"
            if format_suffix(name) in HDF5_SUFFIXES:
                self._hdf5.follow(name, Path(path), now_s, done=self._frames.pop(readable_name(name), 0))
            else:
                self._pending[name] = _Pending(path=path, first_s=now_s, changed_s=now_s)
        for name in list(self._pending):
            found = self._check(name, now_s)
            if found is not None:
                yield found
        yield from self._hdf5.look(now_s)

    def close(self) -> None:
        """Close what is open; look no more after it."""
        self._hdf5.close()

    def _check(self, name: str, now_s: float) -> FoundFile | None:
        pending = self._pending[name]
        if now_s < pending.next_s:
            return None
        try:
            status = os.stat(pending.path)
        except OSError:
            # Renamed or removed before it was complete: what replaces it has another name.
            del self._pending[name]
            self._listing.forget(name)
            return None
        if self._whole and self._whole.pop(readable_name(name), None) == (status.st_size, status.st_mtime):
            del self._pending[name]
            self.recorded_before += 1
            return None
        stamp = (status.st_size, status.st_mtime_ns)
        if stamp != pending.stamp:
            pending.stamp, pending.changed_s, pending.wait_s = stamp, now_s, 0.0
        age_s = time.time() - status.st_mtime
        settled = now_s - pending.changed_s >= _SETTLE_S or age_s > RACY_S
        overdue = now_s - pending.first_s >= self._timeout_s
        sha256, problem, corrupt, lacks_sidecar = "", "it keeps changing", False, False
        if settled or format_suffix(name) == ".cbf":
            problem, sidecar = self._beside(pending, now_s)
            # the frame is not read again and again while its sidecar is waited for
            if not problem or (overdue and not pending.reported):
                beside = problem
                problem, sha256, corrupt = self._try(name, pending.path, status.st_size)
                lacks_sidecar = bool(beside) and not problem
                problem = problem or beside
            if not problem:
                del self._pending[name]
                return _found(pending.path, name, status, sha256, sidecar=sidecar, content=self._content)
        in_time = not overdue and not (corrupt and settled)
        if not pending.reported and not in_time:
            pending.reported = True
            self.given_up += 1
            self._forget_reported()
            return _found(pending.path, name, status, sha256, problem, corrupt, lacks_sidecar=lacks_sidecar)
        pending.wait_s = min(_SLOW_RECHECK_S, 2 * pending.wait_s + 0.02)
        pending.next_s = now_s + (_SLOW_RECHECK_S if pending.reported else pending.wait_s)
        return None

    def _try(self, name: str, path: str, size: int) -> tuple[str, str, bool]:
        """Return what is wrong with a file ("" if nothing), its sha256, and whether waiting cannot help."""
        if size > self._max_bytes:
            return f"larger than {self._max_bytes} bytes", "", False
        if self._budget is not None:
            self._budget.take(size, self._wait)
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            return f"cannot be read ({error.strerror})", "", False
        self._content = content if self._keep_content else b""
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            require_complete(name, content, raw_shape=self._raw_shape, max_bytes=self._max_bytes)
        except IncompleteFileError as error:
            return error.what, sha256, False
        except FrameError as error:
            return error.what, sha256, True
        return "", sha256, False

    def _beside(self, pending: _Pending, now_s: float) -> tuple[str, bytes]:
        """Return what is wrong with a frame's sidecar ("" if nothing), and its bytes."""
        if self._sidecar is None:
            return "", b""
        path = sidecar_path(Path(pending.path), self._sidecar)
        try:
            return "", settled_sidecar(path, self._number_fields, pending.sidecar, now_s=now_s, wall_s=time.time())
        except FrameError as error:
            return f"{error.what} ({path.name})", b""

    def _forget_reported(self) -> None:
        if self.given_up <= _MAX_REPORTED:
            return
        oldest = next((name for name, pending in self._pending.items() if pending.reported), None)
        if oldest is not None:
            del self._pending[oldest]


def _found(
    path: str,
    name: str,
    status: os.stat_result,
    sha256: str,
    problem: str = "",
    corrupt: bool = False,
    *,
    sidecar: bytes = b"",
    lacks_sidecar: bool = False,
    content: bytes = b"",
) -> FoundFile:
    return FoundFile(
        path=path,
        name=name,
        size=status.st_size,
        mtime_s=status.st_mtime,
        sha256=sha256,
        problem=problem,
        corrupt=corrupt,
        sidecar=sidecar,
        lacks_sidecar=lacks_sidecar,
        content=content,
    )

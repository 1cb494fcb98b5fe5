"""Finding finished frame files in a folder by looking, not by being told: network shares send no events."""

import hashlib
import logging
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from phasecast.core.errors import FrameError
from phasecast.sources.frame_file import IncompleteFileError, require_complete
from phasecast.sources.frame_name import FrameName, format_suffix, is_frame_name, parse_frame_name
from phasecast.sources.frame_sidecar import SidecarSeen, settled_sidecar, sidecar_path
from phasecast.sources.read_budget import ReadBudget

logger = logging.getLogger(__name__)

_SCAN_INTERVAL_S = 1.0
_SCAN_SHARE = 20
"""A full look takes at most a twentieth of the time, however many files there are."""
_FORCED_SCAN_S = 10.0
_RACY_S = 2.0
"""A folder's time stamp younger than this may stay the same when another file is added."""
_SETTLE_S = 0.2
_SLOW_RECHECK_S = 1.0
_OLD_S = 10.0
_MAX_SERIES = 4
_MAX_GUESSES = 1000
_MAX_REPORTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file that can be recorded.

    Parameters
    ----------
    path
        Where it lies.
    name
        Path relative to the watched folder, with forward slashes.
    size
        Bytes.
    mtime_s
        POSIX time of its last change.
    sha256
        Of its bytes; empty if they could not be read.
    problem
        Why it is given up; empty for a complete frame.
    corrupt
        Whether it is given up because waiting cannot help.
    sidecar
        Bytes of its sidecar; empty if it needs none.
    lacks_sidecar
        Whether the frame is complete and its sidecar is the problem.
    content
        The file's bytes, where they are kept; else empty.
    """

    path: str
    name: str
    size: int
    mtime_s: float
    sha256: str
    problem: str = ""
    corrupt: bool = False
    sidecar: bytes = b""
    lacks_sidecar: bool = False
    content: bytes = b""


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


@dataclass(slots=True, kw_only=True)
class _Folder:
    mtime_ns: int = -1
    looked_ns: int = 0
    forced_s: float = 0.0


class FolderWatch:
    """Looks into a folder and its direct sub-folders for new frame files.

    Nothing is ever written there. Each new file costs a bounded amount of work, however many lie there already:
    the next number of a running series is guessed at every look, and the whole folder is listed rarely.

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
        Whether the bytes of complete files are handed on.
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
    ) -> None:
        self._budget = budget
        self._wait = wait
        self._keep_content = keep_content
        self._content = b""
        self._number_fields = tuple(number_fields)
        self._sidecar = sidecar
        self._patterns = re.compile("|".join(map(translate, patterns or ("*",))))
        self._root = str(folder)
        self._oldest_ns = 0 if existing else time.time_ns() - int(_OLD_S * 1e9)
        self._timeout_s = timeout_s
        self._number_pattern = number_pattern
        self._raw_shape = raw_shape
        self._max_bytes = max_bytes
        self._known: set[str] = set()
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._folders: dict[str, _Folder] = {"": _Folder()}
        self._series: OrderedDict[tuple[str, str, str], FrameName] = OrderedDict()
        self._next_scan_s = float("-inf")
        self.listings = 0
        """How often the whole folder was listed for new files."""
        self.given_up = 0
        """Files that were not complete in time."""

    @property
    def pending(self) -> int:
        """Files seen and not complete yet."""
        return sum(not pending.reported for pending in self._pending.values())

    def look(self, now_s: float | None = None) -> Iterator[FoundFile]:
        """Yield the files that became complete, or were given up, since the last look.

        Parameters
        ----------
        now_s
            Monotonic time in seconds; read from the clock unless given.
        """
        now_s = time.monotonic() if now_s is None else now_s
        if now_s >= self._next_scan_s:
            began_s = time.monotonic()
            self._scan(now_s)
            self.listings += 1
            took_s = time.monotonic() - began_s
            self._next_scan_s = now_s + max(_SCAN_INTERVAL_S, _SCAN_SHARE * took_s)
        self._guess(now_s)
        for name in list(self._pending):
            found = self._check(name, now_s)
            if found is not None:
                yield found

    def _scan(self, now_s: float) -> None:
        for name in list(self._folders):
            state = self._folders[name]
            path = f"{self._root}/{name}" if name else self._root
            try:
                mtime_ns = os.stat(path).st_mtime_ns
                settled = state.looked_ns - mtime_ns > _RACY_S * 1e9
                if mtime_ns == state.mtime_ns and settled and now_s < state.forced_s:
                    continue
                state.looked_ns = time.time_ns()
                self._list(name, path, now_s)
            except FileNotFoundError:
                if name:
                    del self._folders[name]
                continue
            except OSError as error:
                logger.warning("%s cannot be listed: %s", path, error)
                continue
            state.mtime_ns, state.forced_s = mtime_ns, now_s + _FORCED_SCAN_S

    def _list(self, folder: str, path: str, now_s: float) -> None:
        new: list[tuple[str, int, str]] = []
        with os.scandir(path) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if name in self._known or name in self._pending:
                    continue
                if not folder and name not in self._folders and not entry.name.startswith(".") and entry.is_dir():
                    self._folders[name] = _Folder()
                elif self._counts(entry):
                    parsed = parse_frame_name(entry.name, self._number_pattern)
                    new.append((parsed.prefix, parsed.number, name) if parsed else (entry.name, -1, name))
        for folder_name in [other for other in self._folders if not folder and other]:
            if self._folders[folder_name].mtime_ns < 0:
                self._scan_new(folder_name, now_s)
        for _, _, name in sorted(new):
            self._add(name, now_s)

    def _scan_new(self, folder: str, now_s: float) -> None:
        state = self._folders[folder]
        path = f"{self._root}/{folder}"
        try:
            mtime_ns = os.stat(path).st_mtime_ns
            state.looked_ns = time.time_ns()
            self._list(folder, path, now_s)
        except OSError as error:
            logger.warning("%s cannot be listed: %s", path, error)
            return
        state.mtime_ns, state.forced_s = mtime_ns, now_s + _FORCED_SCAN_S

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        if not is_frame_name(entry.name) or not self._patterns.fullmatch(entry.name):
            return False
        if format_suffix(entry.name) == ".raw" and self._raw_shape is None:
            return False
        try:
            if not entry.is_file():
                return False
            if self._oldest_ns and entry.stat().st_mtime_ns < self._oldest_ns:
                self._known.add(os.path.relpath(entry.path, self._root))
                return False
        except OSError:
            return False
        return True

    def _add(self, name: str, now_s: float) -> None:
        self._pending[name] = _Pending(path=f"{self._root}/{name}", first_s=now_s, changed_s=now_s)
        folder, _, base = name.rpartition("/")
        parsed = parse_frame_name(base, self._number_pattern)
        if parsed is None:
            return
        key = (folder, parsed.prefix, parsed.rest)
        last = self._series.get(key)
        if last is None or parsed.number > last.number:
            self._series[key] = parsed
        self._series.move_to_end(key)
        while len(self._series) > _MAX_SERIES:
            self._series.popitem(last=False)

    def _guess(self, now_s: float) -> None:
        for (folder, _, _), last in list(self._series.items()):
            for number in range(last.number + 1, last.number + 1 + _MAX_GUESSES):
                base = last.numbered(number)
                name = f"{folder}/{base}" if folder else base
                if name not in self._known and name not in self._pending:
                    if not os.path.isfile(f"{self._root}/{name}"):
                        break
                    self._add(name, now_s)

    def _check(self, name: str, now_s: float) -> FoundFile | None:
        pending = self._pending[name]
        if now_s < pending.next_s:
            return None
        try:
            status = os.stat(pending.path)
        except OSError:
            # Renamed or removed before it was complete: what replaces it has another name.
            del self._pending[name]
            return None
        stamp = (status.st_size, status.st_mtime_ns)
        if stamp != pending.stamp:
            pending.stamp, pending.changed_s, pending.wait_s = stamp, now_s, 0.0
        age_s = time.time() - status.st_mtime
        settled = now_s - pending.changed_s >= _SETTLE_S or age_s > _RACY_S
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
                self._known.add(name)
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
            self._known.add(oldest)


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

"""Which frame files lie in a folder: names, found at a cost that does not grow with what lies there already."""

import logging
import os
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from phasecast.sources.frame_name import FrameName, format_suffix, is_frame_name, parse_frame_name

logger = logging.getLogger(__name__)

RACY_S = 2.0
"""A time stamp younger than this may stay the same although something was changed once more."""

_SCAN_INTERVAL_S = 1.0
_SCAN_SHARE = 20
"""A full look takes at most a twentieth of the time, however many files there are."""
_FORCED_SCAN_S = 10.0
_OLD_S = 10.0
_MAX_SERIES = 4
_MAX_GUESSES = 1000


@dataclass(slots=True, kw_only=True)
class _Folder:
    mtime_ns: int = -1
    looked_ns: int = 0
    forced_s: float = 0.0


class FolderListing:
    """Names of new frame files in a folder and its direct sub-folders, each yielded once.

    Each new file costs a bounded amount of work, however many lie there already: the next number of a running series
    is guessed at every look, and a whole folder is listed rarely.

    Parameters
    ----------
    folder
        The folder.
    existing
        Whether files older than this object count.
    number_pattern
        See `parse_frame_name`.
    bare_pixels
        Whether files without any header (``.raw``) count.
    patterns
        Shell patterns of the names that count; all frame formats if empty.
    """

    def __init__(
        self,
        folder: Path,
        *,
        existing: bool = True,
        number_pattern: re.Pattern[str] | None = None,
        bare_pixels: bool = False,
        patterns: Sequence[str] = (),
    ) -> None:
        self._patterns = re.compile("|".join(map(translate, patterns or ("*",))))
        self._root = str(folder)
        self._oldest_ns = 0 if existing else time.time_ns() - int(_OLD_S * 1e9)
        self._number_pattern = number_pattern
        self._bare_pixels = bare_pixels
        self._known: set[str] = set()
        self._folders: dict[str, _Folder] = {"": _Folder()}
        self._series: OrderedDict[tuple[str, str, str], FrameName] = OrderedDict()
        self._next_scan_s = float("-inf")
        self.listings = 0
        """How often the whole folder was listed for new files."""

    def look(self, now_s: float) -> Iterator[str]:
        """Yield the names that are new, relative to the folder with forward slashes.

        Parameters
        ----------
        now_s
            Monotonic time in seconds.
        """
        if now_s >= self._next_scan_s:
            began_s = time.monotonic()
            for name in self._scan(now_s):
                yield from self._add(name)
            self.listings += 1
            took_s = time.monotonic() - began_s
            self._next_scan_s = now_s + max(_SCAN_INTERVAL_S, _SCAN_SHARE * took_s)
        for name in self._guess():
            yield from self._add(name)

    def forget(self, name: str) -> None:
        """Yield a name again should it be there again: its file went before it was complete."""
        self._known.discard(name)

    def _add(self, name: str) -> Iterator[str]:
        self._known.add(name)
        folder, _, base = name.rpartition("/")
        parsed = parse_frame_name(base, self._number_pattern)
        if parsed is not None:
            key = (folder, parsed.prefix, parsed.rest)
            last = self._series.get(key)
            if last is None or parsed.number > last.number:
                self._series[key] = parsed
            self._series.move_to_end(key)
            while len(self._series) > _MAX_SERIES:
                self._series.popitem(last=False)
        yield name

    def _guess(self) -> Iterator[str]:
        for (folder, _, _), last in list(self._series.items()):
            for number in range(last.number + 1, last.number + 1 + _MAX_GUESSES):
                base = last.numbered(number)
                name = f"{folder}/{base}" if folder else base
                if name not in self._known:
                    if not os.path.isfile(f"{self._root}/{name}"):
                        break
                    yield name

    def _scan(self, now_s: float) -> Iterator[str]:
        for folder in list(self._folders):
            yield from self._scan_folder(folder, now_s)
        for folder in [folder for folder, state in self._folders.items() if state.mtime_ns < 0 and folder]:
            yield from self._scan_folder(folder, now_s)

    def _scan_folder(self, folder: str, now_s: float) -> list[str]:
        state = self._folders[folder]
        path = f"{self._root}/{folder}" if folder else self._root
        try:
            mtime_ns = os.stat(path).st_mtime_ns
            settled = state.looked_ns - mtime_ns > RACY_S * 1e9
            if mtime_ns == state.mtime_ns and settled and now_s < state.forced_s:
                return []
            state.looked_ns = time.time_ns()
            found = self._list(folder, path)
        except FileNotFoundError:
            if folder:
                del self._folders[folder]
            return []
        except OSError as error:
            logger.warning("%s cannot be listed: %s", path, error)
            return []
        state.mtime_ns, state.forced_s = mtime_ns, now_s + _FORCED_SCAN_S
        return found

    def _list(self, folder: str, path: str) -> list[str]:
        new: list[tuple[str, int, str]] = []
        with os.scandir(path) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if name in self._known:
                    continue
                if not folder and name not in self._folders and not entry.name.startswith(".") and entry.is_dir():
                    self._folders[name] = _Folder()
                elif self._counts(entry, name):
                    parsed = parse_frame_name(entry.name, self._number_pattern)
                    new.append((parsed.prefix, parsed.number, name) if parsed else (entry.name, -1, name))
        return [name for _, _, name in sorted(new)]

    def _counts(self, entry: os.DirEntry[str], name: str) -> bool:
        if not is_frame_name(entry.name) or not self._patterns.fullmatch(entry.name):
            return False
        if format_suffix(entry.name) == ".raw" and not self._bare_pixels:
            return False
        try:
            if not entry.is_file():
                return False
            if self._oldest_ns and entry.stat().st_mtime_ns < self._oldest_ns:
                self._known.add(name)
                return False
        except OSError:
            return False
        return True

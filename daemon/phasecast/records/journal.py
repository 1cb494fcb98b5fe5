"""Journals: append-only files of JSON lines that survive killed writers, full disks and foreign hands."""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from phasecast.core.errors import RecordsError

Entry = dict[str, Any]

MAX_LINE_BYTES = 8 << 20


def append(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Append entries as one line each, and return when they are on the disk.

    Processes may append at the same time: each holds the file's lock while it writes. A torn last line, left by a
    writer that was killed, is cut off first: nobody was ever told that it had been written.

    Raises
    ------
    RecordsError
        If they cannot be written; nothing of them is left then.
    """
    if not entries:
        return
    # JSON knows no NaN: it becomes null
    content = b"".join(to_json(entry, inf_nan_mode="null") + b"\n" for entry in entries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            end = _end_of_last_line(handle)
            os.ftruncate(handle, end)
            try:
                _write(handle, content, end)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise RecordsError(
            f"cannot write ({error.strerror or error})", where=str(path), remedy="free space or check permissions"
        ) from error


def read_journal(path: Path) -> list[Entry]:
    """Return all entries of a journal; none if there is no such file.

    Raises
    ------
    RecordsError
        If it cannot be read.
    """
    return JournalReader(path).read()


class JournalReader:
    """Reads what a journal has gained since the last look; free where it has gained nothing.

    Parameters
    ----------
    path
        The journal; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.defects = 0
        """Lines that are no entries; they are passed over."""
        self.restarts = 0
        """How often the file was found replaced or cut, so that `read` began anew with its first entry."""
        self._offset = 0
        self._identity: tuple[int, int] | None = None

    def read(self) -> list[Entry]:
        """Return the entries that are new since the last call, in order. A last line without its end has to wait.

        Raises
        ------
        RecordsError
            If the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                identity = (found.st_dev, found.st_ino)
                if identity != self._identity or found.st_size < self._offset:
                    self.restarts += self._identity is not None
                    self._identity, self._offset = identity, 0
                if found.st_size == self._offset:
                    return []
                file.seek(self._offset)
                content = file.read(found.st_size - self._offset)
        except FileNotFoundError:
            if self._identity is not None:
                self.restarts += 1
                self._identity, self._offset = None, 0
            return []
        except OSError as error:
            raise RecordsError(
                f"cannot read ({error.strerror or error})", where=str(self.path), remedy="check permissions"
            ) from error
        complete = content.rfind(b"\n") + 1
        self._offset += complete
        entries = [self._parse(line) for line in content[:complete].split(b"\n")[:-1]]
        return [entry for entry in entries if entry is not None]

    def _parse(self, line: bytes) -> Entry | None:
        if len(line) <= MAX_LINE_BYTES:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if isinstance(entry, dict):
                return entry
        self.defects += 1
        return None


def _end_of_last_line(handle: int) -> int:
    size = end = os.fstat(handle).st_size
    while end > 0:
        start = max(end - 65536, 0)
        newline = os.pread(handle, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return end if size else 0


def _write(handle: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

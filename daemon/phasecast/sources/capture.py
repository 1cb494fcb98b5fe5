"""The capture: the write-ahead log of everything that came over a wire."""

import fcntl
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from phasecast.core.errors import CaptureError
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.sources.capture_format import (
    SUFFIX,
    CorruptRecordError,
    TornRecordError,
    begins_like_capture,
    decode_record,
    encode_record,
    find_next_record,
    list_segments,
)

logger = logging.getLogger(__name__)

_SYNC_INTERVAL_S = 1.0


class CaptureWriter:
    """Appends raw records to segment files; safe to share between receivers' threads.

    A record that `append` returned survives ``kill -9`` of this process at once (it is in the kernel), and loss of
    power after at most about a second (synchronised in the background).

    Parameters
    ----------
    folder
        Captures folder; made if missing. One writer at a time.
    segment_bytes
        Size after which a new segment begins.

    Raises
    ------
    CaptureError
        If the folder cannot be written or another process records into it.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 2 << 30) -> None:
        self._folder = Path(folder)
        self._segment_bytes = segment_bytes
        self._changed = threading.Condition()
        self._fd = -1
        self._offset = 0
        self._segment = ""
        self._last: CapturePosition | None = None
        self._seen = 0
        self._records = 0
        self._bytes = 0
        self._failures = 0
        self._woken = False
        self._dirty = False
        self._closed = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._error(error) from error
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock_fd)
            raise CaptureError(
                "another process is recording here",
                where=str(self._folder),
                remedy="stop it, or use another --data-dir",
            ) from error
        except OSError:
            logger.debug("%s cannot be locked", self._folder)
        try:
            self._open_segment()
        except OSError as error:
            os.close(self._lock_fd)
            raise self._error(error) from error
        self._stop_sync = threading.Event()
        self._sync_thread = threading.Thread(target=self._sync_loop, name="capture-sync", daemon=True)
        self._sync_thread.start()

    @property
    def folder(self) -> Path:
        """Where the segments lie."""
        return self._folder

    @property
    def end(self) -> CapturePosition:
        """Where the next record will begin (unless it begins a new segment)."""
        with self._changed:
            return CapturePosition(segment=self._segment, offset=self._offset)

    def append(self, channel: Channel, parts: Iterable[bytes], received_s: float) -> CapturePosition:
        """Record one message and return its place.

        Raises
        ------
        CaptureError
            If it could not be written whole (disk full, ...). Nothing of it is left in the segment; the same
            message can be appended again later.
        """
        content = encode_record(received_s, channel, list(parts))
        with self._changed:
            if self._closed:
                raise CaptureError("the capture is closed", where=str(self._folder))
            try:
                if self._fd < 0 or (self._offset and self._offset + len(content) > self._segment_bytes):
                    self._open_segment()
                self._write(content)
            except OSError as error:
                self._failures += 1
                raise self._error(error) from error
            position = CapturePosition(segment=self._segment, offset=self._offset)
            self._offset += len(content)
            self._last = position
            self._records += 1
            self._bytes += len(content)
            self._dirty = True
            self._changed.notify_all()
        return position

    def wait(self, timeout_s: float, position: CapturePosition | None = None) -> bool:
        """Wait until there is a record to read; return whether there is.

        Parameters
        ----------
        position
            Where the follower will read next (`CaptureReader.position`). Without it: until something was appended
            since the last such call.
        """

        def ready() -> bool:
            if position is None:
                return self._records != self._seen
            return self._last is not None and self._last >= position

        with self._changed:
            self._changed.wait_for(lambda: ready() or self._woken or self._closed, timeout_s)
            self._woken = False
            result = ready()
            if position is None:
                self._seen = self._records
            return result

    def wake(self) -> None:
        """Let a waiting follower return at once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def status(self) -> dict[str, object]:
        """Counters, JSON-able."""
        with self._changed:
            return {
                "folder": str(self._folder),
                "segment": self._segment,
                "offset": self._offset,
                "records": self._records,
                "bytes": self._bytes,
                "failures": self._failures,
            }

    def close(self) -> None:
        """Synchronise and close; idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._stop_sync.set()
        self._sync_thread.join()
        with self._changed:
            self._close_segment()
            os.close(self._lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _error(self, error: OSError) -> CaptureError:
        return CaptureError(
            f"cannot record ({error.strerror or error})",
            where=str(self._folder),
            remedy="free space or check the disk; recording goes on by itself as soon as it can",
        )

    def _open_segment(self) -> None:
        self._close_segment()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        existing = list_segments(self._folder)
        number = 0
        if existing:
            # Names must sort in the order of recording even when the clock was set back.
            last_stamp, _, last_number = existing[-1].removesuffix(SUFFIX).rpartition("-")
            if stamp <= last_stamp:
                stamp, number = last_stamp, int(last_number) + 1
        name = f"{stamp}-{number:03d}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._folder / name, flags, 0o644)
        self._segment = name
        self._offset = 0
        with suppress(OSError):
            os.fsync(self._lock_fd)

    def _close_segment(self) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            os.fdatasync(fd)
        except OSError as error:
            logger.warning("capture segment %s could not be synchronised: %s", self._segment, error)
        finally:
            os.close(fd)

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            try:
                os.ftruncate(self._fd, self._offset)
            except OSError:
                # The torn record stays where readers ignore it: at the end of a segment.
                self._close_segment()
            raise

    def _sync_loop(self) -> None:
        while not self._stop_sync.wait(_SYNC_INTERVAL_S):
            with self._changed:
                if not self._dirty or self._fd < 0:
                    continue
                self._dirty = False
                fd = os.dup(self._fd)
            try:
                os.fdatasync(fd)
            except OSError as error:
                logger.warning("capture could not be synchronised: %s", error)
            finally:
                os.close(fd)


class CaptureReader:
    """Reads records in the order they were appended, over all segments.

    Parameters
    ----------
    source
        Captures folder, or one segment file.
    start
        First record to read; None reads from the oldest.
    follow
        Whether the newest segment may still grow. A torn record at its end is then waited for, else ignored.

    Raises
    ------
    CaptureError
        If there is no capture (unless following a folder), or `start` lies in a segment that is gone.
    """

    def __init__(self, source: Path, start: CapturePosition | None = None, *, follow: bool = True) -> None:
        source = Path(source)
        self._only = None if source.is_dir() or (follow and not source.exists()) else source.name
        self._folder = source if self._only is None else source.parent
        self._follow = follow
        self._file: IO[bytes] | None = None
        self._final = False
        self._segment = "" if start is None else start.segment
        self._offset = 0 if start is None else start.offset
        self.defects = 0
        """Records in the middle of segments that could not be read."""
        self.torn_tails = 0
        """Incomplete records at the end of segments: what was being written when a daemon was killed."""
        self.last_defect = ""
        """The newest of the defects, one line."""
        names = self._names()
        if not names and not follow:
            raise CaptureError(
                "no capture here",
                where=str(source),
                remedy=f"name a captures folder or a *{SUFFIX} file",
            )
        if start is not None and start.segment not in names:
            raise CaptureError(
                f"segment {start.segment} is gone",
                where=str(self._folder),
                remedy="bring it back, or begin with the oldest segment",
            )

    @property
    def position(self) -> CapturePosition:
        """Where the next record will be looked for."""
        return CapturePosition(segment=self._segment, offset=self._offset)

    @property
    def backlog_bytes(self) -> int:
        """Bytes recorded and not yet read."""
        total = 0
        for name in self._names():
            if name >= self._segment:
                with suppress(FileNotFoundError):
                    total += (self._folder / name).stat().st_size
        return max(0, total - self._offset)

    def read_available(self) -> Iterator[RawRecord]:
        """Yield every record that is there now; `position` is already behind the record when it is yielded."""
        while True:
            if self._file is None and not self._open(self._segment):
                return
            assert self._file is not None
            try:
                stored = decode_record(self._file)
            except TornRecordError:
                if not self._pass_end():
                    return
                continue
            except CorruptRecordError as error:
                if not self._pass_corrupt(error):
                    return
                continue
            position = self.position
            self._offset = self._file.tell()
            yield RawRecord(
                position=position,
                received_s=stored.received_s,
                channel=Channel(stored.channel),
                parts=stored.parts,
            )

    def __iter__(self) -> Iterator[RawRecord]:
        return self.read_available()

    def read_record(self, position: CapturePosition) -> RawRecord:
        """Read one record without moving `position`.

        Raises
        ------
        CaptureError
            If there is no intact record.
        """
        path = self._folder / Path(position.segment).name
        try:
            with path.open("rb", buffering=0) as stream:
                stream.seek(position.offset)
                stored = decode_record(stream)
        except (OSError, ValueError, TornRecordError, CorruptRecordError) as error:
            raise CaptureError(
                f"no intact record at offset {position.offset}",
                where=str(path),
                remedy="check the file with `phasecast check`",
            ) from error
        return RawRecord(
            position=position, received_s=stored.received_s, channel=Channel(stored.channel), parts=stored.parts
        )

    def close(self) -> None:
        """Close the open segment; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _names(self) -> list[str]:
        if self._only is None:
            return list_segments(self._folder)
        return [self._only] if (self._folder / self._only).is_file() else []

    def _open(self, at_least: str) -> bool:
        """Open the first segment that does not sort before `at_least`."""
        name = next((name for name in self._names() if name >= at_least), None)
        if name is None:
            return False
        if name != self._segment:
            self._segment, self._offset = name, 0
        self._file = (self._folder / name).open("rb")
        self._file.seek(self._offset)
        self._final = False
        return True

    def _successor(self) -> str | None:
        return next((name for name in self._names() if name > self._segment), None)

    def _pass_end(self) -> bool:
        """Deal with the end of what can be decoded; return whether to go on reading."""
        assert self._file is not None
        self._file.seek(self._offset)
        successor = self._successor()
        if successor is None and self._follow:
            return False
        if not self._final:
            # Records may have come between the end that was met and the birth of the next segment: look again.
            self._final = True
            return True
        if self._offset < os.fstat(self._file.fileno()).st_size:
            found = find_next_record(self._folder / self._segment, self._offset + 1)
            if found >= 0:
                self._count_defect("record claims to be longer than it is")
                self._seek(found)
                return True
            self.torn_tails += 1
        if successor is None:
            return False
        self.close()
        return self._open(successor)

    def _pass_corrupt(self, error: CorruptRecordError) -> bool:
        assert self._file is not None
        end = error.end
        if end < 0:
            end = find_next_record(self._folder / self._segment, self._offset + 1)
        if end >= 0:
            self._count_defect(str(error))
            self._seek(end)
            return True
        if self._successor() is None and self._follow:
            self._file.seek(self._offset)
            return False
        self._count_defect(str(error))
        self._seek(os.fstat(self._file.fileno()).st_size)
        return True

    def _seek(self, offset: int) -> None:
        assert self._file is not None
        self._offset = offset
        self._file.seek(offset)

    def _count_defect(self, detail: str) -> None:
        self.defects += 1
        self.last_defect = f"{self._folder / self._segment} at byte {self._offset}: {detail}"
        logger.warning("capture record skipped: %s", self.last_defect)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSummary:
    """What a capture holds.

    Parameters
    ----------
    records, channels
        Number of intact records, in all and by channel.
    defects, torn_tails
        As counted by `CaptureReader`.
    first_s, last_s
        POSIX times of the first and the last record; None if there is none.
    """

    records: int
    channels: dict[str, int]
    defects: int
    torn_tails: int
    first_s: float | None
    last_s: float | None


def is_capture(path: Path) -> bool:
    """Tell whether a path is a captures folder with segments or a segment file, reading one record at most."""
    if path.is_dir():
        return bool(list_segments(path))
    return begins_like_capture(path)


def check_capture(path: Path) -> CaptureSummary:
    """Read a whole capture and say what it holds.

    Raises
    ------
    CaptureError
        If it is no capture: no record can be read.
    """
    started = time.monotonic()
    channels: Counter[str] = Counter()
    first_s: float | None = None
    last_s: float | None = None
    with CaptureReader(path, follow=False) as reader:
        for record in reader:
            channels[record.channel] += 1
            first_s = record.received_s if first_s is None else first_s
            last_s = record.received_s
    if not channels and (reader.defects or reader.torn_tails):
        raise CaptureError("not one record can be read", where=str(path), remedy="is this a capture?")
    logger.debug("%s checked in %.1f s", path, time.monotonic() - started)
    return CaptureSummary(
        records=channels.total(),
        channels=dict(channels),
        defects=reader.defects,
        torn_tails=reader.torn_tails,
        first_s=first_s,
        last_s=last_s,
    )

"""Appending to the capture."""

import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from phasecast.core.errors import CaptureError
from phasecast.core.record import CapturePosition, Channel
from phasecast.sources.capture_format import SUFFIX, encode_record, list_segments

logger = logging.getLogger(__name__)

_SYNC_INTERVAL_S = 1.0
RESERVE_BYTES = 256 << 20
"""Room for the end of results, reports and status: a map of 24,000 points needs about 100 MB to be closed."""


class CaptureWriter:
    """Appends raw records to segment files; safe to share between receivers' threads.

    A record that `append` returned survives ``kill -9`` of this process at once (it is in the kernel), and loss of
    power after at most about a second (synchronised in the background): a sync for each record would cost more than
    the whole reduction of a frame.

    Recording stops while the disk has less room than `reserve_bytes`, looked at once a second, so that what was
    recorded can still be worked off, results closed and the status written.

    Parameters
    ----------
    folder
        Captures folder; made if missing. One writer at a time.
    segment_bytes
        Size after which a new segment begins.
    reserve_bytes
        Room on the disk that is left to others.

    Raises
    ------
    CaptureError
        If the folder cannot be written or another process records into it.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 2 << 30, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._folder = Path(folder)
        self._segment_bytes = segment_bytes
        self._reserve_bytes = reserve_bytes
        self._lacks_room = False
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
        self._look_for_room()
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
            if self._lacks_room:
                self._failures += 1
                raise CaptureError(
                    f"cannot record (less than {self._reserve_bytes >> 20} MB are free)",
                    where=str(self._folder),
                    remedy="free space; recording goes on by itself within a second",
                )
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

    def append_if_read(
        self, channel: Channel, parts: Iterable[bytes], received_s: float, position: CapturePosition
    ) -> CapturePosition | None:
        """Record one message if nothing lies unread before it; return its place, else None.

        Parameters
        ----------
        position
            Where the follower will read next (`CaptureReader.position`).

        Raises
        ------
        CaptureError
            See `append`.
        """
        with self._changed:
            if self._last is not None and self._last >= position:
                return None
            return self.append(channel, parts, received_s)

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
                "lacks_room": self._lacks_room,
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

    def _look_for_room(self) -> None:
        with suppress(OSError):
            self._lacks_room = shutil.disk_usage(self._folder).free < self._reserve_bytes

    def _sync_loop(self) -> None:
        while not self._stop_sync.wait(_SYNC_INTERVAL_S):
            self._look_for_room()
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

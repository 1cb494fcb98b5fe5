"""Reading the capture, while it grows or afterwards."""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from phasecast.core.errors import CaptureError
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.sources.capture_format import (
    SUFFIX,
    CorruptRecordError,
    TornRecordError,
    decode_record,
    find_next_record,
    list_segments,
)

logger = logging.getLogger(__name__)

_BUFFER_BYTES = 1 << 16
"""A compressed PILATUS 100k has 40 kB; a tenth less time than with the usual 8 kB."""


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
        self.last_torn = ""
        """Where the newest of them begins, one line."""
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
        self._file = (self._folder / name).open("rb", buffering=_BUFFER_BYTES)
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
            self.last_torn = f"{self._folder / self._segment} ends inside the record that begins at byte {self._offset}"
        self.close()
        return successor is not None and self._open(successor)

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

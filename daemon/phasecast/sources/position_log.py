"""A growing text file, one row a point, that another program writes: its rows, recorded before they are understood."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import cbor2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasecast.core.errors import SourceError, WireError
from phasecast.core.record import Channel, RawRecord
from phasecast.sources.file_names import readable_name
from phasecast.sources.receiver import ThreadedReceiver

CHANNEL = Channel("log")

_BLOCK_BYTES = 1 << 20
"""What one look reads at most, so that an old log of a whole beamtime does not disturb the disk it lies on."""
_MAX_ROW_BYTES = 1 << 16
_REWRITE_S = 2.0
"""A log that became shorter is often one that its program writes anew as a whole; so long it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNote:
    """What is recorded with the bytes of a row.

    Parameters
    ----------
    name
        The file's name.
    row
        Line in the file, from 1.
    problem
        Why there is no row, but something to say of the file; empty for rows.
    existing
        Whether the row was there when the receiver started.
    """

    name: str
    row: int
    problem: str = ""
    existing: bool = False


class PositionLogReceiver(ThreadedReceiver):
    """Watches a text file and records each row when its newline is there. The file is opened for reading alone.

    A file that was replaced or became shorter, and no longer begins with what was read, is read anew from its start.

    Parameters
    ----------
    path
        The file; it may appear later.
    channel
        Name of the wire in the capture.
    poll_s
        Pause between two looks.
    """

    def __init__(self, path: Path, *, channel: Channel = CHANNEL, poll_s: float = 0.1) -> None:
        super().__init__(channel)
        self._path = Path(path).absolute()
        self._name = readable_name(self._path.name)
        self._poll_s = poll_s
        self._existing_bytes = 0
        self._offset = 0
        self._row = 0
        self._read = hashlib.sha256()
        self._inode = -1
        self._shorter_since_s: float | None = None

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``rows`` is the last line that was recorded."""
        return super().status() | {"file": readable_name(str(self._path)), "rows": self._row}

    def _open(self) -> None:
        if not self._path.parent.is_dir():
            raise SourceError(
                "the folder of the log does not exist", where=readable_name(str(self._path)), remedy="correct the path"
            )
        if self._path.is_dir():
            raise SourceError("is a folder, not a log", where=readable_name(str(self._path)), remedy="name the file")
        if self._path.is_file():
            self._existing_bytes = self._path.stat().st_size

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self._look()
                self._state = "watching"
            except FileNotFoundError:
                self._state, more = "file missing", False
            except OSError as error:
                # a network share that is away comes back
                self._state, more = f"cannot be read: {error.strerror}", False
            if not more:
                self._stopping.wait(self._poll_s)

    def _close(self) -> None:
        pass

    def _look(self) -> bool:
        """Record what is new; return whether more is there."""
        with self._path.open("rb") as file:
            stat = os.fstat(file.fileno())
            if (stat.st_ino != self._inode or stat.st_size < self._offset) and not self._is_continued(file.fileno()):
                return False
            self._inode = stat.st_ino
            file.seek(self._offset)
            block = file.read(_BLOCK_BYTES)
        end = block.rfind(b"\n") + 1
        lines = _lines(block[:end])
        if not end and len(block) > _MAX_ROW_BYTES:
            lines = [block]  # no log has rows like this; named when it is read
        for line in lines:
            self._row += 1
            existing = self._offset + len(line) <= self._existing_bytes
            note = RowNote(name=self._name, row=self._row, existing=existing)
            self._record(encode_row(note, line[:_MAX_ROW_BYTES]), self._now_s())
            self._advance(line)
            if self._stopping.is_set():
                return False
        return len(block) == _BLOCK_BYTES

    def _is_continued(self, descriptor: int) -> bool:
        """Whether the file begins with all that was read; if it surely does not, start anew."""
        if not self._offset:
            return True
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            digest = hashlib.sha256()
            left = self._offset
            while left and (block := file.read(min(left, _BLOCK_BYTES))):
                digest.update(block)
                left -= len(block)
        if not left and digest.digest() == self._read.digest():
            self._shorter_since_s = None
            return True
        if left:
            now_s = self._now_s()
            self._shorter_since_s = self._shorter_since_s or now_s
            if now_s - self._shorter_since_s < _REWRITE_S:
                return False
        self._shorter_since_s = None
        note = RowNote(name=self._name, row=self._row, problem="begins differently than what was read; read anew")
        self._record(encode_row(note, b""), self._now_s())
        self._offset, self._row, self._read = 0, 0, hashlib.sha256()
        self._existing_bytes = 0
        return True

    def _advance(self, content: bytes) -> None:
        self._offset += len(content)
        self._read.update(content)


def encode_row(note: RowNote, line: bytes) -> list[bytes]:
    """Return the parts of a record."""
    return [bytes(cbor2.dumps(asdict(note))), line]


class _Note(BaseModel):
    model_config = ConfigDict(strict=True)

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    row: Annotated[int, Field(ge=0)]
    problem: Annotated[str, Field(max_length=4096)] = ""
    existing: bool = False


def decode_row(record: RawRecord) -> tuple[RowNote, bytes]:
    """Return note and bytes of a recorded row.

    Raises
    ------
    WireError
        If the record is none.
    """
    if len(record.parts) != 2:
        raise WireError(f"{len(record.parts)} parts where a row of a log has two")
    try:
        note = _Note.model_validate(cbor2.loads(record.parts[0]))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"row record: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise WireError(f"row record is no CBOR ({error})") from error
    return RowNote(**note.model_dump()), record.parts[1]


def _lines(block: bytes) -> list[bytes]:
    """Lines that end with a newline; a lone carriage return is part of one."""
    return [line + b"\n" for line in block.removesuffix(b"\n").split(b"\n")] if block else []

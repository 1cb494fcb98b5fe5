"""The capture on disk: segments that are CBOR Sequences (RFC 8742) of raw records.

One record is the array ``[received_s, channel, crc32, [part, ...]]``. The checksum is CRC-32 over the time (big
endian double), the channel's UTF-8 and all parts. Any CBOR library reads a segment; nothing but appending is
ever done to one.
"""

import mmap
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import cbor2

from phasecast.core.errors import CaptureError

SUFFIX = ".cborseq"
_SEGMENT_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z-\d{3}\.cborseq")
_RECORD_START = b"\x84\xfb"
"""CBOR heads of an array of four and of the float64 that every record begins with."""
_NO_MORE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """Content of one record, checksum verified."""

    received_s: float
    channel: str
    parts: tuple[bytes, ...]


class TornRecordError(Exception):
    """The record ends before it is complete: the writer was killed, or is still writing."""


class CorruptRecordError(Exception):
    """The bytes are no record.

    Parameters
    ----------
    detail
        One clear line.
    end
        Offset after the record where its length could be read, else -1.
    """

    def __init__(self, detail: str, end: int = _NO_MORE) -> None:
        self.end = end
        super().__init__(detail)


def _checksum(received_s: float, channel: str, parts: Sequence[bytes]) -> int:
    value = zlib.crc32(struct.pack(">d", received_s))
    value = zlib.crc32(channel.encode(), value)
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def encode_record(received_s: float, channel: str, parts: Sequence[bytes]) -> bytes:
    """Return one record as it lies on disk."""
    received_s = float(received_s)
    content = [received_s, channel, _checksum(received_s, channel, parts), list(parts)]
    return bytes(cbor2.dumps(content))


def decode_record(stream: IO[bytes]) -> StoredRecord:
    """Read the record at the stream's place and leave the stream behind it.

    Raises
    ------
    TornRecordError
        If the stream ends inside it.
    CorruptRecordError
        If it is not a record or its checksum differs.
    """
    try:
        content = cbor2.load(stream)
    except cbor2.CBORDecodeEOF as error:
        raise TornRecordError from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise CorruptRecordError(f"no CBOR here ({error})") from error
    end = stream.tell()
    match content:
        case [float() as received_s, str() as channel, int() as crc, list() as parts] if all(
            isinstance(part, bytes) for part in parts
        ):
            if crc != _checksum(received_s, channel, parts):
                raise CorruptRecordError("checksum differs", end)
            return StoredRecord(received_s=received_s, channel=channel, parts=tuple(parts))
    raise CorruptRecordError("CBOR, but not a capture record")


def find_next_record(path: Path, offset: int) -> int:
    """Return the offset of the next intact record at or after `offset`; -1 if there is none."""
    with path.open("rb") as stream:
        size = path.stat().st_size
        if offset >= size:
            return _NO_MORE
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            while (offset := content.find(_RECORD_START, offset)) >= 0:
                # A text head must follow the float64: spares decoding at nearly every chance hit in frame data.
                if offset + 10 < len(content) and 0x60 <= content[offset + 10] <= 0x78:
                    stream.seek(offset)
                    try:
                        decode_record(stream)
                    except (TornRecordError, CorruptRecordError):
                        pass
                    else:
                        return offset
                offset += 1
    return _NO_MORE


def list_segments(folder: Path) -> list[str]:
    """Return the names of all segments in a folder, oldest first; empty if the folder does not exist."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CaptureError(
            error.strerror or "cannot be listed", where=str(folder), remedy="check the captures folder"
        ) from error
    return sorted(name for name in names if _SEGMENT_NAME.fullmatch(name))


def begins_like_capture(path: Path) -> bool:
    """Tell whether a file begins with an intact record, without reading the rest."""
    try:
        with path.open("rb") as stream:
            if stream.read(2) != _RECORD_START:
                return False
            stream.seek(0)
            decode_record(stream)
    except (OSError, TornRecordError, CorruptRecordError):
        return False
    return True


def decode_bytes(content: bytes) -> StoredRecord:
    """Decode one record from memory; raises as `decode_record`."""
    return decode_record(BytesIO(content))

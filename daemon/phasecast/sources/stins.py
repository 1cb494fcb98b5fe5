"""Frames as MAX IV's streaming-receiver passes them on (STINS): JSON and a blob, each message numbered."""

from collections.abc import Iterator, Mapping
from math import prod
from struct import Struct
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from phasecast.core.errors import WireError
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.sources.json_part import parse_part
from phasecast.sources.simplon_blob import decode_image
from phasecast.sources.simplon_frame import MALFORMED, FrameIdentity, defect_of
from phasecast.sources.zmq_receiver import MAX_PARTS

CHANNEL = Channel("stins")
LOST = "lost message"

_HEAD = Struct(">QI")
_BLOCK_BYTES = 8192
"""Of bitshuffle, where nothing says otherwise; for every size of pixel that is read here."""
_Natural = Annotated[int, Field(ge=0, lt=2**53)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    htype: Literal["header", "image", "series_end"]
    msg_number: _Natural


class _Image(BaseModel):
    frame: _Natural
    shape: Annotated[list[_Natural], Field(min_length=2, max_length=3)]
    type: str
    compression: str = "none"


class _Meta(BaseModel):
    model_config = ConfigDict(extra="allow")


class StinsDecoder:
    """Turns the messages into series and frames.

    A series is named by the number of its header's message. Those numbers go on over all series, so where the header
    never came (the first messages go to nobody if nobody is connected) the name follows from any image.

    Parameters
    ----------
    max_image_bytes
        Largest image, uncompressed, that is decoded.
    """

    def __init__(self, *, max_image_bytes: int = 128 << 20) -> None:
        self._max_image_bytes = max_image_bytes
        self._series: int | None = None
        self._announced = False
        self._last_message: int | None = None
        self._last_frame = -1

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record; what cannot be read becomes a Defect."""
        try:
            if not 1 <= len(record.parts) <= MAX_PARTS:
                raise WireError(f"{len(record.parts)} parts or more, at most {MAX_PARTS} are possible")
            head = parse_part(_Message, record.parts[0])
            if head.htype == "image":
                yield from self._image(record, head)
                return
            yield from self._lost(record, head.msg_number, frames=0)
            if head.htype == "header":
                yield from self._header(record, head)
            elif self._series is not None:
                yield SeriesEnd(series=str(self._series), received_s=record.received_s)
                self._series = None
        except WireError as error:
            yield defect_of(record, MALFORMED, str(error))

    def _header(self, record: RawRecord, head: _Message) -> Iterator[Message]:
        if self._series is not None and self._announced:
            yield SeriesEnd(series=str(self._series), received_s=record.received_s)
        self._series, self._announced, self._last_frame = head.msg_number, True, -1
        settings: Mapping[str, Any] = dict(head.model_extra or {})
        if len(record.parts) > 1:
            try:
                settings = {**settings, **(parse_part(_Meta, record.parts[1]).model_extra or {})}
            except WireError as error:
                yield defect_of(record, "corrupt header", f"series {head.msg_number}: {error}")
        yield SeriesStart(
            series=str(head.msg_number), received_s=record.received_s, expected_frames=None, settings=settings
        )

    def _image(self, record: RawRecord, head: _Message) -> Iterator[Message]:
        number = head.model_extra.get("frame") if head.model_extra else None
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
            raise WireError("frame of the image is missing or no number from 0")
        if self._series is None or number < self._last_frame:
            # No header came, or a second one was lost: an unbroken stream has it just before frame 0.
            self._series, self._announced = max(0, head.msg_number - 1 - number), False
            self._last_frame = number - 1
        yield from self._lost(record, head.msg_number, frames=max(0, number - self._last_frame - 1))
        self._last_frame = number
        identity = FrameIdentity(
            series=str(self._series), series_id=self._series, number=number, hardware_s=None, exposure_s=None
        )
        try:
            image = self._pixels(record, parse_part(_Image, record.parts[0]))
        except WireError as error:
            yield identity.defect(error, record)
            return
        yield identity.frame(image, record)

    def _pixels(self, record: RawRecord, image: _Image) -> np.ndarray[Any, np.dtype[np.integer]]:
        if len(record.parts) != 2:
            raise WireError(f"{len(record.parts)} parts where an image has two")
        rows_cols = image.shape[1:] if len(image.shape) == 3 and image.shape[0] == 1 else image.shape
        blob, encoding = record.parts[1], "<"
        if image.compression == "bslz4":
            bits = image.type[-2:].strip("t") if image.type.startswith(("int", "uint")) else ""
            size = int(bits) // 8 if bits in ("8", "16", "32") else 0
            blob, encoding = with_bslz4_head(blob, prod(rows_cols) * size), f"bs{bits}-lz4<"
        elif image.compression not in ("none", ""):
            raise WireError(f"unknown compression {image.compression[:40]!r}")
        return decode_image(
            blob,
            shape=rows_cols[::-1],
            dtype=image.type,
            encoding=encoding,
            stated_bytes=None,
            max_bytes=self._max_image_bytes,
        )

    def _lost(self, record: RawRecord, number: int, *, frames: int) -> Iterator[Defect]:
        """Say that a header or an end never came; lost frames show in the gaps of their own numbers."""
        last, self._last_message = self._last_message, number
        missing = 0 if last is None else number - last - 1 - frames
        if missing > 0:
            yield defect_of(record, LOST, f"{missing} messages before number {number} never arrived")


def with_bslz4_head(blob: bytes, expected: int) -> bytes:
    """Return a chunk of HDF5's bitshuffle filter.

    Parameters
    ----------
    blob
        Such a chunk, or one without its head, as the bitshuffle library makes it.
    expected
        Bytes that come of it; a head says the same first.
    """
    if not 0 <= expected < 1 << 63 or blob[:8] == expected.to_bytes(8, "big"):
        return blob
    return _HEAD.pack(expected, _BLOCK_BYTES) + blob

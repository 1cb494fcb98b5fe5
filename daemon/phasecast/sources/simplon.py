"""DECTRIS SIMPLON stream V1 ("legacy"): frames of an EIGER, or of a bridge that speaks like one, over ZMQ.

Sources of the format: the DECTRIS documentation and streams of real detectors. A message is one or more JSON
parts, each with an ``htype``, and binary blobs between them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from phasecast.core.errors import WireError
from phasecast.core.frame import Frame
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.sources.json_part import MAX_JSON_BYTES, parse_part
from phasecast.sources.simplon_blob import decode_image
from phasecast.sources.simplon_cbor import looks_like_cbor
from phasecast.sources.simplon_frame import (
    CORRUPT_HEADER,
    MALFORMED,
    FrameIdentity,
    defect_of,
    product_of,
)
from phasecast.sources.zmq_receiver import MAX_PARTS

CHANNEL = Channel("simplon")
_Natural = Annotated[int, Field(ge=0, lt=2**63)]


class _Head(BaseModel):
    htype: str
    series: _Natural | None = None
    frame: _Natural | None = None
    header_detail: Literal["none", "basic", "all"] | None = None


class _Blob(BaseModel):
    htype: Literal["dimage_d-1.0"]
    shape: Annotated[list[_Natural], Field(min_length=2, max_length=3)]
    type: str
    encoding: str
    size: _Natural | None = None


class _Times(BaseModel):
    start_time: _Natural | None = None
    real_time: _Natural | None = None


class SimplonDecoder:
    """Turns SIMPLON V1 messages into series and frames.

    A frame is named by ``<series>/<frame>``; its keys are its number and ``series:<series>/<frame>``. Times are
    those of the detector's clock, whose zero is arbitrary.

    Parameters
    ----------
    max_image_bytes
        Largest image, uncompressed, that is decoded.
    """

    def __init__(self, *, max_image_bytes: int = 128 << 20) -> None:
        self._max_image_bytes = max_image_bytes
        self._open_series: str | None = None

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record; what cannot be read becomes a Defect."""
        try:
            if not 1 <= len(record.parts) <= MAX_PARTS:
                raise WireError(f"{len(record.parts)} parts or more, at most {MAX_PARTS} are possible")
            if looks_like_cbor(record.parts):
                raise WireError("stream V2 (CBOR) came over an address of V1: write simplon2://")
            head = parse_part(_Head, record.parts[0])
            if head.htype == "dimage-1.0":
                yield self._image(record, head)
            elif head.htype == "dheader-1.0":
                yield from self._header(record, head)
            elif head.htype == "dseries_end-1.0":
                yield self._end(record, _need(head.series, "series"))
            else:
                raise WireError(f"unknown htype {head.htype[:40]!r}")
        except WireError as error:
            yield defect_of(record, MALFORMED, str(error))

    def _header(self, record: RawRecord, head: _Head) -> Iterator[Message]:
        series = str(_need(head.series, "series"))
        if self._open_series is not None and self._open_series != series:
            # The end message of an aborted series may never come.
            yield SeriesEnd(series=self._open_series, received_s=record.received_s)
        self._open_series = series
        detail = head.header_detail or ("none" if len(record.parts) < 2 else "basic")
        settings: Mapping[str, Any] = {}
        if detail != "none":
            try:
                settings = _parse_object(record.parts[1] if len(record.parts) > 1 else b"")
            except WireError as error:
                yield defect_of(record, CORRUPT_HEADER, f"series {series}: {error}")
        fixed_parts = {"none": 1, "basic": 2, "all": 8}[detail]
        if len(record.parts) > fixed_parts:
            appendix = record.parts[-1][:MAX_JSON_BYTES].decode("utf-8", "replace")
            settings = {**settings, "header_appendix": appendix}
        yield SeriesStart(
            series=series,
            received_s=record.received_s,
            expected_frames=product_of(settings.get("nimages"), settings.get("ntrigger", 1)),
            settings=settings,
        )

    def _end(self, record: RawRecord, series: int) -> SeriesEnd:
        if self._open_series == str(series):  # the late end of an aborted series ends no other
            self._open_series = None
        return SeriesEnd(series=str(series), received_s=record.received_s)

    def _image(self, record: RawRecord, head: _Head) -> Frame | Defect:
        identity = self._identify(record, head)
        try:
            if len(record.parts) < 3:
                raise WireError(f"{len(record.parts)} parts where an image has four")
            blob = parse_part(_Blob, record.parts[1])
            image = decode_image(
                record.parts[2],
                shape=blob.shape,
                dtype=blob.type,
                encoding=blob.encoding,
                stated_bytes=blob.size,
                max_bytes=self._max_image_bytes,
            )
        except WireError as error:
            return identity.defect(error, record)
        return identity.frame(image, record)

    def _identify(self, record: RawRecord, head: _Head) -> FrameIdentity:
        times = _Times()
        if len(record.parts) > 3:
            with suppress(WireError):
                times = parse_part(_Times, record.parts[3])
        series = _need(head.series, "series")
        return FrameIdentity(
            series=str(series),
            series_id=series,
            number=_need(head.frame, "frame"),
            hardware_s=None if times.start_time is None else times.start_time / 1e9,
            exposure_s=None if times.real_time is None else times.real_time / 1e9,
        )


def _need(value: int | None, name: str) -> int:
    if value is None:
        raise WireError(f"{name} is missing")
    return value


def _parse_object(part: bytes) -> dict[str, Any]:
    if len(part) > MAX_JSON_BYTES:
        raise WireError(f"{len(part)} bytes of JSON")
    try:
        content = json.loads(part)
    except (ValueError, RecursionError) as error:
        raise WireError(f"detector settings are no JSON ({error})") from error
    if not isinstance(content, dict):
        raise WireError("detector settings are no JSON object")
    return content

"""DECTRIS SIMPLON stream V2 (CBOR): frames of an EIGER, EIGER2 or PILATUS4, or of a bridge that speaks like one.

Sources of the format: the DECTRIS documentation of the stream and streams of real detectors. A message is one part.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from phasecast.core.errors import WireError
from phasecast.core.frame import Frame
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.sources.simplon_cbor import decode_image, looks_like_cbor, read_message
from phasecast.sources.simplon_frame import MALFORMED, FrameIdentity, defect_of, product_of

CHANNEL = Channel("simplon2")
CHOSEN = "image_channel"
"""Setting of a series that names the channel whose images are taken."""

_Model = TypeVar("_Model", bound=BaseModel)
_Natural = Annotated[int, Field(ge=0, lt=2**63)]
_Seconds = tuple[_Natural, Annotated[int, Field(gt=0, lt=2**63)]] | None
"""Numerator and denominator."""
_MOST_NAME = 64
_MOST_TEXT = 1 << 16


class _Head(BaseModel):
    type: Annotated[str, Field(max_length=_MOST_NAME)]
    series_id: _Natural
    series_unique_id: Annotated[str, Field(max_length=_MOST_NAME)] = ""

    @property
    def series(self) -> str:
        """Its name: a restarted detector counts series from 1 again, with other unique ids."""
        unique = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.series_unique_id)
        return f"{self.series_id}.{unique}" if unique else str(self.series_id)


class _Start(_Head):
    type: Literal["start"]
    number_of_images: Any = None
    channels: list[str] = []


class _Image(_Head):
    image_id: _Natural


class _Times(BaseModel):
    start_time: _Seconds = None
    real_time: _Seconds = None


class Simplon2Decoder:
    """Turns SIMPLON V2 messages into series and frames.

    A frame is named by ``<series>/<number>``, where the series is its number and its unique id. Its keys are its number
    and ``series:<series number>/<number>``. Times are those of the detector's clock since the start of the series.

    Parameters
    ----------
    image_channel
        Channel whose images are taken, such as ``threshold_1``; may be empty where a stream has one.
    max_image_bytes
        Largest image, uncompressed, that is decoded.
    """

    def __init__(self, *, image_channel: str = "", max_image_bytes: int = 128 << 20) -> None:
        self._image_channel = image_channel
        self._max_image_bytes = max_image_bytes
        self._open_series: str | None = None

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record; what cannot be read becomes a Defect."""
        try:
            if len(record.parts) != 1 or not looks_like_cbor(record.parts):
                raise _no_cbor(record)
            message = read_message(record.parts[0])
            kind = message.get("type")
            if kind == "image":
                yield self._image(record, message)
            elif kind == "start":
                yield from self._start(record, message)
            elif kind == "end":
                yield self._end(record, _parse(_Head, message))
            else:
                raise WireError(f"unknown type {kind!s:.40}")
        except WireError as error:
            yield defect_of(record, MALFORMED, str(error))

    def _start(self, record: RawRecord, message: Mapping[str, Any]) -> Iterator[Message]:
        start = _parse(_Start, message)
        if self._open_series is not None and self._open_series != start.series:
            # The end message of an aborted series may never come.
            yield SeriesEnd(series=self._open_series, received_s=record.received_s)
        self._open_series = start.series
        settings = {name: told for name, value in message.items() if (told := _tellable(value)) is not None}
        chosen = self._image_channel or (start.channels[0] if len(start.channels) == 1 else "")
        yield SeriesStart(
            series=start.series,
            received_s=record.received_s,
            expected_frames=product_of(start.number_of_images),
            settings=settings | ({CHOSEN: chosen} if chosen else {}),
        )

    def _end(self, record: RawRecord, head: _Head) -> SeriesEnd:
        if self._open_series == head.series:  # the late end of an aborted series ends no other
            self._open_series = None
        return SeriesEnd(series=head.series, received_s=record.received_s)

    def _image(self, record: RawRecord, message: Mapping[str, Any]) -> Frame | Defect:
        head = _parse(_Image, message)
        identity = FrameIdentity(
            series=head.series,
            series_id=head.series_id,
            number=head.image_id,
            hardware_s=_seconds(message, "start_time"),
            exposure_s=_seconds(message, "real_time"),
        )
        try:
            image = decode_image(self._choose(message.get("data")), max_bytes=self._max_image_bytes)
        except WireError as error:
            return identity.defect(error, record)
        return identity.frame(image, record)

    def _choose(self, images: object) -> object:
        if not isinstance(images, Mapping) or not images:
            raise WireError("the message holds no image")
        if self._image_channel:
            if self._image_channel not in images:
                raise WireError(f"no channel {self._image_channel!r}, the stream has {_names(images)}")
            return images[self._image_channel]
        if len(images) > 1:
            first = next(iter(images))
            raise WireError(f"the stream has {_names(images)}: choose one with ?channel={first!s:.40} in its address")
        return next(iter(images.values()))


def _no_cbor(record: RawRecord) -> WireError:
    if record.parts and record.parts[0].lstrip()[:1] == b"{":
        return WireError("stream V1 (JSON) came over an address of V2: write simplon://")
    return WireError(f"{len(record.parts)} parts that do not begin as CBOR, where one is possible")


def _names(images: Mapping[Any, Any]) -> str:
    return f"{len(images)} channels: " + ", ".join(str(name)[:40] for name in list(images)[:8])


def _seconds(message: Mapping[str, Any], name: str) -> float | None:
    try:
        value = _Times.model_validate({name: message.get(name)})
    except ValidationError:
        return None
    pair: _Seconds = getattr(value, name)
    return None if pair is None else pair[0] / pair[1]


def _parse(model: type[_Model], message: Mapping[str, Any]) -> _Model:
    try:
        return model.model_validate(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "message"
        raise WireError(f"{where}: {first['msg']}") from error


def _tellable(value: object, depth: int = 8) -> Any:
    """Return what can be written as JSON of a setting; None of arrays, bytes and what is too long or deep."""
    match value:
        case bool() | int() | float():
            return value
        case str() if len(value) <= _MOST_TEXT:
            return value
        case date():
            return value.isoformat()
        case Mapping() if depth:
            pairs = {str(key)[:_MOST_NAME]: _tellable(entry, depth - 1) for key, entry in value.items()}
            return {key: entry for key, entry in pairs.items() if entry is not None}
        case list() | tuple() if depth and len(value) <= _MOST_TEXT:
            entries = [_tellable(entry, depth - 1) for entry in value]
            return None if None in entries else entries
    return None

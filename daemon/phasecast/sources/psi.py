"""Frames as PSI's tools and areaDetector's ZMQ plugin send them: ``pilatus-1.0`` (a whole file) and ``array-1.0``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Literal

import zmq
from pydantic import BaseModel, Field

from phasecast.core.errors import FrameError, WireError
from phasecast.core.frame import Frame, FrameId, FrameReference, counter_key, file_key
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message
from phasecast.sources.filed_frame import FiledFrame
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.frame_header import compile_position_fields, parse_header
from phasecast.sources.frame_name import parse_frame_name
from phasecast.sources.frame_sidecar import ContradictionError, stated_numbers
from phasecast.sources.json_part import parse_part
from phasecast.sources.running_number import RunningNumber
from phasecast.sources.simplon_blob import decode_image
from phasecast.sources.simplon_frame import CORRUPT_FRAME, MALFORMED, FrameIdentity, defect_of
from phasecast.sources.zmq_receiver import ZmqReceiver

CHANNEL = Channel("psi")
SOCKETS = ("sub", "pull", "bind")
"""Connect to a PUB, connect to a PUSH, or wait at the address for a PUSH that connects."""

_HIGH_WATER_MARK = 1000
_EPICS_EPOCH_S = 631_152_000
"""1990-01-01 as POSIX time: areaDetector counts seconds from there."""
_ATTRIBUTES = re.compile(rb',\s*"ndattr"\s*:.*', re.DOTALL)
_Natural = Annotated[int, Field(ge=0, lt=2**53)]


class _Head(BaseModel):
    htype: str | Annotated[list[str], Field(min_length=1, max_length=1)]

    @property
    def kind(self) -> str:
        return self.htype if isinstance(self.htype, str) else self.htype[0]


class _File(BaseModel):
    filename: Annotated[str, Field(min_length=1, max_length=1024)]
    path: Annotated[str, Field(max_length=4096)] = ""


class _Array(BaseModel):
    type: str
    shape: Annotated[list[_Natural], Field(min_length=2, max_length=3)]
    frame: _Natural
    time_stamp: Annotated[float | None, Field(alias="timeStamp")] = None
    encoding: str = ""
    endianness: Literal["little", "big"] = "little"
    ndattr: dict[str, Any] = {}


class PsiReceiver(ZmqReceiver):
    """Records the messages of a PUB or PUSH socket.

    Parameters
    ----------
    address
        Such as ``tcp://host:9999``.
    channel
        Name of the wire in the capture.
    socket
        One of `SOCKETS`.
    """

    def __init__(self, address: str, *, channel: Channel = CHANNEL, socket: str = "sub") -> None:
        kind = zmq.SUB if socket == "sub" else zmq.PULL
        super().__init__(channel, address, kind=kind, high_water_mark=_HIGH_WATER_MARK)
        self._binds = socket == "bind"

    def _attach(self, socket: zmq.Socket[bytes]) -> None:
        if self._binds:
            socket.bind(self._address)
        else:
            super()._attach(socket)


class PsiDecoder:
    """Turns the messages into frames; what was lost shows in the gaps of their numbers.

    Parameters
    ----------
    max_image_bytes
        Largest image, uncompressed, that is decoded.
    position_fields, number_pattern, number_fields
        How headers and names of the files in ``pilatus-1.0`` are read: see `FileDecoder`. The same names are looked
        for among the attributes of ``array-1.0``.
    """

    def __init__(
        self,
        *,
        max_image_bytes: int = 128 << 20,
        position_fields: Mapping[str, str] | None = None,
        number_pattern: re.Pattern[str] | None = None,
        number_fields: Sequence[str] = (),
    ) -> None:
        self._max_image_bytes = max_image_bytes
        self._positions = compile_position_fields(position_fields or {})
        self._number_pattern = number_pattern
        self._number_fields = tuple(number_fields)
        self._running = RunningNumber(CHANNEL)

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the frame of one record, or the Defect that it is."""
        try:
            if len(record.parts) != 2:
                raise WireError(f"{len(record.parts)} parts where a frame has two")
            head, attributes = record.parts[0], True
            try:
                kind = parse_part(_Head, head).kind
            except WireError:
                # The plugin writes attributes unescaped: a nan or a backslash in one breaks the JSON of them all.
                head, attributes = _ATTRIBUTES.sub(b"}", head), False
                kind = parse_part(_Head, head).kind
            if kind == "pilatus-1.0":
                yield self._file(record, parse_part(_File, head))
            elif kind == "array-1.0":
                # Before version 1.4 of the plugin htype was a list, and the shape began with the width.
                by_rows = isinstance(parse_part(_Head, head).htype, str)
                yield self._array(record, parse_part(_Array, head), by_rows=by_rows, attributes=attributes)
            else:
                raise WireError(f"htype {kind[:40]!r} is neither pilatus-1.0 nor array-1.0")
        except WireError as error:
            yield defect_of(record, MALFORMED, str(error))

    def _array(self, record: RawRecord, array: _Array, *, by_rows: bool, attributes: bool) -> Frame | Defect:
        stamp = array.time_stamp
        identity = FrameIdentity(
            series=self._running.series_of(array.frame, record),
            series_id=None,
            number=array.frame,
            hardware_s=stamp + _EPICS_EPOCH_S if stamp is not None and isfinite(stamp) else None,
            exposure_s=None,
        )
        try:
            if not attributes and self._number_fields:
                raise WireError(f"its attributes are no JSON, and {', '.join(self._number_fields)} must be read there")
            if array.encoding:
                # A compressed array comes with as many bytes as it had before, and nothing says how many count.
                raise WireError(f"encoding {array.encoding[:20]!r}: switch the codec off before the ZMQ plugin")
            shape = array.shape[-2:] if by_rows else array.shape[:2]
            if len(array.shape) == 3 and (array.shape[0] if by_rows else array.shape[2]) != 1:
                raise WireError(f"shape {array.shape} is not one image")
            image = decode_image(
                record.parts[1],
                shape=shape[::-1] if by_rows else shape,
                dtype=array.type,
                encoding="<" if array.endianness == "little" else ">",
                stated_bytes=None,
                max_bytes=self._max_image_bytes,
            )
        except WireError as error:
            return identity.defect(error, record)
        return identity.frame(image, record, named_numbers(array.ndattr, self._number_fields))

    def _file(self, record: RawRecord, file: _File) -> Frame | Defect:
        base = file.filename.rpartition("/")[2] or file.filename
        parsed = parse_frame_name(base, self._number_pattern)
        number = parsed.number if parsed else 0
        folder = file.path.strip("/")
        series = "/".join(filter(None, (folder, parsed.series if parsed else base)))
        place = record.position
        filed = FiledFrame(
            file=base,
            frame_id=FrameId(f"{series}/{base}"),
            series=series,
            number=number,
            keys=(file_key(base), *((counter_key(number),) if parsed else ())),
            reference=FrameReference(store="capture", path=place.segment, offset=place.offset, number=number),
        )
        try:
            content = read_frame_file(base, record.parts[1], max_bytes=self._max_image_bytes)
            scalars = stated_numbers(content.header, b"", self._number_fields, where=base)
        except (FrameError, ContradictionError) as error:
            return filed.defect(CORRUPT_FRAME, error.what, record)
        return filed.frame(content.image, parse_header(content.header, self._positions), record, scalars=scalars)


def named_numbers(attributes: Mapping[str, Any], fields: Sequence[str]) -> dict[str, float]:
    """Return those attributes that are asked for and are finite numbers."""
    return {
        field: float(value)
        for field in fields
        if isinstance(value := attributes.get(field), int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and isfinite(value)
    }

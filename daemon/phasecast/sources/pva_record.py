"""What is recorded of an NTNDArray update, and the frame that it is.

Source of the format: EPICS normative types (NTNDArray) and areaDetector's codec plugin. `codec.parameters` is the type
of the pixels before compression, as EPICS numbers its scalar types.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from phasecast.core.errors import FrameError, WireError
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Message
from phasecast.sources.hdf5_chunk import decode_chunk
from phasecast.sources.json_part import parse_part
from phasecast.sources.psi import named_numbers
from phasecast.sources.running_number import RunningNumber
from phasecast.sources.simplon_blob import decode_image
from phasecast.sources.simplon_frame import MALFORMED, FrameIdentity, defect_of
from phasecast.sources.stins import with_bslz4_head

CHANNEL = Channel("pva")

_SCALAR_TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_FRESH_S = 2.0
_Natural = Annotated[int, Field(ge=0, lt=2**53)]


class ArrayNote(BaseModel):
    """What is recorded of an update besides its bytes.

    Parameters
    ----------
    pv
        Name of the process variable.
    unique_id
        The detector's running number.
    codec, parameters
        Of the compression.
    compressed, uncompressed
        Bytes that are stated.
    dimension
        Pixels along each dimension, the fast one first.
    dtype
        numpy's name of the type that the bytes came as.
    stamp_s
        POSIX time at which the detector took it.
    attributes
        Numbers and short texts that came with it.
    initial
        Whether it is what the server held when we connected: taken at any time before.
    problem
        Why no bytes are recorded with it; empty if they are.
    """

    pv: str
    unique_id: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    codec: str = ""
    parameters: int | None = None
    compressed: int = 0
    uncompressed: int = 0
    dimension: Annotated[list[_Natural], Field(max_length=10)] = []
    dtype: str = ""
    stamp_s: float | None = None
    attributes: dict[str, float | str] = {}
    initial: bool = False
    problem: str = ""

    def to_part(self) -> bytes:
        """Return it as the first part of a record."""
        return json.dumps(self.model_dump(exclude_defaults=True)).encode()


class PvaDecoder:
    """Turns recorded updates into frames; a server drops what we do not fetch in time, which the gaps of numbers show.

    Parameters
    ----------
    max_image_bytes
        Largest image, uncompressed, that is decoded.
    number_fields
        Attributes whose numbers become scalars of the frame.
    """

    def __init__(self, *, max_image_bytes: int = 128 << 20, number_fields: Sequence[str] = ()) -> None:
        self._max_image_bytes = max_image_bytes
        self._number_fields = tuple(number_fields)
        self._running = RunningNumber(CHANNEL)

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the frame of one record, or the Defect that it is.

        What the server held when we connected is no frame if it was one before, or was taken before we listened.
        """
        try:
            if not 1 <= len(record.parts) <= 2:
                raise WireError(f"{len(record.parts)} parts where an update has one or two")
            note = parse_part(ArrayNote, record.parts[0])
            if note.initial and (not note.dtype or self._is_old(note, record)):
                return
            if not note.dtype and note.problem:
                raise WireError(f"{note.pv[:60]}: {note.problem[:200]}")
            if note.unique_id < 0:
                raise WireError(f"uniqueId {note.unique_id} is no number from 0")
            identity = FrameIdentity(
                series=self._running.series_of(note.unique_id, record),
                series_id=None,
                number=note.unique_id,
                hardware_s=note.stamp_s if note.stamp_s is not None and isfinite(note.stamp_s) else None,
                exposure_s=None,
            )
        except WireError as error:
            yield defect_of(record, MALFORMED, str(error))
            return
        try:
            image = self._pixels(record, note)
        except (WireError, FrameError) as error:
            yield identity.defect(error, record)
        else:
            yield identity.frame(image, record, named_numbers(note.attributes, self._number_fields))

    def _is_old(self, note: ArrayNote, record: RawRecord) -> bool:
        last = self._running.last
        if last is not None and note.unique_id >= last:
            return note.unique_id == last
        # Nothing tells where it belongs but its time; a clock that differs makes a loss of it, and never a frame of
        # an earlier scan one of this.
        return note.stamp_s is None or not abs(record.received_s - note.stamp_s) < _FRESH_S

    def _pixels(self, record: RawRecord, note: ArrayNote) -> NDArray[np.integer]:
        if note.problem or len(record.parts) != 2:
            raise WireError(note.problem or "no bytes came with it")
        shape = [size for size in note.dimension if size != 1] if len(note.dimension) > 2 else note.dimension
        if len(shape) != 2:
            raise WireError(f"dimensions {note.dimension} are not one image")
        dtype = note.dtype
        if note.codec:
            if note.parameters is None or not 0 <= note.parameters < len(_SCALAR_TYPES):
                raise WireError(f"codec {note.codec[:20]!r} with parameters {note.parameters}: type of pixels unknown")
            dtype = _SCALAR_TYPES[note.parameters]
        blob, encoding = record.parts[1], "<"
        if dtype.startswith(("int", "uint")):
            size = np.dtype(dtype).itemsize
            if note.codec == "lz4":
                encoding = "lz4<"
            elif note.codec == "bslz4":
                blob, encoding = with_bslz4_head(blob, shape[0] * shape[1] * size), f"bs{8 * size}-lz4<"
            elif note.codec == "lz4hdf5":
                return decode_chunk(
                    blob,
                    shape=(shape[1], shape[0]),
                    dtype=f"<{np.dtype(dtype).str[1:]}",
                    encoding="lz4",
                    max_bytes=self._max_image_bytes,
                )
            elif note.codec:
                raise WireError(f"codec {note.codec[:20]!r} is not read: let the plugin use none, lz4 or bslz4")
        return decode_image(
            blob,
            shape=shape,
            dtype=dtype,
            encoding=encoding,
            stated_bytes=None,
            max_bytes=self._max_image_bytes,
        )


def plain_attributes(attributes: Mapping[str, Any]) -> dict[str, float | str]:
    """Return the attributes that are finite numbers or short texts."""
    plain: dict[str, float | str] = {}
    for name, value in attributes.items():
        if isinstance(value, str):
            plain[name] = value[:256]
        elif isinstance(value, bool | int | float) and abs(value) < 1e300 and isfinite(value):
            plain[name] = float(value)
    return plain

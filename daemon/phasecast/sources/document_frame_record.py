"""What is recorded of frames and positions that documents name and that lie in files."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import cbor2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from phasecast.core.errors import WireError
from phasecast.core.record import Channel, RawRecord

CHANNEL = Channel("document_frames")

_Text = Annotated[str, Field(max_length=4096)]
_Natural = Annotated[int, Field(ge=0, lt=2**41)]


class ImageNote(BaseModel):
    """How one image in the record is packed; see `decode_chunk`."""

    model_config = ConfigDict(strict=True)

    rows: Annotated[int, Field(gt=0, lt=2**20)]
    cols: Annotated[int, Field(gt=0, lt=2**20)]
    dtype: Annotated[str, Field(max_length=8)]
    encoding: Annotated[str, Field(max_length=40)]


class FrameNote(BaseModel):
    """A frame: a file of its own, or images that follow the note and are added up."""

    model_config = ConfigDict(strict=True)

    kind: Literal["frame"]
    run: _Text
    series: _Text
    number: _Natural
    keys: Annotated[list[_Text], Field(max_length=4)]
    path: _Text
    size: _Natural = 0
    sha256: Annotated[str, Field(max_length=64)] = ""
    images: Annotated[list[ImageNote], Field(max_length=100)] = []
    problem: Annotated[str, Field(max_length=1000)] = ""
    is_late: bool = False


class RowsNote(BaseModel):
    """Points of a fly scan; the columns are little-endian float64, NaN where nothing could be read."""

    model_config = ConfigDict(strict=True)

    kind: Literal["rows"]
    run: _Text
    name: _Text
    first_seq: _Natural
    count: Annotated[int, Field(gt=0, le=100_000)]
    axes: Annotated[list[_Text], Field(max_length=16)]
    columns: dict[str, bytes]
    has_frames: bool
    time_s: float
    problems: Annotated[list[_Text], Field(max_length=64)] = []

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a column, shape (count,)."""
        return np.frombuffer(self.columns[name], "<f8").astype(np.float64)


_NOTE: TypeAdapter[FrameNote | RowsNote] = TypeAdapter(Annotated[FrameNote | RowsNote, Field(discriminator="kind")])


def encode_note(note: Mapping[str, Any], images: list[bytes] | None = None) -> list[bytes]:
    """Return the parts of a record."""
    return [bytes(cbor2.dumps(note)), *(images or ())]


def decode_note(record: RawRecord) -> FrameNote | RowsNote:
    """Return what was recorded; raises WireError if the record is none."""
    try:
        note = _NOTE.validate_python(cbor2.loads(record.parts[0]))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"record of a frame: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (cbor2.CBORError, IndexError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise WireError(f"record of a frame is no CBOR ({error})") from error
    if isinstance(note, FrameNote) and len(record.parts) - 1 not in {len(note.images), 1 if note.sha256 else 0}:
        raise WireError(f"{len(record.parts) - 1} images follow where {len(note.images)} are announced")
    if isinstance(note, RowsNote) and any(len(column) != 8 * note.count for column in note.columns.values()):
        raise WireError("columns of recorded points differ in length")
    return note

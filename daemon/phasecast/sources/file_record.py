"""What is recorded of a frame file: path, size, time and SHA-256, and the bytes of its sidecar."""

from dataclasses import asdict, dataclass
from typing import Annotated

import cbor2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasecast.core.errors import WireError
from phasecast.core.record import Channel, RawRecord
from phasecast.sources.file_names import readable_name

CHANNEL = Channel("files")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameInFile:
    """Where a frame lies in a file of many, and how its bytes are read.

    Parameters
    ----------
    index
        Its place.
    rows, cols
        Its shape.
    dtype
        numpy's name of the pixels' type, with byte order.
    encoding
        See `phasecast.sources.hdf5_chunk.encoding_of`.
    is_single
        Whether the file holds this one frame and is numbered by its name.
    """

    index: int
    rows: int
    cols: int
    dtype: str
    encoding: str
    is_single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file that can be recorded.

    Parameters
    ----------
    path
        Where it lies.
    name
        Path relative to the watched folder, with forward slashes.
    size
        Bytes.
    mtime_s
        POSIX time of its last change.
    sha256
        Of its bytes; empty if they could not be read.
    problem
        Why it is given up; empty for a complete frame.
    corrupt
        Whether it is given up because waiting cannot help.
    sidecar
        Bytes of its sidecar; empty if it needs none.
    lacks_sidecar
        Whether the frame is complete and its sidecar is the problem.
    content
        The file's bytes, where they are kept; else empty. Those of one frame if there are many in the file.
    frame
        Which frame of the file it is, where a file holds many.
    """

    path: str
    name: str
    size: int
    mtime_s: float
    sha256: str
    problem: str = ""
    corrupt: bool = False
    sidecar: bytes = b""
    lacks_sidecar: bool = False
    content: bytes = b""
    frame: FrameInFile | None = None


class FrameNote(BaseModel):
    """What is recorded of the place of a frame in a file of many."""

    model_config = ConfigDict(strict=True)

    index: Annotated[int, Field(ge=0, lt=1 << 53)]
    rows: Annotated[int, Field(ge=1, lt=1 << 31)]
    cols: Annotated[int, Field(ge=1, lt=1 << 31)]
    dtype: Annotated[str, Field(max_length=8)]
    encoding: Annotated[str, Field(max_length=40)]
    is_single: bool = False


class FileNote(BaseModel):
    """What is recorded of a file."""

    model_config = ConfigDict(strict=True)

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Annotated[int, Field(ge=0)]
    mtime_s: float
    sha256: str
    problem: str = ""
    corrupt: bool = False
    sidecar: bytes = b""
    lacks_sidecar: bool = False
    frame: FrameNote | None = None


def encode_file(found: FoundFile) -> list[bytes]:
    """Return the parts of a record."""
    note = asdict(found) | {"path": readable_name(found.path), "name": readable_name(found.name)}
    content = note.pop("content")
    parts = [bytes(cbor2.dumps(note))]
    return [*parts, content] if content else parts


def decode_file(record: RawRecord) -> FileNote:
    """Return what is recorded of a file.

    Raises
    ------
    WireError
        If the record is none.
    """
    if not 1 <= len(record.parts) <= 2:
        raise WireError(f"{len(record.parts)} parts where a file record has one or two")
    try:
        return FileNote.model_validate(cbor2.loads(record.parts[0]))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"file record: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise WireError(f"file record is no CBOR ({error})") from error

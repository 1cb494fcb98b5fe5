"""Recorded frame files into frames."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from phasecast.core.errors import FrameError, WireError
from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference, counter_key, file_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message
from phasecast.sources.file_names import readable_name
from phasecast.sources.file_record import FileNote, decode_file
from phasecast.sources.filed_frame import FiledFrame
from phasecast.sources.frame_file import FrameContent, read_frame_file
from phasecast.sources.frame_header import FrameHeader, compile_position_fields, parse_header
from phasecast.sources.frame_name import HDF5_SUFFIXES, format_suffix, parse_frame_name
from phasecast.sources.frame_sidecar import ContradictionError, stated_numbers
from phasecast.sources.hdf5_chunk import decode_chunk
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.recorded_file import FileChangedError, read_verified

CORRUPT_FRAME = "corrupt frame"
INCOMPLETE_FILE = "incomplete file"
CHANGED_FILE = "changed file"
SIDECAR = "no usable sidecar"
CONTRADICTION = "contradicting headers"
MALFORMED = "malformed record"


class FileDecoder:
    """Reads the recorded files into frames.

    A frame is named by its path below the watched folder; its keys are the file's name and its number.

    Parameters
    ----------
    file_roots
        Folders to look in when a file has moved since it was recorded.
    position_fields, um_per_number
        See `compile_position_fields`.
    position_in_sidecar
        Whether the sidecar states them, and not the header.
    number_pattern, raw_shape, max_bytes
        See `FolderWatch`.
    number_fields
        Keys whose numbers become scalars of the frame; stated by its header or its sidecar.
    needs_sidecar
        Whether a frame without a sidecar is a defect.
    budget
        Cap on reading, shared with the receiver; None for no cap.
    """

    def __init__(
        self,
        *,
        file_roots: Sequence[Path] = (),
        position_fields: Mapping[str, str] | None = None,
        um_per_number: Mapping[str, float] | None = None,
        position_in_sidecar: bool = False,
        number_pattern: re.Pattern[str] | None = None,
        raw_shape: tuple[int, int] | None = None,
        max_bytes: int = 256 << 20,
        number_fields: Sequence[str] = (),
        needs_sidecar: bool = False,
        budget: ReadBudget | None = None,
    ) -> None:
        self._budget = budget
        self._number_fields = tuple(number_fields)
        self._needs_sidecar = needs_sidecar
        self._file_roots = tuple(file_roots)
        self._um_per_number = dict(um_per_number or {})
        self._positions = compile_position_fields(position_fields or {}, self._um_per_number)
        self._position_in_sidecar = position_in_sidecar
        self._number_pattern = number_pattern
        self._raw_shape = raw_shape
        self._max_bytes = max_bytes

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the frame of one recorded file, or the Defect that it is."""
        try:
            note = decode_file(record)
        except WireError as error:
            yield Defect(reason=MALFORMED, detail=str(error), channel=record.channel, received_s=record.received_s)
            return
        yield self._read(record, note)

    def _read(self, record: RawRecord, note: FileNote) -> Frame | Defect:
        base = PurePosixPath(note.name).name
        filed = _identified(note, self._number_pattern)
        reference = filed.reference if note.frame is None else _in_capture(record, filed.reference)
        reason, detail = CORRUPT_FRAME if note.corrupt else INCOMPLETE_FILE, note.problem
        if note.lacks_sidecar or (self._needs_sidecar and not note.problem and not note.sidecar):
            reason, detail = SIDECAR, note.problem or "no sidecar was recorded with it"
        elif not note.problem:
            try:
                content, reference = self._content(record, note, reference)
                frame = self._read_content(base, content, note)
                scalars = stated_numbers(frame.header, note.sidecar, self._number_fields, where=base)
            except ContradictionError as error:
                reason, detail = CONTRADICTION, error.what
            except FileChangedError as error:
                reason, detail = CHANGED_FILE, error.what
            except FrameError as error:
                reason, detail = CORRUPT_FRAME, error.what
            else:
                header = self._header(frame, note.sidecar)
                return filed.frame(frame.image, header, record, reference=reference, scalars=scalars)
        return filed.defect(reason, detail, record, reference=reference)

    def _read_content(self, base: str, content: bytes, note: FileNote) -> FrameContent:
        if note.frame is None:
            return read_frame_file(base, content, raw_shape=self._raw_shape, max_bytes=self._max_bytes)
        lies = note.frame
        image = decode_chunk(
            content,
            shape=(lies.rows, lies.cols),
            dtype=lies.dtype,
            encoding=lies.encoding,
            max_bytes=self._max_bytes,
        )
        return FrameContent(image=image, header="")

    def _content(self, record: RawRecord, note: FileNote, reference: FrameReference) -> tuple[bytes, FrameReference]:
        """Return a file's bytes, and where to read them again: in the capture where they were copied to."""
        if len(record.parts) > 1:
            content = record.parts[1]
            if hashlib.sha256(content).hexdigest() != note.sha256:
                raise FrameError("the copy in the capture is not the file that was recorded", where=note.path)
            return content, _in_capture(record, reference)
        if note.frame is not None:
            raise FrameError("the frame's bytes were not recorded with it", where=note.path)
        if self._budget is not None:
            self._budget.take(note.size)
        path, content = read_verified(Path(note.path), note.name, note.sha256, self._file_roots, self._max_bytes)
        return content, replace(reference, path=readable_name(str(path)))

    def _header(self, content: FrameContent, sidecar: bytes) -> FrameHeader:
        beside = sidecar.decode("utf-8", "replace") + "\n" if self._position_in_sidecar else None
        return parse_header(content.header + "\n", self._positions, self._um_per_number, positions_in=beside)


def _in_capture(record: RawRecord, reference: FrameReference) -> FrameReference:
    place = record.position
    return replace(reference, store="capture", path=place.segment, offset=place.offset, sha256="")


def _identified(note: FileNote, pattern: re.Pattern[str] | None) -> FiledFrame:
    """Return what is known of a recorded frame; no id for a file of many frames as a whole."""
    path = PurePosixPath(note.name)
    frame_id: FrameId | None = FrameId(note.name)
    series = str(path.with_suffix(""))
    number: int | None = None
    keys: tuple[FrameKey, ...] = ()
    if note.frame is not None and not note.frame.is_single:
        number = note.frame.index
        frame_id, keys = FrameId(f"{series}/{number}"), (counter_key(number),)
    elif note.frame is None and format_suffix(path.name) in HDF5_SUFFIXES:
        frame_id = None
    else:
        parsed = parse_frame_name(path.name, pattern)
        number = parsed.number if parsed else None
        series = parsed.series if parsed else path.name
        if (folder := str(path.parent)) != ".":
            series = f"{folder}/{series}"
        keys = _keys(path.name, number)
    return FiledFrame(
        file=note.path,
        frame_id=frame_id,
        series=series,
        number=number,
        keys=keys,
        reference=FrameReference(store="file", path=note.path, offset=0, number=number or 0, sha256=note.sha256),
    )


def _keys(base: str, number: int | None) -> tuple[FrameKey, ...]:
    names = [base, base[:-3]] if base.lower().endswith(".gz") else [base]
    keys = [file_key(name) for name in names]
    if number is not None:
        keys.append(counter_key(number))
    return tuple(keys)

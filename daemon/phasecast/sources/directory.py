"""A watched folder of frame files: CBF, TIFF, EDF or bare pixels, as a detector's server leaves them."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import cbor2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasecast.core.errors import FrameError, SourceError, WireError
from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference, counter_key, file_key
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message
from phasecast.sources.file_names import path_of, readable_name
from phasecast.sources.folder_watch import FolderWatch, FoundFile
from phasecast.sources.frame_file import FrameContent, read_frame_file
from phasecast.sources.frame_header import compile_position_fields, parse_header
from phasecast.sources.frame_name import parse_frame_name
from phasecast.sources.frame_sidecar import ContradictionError, stated_numbers
from phasecast.sources.raw_root import places_below
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.receiver import ThreadedReceiver

CHANNEL = Channel("files")

CORRUPT_FRAME = "corrupt frame"
INCOMPLETE_FILE = "incomplete file"
CHANGED_FILE = "changed file"
SIDECAR = "no usable sidecar"
CONTRADICTION = "contradicting headers"
MALFORMED = "malformed record"


class DirectoryReceiver(ThreadedReceiver):
    """Watches a folder and records path, size, time and SHA-256 of every frame file that is complete.

    Parameters
    ----------
    folder
        The folder; its direct sub-folders are watched too. Nothing is written there.
    channel
        Name of the wire in the capture.
    wait
        Whether the folder may appear later.
    poll_s
        Pause between two looks.
    existing, timeout_s, number_pattern, raw_shape, max_bytes, patterns, number_fields, sidecar, budget
        See `FolderWatch`.
    copy_frames
        Whether the files' bytes are recorded too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        channel: Channel = CHANNEL,
        wait: bool = False,
        poll_s: float = 0.05,
        existing: bool = True,
        timeout_s: float = 30.0,
        number_pattern: re.Pattern[str] | None = None,
        raw_shape: tuple[int, int] | None = None,
        max_bytes: int = 256 << 20,
        patterns: Sequence[str] = (),
        number_fields: Sequence[str] = (),
        sidecar: str | None = None,
        budget: ReadBudget | None = None,
        copy_frames: bool = False,
    ) -> None:
        super().__init__(channel)
        self._folder = Path(folder).absolute()
        self._wait = wait
        self._poll_s = poll_s
        self._incomplete = 0
        self._watch = FolderWatch(
            self._folder,
            existing=existing,
            timeout_s=timeout_s,
            number_pattern=number_pattern,
            raw_shape=raw_shape,
            max_bytes=max_bytes,
            patterns=patterns,
            number_fields=number_fields,
            sidecar=sidecar,
            budget=budget,
            wait=self._stopping.wait,
            keep_content=copy_frames,
        )

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``listings`` counts how often the folder was listed."""
        return super().status() | {
            "listings": self._watch.listings,
            "folder": readable_name(str(self._folder)),
            "pending": self._watch.pending,
            "incomplete": self._incomplete,
        }

    def _open(self) -> None:
        if not self._wait and not self._folder.is_dir():
            raise SourceError(
                "the watched folder does not exist",
                where=str(self._folder),
                remedy="make it, or add ?wait=1 to the source if it appears later",
            )

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._state = "watching" if self._folder.is_dir() else "folder missing"
            for found in self._watch.look():
                self._incomplete += bool(found.problem)
                self._record(_encode(found), self._now_s())
                if self._stopping.is_set():
                    return
            self._stopping.wait(self._poll_s)

    def _close(self) -> None:
        pass


class _FileNote(BaseModel):
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


class FileDecoder:
    """Reads the recorded files into frames.

    A frame is named by its path below the watched folder; its keys are the file's name and its number.

    Parameters
    ----------
    file_roots
        Folders to look in when a file has moved since it was recorded.
    position_fields
        See `compile_position_fields`.
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
        self._positions = compile_position_fields(position_fields or {})
        self._number_pattern = number_pattern
        self._raw_shape = raw_shape
        self._max_bytes = max_bytes

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the frame of one recorded file, or the Defect that it is."""
        try:
            note = _decode_note(record)
        except WireError as error:
            yield Defect(reason=MALFORMED, detail=str(error), channel=record.channel, received_s=record.received_s)
            return
        yield self._read(record, note)

    def _read(self, record: RawRecord, note: _FileNote) -> Frame | Defect:
        base = PurePosixPath(note.name).name
        parsed = parse_frame_name(base, self._number_pattern)
        number = parsed.number if parsed else None
        folder = str(PurePosixPath(note.name).parent)
        series = parsed.series if parsed else base
        series = series if folder == "." else f"{folder}/{series}"
        keys = _keys(base, number)
        reference = FrameReference(store="file", path=note.path, offset=0, number=number or 0, sha256=note.sha256)
        reason, detail = CORRUPT_FRAME if note.corrupt else INCOMPLETE_FILE, note.problem
        if note.lacks_sidecar or (self._needs_sidecar and not note.problem and not note.sidecar):
            reason, detail = SIDECAR, note.problem or "no sidecar was recorded with it"
        elif not note.problem:
            try:
                content, reference = self._content(record, note, reference)
                frame = read_frame_file(base, content, raw_shape=self._raw_shape, max_bytes=self._max_bytes)
                scalars = stated_numbers(frame.header, note.sidecar, self._number_fields, where=base)
            except ContradictionError as error:
                reason, detail = CONTRADICTION, error.what
            except FileChangedError as error:
                reason, detail = CHANGED_FILE, error.what
            except FrameError as error:
                reason, detail = CORRUPT_FRAME, error.what
            else:
                return self._frame(
                    record,
                    frame,
                    frame_id=FrameId(note.name),
                    series=series,
                    number=number or 0,
                    keys=keys,
                    scalars=scalars,
                    reference=reference,
                )
        return Defect(
            reason=reason,
            detail=f"{note.path}: {detail}",
            channel=record.channel,
            received_s=record.received_s,
            frame_id=FrameId(note.name),
            number=number,
            frame_keys=keys,
            reference=reference,
            series=series,
        )

    def _content(self, record: RawRecord, note: _FileNote, reference: FrameReference) -> tuple[bytes, FrameReference]:
        """Return a file's bytes, and where to read them again: in the capture where they were copied to."""
        if len(record.parts) > 1:
            content = record.parts[1]
            if hashlib.sha256(content).hexdigest() != note.sha256:
                raise FrameError("the copy in the capture is not the file that was recorded", where=note.path)
            place = record.position
            return content, replace(reference, store="capture", path=place.segment, offset=place.offset, sha256="")
        if self._budget is not None:
            self._budget.take(note.size)
        path, content = read_verified(Path(note.path), note.name, note.sha256, self._file_roots, self._max_bytes)
        return content, replace(reference, path=readable_name(str(path)))

    def _frame(
        self,
        record: RawRecord,
        content: FrameContent,
        *,
        frame_id: FrameId,
        series: str,
        number: int,
        keys: tuple[FrameKey, ...],
        scalars: Mapping[str, float],
        reference: FrameReference,
    ) -> Frame:
        header = parse_header(content.header, self._positions)
        return Frame(
            frame_id=frame_id,
            series=series,
            number=number,
            image=content.image,
            keys=keys,
            received_s=record.received_s,
            hardware_s=header.hardware_s,
            exposure_s=header.exposure_s,
            position_um=header.position_um,
            scalars=scalars,
            reference=reference,
        )


class FileChangedError(FrameError):
    """The file is gone or no longer the one that was recorded."""


def read_verified(
    path: Path, name: str, sha256: str, file_roots: Sequence[Path], max_bytes: int = 256 << 20
) -> tuple[Path, bytes]:
    """Return where a recorded file lies and its bytes.

    Parameters
    ----------
    path
        Where it lay when it was recorded.
    name
        Its path below the watched folder.
    sha256
        What its bytes must hash to.
    file_roots
        Folders to look in if it is not there any more: by its name, and by as much of its path as is there.

    Raises
    ------
    FileChangedError
        If it is gone or has other bytes.
    """
    relative = PurePosixPath(name)
    below = [] if ".." in relative.parts or relative.is_absolute() else [root / relative for root in file_roots]
    changed = False
    for candidate in (path_of(str(path)), *below, *places_below(str(path), file_roots)):
        try:
            if not candidate.is_file() or candidate.stat().st_size > max_bytes:
                continue
            content = candidate.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            return candidate, content
        changed = True
    if changed:
        raise FileChangedError("the file has changed since it was recorded", where=str(path))
    raise FileChangedError(
        "the file is gone", where=str(path), remedy="name the folder that its tree lies in now with --raw-root"
    )


def _keys(base: str, number: int | None) -> tuple[FrameKey, ...]:
    names = [base, base[:-3]] if base.lower().endswith(".gz") else [base]
    keys = [file_key(name) for name in names]
    if number is not None:
        keys.append(counter_key(number))
    return tuple(keys)


def _encode(found: FoundFile) -> list[bytes]:
    note = asdict(found) | {"path": readable_name(found.path), "name": readable_name(found.name)}
    content = note.pop("content")
    parts = [bytes(cbor2.dumps(note))]
    return [*parts, content] if content else parts


def _decode_note(record: RawRecord) -> _FileNote:
    if not 1 <= len(record.parts) <= 2:
        raise WireError(f"{len(record.parts)} parts where a file record has one or two")
    try:
        return _FileNote.model_validate(cbor2.loads(record.parts[0]))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WireError(f"file record: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise WireError(f"file record is no CBOR ({error})") from error

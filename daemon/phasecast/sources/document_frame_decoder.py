"""From recorded frames and positions that documents named to the messages that they are."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError, WireError
from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference, datum_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, ScanUid
from phasecast.sources.document_frame_record import FrameNote, RowsNote, decode_note
from phasecast.sources.filed_frame import FiledFrame
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.frame_header import parse_header
from phasecast.sources.hdf5_chunk import decode_chunk
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.recorded_file import FileChangedError, read_verified

MALFORMED = "malformed record"
ABSENT = "frame file missing"
CORRUPT_FRAME = "corrupt frame"
CHANGED_FILE = "changed file"
UNREADABLE_POSITIONS = "positions cannot be read"


class DocumentFrameDecoder:
    """Decodes what the fetcher of documents' frames recorded.

    Parameters
    ----------
    file_roots
        Folders to look in when a file has moved since it was recorded.
    max_bytes
        Largest frame, uncompressed.
    budget
        Cap on reading, shared with the fetcher; None for no cap.
    recorded
        Told of what is decoded, by series and number: it needs not be fetched again.
    """

    def __init__(
        self,
        *,
        file_roots: Sequence[Path] = (),
        max_bytes: int = 256 << 20,
        budget: ReadBudget | None = None,
        recorded: Callable[[str, int], None] | None = None,
    ) -> None:
        self._recorded = recorded
        self._file_roots = tuple(file_roots)
        self._max_bytes = max_bytes
        self._budget = budget

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the frame or the points of one record, or the Defect that it is."""
        try:
            note = decode_note(record)
        except WireError as error:
            yield Defect(reason=MALFORMED, detail=str(error), channel=record.channel, received_s=record.received_s)
            return
        if self._recorded is not None:
            name, number = (note.name, note.first_seq) if isinstance(note, RowsNote) else (note.series, note.number)
            self._recorded(name, number)
        if isinstance(note, RowsNote):
            yield from self._rows(record, note)
        else:
            yield self._frame(record, note)

    def _rows(self, record: RawRecord, note: RowsNote) -> Iterator[Message]:
        for problem in note.problems:
            detail = f"points {note.first_seq} to {note.first_seq + note.count - 1} of run {note.run[:36]}: {problem}"
            yield Defect(
                reason=UNREADABLE_POSITIONS, detail=detail, channel=record.channel, received_s=record.received_s
            )
        columns = {name: note.column(name).tolist() for name in note.columns}
        for row in range(note.count):
            numbers = {name: column[row] for name, column in columns.items() if isfinite(column[row])}
            seq = note.first_seq + row
            yield PointMeasured(
                uid=ScanUid(note.run),
                index=seq - 1,
                time_s=note.time_s,
                received_s=record.received_s,
                position={name: numbers[name] for name in note.axes if name in numbers},
                scalars={name: value for name, value in numbers.items() if name not in note.axes},
                frame_keys=(datum_key(f"{note.name}/{seq}"),) if note.has_frames else (),
                time_is_measured=False,
            )

    def _frame(self, record: RawRecord, note: FrameNote) -> Frame | Defect:
        place = record.position
        reference = FrameReference(store="capture", path=place.segment, offset=place.offset, number=note.number)
        filed = FiledFrame(
            file=note.path,
            frame_id=FrameId(f"{note.series}/{note.number}"),
            series=note.series,
            number=note.number,
            keys=tuple(map(FrameKey, note.keys)),
            reference=reference,
            run=note.run,
        )
        if note.problem:
            return filed.defect(ABSENT if note.is_late else CORRUPT_FRAME, note.problem, record)
        try:
            image, header, reference = self._read(record, note, reference)
        except FileChangedError as error:
            return filed.defect(CHANGED_FILE, error.what, record)
        except FrameError as error:
            return filed.defect(CORRUPT_FRAME, error.what, record)
        return filed.frame(image, parse_header(header, {}), record, reference=reference)

    def _read(
        self, record: RawRecord, note: FrameNote, reference: FrameReference
    ) -> tuple[NDArray[np.integer], str, FrameReference]:
        """Return a frame, its header, and where to read it again."""
        if not note.sha256:
            return self._summed(record, note), "", reference
        name = Path(note.path).name
        if len(record.parts) > 1:
            content = record.parts[1]
            if hashlib.sha256(content).hexdigest() != note.sha256:
                raise FrameError("the copy in the capture is not the file that was recorded", where=note.path)
        else:
            if self._budget is not None:
                self._budget.take(note.size)
            path, content = read_verified(Path(note.path), name, note.sha256, self._file_roots, self._max_bytes)
            reference = FrameReference(store="file", path=str(path), offset=0, number=note.number, sha256=note.sha256)
        frame = read_frame_file(name, content, max_bytes=self._max_bytes)
        return frame.image, frame.header, reference

    def _summed(self, record: RawRecord, note: FrameNote) -> NDArray[np.integer]:
        """Return the sum of the images; a pixel that is negative in one, as those not to be used are, stays negative.

        Saturation is not hidden: a sum is at least as large as each of its parts.
        """
        images = [
            decode_chunk(
                content,
                shape=(image.rows, image.cols),
                dtype=image.dtype,
                encoding=image.encoding,
                max_bytes=self._max_bytes,
            )
            for image, content in zip(note.images, record.parts[1:], strict=True)
        ]
        if not images or any(image.shape != images[0].shape for image in images):
            raise FrameError("no image, or images of different shapes", where=note.path)
        if len(images) == 1:
            return images[0]
        total = np.zeros(images[0].shape, np.int64)
        lowest = np.zeros(images[0].shape, np.int64)
        for image in images:
            counts = image.astype(np.int64)
            total += counts
            np.minimum(lowest, counts, out=lowest)
        summed: NDArray[np.integer] = np.where(lowest < 0, lowest, total)
        return summed

"""Recorded rows of a position log into points that belong to no scan yet."""

import math
from collections.abc import Iterator

from phasecast.core.errors import WireError
from phasecast.core.frame import FrameKey, counter_key, file_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, ScanUid
from phasecast.profiles import PositionLog
from phasecast.sources.position_log import RowNote, decode_row
from phasecast.sources.position_log_rows import BadRowError, LogRow, RowReader, row_name

NO_SCAN = ScanUid("")
"""Uid of points whose scan is still to be found."""

X_FIELD, Y_FIELD = "x_um", "y_um"
"""Axes of such points: the stage's, in um."""

UNREADABLE_ROW = "unreadable row of the log"
REWRITTEN_LOG = "log was rewritten"
MALFORMED = "malformed record"


class LogDecoder:
    """Turns recorded rows into `PointMeasured` of no scan, whose index is the row's number in the file.

    A row that cannot be read, but surely stands for a point, is a `Defect` with that number: it keeps its place.

    Parameters
    ----------
    rules
        What is declared of the log.
    point_s
        Time of a point, s: clocks that are coarser than a quarter of it do not tell points apart.
    """

    def __init__(self, rules: PositionLog, *, point_s: float = math.inf) -> None:
        self._rules = rules
        self._point_s = point_s
        self._reader: RowReader | None = None

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the point of a row, or the Defect that it is."""
        try:
            note, line = decode_row(record)
        except WireError as error:
            yield Defect(reason=MALFORMED, detail=str(error), channel=record.channel, received_s=record.received_s)
            return
        if note.problem:
            self._reader = None
            yield self._defect(record, REWRITTEN_LOG, f"{note.name}: {note.problem}")
            return
        if note.row == 1:
            self._reader = RowReader(self._rules)
        if self._reader is None:
            if self._rules.by_name:
                return  # its header was recorded by an earlier daemon; this one records the rows again
            self._reader = RowReader(self._rules)
        try:
            row = self._reader.read(line)
        except BadRowError as error:
            number = note.row if error.is_point else None
            if self._rules.existing or not note.existing:
                detail = f"{row_name(note.name, note.row)}: {error}"
                yield self._defect(record, UNREADABLE_ROW, detail, number)
            return
        if row is not None and (self._rules.existing or not note.existing):
            yield point_of_row(row, note, self._rules, record.received_s, point_s=self._point_s)

    def _defect(self, record: RawRecord, reason: str, detail: str, number: int | None = None) -> Defect:
        return Defect(reason=reason, detail=detail, channel=record.channel, received_s=record.received_s, number=number)


def point_of_row(row: LogRow, note: RowNote, rules: PositionLog, received_s: float, *, point_s: float) -> PointMeasured:
    """Return the point of a row; its index is the row's number in the file, its scan unknown.

    Parameters
    ----------
    received_s
        POSIX time at which the row reached this process.
    point_s
        See `LogDecoder`.
    """
    keys: tuple[FrameKey, ...] = ()
    if rules.joins_by == "file" and row.file:
        keys = (file_key(row.file),)
    elif rules.joins_by == "number" and row.number is not None:
        keys = (counter_key(row.number),)
    return PointMeasured(
        uid=NO_SCAN,
        index=note.row,
        time_s=received_s if row.time_s is None else row.time_s,
        received_s=received_s,
        position={X_FIELD: row.x_um, Y_FIELD: row.y_um},
        scalars=row.scalars,
        frame_keys=keys,
        time_is_measured=row.time_s is not None and row.resolution_s <= point_s / 4,
    )

"""Scans that no document announces: frames and rows of a log become the messages of a declared scan."""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from phasecast.core.frame import Frame, FrameKey, counter_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, PositionDoubt, ScanAxis, ScanStart, ScanStop, ScanUid
from phasecast.profiles import ScanDeclaration, time_zone
from phasecast.sources.declared_frames import (
    SURPLUS,
    CountedFrames,
    OpenScan,
    keys_in_scan,
    series_of,
    time_of,
    uid_of,
    unusable,
)
from phasecast.sources.declared_wires import StageFields
from phasecast.sources.frame_name import parse_frame_name
from phasecast.sources.position_log_decoder import NO_SCAN, REWRITTEN_LOG, UNREADABLE_ROW, X_FIELD, Y_FIELD
from phasecast.sources.position_log_watch import LogWatch
from phasecast.sources.row_pauses import RowPauses

DECLARED_KEY = "declared_scan"
"""Key of a result's metadata that holds the declaration and the first row of the log that is the scan's."""
FIRST_ROW_KEY = "first_row"

DOUBLED_NUMBER = "doubled frame number"
OTHER_SERIES = "frame of another series"
NO_NUMBER = "frame without number"
OUTSIDE = "position outside the declared range"

_WAITING_ROWS = 200_000
_EARLIER = timedelta(hours=1)


class ScanDirector:
    """Opens a scan for each new series of frames, gives points to it, and says when it is over.

    Its answers follow from the messages and their order alone, so live work and replay agree.

    Parameters
    ----------
    declaration
        The scan, its log merged with the profile's.
    fields
        Names of the axes.
    first_rows
        Raw uid of scans that are taken up again to the first row of the log that is theirs.
    finished
        Raw uids of scans whose result is finished: their files and rows, recorded again after a restart, are known.
    number_pattern
        See `parse_frame_name`; as for the files.
    uid
        Uid of the one scan that it opens; None where every series opens a scan, named by its first frame.
    notes
        What else the scan's metadata say of the declaration, JSON-able.
    """

    def __init__(
        self,
        declaration: ScanDeclaration,
        fields: StageFields,
        *,
        first_rows: Mapping[str, int] | None = None,
        finished: Collection[str] = (),
        number_pattern: re.Pattern[str] | None = None,
        uid: ScanUid | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self._uid = uid
        self._notes = dict(notes or {})
        self._number_pattern = number_pattern
        self._finished = frozenset(finished)
        self._scan = declaration
        self._fields = fields
        self._counted = CountedFrames(declaration, fields)
        self._first_rows = dict(first_rows or {})
        self._log = declaration.log if declaration.positions_from == "log" else None
        self._scans: dict[str, OpenScan] = {}
        self._current: OpenScan | None = None
        self._waiting: deque[PointMeasured | Defect] = deque(maxlen=_WAITING_ROWS)
        self._seen_rows: set[int] = set()
        self._next_row = 1
        self._oldest_s = float("-inf")
        if declaration.expected_start is not None:
            start = declaration.expected_start
            if start.tzinfo is None and self._log is not None and self._log.time_zone:
                start = start.replace(tzinfo=time_zone(self._log.time_zone))
            self._oldest_s = (start - _EARLIER).timestamp()

    def stop(self, time_s: float) -> Iterator[Message]:
        """Yield the end of the open scan, because another declaration takes the frames from now on."""
        if self._current is not None:
            yield from self._stop(self._current, time_s)

    def direct(self, message: Message, record: RawRecord) -> Iterator[Message]:
        """Yield what a decoded message means for the scans that are declared."""
        match message:
            case Frame():
                yield from self._take_frame(message, record)
            case Defect() if message.frame_id is not None and message.number is not None:
                yield from self._take_frame(message, record)
            case PointMeasured(uid=uid) if uid == NO_SCAN:
                yield from self._take_row(message)
            case Defect(reason=reason) if reason == UNREADABLE_ROW and message.number is not None:
                yield message
                yield from self._take_row(message)
            case Defect(reason=reason) if reason == REWRITTEN_LOG:
                yield message
                self._forget_rows()
            case _:
                yield message

    def _take_frame(self, frame: Frame | Defect, record: RawRecord) -> Iterator[Message]:
        keys = frame.keys if isinstance(frame, Frame) else frame.frame_keys
        number, frame_id = frame.number, frame.frame_id
        assert number is not None
        assert frame_id is not None
        series = series_of(frame)
        if not self._scan.is_series(series):
            yield unusable(frame, OTHER_SERIES, f"{frame_id} is not of the declared series {self._scan.series}")
            return
        if counter_key(number) not in keys and isinstance(frame, Frame) and frame.reference.store == "file":
            yield unusable(frame, NO_NUMBER, f"{frame_id}: no number in the name of the file")
            return
        if isinstance(frame, Frame):
            frame = replace(frame, keys=keys_in_scan(series, keys))
        else:
            frame = replace(frame, frame_keys=keys_in_scan(series, keys))
        scan = self._scans.get(series)
        if scan is None:
            yield from self._open(frame, series, number, record)
            scan = self._scans[series]
        earlier = scan.frames.setdefault(number, frame_id)
        if scan.finished:
            return
        if earlier != frame_id:
            yield unusable(
                frame, DOUBLED_NUMBER, f"{earlier} and {frame_id} have one number, {number}; the first counts"
            )
            return
        if scan is not self._current or (scan.stopped and number - scan.first_number >= self._scan.expected_frames):
            if isinstance(frame, Frame):
                yield unusable(frame, SURPLUS, f"frame {frame_id} came after its scan was complete")
            else:
                yield replace(frame, frame_id=None)
            return
        if self._log is None:
            yield from self._counted.take(scan, frame, number)
        else:
            yield frame
            yield from scan.log.lag(scan.points, len(scan.frames), frame.received_s)
        if len(scan.frames) >= self._scan.expected_frames:
            yield from self._stop(scan, frame.received_s)

    def _open(self, frame: Frame | Defect, series: str, number: int, record: RawRecord) -> Iterator[Message]:
        uid = self._uid or uid_of(frame, series, self._scan.name, record)
        declaration = self._scan
        lacking = self._current if self._current is not None and self._lacks_rows(self._current) else None
        scan = OpenScan(
            uid=uid,
            series=series,
            first_number=number if declaration.first_number is None else declaration.first_number,
            first_row=self._first_rows.get(uid, self._next_row),
            pauses=RowPauses(row_frames=declaration.row_frames),
            log=LogWatch(
                series=series,
                points=declaration.points,
                row_points=declaration.row_points,
                row_frames=declaration.row_frames,
            ),
        )
        self._scans[series] = scan
        if uid in self._finished:
            scan.finished = scan.stopped = True
            yield from self._take_waiting()
            return
        if self._current is not None and not self._current.stopped:
            yield from self._stop(self._current, frame.received_s)
        self._current = scan
        slow, fast = (
            (self._fields.y, self._fields.x) if declaration.fast_axis == "x" else (self._fields.x, self._fields.y)
        )
        yield ScanStart(
            uid=uid,
            scan_id=0,
            time_s=time_of(frame),
            plan_name="declared",
            axes=(ScanAxis(name=slow, field=slow), ScanAxis(name=fast, field=fast)),
            shape=declaration.shape,
            snaking=(False, declaration.snake),
            expected_points=declaration.points,
            metadata={
                "series": series,
                "title": declaration.name or series,
                **({"map": declaration.name} if declaration.name else {}),
                DECLARED_KEY: declaration.model_dump(mode="json", exclude_none=True)
                | self._notes
                | {FIRST_ROW_KEY: scan.first_row},
            },
            series=series,
        )
        if declaration.first_number is None and number > 1 and self._log is None:
            yield Defect(
                reason="first frame number",
                detail=f"{series}: the first frame has number {number} and is taken as the first of the scan; "
                "declare first_number if frames before it were lost",
                channel=record.channel,
                received_s=frame.received_s,
            )
        if lacking is not None:
            reason = (
                f"scan {lacking.series} had {lacking.points} rows of the log for {len(lacking.frames)} frames when "
                "this one began; rows that are joined by their order do not tell whose they are"
            )
            yield PositionDoubt(uid=uid, from_index=0, to_index=None, reason=reason)
        yield from self._take_waiting()

    def _take_waiting(self) -> Iterator[Message]:
        waiting, self._waiting = self._waiting, deque(maxlen=_WAITING_ROWS)
        self._seen_rows.difference_update(number for row in waiting if (number := _row_of(row)) is not None)
        for row in waiting:
            yield from self._take_row(row)

    def _take_row(self, row: PointMeasured | Defect) -> Iterator[Message]:
        if self._log is None:
            return
        number = _row_of(row)
        assert number is not None
        scan = self._scan_of_row(row)
        if number in self._seen_rows or (scan is not None and number < scan.first_row):
            return
        self._seen_rows.add(number)
        if isinstance(row, PointMeasured):
            if row.time_s < self._oldest_s:
                self._next_row = max(self._next_row, number + 1)
                return
            if scan is not None:
                yield from scan.log.clock(row)
        if scan is None or scan.points >= self._scan.points:
            if scan is not None:
                yield from scan.log.surplus(number, row.received_s)
            self._waiting.append(row)
            return
        self._next_row = max(self._next_row, number + 1)
        index = scan.points
        scan.points += 1
        if scan.finished:
            return
        if isinstance(row, PointMeasured):
            yield from self._place_row(scan, row, index)
        yield from scan.log.lag(scan.points, len(scan.frames), row.received_s)
        if scan.points >= self._scan.points and not scan.stopped:
            yield from self._stop(scan, row.received_s)

    def _place_row(self, scan: OpenScan, row: PointMeasured, index: int) -> Iterator[Message]:
        assert self._log is not None
        x_um, y_um = row.position[X_FIELD], row.position[Y_FIELD]
        aliases = {
            self._fields.scalars[name]: value for name, value in row.scalars.items() if name in self._fields.scalars
        }
        yield replace(
            row,
            uid=scan.uid,
            index=index,
            position=self._fields.position(x_um, y_um),
            scalars={**row.scalars, **aliases},
            frame_keys=keys_in_scan(scan.series, row.frame_keys),
        )
        if not self._scan.is_inside(x_um, y_um):
            place = f"({x_um:g}, {y_um:g}) um"
            reason = f"row {row.index} of the log: {place} lies outside the declared range"
            yield PositionDoubt(uid=scan.uid, from_index=index, to_index=index + 1, reason=reason)
            yield Defect(reason=OUTSIDE, detail=reason, channel="log", received_s=row.received_s)
        if self._log.joins_by == "time" and not row.time_is_measured and not scan.coarse_named:
            scan.coarse_named = True
            reason = f"times of the log are too coarse for points of {self._scan.exposure_s:g} s; join them otherwise"
            yield PositionDoubt(uid=scan.uid, from_index=0, to_index=None, reason=reason)

    def _scan_of_row(self, row: PointMeasured | Defect) -> OpenScan | None:
        """Scan that a row belongs to: the one whose files it names, else the newest."""
        if isinstance(row, PointMeasured) and self._log is not None and self._log.joins_by == "file" and row.frame_keys:
            parsed = parse_frame_name(_file_of(row.frame_keys[0]), self._number_pattern)
            if parsed is not None:
                named = [scan for series, scan in self._scans.items() if _tail(series) == parsed.series]
                return named[-1] if named else None
        # rows that name no file are the oldest scan's that still lacks some; one that is taken up again knows its own
        older = (scan for scan in self._scans.values() if scan is not self._current and not self._first_rows)
        return next((scan for scan in older if self._lacks_rows(scan, even_named=True)), self._current)

    def _lacks_rows(self, scan: OpenScan, *, even_named: bool = False) -> bool:
        """Whether rows of a scan are still to come; in the order alone there is something to confuse."""
        if self._log is None or (self._log.joins_by != "order" and not even_named):
            return False
        frames = min(len(scan.frames), self._scan.expected_frames)
        return scan.points < frames * self._scan.row_points // self._scan.row_frames

    def _stop(self, scan: OpenScan, time_s: float) -> Iterator[Message]:
        if scan.stopped:
            return
        scan.stopped = True
        complete = scan.points >= self._scan.points or len(scan.frames) >= self._scan.expected_frames
        yield ScanStop(
            uid=scan.uid,
            time_s=time_s,
            exit_status="success" if complete else "abort",
            measured_points=self._scan.points if complete else scan.points,
        )

    def _forget_rows(self) -> None:
        self._seen_rows.clear()
        self._next_row = 1
        for scan in self._scans.values():
            scan.first_row = 1


def _row_of(row: PointMeasured | Defect) -> int | None:
    return row.index if isinstance(row, PointMeasured) else row.number


def _file_of(key: FrameKey) -> str:
    return key.partition(":")[2]


def _tail(series: str) -> str:
    return series.rpartition("/")[2]

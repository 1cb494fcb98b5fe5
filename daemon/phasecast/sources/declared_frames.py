"""Frames of a declared scan: what names them in it, and where those stand that are placed by their number alone."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference, counter_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, PositionDoubt, ScanUid
from phasecast.profiles import ScanDeclaration
from phasecast.sources.declared_wires import StageFields
from phasecast.sources.position_log_watch import LogWatch
from phasecast.sources.row_pauses import RowPauses

LEAD_IN = "lead-in frame"
SURPLUS = "surplus frame"


@dataclass(slots=True, kw_only=True)
class OpenScan:
    """What is known of one scan.

    Parameters
    ----------
    uid, series
        Identity, and the series of its frames.
    first_number
        Number of its first frame.
    first_row
        First row of the log that is its own.
    pauses, log
        What watches its frames and its rows.
    """

    uid: ScanUid
    series: str
    first_number: int
    first_row: int
    frames: dict[int, FrameId] = field(default_factory=dict)
    points: int = 0
    """Points that have their place: the next one's index."""
    stopped: bool = False
    finished: bool = False
    coarse_named: bool = False
    pauses: RowPauses
    log: LogWatch


class CountedFrames:
    """Gives frames the points that their numbers say.

    Parameters
    ----------
    declaration
        The scan.
    fields
        Names of the axes.
    """

    def __init__(self, declaration: ScanDeclaration, fields: StageFields) -> None:
        self._scan = declaration
        self._fields = fields

    def take(self, scan: OpenScan, frame: Frame | Defect, number: int) -> Iterator[Message]:
        """Give a frame the point that its number says."""
        place = number - scan.first_number
        if place < 0:
            yield PositionDoubt(
                uid=scan.uid,
                from_index=0,
                to_index=None,
                reason=f"frame number {number} came after {scan.first_number}, which was taken as the first; "
                "declare first_number",
            )
            yield frame
            return
        if isinstance(frame, Frame):
            time_s = frame.received_s if frame.hardware_s is None else frame.hardware_s
            doubt = scan.pauses.add(place, time_s)
            if doubt is not None:
                from_index = self._scan.row_points * doubt.from_row
                yield PositionDoubt(uid=scan.uid, from_index=from_index, to_index=None, reason=doubt.reason)
        index = self._scan.point_of_frame(place)
        if index is None:
            if not isinstance(frame, Frame):
                yield replace(frame, frame_id=None)
            elif place >= self._scan.expected_frames:
                yield unusable(frame, SURPLUS, f"frame {frame.frame_id} comes after the last that is declared")
            else:
                yield unusable(frame, LEAD_IN, f"frame {frame.frame_id} is declared to belong to no point")
            return
        while scan.points <= index:
            yield self._point(scan, scan.points, frame)
            scan.points += 1
        yield frame

    def _point(self, scan: OpenScan, index: int, frame: Frame | Defect) -> PointMeasured:
        row, column = divmod(index, self._scan.row_points)
        place = row * self._scan.row_frames + self._scan.lead_in_frames_per_row + column
        known = self._scan.positions_from != "later"
        hardware_s = frame.hardware_s
        return PointMeasured(
            uid=scan.uid,
            index=index,
            time_s=frame.received_s if hardware_s is None else hardware_s,
            received_s=frame.received_s,
            position=self._fields.position(*self._scan.position_um(index)) if known else {},
            scalars=frame.scalars if isinstance(frame, Frame) else {},
            frame_keys=keys_in_scan(scan.series, [counter_key(scan.first_number + place)]),
            time_is_measured=False,
        )


def series_of(frame: Frame | Defect) -> str:
    """Return the series of a frame."""
    return frame.series or (frame.frame_id or "").rpartition("/")[0]


def keys_in_scan(series: str, keys: Iterable[FrameKey]) -> tuple[FrameKey, ...]:
    """Return names of frames that hold in one series alone: numbers, and often names, begin anew in each."""
    return tuple(FrameKey(f"{kind}:{series}:{name}") for kind, _, name in (key.partition(":") for key in keys))


def unusable(frame: Frame | Defect, reason: str, detail: str) -> Defect:
    """Return the remark on a frame that is no point's."""
    return Defect(
        reason=reason,
        detail=detail,
        channel="files",
        received_s=frame.received_s,
        number=frame.number,
        reference=frame.reference,
    )


def uid_of(frame: Frame | Defect, series: str, name: str, record: RawRecord) -> ScanUid:
    """Return the uid of the scan that a frame opens: the same for the same file, however often it is recorded."""
    reference: FrameReference | None = frame.reference
    sha256 = reference.sha256 if reference is not None else ""
    place = f"{record.position.segment}:{record.position.offset}"
    origin = sha256 or (place if frame.hardware_s is None else f"{frame.frame_id}:{frame.hardware_s}")
    return ScanUid(str(uuid.uuid5(uuid.NAMESPACE_URL, f"declared:{name}:{series}:{origin}")))


def time_of(frame: Frame | Defect) -> float:
    """Return when a frame was taken by its own clock, POSIX s; when it came where it has none."""
    return frame.received_s if frame.hardware_s is None else frame.hardware_s

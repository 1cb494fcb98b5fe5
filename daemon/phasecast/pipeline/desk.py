"""The scan desk: which scan a series, a frame or a position belongs to, and when a scan is over."""

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from phasecast.core.errors import ScanRefusedError
from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.record import CapturePosition, RawRecord
from phasecast.core.scan import (
    Defect,
    Message,
    PointMeasured,
    PositionDoubt,
    ScanStart,
    ScanStop,
    ScanUid,
    SeriesEnd,
    SeriesStart,
)
from phasecast.pipeline.emitter import DerivedRun, ExitStatus
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.fold_rules import FoldRules, Outcome
from phasecast.pipeline.tickets import FrameTicket, series_of_defect, ticket_of

logger = logging.getLogger(__name__)

_ADOPT_WITHIN_S = 5.0
"""A series armed this long before a scan may still be that scan's: the two wires differ in delay."""
_PARKED_FRAMES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRules:
    """When a scan is over.

    Parameters
    ----------
    grace_s
        After the stop, wait this long without news for frames and positions still under way; never longer than
        `idle_s`.
    linger_s
        After the last expected thing, wait this long for surplus.
    idle_s
        Without a stop, a scan that is silent for this long is declared over.
    expected_points
        Points of scans that have no documents; None if unknown.
    """

    grace_s: float = 10.0
    linger_s: float = 0.5
    idle_s: float = 900.0
    expected_points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """Rules of one scan, where it has its own.

    Parameters
    ----------
    fold
        How its frames and points are joined.
    grace_s
        See `DeskRules`.
    """

    fold: FoldRules
    grace_s: float


@dataclass(slots=True)
class _OpenScan:
    fold: ScanFold
    run: DerivedRun
    newest_s: float
    grace_s: float
    has_series: bool = False
    status: ExitStatus = "success"
    reason: str = ""
    closed_by: str = ""


@dataclass(slots=True)
class _ParkedSeries:
    since_s: float
    position: CapturePosition
    start: SeriesStart | None = None
    ended: bool = False
    frames: deque[tuple[FrameTicket, Outcome] | Defect] = field(default_factory=lambda: deque(maxlen=_PARKED_FRAMES))

    def may_belong_to(self, scan_start: RawRecord) -> bool:
        """Whether it is armed and waits, or began just before the scan did."""
        waits = self.start is not None and not self.ended
        return waits or scan_start.received_s - self.since_s <= _ADOPT_WITHIN_S


def reference_key(reference: FrameReference) -> tuple[str, int]:
    """Identity of a frame's bytes, for recognising results that a file holds already."""
    return reference.path, reference.offset


class ScanDesk:
    """Routes messages to the scans they belong to, opens and closes scans.

    Parameters
    ----------
    fold_rules, desk_rules
        What the profile and the command line declare.
    open_run
        Makes the derived run of a scan that starts, given the place of its first record; None for scans whose
        result is finished already. Raises ScanRefusedError for scans that are not taken: nothing of them is kept.
    rules_for
        Returns the rules of a scan that has its own; None for one that has not.
    """

    def __init__(
        self,
        *,
        fold_rules: FoldRules,
        desk_rules: DeskRules,
        open_run: Callable[[ScanStart, CapturePosition], DerivedRun | None],
        rules_for: Callable[[ScanStart], OwnRules | None] = lambda _: None,
    ) -> None:
        self._rules_for = rules_for
        self._named: set[str] = set()
        """Series that a scan named as its own: none of their frames opens another."""
        self._fold_rules = fold_rules
        self._rules = desk_rules
        self._open_run = open_run
        self._open: dict[ScanUid, _OpenScan] = {}
        self._ignored: set[ScanUid] = set()
        self._refused: ScanUid | None = None
        """Refused scan that has not stopped: series that begin now are its own."""
        self._barred: set[str] = set()
        """Series of refused scans."""
        self._series_scan: dict[str, ScanUid] = {}
        self._armed: set[str] = set()
        self._parked: dict[str, _ParkedSeries] = {}
        self.counters: Counter[str] = Counter()
        self.finished: list[tuple[ScanUid, Mapping[str, object]]] = []

    @property
    def open_folds(self) -> list[ScanFold]:
        """Folds of the scans that are not closed yet, oldest first."""
        return [scan.fold for scan in self._open.values()]

    def take(self, message: Message, outcome: Outcome, record: RawRecord) -> None:
        """Route one message; `outcome` is what the stage made of it if it is a frame."""
        match message:
            case ScanStart():
                self._start(message, record)
            case PointMeasured(uid=uid) | PositionDoubt(uid=uid) | ScanStop(uid=uid):
                self._take_for_scan(uid, message, record.received_s)
            case SeriesStart() | SeriesEnd():
                self._take_series(message, record)
            case Frame():
                self._take_frame(message, outcome, record)
            case Defect():
                self._take_defect(message, record)

    def emit(self, position: CapturePosition | None) -> list[float]:
        """Publish what changed in every open scan; return when each scored point was received, POSIX s."""
        received: list[float] = []
        for scan in self._open.values():
            turn = scan.fold.take_turn()
            if turn:
                scan.run.emit(turn, scan.fold, position)
                received += [point.received_s for point in turn.scored]
        return received

    def close_due(
        self, now_s: float, position: CapturePosition | None, *, listening_since_s: float = float("-inf")
    ) -> None:
        """Close the scans that are over at `now_s`; silence counts only while somebody listened."""
        for uid, scan in list(self._open.items()):
            quiet_s = now_s - max(scan.newest_s, listening_since_s)
            fold = scan.fold
            expected = self._rules.expected_points
            if fold.rules.frames_place_themselves and expected is not None and fold.measured_points >= expected:
                self._close(uid, now_s, position)
            elif fold.stop is None:
                if quiet_s > self._rules.idle_s:
                    if not fold.rules.frames_place_themselves:
                        scan.status, scan.reason = "fail", f"no stop document; silent for {quiet_s:.0f} s"
                    self._close(uid, now_s, position)
            elif quiet_s > (self._rules.linger_s if fold.is_complete else min(scan.grace_s, self._rules.idle_s)):
                self._close(uid, now_s, position)

    def close_one(self, uid: ScanUid, now_s: float, position: CapturePosition | None, *, who: str) -> bool:
        """Close a scan that a person declares over; return False if no such scan is open."""
        scan = self._open.get(uid)
        if scan is None:
            return False
        scan.closed_by = who
        if scan.fold.stop is None:
            scan.reason = f"declared over by {who}"
            if not scan.fold.rules.frames_place_themselves:
                scan.status = "abort"
        self._close(uid, now_s, position)
        return True

    def close_all(self, now_s: float, position: CapturePosition | None) -> None:
        """Close every scan now, because nothing more will come."""
        for uid in list(self._open):
            scan = self._open[uid]
            if scan.fold.stop is None and not scan.fold.rules.frames_place_themselves:
                scan.status, scan.reason = "fail", "the stream ended before the scan's stop document"
            self._close(uid, now_s, position)

    def _start(self, start: ScanStart, record: RawRecord) -> None:
        if start.uid in self._open:
            self.counters["duplicate_starts"] += 1
            return
        for scan in self._open.values():
            if scan.fold.stop is None:
                logger.warning("scan %s starts before scan %s has stopped", start.uid, scan.fold.start.uid)
                scan.status, scan.reason = "fail", "the next scan started before this one's stop document"
                scan.fold.set_stop(
                    ScanStop(uid=scan.fold.start.uid, time_s=start.time_s, exit_status="fail", measured_points=None)
                )
        adopted = self._series_for(start, record)
        if start.series:
            self._named.add(start.series)
        first = min([record.position, *(self._parked[series].position for series in adopted)])
        try:
            run = self._open_run(start, first)
        except ScanRefusedError as error:
            self._refuse(start, adopted, error)
            return
        self._refused = None
        if run is None:
            self._ignored.add(start.uid)
            for series in adopted:
                self._parked.pop(series)
                self._series_scan[series] = start.uid
            return
        own = self._rules_for(start) or OwnRules(fold=self._fold_rules, grace_s=self._rules.grace_s)
        fold = ScanFold(start, own.fold)
        if run.restored_states is not None:
            fold.restore(run.restored_states, run.restored_remarks)
        self._open[start.uid] = _OpenScan(fold, run, record.received_s, own.grace_s)
        run.start()
        for series in adopted:
            self._adopt(series, start.uid)

    def _refuse(self, start: ScanStart, series: Sequence[str], error: ScanRefusedError) -> None:
        """Keep nothing of a scan: neither its documents nor its frames, also those that are still to come."""
        own = start.metadata.get("series")
        self._ignored.add(start.uid)
        self._refused = None if isinstance(own, str) else start.uid
        self._barred.update(series)
        if isinstance(own, str):
            self._barred.add(own)
        for name in series:
            self.counters["frames_of_refused_scans"] += len(self._parked.pop(name).frames)
        self.counters["refused_scans"] += 1
        logger.error("%s", error)

    def _is_barred(self, series: str) -> bool:
        if series and self._refused is not None and series not in self._series_scan and not self._parked.get(series):
            self._barred.add(series)
        return series in self._barred

    def _series_for(self, start: ScanStart, record: RawRecord) -> list[str]:
        """Parked series that a starting scan takes over; those that can belong to no scan any more are dropped."""
        waiting = [series for series, parked in self._parked.items() if parked.may_belong_to(record)]
        # a series nobody announced must not push its frames between those of one that was announced
        announced = [series for series in waiting if self._parked[series].start is not None]
        adopted = announced or waiting
        if start.series:
            adopted = [series for series in adopted if series == start.series]
        for series in set(self._parked) - set(adopted):
            stale = self._parked.pop(series).frames
            self.counters["frames_of_no_scan"] += len(stale)
            logger.warning("%d frames of series %s, taken before scan %s, belong to none", len(stale), series, start.uid)
        return adopted

    def _adopt(self, series: str, uid: ScanUid) -> None:
        parked = self._parked.pop(series)
        self._series_scan[series] = uid
        self._open[uid].has_series = True
        fold = self._open[uid].fold
        if parked.start is not None:
            fold.add_series(parked.start)
        for entry in parked.frames:
            if isinstance(entry, Defect):
                fold.add_defect(entry)
            else:
                fold.add_frame(*entry)

    def _take_for_scan(
        self, uid: ScanUid, message: PointMeasured | PositionDoubt | ScanStop, received_s: float
    ) -> None:
        scan = self._open.get(uid)
        if uid == self._refused and isinstance(message, ScanStop):
            self._refused = None
        if scan is None:
            if uid not in self._ignored:
                self.counters["documents_without_scan"] += 1
            return
        scan.newest_s = max(scan.newest_s, received_s)
        if isinstance(message, PointMeasured):
            scan.fold.add_point(message)
        elif isinstance(message, PositionDoubt):
            scan.fold.add_doubt(message)
        else:
            scan.fold.set_stop(message)
            if message.exit_status != "success":
                scan.status = "abort" if message.exit_status == "abort" else "fail"
                scan.reason = f"the scan ended with {message.exit_status}"

    def _scan_of(self, series: str) -> _OpenScan | None:
        uid = self._series_scan.get(series)
        if uid is not None and uid not in self._open and series not in self._armed:
            uid = None  # files of one name may belong to the next scan; an armed series never does
        if uid is None:
            candidates = [uid for uid, scan in reversed(self._open.items()) if scan.fold.stop is None]
            candidates += [uid for uid, scan in reversed(self._open.items()) if not scan.has_series]
            if series not in self._armed:
                announced = self._announced()
                candidates = [uid for uid in candidates if uid not in announced]
            if not candidates:
                return None
            uid = self._series_scan[series] = candidates[0]
            self._open[uid].has_series = True
        return self._open.get(uid)

    def _forget_earlier_of_name(self, series: str) -> None:
        """Let a series that is armed again belong to the next scan: a restarted detector counts from 1 again."""
        uid = self._series_scan.get(series)
        scan = self._open.get(uid) if uid is not None else None
        if uid is not None and series in self._armed and (scan is None or scan.fold.stop is not None):
            del self._series_scan[series]

    def _announced(self) -> set[ScanUid]:
        return {self._series_scan[series] for series in self._armed if series in self._series_scan}

    def _take_series(self, message: SeriesStart | SeriesEnd, record: RawRecord) -> None:
        scan = None
        if isinstance(message, SeriesStart) and self._refused is None:
            self._barred.discard(message.series)  # armed again after the refused scan
        if self._is_barred(message.series):
            return
        if isinstance(message, SeriesStart):
            self._forget_earlier_of_name(message.series)
            # a further series may be the next scan's, armed before its start document: its first frame decides
            announced = self._announced()
            waits = message.series not in self._series_scan and any(uid in announced for uid in self._open)
            self._armed.add(message.series)
            scan = None if waits else self._scan_of(message.series)
        if scan is not None and isinstance(message, SeriesStart):
            scan.fold.add_series(message)
        elif isinstance(message, SeriesStart):
            self._park(message.series, record).start = message
        elif message.series in self._parked:
            self._parked[message.series].ended = True

    def _take_frame(self, frame: Frame, outcome: Outcome, record: RawRecord) -> None:
        if self._fold_rules.frames_place_themselves:
            self._open_implicit(frame.frame_id, frame.series, record)
        if self._is_barred(frame.series):
            self.counters["frames_of_refused_scans"] += 1
            return
        ticket = ticket_of(frame)
        scan = self._scan_of(frame.series)
        if scan is not None:
            if frame.series in self._parked:
                self._adopt(frame.series, scan.fold.start.uid)
            scan.newest_s = max(scan.newest_s, frame.received_s)
            scan.fold.add_frame(ticket, outcome, position_um=frame.position_um, scalars=frame.scalars)
        elif frame.series not in self._armed or frame.series not in self._series_scan:
            self._park(frame.series, record).frames.append((ticket, outcome))
            self.counters["frames_parked"] += 1
        else:
            self.counters["frames_after_close"] += 1
            logger.warning("frame %s came after its scan was closed", frame.frame_id)

    def _take_defect(self, defect: Defect, record: RawRecord) -> None:
        series = series_of_defect(defect)
        if self._fold_rules.frames_place_themselves and defect.frame_id and defect.number is not None:
            self._open_implicit(defect.frame_id, series, record)
        if self._is_barred(series):
            self.counters["frames_of_refused_scans"] += 1
            return
        scan = self._scan_of(series) if series else None
        if scan is None and self._open:
            scan = next(reversed(self._open.values()))
            defect = replace(defect, frame_id=None)  # a frame of another series is none of this scan
        if scan is not None:
            scan.newest_s = max(scan.newest_s, defect.received_s)
            scan.fold.add_defect(defect)
        elif series:
            self._park(series, record).frames.append(defect)
        logger.warning("%s: %s", defect.channel, defect.detail)
        self.counters[defect.reason.replace(" ", "_")] += 1

    def _park(self, series: str, record: RawRecord) -> _ParkedSeries:
        return self._parked.setdefault(series, _ParkedSeries(record.received_s, record.position))

    def _open_implicit(self, frame_id: FrameId, series: str, record: RawRecord) -> None:
        if self._open or series in self._barred or series in self._named:
            return
        # the same first frame gives the same uid, so a restarted daemon finds the file it had begun
        uid = ScanUid(
            str(uuid.uuid5(uuid.NAMESPACE_URL, f"{record.position.segment}:{record.position.offset}:{frame_id}"))
        )
        self._start(
            ScanStart(
                uid=uid,
                scan_id=0,
                time_s=record.received_s,
                plan_name="files",
                axes=(),
                shape=None,
                snaking=(),
                expected_points=self._rules.expected_points,
                metadata={"series": series},
            ),
            record,
        )
        self._series_scan[series] = uid

    def _close(self, uid: ScanUid, now_s: float, position: CapturePosition | None) -> None:
        scan = self._open[uid]
        fold = scan.fold
        fold.close(now_s=now_s)
        turn = fold.take_turn()
        if turn:
            scan.run.emit(turn, fold, position)
        counters: dict[str, object] = {
            "ledger": fold.ledger.sums(),
            "flags": fold.ledger.flag_sums(),
            "reasons": fold.ledger.reason_sums(),
            "counters": dict(fold.counters),
            "doubt": fold.doubt.reason if fold.doubt else "",
            "exit_reason": scan.reason,
            "closed_by": scan.closed_by,
        }
        scan.run.stop(exit_status=scan.status, reason=scan.reason, counters=counters)
        del self._open[uid]
        self._ignored.add(uid)
        self.finished.append((uid, counters))

"""The scan desk: which scan a series, a frame or a position belongs to, and when a scan is over."""

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

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
from phasecast.pipeline.emitter import DerivedRun
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.fold_rules import FoldRules, Outcome
from phasecast.pipeline.open_scan import DeskRules, OpenScan, OwnRules
from phasecast.pipeline.series_book import SeriesBook
from phasecast.pipeline.tickets import series_of_defect, ticket_of

logger = logging.getLogger(__name__)


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
        self._fold_rules = fold_rules
        self._rules = desk_rules
        self._open_run = open_run
        self._open: dict[ScanUid, OpenScan] = {}
        self._ignored: set[ScanUid] = set()
        self._series = SeriesBook(self._open)
        self._scored_at_close: list[float] = []
        self.counters: Counter[str] = Counter()
        self.finished: list[tuple[ScanUid, Mapping[str, object]]] = []

    @property
    def open_folds(self) -> list[ScanFold]:
        """Folds of the scans that are not closed yet, oldest first."""
        return [scan.fold for scan in self._open.values()]

    @property
    def open_scans(self) -> Mapping[ScanUid, OpenScan]:
        """The scans that are not closed yet, oldest first."""
        return self._open

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
        at_close, self._scored_at_close = self._scored_at_close, []
        return at_close + [received_s for scan in self._open.values() for received_s in scan.emit(position)]

    def close_due(
        self, now_s: float, position: CapturePosition | None, *, listening_since_s: float = float("-inf")
    ) -> None:
        """Close the scans that are over at `now_s`; silence counts only while somebody listened."""
        for uid, scan in list(self._open.items()):
            quiet_s = now_s - max(scan.newest_s, listening_since_s)
            if scan.is_over(self._rules, quiet_s):
                if scan.lacks_stop:
                    scan.fail(f"no stop document; silent for {quiet_s:.0f} s")
                self._close(uid, now_s, position)

    def close_one(self, uid: ScanUid, now_s: float, position: CapturePosition | None, *, who: str) -> bool:
        """Close a scan that a person declares over; return False if no such scan is open."""
        scan = self._open.get(uid)
        if scan is None:
            return False
        scan.declare_over(who)
        self._close(uid, now_s, position)
        return True

    def close_all(self, now_s: float, position: CapturePosition | None) -> None:
        """Close every scan now, because nothing more will come."""
        for uid, scan in list(self._open.items()):
            if scan.lacks_stop:
                scan.fail("the stream ended before the scan's stop document")
            self._close(uid, now_s, position)

    def _start(self, start: ScanStart, record: RawRecord) -> None:
        if start.uid in self._open:
            self.counters["duplicate_starts"] += 1
            return
        for scan in self._open.values():
            if not scan.has_stopped:
                logger.warning("scan %s starts before scan %s has stopped", start.uid, scan.fold.start.uid)
                scan.cut_off(start)
        adopted = self._series.waiting_for(start, record)
        for series, stale in self._series.drop_parked_but(adopted).items():
            self.counters["frames_of_no_scan"] += len(stale.frames)
            logger.warning(
                "%d frames of series %s, taken before scan %s, belong to none", len(stale.frames), series, start.uid
            )
        if start.series:
            self._series.name(start.series)
        first = min([record.position, *(parked.position for parked in adopted.values())])
        try:
            run = self._open_run(start, first)
        except ScanRefusedError as error:
            # nothing of it is kept: neither its documents nor its frames, also those that are still to come
            self._ignored.add(start.uid)
            dropped = self._series.refuse(start, adopted)
            if adopted:
                self.counters["frames_of_refused_scans"] += dropped
            self.counters["refused_scans"] += 1
            logger.error("%s", error)
            return
        self._series.end_refusal()
        if run is None:
            self._ignored.add(start.uid)
            for series in adopted:
                self._series.unpark(series)
                self._series.assign(series, start.uid)
            return
        own = self._rules_for(start) or OwnRules(fold=self._fold_rules, grace_s=self._rules.grace_s)
        fold = ScanFold(start, own.fold)
        if run.restored_states is not None:
            fold.restore(run.restored_states, run.restored_remarks, run.restored_revisions)
        scan = self._open[start.uid] = OpenScan(fold=fold, run=run, newest_s=record.received_s, grace_s=own.grace_s)
        run.start()
        for series in adopted:
            self._adopt(series, scan)

    def _adopt(self, series: str, scan: OpenScan) -> None:
        """Give a scan what came of a series before the two were known to belong together."""
        parked = self._series.unpark(series)
        if parked is None:
            return
        self._series.assign(series, scan.fold.start.uid)
        scan.has_series = True
        if parked.start is not None:
            scan.fold.add_series(parked.start)
        scan.fold.tally.add_dropped(parked.dropped)
        for entry in parked.frames:
            if isinstance(entry, Defect):
                scan.fold.add_defect(entry)
            else:
                scan.fold.add_frame(*entry)

    def _take_for_scan(
        self, uid: ScanUid, message: PointMeasured | PositionDoubt | ScanStop, received_s: float
    ) -> None:
        if isinstance(message, ScanStop):
            self._series.end_refusal(uid)
        scan = self._open.get(uid)
        if scan is not None:
            scan.hear(received_s)
            scan.take(message)
        elif uid not in self._ignored:
            self.counters["documents_without_scan"] += 1

    def _take_series(self, message: SeriesStart | SeriesEnd, record: RawRecord) -> None:
        if isinstance(message, SeriesStart):
            self._series.lift_bar(message.series)
        if self._series.is_barred(message.series):
            return
        if isinstance(message, SeriesEnd):
            self._series.end(message.series)
            return
        scan = self._series.arm(message.series)
        if scan is not None:
            scan.fold.add_series(message)
        else:
            self._series.park(message.series, record).start = message

    def _take_frame(self, frame: Frame, outcome: Outcome, record: RawRecord) -> None:
        if frame.run:
            named = self._scan_named(frame.run, frame.received_s)
            if named is not None:
                named.fold.add_frame(ticket_of(frame), outcome, scalars=frame.scalars)
            return
        if self._fold_rules.frames_place_themselves:
            self._open_implicit(frame.frame_id, frame.series, record)
        if self._series.is_barred(frame.series):
            self.counters["frames_of_refused_scans"] += 1
            return
        ticket = ticket_of(frame)
        scan = self._series.scan_of(frame.series)
        if scan is not None:
            self._adopt(frame.series, scan)
            scan.hear(frame.received_s)
            scan.fold.add_frame(ticket, outcome, position_um=frame.position_um, scalars=frame.scalars)
        elif self._series.outlived_its_scan(frame.series):
            self.counters["frames_after_close"] += 1
            logger.warning("frame %s came after its scan was closed", frame.frame_id)
        else:
            self._series.park(frame.series, record).add((ticket, outcome))
            self.counters["frames_parked"] += 1

    def _scan_named(self, run: str, received_s: float) -> OpenScan | None:
        """Return the open scan whose documents name a frame, which is heard of; None, and counted, if it is closed."""
        scan = self._open.get(ScanUid(run))
        if scan is None:
            self.counters["frames_after_close"] += 1
            return None
        scan.has_series = True
        scan.hear(received_s)
        return scan

    def _take_defect(self, defect: Defect, record: RawRecord) -> None:
        if defect.run:
            named = self._scan_named(defect.run, defect.received_s)
            if named is not None:
                named.fold.add_defect(defect)
            logger.warning("%s: %s", defect.channel, defect.detail)
            self.counters[defect.reason.replace(" ", "_")] += 1
            return
        series = series_of_defect(defect)
        if self._fold_rules.frames_place_themselves and defect.frame_id and defect.number is not None:
            self._open_implicit(defect.frame_id, series, record)
        if self._series.is_barred(series):
            self.counters["frames_of_refused_scans"] += 1
            return
        scan = self._series.scan_of(series) if series else None
        if scan is None and self._open:
            scan = next(reversed(self._open.values()))
            defect = replace(defect, frame_id=None)  # a frame of another series is none of this scan
        if scan is not None:
            scan.hear(defect.received_s)
            scan.fold.add_defect(defect)
        elif series:
            self._series.park(series, record).add(defect)
        logger.warning("%s: %s", defect.channel, defect.detail)
        self.counters[defect.reason.replace(" ", "_")] += 1

    def _open_implicit(self, frame_id: FrameId, series: str, record: RawRecord) -> None:
        if self._open or self._series.opens_no_scan(series):
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
        self._series.assign(series, uid)

    def _close(self, uid: ScanUid, now_s: float, position: CapturePosition | None) -> None:
        self._scored_at_close += self._open[uid].emit(position)
        counters = self._open[uid].close(now_s, position)
        del self._open[uid]
        self._ignored.add(uid)
        self.finished.append((uid, counters))

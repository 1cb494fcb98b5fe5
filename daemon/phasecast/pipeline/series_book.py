"""Which scan a detector series belongs to: it may be armed before its scan starts, or begin without a word."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from phasecast.core.record import CapturePosition, RawRecord
from phasecast.core.scan import Defect, ScanStart, ScanUid, SeriesStart
from phasecast.pipeline.fold_rules import Outcome
from phasecast.pipeline.open_scan import OpenScan
from phasecast.pipeline.tickets import FrameTicket

_ADOPT_WITHIN_S = 5.0
"""A series armed this long before a scan may still be that scan's: the two wires differ in delay."""
_PARKED_FRAMES = 20_000


@dataclass(slots=True)
class ParkedSeries:
    """A series that waits for its scan.

    Parameters
    ----------
    since_s
        POSIX time at which its first message was received.
    position
        Where the capture holds that message.
    start
        Its announcement; None if nobody announced it.
    ended
        Whether the detector has ended it.
    frames
        What came of it, the newest 20,000.
    dropped
        Older frames that had to make room.
    """

    since_s: float
    position: CapturePosition
    start: SeriesStart | None = None
    ended: bool = False
    frames: deque[tuple[FrameTicket, Outcome] | Defect] = field(default_factory=lambda: deque(maxlen=_PARKED_FRAMES))
    dropped: int = 0

    def add(self, entry: tuple[FrameTicket, Outcome] | Defect) -> None:
        """Keep what came of it; the oldest goes where there is no room."""
        self.dropped += len(self.frames) == self.frames.maxlen
        self.frames.append(entry)

    def may_belong_to(self, scan_start: RawRecord) -> bool:
        """Whether it is armed and waits, or began just before the scan did."""
        waits = self.start is not None and not self.ended
        return waits or scan_start.received_s - self.since_s <= _ADOPT_WITHIN_S


class SeriesBook:
    """Keeps the series of scans, parks those that wait for one, and bars those of refused scans.

    Parameters
    ----------
    open_scans
        The scans that are open, oldest first; it is only read, as it is at each call.
    """

    def __init__(self, open_scans: dict[ScanUid, OpenScan]) -> None:
        self._open = open_scans
        self._scan_uid: dict[str, ScanUid] = {}
        self._armed: set[str] = set()
        self._parked: dict[str, ParkedSeries] = {}
        self._refused: ScanUid | None = None
        """Refused scan that has not stopped: series that begin now are its own."""
        self._barred: set[str] = set()
        """Series of refused scans."""
        self._named: set[str] = set()
        """Series that a scan named as its own: none of their frames opens another."""

    def scan_of(self, series: str) -> OpenScan | None:
        """Return the open scan that a series belongs to, which is its own from now on; None if there is none."""
        uid = self._scan_uid.get(series)
        if uid is not None and uid not in self._open and series not in self._armed:
            uid = None  # files of one name may belong to the next scan; an armed series never does
        if uid is None:
            candidates = [uid for uid, scan in reversed(self._open.items()) if not scan.has_stopped]
            candidates += [uid for uid, scan in reversed(self._open.items()) if not scan.has_series]
            if series not in self._armed:
                announced = self._scans_with_armed_series()
                candidates = [uid for uid in candidates if uid not in announced]
            if not candidates:
                return None
            uid = self._scan_uid[series] = candidates[0]
            self._open[uid].has_series = True
        return self._open.get(uid)

    def assign(self, series: str, uid: ScanUid) -> None:
        """Say which scan a series belongs to."""
        self._scan_uid[series] = uid

    def arm(self, series: str) -> OpenScan | None:
        """Take the announcement of a series; return the scan it belongs to, or None if it waits for one."""
        self._forget_earlier_of_name(series)
        # a further series may be the next scan's, armed before its start document: its first frame decides
        announced = self._scans_with_armed_series()
        waits = series not in self._scan_uid and any(uid in announced for uid in self._open)
        self._armed.add(series)
        return None if waits else self.scan_of(series)

    def end(self, series: str) -> None:
        """Take the end of a series."""
        if series in self._parked:
            self._parked[series].ended = True

    def outlived_its_scan(self, series: str) -> bool:
        """Whether a series without an open scan was announced for one that is closed."""
        return series in self._armed and series in self._scan_uid

    def park(self, series: str, record: RawRecord) -> ParkedSeries:
        """Let a series wait for its scan; the record is the first of it, if it does not wait yet."""
        return self._parked.setdefault(series, ParkedSeries(record.received_s, record.position))

    def unpark(self, series: str) -> ParkedSeries | None:
        """Return and forget a series that waits; None if it does not."""
        return self._parked.pop(series, None)

    def name(self, series: str) -> None:
        """Take note that a scan names a series as its own."""
        self._named.add(series)

    def waiting_for(self, start: ScanStart, record: RawRecord) -> dict[str, ParkedSeries]:
        """Return the parked series that a starting scan takes over; they stay parked."""
        waiting = {series: parked for series, parked in self._parked.items() if parked.may_belong_to(record)}
        # a series nobody announced must not push its frames between those of one that was announced
        announced = {series: parked for series, parked in waiting.items() if parked.start is not None}
        adopted = announced or waiting
        if start.series:
            return {series: parked for series, parked in adopted.items() if series == start.series}
        return adopted

    def drop_parked_but(self, kept: Iterable[str]) -> dict[str, ParkedSeries]:
        """Return and forget the parked series that can belong to no scan any more."""
        return {series: self._parked.pop(series) for series in set(self._parked) - set(kept)}

    def refuse(self, start: ScanStart, series: Iterable[str]) -> int:
        """Bar the series of a scan that is not taken, also those to come; return how many parked frames are dropped."""
        own = start.metadata.get("series")
        self._refused = None if isinstance(own, str) else start.uid
        self._barred.update(series)
        if isinstance(own, str):
            self._barred.add(own)
        return sum(len(self._parked.pop(name).frames) for name in series)

    def end_refusal(self, uid: ScanUid | None = None) -> None:
        """Let series that begin from now on be taken again: the refused scan has stopped, or another was taken."""
        if uid is None or uid == self._refused:
            self._refused = None

    def lift_bar(self, series: str) -> None:
        """Let a series be taken that is armed again after the refused scan."""
        if self._refused is None:
            self._barred.discard(series)

    def is_barred(self, series: str) -> bool:
        """Whether a series is of a refused scan; one that begins before that scan has stopped is barred from now on."""
        if series and self._refused is not None and series not in self._scan_uid and series not in self._parked:
            self._barred.add(series)
        return series in self._barred

    def opens_no_scan(self, series: str) -> bool:
        """Whether a series is known to be of a refused scan, or of one that named it."""
        return series in self._barred or series in self._named

    def _scans_with_armed_series(self) -> set[ScanUid]:
        return {self._scan_uid[series] for series in self._armed if series in self._scan_uid}

    def _forget_earlier_of_name(self, series: str) -> None:
        """Let a series that is armed again belong to the next scan: a restarted detector counts from 1 again."""
        uid = self._scan_uid.get(series)
        scan = self._open.get(uid) if uid is not None else None
        if uid is not None and series in self._armed and (scan is None or scan.has_stopped):
            del self._scan_uid[series]

"""Scans that people declare while the service runs: each declaration takes the one series that begins after it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from phasecast.core.errors import PhasecastError
from phasecast.core.frame import Frame
from phasecast.core.record import Channel, Decoder, RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, ScanDeclared, ScanStart, SeriesStart
from phasecast.profiles import ScanDeclaration
from phasecast.sources.declared_frames import series_of
from phasecast.sources.declared_scan import ScanDirector
from phasecast.sources.position_log_decoder import NO_SCAN, REWRITTEN_LOG, UNREADABLE_ROW, LogDecoder

BAD_DECLARATION = "unusable declaration"
UNDECLARED = "frames without a declared scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDeclaration:
    """A declaration fitted to the instrument.

    Parameters
    ----------
    declaration
        With the log that is read.
    director
        Makes its scan.
    """

    declaration: ScanDeclaration
    director: ScanDirector


class ScanSwitch:
    """Gives messages to the director of the newest declaration in the capture.

    Its answers follow from the messages and their order alone, so live work and replay agree. Before the first
    declaration everything passes as it came, and so it does after a scan that documents announce.

    Parameters
    ----------
    take
        Fits a declaration to the instrument; raises PhasecastError where it does not fit.
    others_pass
        Whether frames that no declaration claims pass as they came, because they place themselves; else they are
        counted, named once a series and kept in the capture alone.
    earlier
        Whether scans were declared before the first record that this process reads.
    """

    def __init__(
        self, take: Callable[[ScanDeclared], TakenDeclaration], *, others_pass: bool, earlier: bool = False
    ) -> None:
        self._any_declared = earlier
        self._take = take
        self._others_pass = others_pass
        self._taken: TakenDeclaration | None = None
        self._blocked: set[str] = set()
        """Series that began before the declaration."""
        self._named: set[str] = set()
        self.declared: ScanDeclared | None = None
        """The newest declaration."""
        self.claimed = ""
        """Series of its scan; empty while it waits for the first frame."""
        self.seen: set[str] = set()
        """Series that had frames."""
        self.counters: Counter[str] = Counter()

    @property
    def declaration(self) -> ScanDeclaration | None:
        """What is declared; None before the first declaration."""
        return None if self._taken is None else self._taken.declaration

    def direct(self, message: Message, record: RawRecord) -> Iterator[Message]:
        """Yield what a decoded message means."""
        match message:
            case ScanDeclared():
                yield from self._switch(message, record)
            case ScanStart():
                yield from self._let_go(message.time_s)
                self._any_declared = False
                yield message
            case Frame():
                yield from self._take_frame(message, record)
            case Defect() if message.frame_id is not None and message.number is not None:
                yield from self._take_frame(message, record)
            case SeriesStart(series=series):
                # armed again: a restarted detector numbers its series anew
                self.seen.discard(series)
                self._blocked.discard(series)
                yield message
            case PointMeasured(uid=uid) if uid == NO_SCAN:
                yield from self._take_row(message, record)
            case Defect(reason=reason) if reason in (UNREADABLE_ROW, REWRITTEN_LOG):
                yield from self._take_row(message, record)
            case _:
                yield message

    def log_decoder(self, channel: Channel) -> Decoder:
        """Return the decoder of a declaration's log; rows of an older declaration's are passed over.

        Raises
        ------
        PhasecastError
            If no declaration names a log of that channel.
        """
        declared, declaration = self.declared, self.declaration
        log = declaration.log if declaration is not None else None
        if declared is None or declaration is None or log is None or channel != log_channel(declared):
            raise PhasecastError("no declaration says how the log is read", where=f"source {channel}")
        rules, point_s, identity = log, declaration.exposure_s, declared.declaration_id
        return _LogOfDeclaration(LogDecoder(rules, point_s=point_s), lambda: self._is_newest(identity))

    def _is_newest(self, declaration_id: str) -> bool:
        return self.declared is not None and self.declared.declaration_id == declaration_id

    def _switch(self, declared: ScanDeclared, record: RawRecord) -> Iterator[Message]:
        if self._is_newest(declared.declaration_id):
            return
        try:
            taken = self._take(declared)
        except PhasecastError as error:
            yield Defect(
                reason=BAD_DECLARATION, detail=str(error), channel=record.channel, received_s=record.received_s
            )
            return
        yield from self._let_go(declared.declared_s)
        self.declared, self._taken, self.claimed, self._any_declared = declared, taken, "", True
        self._blocked = set(declared.known_series)
        self._named = set(declared.known_series)

    def _let_go(self, time_s: float) -> Iterator[Message]:
        if self._taken is not None:
            yield from self._taken.director.stop(time_s)
        self._taken, self.declared, self.claimed = None, None, ""

    def _take_frame(self, frame: Frame | Defect, record: RawRecord) -> Iterator[Message]:
        series = series_of(frame)
        self.seen.add(series)
        if not self._any_declared:
            yield frame
            return
        if self._taken is not None and not self.claimed and series not in self._blocked:
            self.claimed = series if self._taken.declaration.is_series(series) else ""
        if self._taken is not None and series == self.claimed:
            yield from self._taken.director.direct(frame, record)
        elif self._others_pass:
            yield frame
        else:
            self.counters["frames_without_declaration"] += 1
            if series not in self._named:
                self._named.add(series)
                detail = f"{series}: this series belongs to no declared scan; declare one before it begins"
                yield Defect(reason=UNDECLARED, detail=detail, channel=record.channel, received_s=frame.received_s)

    def _take_row(self, row: Message, record: RawRecord) -> Iterator[Message]:
        if self._taken is None:
            yield row
        else:
            yield from self._taken.director.direct(row, record)


class _LogOfDeclaration:
    """Rows of one declaration's log, while it is the newest."""

    def __init__(self, decoder: Decoder, is_newest: Callable[[], bool]) -> None:
        self._decoder = decoder
        self._is_newest = is_newest

    def decode(self, record: RawRecord) -> Iterator[Message]:
        if self._is_newest():
            yield from self._decoder.decode(record)


def log_channel(declared: ScanDeclared) -> Channel:
    """Return the channel of a declaration's log: each has its own, because each says how its log is read."""
    return Channel(f"log.{declared.declaration_id}")

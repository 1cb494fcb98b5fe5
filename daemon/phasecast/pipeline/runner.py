"""One turn of the loop: read records, decode, run the stage on the frames, fold, publish."""

import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from phasecast.core.errors import PhasecastError
from phasecast.core.frame import Frame
from phasecast.core.protocols import Stage
from phasecast.core.record import CapturePosition, Channel, Decoder, RawRecord
from phasecast.core.scan import Defect, Message
from phasecast.pipeline.desk import ScanDesk, reference_key
from phasecast.pipeline.fold_rules import Outcome
from phasecast.pipeline.frame_tally import FrameTally

logger = logging.getLogger(__name__)

_LATENCIES_KEPT = 10_000


class RecordReader(Protocol):
    """Where the loop takes its records from: a capture, live or old."""

    def read_available(self) -> Iterator[RawRecord]:
        """Yield the records that are there now; the next call goes on after the last one that was yielded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What one turn did.

    Parameters
    ----------
    records
        Records worked off.
    frames
        Frames reduced.
    scored
        Points that got a result.
    backlog
        Whether it took as many records as a turn may, so that more are likely to wait.
    latencies_s
        Time from receipt to published result of each point that got one.
    """

    records: int
    frames: int
    scored: int
    backlog: bool
    latencies_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """Records of one turn, decoded, and how to get what became of their frames, which may take a while."""

    records: list[RawRecord]
    messages: list[tuple[Message, RawRecord]]
    outcomes: Callable[[], dict[int, Outcome]]


class Runner:
    """The loop that live work, replay and tests share.

    Parameters
    ----------
    reader
        Source of records, in order of receipt. The capture is the queue: bounded by the disk, never dropping.
    decoder_for
        Makes the decoder of a channel when its first record comes, so that old captures need no wires.
    stage
        Turns frames into columns.
    desk
        Knows the scans.
    clock
        POSIX seconds.
    max_records
        Records a turn may work off; bounds memory and latency.
    committed
        `reference_key` of frames whose result a file holds already.
    background
        Where the frames of a turn are reduced while the next turn is decoded, one turn after the other; None for the
        caller's own thread. It brings results later and more of them: for replay.
    """

    def __init__(
        self,
        *,
        reader: RecordReader,
        decoder_for: Callable[[Channel], Decoder],
        stage: Stage,
        desk: ScanDesk,
        clock: Callable[[], float],
        max_records: int = 64,
        committed: frozenset[tuple[str, int]] = frozenset(),
        background: Executor | None = None,
    ) -> None:
        self._reader = reader
        self._decoder_for = decoder_for
        self._decoders: dict[Channel, Decoder] = {}
        self._stage = stage
        self._desk = desk
        self._clock = clock
        self._max_records = max_records
        self._committed = committed
        self._background = background
        self._begun: _Turn | None = None
        self._position: CapturePosition | None = None
        self._taken: CapturePosition | None = None
        self._segment = ""
        self._segment_since_s = 0.0
        self._newest_s = 0.0
        self._listening_since_s: float | None = None
        self._latencies_s: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self.counters: Counter[str] = Counter()
        self.tallies: dict[Channel, FrameTally] = {}
        """Per wire what became of its frames since this process began."""

    @property
    def position(self) -> CapturePosition | None:
        """The newest record that was worked off."""
        return self._position

    def latency_s(self, *percentiles: float) -> list[float]:
        """Percentiles of the time from receipt to published result over the last points; NaN if there are none."""
        if not self._latencies_s:
            return [float("nan")] * len(percentiles)
        return [float(value) for value in np.percentile(np.array(self._latencies_s), percentiles)]

    def step(self) -> StepReport:
        """Run one turn. Bad input is counted, never raised; what raises here ends the process."""
        turn = self._begun or self._begin()
        self._begun = self._begin() if self._background is not None and turn.records else None
        records, outcomes = turn.records, turn.outcomes()
        for message, record in turn.messages:
            self._close_before(record)
            self.tallies[record.channel].take(message)
            outcome = outcomes.get(id(message))
            self._desk.take(message, outcome, record)
        if records:
            self._position = records[-1].position
            self._newest_s = max(self._newest_s, records[-1].received_s)
        scored = self._desk.emit(self._position)
        done_s = self._clock()
        latencies_s = tuple(done_s - received_s for received_s in scored)
        self._latencies_s.extend(latencies_s)
        if records:
            # while old records are worked off, time is theirs: a backlog must not look like silence
            self._desk.close_due(self._newest_s, self._position, listening_since_s=self._segment_since_s)
        else:
            # nor must the time before this process had caught up: nobody listened then
            if self._listening_since_s is None:
                self._listening_since_s = done_s
            self._desk.close_due(done_s, self._position, listening_since_s=self._listening_since_s)
        self.counters["records"] += len(records)
        self.counters["frames"] += len(outcomes)
        self.counters["scored"] += len(scored)
        return StepReport(
            records=len(records),
            frames=len(outcomes),
            scored=len(scored),
            backlog=len(records) == self._max_records,
            latencies_s=latencies_s,
        )

    def drain(self) -> None:
        """Work off all that is there, then close every scan."""
        while self.step().records:
            pass
        self._desk.close_all(self._clock(), self._position)

    def _begin(self) -> "_Turn":
        """Read and decode the records of one turn and let their frames be reduced."""
        records = list(itertools.islice(self._reader.read_available(), self._max_records))
        messages = [(message, record) for record in records for message in self._decode(record)]
        frames = [message for message, _ in messages if isinstance(message, Frame)]
        if self._background is None:
            reduced = self._reduce(frames)
            return _Turn(records=records, messages=messages, outcomes=lambda: reduced)
        return _Turn(records=records, messages=messages, outcomes=self._background.submit(self._reduce, frames).result)

    def _close_before(self, record: RawRecord) -> None:
        """Close what was over before a record came, so that it does not matter how records are cut into turns.

        A segment begins with its daemon: between two segments nobody listened, and silence begins anew.
        """
        if record.position.segment != self._segment:
            self._segment, self._segment_since_s = record.position.segment, record.received_s
        if record.received_s > self._newest_s:
            self._desk.close_due(record.received_s, self._taken, listening_since_s=self._segment_since_s)
            self._newest_s = record.received_s
        self._taken = record.position

    def _decode(self, record: RawRecord) -> list[Message]:
        self.tallies.setdefault(record.channel, FrameTally())
        decoder = self._decoders.get(record.channel)
        if decoder is None:
            try:
                decoder = self._decoders[record.channel] = self._decoder_for(record.channel)
            except PhasecastError as error:
                self.counters["records_without_decoder"] += 1
                defect = Defect(
                    reason="unknown channel", detail=str(error), channel=record.channel, received_s=record.received_s
                )
                return [defect]
        return list(decoder.decode(record))

    def _reduce(self, frames: list[Frame]) -> dict[int, Outcome]:
        fresh = [frame for frame in frames if reference_key(frame.reference) not in self._committed]
        outcomes: dict[int, Outcome] = {id(frame): None for frame in frames}
        self.counters["reduced"] += len(fresh)
        if fresh:
            processed = self._stage.process(fresh)
            outcomes.update({id(frame): outcome for frame, outcome in zip(fresh, processed, strict=True)})
        return outcomes

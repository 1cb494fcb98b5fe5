"""The pace of a replay: records are handed out no sooner than a multiple of the time in which they came."""

import time
from collections.abc import Callable, Iterator

from phasecast.core.record import RawRecord


class PacedReader:
    """Hands out recorded messages as they came, slower or faster; a `phasecast.pipeline.runner.RecordReader`.

    Parameters
    ----------
    records
        The records, in order.
    speed
        How many recorded seconds pass in one second; None hands out records as fast as they are taken.
    monotonic
        Seconds of a clock that only counts on.
    """

    def __init__(
        self, records: Iterator[RawRecord], *, speed: float | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._records = records
        self._speed = speed
        self._monotonic = monotonic
        self._began: tuple[float, float] | None = None
        self._newest_s = 0.0
        self._held: RawRecord | None = None
        self.finished = False
        """Whether the last record was handed out."""

    def recorded_now_s(self) -> float:
        """POSIX time that it is in the recording."""
        if self._speed is None or self._began is None:
            return self._newest_s
        began_s, first_s = self._began
        return first_s + (self._monotonic() - began_s) * self._speed

    @property
    def wait_s(self) -> float:
        """Seconds until the next record is due."""
        if self._held is None or self._speed is None:
            return 0.0
        return max(0.0, (self._held.received_s - self.recorded_now_s()) / self._speed)

    def read_available(self) -> Iterator[RawRecord]:
        """Yield the records that are due."""
        while (record := self._next()) is not None:
            if self.wait_s > 0:
                return
            self._held = None
            self._newest_s = max(self._newest_s, record.received_s)
            yield record

    def _next(self) -> RawRecord | None:
        if self._held is None:
            self._held = next(self._records, None)
            self.finished = self._held is None
            if self._held is not None and self._began is None:
                self._began = self._monotonic(), self._held.received_s
        return self._held

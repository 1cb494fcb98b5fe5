"""What became of the frames of streams on the way, by the detector's own numbers."""

from collections import Counter
from dataclasses import dataclass, field

from phasecast.core.frame import Frame, FrameReference
from phasecast.core.scan import Defect, Message, SeriesEnd, SeriesStart
from phasecast.pipeline.seen import RangeSet
from phasecast.pipeline.tickets import series_of_defect

_SERIES_KEPT = 64
"""Series whose numbers are remembered one by one; of older ones only the sums are."""


@dataclass(slots=True)
class _Series:
    announced: bool = False
    expected: int | None = None
    numbers: RangeSet = field(default_factory=RangeSet)
    lowest: int = 0
    highest: int = -1

    @property
    def lost(self) -> int:
        """Numbers below the highest that never came: an announced series counts from 0."""
        first = 0 if self.announced else self.lowest
        return max(0, self.highest + 1 - first - len(self.numbers))

    @property
    def missing_at_end(self) -> int:
        """Numbers announced above the highest that came: lost, or never taken because the series was aborted."""
        return max(0, (self.expected or 0) - self.highest - 1)


class FrameTally:
    """Counts frames that are lost, doubled, out of order or broken, in bounded memory.

    Gaps count for streams alone: files may be numbered as they please.
    """

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}
        self._counts: Counter[str] = Counter()

    def take(self, message: Message) -> None:
        """Count one message of a wire; positions and documents are none of its business."""
        match message:
            case SeriesStart(series=series, expected_frames=expected):
                self.announce(series, expected)
            case SeriesEnd(series=series):
                self.end(series)
            case Frame():
                self.add(message.series, message.number, message.reference)
            case Defect():
                self.add_defect(message)
            case _:
                pass

    def announce(self, series: str, expected_frames: int | None) -> None:
        """A detector was armed; the same name again, after frames, is a series of its own."""
        known = self._series.get(series)
        if known is not None and len(known.numbers):
            self._settle(series)
        entry = self._of(series)
        entry.announced, entry.expected = True, expected_frames

    def end(self, series: str) -> None:
        """A series ended: what it announced and has not sent will not come."""
        if series in self._series:
            self._settle(series)

    def add(self, series: str, number: int, reference: FrameReference | None) -> None:
        """A frame came, readable or not."""
        self._counts["frames"] += 1
        if reference is None or reference.store != "capture":
            return
        entry = self._of(series)
        if not entry.numbers.add(number):
            self._counts["duplicates"] += 1
            return
        if number < entry.highest:
            self._counts["out_of_order"] += 1
        entry.lowest = number if entry.highest < 0 else min(entry.lowest, number)
        entry.highest = max(entry.highest, number)

    def add_defect(self, defect: Defect) -> None:
        """Something came that cannot be read; if it is known which frame it was, that frame came too."""
        self._counts["decode_errors"] += 1
        if defect.frame_id is not None and defect.number is not None:
            self.add(series_of_defect(defect), defect.number, defect.reference)

    def add_dropped(self, frames: int) -> None:
        """Frames came and were thrown away by this process."""
        self._counts["dropped_by_us"] += frames

    def counts(self, *, over: bool = False) -> dict[str, int]:
        """Return all counts, zeros too; `over` counts what open series announced and have not sent as missing."""
        lost = sum(entry.lost for entry in self._series.values())
        missing = sum(entry.missing_at_end for entry in self._series.values()) if over else 0
        return {
            "frames": self._counts["frames"],
            "lost_upstream": self._counts["lost_upstream"] + lost,
            "missing_at_end": self._counts["missing_at_end"] + missing,
            "dropped_by_us": self._counts["dropped_by_us"],
            "decode_errors": self._counts["decode_errors"],
            "duplicates": self._counts["duplicates"],
            "out_of_order": self._counts["out_of_order"],
        }

    def _of(self, series: str) -> _Series:
        entry = self._series.get(series)
        if entry is None:
            if len(self._series) >= _SERIES_KEPT:
                self._settle(next(iter(self._series)))
            entry = self._series[series] = _Series()
        return entry

    def _settle(self, series: str) -> None:
        entry = self._series.pop(series)
        self._counts["lost_upstream"] += entry.lost
        self._counts["missing_at_end"] += entry.missing_at_end

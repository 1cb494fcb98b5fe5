"""Does a log keep pace with the frames? A log that runs ahead, stops or jumps in time is named, once each a scan."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from phasecast.core.scan import Defect, PointMeasured

AHEAD = "log runs ahead"
STOPPED = "log has stopped"
JUMP = "time jump in the log"

_MIN_LAG = 20
_BACK_S = 1.0
_FORWARD_S = 1800.0


@dataclass(slots=True, kw_only=True)
class LogWatch:
    """Watches the rows of one log against the frames of one scan.

    Parameters
    ----------
    series
        Series of the scan's frames.
    points
        Points that are declared.
    row_points, row_frames
        Points and frames of a row of the scan.
    """

    series: str
    points: int
    row_points: int
    row_frames: int
    _named: set[str] = field(default_factory=set)
    _time_s: float | None = None

    def clock(self, row: PointMeasured) -> Iterator[Defect]:
        """Name a clock that went back, or on by more than half an hour."""
        if row.time_s == row.received_s:
            return
        before, self._time_s = self._time_s, row.time_s
        step_s = row.time_s - before if before is not None else 0.0
        if not -_BACK_S <= step_s <= _FORWARD_S:
            detail = f"row {row.index} of the log: its clock jumped by {step_s:+.0f} s"
            yield Defect(reason=JUMP, detail=detail, channel="log", received_s=row.received_s)

    def lag(self, rows: int, frames: int, now_s: float) -> Iterator[Defect]:
        """Name a log that is two rows of the scan ahead of the frames, or behind them.

        Parameters
        ----------
        rows, frames
            What came so far.
        now_s
            POSIX time.
        """
        enough = max(_MIN_LAG, 2 * self.row_frames)
        expected = rows * self.row_frames / self.row_points
        reason = AHEAD if expected - frames > enough else STOPPED if frames - expected > enough else ""
        if reason:
            yield from self._once(reason, f"scan {self.series}: {rows} rows of the log for {frames} frames", now_s)

    def surplus(self, row: int, now_s: float) -> Iterator[Defect]:
        """Name a row that comes after all points of the scan."""
        detail = f"row {row} of the log comes after all {self.points} points of scan {self.series}"
        yield from self._once(AHEAD, f"{detail}; kept for the next scan", now_s)

    def _once(self, reason: str, detail: str, now_s: float) -> Iterator[Defect]:
        if reason not in self._named:
            self._named.add(reason)
            yield Defect(reason=reason, detail=detail, channel="log", received_s=now_s)

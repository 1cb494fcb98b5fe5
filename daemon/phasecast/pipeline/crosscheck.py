"""Do frames and positions really belong together? A map that is shifted in silence is the worst of all outcomes.

Three independent signs are watched: what the detector announced against what the scan announced; the difference of
frame time and position time, which must stay constant within half a point period; and which shift makes the two
series of times run parallel. The first sign that breaks makes its row and all later ones doubtful.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from phasecast.pipeline.alignment import best_shift, point_period_s

_PERSISTENT = 3
"""Points in a row that must deviate: a computer's hiccup passes, a shift stays."""
_PERSISTENT_S = 0.5
"""And for how long, unless they deviate by whole point periods as a shift does: at 100 points/s an overloaded
computer delayed up to 7 points in a row, over 0.2 s at most. Three delays that happen to be whole periods count where
order alone joins; a name that joins is believed against them (seen with a load of 10 on two cores)."""
_WHOLE_PERIODS = 0.2
"""How close to whole periods the deviations of a shift are, in periods."""
_REFERENCE_POINTS = 64
_LATENCY_ALLOWANCE_S = 0.5
"""Wires may differ in delay by this much without any doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why frames and positions may not belong together.

    Parameters
    ----------
    from_index
        First point in doubt; all later ones are as well.
    reason
        One line with what was seen and which rule may resolve it.
    """

    from_index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTimes:
    """The times of one joined pair.

    Parameters
    ----------
    index
        Index of the point.
    frame_s, point_s
        Frame and position on their own clocks.
    receipt_gap_s
        Receipt of the frame minus receipt of the position, both on our clock.
    by_order
        Whether the pair was joined by order alone.
    """

    index: int
    frame_s: float
    point_s: float
    receipt_gap_s: float
    by_order: bool


@dataclass(slots=True)
class JoinCheck:
    """Watches the joined pairs of one scan.

    Parameters
    ----------
    row_points
        Points in a row; 0 where there are no rows, then blocks of 16 points are judged.
    expected_points
        Points announced by the scan; None if unknown.
    skip_frames_per_row
        Declared lead-in.
    """

    row_points: int
    expected_points: int | None
    skip_frames_per_row: int = 0
    doubt: Doubt | None = None
    _reference: deque[float] = field(default_factory=lambda: deque(maxlen=_REFERENCE_POINTS))
    _deviating: list[int] = field(default_factory=list)
    _last_deviations: deque[float] = field(default_factory=lambda: deque(maxlen=_PERSISTENT))
    _deviating_since_s: float = 0.0
    _deviation_s: float = 0.0
    _window: dict[int, PairTimes] = field(default_factory=dict)
    _unjudged: int = 0
    _point_times: deque[float] = field(default_factory=lambda: deque(maxlen=_REFERENCE_POINTS))

    @property
    def _block_points(self) -> int:
        return self.row_points if self.row_points >= 6 else 16

    def row_start(self, index: int) -> int:
        """Index of the first point of the row that holds a point."""
        return index - index % self.row_points if self.row_points else max(0, index - _PERSISTENT)

    def announce_frames(self, expected_frames: int | None, *, by_order: bool) -> None:
        """Compare what the detector will take with what the scan will measure."""
        if expected_frames is None or self.expected_points is None or not by_order:
            return
        rows = self.expected_points // self.row_points if self.row_points else 0
        wanted = self.expected_points + rows * self.skip_frames_per_row
        if expected_frames != wanted:
            self.raise_doubt(
                0,
                f"the detector announced {expected_frames} frames for {wanted} expected "
                f"({self.expected_points} points); declare skip_frames_per_row or align by time",
            )

    def add(self, pair: PairTimes) -> None:
        """Judge one more pair; pairs come roughly in order of measurement."""
        self._point_times.append(pair.point_s)
        self._watch_difference(pair)
        if pair.by_order:
            self._window[pair.index] = pair
            self._unjudged += 1
            if self._unjudged >= self._block_points:
                self._judge_window()

    def finish(
        self, *, surplus_frames: int, measured_points: int, frames_taken: Collection[int], by_order: bool
    ) -> None:
        """Compare the totals once everything has arrived.

        Parameters
        ----------
        surplus_frames
            Frames left without a position.
        measured_points
            Positions that arrived.
        frames_taken
            Frames the detector took, by its own numbers and by its announcement: frames that were lost on the way
            to us leave gaps in the numbers and shift nothing, so one of the two must equal the positions.
        by_order
            Whether frames were joined by their order.
        """
        if self._unjudged:
            self._judge_window()
        # what deviates to the very end has had no time to pass, nor to persist
        self._doubt_deviation(sure=False)
        if not by_order:
            return
        rows = measured_points // self.row_points if self.row_points else 0
        wanted = measured_points + rows * self.skip_frames_per_row
        if surplus_frames:
            self.raise_doubt(0, f"{surplus_frames} more frames than positions, joined by order")
        elif wanted not in frames_taken and self.doubt is None:
            self.raise_doubt(0, f"{max(frames_taken, default=0)} frames for {wanted} expected, joined by order")

    def _watch_difference(self, pair: PairTimes) -> None:
        difference = pair.frame_s - pair.point_s
        if len(self._reference) < 5:
            self._reference.append(difference)
            return
        half_period = point_period_s(np.array(self._point_times)) / 2
        deviation = difference - float(np.median(np.array(self._reference)))
        if abs(deviation) <= half_period:
            self._reference.append(difference)
            self._deviating.clear()
            self._last_deviations.clear()
            return
        if not self._deviating:
            self._deviating_since_s = pair.point_s
        self._deviating.append(pair.index)
        self._last_deviations.append(deviation / (2 * half_period))
        self._deviation_s = deviation
        persists = pair.point_s - self._deviating_since_s >= _PERSISTENT_S
        if persists or pair.by_order:
            self._doubt_deviation(sure=persists)

    def _doubt_deviation(self, *, sure: bool) -> None:
        """Raise the doubt of points that deviate, if they are enough and, unless it is sure, do so as a shift does."""
        if len(self._deviating) < _PERSISTENT or not (sure or self._are_whole_periods()):
            return
        points = round(self._last_deviations[-1])
        first = min(self._deviating)
        # more frames from the very start of a row: most likely lead-in frames, and then the first row had them too
        lead_in = self.row_points and first % self.row_points == 0 and self._deviation_s < 0
        self.raise_doubt(
            0 if lead_in else self.row_start(first),
            f"frame times moved by {self._deviation_s * 1e3:+.0f} ms against position times ({points:+d} points) "
            f"at point {first}; declare skip_frames_per_row or align by time",
        )

    def _are_whole_periods(self) -> bool:
        periods = np.array(self._last_deviations)
        whole = np.round(periods[-1])
        return bool(whole != 0 and np.all(np.abs(periods - whole) <= _WHOLE_PERIODS))

    def _judge_window(self) -> None:
        """Judge the last two rows together: the turn between them is what tells a shift most clearly."""
        pairs = [self._window[index] for index in sorted(self._window)]
        self._unjudged = 0
        if self.doubt is not None:
            return  # rows after a step fit nothing; the step itself says more precisely where it began
        self._window = {pair.index: pair for pair in pairs[-self._block_points :]}
        frames = np.array([pair.frame_s for pair in pairs])
        points = np.array([pair.point_s for pair in pairs])
        first = self.row_start(pairs[0].index)
        shift = best_shift(frames, points)
        if shift is not None and shift.is_evident:
            self.raise_doubt(
                first,
                f"frame times fit position times {shift.frames:+d} frames away "
                f"(spread {shift.spread_s * 1e3:.1f} ms, unshifted {shift.unshifted_spread_s * 1e3:.1f} ms); "
                "declare skip_frames_per_row or align by time",
            )
            return
        gap = float(np.median([pair.receipt_gap_s for pair in pairs]))
        period = point_period_s(points)
        if abs(gap) > period / 2 + _LATENCY_ALLOWANCE_S:
            self.raise_doubt(
                first,
                f"frames arrive {gap:+.1f} s from their positions, over half a point period ({period:.2g} s); "
                "declare skip_frames_per_row or align by time",
            )

    def raise_doubt(self, from_index: int, reason: str) -> None:
        """Doubt all points from one on; a doubt that begins earlier stands."""
        if self.doubt is None or from_index < self.doubt.from_index:
            self.doubt = Doubt(from_index=from_index, reason=reason)

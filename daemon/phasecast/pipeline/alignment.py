"""How two clocks that tick for the same points lie against each other.

Frames carry the detector's time (or that of their receipt), positions the time of their event. Only
differences mean anything: the zero of either clock is arbitrary.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MIN_PAIRS = 6
_FLOOR_S = 1e-3
"""Spreads below this are scheduling noise of the two computers, not evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The shift of frames against points under which their times agree best.

    Parameters
    ----------
    frames
        Number of frames to leave out before the first point; negative if frames are missing.
    offset_s
        Median of frame time minus point time at this shift.
    spread_s
        Mean absolute deviation from that median.
    unshifted_spread_s
        That deviation if nothing is shifted.
    """

    frames: int
    offset_s: float
    spread_s: float
    unshifted_spread_s: float

    @property
    def is_evident(self) -> bool:
        """Whether another shift than zero explains the times much better than zero does."""
        return self.frames != 0 and self.unshifted_spread_s > 3 * max(self.spread_s, _FLOOR_S)


def point_period_s(times_s: NDArray[np.float64]) -> float:
    """Median time between consecutive points in seconds; infinite for fewer than two."""
    if len(times_s) < 2:
        return float("inf")
    return float(np.median(np.diff(np.sort(times_s))))


def best_shift(
    frame_times_s: NDArray[np.float64], point_times_s: NDArray[np.float64], *, max_shift: int = 8
) -> Shift | None:
    """Find the shift under which frame and point times run most parallel.

    Parameters
    ----------
    frame_times_s, point_times_s
        Shape (n,) each, pairs in order of measurement.
    max_shift
        Largest shift tried in either direction; at most a quarter of the pairs is.

    Returns
    -------
    The best shift, or None if there are too few pairs to say anything.

    Notes
    -----
    Point periods are never perfectly equal: triggers jitter by milliseconds and the turn at the end of a row
    takes longer. Differences of rightly paired times do not see that, differences of wrongly paired times do.
    All shifts are judged on the same points, those in the middle: a single late event then speaks against
    all shifts alike and cannot be explained away by leaving it out.
    """
    n = min(len(frame_times_s), len(point_times_s))
    reach = min(max_shift, n // 4)
    middle = np.arange(reach, n - reach)
    if len(middle) < _MIN_PAIRS:
        return None
    candidates: dict[int, tuple[float, float]] = {}
    for shift in range(-reach, reach + 1):
        differences = frame_times_s[middle + shift] - point_times_s[middle]
        # the mean absolute deviation also sees the few long turns that a median would forgive
        median = float(np.median(differences))
        candidates[shift] = (median, float(np.mean(np.abs(differences - median))))
    frames, (offset, spread) = min(candidates.items(), key=lambda entry: (entry[1][1], abs(entry[0])))
    return Shift(frames=frames, offset_s=offset, spread_s=spread, unshifted_spread_s=candidates[0][1])


def consensus_offset(
    frame_times_s: NDArray[np.float64], point_times_s: NDArray[np.float64], *, max_shift: int = 8
) -> float:
    """Find the offset of two clocks although frames may be missing or too many.

    Parameters
    ----------
    frame_times_s, point_times_s
        Shapes (n,) and (m,), sorted; n and m at least 1.
    max_shift
        Largest difference of the places of a frame and a point that may belong together.

    Returns
    -------
    Frame time minus point time in seconds, under which most points have a frame within a tenth of a period.
    Where periods are too regular to tell, the offset of the smallest shift.
    """
    tolerance_s = 0.1 * min(point_period_s(point_times_s), 1e3)
    best_score, best_offset = -1.0, float(frame_times_s[0] - point_times_s[0])
    for shift in sorted(range(-max_shift, max_shift + 1), key=abs):
        places = np.arange(len(point_times_s))
        places = places[(places + shift >= 0) & (places + shift < len(frame_times_s))]
        for offset in frame_times_s[places + shift] - point_times_s[places]:
            wanted = point_times_s + offset
            right = np.clip(np.searchsorted(frame_times_s, wanted), 1, max(len(frame_times_s) - 1, 1))
            right = np.minimum(right, len(frame_times_s) - 1)
            nearest = np.minimum(
                np.abs(frame_times_s[right] - wanted), np.abs(frame_times_s[np.maximum(right - 1, 0)] - wanted)
            )
            score = float(np.sum(np.clip(1 - (nearest / tolerance_s) ** 2, 0, None)))
            if score > best_score + 0.5:
                best_score, best_offset = score, float(offset)
    return best_offset

"""Do counted frames fit the rows that were declared? The turn after each row is a pause, and shows it."""

from dataclasses import dataclass, field

import numpy as np

_LONG = 1.5
_LONG_S = 0.02
"""A pause is this much longer than the usual time from frame to frame: triggers jitter by milliseconds."""
_ROWS = 2
_FRAMES_KNOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseDoubt:
    """Why counting frames may have gone wrong.

    Parameters
    ----------
    from_row
        First row in doubt.
    reason
        One clear line.
    """

    from_row: int
    reason: str


@dataclass(slots=True, kw_only=True)
class RowPauses:
    """Watches the times of frames that are placed by their number alone.

    A trigger that never reached the detector leaves no gap in the numbers, but from then on the turns of the stage
    fall into the rows. Two rows that pause at the same wrong place, and not at their start, are a doubt.

    Parameters
    ----------
    row_frames
        Frames of a row.
    """

    row_frames: int
    _last: tuple[int, float] | None = None
    _usual_s: list[float] = field(default_factory=list)
    _turns_at_start: int = 0
    _wrong: list[tuple[int, int]] = field(default_factory=list)
    _raised: bool = False

    def add(self, place: int, time_s: float) -> PauseDoubt | None:
        """Take a frame.

        Parameters
        ----------
        place
            Place of the frame in the scan, from 0.
        time_s
            Its time on one clock, s.

        Returns
        -------
        The doubt that it raises; None if there is none.
        """
        last, self._last = self._last, (place, time_s)
        if last is None or place != last[0] + 1 or self._raised or self.row_frames < 3:
            return None
        step_s = time_s - last[1]
        known = len(self._usual_s) >= _FRAMES_KNOWN
        is_pause = known and step_s > _LONG * float(np.median(self._usual_s)) + _LONG_S
        self._usual_s = [*self._usual_s[-63:], step_s]
        row, column = divmod(place, self.row_frames)
        if not is_pause:
            if column == 0 and known and self._turns_at_start:
                self._wrong = [(r, c) for r, c in self._wrong if r >= row - 1]
            return None
        if column == 0:
            self._turns_at_start += 1
            self._wrong.clear()
            return None
        self._wrong = [entry for entry in self._wrong if entry[1] == column and entry[0] >= row - _ROWS] + [
            (row, column)
        ]
        if len(self._wrong) < _ROWS:
            return None
        self._raised = True
        first = self._wrong[0][0]
        return PauseDoubt(
            from_row=max(0, first - 1),
            reason=f"frames pause {column} frames into rows {first + 1} and {row + 1}, not at their start: "
            "a trigger was lost or doubled, or rows have another length than declared; counted positions are doubtful",
        )

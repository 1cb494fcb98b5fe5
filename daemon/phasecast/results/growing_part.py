"""A scan of a map that is still being measured: its places and cells, kept up to date point by point."""

import numpy as np
from numpy.typing import NDArray

from phasecast.results import layout
from phasecast.results.follow import spans_of
from phasecast.results.grid import Floats, Indices
from phasecast.results.live_placement import LivePlacement
from phasecast.results.reader import Result

_STEP_CHANGED = 0.02
_GROWTH = 1.1


class GrowingPart:
    """What a map needs of a growing scan.

    Parameters
    ----------
    result
        The scan.
    offset_um
        What is added to x and y of its points.
    step_um
        Width and height of its cells as they are known so far.

    Attributes
    ----------
    flags
        Flags of its points, (n,).
    """

    def __init__(self, result: Result, offset_um: tuple[float, float], step_um: tuple[float, float]) -> None:
        self._result, self._offset_um, self._step_um = result, offset_um, step_um
        self._live = LivePlacement(result.grid) if result.grid is not None else None
        ledger = result.ledger
        self.flags: NDArray[np.uint32] = ledger["flags"].values
        self._x_um: Floats = ledger["x_um"].values.astype(np.float64)
        self._y_um: Floats = ledger["y_um"].values.astype(np.float64)
        self._measured = self._measured_when_known = int(np.count_nonzero(np.isfinite(self._x_um + self._y_um)))
        if self._live is not None:
            self._live.update(self._x_um, self._y_um, np.arange(self._x_um.size))

    def update(self, rows: Indices) -> bool:
        """Read rows that changed; return whether the steps are known better now, so that the map must start anew."""
        more = self._result.points - self._x_um.size
        if more > 0:
            self.flags = np.concatenate([self.flags, np.zeros(more, dtype=self.flags.dtype)])
            self._x_um, self._y_um = (
                np.concatenate([values, np.full(more, np.nan)]) for values in (self._x_um, self._y_um)
            )
        self._measured -= int(np.count_nonzero(np.isfinite(self._x_um[rows] + self._y_um[rows])))
        for first, end in spans_of(rows):
            block = slice(first, end)
            self.flags[block] = self._result._believed(layout.ledger_dataset("flags"), first, end)
            self._x_um[block] = self._result._believed(layout.ledger_dataset("x_um"), first, end)
            self._y_um[block] = self._result._believed(layout.ledger_dataset("y_um"), first, end)
        self._measured += int(np.count_nonzero(np.isfinite(self._x_um[rows] + self._y_um[rows])))
        if self._live is None:
            return self._measured > self._measured_when_known * _GROWTH
        moved = self._live.update(self._x_um, self._y_um, rows)
        step = np.abs(self._live.step_um)
        return moved or bool(np.any(np.abs(step - self._step_um) > _STEP_CHANGED * np.asarray(self._step_um)))

    def places_um(self, rows: Indices) -> Floats:
        """Where points were measured, (m, 2); NaN where that is not known."""
        return np.column_stack([self._x_um[rows], self._y_um[rows]]) + self._offset_um

    def cells(self, rows: Indices, planned: Indices) -> Indices:
        """Return a number for the cell of each point, that of its plan where its own is not known; -1 without."""
        live = self._live
        if live is None:
            return np.full(rows.size, -1, dtype=np.int64)
        inside = (live.rows[rows] >= 0) & (live.columns[rows] >= 0)
        return np.where(inside, live.rows[rows] * live.shape[1] + live.columns[rows], planned)

"""Places the points of a growing raster: a new point costs the same however many there are already."""

import numpy as np
from numpy.typing import NDArray

from phasecast.results.grid import Floats, Grid, Indices
from phasecast.results.scene import even_axis

_GROWTH = 1.1
"""The whole scan is placed anew when it has grown by a tenth: over a scan that adds up to a constant per point."""
_TOLERANCE_STEPS = 0.75
"""As in `Grid`: a point farther than this from every centre says that the centres are no longer right."""

_UNEVEN_STEPS = 0.3


class LivePlacement:
    """Cells of the points of a raster, kept up to date.

    Parameters
    ----------
    grid
        The raster.

    Attributes
    ----------
    rows, columns
        Cell of each point, (n,); -1 for points without one.
    x_um, y_um
        Centres of columns and rows, ascending, never NaN.
    is_even
        Whether both axes have even steps, so that the map can be drawn as a picture.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        height, width = grid.shape
        self.rows: Indices = np.zeros(0, dtype=np.int64)
        self.columns: Indices = np.zeros(0, dtype=np.int64)
        self.x_um: Floats = np.arange(width, dtype=np.float64)
        self.y_um: Floats = np.arange(height, dtype=np.float64)
        self.is_even = True
        self._reach = 0
        self._placed_reach = 0
        self._settled = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (y) and columns (x) of the map."""
        return self._grid.shape

    @property
    def step_um(self) -> tuple[float, float]:
        """Mean step along x and y; 1 where there is a single cell and nothing tells it."""
        x, y = (_step(centres) for centres in (self.x_um, self.y_um))
        return x or y or 1.0, y or x or 1.0

    def update(self, x_um: Floats, y_um: Floats, changed: Indices) -> bool:
        """Take in rows that changed; return whether others moved too, so that all must be drawn anew.

        Parameters
        ----------
        x_um, y_um
            Positions of all points, (n,); NaN where unknown.
        changed
            Rows to look at, ascending.
        """
        self._lengthen(x_um.size)
        if changed.size == 0:
            return False
        known = np.isfinite(x_um[changed]) & np.isfinite(y_um[changed])
        if known.any():
            self._reach = max(self._reach, int(changed[known][-1]) + 1)
        if not self._settled or self._reach > self._placed_reach * _GROWTH or not known.all():
            return self._place_all(x_um, y_um)
        columns = _nearest(x_um[changed], self.x_um)
        rows = _nearest(y_um[changed], self.y_um)
        if (columns < 0).any() or (rows < 0).any():
            return self._place_all(x_um, y_um)
        self.columns[changed], self.rows[changed] = columns, rows
        return False

    def _place_all(self, x_um: Floats, y_um: Floats) -> bool:
        reach = max(self._reach, 1)
        placement = self._grid.place(x_um[:reach], y_um[:reach])
        x_centres, _, _ = even_axis(placement.x_um, placement.y_um)
        y_centres, _, _ = even_axis(placement.y_um, placement.x_um)
        self.is_even = _is_straight(x_centres) and _is_straight(y_centres)
        before = self.rows[: self._placed_reach].copy(), self.columns[: self._placed_reach].copy()
        self.rows[:reach], self.columns[:reach] = placement.rows, placement.columns
        self.x_um, self.y_um = x_centres, y_centres
        self._settled = bool(np.all(np.isfinite(placement.x_um)) and np.all(np.isfinite(placement.y_um)))
        seen = self._placed_reach
        self._placed_reach = reach
        return not (np.array_equal(self.rows[:seen], before[0]) and np.array_equal(self.columns[:seen], before[1]))

    def _lengthen(self, points: int) -> None:
        more = points - self.rows.size
        if more > 0:
            self.rows = np.concatenate([self.rows, np.full(more, -1, dtype=np.int64)])
            self.columns = np.concatenate([self.columns, np.full(more, -1, dtype=np.int64)])


def _is_straight(centres: Floats) -> bool:
    """Whether centres lie on equal steps to within `_UNEVEN_STEPS`; the first row alone has all encoder noise."""
    if centres.size < 3:
        return True
    order = np.arange(centres.size, dtype=np.float64)
    slope, offset = np.polyfit(order, centres, 1)
    return bool(np.max(np.abs(centres - offset - slope * order)) <= _UNEVEN_STEPS * abs(slope))


def _step(centres: Floats) -> float:
    return float(np.mean(np.diff(centres))) if centres.size > 1 else 0.0


def _nearest(position_um: Floats, centres: Floats) -> NDArray[np.int64]:
    """Index of the nearest centre; -1 where none is near or the position is unknown."""
    if centres.size == 1:
        return np.where(np.isfinite(position_um), 0, -1).astype(np.int64)
    index = np.searchsorted((centres[1:] + centres[:-1]) / 2, position_um).astype(np.int64)
    index = np.minimum(index, centres.size - 1)
    far = ~(np.abs(position_um - centres[index]) <= _TOLERANCE_STEPS * _step(centres))
    return np.where(far, -1, index)

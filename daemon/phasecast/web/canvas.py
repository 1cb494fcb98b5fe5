"""Where the points of a scan lie in a picture: cells of a raster, or squares at scattered places."""

from typing import Protocol

import numpy as np

from phasecast.results.follow import ResultFollower, Rows
from phasecast.results.grid import Floats, Grid
from phasecast.results.live_placement import LivePlacement
from phasecast.results.scene import spacing_um
from phasecast.web.layers import Cells

_LARGEST_PICTURE = 1200
_PLAIN_PICTURE = 240
"""Along a side, for layers of plain colours: nine of them are sent for a scan, and only hatching needs more than one
pixel a cell."""
_STRIPES = 70
"""Most stripes across a map: finer ones blend on the screen into a colour that means another class."""
_SCATTER_SIDE = 6
_MARGIN = 0.25


class Canvas(Protocol):
    """Maps points to pixels; keeps up with a scan that grows."""

    def update(self, changed: Rows) -> bool:
        """Take in points that changed; return whether others moved, so that everything must be drawn anew."""
        ...

    def side(self, *, fine: bool) -> int:
        """Pixels along the side of a cell; `fine` where stripes or crosses must be seen."""
        ...

    def shape(self, side: int) -> tuple[int, int]:
        """Rows and columns of a picture."""
        ...

    def cells(self, points: Rows, side: int) -> tuple[Rows, Cells]:
        """Return those of the points that have a cell, and their cells."""
        ...

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Left and low edge, width and height of the picture."""
        ...

    @property
    def step_um(self) -> tuple[float, float]:
        """Size of a cell along x and y."""
        ...


def canvas_for(columns: ResultFollower) -> Canvas:
    """Return the canvas of a scan: a raster where its points lie on even steps, else scattered squares."""
    grid = columns.result.grid
    if grid is not None:
        raster = RasterCanvas(columns, grid)
        if raster.is_even:
            return raster
    return ScatterCanvas(columns)


class RasterCanvas:
    """Cells of a raster with even steps.

    Parameters
    ----------
    columns
        The scan.
    grid
        Its raster.
    """

    def __init__(self, columns: ResultFollower, grid: Grid) -> None:
        self._columns = columns
        self._placement = LivePlacement(grid)
        self.update(np.arange(columns.points))

    @property
    def is_even(self) -> bool:
        """Whether the steps are even, as far as the scan has come."""
        return self._placement.is_even

    def update(self, changed: Rows) -> bool:
        """Take in points that changed; return whether others moved."""
        return self._placement.update(self._columns.x_um, self._columns.y_um, changed)

    def side(self, *, fine: bool) -> int:
        """Pixels along the side of a cell."""
        cells = max(*self._placement.shape, 1)
        return int(np.clip(_LARGEST_PICTURE // cells, 2, 8)) if fine else int(np.clip(_PLAIN_PICTURE // cells, 1, 4))

    def shape(self, side: int) -> tuple[int, int]:
        """Rows and columns of a picture."""
        rows, columns = self._placement.shape
        return rows * side, columns * side

    def cells(self, points: Rows, side: int) -> tuple[Rows, Cells]:
        """Return those of the points that have a cell, and their cells."""
        shown = points[(self._placement.rows[points] >= 0) & (self._placement.columns[points] >= 0)]
        period = max(side, max(self._placement.shape) * side // _STRIPES)
        top, left = self._placement.rows[shown] * side, self._placement.columns[shown] * side
        return shown, Cells(top=top, left=left, side=side, period=period)

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Left and low edge, width and height."""
        dx, dy = self.step_um
        rows, columns = self._placement.shape
        x, y = self._placement.x_um, self._placement.y_um
        return float(np.mean(x)) - dx * columns / 2, float(np.mean(y)) - dy * rows / 2, dx * columns, dy * rows

    @property
    def step_um(self) -> tuple[float, float]:
        """Steps of the raster."""
        return self._placement.step_um


class ScatterCanvas:
    """Squares at the measured places, to a sixth of the distance between neighbours.

    Points without any position are drawn in a row, in order of measurement.

    Parameters
    ----------
    columns
        The scan.
    """

    def __init__(self, columns: ResultFollower) -> None:
        self._columns = columns
        self._settle()

    def update(self, changed: Rows) -> bool:
        """Take in points that changed; return whether the picture had to be made larger."""
        x, y = self._places()
        left, low, width, height = self.extent_um
        x, y = x[changed], y[changed]
        inside = (x >= left) & (x <= left + width) & (y >= low) & (y <= low + height)
        if inside[np.isfinite(x) & np.isfinite(y)].all():
            return False
        self._settle()
        return True

    def side(self, *, fine: bool) -> int:
        """Pixels along the side of a square."""
        del fine
        return _SCATTER_SIDE

    def shape(self, side: int) -> tuple[int, int]:
        """Rows and columns of a picture."""
        del side
        return self._shape

    def cells(self, points: Rows, side: int) -> tuple[Rows, Cells]:
        """Return those of the points that have a position, and their squares."""
        x, y = self._places()
        left, low, _, _ = self.extent_um
        shown = points[np.isfinite(x[points]) & np.isfinite(y[points])]
        column = ((x[shown] - left) / self._pixel_um).astype(np.int64) - side // 2
        row = ((y[shown] - low) / self._pixel_um).astype(np.int64) - side // 2
        top = np.clip(row, 0, max(self._shape[0] - side, 0))
        return shown, Cells(top=top, left=np.clip(column, 0, max(self._shape[1] - side, 0)), side=side, period=side)

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Left and low edge, width and height."""
        return self._left_um, self._low_um, self._shape[1] * self._pixel_um, self._shape[0] * self._pixel_um

    @property
    def step_um(self) -> tuple[float, float]:
        """Side of a square."""
        return self._pixel_um * _SCATTER_SIDE, self._pixel_um * _SCATTER_SIDE

    def _places(self) -> tuple[Floats, Floats]:
        x, y = self._columns.x_um, self._columns.y_um
        if self._positioned or not x.size:
            return x, y
        return np.arange(x.size, dtype=np.float64), np.zeros(x.size)

    def _settle(self) -> None:
        """Choose the picture: all points seen so far and room around them, so that it is seldom made larger."""
        x, y = self._columns.x_um, self._columns.y_um
        self._positioned = bool(np.any(np.isfinite(x) & np.isfinite(y)))
        x, y = self._places()
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            x, y, known = np.zeros(1), np.zeros(1), np.ones(1, dtype=np.bool_)
        spacing = spacing_um(x, y)
        width, height = float(np.ptp(x[known])), float(np.ptp(y[known]))
        room = _MARGIN * max(width, height) if self._columns.is_growing else 0.0
        room = max(room, spacing)
        self._left_um, self._low_um = float(np.min(x[known])) - room, float(np.min(y[known])) - room
        width, height = width + 2 * room, height + 2 * room
        self._pixel_um = max(spacing / _SCATTER_SIDE, max(width, height) / _LARGEST_PICTURE)
        rows, columns = (int(np.ceil(length / self._pixel_um)) + 1 for length in (height, width))
        self._shape = (max(rows, _SCATTER_SIDE), max(columns, _SCATTER_SIDE))

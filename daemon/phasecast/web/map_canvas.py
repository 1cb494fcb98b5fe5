"""Where the points of several scans lie in one picture: cells of a raster that all share, or rectangles."""

from typing import NamedTuple

import numpy as np

from phasecast.results.composed_map import ComposedMap
from phasecast.results.follow import Rows
from phasecast.results.grid import Floats
from phasecast.results.map_follower import MapFollower
from phasecast.results.same_place import raster_origin
from phasecast.web.layers import Cells

_LARGEST_PICTURE = 1200
_PLAIN_PICTURE = 240
_STRIPES = 70
_SQUARE = 6
_MARGIN = 0.25
_ALIKE = 0.1
_STEP_CHANGED = 0.001


class _Raster(NamedTuple):
    """Centre of the lowest left cell, um, and the cells along y and x."""

    x_um: float
    y_um: float
    shape: tuple[int, int]


class MapCanvas:
    """Places the points of a map where they were measured, or planned if they were not.

    Scans that lie on one raster fill its cells. Others are rectangles of their own steps, in pixels of a sixth of the
    finest step; a large one is made of squares as large as the smallest.

    Parameters
    ----------
    columns
        The map.
    """

    def __init__(self, columns: MapFollower) -> None:
        self._columns = columns
        self._settle()

    def update(self, changed: Rows) -> bool:
        """Take in points that changed; return whether all must be drawn anew: steps or the extent grew."""
        steps = self._map.steps_um
        if steps.shape != self._steps_um.shape or np.any(np.abs(steps - self._steps_um) > _STEP_CHANGED * steps):
            self._settle()
            return True
        places = self._map.places_um[changed]
        places = places[np.asarray(np.isfinite(places).all(axis=1))]
        left, low, width, height = self.extent_um
        low_edge, high_edge = np.array([left, low]), np.array([left + width, low + height])
        if ((places >= low_edge) & (places <= high_edge)).all():
            return False
        self._settle()
        return True

    def side(self, *, fine: bool) -> int:
        """Pixels along the side of a cell."""
        if self._raster is None:
            return self._square
        cells = max(self._raster.shape)
        return int(np.clip(_LARGEST_PICTURE // cells, 2, 8)) if fine else int(np.clip(_PLAIN_PICTURE // cells, 1, 4))

    def shape(self, side: int) -> tuple[int, int]:
        """Rows and columns of a picture."""
        if self._raster is None:
            return self._shape
        return self._raster.shape[0] * side, self._raster.shape[1] * side

    def cells(self, points: Rows, side: int) -> tuple[Rows, Cells]:
        """Return the points that have a place, and their cells; one that is several squares large comes as often."""
        places = self._map.places_um[points]
        shown = points[np.isfinite(places).all(axis=1)]
        if self._raster is None:
            return self._squares(shown, side)
        places, (rows, columns) = self._map.places_um[shown], self._raster.shape
        dx, dy = self._fine_um
        column = np.clip(np.rint((places[:, 0] - self._raster.x_um) / dx).astype(np.int64), 0, columns - 1)
        row = np.clip(np.rint((places[:, 1] - self._raster.y_um) / dy).astype(np.int64), 0, rows - 1)
        period = max(side, max(rows, columns) * side // _STRIPES)
        return shown, Cells(top=row * side, left=column * side, side=side, period=period)

    @property
    def extent_um(self) -> tuple[float, float, float, float]:
        """Left and low edge, width and height of the picture."""
        return self._extent_um

    @property
    def step_um(self) -> tuple[float, float]:
        """Size of the smallest cell along x and y."""
        return float(self._fine_um[0]), float(self._fine_um[1])

    def box_um(self, top: int, bottom: int, left: int, right: int, side: int) -> tuple[Floats, Floats]:
        """Return low and high corner of a rectangle of pixels, (1, 2) each."""
        rows, columns = self.shape(side)
        x, y, width, height = self._extent_um
        low = np.array([[x + left / columns * width, y + top / rows * height]])
        return low, np.array([[x + right / columns * width, y + bottom / rows * height]])

    @property
    def _map(self) -> ComposedMap:
        return self._columns.composed

    def _squares(self, points: Rows, side: int) -> tuple[Rows, Cells]:
        """Cover the rectangle of each point by squares; the last of a line ends where the rectangle does."""
        composed = self._map
        found: list[tuple[Rows, Rows, Rows]] = [(points[:0], points[:0], points[:0])]
        for part, size_um in enumerate(self._steps_um):
            own = points[composed.part_of[points] == part]
            if not own.size:
                continue
            wide, high = (max(int(np.rint(size_um[axis] / self._pixel_um[axis])), side) for axis in (0, 1))
            corner = (composed.places_um[own] - size_um / 2 - self._extent_um[:2]) / self._pixel_um
            left, top = np.rint(corner).astype(np.int64).T
            left, top = np.clip(left, 0, self._shape[1] - wide), np.clip(top, 0, self._shape[0] - high)
            for up in np.minimum(np.arange(0, high, side), high - side).tolist():
                for along in np.minimum(np.arange(0, wide, side), wide - side).tolist():
                    found.append((own, top + up, left + along))
        shown, tops, lefts = (np.concatenate(values) for values in zip(*found, strict=True))
        return shown, Cells(top=tops, left=lefts, side=side, period=max(side, max(self._shape) // _STRIPES))

    def _settle(self) -> None:
        """Choose the picture: all known places, and room where a running scan does not say how far it goes."""
        composed = self._map
        self._steps_um = composed.steps_um
        self._fine_um = self._steps_um.min(axis=0)
        places = composed.places_um
        known = np.asarray(np.isfinite(places).all(axis=1))
        open_ended = any(not known[part.rows].all() for part in composed.running)
        places = places[known] if known.any() else np.zeros((1, 2))
        room = _MARGIN * float(np.ptp(places, axis=0).max()) if open_ended else 0.0
        self._raster = self._raster_of(places, room)
        if self._raster is not None:
            (dx, dy), (rows, columns) = self._fine_um, self._raster.shape
            self._extent_um = (
                self._raster.x_um - float(dx) / 2, self._raster.y_um - float(dy) / 2,
                float(dx) * columns, float(dy) * rows,
            )  # fmt: skip
            return
        half = self._steps_um.max(axis=0) / 2 + room
        low, high = places.min(axis=0) - half, places.max(axis=0) + half
        self._pixel_um = np.maximum(self._fine_um / _SQUARE, float((high - low).max()) / _LARGEST_PICTURE)
        columns, rows = np.ceil((high - low) / self._pixel_um).astype(np.int64).tolist()
        self._square = max(int(np.rint((self._fine_um / self._pixel_um).min())), 1)
        largest = np.maximum(np.rint(self._steps_um.max(axis=0) / self._pixel_um), self._square).astype(np.int64)
        self._shape = max(rows + 1, int(largest[1])), max(columns + 1, int(largest[0]))
        size = self._pixel_um * self._shape[::-1]
        self._extent_um = float(low[0]), float(low[1]), float(size[0]), float(size[1])

    def _raster_of(self, places: Floats, room_um: float) -> _Raster | None:
        """The raster that all places lie on; None if they lie on none, or it has too many cells for a picture."""
        steps = self._steps_um
        if np.any(np.ptp(steps, axis=0) > _ALIKE * steps[0]):
            return None
        step = self._fine_um = np.median(steps, axis=0)
        low, high = places.min(axis=0) - room_um, places.max(axis=0) + room_um
        if np.any((high - low) / step >= _LARGEST_PICTURE // 2):
            return None
        origins = [raster_origin(places[:, axis] - low[axis], float(step[axis])) for axis in (0, 1)]
        if origins[0] is None or origins[1] is None:
            return None
        origin = low + np.array([origins[0], origins[1]])
        first = np.rint((low - origin) / step)
        columns, rows = (np.rint((high - origin) / step) - first + 1).astype(np.int64).tolist()
        x_um, y_um = origin + first * step
        return _Raster(x_um=float(x_um), y_um=float(y_um), shape=(rows, columns))

"""Several scans of one map as all sessions see them: one canvas, the latest accepted point of each place."""

from pathlib import Path

import numpy as np

from phasecast.core.ledger import PointState
from phasecast.results.follow import Rows
from phasecast.results.grid import Floats
from phasecast.results.map_follower import MapFollower
from phasecast.web.canvas import Canvas
from phasecast.web.colours import STATE_COLOURS, Pixels, pixel
from phasecast.web.layers import LEDGER, Cells, paint
from phasecast.web.live_scan import LiveScan, Picture, Source, bare_pixel, boxes_of
from phasecast.web.map_canvas import MapCanvas

_REACH = 1.5


class LiveMap(LiveScan):
    """A map that is followed while one of its scans grows.

    Parameters
    ----------
    paths
        Its results, in order of their start.
    address
        What the address of the page calls it.

    Raises
    ------
    ResultFileError
        If one cannot be opened, or they are no parts of one map.
    """

    is_map = True

    def __init__(self, paths: tuple[Path, ...], address: str) -> None:
        self._paths, self._address = paths, address
        # no file: the name that its report and exports have
        super().__init__(paths[-1].with_name(f"{paths[-1].stem}-map.nxs"))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The result files."""
        return self._paths

    @property
    def written_name(self) -> str:
        """File name of the newest scan, whose header this shows."""
        return self.map_columns.composed.path.name

    @property
    def address(self) -> str:
        """What the address of the page calls it."""
        return self._address

    @property
    def name(self) -> str:
        """Name of the map."""
        return self.map_columns.composed.name

    @property
    def map_columns(self) -> MapFollower:
        """The followed files."""
        assert isinstance(self.columns, MapFollower)
        return self.columns

    def source_of(self, point: int) -> Source:
        """Return the scan that a point is from."""
        composed = self.map_columns.composed
        part = composed.parts[int(composed.part_of[point])]
        return Source(result=part.result, point=point - part.first)

    def sizes_um(self, points: Rows) -> tuple[Floats, Floats]:
        """Width and height of the cells of some points, (m,) each."""
        composed = self.map_columns.composed
        width, height = composed.steps_um[composed.part_of[points]].T
        return width, height

    def nearest(self, x_um: float, y_um: float) -> int | None:
        """Return the point whose cell lies at a place, the smallest of several; else the nearest one."""
        composed = self.map_columns.composed
        steps = composed.steps_um[composed.part_of]
        distance = np.abs((composed.places_um - (x_um, y_um)) / steps).max(axis=1)
        state = self.columns.state
        hidden = (state == PointState.SUPERSEDED) | (state == PointState.PENDING)
        distance[hidden | ~np.isfinite(distance)] = np.inf
        holding = np.flatnonzero(distance <= 0.5)
        if holding.size:
            return int(holding[np.lexsort((distance[holding], steps[holding].prod(axis=1)))[0]])
        if distance.size == 0 or not np.min(distance) <= _REACH:
            return None
        return int(np.argmin(distance))

    def neighbour(self, point: int, right: int, up: int) -> int | None:
        """Return the next point in a direction; None at the edge."""
        composed = self.map_columns.composed
        dx, dy = composed.steps_um[int(composed.part_of[point])]
        x, y = composed.places_um[point]
        found = self.nearest(float(x + right * dx), float(y + up * dy))
        return None if found == point else found

    def _follow(self) -> None:
        self.columns = MapFollower(self._paths)

    def _make_canvas(self) -> Canvas:
        return MapCanvas(self.map_columns)

    @property
    def _map_canvas(self) -> MapCanvas:
        assert isinstance(self.canvas, MapCanvas)
        return self.canvas

    def _paint(self, picture: Picture, rows: Rows) -> None:
        """Paint anew all that lies where points changed: one that is superseded now lets others show again."""
        if rows.size >= self.columns.points:
            height, width = picture.pixels.shape
            picture.pixels[...] = self._painted(picture, rows, (0, height, 0, width))
            return
        _, cells = self.canvas.cells(rows, picture.side)
        largest_um = self.map_columns.composed.steps_um.max(axis=0)
        for box in boxes_of(cells):
            low, high = self._map_canvas.box_um(*box, picture.side)
            around = self.map_columns.composed.near(low - largest_um, high + largest_um)
            top, bottom, left, right = box
            picture.pixels[top:bottom, left:right] = self._painted(picture, around, box)

    def _painted(self, picture: Picture, rows: Rows, box: tuple[int, int, int, int]) -> Pixels:
        """Return the pixels of a rectangle, of points among which are all that it holds."""
        composed, side = self.map_columns.composed, picture.side
        state = self.columns.state[rows]
        shown = rows[(state != PointState.SUPERSEDED) & (state != PointState.PENDING)]
        points, cells = self.canvas.cells(shown, side)
        # large cells first, that small ones show on them; then in order of measurement
        areas = np.round(composed.steps_um.prod(axis=1), 3)[composed.part_of[points]]
        order = np.lexsort((points, -areas))
        top, bottom, left, right = box
        held = order[
            (cells.top[order] > top - side) & (cells.top[order] < bottom)
            & (cells.left[order] > left - side) & (cells.left[order] < right)
        ]  # fmt: skip
        points = points[held]
        cells = Cells(top=cells.top[held], left=cells.left[held], side=side, period=cells.period)
        pixels = np.full((bottom - top + 2 * side, right - left + 2 * side), bare_pixel(picture.key))
        if points.size:
            blocks = paint(picture.key, self.columns, points, cells, self._total_limit)
            if picture.key.name == LEDGER:
                winners = composed.counts_instead[rows]
                blocks[np.isin(points, winners), : max(side // 3, 1)] = pixel(STATE_COLOURS[PointState.SUPERSEDED])
            inner = np.arange(side)
            pixels[
                (cells.top - top + side)[:, None, None] + inner[None, :, None],
                (cells.left - left + side)[:, None, None] + inner[None, None, :],
            ] = blocks
        return pixels[side:-side, side:-side]
